// Failures in the shape that OpenAI's clients read.
#pragma once

#include <string_view>

#include "server/http.h"

namespace beryl::server {

// {"error":{"message":...,"type":...,"param":null,"code":null}} with the type that belongs to the status.
HttpResponse http_error(int status, std::string_view message);

// "invalid_request_error" for 400 and the like.
std::string_view http_error_type(int status);

// The name of a status on the first line of a response, for example "Not Found".
std::string_view http_reason(int status);

}  // namespace beryl::server
