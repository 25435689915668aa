#include "engine/sequence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "engine/scripted_model_for_tests.h"

namespace beryl::engine {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int32_t kVocabulary = 8;

// A row's logits say which token it stands for.
void mark_token(int32_t token, std::span<float> logits) {
  logits[static_cast<size_t>(token)] = 1;
}

class SequenceTest : public testing::Test {
 protected:
  SequenceTest() { model.backend.predict = mark_token; }

  // The tokens that the rows of `logits` stand for.
  static std::vector<int32_t> marked(std::span<const float> logits) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] == 1) tokens.push_back(static_cast<int32_t>(i % kVocabulary));
    }
    return tokens;
  }

  // What append() throws.
  static Error error_of(Sequence& sequence, const std::vector<int32_t>& tokens,
                        LogitRows rows = LogitRows::kLast) {
    try {
      sequence.append(tokens, rows);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no error";
    return {ErrorCode::kUnsupported, "none"};
  }

  ScriptedModel model{kVocabulary};
};

TEST(CacheShapeTest, LastPageMayBePartlyUsed) {
  for (const auto& [tokens, pages] : {std::pair{16, 1}, {17, 2}, {1, 1}}) {
    const backend::CacheShape shape = cache_shape({{}, {}}, {.tokens_max = tokens, .tokens_per_page = 16});
    EXPECT_EQ(shape.layers.size(), 2U);
    EXPECT_EQ(shape.tokens_per_page, 16);
    EXPECT_EQ(shape.sliding_pages, pages) << tokens;
    EXPECT_EQ(shape.full_pages, pages) << tokens;
  }
}

TEST_F(SequenceTest, GivesTheLogitsOfTheLastTokenOrOfAll) {
  Sequence sequence = model.make_sequence({.tokens_max = 16, .chunk_tokens = 3});
  const std::vector<int32_t> tokens = {3, 1, 4, 1, 5, 0, 2, 6};  // two chunks and a part of one
  const auto last = sequence.append(tokens, LogitRows::kLast);
  EXPECT_EQ(last.size(), 8U);
  EXPECT_THAT(marked(last), ElementsAre(6));
  const auto all = sequence.append(tokens, LogitRows::kAll);
  EXPECT_EQ(all.size(), 64U);
  EXPECT_THAT(marked(all), ElementsAreArray(tokens));
  EXPECT_EQ(sequence.length(), 16);
  EXPECT_EQ(sequence.length(), sequence.capacity());
  EXPECT_EQ(model.backend.fed.size(), 16U);
}

TEST_F(SequenceTest, AppendingNothingChangesNothing) {
  Sequence sequence = model.make_sequence({.tokens_max = 4});
  sequence.append(std::vector<int32_t>{1, 2}, LogitRows::kLast);
  EXPECT_THAT(sequence.append({}, LogitRows::kLast), IsEmpty());
  EXPECT_THAT(sequence.append({}, LogitRows::kAll), IsEmpty());
  EXPECT_THAT(sequence.tokens(), ElementsAre(1, 2));
}

TEST_F(SequenceTest, ForgetsTokensBehindALength) {
  Sequence sequence = model.make_sequence({.tokens_max = 4});
  sequence.append(std::vector<int32_t>{1, 2, 3, 4}, LogitRows::kLast);
  sequence.truncate(2);
  EXPECT_THAT(sequence.tokens(), ElementsAre(1, 2));
  EXPECT_EQ(sequence.capacity(), 4);
  sequence.append(std::vector<int32_t>{5, 6}, LogitRows::kLast);
  EXPECT_THAT(sequence.tokens(), ElementsAre(1, 2, 5, 6));
  sequence.truncate(0);
  EXPECT_EQ(sequence.length(), 0);
}

TEST_F(SequenceTest, RefusesTokensOutsideOfTheVocabularyWhole) {
  Sequence sequence = model.make_sequence({.tokens_max = 8, .chunk_tokens = 1});
  for (const int32_t bad : {-1, kVocabulary}) {
    const Error error = error_of(sequence, {1, 2, bad});
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(error.message(), HasSubstr("token id " + std::to_string(bad) + ", expected 0 to 7"));
    EXPECT_EQ(sequence.length(), 0);
  }
  EXPECT_THAT(model.backend.fed, IsEmpty());
}

