#include "server/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "server/http_head.h"

namespace beryl::server {
namespace {

constexpr size_t kKeyBytesMax = 512;
constexpr uint64_t kFileBytesMax = 1 << 20;
constexpr std::string_view kWhiteSpace = " \t\r";

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

}  // namespace

void ApiKeys::add(std::string_view key, std::string_view label) {
  const bool is_printable = std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (key.empty() || key.size() > kKeyBytesMax || !is_printable) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("an API key of {} bytes; expected 1 to {} printable ASCII characters without spaces",
                    key.size(), kKeyBytesMax),
        "openssl rand -hex 32 makes a good one");
  }
  const std::string name = label.empty() ? fmt::format("key {}", entries_.size() + 1) : std::string(label);
  entries_.push_back({.digest = digest_of(key), .label = name});
}

void ApiKeys::add_file(const std::filesystem::path& path) {
  std::string text = read_text_file(path, kFileBytesMax);
  const size_t count_before = entries_.size();
  size_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trim(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    const size_t space = line.find_first_of(kWhiteSpace);
    const std::string_view label =
        space == std::string_view::npos ? std::string_view() : trim(line.substr(space));
    with_context(fmt::format("'{}': line {}", path.string(), line_number),
                 [&] { add(line.substr(0, space), label); });
  }
  OPENSSL_cleanse(text.data(), text.size());
  if (entries_.size() == count_before) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("'{}' holds no API key", path.string()),
                "write one key a line into it");
  }
}

std::optional<std::string> ApiKeys::find_label(std::string_view key) const {
  const Digest wanted = digest_of(key);
  size_t found = entries_.size();
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (CRYPTO_memcmp(entries_[i].digest.data(), wanted.data(), wanted.size()) == 0) found = i;
  }
  if (found == entries_.size()) return {};
  return entries_[found].label;
}

ApiKeys::Digest ApiKeys::digest_of(std::string_view key) {
  Digest digest{};
  ::SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

std::string_view presented_key(std::string_view authorization, std::string_view x_api_key) {
  constexpr std::string_view kScheme = "bearer";
  const size_t space = authorization.find(' ');
  if (space == std::string_view::npos || !equals_ignoring_case(authorization.substr(0, space), kScheme)) {
    return x_api_key;
  }
  return trim(authorization.substr(space));
}

}  // namespace beryl::server
