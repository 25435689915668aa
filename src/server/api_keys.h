// Who may call: a set of keys, held as hashes.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::server {

// Immutable once it is shared; then any thread may look keys up.
class ApiKeys {
 public:
  // `label` tells keys apart in logs; empty: "key N", counted from 1.
  // Errors: kInvalidInput when the key is empty, longer than 512 bytes or has other characters than printable
  // ASCII without spaces. The message does not show it.
  void add(std::string_view key, std::string_view label = {});
  // One key a line, a label after white space if wanted; empty lines and lines that begin with '#' are
  // skipped. Errors: as add(), naming file and line; as read_text_file(); kInvalidInput when there is no key.
  void add_file(const std::filesystem::path& path);

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }

  // The label of a key; nothing when it is none. The time it takes tells neither which key came close nor how
  // close: digests are compared, all of them, in constant time.
  std::optional<std::string> find_label(std::string_view key) const;

 private:
  using Digest = std::array<unsigned char, 32>;  // SHA-256
  struct Entry {
    Digest digest;
    std::string label;
  };

  static Digest digest_of(std::string_view key);

  std::vector<Entry> entries_;
};

// The key that a request presents: "Authorization: Bearer KEY" or "x-api-key: KEY". Empty when there is none.
std::string_view presented_key(std::string_view authorization, std::string_view x_api_key);

}  // namespace beryl::server
