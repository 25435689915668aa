// Plain text to token ids, without any regard for special tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/bpe_merger.h"
#include "text/tokenizer_json.h"

namespace beryl::text {

// Holds scratch memory, so each thread has its own; cheap to make.
class BpeEncoder {
 public:
  // `tables` outlives the encoder.
  explicit BpeEncoder(const TokenizerTables& tables) : tables_(tables), merger_(tables.merges) {}

  // Appends the ids of `text` to `ids`. `text` is valid UTF-8 with fewer than 2^31 bytes.
  void encode(std::string_view text, std::vector<int32_t>& ids);

 private:
  void add_character(char32_t character, std::string_view bytes);
  void finish_stretch(std::vector<int32_t>& ids);

  const TokenizerTables& tables_;
  BpeMerger merger_;
  std::vector<int32_t> symbols_;  // of the stretch between two cut points
};

}  // namespace beryl::text
