// With the tokenizer of the demo model.
#include "engine/answer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"

namespace beryl::engine {
namespace {

using text::OutputDelta;
using text::OutputEnd;

const std::filesystem::path kTokenizer =
    std::filesystem::path(BERYL_SOURCE_DIR) / "models" / "demo" / "tokenizer.json";

class AnswerReaderTest : public testing::Test {
 protected:
  AnswerReader make_reader(AnswerReaderOptions options = {}) {
    return {tokenizer, std::move(options), [this](const OutputDelta& delta) { deltas.push_back(delta); }};
  }
  // Special tokens are spelt out. The number of tokens taken.
  size_t push(AnswerReader& reader, const std::string& text) {
    size_t taken = 0;
    for (const int32_t token : tokenizer.encode(text, text::SpecialTokens::kRecognise)) {
      ++taken;
      if (!reader.push(token)) break;
    }
    return taken;
  }
  std::string text_of(OutputDelta::Kind kind) const {
    std::string text;
    for (const OutputDelta& delta : deltas) {
      if (delta.kind == kind) text += delta.text;
    }
    return text;
  }

  text::Tokenizer tokenizer = text::load_tokenizer(kTokenizer);
  std::vector<OutputDelta> deltas;
};

TEST_F(AnswerReaderTest, ReportsEachPartWhileTokensCome) {
  AnswerReader reader = make_reader();
  push(reader, "<|channel>thought\nIt is 4.<channel|>4");
  EXPECT_EQ(text_of(OutputDelta::Kind::kReasoning), "It is 4.");
  EXPECT_EQ(text_of(OutputDelta::Kind::kContent), "4");
  const text::ParsedOutput output = reader.finish(OutputEnd::kStopped);
  EXPECT_EQ(output.reasoning, "It is 4.");
  EXPECT_EQ(output.content, "4");
  EXPECT_FALSE(reader.matched_stop());
}

TEST_F(AnswerReaderTest, StartsInsideOfAThought) {
  AnswerReader reader = make_reader({.start = text::OutputStart::kReasoning});
  push(reader, "So 84.<channel|>84");
  EXPECT_EQ(text_of(OutputDelta::Kind::kReasoning), "So 84.");
  EXPECT_EQ(text_of(OutputDelta::Kind::kContent), "84");
}

TEST_F(AnswerReaderTest, TellsWhichStopStringEndedTheAnswer) {
  AnswerReader reader = make_reader({.stops = {"never", "! How"}});
  const size_t taken = push(reader, "Hello! How can I");
  EXPECT_LT(taken, tokenizer.encode("Hello! How can I", text::SpecialTokens::kAsText).size());
  EXPECT_EQ(reader.matched_stop(), 1U);
  EXPECT_EQ(reader.finish(OutputEnd::kStopped).content, "Hello");
}

TEST_F(AnswerReaderTest, ShowsTheStopStringWhenAsked) {
  AnswerReader reader = make_reader({.stops = {"! Ho"}, .stop_text = text::StopText::kShow});
  push(reader, "Hello! How can I");
  EXPECT_EQ(reader.finish(OutputEnd::kStopped).content, "Hello! Ho");
}

TEST_F(AnswerReaderTest, AStopStringMayStandInAThought) {
  AnswerReader reader = make_reader({.stops = {"is"}});
  push(reader, "<|channel>thought\nIt is 4.<channel|>4");
  EXPECT_EQ(reader.matched_stop(), 0U);
  EXPECT_EQ(text_of(OutputDelta::Kind::kReasoning), "It ");
  EXPECT_EQ(text_of(OutputDelta::Kind::kContent), "");
}

TEST_F(AnswerReaderTest, SearchesNoneOfTheFirstTokens) {
  const std::string text = "is, is, is";
  const auto tokens = static_cast<int64_t>(tokenizer.encode("is,", text::SpecialTokens::kAsText).size());
  AnswerReader reader = make_reader({.stops = {"is"}, .unsearched_tokens = tokens});
  push(reader, text);
  EXPECT_EQ(reader.finish(OutputEnd::kStopped).content, "is, ");
  EXPECT_THROW(make_reader({.stops = {""}, .unsearched_tokens = 5}), Error);
}

TEST_F(AnswerReaderTest, GivesOutAtTheEndWhatItHeldBack) {
  AnswerReader reader = make_reader({.stops = {"! How are"}});
  push(reader, "Hello! How");
  EXPECT_EQ(text_of(OutputDelta::Kind::kContent), "Hello");
  EXPECT_EQ(reader.finish(OutputEnd::kLength).content, "Hello! How");
  EXPECT_EQ(text_of(OutputDelta::Kind::kContent), "Hello! How");
}

TEST_F(AnswerReaderTest, TokensWithoutMeaningLeaveNoTrace) {
  AnswerReader reader = make_reader();
  push(reader, "a<pad>b");
  EXPECT_EQ(reader.finish(OutputEnd::kStopped).content, "ab");
}

TEST_F(AnswerReaderTest, RefusesTokensOutsideOfTheVocabulary) {
  AnswerReader reader = make_reader();
  EXPECT_THROW(reader.push(tokenizer.vocabulary_size()), Error);
  EXPECT_THROW(make_reader({.stops = {""}}), Error);
}

}  // namespace
}  // namespace beryl::engine
