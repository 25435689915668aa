#include "server/json_text.h"

namespace beryl::server {

std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string event_text(const Json& json) {
  return "data: " + json_text(json) + "\n\n";
}

}  // namespace beryl::server
