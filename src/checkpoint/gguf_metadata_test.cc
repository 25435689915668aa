#include "checkpoint/gguf_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "checkpoint/gguf_builder_for_tests.h"

namespace beryl::checkpoint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

GgufMetadata read(const GgufBuilder& builder) {
  return parse_gguf(builder.build()).metadata;
}

template <typename Read>
std::string refusal(Read read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.message();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

TEST(GgufMetadataTest, IntegersOfEveryWidthAreOne) {
  GgufBuilder builder;
  builder.number<uint8_t>("u8", 200).number<int8_t>("i8", -100).number<uint16_t>("u16", 60'000);
  builder.number<int16_t>("i16", -30'000).number<uint32_t>("u32", 4'000'000'000U).number<int32_t>("i32", -7);
  builder.number<uint64_t>("u64", uint64_t{1} << 40).number<int64_t>("i64", INT64_MIN);
  const GgufMetadata metadata = read(builder);
  const auto find = [&](std::string_view key) { return metadata.find_integer(key, INT64_MIN, INT64_MAX); };
  EXPECT_EQ(find("u8"), 200);
  EXPECT_EQ(find("i8"), -100);
  EXPECT_EQ(find("u16"), 60'000);
  EXPECT_EQ(find("i16"), -30'000);
  EXPECT_EQ(find("u32"), 4'000'000'000);
  EXPECT_EQ(find("i32"), -7);
  EXPECT_EQ(find("u64"), int64_t{1} << 40);
  EXPECT_EQ(find("i64"), INT64_MIN);
  EXPECT_EQ(find("absent"), std::nullopt);
  EXPECT_EQ(metadata.find_number("i8", -200, 0), -100);
}

TEST(GgufMetadataTest, ValuesOutsideTheirRangeAreNamed) {
  GgufBuilder builder;
  builder.number<uint32_t>("n", 8).number<uint64_t>("big", UINT64_MAX).number<float>("x", 1.5F);
  builder.number<float>("nan", std::numeric_limits<float>::quiet_NaN()).string("s", "word\x1b");
  const GgufMetadata metadata = read(builder);
  EXPECT_EQ(metadata.find_integer("n", 8, 8), 8);
  EXPECT_EQ(refusal([&] { metadata.find_integer("n", 1, 7); }),
            "metadata: n is 8, expected an integer from 1 to 7");
  EXPECT_THAT(refusal([&] { metadata.find_integer("n", 9, 10); }), HasSubstr("n is 8"));
  EXPECT_THAT(refusal([&] { metadata.find_integer("big", 0, INT64_MAX); }),
              HasSubstr("big is 18446744073709551615"));
  EXPECT_THAT(refusal([&] { metadata.find_integer("x", 0, 9); }), HasSubstr("x is 1.5, expected an integer"));
  EXPECT_THAT(refusal([&] { metadata.find_number("nan", 0, 9); }), HasSubstr("nan is nan"));
  EXPECT_THAT(refusal([&] { metadata.find_number("s", 0, 9); }), HasSubstr("s is 'word\\x1b'"));
  EXPECT_THAT(refusal([&] { metadata.find_bool("n"); }), HasSubstr("expected true or false"));
  EXPECT_THAT(refusal([&] { metadata.find_string("n"); }), HasSubstr("expected a string"));
  EXPECT_THAT(refusal([&] { metadata.integer("absent", 0, 1); }), HasSubstr("absent is absent"));
}

TEST(GgufMetadataTest, ReadsArrays) {
  GgufBuilder builder;
  builder.numbers<int32_t>("n", {3, -1}).numbers<bool>("b", {true, false, true});
  builder.strings("s", {"", "a b", "\xE2\x96\x81"}).numbers<uint32_t>("none", {});
  const GgufMetadata metadata = read(builder);
  EXPECT_THAT(*metadata.find_integers("n", -1, 3), ElementsAre(3, -1));
  EXPECT_THAT(*metadata.find_bools("b"), ElementsAre(true, false, true));
  EXPECT_THAT(*metadata.find_strings("s"), ElementsAre("", "a b", "\xE2\x96\x81"));
  EXPECT_TRUE(metadata.find_integers("none", 0, 1)->empty());
  EXPECT_EQ(metadata.find_strings("absent"), std::nullopt);
  EXPECT_THAT(
      refusal([&] { metadata.find_integers("n", 0, 3); }),
      HasSubstr("n is an array of 2 values of type int32, expected an array of integers from 0 to 3"));
  EXPECT_THAT(refusal([&] { metadata.find_strings("n"); }), HasSubstr("expected an array of strings"));
  EXPECT_THAT(refusal([&] { metadata.find_bools("n"); }), HasSubstr("expected an array of booleans"));
  EXPECT_THAT(refusal([&] { metadata.find_integer("n", 0, 3); }), HasSubstr("expected an integer"));
}

}  // namespace
}  // namespace beryl::checkpoint
