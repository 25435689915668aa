#include "engine/grammar_constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine_core.h"
#include "engine/fake_runner_for_tests.h"
#include "text/grammar/grammar_cache.h"

namespace beryl::engine {
namespace {

using testing::HasSubstr;
using text::grammar::ChoiceConstraint;
using text::grammar::RegexConstraint;
using Tokens = std::vector<int32_t>;

const text::Tokenizer& tokenizer() {
  static const text::Tokenizer kTokenizer =
      text::load_tokenizer(BERYL_SOURCE_DIR "/models/demo/tokenizer.json");
  return kTokenizer;
}

int32_t token(std::string_view text) {
  return tokenizer().find_token(text).value();
}

std::shared_ptr<text::grammar::CompiledGrammar> compile(const text::grammar::OutputConstraint& constraint) {
  text::grammar::GrammarLimits limits;
  limits.compile_time_max = std::chrono::minutes(1);  // machines that run tests are busy
  static text::grammar::GrammarCache kCache(
      make_output_vocabulary(tokenizer(), {token("<eos>"), token("<turn|>")}), limits);
  return kCache.compile(constraint);
}

// More logits than the tokenizer has tokens.
int64_t padded_size() {
  return tokenizer().vocabulary_size() + 70;
}

class Listener final : public RequestListener {
 public:
  bool on_token(int32_t, const Sample&) override { return true; }
  void on_finish(const SampleResult& result) override { results[result.sample] = result; }

  std::string text(int32_t sample = 0) const {
    return tokenizer().decode(results.at(sample).tokens, text::SpecialOutput::kKeep);
  }
  std::string error() const {
    try {
      if (results.at(0).error) std::rethrow_exception(results.at(0).error);
    } catch (const Error& error) {
      return error.message();
    }
    return "none";
  }

  std::map<int32_t, SampleResult> results;
};

class GrammarConstraintTest : public testing::Test {
 protected:
  Request request(const std::shared_ptr<Listener>& listener, ConstraintFactory make_constraint,
                  uint64_t seed = 1) const {
    Request request = {.prompt = {5, 6, 7, 8},
                       .end_tokens = {token("<eos>"), token("<turn|>")},
                       .new_tokens_max = 40,
                       .make_constraint = std::move(make_constraint),
                       .listener = listener};
    request.sampling.temperature = 2;
    request.sampling.top_k = 0;
    request.sampling.top_p = 1;
    request.sampling.seed = seed;
    return request;
  }
  void add(Request request) { core.add({.id = next_id++, .request = std::move(request)}); }
  void run() {
    while (core.has_work()) core.step([](RequestId) { return false; });
  }
  std::shared_ptr<Listener> answer(ConstraintFactory make_constraint, uint64_t seed = 1) {
    auto listener = std::make_shared<Listener>();
    add(request(listener, std::move(make_constraint), seed));
    run();
    return listener;
  }

  FakeShape shape{.vocabulary_size = padded_size(), .window = 8, .tokens_per_page = 4};
  FakeRunner runner{shape};
  EngineCore core{runner,
                  {.context_max = 100,
                   .sequences_max = 4,
                   .tokens_per_page = 4,
                   .sliding_pages = 64,
                   .full_pages = 64,
                   .chunk_tokens = 16},
                  [] { return TimePoint(); }};
  RequestId next_id = 1;
};

TEST_F(GrammarConstraintTest, AnswersFollowTheirGrammarAndEndWhereItEnds) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto made = answer(
        make_grammar_constraints(compile(RegexConstraint{"[ab]{3}-\\d{2}"}), GrammarStart::kAtOnce), seed);
    EXPECT_THAT(made->text(), testing::MatchesRegex("[ab][ab][ab]-[0-9][0-9]"));
    EXPECT_EQ(made->results.at(0).finish_reason, FinishReason::kStop);
    EXPECT_TRUE(made->results.at(0).end_token.has_value());
  }
}

TEST_F(GrammarConstraintTest, EverySampleHasAConstraintOfItsOwn) {
  const auto listener = std::make_shared<Listener>();
  Request several =
      request(listener, make_grammar_constraints(compile(RegexConstraint{"[ab]{9}"}), GrammarStart::kAtOnce));
  several.samples = 3;
  add(several);
  run();
  for (const int32_t sample : {0, 1, 2}) {
    EXPECT_THAT(listener->text(sample), testing::MatchesRegex("[ab]+"));
    EXPECT_EQ(listener->text(sample).size(), 9U);
  }
  EXPECT_NE(listener->text(1), listener->text(2));
}

