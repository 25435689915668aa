// From the tokens that a model generates to the parts of an answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "text/output_parser.h"
#include "text/stop_matcher.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace beryl::engine {

struct AnswerReaderOptions {
  std::vector<std::string> stops = {};  // texts that end the answer
  int64_t unsearched_tokens = 0;        // no stop string begins within so many tokens
  text::StopText stop_text = text::StopText::kHide;
  text::OutputStart start = text::OutputStart::kContent;
};

// Decodes, looks for stop strings, and parses: one answer per reader, one thread at a time. A stop string
// does not reach over a marker of the output's format: the search starts anew behind it.
class AnswerReader {
 public:
  using OnDelta = std::function<void(const text::OutputDelta&)>;

  // `tokenizer` is borrowed. Each piece of the answer goes to `on_delta` as soon as it is certain, during the
  // calls below. Errors: as StopMatcher.
  AnswerReader(const text::Tokenizer& tokenizer, AnswerReaderOptions options, OnDelta on_delta);

  // False: a stop string is complete, and the answer ends here. Errors: kInvalidInput for a token outside of
  // the vocabulary.
  bool push(int32_t token);
  // Which of the stop strings ended the answer, as an index into those given.
  std::optional<size_t> matched_stop() const { return stops_.matched(); }
  // No more tokens come: what was held back. Must be the last call, once.
  text::ParsedOutput finish(text::OutputEnd end);

 private:
  text::StopMatcher make_stops() const;
  void push_text(const std::string& piece);
  void report(const std::vector<text::OutputDelta>& deltas) const;

  const text::Tokenizer& tokenizer_;
  AnswerReaderOptions options_;
  int64_t token_count_ = 0;
  text::StreamDecoder decoder_;
  text::StopMatcher stops_;
  text::OutputParser parser_;
  OnDelta on_delta_;
};

}  // namespace beryl::engine
