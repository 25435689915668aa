#include "engine/chat_model.h"

#include <optional>
#include <utility>

#include "base/check.h"
#include "engine/answer_reader.h"
#include "engine/chat_prompt.h"
#include "engine/grammar_constraint.h"

namespace beryl::engine {

SamplingParams default_sampling(const checkpoint::GenerationConfig& config) {
  SamplingParams params;
  params.suppressed_tokens = config.suppress_tokens;
  params.repetition_penalty = static_cast<float>(config.repetition_penalty);
  if (!config.do_sample) {
    params.temperature = 0;
    return params;
  }
  params.temperature = static_cast<float>(config.temperature);
  params.top_k = static_cast<int32_t>(config.top_k);
  params.top_p = static_cast<float>(config.top_p);
  params.min_p = static_cast<float>(config.min_p);
  return params;
}

ChatModel::ChatModel(Engine& engine, const text::Tokenizer& tokenizer,
                     const text::ChatTemplate& chat_template, std::vector<int32_t> end_tokens)
    : engine_(engine), tokenizer_(tokenizer), template_(chat_template), end_tokens_(std::move(end_tokens)) {}

ChatAnswer ChatModel::answer(const ChatRequest& request,
                             const std::function<void(const text::OutputDelta&)>& on_delta) {
  const ChatPrompt prompt =
      make_chat_prompt(tokenizer_, template_, request.conversation, request.template_options);
  const std::optional<int64_t> next_turn =
      find_next_turn(prompt.tokens, tokenizer_, template_, request.conversation, request.template_options);
  AnswerReader reader(tokenizer_, {.stops = request.stops, .start = prompt.output_start}, on_delta);
  BERYL_CHECK(!request.grammar || !request.call_grammar);
  ConstraintFactory make_constraint;
  if (request.call_grammar) {
    make_constraint = make_grammar_constraints(request.call_grammar, GrammarStart::kAfterToolCall);
  } else if (request.grammar) {
    make_constraint = make_grammar_constraints(
        request.grammar, find_grammar_start(prompt.output_start, request.template_options.enables_thinking));
  }
  ChatAnswer answer;
  answer.generation =
      generate(engine_, prompt.tokens,
               {.sampling = request.sampling,
                .new_tokens_max = request.new_tokens_max,
                .end_tokens = end_tokens_,
                .snapshot_positions = next_turn ? std::vector{*next_turn} : std::vector<int64_t>(),
                .make_constraint = std::move(make_constraint),
                .should_cancel = request.should_cancel},
               [&](int32_t token) { return reader.push(token); });
  answer.finish_reason = answer.generation.finish_reason;
  answer.output = reader.finish(answer.finish_reason == FinishReason::kLength ? text::OutputEnd::kLength
                                                                              : text::OutputEnd::kStopped);
  return answer;
}

}  // namespace beryl::engine
