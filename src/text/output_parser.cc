#include "text/output_parser.h"

#include <array>
#include <utility>

namespace beryl::text {
namespace {

using Kind = OutputDelta::Kind;

constexpr std::string_view kLabel = "thought";
constexpr std::string_view kLabelLine = "thought\n";
constexpr std::string_view kCallPrefix = "call:";
constexpr size_t kNameBytesMax =
    256;  // bounds what is held back; names are limited to 64 characters elsewhere

struct MarkerSpelling {
  OutputMarker marker;
  std::string_view text;
};

constexpr std::array<MarkerSpelling, 8> kMarkers{{{OutputMarker::kChannelOpen, "<|channel>"},
                                                  {OutputMarker::kChannelClose, "<channel|>"},
                                                  {OutputMarker::kToolCallOpen, "<|tool_call>"},
                                                  {OutputMarker::kToolCallClose, "<tool_call|>"},
                                                  {OutputMarker::kToolResponseOpen, "<|tool_response>"},
                                                  {OutputMarker::kQuote, "<|\"|>"},
                                                  {OutputMarker::kTurnClose, "<turn|>"},
                                                  {OutputMarker::kEndOfText, "<eos>"}}};

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// Letters of any script, digits and what joins them.
bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == ':' || c == '/' || static_cast<unsigned char>(c) >= 0x80;
}

bool may_follow(std::string_view header, char c) {
  if (header.size() < kCallPrefix.size()) return c == kCallPrefix[header.size()];
  return is_name_character(c) && header.size() < kCallPrefix.size() + kNameBytesMax;
}

bool ends_answer(OutputMarker marker) {
  return marker == OutputMarker::kToolResponseOpen || marker == OutputMarker::kTurnClose ||
         marker == OutputMarker::kEndOfText;
}

}  // namespace

std::string_view marker_text(OutputMarker marker) {
  return kMarkers[static_cast<size_t>(marker)].text;
}

std::optional<OutputMarker> find_output_marker(std::string_view token_text) {
  for (const MarkerSpelling& entry : kMarkers) {
    if (entry.text == token_text) return entry.marker;
  }
  return std::nullopt;
}

OutputParser::OutputParser(OutputStart start)
    : state_(start == OutputStart::kReasoning ? State::kReasoning : State::kContent) {}

std::vector<OutputDelta> OutputParser::push_text(std::string_view text) {
  take_text(text);
  return std::exchange(deltas_, {});
}

std::vector<OutputDelta> OutputParser::push_marker(OutputMarker marker) {
  take_marker(marker);
  return std::exchange(deltas_, {});
}

std::vector<OutputDelta> OutputParser::finish(OutputEnd end) {
  switch (state_) {
    case State::kLabel:
      end_label();
      break;
    case State::kReasoning:
      flush_reasoning();
      break;
    case State::kCallHeader:
    case State::kArguments:
      break_call();
      break;
    case State::kCallTail:
      end_call();
      break;
    case State::kContent:
    case State::kBrokenCall:
      break;
  }
  if (end == OutputEnd::kLength) {
    output_.finish_reason = FinishReason::kLength;
  } else if (!output_.tool_calls.empty()) {
    output_.finish_reason = FinishReason::kToolCalls;
  }
  return std::exchange(deltas_, {});
}

void OutputParser::take_text(std::string_view text) {
  while (!text.empty()) {
    size_t taken = text.size();
    switch (state_) {
      case State::kContent:
      case State::kBrokenCall:
        add_content(text, text);
        break;
      case State::kReasoning:
        add_reasoning(text);
        break;
      case State::kLabel:
        taken = take_label(text);
        break;
      case State::kCallHeader:
        taken = take_call_header(text);
        break;
      case State::kArguments:
        taken = take_arguments(text);
        break;
      case State::kCallTail:
        taken = take_call_tail(text);
        break;
    }
    text.remove_prefix(taken);
  }
}

size_t OutputParser::take_label(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != kLabelLine[held_.size()]) {
      state_ = State::kReasoning;
      add_reasoning(std::exchange(held_, {}));
      return i;
    }
    held_ += text[i];
    if (held_ == kLabelLine) {
      add_syntax(std::exchange(held_, {}));
      state_ = State::kReasoning;
      return i + 1;
    }
  }
  return text.size();
}

size_t OutputParser::take_call_header(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_complete = c == '{' && call_header_.size() > kCallPrefix.size();
    if (!is_complete && !may_follow(call_header_, c)) {
      break_call();
      return i;
    }
    call_raw_ += c;
    if (is_complete) {
      begin_call();
      return i + 1;
    }
    call_header_ += c;
  }
  return text.size();
}

size_t OutputParser::take_arguments(std::string_view text) {
  const size_t taken = arguments_->push_text(text);
  call_raw_ += text.substr(0, taken);
  std::string json = arguments_->take_json();
  // The last brace comes with the end of the call, so that a call which breaks after it is never valid JSON.
  if (arguments_->state() == ToolArguments::State::kComplete) json.pop_back();
  if (!json.empty()) add_call(Kind::kCallArguments, std::move(json));
  if (arguments_->state() == ToolArguments::State::kComplete) state_ = State::kCallTail;
  if (arguments_->state() == ToolArguments::State::kMalformed) break_call();
  return taken;
}

size_t OutputParser::take_call_tail(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_space(text[i])) {
      break_call();
      return i;
    }
    call_raw_ += text[i];
  }
  return text.size();
}

