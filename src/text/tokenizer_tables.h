// What every way of writing a tokenizer down comes to: the tables that encoding and decoding work with.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "text/cut_points.h"
#include "text/merge_table.h"
#include "text/special_token_set.h"
#include "text/vocabulary.h"

namespace beryl::text {

struct TokenizerTables {
  Vocabulary vocabulary;
  MergeTable merges;
  CutPoints cut_points;
  SpecialTokenSet special_tokens;
};

// Where the merges stand, for messages.
struct MergesPlace {
  std::string_view source;  // "models/demo/tokenizer.json"
  std::string_view field;   // "model.merges"
};

// The merge of two tokens. Errors: kInvalidInput when one of them, or what they make, is not in the
// vocabulary; `index` is its place in the list.
Merge make_merge(std::string_view left, std::string_view right, const Vocabulary& vocabulary,
                 const MergesPlace& place, size_t index);

// The two tokens of "left right". Errors: kInvalidInput when there is not exactly one space.
std::pair<std::string_view, std::string_view> split_merge(std::string_view text, const MergesPlace& place,
                                                          size_t index);

// Whether text that is not meant as this special token could still become it: it is one character, or a byte.
bool is_reachable_by_plain_text(const SpecialToken& token, const Vocabulary& vocabulary);

// Puts the parts together. Encoding relies on merges that neither take nor make byte tokens and special
// tokens, so that plain text can never become one. Errors: kUnsupported for such a merge, kInvalidInput as
// MergeTable.
TokenizerTables make_tokenizer_tables(Vocabulary vocabulary, SpecialTokenSet special_tokens,
                                      const std::vector<Merge>& merges, const MergesPlace& place);

}  // namespace beryl::text
