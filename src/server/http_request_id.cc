#include "server/http_request_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <random>

namespace beryl::server {
namespace {

constexpr size_t kBytesMax = 128;

bool is_sane(std::string_view id) {
  return !id.empty() && id.size() <= kBytesMax && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-_.:").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string http_request_id(std::string_view from_client) {
  if (is_sane(from_client)) return std::string(from_client);
  std::random_device random;  // ids must not repeat, nor tell how many there were
  return fmt::format("req-{:08x}{:08x}{:08x}", random(), random(), random());
}

}  // namespace beryl::server
