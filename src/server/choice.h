// One of the `choices` of a response while its tokens arrive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/request.h"
#include "server/answer_settings.h"
#include "server/json_fields.h"

namespace beryl::server {

// One thread at a time.
class Choice {
 public:
  // `settings` and `model` are borrowed.
  Choice(const AnswerSettings& settings, const ApiModel& model, int32_t index);
  virtual ~Choice() = default;
  Choice(const Choice&) = delete;
  Choice& operator=(const Choice&) = delete;

  // False: the answer ends with this token.
  bool push(const engine::Sample& sample);
  // No more tokens come.
  void finish(const engine::SampleResult& result);

  // What comes before the first token in a stream; absent when nothing does.
  virtual std::optional<Json> opening_chunk() { return std::nullopt; }
  // What has become known since the last call, possibly nothing: one entry of a chunk's `choices`. After
  // finish() with the finish reason.
  virtual Json take_chunk() = 0;
  // After finish(): an entry of the `choices` of a response that does not stream.
  virtual Json whole() = 0;

  int64_t token_count() const { return static_cast<int64_t>(token_ids_.size()); }
  int64_t reasoning_token_count() const { return reasoning_token_count_; }
  // "stop", "length" or "tool_calls"; null before finish().
  Json finish_reason() const;

 protected:
  // False: a stop string is complete, or nothing more is wanted.
  virtual bool read_token(int32_t token) = 0;
  // Of every token, the one that ends the answer included.
  virtual void read_logprob(const engine::Sample& sample) = 0;
  virtual void read_end() = 0;
  virtual std::optional<size_t> matched_stop() const = 0;
  virtual bool calls_tools() const { return false; }

  const AnswerSettings& settings() const { return settings_; }
  int32_t index() const { return index_; }
  bool wants_logprobs() const { return settings_.sampling.top_logprobs.has_value(); }
  bool is_finished() const { return result_reason_.has_value(); }
  engine::FinishReason result_reason() const { return *result_reason_; }
  void count_reasoning_token() { ++reasoning_token_count_; }
  // Adds `stop_reason`, and `token_ids` if they are wanted, all of them or those since the last call.
  void add_extras(Json& choice, bool is_chunk);

 private:
  const AnswerSettings& settings_;
  const std::vector<int32_t> end_tokens_;
  const int32_t vocabulary_size_;
  const int32_t index_;
  std::vector<int32_t> token_ids_;  // with the end token
  size_t token_ids_taken_ = 0;
  std::optional<int32_t> end_token_;
  std::optional<engine::FinishReason> result_reason_;
  int64_t reasoning_token_count_ = 0;
};

}  // namespace beryl::server
