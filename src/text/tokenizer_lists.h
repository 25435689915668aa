// A tokenizer as parallel lists, which is how GGUF files hold it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer_tables.h"

namespace beryl::text {

// What a token is, by the numbers of such lists.
enum class ListedTokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,  // a special token that is shown when it is decoded
  kUnused = 5,
  kByte = 6,
};

struct TokenizerLists {
  std::vector<std::string_view> tokens;  // by id
  std::vector<int64_t> types;            // by id, numbers of ListedTokenType
  std::vector<std::string_view> merges;  // "left right", first ones go first
};

// Control tokens, user-defined ones and the unknown token are special; all others are plain text. Checked as
// in parse_tokenizer_json(), so the result is the same as that of the tokenizer.json that the lists were
// written from. `source` names the lists in messages; fields are called as GGUF does. Errors: kInvalidInput
// for lists that are damaged or contradict each other, kUnsupported for what Gemma's tokenizer does not have.
TokenizerTables make_tokenizer_tables(const TokenizerLists& lists, std::string_view source);

}  // namespace beryl::text
