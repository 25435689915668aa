#include "checkpoint/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

GenerationConfig parse(std::string_view text) {
  return parse_generation_config(parse_json(text, "g.json"), 512, "g.json");
}

std::string refusal(std::string_view text) {
  try {
    parse(text);
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("g.json: "));
    return error.message();
  }
  return "";
}

void expect_defaults(const GenerationConfig& config) {
  EXPECT_THAT(config.eos_token_ids, ElementsAre(1, 50, 106));
  EXPECT_EQ(config.bos_token_id, std::nullopt);
  EXPECT_EQ(config.pad_token_id, std::nullopt);
  EXPECT_TRUE(config.do_sample);
  EXPECT_EQ(config.temperature, 1.0F);
  EXPECT_EQ(config.top_k, 64);
  EXPECT_EQ(config.top_p, 0.95F);
  EXPECT_EQ(config.min_p, 0.0F);
  EXPECT_EQ(config.repetition_penalty, 1.0F);
  EXPECT_THAT(config.suppress_tokens, IsEmpty());
}

TEST(GenerationConfig, ReadsEveryField) {
  const GenerationConfig config = parse(R"({
      "eos_token_id": [106, 1, 106], "bos_token_id": 2, "pad_token_id": 0, "do_sample": false,
      "temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.05, "repetition_penalty": 1.1,
      "suppress_tokens": [505, 501], "transformers_version": "5.0", "_from_model_config": true})");
  EXPECT_THAT(config.eos_token_ids, ElementsAre(1, 106));
  EXPECT_EQ(config.bos_token_id, 2);
  EXPECT_EQ(config.pad_token_id, 0);
  EXPECT_FALSE(config.do_sample);
  EXPECT_EQ(config.temperature, 0.7F);
  EXPECT_EQ(config.top_k, 20);
  EXPECT_EQ(config.top_p, 0.8F);
  EXPECT_EQ(config.min_p, 0.05F);
  EXPECT_EQ(config.repetition_penalty, 1.1F);
  EXPECT_THAT(config.suppress_tokens, ElementsAre(501, 505));
}

TEST(GenerationConfig, AbsentAndNullFieldsKeepTheDefaults) {
  expect_defaults(parse("{}"));
  expect_defaults(parse(R"({"eos_token_id":null,"bos_token_id":null,"pad_token_id":null,"do_sample":null,
      "temperature":null,"top_k":null,"top_p":null,"min_p":null,"repetition_penalty":null,"suppress_tokens":null})"));
}

TEST(GenerationConfig, EosIsANumberOrAList) {
  EXPECT_THAT(parse(R"({"eos_token_id":1})").eos_token_ids, ElementsAre(1));
  EXPECT_THAT(parse(R"({"eos_token_id":[7]})").eos_token_ids, ElementsAre(7));
  EXPECT_THAT(parse(R"({"eos_token_id":[]})").eos_token_ids, ElementsAre(1, 50, 106));
}

TEST(GenerationConfig, TokensMustBeInTheVocabulary) {
  EXPECT_EQ(refusal(R"({"eos_token_id":511,"bos_token_id":511,"suppress_tokens":[511]})"), "");
  EXPECT_THAT(refusal(R"({"eos_token_id":512})"),
              AllOf(HasSubstr("eos_token_id is 512"), HasSubstr("from 0 to 511")));
  EXPECT_THAT(refusal(R"({"eos_token_id":[1,512]})"),
              AllOf(HasSubstr("eos_token_id is [1,512]"), HasSubstr("511")));
  EXPECT_THAT(refusal(R"({"eos_token_id":[1,-1]})"), HasSubstr("eos_token_id is [1,-1]"));
  EXPECT_THAT(refusal(R"({"eos_token_id":[1.0]})"), HasSubstr("eos_token_id is [1.0]"));
  EXPECT_THAT(refusal(R"({"eos_token_id":"<eos>"})"), HasSubstr("eos_token_id is \"<eos>\""));
  EXPECT_THAT(refusal(R"({"eos_token_id":[null]})"), HasSubstr("eos_token_id is [null]"));
  EXPECT_THAT(refusal(R"({"bos_token_id":-1})"), HasSubstr("bos_token_id is -1"));
  EXPECT_THAT(refusal(R"({"pad_token_id":18446744073709551615})"),
              HasSubstr("pad_token_id is 18446744073709551615"));
  EXPECT_THAT(refusal(R"({"suppress_tokens":[4294967297]})"), HasSubstr("suppress_tokens is [4294967297]"));
  EXPECT_THAT(refusal(R"({"suppress_tokens":{}})"), HasSubstr("suppress_tokens is {}"));
}

