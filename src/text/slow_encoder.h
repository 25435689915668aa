// The encoding rule written down as plainly as possible, to test the real encoder against. For tests only.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace beryl::text {

// The ids of `text` (valid UTF-8) as plain text: over the whole text, find the neighbours whose merge has the
// lowest rank, the leftmost of equals, and join them; until nothing can be joined. Quadratic.
inline std::vector<int32_t> slow_encode(std::string_view text, const TokenizerTables& tables) {
  std::vector<int32_t> ids;
  for (size_t offset = 0; offset < text.size();) {
    std::string_view bytes = text.substr(offset, read_utf8(text, offset).byte_count);
    offset += bytes.size();
    if (bytes == " ") bytes = "\u2581";
    if (const auto id = tables.vocabulary.find(bytes)) {
      ids.push_back(*id);
      continue;
    }
    for (const char byte : bytes) ids.push_back(tables.vocabulary.byte_token(static_cast<uint8_t>(byte)));
  }
  while (true) {
    uint32_t best_rank = MergeTable::kNoMerge;
    size_t best = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const uint32_t rank = tables.merges.find_rank(ids[i], ids[i + 1]);
      if (rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best_rank == MergeTable::kNoMerge) return ids;
    ids[best] = tables.merges.product(best_rank);
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

}  // namespace beryl::text
