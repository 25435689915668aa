#include "eval/golden_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/generation.h"
#include "engine/logit_scan.h"
#include "engine/logprobs.h"
#include "engine/model_runner.h"
#include "engine/sequence.h"
#include "eval/divergence.h"

namespace beryl::eval {
namespace {

double difference_max(std::span<const float> a, std::span<const float> b) {
  double difference = 0;
  for (size_t i = 0; i < a.size(); ++i)
    difference = std::max(difference, std::abs(double{a[i]} - double{b[i]}));
  return difference;
}

// The most likely token (the lower id among equals) and its distance to the next.
struct Greedy {
  int32_t token;
  double margin;
};

Greedy greedy_of(std::span<const float> logits) {
  const auto best = std::max_element(logits.begin(), logits.end());
  float second = -std::numeric_limits<float>::infinity();
  for (auto it = logits.begin(); it != logits.end(); ++it) {
    if (it != best) second = std::max(second, *it);
  }
  return {static_cast<int32_t>(best - logits.begin()), double{*best} - double{second}};
}

// Passes everything on to another observer and remembers the streams.
class HiddenRecorder final : public model::Observer {
 public:
  explicit HiddenRecorder(model::Observer* next) : next_(next) {}

  void on_hidden(int64_t index, const std::vector<float>& values) override {
    const auto i = static_cast<size_t>(index);
    if (hidden.size() <= i) hidden.resize(i + 1);
    hidden[i].insert(hidden[i].end(), values.begin(), values.end());  // chunk after chunk
    if (next_ != nullptr) next_->on_hidden(index, values);
  }
  void on_experts(int64_t layer, const std::vector<int32_t>& experts) override {
    if (next_ != nullptr) next_->on_experts(layer, experts);
  }
  std::span<const int32_t> forced_experts(int64_t layer) override {
    return next_ != nullptr ? next_->forced_experts(layer) : std::span<const int32_t>();
  }

  std::vector<std::vector<float>> hidden;  // [L + 1][T, D]

 private:
  model::Observer* next_;
};

// All logits of a text, row after row.
class RowCollector final : public engine::RequestListener {
 public:
  void on_logits(int32_t /*sample*/, int64_t /*position*/, std::span<const float> row) override {
    logits.insert(logits.end(), row.begin(), row.end());
  }
  bool on_token(int32_t /*sample*/, const engine::Sample& /*token*/) override { return true; }
  void on_finish(const engine::SampleResult& /*result*/) override {}

  std::vector<float> logits;  // [T, V]
};

class GoldenCheck {
 public:
  GoldenCheck(const model::Network& network, backend::Backend& backend, const GoldenFile& golden,
              const GoldenOptions& options)
      : network_(network), backend_(backend), golden_(golden), options_(options) {}

  GoldenResult run() {
    double kl_sum = 0;
    int64_t positions = 0;
    for (size_t i = 0; i < golden_.prompts.size(); ++i) {
      const PromptResult prompt = with_context(fmt::format("prompt {}", i), [&] { return run_prompt(i); });
      kl_sum += prompt.kl_mean * static_cast<double>(prompt.positions);
      positions += prompt.positions;
      result_.logit_difference_max = std::max(result_.logit_difference_max, prompt.logit_difference_max);
      result_.greedy_tokens += prompt.greedy_tokens;
      result_.greedy_equal += prompt.greedy_equal;
      result_.greedy_wrong += prompt.greedy_wrong;
      result_.prompts.push_back(prompt);
    }
    result_.kl_mean = kl_sum / static_cast<double>(positions);
    const GoldenBounds& bounds = options_.bounds;
    result_.passed =
        result_.greedy_wrong == 0 && !result_.hidden_difference &&
        (!bounds.logit_difference_max || result_.logit_difference_max <= *bounds.logit_difference_max) &&
        (!bounds.kl_mean_max || result_.kl_mean <= *bounds.kl_mean_max);
    return std::move(result_);
  }

 private:
  PromptResult run_prompt(size_t index) {
    const GoldenPrompt& prompt = golden_.prompts[index];
    const auto vocabulary = static_cast<size_t>(network_.config.vocabulary_size);
    if (prompt.logits.size() != prompt.input_ids.size() * vocabulary) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("the golden file has {} logits a token, the model's vocabulary has {}",
                              prompt.logits.size() / prompt.input_ids.size(), vocabulary),
                  "the golden file belongs to another model");
    }
    HiddenRecorder recorder(index < options_.observers.size() ? options_.observers[index] : nullptr);
    const bool is_observed = index < options_.observers.size();
    const std::vector<float> logits = is_observed ? run_alone(prompt, recorder) : run_on_engine(prompt);
    if (options_.hidden_tolerance) {
      if (!is_observed) run_alone(prompt, recorder);
      compare_hidden(index, recorder);
    }

    PromptResult result;
    result.positions = static_cast<int64_t>(prompt.input_ids.size());
    const auto of_prompt = std::span(logits).first(prompt.logits.size());
    result.logit_difference_max = difference_max(of_prompt, prompt.logits);
    for (size_t at = 0; at < of_prompt.size(); at += vocabulary) {
      const double kl =
          kl_divergence(std::span(prompt.logits).subspan(at, vocabulary), of_prompt.subspan(at, vocabulary));
      result.kl_mean += kl / static_cast<double>(prompt.input_ids.size());
      result.kl_max = std::max(result.kl_max, kl);
    }
    result.logprobs = find_logprobs(prompt, logits);
    compare_greedy(prompt, std::span(logits).subspan(of_prompt.size() - vocabulary), result);
    return result;
  }

