#include "text/bpe_encoder.h"

#include "text/utf8.h"

namespace beryl::text {
namespace {

constexpr char32_t kSpace = U' ';
constexpr char32_t kVisibleSpace = U'\u2581';  // how the vocabulary writes a space

}  // namespace

void BpeEncoder::encode(std::string_view text, std::vector<int32_t>& ids) {
  char32_t before = 0;
  for (size_t offset = 0; offset < text.size();) {
    Utf8Character character = read_utf8(text, offset);
    const std::string_view bytes = text.substr(offset, character.byte_count);
    if (character.value == kSpace) character.value = kVisibleSpace;
    if (!symbols_.empty() && tables_.cut_points.may_cut(before, character.value)) finish_stretch(ids);
    add_character(character.value, bytes);
    before = character.value;
    offset += bytes.size();
  }
  finish_stretch(ids);
}

void BpeEncoder::add_character(char32_t character, std::string_view bytes) {
  const int32_t id = tables_.vocabulary.find_character(character);
  if (id != Vocabulary::kNoToken) {
    symbols_.push_back(id);
    return;
  }
  for (const char byte : bytes) {
    symbols_.push_back(tables_.vocabulary.byte_token(static_cast<uint8_t>(byte)));
  }
}

void BpeEncoder::finish_stretch(std::vector<int32_t>& ids) {
  merger_.merge(symbols_);
  ids.insert(ids.end(), symbols_.begin(), symbols_.end());
  symbols_.clear();
}

}  // namespace beryl::text
