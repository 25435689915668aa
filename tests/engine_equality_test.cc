// Requests of all kinds, many at a time, each the same bits as if it ran alone; and what a chat computes
// again.

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/checkpoint.h"
#include "engine/chat_prompt.h"
#include "engine/engine.h"
#include "engine/generation.h"
#include "engine/model_runner.h"
#include "model/network.h"
#include "text/chat_template.h"
#include "text/template_source.h"
#include "text/tokenizer.h"

namespace beryl {
namespace {

namespace fs = std::filesystem;
using engine::SampleResult;
using Tokens = std::vector<int32_t>;

struct Model {
  Model(const std::string& name, int threads)
      : checkpoint(checkpoint::Checkpoint::open(fs::path(BERYL_SOURCE_DIR) / name)),
        cpu(backend::make_cpu_backend({.threads = threads, .compute = backend::Compute::kBf16})) {
    NoProgress progress;
    network = model::load_network(checkpoint.config(), checkpoint.weights(), *cpu, progress);
  }

  checkpoint::Checkpoint checkpoint;
  std::unique_ptr<backend::Backend> cpu;
  model::Network network;
};

struct Running {
  Running(const Model& model, const engine::EngineOptions& options)
      : runner(model.network, *model.cpu, options), engine(runner, options) {}

  engine::NetworkRunner runner;
  engine::Engine engine;
};

engine::TimePoint soon() {
  return std::chrono::steady_clock::now() + std::chrono::minutes(5);
}

// Everything that a request said: tokens and the bits of their log-probabilities.
struct Answer {
  std::map<int32_t, Tokens> tokens;  // by sample
  std::map<int32_t, std::vector<double>> logprobs;
  std::vector<double> prompt_logprobs;
  bool operator==(const Answer&) const = default;
};

class Recorder final : public engine::RequestListener {
 public:
  explicit Recorder(int32_t samples) : left_(samples) {}
  void on_prompt_token(int64_t, const engine::Sample& token) override {
    answer.prompt_logprobs.push_back(token.logprob.value());
  }
  bool on_token(int32_t sample, const engine::Sample& token) override {
    answer.logprobs[sample].push_back(token.logprob.value());
    return true;
  }
  void on_finish(const SampleResult& result) override {
    answer.tokens[result.sample] = result.tokens;
    if (result.error) failed = true;
    if (--left_ == 0) done.set_value();
  }

  Answer answer;
  bool failed = false;
  std::promise<void> done;

 private:
  int32_t left_;
};

// Prompts that share beginnings, sampled in all ways.
std::vector<engine::Request> make_requests(size_t count, int64_t length_max, int64_t vocabulary,
                                           uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](int64_t bound) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(bound));
  };
  std::vector<engine::Request> requests(count);
  for (engine::Request& request : requests) {
    std::mt19937_64 family(static_cast<uint64_t>(below(4)));
    const int64_t length = 1 + below(length_max);
    const int64_t shared = below(length + 1);
    for (int64_t i = 0; i < length; ++i) {
      const uint64_t number = i < shared ? family() : random();
      request.prompt.push_back(static_cast<int32_t>(number % static_cast<uint64_t>(vocabulary)));
    }
    request.sampling.temperature = below(3) == 0 ? 0.0F : 1.0F;
    request.sampling.top_k = below(2) == 0 ? 20 : 0;
    request.sampling.seed = random();
    request.sampling.top_logprobs = 0;
    request.new_tokens_max = 1 + below(12);
    if (below(8) == 0) request.samples = 2;
    if (below(8) == 0) request.prompt_logprobs = 0;
    if (below(4) == 0) request.snapshot_positions = {1 + below(length)};
    if (below(5) == 0) request.uses_prefix_cache = false;
  }
  return requests;
}

Answer ask_alone(Running& running, engine::Request request) {
  const auto recorder = std::make_shared<Recorder>(request.samples);
  request.uses_prefix_cache = false;
  request.listener = recorder;
  running.engine.submit(request);
  EXPECT_EQ(recorder->done.get_future().wait_until(soon()), std::future_status::ready);
  return recorder->answer;
}

