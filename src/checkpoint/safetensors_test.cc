#include "checkpoint/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"
#include "checkpoint/safetensors_writer_for_tests.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Wide enough for every product that the 64-bit code must notice.
__extension__ typedef unsigned __int128 Wide;

// The message of the Error that reading a file of these bytes throws; "" when it is accepted.
std::string refusal(const TemporaryDirectory& directory, std::string_view bytes,
                    const SafetensorsLimits& limits = {}) {
  const File file(directory.write("x.safetensors", bytes));
  try {
    read_safetensors_header(file, limits);
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("x.safetensors"));
    EXPECT_FALSE(error.help().empty()) << error.message();
    return error.message();
  }
  return "";
}

std::string refusal_of_header(std::string_view header, uint64_t data_bytes,
                              const SafetensorsLimits& limits = {}) {
  try {
    parse_safetensors_header(header, data_bytes, limits);
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

// `count` empty tensors.
std::string empty_tensors(int count) {
  std::string header = "{";
  for (int i = 0; i < count; ++i) {
    header += fmt::format(R"("t{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},)", i);
  }
  header.back() = '}';
  return header;
}

TEST(TensorBytes, AgreesWith128BitArithmetic) {
  std::mt19937_64 random(1);
  const std::vector<int64_t> extremes = {0, 1, 2, 3, INT32_MAX, int64_t{1} << 32, INT64_MAX - 1, INT64_MAX};
  for (int trial = 0; trial < 300'000; ++trial) {
    const auto dtype = static_cast<DType>(random() % (static_cast<unsigned>(DType::kC64) + 1));
    std::vector<int64_t> shape(random() % (kTensorRankMax + 1));
    for (int64_t& dimension : shape) {
      const auto wild = static_cast<int64_t>(random() >> (1 + random() % 63));
      dimension = random() % 3 == 0 ? extremes.at(random() % extremes.size()) : wild;
    }
    Wide nonzero = 1;  // saturates at 2^63
    bool has_zero = false;
    for (const int64_t dimension : shape) {
      has_zero = has_zero || dimension == 0;
      if (dimension != 0) nonzero *= static_cast<Wide>(dimension);
      nonzero = std::min(nonzero, static_cast<Wide>(1) << 63);
    }
    const Wide bits = has_zero ? 0 : nonzero * static_cast<unsigned>(dtype_bits(dtype));
    const bool has_size = nonzero < static_cast<Wide>(1) << 63 && bits <= UINT64_MAX && bits % 8 == 0;
    const auto bytes = tensor_bytes(dtype, shape);
    ASSERT_EQ(bytes.has_value(), has_size) << dtype_name(dtype) << shape_text(shape);
    if (bytes) {
      ASSERT_EQ(*bytes, static_cast<uint64_t>(bits / 8)) << dtype_name(dtype) << shape_text(shape);
    }
  }
}

TEST(SafetensorsFile, GivesRangesOfTheFileInDataOrder) {
  const TemporaryDirectory directory;
  const std::string bytes = make_safetensors({{"z", DType::kBf16, {2, 3}},
                                              {"scalar", DType::kF32, {}},
                                              {"none", DType::kI64, {0, 4}},
                                              {"a \"quoted\" \\ name", DType::kF4, {4}}},
                                             {{"format", "pt"}});
  const File file(directory.write("x.safetensors", bytes));
  const SafetensorsHeader header = read_safetensors_header(file);
  ASSERT_EQ(header.tensors.size(), 4U);
  EXPECT_EQ(header.tensors[0].name, "z");
  EXPECT_EQ(header.tensors[0].dtype, DType::kBf16);
  EXPECT_THAT(header.tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(header.tensors[0].range.offset, bytes.size() - 18);
  EXPECT_EQ(header.tensors[0].range.bytes, 12U);
  EXPECT_EQ(header.tensors[0].range.file, &file);
  EXPECT_EQ(header.tensors[1].name, "scalar");
  EXPECT_TRUE(header.tensors[1].shape.empty());
  EXPECT_EQ(header.tensors[2].name, "none");
  EXPECT_EQ(header.tensors[2].range.bytes, 0U);
  EXPECT_EQ(header.tensors[3].name, "a \"quoted\" \\ name");
  EXPECT_EQ(header.tensors[3].range.offset, bytes.size() - 2);
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsFile, KnowsEveryDtypeByItsName) {
  const std::vector<std::string> names = {
      "BOOL",    "U8",      "I8",      "U16",     "I16",     "U32", "I32",  "U64", "I64", "F4",
      "F6_E2M3", "F6_E3M2", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F16", "BF16", "F32", "F64", "C64"};
  const std::vector<int> bytes_of_eight = {8, 8, 8, 16, 16, 32, 32, 64, 64, 4,
                                           6, 6, 8, 8,  8,  16, 16, 32, 64, 64};
  for (size_t i = 0; i < names.size(); ++i) {
    const auto header =
        parse_safetensors_header(fmt::format(R"({{"a":{{"dtype":"{}","shape":[8],"data_offsets":[0,{}]}}}})",
                                             names[i], bytes_of_eight[i]),
                                 static_cast<uint64_t>(bytes_of_eight[i]));
    EXPECT_EQ(dtype_name(header.tensors.at(0).dtype), names[i]);
  }
}

TEST(SafetensorsFile, RefusesEveryPrefixOfAFile) {
  const TemporaryDirectory directory;
  const std::string bytes = make_safetensors(
      {{"a.weight", DType::kBf16, {4, 3}}, {"b.weight", DType::kF8E4M3, {5}}}, {{"format", "pt"}});
  EXPECT_EQ(refusal(directory, bytes), "");
  for (size_t length = 0; length < bytes.size(); ++length) {
    const std::string message = refusal(directory, bytes.substr(0, length));
    EXPECT_THAT(message,
                ::testing::AnyOf(HasSubstr("missing"), HasSubstr("is empty"), HasSubstr("fewer than the 8")))
        << length;
  }
}

TEST(SafetensorsFile, RefusesOrKeepsTheRulesUnderEveryBitFlipOfTheHeader) {
  const TemporaryDirectory directory;
  const std::string good = make_safetensors({{"a.weight", DType::kBf16, {4, 3}}, {"b", DType::kU8, {5}}});
  const size_t header_end = good.size() - 29;
  for (size_t bit = 0; bit < header_end * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    try {
      const File file(directory.write("x.safetensors", bytes));
      uint64_t covered = 0;
      for (const TensorRecord& tensor : read_safetensors_header(file).tensors) covered += tensor.range.bytes;
      EXPECT_EQ(covered, 29U) << bit;
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr("x.safetensors")) << bit;
    }
  }
}

TEST(SafetensorsFile, AFileThatShrinksWhileOpenIsAnError) {
  const TemporaryDirectory directory;
  const File file(directory.write("x.safetensors", make_safetensors({{"a", DType::kBf16, {4, 3}}})));
  std::filesystem::resize_file(file.path(), 20);
  try {
    read_safetensors_header(file);
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.message(), HasSubstr("ends at byte 20"));
  }
}

TEST(SafetensorsFile, RefusesImpossibleHeaderLengths) {
  const TemporaryDirectory directory;
  EXPECT_THAT(refusal(directory, std::string(8, '\xff') + "{}"),
              AllOf(HasSubstr("not a safetensors file"), HasSubstr("18446744073709551615")));
  EXPECT_THAT(refusal(directory, std::string("\x03\0\0\0\0\0\0\0{}", 10)),
              HasSubstr("ends inside its header: 1 of 3 bytes are missing"));
  EXPECT_THAT(refusal(directory, std::string(8, '\0')), HasSubstr("must start with '{'"));
}

TEST(SafetensorsFile, NamesOtherKindsOfFile) {
  const TemporaryDirectory directory;
  EXPECT_THAT(refusal(directory, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
              HasSubstr("Git LFS pointer"));
  EXPECT_THAT(refusal(directory, std::string("GGUF\x03\0\0\0\0\0\0\0", 12)), HasSubstr("GGUF"));
  EXPECT_THAT(refusal(directory, std::string("PK\x03\x04\x14\0\x08\0rest", 12)), HasSubstr("zip archive"));
  EXPECT_THAT(refusal(directory, "<!DOCTYPE html><html></html>"), HasSubstr("web page"));
}

TEST(SafetensorsFile, AHeaderLengthThatLooksLikeAnotherKindIsRead) {
  // 0x3c is '<'.
  const TemporaryDirectory directory;
  EXPECT_EQ(refusal(directory, make_raw_safetensors("{}" + std::string(0x3c - 2, ' '))), "");
}

TEST(SafetensorsLimits, HeaderBytes) {
  const TemporaryDirectory directory;
  const size_t allowed = size_t{32} << 20;
  EXPECT_EQ(refusal(directory, make_raw_safetensors("{}" + std::string(allowed - 2, ' '))), "");
  EXPECT_THAT(refusal(directory, make_raw_safetensors("{}" + std::string(allowed - 1, ' '))),
              HasSubstr("takes 33554433 bytes, at most 33554432 are allowed"));
}

TEST(SafetensorsLimits, HeaderBytesAreNeverMoreThanTheFormatAllows) {
  const SafetensorsLimits limits{.header_bytes_max = UINT64_MAX};
  std::string prefix = make_raw_safetensors("").substr(0, 8);
  const auto parse = [&](uint64_t length) {
    for (size_t i = 0; i < 8; ++i) prefix[i] = static_cast<char>((length >> (8 * i)) & 0xff);
    return parse_safetensors_prefix(std::as_bytes(std::span(prefix)), 1'000'000'000, limits);
  };
  EXPECT_EQ(parse(100'000'000), 100'000'000U);
  EXPECT_THROW(parse(100'000'001), Error);
}

TEST(SafetensorsLimits, TensorCount) {
  const SafetensorsLimits limits{.tensors_max = 3};
  EXPECT_EQ(refusal_of_header(empty_tensors(3), 0, limits), "");
  EXPECT_THAT(refusal_of_header(empty_tensors(4), 0, limits), HasSubstr("more than 3 tensors"));
  EXPECT_EQ(SafetensorsLimits{}.tensors_max, 262'144U);
}

TEST(SafetensorsLimits, TheLargestNumberOfTensorsIsReadInSeconds) {
  // Some 0.3 s in a release build; quadratic work anywhere would take minutes.
  const auto start = std::chrono::steady_clock::now();
  const auto header = parse_safetensors_header(empty_tensors(262'144), 0);
  EXPECT_EQ(header.tensors.size(), 262'144U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST(SafetensorsLimits, AMillionEmptyTensorsAreRefusedByTheirNumber) {
  const SafetensorsLimits limits{.header_bytes_max = kHeaderBytesHardMax};
  EXPECT_THAT(refusal_of_header(empty_tensors(1'000'000), 0, limits), HasSubstr("more than 262144 tensors"));
}

TEST(SafetensorsLimits, AHugeNumberOrStringCostsNoMoreThanItsLength) {
  const std::string digits(1 << 20, '9');
  EXPECT_THAT(refusal_of_header(R"({"a":{"shape":[)" + digits + "]}}", 0), HasSubstr("tensor 'a'"));
  EXPECT_THAT(refusal_of_header("{\"" + digits + "\":{}}", 0), HasSubstr("has 1048576 bytes"));
}

}  // namespace
}  // namespace beryl::checkpoint
