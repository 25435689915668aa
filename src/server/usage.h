// How many tokens a request took.
#pragma once

#include <cstdint>

#include "server/json_fields.h"

namespace beryl::server {

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;  // with the token that ended an answer
  int64_t cached_tokens = 0;      // of the prompts, found in the prefix cache
  int64_t reasoning_tokens = 0;   // of the answers
};

// {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
// "completion_tokens_details"}
Json usage_json(const Usage& usage);
// The first three of these, while the rest is not known yet.
Json running_usage_json(const Usage& usage);

}  // namespace beryl::server