void OutputParser::take_marker(OutputMarker marker) {
  if (state_ == State::kLabel) {
    if (marker == OutputMarker::kQuote) {
      state_ = State::kReasoning;
      add_reasoning(std::exchange(held_, {}));
    } else {
      end_label();
    }
  }
  const bool is_in_call = state_ != State::kContent && state_ != State::kReasoning;
  if (is_in_call && take_marker_in_call(marker)) return;
  take_marker_outside_call(marker);
}

bool OutputParser::take_marker_in_call(OutputMarker marker) {
  if (state_ == State::kArguments && take_marker_in_arguments(marker)) return true;
  if (state_ == State::kCallTail && marker != OutputMarker::kQuote) {
    const bool is_closed = marker == OutputMarker::kToolCallClose;
    if (is_closed) call_raw_ += marker_text(marker);
    end_call();
    return is_closed;
  }
  if (state_ != State::kBrokenCall) break_call();
  const bool is_closed = marker == OutputMarker::kToolCallClose;
  if (is_closed || marker == OutputMarker::kQuote) add_content(marker_text(marker), marker_text(marker));
  if (marker != OutputMarker::kQuote) state_ = State::kContent;
  return state_ == State::kBrokenCall || is_closed;
}

bool OutputParser::take_marker_in_arguments(OutputMarker marker) {
  if (marker == OutputMarker::kQuote) {
    call_raw_ += marker_text(marker);
    arguments_->push_quote();
    if (std::string json = arguments_->take_json(); !json.empty()) {
      add_call(Kind::kCallArguments, std::move(json));
    }
    if (arguments_->state() == ToolArguments::State::kMalformed) break_call();
    return true;
  }
  if (!arguments_->is_in_string() || ends_answer(marker)) return false;
  take_text(marker_text(marker));
  return true;
}

void OutputParser::take_marker_outside_call(OutputMarker marker) {
  switch (marker) {
    case OutputMarker::kChannelOpen:
      add_syntax(std::exchange(held_, {}));
      add_syntax(marker_text(marker));
      joins_block_ = !output_.reasoning.empty();
      state_ = State::kLabel;
      return;
    case OutputMarker::kChannelClose:
      add_syntax(std::exchange(held_, {}));
      add_syntax(marker_text(marker));
      state_ = State::kContent;
      return;
    case OutputMarker::kToolCallOpen:
      add_syntax(std::exchange(held_, {}));
      call_raw_ = marker_text(marker);
      call_raw_reported_ = 0;
      call_header_.clear();
      state_ = State::kCallHeader;
      return;
    case OutputMarker::kToolCallClose:
      flush_reasoning();
      add_syntax(marker_text(marker));
      return;
    case OutputMarker::kToolResponseOpen:
    case OutputMarker::kTurnClose:
    case OutputMarker::kEndOfText:
      flush_reasoning();
      add_syntax(marker_text(marker));
      state_ = State::kContent;
      return;
    case OutputMarker::kQuote:
      take_text(marker_text(marker));
      return;
  }
}

void OutputParser::end_label() {
  state_ = State::kReasoning;
  const std::string label = std::exchange(held_, {});
  if (label == kLabel) {
    add_syntax(label);
  } else {
    add_reasoning(label);
  }
}

void OutputParser::begin_call() {
  call_ = {.index = calls_begun_++, .name = call_header_.substr(kCallPrefix.size()), .arguments = {}};
  arguments_.emplace();
  state_ = State::kArguments;
  add_call(Kind::kCallBegin, call_.name);
}

void OutputParser::end_call() {
  add_call(Kind::kCallArguments, "}");
  add_call(Kind::kCallEnd, {});
  output_.tool_calls.push_back(std::move(call_));
  state_ = State::kContent;
}

void OutputParser::break_call() {
  const bool has_begun = state_ != State::kCallHeader;
  if (has_begun) add_call(Kind::kCallBroken, {});
  state_ = State::kBrokenCall;
  add_content(call_raw_, has_begun ? std::string_view() : call_raw_);
}

void OutputParser::add_reasoning(std::string_view text) {
  held_ += text;
  std::string certain = std::exchange(held_, {});
  if (certain.ends_with('\n')) {
    certain.pop_back();
    held_ = '\n';
  }
  if (certain.empty()) return;
  if (std::exchange(joins_block_, false)) add_text(Kind::kReasoning, "\n", {});
  add_text(Kind::kReasoning, certain, certain);
}

void OutputParser::flush_reasoning() {
  if (held_.empty()) return;
  if (std::exchange(joins_block_, false)) add_text(Kind::kReasoning, "\n", {});
  add_text(Kind::kReasoning, held_, held_);
  held_.clear();
}

void OutputParser::add_content(std::string_view text, std::string_view raw) {
  add_text(Kind::kContent, text, raw);
}

void OutputParser::add_text(Kind kind, std::string_view text, std::string_view raw) {
  (kind == Kind::kReasoning ? output_.reasoning : output_.content) += text;
  if (deltas_.empty() || deltas_.back().kind != kind)
    deltas_.push_back({.kind = kind, .text = {}, .raw = {}});
  deltas_.back().text += text;
  deltas_.back().raw += raw;
}

void OutputParser::add_syntax(std::string_view raw) {
  if (!raw.empty()) deltas_.push_back({.kind = Kind::kSyntax, .text = {}, .raw = std::string(raw)});
}

void OutputParser::add_call(Kind kind, std::string text) {
  if (kind == Kind::kCallArguments) call_.arguments += text;
  deltas_.push_back({.kind = kind,
                     .call_index = call_.index,
                     .text = std::move(text),
                     .raw = call_raw_.substr(call_raw_reported_)});
  call_raw_reported_ = call_raw_.size();
}

}  // namespace beryl::text
