// What the protocol knows of the model behind it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/generation_config.h"
#include "server/limits.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace beryl::server {

// Borrows tokenizer and template. Immutable while it serves.
struct ApiModel {
  std::string name;                       // in /v1/models and in answers
  std::vector<std::string> aliases = {};  // other names that requests may use
  bool answers_any_name = false;          // whatever a request calls the model
  int64_t created = 0;                    // seconds since 1970, for /v1/models
  const text::Tokenizer& tokenizer;
  const text::ChatTemplate& chat_template;
  std::string template_source = {};  // for /tokenizer_info
  text::TemplateTokens special_tokens = {};
  checkpoint::GenerationConfig generation = {};
  int64_t context = 0;  // tokens of prompt and answer together
  // What a request may ask for at most; of the engine's own limits the lower one holds.
  ApiLimits limits = {};
};

}  // namespace beryl::server
