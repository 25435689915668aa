#include "server/choice.h"

#include <algorithm>

namespace beryl::server {

Choice::Choice(const AnswerSettings& settings, const ApiModel& model, int32_t index)
    : settings_(settings),
      end_tokens_(end_tokens_of(settings, model)),
      vocabulary_size_(model.tokenizer.vocabulary_size()),
      index_(index) {}

bool Choice::push(const engine::Sample& sample) {
  token_ids_.push_back(sample.token);
  if (wants_logprobs()) read_logprob(sample);
  if (std::ranges::find(end_tokens_, sample.token) != end_tokens_.end()) {
    end_token_ = sample.token;
    return false;
  }
  // A model may have more tokens than its tokenizer; those say nothing.
  return sample.token >= vocabulary_size_ || read_token(sample.token);
}

void Choice::finish(const engine::SampleResult& result) {
  result_reason_ = result.finish_reason;
  if (result.end_token) {  // the engine's own business while min_tokens holds it back
    end_token_ = result.end_token;
    token_ids_.push_back(*result.end_token);
  }
  const bool shows_end = settings_.shows_stop && end_token_ &&
                         std::ranges::find(settings_.stop_tokens, *end_token_) != settings_.stop_tokens.end();
  if (shows_end) read_token(*end_token_);
  read_end();
}

Json Choice::finish_reason() const {
  if (!result_reason_) return nullptr;
  if (*result_reason_ == engine::FinishReason::kLength) return "length";
  return calls_tools() ? "tool_calls" : "stop";
}

void Choice::add_extras(Json& choice, bool is_chunk) {
  if (is_finished()) {
    Json reason = nullptr;
    if (const std::optional<size_t> stop = matched_stop()) {
      reason = settings_.stops[*stop];
    } else if (end_token_ &&
               std::ranges::find(settings_.stop_tokens, *end_token_) != settings_.stop_tokens.end()) {
      reason = *end_token_;
    }
    choice["stop_reason"] = std::move(reason);
  }
  if (!settings_.returns_token_ids) return;
  const size_t first = is_chunk ? token_ids_taken_ : 0;
  choice["token_ids"] =
      std::vector<int32_t>(token_ids_.begin() + static_cast<ptrdiff_t>(first), token_ids_.end());
  token_ids_taken_ = token_ids_.size();
}

}  // namespace beryl::server