class EngineEqualityTest : public testing::TestWithParam<std::string> {};

TEST_P(EngineEqualityTest, MixedRequestsAreWhatTheyAreAlone) {
  constexpr int64_t kLengthMax = 90;
  const Model alone(GetParam(), 1);
  const int64_t vocabulary = alone.network.config.vocabulary_size;
  const engine::EngineOptions roomy = {.context_max = 128,
                                       .sequences_max = 2,
                                       .sliding_pages = 200,
                                       .full_pages = 200,
                                       .has_prefix_cache = false,
                                       .chunk_tokens = 256};
  std::vector<engine::Request> requests = make_requests(125, kLengthMax, vocabulary, 11);
  std::vector<Answer> expected;
  Running solo(alone, roomy);
  for (const engine::Request& request : requests) expected.push_back(ask_alone(solo, request));

  struct Setting {
    int threads;
    int64_t chunk, page, pages;
    bool has_prefix_cache;
  };
  // The last two have so few pages that streams are preempted.
  uint64_t preemptions = 0;
  uint64_t hits = 0;
  for (const Setting& setting : {Setting{2, 64, 16, 400, true}, Setting{1, 512, 4, 400, false},
                                 Setting{3, 7, 1, 150, true}, Setting{2, 1, 1, 130, true}}) {
    SCOPED_TRACE("chunks of " + std::to_string(setting.chunk));
    const Model model(GetParam(), setting.threads);
    Running running(model, {.context_max = 128,
                            .sequences_max = 6,
                            .tokens_per_page = setting.page,
                            .sliding_pages = setting.pages,
                            .full_pages = setting.pages,
                            .prefix_sliding_pages = setting.pages / 2,
                            .has_prefix_cache = setting.has_prefix_cache,
                            .snapshot_interval = 32,
                            .chunk_tokens = setting.chunk});
    std::vector<std::shared_ptr<Recorder>> recorders;
    std::mt19937_64 random(5);
    for (engine::Request request : requests) {
      recorders.push_back(std::make_shared<Recorder>(request.samples));
      request.listener = recorders.back();
      running.engine.submit(std::move(request));
      if (random() % 8 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 4));
    }
    for (size_t i = 0; i < recorders.size(); ++i) {
      ASSERT_EQ(recorders[i]->done.get_future().wait_until(soon()), std::future_status::ready);
      EXPECT_FALSE(recorders[i]->failed);
      EXPECT_EQ(recorders[i]->answer, expected[i]) << "request " << i;
    }
    ASSERT_TRUE(running.engine.wait_until_idle(soon()));
    preemptions += running.engine.stats().preemptions;
    hits += running.engine.stats().prefix_hits;
  }
  EXPECT_GT(preemptions, 0U);
  EXPECT_GT(hits, 0U);
}

INSTANTIATE_TEST_SUITE_P(Models, EngineEqualityTest,
                         testing::Values("models/demo", "testdata/checkpoints/moe-ct-fp8-dynamic",
                                         "testdata/checkpoints/ple-bf16", "testdata/checkpoints/dense-bf16"));

// ---- Chats ----

struct Chat {
  text::Conversation conversation;
  text::ChatOptions options;
  Tokens last_prompt;
  int64_t last_answer_tokens = 0;
};

int64_t token_count(const text::Tokenizer& tokenizer, const std::string& text) {
  return static_cast<int64_t>(tokenizer.encode(text, text::SpecialTokens::kAsText).size());
}

class TenTurnsTest : public testing::TestWithParam<bool> {};

