#include "engine/chat_model.h"

#include <optional>
#include <utility>

#include "text/stop_matcher.h"
#include "text/stream_decoder.h"

namespace beryl::engine {
namespace {

// From tokens to deltas: decodes, looks for stop strings, parses.
class AnswerReader {
 public:
  AnswerReader(const text::Tokenizer& tokenizer, const std::vector<std::string>& stops,
               text::OutputStart start, const std::function<void(const text::OutputDelta&)>& on_delta)
      : tokenizer_(tokenizer),
        decoder_(tokenizer, text::SpecialOutput::kSkip),
        stop_strings_(stops),
        stops_(stops, text::StopText::kHide),
        parser_(start),
        on_delta_(on_delta) {}

  // False: a stop string is complete.
  bool push(int32_t token) {
    if (!tokenizer_.is_special(token)) {
      push_text(decoder_.push(token));
      return !stops_.matched();
    }
    const auto marker = text::find_output_marker(tokenizer_.token_text(token));
    if (!marker) return true;  // <pad> and the like say nothing
    // A stop string does not reach over a marker: the search starts anew behind it.
    push_text(decoder_.flush());
    report(parser_.push_text(stops_.flush()));
    if (stops_.matched()) return false;
    stops_ = text::StopMatcher(stop_strings_, text::StopText::kHide);
    report(parser_.push_marker(*marker));
    return true;
  }

  text::ParsedOutput finish(text::OutputEnd end) {
    push_text(decoder_.flush());
    report(parser_.push_text(stops_.flush()));
    report(parser_.finish(end));
    return parser_.output();
  }

 private:
  void push_text(std::string_view piece) {
    if (!piece.empty()) report(parser_.push_text(stops_.push(piece)));
  }

  void report(const std::vector<text::OutputDelta>& deltas) const {
    for (const text::OutputDelta& delta : deltas) on_delta_(delta);
  }

  const text::Tokenizer& tokenizer_;
  text::StreamDecoder decoder_;
  const std::vector<std::string>& stop_strings_;
  text::StopMatcher stops_;
  text::OutputParser parser_;
  const std::function<void(const text::OutputDelta&)>& on_delta_;
};

}  // namespace

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
  AnswerReader reader(tokenizer_, request.stops,
                      prompt.opens_reasoning ? text::OutputStart::kReasoning : text::OutputStart::kContent,
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