TEST(GenerationConfig, AnEmptyVocabularyHasNoTokens) {
  EXPECT_THROW(parse_generation_config(parse_json(R"({"eos_token_id":[0]})", "g"), 0, "g"), Error);
  EXPECT_THROW(parse_generation_config(parse_json(R"({"bos_token_id":0})", "g"), 0, "g"), Error);
}

TEST(GenerationConfig, NumbersHaveRanges) {
  EXPECT_EQ(refusal(R"({"temperature":0,"top_k":0,"top_p":0,"min_p":0,"repetition_penalty":0.01})"), "");
  EXPECT_EQ(refusal(R"({"temperature":2,"top_k":2147483647,"top_p":1,"min_p":1,"repetition_penalty":2})"),
            "");
  EXPECT_THAT(refusal(R"({"temperature":2.01})"),
              AllOf(HasSubstr("temperature is 2.01"), HasSubstr("from 0 to 2")));
  EXPECT_THAT(refusal(R"({"temperature":-0.1})"), HasSubstr("temperature is -0.1"));
  EXPECT_THAT(refusal(R"({"temperature":"1"})"), HasSubstr("temperature is \"1\""));
  EXPECT_THAT(refusal(R"({"top_k":-1})"), HasSubstr("top_k is -1"));
  EXPECT_THAT(refusal(R"({"top_k":64.5})"), HasSubstr("top_k is 64.5"));
  EXPECT_THAT(refusal(R"({"top_k":2147483648})"), HasSubstr("top_k is 2147483648"));
  EXPECT_THAT(refusal(R"({"top_p":1.01})"), HasSubstr("top_p is 1.01"));
  EXPECT_THAT(refusal(R"({"min_p":-1})"), HasSubstr("min_p is -1"));
  EXPECT_THAT(refusal(R"({"repetition_penalty":0})"), HasSubstr("repetition_penalty is 0"));
  EXPECT_THAT(refusal(R"({"do_sample":1})"), HasSubstr("do_sample is 1"));
  EXPECT_THAT(refusal("[]"), HasSubstr("expected an object"));
}

TEST(GenerationConfig, ADirectoryWithoutTheFileHasTheDefaults) {
  const TemporaryDirectory directory;
  expect_defaults(load_generation_config(directory.path(), 512));
}

TEST(GenerationConfig, ABrokenFileIsNamed) {
  const TemporaryDirectory directory;
  const fs::path path = directory.write("generation_config.json", "{");
  const auto message = [&]() -> std::string {
    try {
      load_generation_config(directory.path(), 512);
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  };
  EXPECT_THAT(message(), AllOf(HasSubstr("generation_config.json"), HasSubstr("not valid JSON")));
  directory.write("generation_config.json", std::string((1 << 20) + 1, ' '));
  EXPECT_THAT(message(), AllOf(HasSubstr("generation_config.json"), HasSubstr("at most 1048576")));
  fs::remove(path);
  fs::create_symlink("../../blobs/absent", path);
  EXPECT_THAT(message(), HasSubstr("generation_config.json"));
}

TEST(GenerationConfig, PublishedFilesLoad) {
  const fs::path checkpoints = fs::path(BERYL_SOURCE_DIR) / "testdata/checkpoints";
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    const GenerationConfig config = load_generation_config(entry.path(), 512);
    EXPECT_THAT(config.eos_token_ids, ElementsAre(1, 50, 106)) << entry.path();
    EXPECT_EQ(config.bos_token_id, 2);
    EXPECT_EQ(config.top_k, 64);
  }
  EXPECT_THAT(load_generation_config(checkpoints / "unified-bf16", 512).suppress_tokens,
              ElementsAre(501, 505));
}

}  // namespace
}  // namespace beryl::checkpoint
