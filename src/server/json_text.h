// JSON as the server writes it.
#pragma once

#include <string>

#include "server/json_fields.h"

namespace beryl::server {

// On one line. Text that is no valid UTF-8 never fails a response: U+FFFD stands for what is broken.
std::string json_text(const Json& json);

// One server-sent event: "data: {...}\n\n".
std::string event_text(const Json& json);
// The event that ends a stream.
inline constexpr const char* kDoneEvent = "data: [DONE]\n\n";

}  // namespace beryl::server
