// The name by which a request is found again in logs.
#pragma once

#include <string>
#include <string_view>

namespace beryl::server {

// The client's own when it is sane: 1 to 128 letters, digits and "-_.:"; else a new one, "req-" and 24
// digits.
std::string http_request_id(std::string_view from_client);

}  // namespace beryl::server
