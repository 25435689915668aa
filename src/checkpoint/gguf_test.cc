#include "checkpoint/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"
#include "checkpoint/gguf_builder_for_tests.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ4_0 = 2;
constexpr uint32_t kQ6K = 14;
constexpr uint32_t kBf16 = 30;

GgufBuilder sound() {
  GgufBuilder builder;
  builder.string("general.architecture", "gemma4").number<uint32_t>("gemma4.block_count", 2);
  builder.tensor({"a", {3, 64}, kQ4_0}).tensor({"b", {1}, kF32}).tensor({"c", {2, 256}, kQ6K});
  return builder;
}

std::string refusal(const std::string& file, ErrorCode code = ErrorCode::kInvalidInput,
                    const GgufLimits& limits = {}) {
  try {
    parse_gguf(file, limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_FALSE(error.help().empty()) << error.message();
    return error.message();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

TEST(GgufTest, ReadsKeysAndTensors) {
  for (const uint32_t version : {2U, 3U}) {
    GgufBuilder builder = sound();
    builder.version = version;
    const std::string file = builder.build();
    const GgufHeader header = parse_gguf(file);
    EXPECT_EQ(header.metadata.find_string("general.architecture"), "gemma4");
    EXPECT_EQ(header.metadata.find_integer("gemma4.block_count", 1, 9), 2);
    ASSERT_EQ(header.tensors.size(), 3U);
    EXPECT_EQ(header.tensors[0].name, "a");
    EXPECT_EQ(header.tensors[0].dtype, DType::kQ4_0);
    EXPECT_THAT(header.tensors[0].shape, ElementsAre(3, 64));
    EXPECT_EQ(header.tensors[0].range.bytes, 6U * 18);
    EXPECT_EQ(header.tensors[1].range.bytes, 4U);
    // 108 and 4 bytes, each up to a multiple of 32.
    EXPECT_EQ(header.tensors[1].range.offset, header.tensors[0].range.offset + 128);
    EXPECT_EQ(header.tensors[2].range.offset, header.tensors[1].range.offset + 32);
    EXPECT_EQ(header.tensors[2].range.bytes, 2U * 210);
    EXPECT_EQ(header.tensors[2].range.offset + 448, file.size());
  }
}

TEST(GgufTest, TheOrderOfTensorsAndTheLastPaddingAreFree) {
  GgufBuilder builder;
  builder.tensor({"late", {2}, kF32, std::nullopt, 32}).tensor({"early", {2}, kF32, std::nullopt, 0});
  std::string file = builder.build();
  const GgufHeader header = parse_gguf(file);
  EXPECT_EQ(header.tensors[0].name, "early");
  EXPECT_EQ(header.tensors[1].name, "late");
  file.resize(file.size() - 24);
  EXPECT_EQ(parse_gguf(file).tensors.size(), 2U);
  file.resize(file.size() - 1);
  EXPECT_THAT(refusal(file), HasSubstr("1 bytes are missing at the end"));
}

TEST(GgufTest, HonoursTheAlignmentKey) {
  GgufBuilder builder = sound();
  builder.number<uint32_t>("general.alignment", 128);
  builder.alignment = 128;
  EXPECT_EQ(parse_gguf(builder.build()).tensors[1].range.offset % 128, 0U);
  builder.alignment = 32;
  EXPECT_THAT(refusal(builder.build()), HasSubstr("which is no multiple of 128"));
  for (const uint32_t wrong : {0U, 3U, 48U, 1U << 31}) {
    GgufBuilder other = sound();
    other.number<uint32_t>("general.alignment", wrong);
    EXPECT_THAT(refusal(other.build()), HasSubstr("general.alignment is")) << wrong;
  }
}

TEST(GgufTest, EveryCutIsRefused) {
  const std::string file = sound().build();
  for (size_t length = 0; length + 28 < file.size(); ++length) {
    refusal(file.substr(0, length));
  }
  EXPECT_THAT(refusal(""), HasSubstr("the file is empty"));
  EXPECT_THAT(refusal(file.substr(0, 60)), HasSubstr("the file ends inside its header"));
}

TEST(GgufTest, OtherFilesAreNamed) {
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(refusal("<html>not found</html>"), HasSubstr("it begins with '<htm'"));
  GgufBuilder builder = sound();
  builder.version = 1;
  EXPECT_THAT(refusal(builder.build(), ErrorCode::kUnsupported), HasSubstr("version 1 of GGUF"));
  builder.version = 3U << 24;
  EXPECT_THAT(refusal(builder.build(), ErrorCode::kUnsupported), HasSubstr("big-endian"));
}

TEST(GgufTest, CountsAreBounded) {
  GgufBuilder builder = sound();
  builder.tensor_count = 65'537;
  EXPECT_THAT(refusal(builder.build()), HasSubstr("65537 tensors, at most 65536"));
  builder = sound();
  builder.key_count = std::numeric_limits<uint64_t>::max();
  EXPECT_THAT(refusal(builder.build()), HasSubstr("keys, at most 4096"));
  builder = sound();
  GgufBytes array;
  array.number(static_cast<uint32_t>(GgufType::kArray)).number(static_cast<uint32_t>(GgufType::kU8));
  builder.raw("x", array.number(uint64_t{1} << 40).text());
  EXPECT_THAT(refusal(builder.build()), AllOf(HasSubstr("x: "), HasSubstr("elements, at most 4194304")));
  EXPECT_THAT(refusal(sound().build(), ErrorCode::kInvalidInput, {.header_bytes_max = 64}),
              HasSubstr("more than the 64 bytes"));
}

TEST(GgufTest, MalformedValuesAreRefused) {
  const auto with = [](const GgufBytes& value) { return sound().raw("x", value.text()).build(); };
  const auto type = [](uint32_t number) { return GgufBytes().number(number); };
  EXPECT_THAT(refusal(with(type(13))), HasSubstr("x: unknown type 13"));
  EXPECT_THAT(refusal(with(type(9).number<uint32_t>(9).number<uint64_t>(0))), HasSubstr("array of arrays"));
  EXPECT_THAT(refusal(with(type(7).number<uint8_t>(2))), HasSubstr("a boolean of value 2"));
  EXPECT_THAT(refusal(with(type(8).number<uint64_t>(UINT64_MAX))), HasSubstr("a string of"));
  EXPECT_THAT(refusal(sound().number<uint8_t>("", 1).build()), HasSubstr("'' is no name for a key"));
  EXPECT_THAT(refusal(sound().number<uint8_t>("a\n", 1).build()), HasSubstr("no name for a key"));
  EXPECT_THAT(refusal(sound().number<uint8_t>("gemma4.block_count", 1).build()),
              HasSubstr("key 'gemma4.block_count' is there twice"));
}

TEST(GgufTest, MalformedTensorsAreRefused) {
  const auto with = [](GgufTensorSpec tensor) { return sound().tensor(std::move(tensor)).build(); };
  EXPECT_THAT(refusal(with({"a", {1}, kF32})), HasSubstr("tensor 'a' is there twice"));
  EXPECT_THAT(refusal(with({"", {1}, kF32})), HasSubstr("no name for a tensor"));
  EXPECT_THAT(refusal(with({"x\x1b", {1}, kF32})), HasSubstr("no name for a tensor"));
  EXPECT_THAT(refusal(with({std::string(513, 'x'), {1}, kF32})), HasSubstr("a string of 513 bytes"));
  EXPECT_THAT(refusal(with({"x", {1, 1, 1, 1, 1}, kF32})), HasSubstr("tensor 'x': 5 dimensions"));
  EXPECT_THAT(refusal(with({"x", {0, 1}, kF32})), HasSubstr("dimension 1 is 0"));
  EXPECT_THAT(refusal(with({"x", {-1}, kF32})), HasSubstr("dimension 0 is 18446744073709551615"));
  EXPECT_THAT(refusal(with({"x", {int64_t{1} << 40, int64_t{1} << 40}, kF32})), HasSubstr("too large"));
  EXPECT_THAT(refusal(with({"x", {INT64_MAX}, kF32})), HasSubstr("too large"));
  EXPECT_THAT(refusal(with({"x", {4, 33}, kQ4_0})), HasSubstr("no whole blocks of 32"));
  EXPECT_THAT(refusal(with({"x", {256, 1}, kQ6K})), HasSubstr("no whole blocks of 256"));
  EXPECT_THAT(refusal(with({"x", {int64_t{1} << 60}, kBf16, ""})), HasSubstr("are missing at the end"));
}

TEST(GgufTest, OtherTypesOfTensorsAreNamed) {
  for (const auto& [number, name] :
       {std::pair(39U, "MXFP4"), std::pair(40U, "NVFP4"), std::pair(10U, "Q2_K"), std::pair(23U, "IQ4_XS")}) {
    EXPECT_THAT(refusal(sound().tensor({"x", {256}, number, ""}).build(), ErrorCode::kUnsupported),
                AllOf(HasSubstr("tensor 'x': type "), HasSubstr(name), HasSubstr("not supported yet")));
  }
  EXPECT_THAT(refusal(sound().tensor({"x", {256}, 4, ""}).build(), ErrorCode::kUnsupported),
              HasSubstr("type 4, which is unknown"));
}

TEST(GgufTest, TheDataIsCoveredExactlyOnce) {
  const auto with = [](uint64_t offset) {
    // The sound tensors end at byte 128 + 32 + 448 of the data.
    return sound().tensor({"x", {8}, kF32, std::nullopt, offset}).build();
  };
  EXPECT_EQ(parse_gguf(with(608)).tensors.size(), 4U);
  EXPECT_THAT(refusal(with(576)), HasSubstr("'x' starts at byte 576 of the data, inside another tensor"));
  EXPECT_THAT(refusal(with(0)), HasSubstr("inside another tensor"));
  EXPECT_THAT(refusal(with(609)), HasSubstr("no multiple of 32"));
  EXPECT_THAT(refusal(with(640)), HasSubstr("expected 608: what lies between belongs to no tensor"));
  EXPECT_THAT(refusal(with(UINT64_MAX - 31)), HasSubstr("belongs to no tensor"));
  EXPECT_THAT(refusal(sound().build() + std::string(32, '\0')),
              HasSubstr("32 bytes at the end of the file belong to no tensor"));
}

TEST(GgufTest, ReadsFilesAndNamesThemInErrors) {
  TemporaryDirectory directory;
  directory.write("a.gguf", sound().build());
  const File file(directory.path() / "a.gguf");
  for (const TensorRecord& tensor : read_gguf_header(file).tensors) EXPECT_EQ(tensor.range.file, &file);
  directory.write("b.gguf", "GGUF");
  const File damaged(directory.path() / "b.gguf");
  try {
    read_gguf_header(damaged);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("'b.gguf': the file ends inside its header"));
  }
}

// A header of many times what is fetched first.
TEST(GgufTest, LongHeadersAreReadInPieces) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 100'000; ++i) tokens.push_back("token" + std::to_string(i));
  const std::string file =
      sound().strings("tokenizer.ggml.tokens", tokens).number<float>("after", 0.5F).build();
  uint64_t read_bytes = 0;
  const auto read = [&](uint64_t offset, std::span<std::byte> out) {
    ASSERT_LE(offset + out.size(), file.size());
    std::memcpy(out.data(), file.data() + offset, out.size());
    read_bytes += out.size();
  };
  const GgufHeader header = parse_gguf_header(read, file.size(), "metadata");
  EXPECT_EQ(header.metadata.find_strings("tokenizer.ggml.tokens")->at(99'999), "token99999");
  EXPECT_EQ(header.metadata.find_number("after", 0, 1), 0.5);
  EXPECT_LE(read_bytes, file.size());
}

}  // namespace
}  // namespace beryl::checkpoint
