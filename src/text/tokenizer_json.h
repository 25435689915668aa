// The file tokenizer.json: what it says, checked, in the tables that the tokenizer works with.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/tokenizer_tables.h"

namespace beryl::text {

inline constexpr uint64_t kTokenizerFileBytesMax = uint64_t{64} << 20;  // Google's has 32 MB

// Parses the tokenizer.json of Gemma 4, and of nothing else: a byte-pair model with byte fallback, a
// normalizer and a decoder that exchange spaces and U+2581, no splitting into words, added tokens that match
// literally. A file that asks for anything else would be tokenized wrongly, so it is refused. "truncation"
// and "padding" are ignored: they are settings of the program that wrote the file, not properties of the
// vocabulary.
//
// Beyond the form, these are checked, because encoding relies on them: ids are 0, 1, ..., each once; all 256
// byte tokens exist; both parts of every merge and what it makes are in the vocabulary, and none of the three
// is a byte token or a special token; a special token is longer than one character. So plain text can never
// become a special token.
//
// `source` names the text in messages. Errors: kInvalidInput for a text that is damaged or contradicts
// itself, kUnsupported for a form that this version does not know; the message names the field.
TokenizerTables parse_tokenizer_json(std::string_view text, std::string_view source);

}  // namespace beryl::text
