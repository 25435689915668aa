#include "server/openai_logprobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "server/api_for_tests.h"

namespace beryl::server {
namespace {

class OpenaiLogprobsTest : public testing::Test {
 protected:
  int32_t token(const std::string& text) const { return setup.encode(text).at(0); }

  ApiForTests setup;
  TokenNames names{setup.tokenizer, false};
};

TEST_F(OpenaiLogprobsTest, NamesTokensAsTheyAreDecoded) {
  EXPECT_EQ(names.name(token("a")), "a");
  EXPECT_EQ(names.name(token("<turn|>")), "<turn|>");
  EXPECT_EQ(names.name(setup.tokenizer.find_token("<0xE2>").value()), "\\xe2");
  EXPECT_EQ(names.bytes(setup.tokenizer.find_token("<0xE2>").value()), "\xe2");
  EXPECT_EQ(names.name(setup.tokenizer.find_token("<0x46>").value()), "F");
  const int32_t unknown = setup.tokenizer.vocabulary_size();
  EXPECT_EQ(names.name(unknown), "token_id:" + std::to_string(unknown));
  EXPECT_EQ(names.bytes(unknown), "");
  EXPECT_EQ(TokenNames(setup.tokenizer, true).name(5), "token_id:5");
}

TEST_F(OpenaiLogprobsTest, TheTokenItselfIsAmongTheAlternatives) {
  LegacyLogprobs logprobs(names, 1);
  const int32_t a = token("a"), b = token("b");
  logprobs.add({.token = b, .logprob = -3, .top_logprobs = {{a, -0.1}, {b, -3}}}, 7);
  EXPECT_EQ(
      logprobs.take().dump(),
      R"({"tokens":["b"],"token_logprobs":[-3.0],"top_logprobs":[{"a":-0.1,"b":-3.0}],"text_offset":[7]})");
  EXPECT_EQ(logprobs.take()["tokens"].size(), 0U);
}

TEST_F(OpenaiLogprobsTest, HasNoInfinity) {
  const double infinity = -std::numeric_limits<double>::infinity();
  const int32_t a = token("a");
  LegacyLogprobs logprobs(names, 1);
  logprobs.add({.token = a, .logprob = infinity, .top_logprobs = {{a, infinity}}}, 0);
  const Json json = logprobs.take();
  EXPECT_EQ(json["token_logprobs"][0], -9999.0);
  EXPECT_EQ(json["top_logprobs"][0]["a"], -9999.0);
  EXPECT_EQ(chat_logprob({.token = a, .logprob = infinity}, names)["logprob"], -9999.0);
}

// Clients sum these numbers and compare them with those of other programs.
TEST_F(OpenaiLogprobsTest, NumbersKeepTheirBits) {
  const double value = -std::sqrt(2.0) / 3;
  const Json json = chat_logprob({.token = token("a"), .logprob = value}, names);
  EXPECT_EQ(Json::parse(json.dump())["logprob"].get<double>(), value);
}

TEST_F(OpenaiLogprobsTest, OfPromptsRanksAreKnownForTheBest) {
  const int32_t a = token("a"), b = token("b");
  const engine::Sample samples[] = {{.token = b, .logprob = -3, .top_logprobs = {{a, -0.1}}}};
  const Json json = prompt_logprobs_json(samples, 1, names);
  EXPECT_TRUE(json[0].is_null());
  EXPECT_EQ(json[1].at(std::to_string(a)), Json({{"logprob", -0.1}, {"rank", 1}, {"decoded_token", "a"}}));
  EXPECT_EQ(json[1].at(std::to_string(b)),
            Json({{"logprob", -3.0}, {"rank", nullptr}, {"decoded_token", "b"}}));
}

}  // namespace
}  // namespace beryl::server