TEST_F(GrammarConstraintTest, LimitsCutAnAnswer) {
  const auto listener = std::make_shared<Listener>();
  Request brief = request(
      listener, make_grammar_constraints(compile(RegexConstraint{"[ab]{90}"}), GrammarStart::kAtOnce));
  brief.new_tokens_max = 5;
  add(brief);
  run();
  EXPECT_EQ(listener->results.at(0).finish_reason, FinishReason::kLength);
  EXPECT_EQ(listener->results.at(0).tokens.size(), 5U);
  EXPECT_THAT(listener->text(), testing::MatchesRegex("[ab]+"));
}

TEST_F(GrammarConstraintTest, LeavesNeighboursAloneAndIsDeterministic) {
  const auto factory =
      make_grammar_constraints(compile(RegexConstraint{"[a-z ]{5,30}"}), GrammarStart::kAtOnce);
  const auto free_alone = answer({});
  const auto bound_alone = answer(factory);
  const auto free_mixed = std::make_shared<Listener>();
  const auto bound_mixed = std::make_shared<Listener>();
  add(request(bound_mixed, factory));
  add(request(free_mixed, {}));
  run();
  EXPECT_EQ(free_mixed->results.at(0).tokens, free_alone->results.at(0).tokens);
  EXPECT_EQ(bound_mixed->results.at(0).tokens, bound_alone->results.at(0).tokens);
}

TEST_F(GrammarConstraintTest, KeepsTheProbabilitiesOfWhatIsAllowed) {
  const auto factory = make_grammar_constraints(compile(RegexConstraint{"[a-d]"}), GrammarStart::kAtOnce);
  std::vector<float> logits(static_cast<size_t>(padded_size()));
  FakeRunner::predict(Tokens{5, 6, 7, 8}, shape.window, logits);
  std::map<std::string, double> expected;
  double total = 0;
  for (int32_t id = 0; id < tokenizer().vocabulary_size(); ++id) {
    const std::string letter = tokenizer().decode(Tokens{id}, text::SpecialOutput::kKeep);
    if (letter.size() != 1 || letter[0] < 'a' || letter[0] > 'd') continue;
    const double weight = std::exp(static_cast<double>(logits[static_cast<size_t>(id)]) / 2);
    expected[letter] += weight;
    total += weight;
  }
  ASSERT_EQ(expected.size(), 4U);
  constexpr int kDraws = 2000;
  std::map<std::string, int> counts;
  for (uint64_t seed = 0; seed < kDraws; ++seed) ++counts[answer(factory, seed)->text()];
  EXPECT_LE(counts.size(), 4U);
  for (const auto& [letter, weight] : expected) {
    const double share = weight / total;
    const double deviation = std::sqrt(share * (1 - share) / kDraws);
    EXPECT_NEAR(counts[letter] / double{kDraws}, share, 4.5 * deviation) << letter;
  }
}

TEST_F(GrammarConstraintTest, BeginsBehindAThought) {
  const auto grammar = compile(ChoiceConstraint{{"yes"}});
  const auto made = make_grammar_constraints(grammar, GrammarStart::kAfterThought)(padded_size());
  EXPECT_TRUE(made->mask().allows(token("<|channel>")));
  EXPECT_TRUE(made->mask().allows(token("y")));
  EXPECT_FALSE(made->mask().allows(token("n")));
  EXPECT_FALSE(made->push(token("n")));
  ASSERT_TRUE(made->push(token("<|channel>")));
  EXPECT_TRUE(made->push(token("n")));
  for (const std::string_view refused : {"<turn|>", "<eos>", "<|tool_call>"}) {
    EXPECT_FALSE(made->push(token(refused))) << refused;
    EXPECT_FALSE(made->mask().allows(token(refused))) << refused;
  }
  const auto beyond = static_cast<int32_t>(padded_size() - 1);
  EXPECT_FALSE(made->push(beyond));
  EXPECT_FALSE(made->mask().allows(beyond));
  EXPECT_TRUE(made->mask().allows(token("n")));
  ASSERT_TRUE(made->push(token("<channel|>")));
  EXPECT_FALSE(made->push(token("n")));
  EXPECT_FALSE(made->push(token("<|channel>")));
  EXPECT_FALSE(made->push(token("<turn|>")));
  EXPECT_FALSE(made->mask().allows(beyond));
  for (const int32_t next : tokenizer().encode("yes", text::SpecialTokens::kAsText))
    EXPECT_TRUE(made->push(next));
  EXPECT_FALSE(made->push(token("s")));
  EXPECT_TRUE(made->push(token("<turn|>")));
}