TEST_F(SequenceTest, RefusesMoreThanItsCapacityWhole) {
  Sequence sequence = model.make_sequence({.tokens_max = 5, .tokens_per_page = 4, .chunk_tokens = 1});
  sequence.append(std::vector<int32_t>{1, 2, 3}, LogitRows::kLast);
  const Error error = error_of(sequence, {4, 5, 6});
  EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(error.message(), HasSubstr("comes to 6 tokens, but there is room for 5"));
  EXPECT_FALSE(error.help().empty());
  EXPECT_THAT(sequence.tokens(), ElementsAre(1, 2, 3));
  sequence.append(std::vector<int32_t>{4, 5}, LogitRows::kLast);
  EXPECT_EQ(sequence.length(), 5);
}

TEST_F(SequenceTest, NamesThePositionOfLogitsThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    model.backend.predict = [&](int32_t token, std::span<float> logits) {
      if (token == 6) logits[kVocabulary - 1] = bad;
    };
    Sequence all = model.make_sequence({.tokens_max = 16, .chunk_tokens = 2});
    all.append(std::vector<int32_t>{1, 2}, LogitRows::kAll);
    const Error of_all = error_of(all, {3, 4, 5, 6, 7}, LogitRows::kAll);
    EXPECT_EQ(of_all.code(), ErrorCode::kNumeric);
    EXPECT_THAT(of_all.message(), HasSubstr("after token 5 of the text are not finite"));

    Sequence last = model.make_sequence({.tokens_max = 16, .chunk_tokens = 2});
    last.append(std::vector<int32_t>{1, 6, 2}, LogitRows::kLast);  // nobody looks at token 1
    const Error of_last = error_of(last, {3, 4, 5, 6});
    EXPECT_EQ(of_last.code(), ErrorCode::kNumeric);
    EXPECT_THAT(of_last.message(), HasSubstr("after token 6 of the text are not finite"));
  }
}

class StreamWatcher final : public model::Observer {
 public:
  void on_hidden(int64_t index, const std::vector<float>& values) override {
    if (index == 0) seen.push_back(values);
  }
  std::vector<std::vector<float>> seen;
};

TEST_F(SequenceTest, ShowsEachChunkToTheObserver) {
  Sequence sequence = model.make_sequence({.tokens_max = 16, .chunk_tokens = 3});
  StreamWatcher watcher;
  sequence.append(std::vector<int32_t>{1, 2, 3, 4, 5}, LogitRows::kAll, &watcher);
  // Without layers, streams 0 and L are the same: each chunk shows twice.
  EXPECT_THAT(watcher.seen,
              ElementsAre(ElementsAre(1, 2, 3), ElementsAre(1, 2, 3), ElementsAre(4, 5), ElementsAre(4, 5)));
}

// What was forgotten leaves nothing behind in the cache, also where a sliding window reaches over the cut.
TEST(SequenceCacheTest, AfterTruncationTheLogitsAreThoseOfAFreshSequence) {
  const auto checkpoint = checkpoint::Checkpoint::open(std::filesystem::path(BERYL_SOURCE_DIR) / "testdata" /
                                                       "checkpoints" / "moe-bf16");
  const auto cpu = backend::make_cpu_backend({.threads = 1});
  NoProgress progress;
  const model::Network network =
      model::load_network(checkpoint.config(), checkpoint.weights(), *cpu, progress);
  std::vector<int32_t> prompt(70), other(40);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>(i * 31 % 500);
  for (size_t i = 0; i < other.size(); ++i) other[i] = static_cast<int32_t>(500 - i * 7 % 490);
  constexpr int64_t kKept = 21;  // within a page
  Sequence reused(network, *cpu, {.tokens_max = 80, .chunk_tokens = 16});
  reused.append(prompt, LogitRows::kLast);
  reused.truncate(kKept);
  const auto logits = reused.append(other, LogitRows::kAll);

  Sequence fresh(network, *cpu, {.tokens_max = 80, .chunk_tokens = 16});
  fresh.append(std::span(prompt).first(kKept), LogitRows::kLast);
  const auto expected = fresh.append(other, LogitRows::kAll);
  EXPECT_TRUE(std::equal(logits.begin(), logits.end(), expected.begin(), expected.end()));

  // The tokens that are kept do matter.
  Sequence shorter(network, *cpu, {.tokens_max = 80, .chunk_tokens = 16});
  const auto without = shorter.append(other, LogitRows::kAll);
  EXPECT_FALSE(std::equal(logits.begin(), logits.end(), without.begin(), without.end()));
}

}  // namespace
}  // namespace beryl::engine