  // The logits of every token of the prompt and of all greedy ones but the last, [T + S - 1, V].
  std::vector<float> run_on_engine(const GoldenPrompt& prompt) const {
    std::vector<int32_t> tokens = teacher_forced(prompt);
    const auto length = static_cast<int64_t>(tokens.size());
    const int64_t pages = length / options_.tokens_per_page + 2;
    const engine::EngineOptions options = {.context_max = length,
                                           .sequences_max = 1,
                                           .tokens_per_page = options_.tokens_per_page,
                                           .sliding_pages = pages,
                                           .full_pages = pages,
                                           .has_prefix_cache = false,
                                           .chunk_tokens = options_.chunk_tokens,
                                           .prompt_rows_max = options_.chunk_tokens};
    engine::NetworkRunner runner(network_, backend_, options);
    engine::Engine engine(runner, options);
    RowCollector rows;
    engine::run_request(engine, {.prompt = std::move(tokens), .every_prompt_row = true, .listener = nullptr},
                        rows, {});
    return std::move(rows.logits);
  }

  // The same, with an observer of the prompt's pass.
  std::vector<float> run_alone(const GoldenPrompt& prompt, model::Observer& observer) const {
    const std::vector<int32_t> tokens = teacher_forced(prompt);
    engine::Sequence sequence(network_, backend_,
                              {.tokens_max = static_cast<int64_t>(tokens.size()),
                               .tokens_per_page = options_.tokens_per_page,
                               .chunk_tokens = options_.chunk_tokens});
    const auto of_prompt = sequence.append(prompt.input_ids, engine::LogitRows::kAll, &observer);
    std::vector<float> logits(of_prompt.begin(), of_prompt.end());
    const auto rest = std::span(tokens).subspan(prompt.input_ids.size());
    if (rest.empty()) return logits;
    const auto of_rest = sequence.append(rest, engine::LogitRows::kAll);
    logits.insert(logits.end(), of_rest.begin(), of_rest.end());
    return logits;
  }

  static std::vector<int32_t> teacher_forced(const GoldenPrompt& prompt) {
    std::vector<int32_t> tokens = prompt.input_ids;
    if (!prompt.greedy.empty()) tokens.insert(tokens.end(), prompt.greedy.begin(), prompt.greedy.end() - 1);
    return tokens;
  }

  // `logits` [T + S - 1, V]; the last row of a prompt without an answer has no token to speak of.
  std::vector<double> find_logprobs(const GoldenPrompt& prompt, std::span<const float> logits) const {
    const auto vocabulary = static_cast<size_t>(network_.config.vocabulary_size);
    std::vector<int32_t> tokens = prompt.input_ids;
    tokens.insert(tokens.end(), prompt.greedy.begin(), prompt.greedy.end());
    std::vector<double> logprobs;
    engine::LogitScan scan;
    for (size_t i = 1; i < tokens.size(); ++i) {
      scan.scan(logits.subspan((i - 1) * vocabulary, vocabulary));
      logprobs.push_back(engine::Logprobs(scan).of(tokens[i]));
    }
    return logprobs;
  }

  // `logits` [S, V], from which the greedy tokens were chosen.
  void compare_greedy(const GoldenPrompt& prompt, std::span<const float> logits, PromptResult& result) const {
    const auto vocabulary = static_cast<size_t>(network_.config.vocabulary_size);
    for (size_t step = 0; step < prompt.greedy.size(); ++step) {
      const Greedy ours = greedy_of(logits.subspan(step * vocabulary, vocabulary));
      ++result.greedy_tokens;
      const bool is_equal = ours.token == prompt.greedy[step];
      if (is_equal) {
        ++result.greedy_equal;
        result.margin_difference_max = std::max(result.margin_difference_max,
                                                std::abs(ours.margin - double{prompt.greedy_margin[step]}));
      } else if (options_.bounds.margin_min && prompt.greedy_margin[step] > *options_.bounds.margin_min) {
        ++result.greedy_wrong;
      }
    }
  }

  void compare_hidden(size_t index, const HiddenRecorder& recorder) {
    const GoldenPrompt& prompt = golden_.prompts[index];
    for (size_t i = 0; i < prompt.hidden.size() && !result_.hidden_difference; ++i) {
      if (i >= recorder.hidden.size() || recorder.hidden[i].size() != prompt.hidden[i].size()) {
        throw Error(ErrorCode::kInvalidInput, fmt::format("golden stream hidden{} has another shape", i),
                    "the golden file belongs to another model");
      }
      const double difference = difference_max(recorder.hidden[i], prompt.hidden[i]);
      if (difference > *options_.hidden_tolerance) {
        result_.hidden_difference = {.prompt = index, .hidden = i, .difference_max = difference};
      }
    }
  }

  const model::Network& network_;
  backend::Backend& backend_;
  const GoldenFile& golden_;
  const GoldenOptions& options_;
  GoldenResult result_;
};

}  // namespace

GoldenBounds default_bounds(backend::Compute compute, const checkpoint::ModelConfig& config) {
  if (compute == backend::Compute::kF32) return {.logit_difference_max = 5e-4, .margin_min = 0.002};
  return {.kl_mean_max = config.is_moe() ? 0.15 : 5e-3};
}

GoldenResult check_golden(const model::Network& network, backend::Backend& backend, const GoldenFile& golden,
                          const GoldenOptions& options) {
  return GoldenCheck(network, backend, golden, options).run();
}

}  // namespace beryl::eval