TEST_F(GrammarConstraintTest, BeginsWhereTheThoughtDoesNotOpenOrIsOpenAlready) {
  const auto grammar = compile(ChoiceConstraint{{"yes"}});
  const auto direct = make_grammar_constraints(grammar, GrammarStart::kAfterThought)(padded_size());
  EXPECT_TRUE(direct->push(token("y")));
  EXPECT_FALSE(direct->push(token("<|channel>")));
  const auto inside = make_grammar_constraints(grammar, GrammarStart::kInsideThought)(padded_size());
  EXPECT_TRUE(inside->push(token("n")));
  EXPECT_TRUE(inside->push(token("<channel|>")));
  EXPECT_FALSE(inside->push(token("n")));
  EXPECT_EQ(find_grammar_start(text::OutputStart::kContent, false), GrammarStart::kAtOnce);
  EXPECT_EQ(find_grammar_start(text::OutputStart::kContent, true), GrammarStart::kAfterThought);
  EXPECT_EQ(find_grammar_start(text::OutputStart::kReasoning, true), GrammarStart::kInsideThought);
}

TEST_F(GrammarConstraintTest, WaitsForAToolCall) {
  const auto grammar = compile(ChoiceConstraint{{"yes"}});
  const auto made = make_grammar_constraints(grammar, GrammarStart::kAfterToolCall)(padded_size());
  EXPECT_TRUE(made->push(token("n")));
  EXPECT_TRUE(made->mask().allows(token("<turn|>")));
  EXPECT_TRUE(made->push(token("<|tool_call>")));
  EXPECT_FALSE(made->push(token("n")));
  EXPECT_FALSE(made->push(token("<turn|>")));
  EXPECT_TRUE(made->push(token("y")));
}

class Faulty final : public TokenConstraint {
 public:
  explicit Faulty(bool throws) : throws_(throws) {}
  bool push(int32_t) override {
    if (throws_) throw Error(ErrorCode::kInvalidInput, "too ambiguous");
    return false;
  }
  const TokenMask& mask() override {
    mask_.allow(3);
    return mask_;
  }

 private:
  bool throws_;
  TokenMask mask_{static_cast<int32_t>(padded_size())};
};

TEST_F(GrammarConstraintTest, AFaultOfAConstraintFailsItsRequestAlone) {
  const auto free_alone = answer({});
  const auto make_faulty = [](bool throws) {
    return [throws](int64_t) { return std::make_unique<Faulty>(throws); };
  };
  const auto free_mixed = std::make_shared<Listener>();
  const auto thrower = std::make_shared<Listener>();
  const auto liar = std::make_shared<Listener>();
  add(request(thrower, make_faulty(true)));
  add(request(free_mixed, {}));
  add(request(liar, make_faulty(false)));
  run();
  EXPECT_EQ(thrower->results.at(0).finish_reason, FinishReason::kFailed);
  EXPECT_THAT(thrower->error(), HasSubstr("too ambiguous"));
  EXPECT_THAT(liar->error(), HasSubstr("token 3"));
  EXPECT_EQ(free_mixed->results.at(0).tokens, free_alone->results.at(0).tokens);
}

TEST_F(GrammarConstraintTest, RefusesALeastLengthAndAVocabularyWithoutAnEnd) {
  Request bound =
      request(nullptr, make_grammar_constraints(compile(ChoiceConstraint{{"yes"}}), GrammarStart::kAtOnce));
  bound.new_tokens_min = 2;
  EXPECT_THROW(validate(bound, {.sliding_pages = 1000, .full_pages = 1000}, 8, padded_size()), Error);
  EXPECT_THROW(make_output_vocabulary(tokenizer(), {}), Error);
  EXPECT_THROW(make_output_vocabulary(tokenizer(), {tokenizer().vocabulary_size()}), Error);
}

}  // namespace
}  // namespace beryl::engine
