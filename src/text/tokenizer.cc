#include "text/tokenizer.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/files.h"
#include "text/bpe_encoder.h"
#include "text/utf8.h"

namespace beryl::text {
namespace {

constexpr std::string_view kVisibleSpace = "\xE2\x96\x81";  // U+2581

void append_with_spaces(std::string_view token, std::string& out) {
  for (size_t place = token.find(kVisibleSpace); place != std::string_view::npos;
       place = token.find(kVisibleSpace)) {
    out.append(token.substr(0, place));
    out.push_back(' ');
    token.remove_prefix(place + kVisibleSpace.size());
  }
  out.append(token);
}

// Moves a finished run of byte tokens to the text.
void flush_bytes(std::string& bytes, std::string& out) {
  if (find_invalid_utf8(bytes)) {
    for (size_t i = 0; i < bytes.size(); ++i) out.append(kReplacementCharacter);
  } else {
    out.append(bytes);
  }
  bytes.clear();
}

// Spans that touch are one, so that a special token may lie across their border.
std::vector<Span> join_touching(std::string_view text, std::span<const Span> spans) {
  std::vector<Span> joined;
  for (const Span& span : spans) {
    BERYL_CHECK(span.begin <= span.end && span.end <= text.size());
    BERYL_CHECK(joined.empty() || joined.back().end <= span.begin);
    if (!joined.empty() && joined.back().end == span.begin) {
      joined.back().end = span.end;
    } else {
      joined.push_back(span);
    }
  }
  return joined;
}

}  // namespace

std::vector<int32_t> Tokenizer::encode(std::string_view text, SpecialTokens special_tokens) const {
  if (special_tokens == SpecialTokens::kAsText) return encode_marked(text, {});
  const Span whole{0, text.size()};
  return encode_marked(text, std::span(&whole, 1));
}

std::vector<int32_t> Tokenizer::encode_marked(std::string_view text, std::span<const Span> trusted) const {
  if (text.size() > kEncodedTextBytesMax) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("text of {} bytes, at most {} can be encoded",
                                                      text.size(), kEncodedTextBytesMax));
  }
  if (const auto offset = find_invalid_utf8(text)) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("text is not valid UTF-8 at byte {}", *offset));
  }
  BpeEncoder encoder(tables_);
  std::vector<int32_t> ids;
  size_t plain_begin = 0;
  for (const Span& span : join_touching(text, trusted)) {
    size_t begin = span.begin;
    while (const auto match = tables_.special_tokens.find_next(text, begin, span.end)) {
      encoder.encode(text.substr(plain_begin, match->begin - plain_begin), ids);
      ids.push_back(match->id);
      begin = plain_begin = match->end;
    }
  }
  encoder.encode(text.substr(plain_begin), ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, SpecialOutput special_output) const {
  std::string out;
  std::string bytes;  // of the current run of byte tokens
  for (const int32_t id : ids) {
    if (is_special(id) && special_output == SpecialOutput::kSkip) continue;
    if (const auto byte = tables_.vocabulary.find_byte(id)) {
      bytes.push_back(static_cast<char>(*byte));
      continue;
    }
    flush_bytes(bytes, out);
    append_with_spaces(tables_.vocabulary.text(id), out);
  }
  flush_bytes(bytes, out);
  return out;
}

std::string_view Tokenizer::token_text(int32_t id) const {
  require(id);
  return tables_.vocabulary.text(id);
}

TokenPiece Tokenizer::token_piece(int32_t id) const {
  require(id);
  TokenPiece piece;
  piece.byte = tables_.vocabulary.find_byte(id);
  if (!piece.byte) append_with_spaces(tables_.vocabulary.text(id), piece.text);
  return piece;
}

bool Tokenizer::is_special(int32_t id) const {
  require(id);
  return tables_.special_tokens.contains(id);
}

void Tokenizer::require(int32_t id) const {
  if (tables_.vocabulary.contains(id)) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("token id {} is outside the vocabulary of {}", id, vocabulary_size()));
}

Tokenizer make_tokenizer(std::string_view json_text, std::string_view source) {
  return Tokenizer(parse_tokenizer_json(json_text, source));
}

Tokenizer load_tokenizer(const std::filesystem::path& file) {
  return make_tokenizer(read_text_file(file, kTokenizerFileBytesMax), file.string());
}

}  // namespace beryl::text
