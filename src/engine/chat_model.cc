#include "engine/chat_model.h"

#include <utility>

#include "engine/answer_reader.h"

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

ChatModel::ChatModel(Sequence& sequence, const text::Tokenizer& tokenizer,
                     const text::ChatTemplate& chat_template, std::vector<int32_t> end_tokens)
    : sequence_(sequence),
      tokenizer_(tokenizer),
      template_(chat_template),
      end_tokens_(std::move(end_tokens)) {}

ChatAnswer ChatModel::answer(const ChatRequest& request,
                             const std::function<void(const text::OutputDelta&)>& on_delta) {
  const text::ChatPrompt prompt = template_.render(request.conversation, request.template_options);
  const std::vector<int32_t> ids =
      tokenizer_.encode_marked(prompt.rendered.text, prompt.rendered.template_spans);
  AnswerReader reader(
      tokenizer_,
      {.stops = request.stops,
       .start = prompt.opens_reasoning ? text::OutputStart::kReasoning : text::OutputStart::kContent},
      on_delta);
  ChatAnswer answer;
  answer.generation = generate(sequence_, ids,
                               {.sampling = request.sampling,
                                .new_tokens_max = request.new_tokens_max,
                                .end_tokens = end_tokens_,
                                .should_cancel = request.should_cancel},
                               [&](int32_t token) { return reader.push(token); });
  answer.finish_reason = answer.generation.finish_reason;
  answer.output = reader.finish(answer.finish_reason == FinishReason::kLength ? text::OutputEnd::kLength
                                                                              : text::OutputEnd::kStopped);
  return answer;
}

}  // namespace beryl::engine