// Each turn computes the previous answer, the new message and a few tokens of template.
TEST_P(TenTurnsTest, OnlyWhatIsNewIsComputed) {
  const Model model("models/demo", 2);
  const fs::path directory = fs::path(BERYL_SOURCE_DIR) / "models/demo";
  const text::Tokenizer tokenizer = text::load_tokenizer(directory / "tokenizer.json");
  const text::ChatTemplate chat_template(text::load_template_source(directory).text, "chat_template.jinja");
  Running running(model, {.context_max = 10'000,
                          .sequences_max = 1,
                          .sliding_pages = 2'000,
                          .full_pages = 2'000,
                          .prefix_sliding_pages = 1'000});
  text::Conversation conversation;
  text::ChatOptions options;
  options.enables_thinking = GetParam();
  int64_t length = 0;
  std::string last_answer;
  for (int turn = 0; turn < 10; ++turn) {
    std::string question = "Question " + std::to_string(turn) + ":";
    while (token_count(tokenizer, question) < 765) question += " how many apples are left?";
    conversation.messages.push_back({.role = text::Role::kUser, .content = question});
    const engine::ChatPrompt prompt =
        engine::make_chat_prompt(tokenizer, chat_template, conversation, options);
    const auto next_turn =
        engine::find_next_turn(prompt.tokens, tokenizer, chat_template, conversation, options);
    ASSERT_TRUE(next_turn.has_value());
    const SampleResult result = engine::generate(
        running.engine, prompt.tokens,
        {.sampling = {.temperature = 0}, .new_tokens_max = 40, .snapshot_positions = {*next_turn}},
        [](int32_t) { return true; });
    length = static_cast<int64_t>(prompt.tokens.size()) + 40;
    if (turn > 0) {
      const int64_t is_new = token_count(tokenizer, question) + token_count(tokenizer, last_answer);
      EXPECT_LE(result.prompt_tokens, is_new + 16) << "turn " << turn;
      EXPECT_GE(result.prompt_tokens, is_new - 2) << "turn " << turn;  // the counting is right
    }
    last_answer = tokenizer.decode(result.tokens, text::SpecialOutput::kSkip);
    conversation.messages.push_back({.role = text::Role::kAssistant, .content = last_answer});
    if (turn % 4 != 3) continue;
    // The same bits as without any memory.
    const SampleResult fresh = [&] {
      Running forgetful(model, {.context_max = 10'000,
                                .sequences_max = 1,
                                .sliding_pages = 1'000,
                                .full_pages = 1'000,
                                .has_prefix_cache = false});
      return engine::generate(forgetful.engine, prompt.tokens,
                              {.sampling = {.temperature = 0}, .new_tokens_max = 4},
                              [](int32_t) { return true; });
    }();
    EXPECT_TRUE(std::equal(fresh.tokens.begin(), fresh.tokens.end(), result.tokens.begin()));
  }
  EXPECT_GT(length, 8'000);
}

INSTANTIATE_TEST_SUITE_P(Thinking, TenTurnsTest, testing::Bool());

// ---- Cancels ----

TEST(EngineCancelsTest, EveryPageComesBackWithinAStep) {
  const Model model("testdata/checkpoints/moe-bf16", 1);
  Running running(model, {.context_max = 128,
                          .sequences_max = 4,
                          .tokens_per_page = 4,
                          .sliding_pages = 300,
                          .full_pages = 300,
                          .has_prefix_cache = false,
                          .chunk_tokens = 16,
                          .queue_requests_max = 20'000});
  std::vector<engine::Request> requests = make_requests(500, 40, model.network.config.vocabulary_size, 3);
  std::mt19937_64 random(7);
  uint64_t cancelled = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::shared_ptr<Recorder>> recorders;
    for (engine::Request request : requests) {
      request.samples = 1;
      recorders.push_back(std::make_shared<Recorder>(1));
      request.listener = recorders.back();
      const engine::RequestId id = running.engine.submit(std::move(request));
      if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
      running.engine.cancel(id - random() % 2);
      running.engine.cancel(id);
    }
    for (const auto& recorder : recorders) {
      ASSERT_EQ(recorder->done.get_future().wait_until(soon()), std::future_status::ready);
    }
    ASSERT_TRUE(running.engine.wait_until_idle(soon()));
    const engine::EngineStats stats = running.engine.stats();
    EXPECT_EQ(stats.full_pages_used, 0);
    EXPECT_EQ(stats.sliding_pages_used, 0);
    cancelled = stats.finished[static_cast<size_t>(engine::FinishReason::kCancelled)];
  }
  EXPECT_GT(cancelled, 5'000U);
}

}  // namespace
}  // namespace beryl
