#include "engine/answer_reader.h"

#include <utility>

namespace beryl::engine {

AnswerReader::AnswerReader(const text::Tokenizer& tokenizer, AnswerReaderOptions options, OnDelta on_delta)
    : tokenizer_(tokenizer),
      options_(std::move(options)),
      decoder_(tokenizer, text::SpecialOutput::kSkip),
      stops_(options_.stops, options_.stop_text),
      parser_(options_.start),
      on_delta_(std::move(on_delta)) {
  stops_ = make_stops();
}

bool AnswerReader::push(int32_t token) {
  if (token_count_ == options_.unsearched_tokens) stops_ = make_stops();
  ++token_count_;
  if (!tokenizer_.is_special(token)) {
    push_text(decoder_.push(token));
    return !stops_.matched();
  }
  const auto marker = text::find_output_marker(tokenizer_.token_text(token));
  if (!marker) return true;  // <pad> and the like say nothing
  push_text(decoder_.flush());
  report(parser_.push_text(stops_.flush()));
  if (stops_.matched()) return false;
  stops_ = make_stops();
  report(parser_.push_marker(*marker));
  return true;
}

text::ParsedOutput AnswerReader::finish(text::OutputEnd end) {
  push_text(decoder_.flush());
  report(parser_.push_text(stops_.flush()));
  report(parser_.finish(end));
  return parser_.output();
}

text::StopMatcher AnswerReader::make_stops() const {
  const bool searches = token_count_ >= options_.unsearched_tokens;
  return {searches ? options_.stops : std::vector<std::string>(), options_.stop_text};
}

void AnswerReader::push_text(const std::string& piece) {
  if (!piece.empty()) report(parser_.push_text(stops_.push(piece)));
}

void AnswerReader::report(const std::vector<text::OutputDelta>& deltas) const {
  for (const text::OutputDelta& delta : deltas) on_delta_(delta);
}

}  // namespace beryl::engine
