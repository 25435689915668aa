#include "checkpoint/shard_index.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "checkpoint/limits.h"

namespace beryl::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(std::string_view text) {
  try {
    parse_shard_index(text, "index.json");
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("index.json: "));
    return error.message();
  }
  return "";
}

std::string index_of(std::string_view shard) {
  return fmt::format(R"({{"weight_map":{{"a.weight":"{}"}}}})", shard);
}

TEST(ShardIndex, MapsTensorsToSortedFiles) {
  const ShardIndex index = parse_shard_index(
      R"({"metadata":{"total_size":-1},"weight_map":{"a":"y.safetensors","b":"x.safetensors","c":"y.safetensors"}})",
      "index.json");
  EXPECT_THAT(index.shards, ElementsAre("x.safetensors", "y.safetensors"));
  EXPECT_EQ(index.shard_of.at("a"), 1U);
  EXPECT_EQ(index.shard_of.at("b"), 0U);
  EXPECT_EQ(index.tensor_count(0), 1U);
  EXPECT_EQ(index.tensor_count(1), 2U);
}

TEST(ShardIndex, NeedsAMapOfStrings) {
  for (const char* text :
       {"{}", "[]", "null", R"({"weight_map":null})", R"({"weight_map":[]})", R"({"weight_map":{}})"}) {
    EXPECT_THAT(refusal(text), HasSubstr("no 'weight_map' object")) << text;
  }
  EXPECT_THAT(refusal(R"({"weight_map":{"a":1}})"), HasSubstr("the file of tensor 'a' is not a string"));
  EXPECT_THAT(refusal(R"({"weight_map":{"a":"x.safetensors","a":"y.safetensors"}})"),
              HasSubstr("key 'a' appears twice"));
  EXPECT_THAT(refusal(R"({"weight_map":)"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(index_of("x.safetensors") + std::string("\0{}", 3)), HasSubstr("a NUL"));
}

TEST(ShardIndex, TakesPlainFileNamesOnly) {
  for (const char* name :
       {"", "/etc/passwd.safetensors", "../x.safetensors", "a/b.safetensors", "..", ".", "x..safetensors",
        ".hidden.safetensors", R"(a\\b.safetensors)", R"(a\u0000.safetensors)", R"(a\u001b.safetensors)"}) {
    EXPECT_THAT(refusal(index_of(name)), HasSubstr("is not a plain file name")) << name;
  }
  EXPECT_THAT(refusal(index_of(std::string(250, 'n') + ".safetensors")),
              HasSubstr("is not a plain file name"));
  EXPECT_EQ(refusal(index_of(std::string(243, 'n') + ".safetensors")), "");
}

TEST(ShardIndex, TakesSafetensorsOnly) {
  EXPECT_THAT(refusal(index_of("pytorch_model-00001-of-00002.bin")), HasSubstr("is a pickle"));
  EXPECT_THAT(refusal(index_of("config.json")), HasSubstr("'config.json' is not a .safetensors file"));
}

TEST(ShardIndex, BoundsTheNumberOfShards) {
  const auto index_with = [](size_t count) {
    std::string text = R"({"weight_map":{)";
    for (size_t i = 0; i < count; ++i) text += fmt::format(R"("t{0}":"s{0}.safetensors",)", i);
    text.back() = '}';
    return text + "}";
  };
  EXPECT_EQ(refusal(index_with(kShardsMax)), "");
  EXPECT_THAT(refusal(index_with(kShardsMax + 1)), HasSubstr("more than 1024 shards"));
}

}  // namespace
}  // namespace beryl::checkpoint
