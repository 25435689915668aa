#include "cli/raw_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <vector>

#include "cli/constraint_options.h"
#include "cli/interrupt.h"
#include "engine/grammar_constraint.h"
#include "engine/model_text.h"
#include "text/stop_matcher.h"
#include "text/stream_decoder.h"

namespace beryl::cli {
namespace {

std::vector<int32_t> encode_prompt(const text::Tokenizer& tokenizer, const std::string& prompt) {
  std::vector<int32_t> ids = tokenizer.encode(prompt, text::SpecialTokens::kRecognise);
  const auto bos = tokenizer.find_special("<bos>");
  if (bos && (ids.empty() || ids.front() != *bos)) {
    fmt::print(stderr, "warning: the text does not begin with <bos>; Gemma 4 continues badly without it\n");
  }
  return ids;
}

engine::GenerationOptions generation_options(const RawOptions& options, const LoadedModel& model) {
  const checkpoint::GenerationConfig& config = model.checkpoint.generation();
  SamplingOptions sampling = options.chat.sampling;
  if (!sampling.temperature) sampling.temperature = 0.0F;
  return {.sampling = make_sampling(sampling, config, model.checkpoint.config().vocabulary_size),
          .new_tokens_max = sampling.new_tokens_max,
          .end_tokens = config.eos_token_ids,
          .should_cancel = is_interrupted};
}

// Room for the prompt and as much of the answer as may come.
int64_t room_for(const RawOptions& options, const checkpoint::ModelConfig& config, size_t prompt_tokens) {
  const auto prompt = static_cast<int64_t>(prompt_tokens);
  const int64_t wanted = prompt + options.chat.sampling.new_tokens_max;
  return options.chat.context.value_or(std::min(wanted, std::max(config.position_count_max, prompt + 1)));
}

}  // namespace

engine::FinishReason run_raw(const RawOptions& options, std::ostream& out) {
  if (!options.chat.system.empty()) {
    fmt::print(stderr, "warning: a text that is continued has no system message; it was left out\n");
  }
  checkpoint::Checkpoint checkpoint = open_checkpoint(options.chat.model);
  const text::Tokenizer tokenizer = engine::load_model_tokenizer(checkpoint);
  const std::vector<int32_t> prompt = encode_prompt(tokenizer, options.text);
  const auto grammar =
      compile_constraint(options.chat.constraint, tokenizer, checkpoint.generation().eos_token_ids);
  const int64_t room = std::max<int64_t>(1, room_for(options, checkpoint.config(), prompt.size()));
  RunningModel running(load_model(options.chat.model, std::move(checkpoint), {.context = room}));
  engine::GenerationOptions generation = generation_options(options, running.model);
  if (grammar) {
    generation.make_constraint = engine::make_grammar_constraints(grammar, engine::GrammarStart::kAtOnce);
  }
  if (options.chat.model.verbose) fmt::print(stderr, "sampling: {}\n", describe(generation.sampling));

  std::string text;
  const auto show = [&](std::string_view piece) {
    text += piece;
    if (!options.json) out << piece << std::flush;
  };
  text::StreamDecoder decoder(tokenizer, text::SpecialOutput::kKeep);
  text::StopMatcher stops(options.chat.sampling.stops, text::StopText::kHide);
  const engine::SampleResult result =
      engine::generate(running.engine, prompt, generation, [&](int32_t token) {
        show(stops.push(decoder.push(token)));
        return !stops.matched();
      });
  show(stops.push(decoder.flush()));
  show(stops.flush());
  if (options.json) {
    const nlohmann::ordered_json json = {{"text", text},
                                         {"finish_reason", engine::finish_reason_name(result.finish_reason)},
                                         {"seed", generation.sampling.seed},
                                         {"usage", usage_json(result)},
                                         {"timings", timings_json(result)}};
    out << json.dump(2) << '\n';
  } else {
    out << '\n';
  }
  if (grammar && result.finish_reason == engine::FinishReason::kLength) warn_cut_answer();
  return result.finish_reason;
}

nlohmann::ordered_json usage_json(const engine::SampleResult& result) {
  return {{"prompt_tokens", result.prompt_tokens + result.cached_tokens},
          {"cached_tokens", result.cached_tokens},
          {"completion_tokens", result.tokens.size()}};
}

nlohmann::ordered_json timings_json(const engine::SampleResult& result) {
  return {{"prompt_seconds", result.prompt_seconds},
          {"decode_seconds", result.decode_seconds},
          {"tokens_per_second", result.tokens_per_second()}};
}

}  // namespace beryl::cli
