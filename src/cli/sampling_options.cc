#include "cli/sampling_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <random>

#include "engine/chat_model.h"

namespace beryl::cli {
namespace {

uint64_t draw_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

template <typename T>
void override_with(const std::optional<T>& flag, T& value) {
  if (flag) value = *flag;
}

}  // namespace

void add_sampling_options(CLI::App& command, SamplingOptions& options) {
  const std::string group = "Sampling (defaults: the model's generation_config.json)";
  const auto add = [&](const char* flag, auto& value, const char* text, const char* variable) {
    command.add_option(flag, value, text)->envname(variable)->group(group);
  };
  add("--temperature", options.temperature, "0 (always the most likely token) to 2", "BERYL_TEMPERATURE");
  add("--top-k", options.top_k, "Keep the k most likely tokens; 0: all", "BERYL_TOP_K");
  add("--top-p", options.top_p, "Keep the most likely tokens that together reach p", "BERYL_TOP_P");
  add("--min-p", options.min_p, "Drop tokens less likely than p times the most likely one", "BERYL_MIN_P");
  add("--repetition-penalty", options.repetition_penalty, "Above 1 against repetition",
      "BERYL_REPETITION_PENALTY");
  add("--presence-penalty", options.presence_penalty, "-2 to 2", "BERYL_PRESENCE_PENALTY");
  add("--frequency-penalty", options.frequency_penalty, "-2 to 2", "BERYL_FREQUENCY_PENALTY");
  add("--seed", options.seed, "Same seed, same answer; drawn when absent and reported", "BERYL_SEED");
  command.add_option("--stop", options.stops, "Text that ends the answer; may be repeated")
      ->allow_extra_args(false)  // else it would take the prompt, too
      ->group(group);
  command.add_option("--max-tokens", options.new_tokens_max, "Most tokens of an answer")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str()
      ->envname("BERYL_MAX_TOKENS")
      ->group(group);
}

engine::SamplingParams make_sampling(const SamplingOptions& options,
                                     const checkpoint::GenerationConfig& config, int64_t vocabulary_size) {
  engine::SamplingParams params = engine::default_sampling(config);
  override_with(options.temperature, params.temperature);
  override_with(options.top_k, params.top_k);
  override_with(options.top_p, params.top_p);
  override_with(options.min_p, params.min_p);
  override_with(options.repetition_penalty, params.repetition_penalty);
  override_with(options.presence_penalty, params.presence_penalty);
  override_with(options.frequency_penalty, params.frequency_penalty);
  params.seed = options.seed ? *options.seed : draw_seed();
  engine::validate(params, static_cast<int32_t>(vocabulary_size));
  return params;
}

std::string describe(const engine::SamplingParams& params) {
  std::string text =
      params.temperature == 0 ? std::string("greedy") : fmt::format("temperature {}", params.temperature);
  if (params.temperature != 0) {
    if (params.top_k > 0) text += fmt::format(", top-k {}", params.top_k);
    if (params.top_p < 1) text += fmt::format(", top-p {}", params.top_p);
    if (params.min_p > 0) text += fmt::format(", min-p {}", params.min_p);
  }
  if (params.repetition_penalty != 1)
    text += fmt::format(", repetition penalty {}", params.repetition_penalty);
  if (params.presence_penalty != 0) text += fmt::format(", presence penalty {}", params.presence_penalty);
  if (params.frequency_penalty != 0) text += fmt::format(", frequency penalty {}", params.frequency_penalty);
  if (!params.suppressed_tokens.empty()) {
    text += fmt::format(", suppressed tokens {}", fmt::join(params.suppressed_tokens, " "));
  }
  return text + fmt::format(", seed {}", params.seed);
}

}  // namespace beryl::cli
