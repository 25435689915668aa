# Build rules shared by all folders: beryl_library(), beryl_test() and the options that every target gets.

add_library(beryl_options INTERFACE)
target_include_directories(beryl_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(beryl_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  # Designated initialisers name what matters; the other fields have defaults.
  -Wno-missing-field-initializers
  # Results must not depend on what the compiler chooses to contract; kernels write FMA out.
  -ffp-contract=off)
if(BERYL_WARNINGS_AS_ERRORS)
  target_compile_options(beryl_options INTERFACE -Werror)
endif()
if(BERYL_SANITIZERS)
  target_compile_options(beryl_options INTERFACE
    -fsanitize=${BERYL_SANITIZERS} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(beryl_options INTERFACE -fsanitize=${BERYL_SANITIZERS})
endif()

# What most sources include, parsed once for each target. Hides includes that are missing, so not in every preset.
function(beryl_precompile target)
  if(BERYL_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE <algorithm> <filesystem> <functional> <map> <memory> <optional>
      <span> <string> <vector> <fmt/format.h> ${ARGN})
  endif()
endfunction()

# beryl_library(base DEPENDS fmt::fmt [STRICT_CONVERSIONS]): the library of the current folder, from all its
# sources that are not tests or fuzz targets, and one test program from its *_test.cc files.
function(beryl_library name)
  cmake_parse_arguments(ARG "STRICT_CONVERSIONS" "" "DEPENDS;TEST_DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(fuzzers ${sources})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz|/main)\\.cc$")
  add_library(beryl_${name} STATIC ${sources})
  target_link_libraries(beryl_${name} PUBLIC beryl_options ${ARG_DEPENDS})
  beryl_precompile(beryl_${name})
  if(ARG_STRICT_CONVERSIONS)
    target_compile_options(beryl_${name} PRIVATE -Wconversion -Wsign-conversion)
  endif()
  if(BERYL_BUILD_TESTS AND tests)
    beryl_test(${name}_tests SOURCES ${tests} DEPENDS beryl_${name} ${ARG_TEST_DEPENDS})
  endif()
  if(BERYL_BUILD_FUZZERS)
    foreach(fuzzer ${fuzzers})
      get_filename_component(fuzzer_name ${fuzzer} NAME_WE)
      add_executable(${fuzzer_name} ${fuzzer})
      target_link_libraries(${fuzzer_name} PRIVATE beryl_${name})
      target_link_options(${fuzzer_name} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()
endfunction()

# beryl_test(name SOURCES ... DEPENDS ...): a GoogleTest program whose every test is a CTest test.
function(beryl_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE BERYL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  beryl_precompile(${name} <gmock/gmock.h> <gtest/gtest.h> <nlohmann/json.hpp>)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 600)
endfunction()
