// A choice of /v1/completions: text as it comes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/choice.h"
#include "server/completion_request.h"
#include "server/openai_logprobs.h"
#include "text/stop_matcher.h"
#include "text/stream_decoder.h"

namespace beryl::server {

// A prompt and what its tokens' log-probabilities are; shared by the choices that answer it.
struct PromptRecord {
  CompletionPrompt prompt;
  std::vector<engine::Sample> samples = {};  // of tokens 1, 2, ...; complete before the first new token
};

class CompletionChoice final : public Choice {
 public:
  // `request` and `model` are borrowed.
  CompletionChoice(const CompletionRequest& request, const ApiModel& model,
                   std::shared_ptr<const PromptRecord> prompt, int32_t index);

  Json take_chunk() override;
  Json whole() override;

 protected:
  bool read_token(int32_t token) override;
  void read_logprob(const engine::Sample& sample) override;
  void read_end() override;
  std::optional<size_t> matched_stop() const override { return stops_.matched(); }

 private:
  // The prompt in front of the answer, once it is computed.
  void echo_prompt();
  void add_text(const std::string& text);
  Json make_json(bool is_chunk);

  const bool echoes_;
  const text::Tokenizer& tokenizer_;
  const std::shared_ptr<const PromptRecord> prompt_;
  text::StreamDecoder decoder_;
  text::StopMatcher stops_;
  int64_t token_count_ = 0;
  bool has_echoed_ = false;
  std::string text_;             // not taken yet
  int64_t character_count_ = 0;  // of all text so far, with what a stop string may hold back
  LegacyLogprobs logprobs_;
};

}  // namespace beryl::server
