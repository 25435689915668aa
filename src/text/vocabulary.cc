#include "text/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "text/hash.h"
#include "text/utf8.h"

namespace beryl::text {
namespace {

[[noreturn]] void fail(std::string message) {
  throw Error(ErrorCode::kInvalidInput, std::move(message));
}

bool looks_like_byte_token(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
}

std::string byte_token_text(size_t byte) {
  return fmt::format("<0x{:02X}>", byte);
}

}  // namespace

Vocabulary::Vocabulary(std::span<const std::string_view> texts) {
  if (texts.size() > kVocabularySizeMax) {
    fail(fmt::format("{} tokens, at most {} are supported", texts.size(), kVocabularySizeMax));
  }
  copy_texts(texts);
  index_texts();
  index_characters();
  index_bytes();
}

void Vocabulary::copy_texts(std::span<const std::string_view> texts) {
  size_t byte_count = 0;
  for (size_t id = 0; id < texts.size(); ++id) {
    if (texts[id].empty()) fail(fmt::format("token {} is empty", id));
    if (texts[id].size() > kTokenBytesMax) {
      fail(fmt::format("token {} has {} bytes, at most {} are supported", id, texts[id].size(),
                       kTokenBytesMax));
    }
    byte_count += texts[id].size();
  }
  pool_.reserve(byte_count);
  offsets_.reserve(texts.size() + 1);
  offsets_.push_back(0);
  for (const std::string_view text : texts) {
    pool_.append(text);
    // At most 2^20 tokens of 2^10 bytes, so an offset fits.
    offsets_.push_back(static_cast<uint32_t>(pool_.size()));
  }
}

void Vocabulary::index_texts() {
  slots_.resize(std::bit_ceil(std::max<size_t>(static_cast<size_t>(size()), 8) * 2));
  for (int32_t id = 0; id < size(); ++id) insert(id);
}

void Vocabulary::insert(int32_t id) {
  const std::string_view token = text(id);
  const uint64_t hash = hash_text(token);
  const size_t mask = slots_.size() - 1;
  const uint32_t tag = static_cast<uint32_t>(hash >> 32);
  for (size_t step = 0; step <= kDisplacementLimit; ++step) {
    Slot& slot = slots_[(hash + step) & mask];
    if (slot.id == kNoToken) {
      slot = {tag, id};
      displacement_max_ = std::max(displacement_max_, step);
      return;
    }
    if (slot.tag == tag && text(slot.id) == token) {
      fail(fmt::format("tokens {} and {} have the same text '{}'", slot.id, id, token));
    }
  }
  fail(fmt::format("token {} ('{}') collides with too many others", id, token));
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
  const uint64_t hash = hash_text(token);
  const size_t mask = slots_.size() - 1;
  const uint32_t tag = static_cast<uint32_t>(hash >> 32);
  for (size_t step = 0; step <= displacement_max_; ++step) {
    const Slot& slot = slots_[(hash + step) & mask];
    if (slot.id == kNoToken) return std::nullopt;
    if (slot.tag == tag && text(slot.id) == token) return slot.id;
  }
  return std::nullopt;
}

void Vocabulary::index_characters() {
  character_pages_.assign(kPageCount, 0);
  character_ids_.assign(kPageSize, kNoToken);
  for (int32_t id = 0; id < size(); ++id) {
    const std::string_view token = text(id);
    if (token.size() > 4) continue;
    const Utf8Character character = read_utf8(token, 0);
    if (character.byte_count != token.size()) continue;
    uint32_t& page = character_pages_[character.value >> kPageBits];
    if (page == 0) {
      page = static_cast<uint32_t>(character_ids_.size());
      character_ids_.resize(character_ids_.size() + kPageSize, kNoToken);
    }
    character_ids_[page + (character.value & (kPageSize - 1))] = id;
  }
}

void Vocabulary::index_bytes() {
  for (size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
    const std::string token = byte_token_text(byte);
    const std::optional<int32_t> id = find(token);
    if (!id) fail(fmt::format("there is no token '{}'", token));
    byte_tokens_[byte] = *id;
  }
  // Other readers would take <0xab> or <0x+1> for a byte when they decode; no known vocabulary holds one.
  for (int32_t id = 0; id < size(); ++id) {
    if (looks_like_byte_token(text(id)) && !find_byte(id)) {
      fail(fmt::format("token {} ('{}') looks like a byte but is not written like '<0xAB>'", id, text(id)));
    }
  }
}

std::optional<uint8_t> Vocabulary::find_byte(int32_t id) const {
  const std::string_view token = text(id);
  if (!looks_like_byte_token(token)) return std::nullopt;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  const int high = digit(token[3]);
  const int low = digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

}  // namespace beryl::text
