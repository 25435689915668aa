// The body of POST /v1/completions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/answer_settings.h"
#include "server/api_model.h"
#include "server/json_fields.h"

namespace beryl::server {

struct CompletionPrompt {
  std::vector<int32_t> tokens;
  std::string text = {};    // with `echo`: what the answer's text begins with
  bool brings_bos = false;  // the first token was put in front here and is not part of `text`
};

struct CompletionRequest {
  std::vector<CompletionPrompt> prompts;
  AnswerSettings settings;
  bool echoes = false;
  // Some prompt of token ids does not begin with <bos>, without which Gemma continues badly.
  bool lacks_bos = false;
};

// Errors: kInvalidInput and kUnsupported, naming the field: "prompt[2][17]: ...".
CompletionRequest read_completion_request(JsonFields& fields, const ApiModel& model);

// Text that the caller wrote for the model: special tokens are recognised, and <bos> is put in front if that
// is wanted and it does not begin with one.
std::vector<int32_t> encode_prompt(const std::string& prompt, bool adds_bos,
                                   const text::Tokenizer& tokenizer);

}  // namespace beryl::server
