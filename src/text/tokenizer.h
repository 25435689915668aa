// text: between text and token ids, as Gemma 4 does it.
//
// In:  the text of tokenizer.json; then UTF-8 text to encode, or token ids to decode.
// Out: token ids; text, whole or as it can be shown while tokens arrive.
// Must never know: models, weights, chat roles, requests, or where the file came from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/rendered_prompt.h"
#include "text/tokenizer_json.h"

namespace beryl::text {

// What encoding makes of text that spells a special token, like "<turn|>".
enum class SpecialTokens {
  kRecognise,  // that token: for text that we or the caller of the API wrote for the model
  kAsText,     // ordinary tokens that decode to the same characters: for text from anyone else
};

// Whether decoding shows special tokens.
enum class SpecialOutput { kKeep, kSkip };

// What one token adds to the text: either a byte of a character, or whole characters.
struct TokenPiece {
  std::optional<uint8_t> byte;
  std::string text;  // empty for a byte
};

inline constexpr size_t kEncodedTextBytesMax = (size_t{1} << 31) - 1;

// Immutable; any number of threads may use it at once. Results equal those of Hugging Face's `tokenizers` on
// the same file.
class Tokenizer {
 public:
  explicit Tokenizer(TokenizerTables tables) : tables_(std::move(tables)) {}

  // No token is put in front or at the end, as in the file: the chat template writes "<bos>" itself.
  // Time O(n log n), memory about 40 bytes for each byte of the longest stretch without a cut point
  // (CutPoints), plus the result. Errors: kInvalidInput when `text` is not valid UTF-8 (with the byte's
  // offset) or longer than kEncodedTextBytesMax.
  std::vector<int32_t> encode(std::string_view text, SpecialTokens special_tokens) const;

  // As encode, but special tokens are recognised only where one lies wholly inside one of `trusted`; all else
  // is plain text. Borders of spans do not separate anything otherwise, so the ids are those of the whole
  // text if nothing outside the spans spells a special token. Spans ascend without overlap; where two touch
  // they count as one.
  std::vector<int32_t> encode_marked(std::string_view text, std::span<const Span> trusted) const;

  // The text of all `ids`. Byte tokens are joined; a run of them that is not valid UTF-8 as a whole gives one
  // U+FFFD a byte. Skipped tokens are as if they were not there. Errors: kInvalidInput for an id outside the
  // vocabulary.
  std::string decode(std::span<const int32_t> ids, SpecialOutput special_output) const;

  int32_t vocabulary_size() const { return tables_.vocabulary.size(); }

  // The functions below throw kInvalidInput for an id outside the vocabulary.

  // As the vocabulary writes it: U+2581 for a space, <0x0A> for a byte. The view lives as long as the
  // tokenizer.
  std::string_view token_text(int32_t id) const;
  // As it is decoded.
  TokenPiece token_piece(int32_t id) const;
  bool is_special(int32_t id) const;

  // The id of a token by its text as the vocabulary writes it.
  std::optional<int32_t> find_token(std::string_view text) const { return tables_.vocabulary.find(text); }
  // The same among special tokens only, for example "<turn|>".
  std::optional<int32_t> find_special(std::string_view text) const {
    return tables_.special_tokens.find(text);
  }
  const std::vector<SpecialToken>& special_tokens() const { return tables_.special_tokens.tokens(); }

 private:
  void require(int32_t id) const;

  TokenizerTables tables_;
};

// `source` names the text in messages. Errors: see parse_tokenizer_json.
Tokenizer make_tokenizer(std::string_view json_text, std::string_view source);

// Reads `file`, usually MODEL/tokenizer.json. Errors: as File and parse_tokenizer_json.
Tokenizer load_tokenizer(const std::filesystem::path& file);

}  // namespace beryl::text
