// Failures of requests in the shape that OpenAI's clients read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "server/http.h"
#include "server/json_fields.h"

namespace beryl::server {

struct RequestFailure {
  int status = 500;
  std::string message;
  std::optional<std::string> type = {};   // by status when absent
  std::optional<std::string> param = {};  // the field at fault: "messages[2].content"
  std::optional<std::string> code = {};
  Json numbers = Json::object();            // more fields of the error, for programs
  std::optional<int64_t> retry_after = {};  // seconds
};

// 400 for what the client can mend, 404, 429 (kBusy) and 500. The field is taken from the beginning of the
// message: "top_p: expected ...".
RequestFailure failure_of(const Error& error);

// A prompt and its answer that cannot both fit: agents look for the code and both numbers.
RequestFailure context_length_failure(int64_t prompt_tokens, int64_t new_tokens, int64_t context);

// {"error": {"message", "type", "param", "code", ...}}
Json failure_json(const RequestFailure& failure);
HttpResponse failure_response(const RequestFailure& failure);

}  // namespace beryl::server
