// A choice of /v1/chat/completions: reasoning, content and tool calls.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/answer_reader.h"
#include "server/chat_request.h"
#include "server/choice.h"
#include "server/openai_logprobs.h"

namespace beryl::server {

class ChatChoice final : public Choice {
 public:
  // `request` and `model` are borrowed. `call_ids` begins the ids of tool calls, which must be unique in a
  // conversation.
  ChatChoice(const ChatRequest& request, const ApiModel& model, text::OutputStart start, int32_t index,
             std::string call_ids);

  std::optional<Json> opening_chunk() override;
  Json take_chunk() override;
  Json whole() override;

 protected:
  bool read_token(int32_t token) override;
  void read_logprob(const engine::Sample& sample) override;
  void read_end() override;
  std::optional<size_t> matched_stop() const override { return reader_.matched_stop(); }
  bool calls_tools() const override;

 private:
  struct Call {
    int32_t index = 0;  // as the parser counts
    std::string name;
    std::string arguments;
    bool is_complete = false;
  };

  void read_delta(const text::OutputDelta& delta);
  void read_call(const text::OutputDelta& delta);
  // The call that the deltas of this index belong to; null when it is not wanted.
  Call* find_call(int32_t index);
  // What a chunk says about a call: its beginning, or more of its arguments.
  Json& pending_call(const Call& call);
  Json call_json(const Call& call) const;
  Json take_logprobs();

  const ToolUse tool_use_;
  const bool shows_reasoning_;
  const std::string call_ids_;
  const TokenNames names_;
  engine::AnswerReader reader_;

  std::string reasoning_, content_;     // all, or in a stream what was not taken yet
  std::vector<Call> calls_;             // all that were begun and are wanted
  Json pending_calls_ = Json::array();  // of the next chunk
  Json logprobs_ = Json::array();
  bool has_reasoned_ = false;  // the current token
  bool has_enough_ = false;
};

}  // namespace beryl::server
