#include "backend/cpu/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "base/error.h"

namespace beryl::backend {
namespace {

// BERYL_ISA for the duration of a test.
class Environment {
 public:
  explicit Environment(const std::optional<std::string>& value) {
    if (const char* before = std::getenv("BERYL_ISA")) before_ = before;
    set(value);
  }
  ~Environment() { set(before_); }

 private:
  static void set(const std::optional<std::string>& value) {
    if (value) {
      ::setenv("BERYL_ISA", value->c_str(), 1);
    } else {
      ::unsetenv("BERYL_ISA");
    }
  }
  std::optional<std::string> before_;
};

// The kernel's own list of what the processor and the system can do.
bool system_lists(const std::string& feature) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line);
    std::string word;
    while (words >> word) {
      if (word == feature) return true;
    }
    return false;
  }
  return false;
}

TEST(IsaTest, AgreesWithTheSystem) {
  const std::vector<Isa> isas = available_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), Isa::kPortable);
  EXPECT_EQ(best_isa(), isas.back());
  const auto has = [&](Isa isa) { return std::find(isas.begin(), isas.end(), isa) != isas.end(); };
  const bool avx2 = system_lists("avx2") && system_lists("fma") && system_lists("f16c");
  const bool avx512 = avx2 && system_lists("avx512f") && system_lists("avx512bw") &&
                      system_lists("avx512vl") && system_lists("avx512dq");
  EXPECT_EQ(has(Isa::kAvx2), avx2);
  EXPECT_EQ(has(Isa::kAvx512), avx512);
  EXPECT_EQ(has(Isa::kAvx512Bf16), avx512 && system_lists("avx512_bf16"));
}

TEST(IsaTest, BestUnlessToldOtherwise) {
  for (const auto& value : {std::optional<std::string>(), std::optional<std::string>("")}) {
    const Environment environment(value);
    EXPECT_EQ(chosen_isa(), best_isa());
  }
}

TEST(IsaTest, TheEnvironmentChooses) {
  for (const Isa isa : available_isas()) {
    const Environment environment(std::string(isa_name(isa)));
    EXPECT_EQ(chosen_isa(), isa);
  }
}

TEST(IsaTest, UnknownNamesAreRefused) {
  for (const char* name : {"AVX2", "avx", "avx2 ", "sse9"}) {
    const Environment environment(name);
    try {
      chosen_isa();
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_NE(error.message().find(std::string("'") + name + "'"), std::string::npos) << error.message();
      EXPECT_NE(error.message().find("portable, avx2, avx512, avx512bf16"), std::string::npos);
    }
  }
}

TEST(IsaTest, SetsThatTheProcessorLacksAreRefused) {
  if (best_isa() == Isa::kAvx512Bf16) GTEST_SKIP() << "this processor has every set";
  const Environment environment("avx512bf16");
  try {
    chosen_isa();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(error.help().find(isa_name(best_isa())), std::string::npos) << error.help();
  }
}

}  // namespace
}  // namespace beryl::backend
