#include "cli/run_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <random>
#include <vector>

#include "base/error.h"
#include "cli/interrupt.h"
#include "engine/generation.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace beryl::cli {
namespace {

constexpr int kExitInterrupted = 130;

text::Tokenizer load_model_tokenizer(const checkpoint::Checkpoint& checkpoint) {
  text::Tokenizer tokenizer = text::load_tokenizer(checkpoint.directory() / "tokenizer.json");
  if (tokenizer.vocabulary_size() > checkpoint.config().vocabulary_size) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("tokenizer.json has {} tokens, the model's vocabulary {}",
                            tokenizer.vocabulary_size(), checkpoint.config().vocabulary_size),
                "tokenizer.json belongs to another model; take the one that was published with the weights");
  }
  return tokenizer;
}

std::vector<int32_t> encode_prompt(const text::Tokenizer& tokenizer, const std::string& prompt) {
  std::vector<int32_t> ids = tokenizer.encode(prompt, text::SpecialTokens::kRecognise);
  const auto bos = tokenizer.find_special("<bos>");
  if (bos && (ids.empty() || ids.front() != *bos)) {
    fmt::print(stderr, "warning: the text does not begin with <bos>; Gemma 4 answers badly without it\n");
  }
  return ids;
}

engine::GenerationOptions generation_options(const RunOptions& options,
                                             const checkpoint::GenerationConfig& config, uint64_t seed) {
  engine::GenerationOptions generation;
  generation.sampling.temperature = static_cast<float>(options.temperature.value_or(0));
  generation.sampling.seed = seed;
  for (const int64_t id : config.suppress_tokens) {
    generation.sampling.suppressed_tokens.push_back(static_cast<int32_t>(id));
  }
  generation.new_tokens_max = options.new_tokens_max;
  for (const int64_t id : config.eos_token_ids) generation.end_tokens.push_back(static_cast<int32_t>(id));
  generation.should_cancel = is_interrupted;
  return generation;
}

nlohmann::json to_json(const engine::GenerationResult& result, const std::string& text, uint64_t seed) {
  const auto answer_tokens = static_cast<double>(result.tokens.size());
  return {{"text", text},
          {"finish_reason", engine::finish_reason_name(result.finish_reason)},
          {"seed", seed},
          {"usage", {{"prompt_tokens", result.prompt_tokens}, {"completion_tokens", result.tokens.size()}}},
          {"timings",
           {{"prompt_seconds", result.prompt_seconds},
            {"decode_seconds", result.decode_seconds},
            {"tokens_per_second", result.decode_seconds > 0 ? answer_tokens / result.decode_seconds : 0}}}};
}

}  // namespace

void add_run_options(CLI::App& command, RunOptions& options) {
  add_model_options(command, options.model);
  command.add_option("--raw", options.raw, "Continue this text as it stands; special tokens are recognised")
      ->required();
  command.add_option("--max-tokens", options.new_tokens_max, "Most tokens to generate")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str()
      ->envname("BERYL_MAX_TOKENS");
  command.add_option("--ctx", options.context, "Room for prompt and answer, in tokens")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->envname("BERYL_CTX");
  command.add_option("--temperature", options.temperature, "Sample with this temperature (default: greedy)")
      ->check(CLI::Range(0.0, 2.0))
      ->envname("BERYL_TEMPERATURE");
  command.add_option("--seed", options.seed, "Seed of the sampler (default: random, shown with --json)")
      ->envname("BERYL_SEED");
  command.add_flag("--json", options.json, "Print one JSON object instead of streaming text");
}

int run_run(const RunOptions& options, std::ostream& out) {
  checkpoint::Checkpoint checkpoint = open_checkpoint(options.model);
  const text::Tokenizer tokenizer = load_model_tokenizer(checkpoint);
  const std::vector<int32_t> prompt = encode_prompt(tokenizer, options.raw);
  const int64_t needed = static_cast<int64_t>(prompt.size()) + options.new_tokens_max;
  const int64_t room = options.context.value_or(std::min(
      needed, std::max(checkpoint.config().position_count_max, static_cast<int64_t>(prompt.size()))));
  const LoadedModel model = load_model(options.model, std::move(checkpoint), room);
  engine::Sequence sequence(model.network, *model.backend, {.tokens_max = room});

  const uint64_t seed = options.seed.value_or(std::random_device{}());
  std::string text;
  text::StreamDecoder decoder(tokenizer, text::SpecialOutput::kKeep);
  const auto show = [&](std::string_view piece) {
    text += piece;
    if (!options.json) out << piece << std::flush;
  };
  const engine::GenerationResult result = engine::generate(
      sequence, prompt, generation_options(options, model.checkpoint.generation(), seed), [&](int32_t token) {
        show(decoder.push(token));
        return true;
      });
  show(decoder.flush());
  if (options.json) {
    out << to_json(result, text, seed).dump(2) << '\n';
  } else {
    out << '\n';
  }
  return result.finish_reason == engine::FinishReason::kCancelled ? kExitInterrupted : 0;
}

}  // namespace beryl::cli
