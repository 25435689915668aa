#include "backend/cpu/pack_order.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "formats/word_tiles.h"

namespace beryl::backend {
namespace {

using formats::kTile;
using formats::kTileBytes;
using formats::load_words;
using formats::store_words;
using formats::Words;

// Turns 32 / kBits rows over, so that a word holds one input of all of them, moves words, and turns them
// back.
template <int kBits>
class Mover {
 public:
  // `scratch` is used until the mover goes.
  Mover(std::span<const int32_t> order, int64_t row_bytes, std::vector<uint32_t>& scratch)
      : row_bytes_(row_bytes), blocks_((row_bytes + kTileBytes - 1) / kTileBytes) {
    const auto padded = static_cast<size_t>(blocks_ * kBlockInputs);
    scratch.resize(3 * padded);
    words_ = scratch.data();
    moved_ = words_ + padded;
    sources_ = moved_ + padded;
    for (size_t k = 0; k < padded; ++k) {
      sources_[place_of(k)] = place_of(k < order.size() ? static_cast<uint32_t>(order[k]) : k);
    }
  }

  // Moves the inputs of `count` rows, at most kRows, in place.
  void move(std::byte* rows, int64_t count) {
    for (int64_t block = 0; block < blocks_; ++block) turn(rows, count, block);
    const auto words = static_cast<size_t>(blocks_ * kBlockInputs);
    for (size_t i = 0; i < words; ++i) moved_[i] = words_[sources_[i]];
    for (int64_t block = 0; block < blocks_; ++block) turn_back(rows, count, block);
  }

  static constexpr int64_t kRows = 32 / kBits;

 private:
  using Square = std::array<Words, kRows>;
  static constexpr int64_t kBlockInputs = kTile * kRows;

  // Where the word of an input is: four squares side by side in each block.
  static uint32_t place_of(size_t input) {
    const size_t square = input % kBlockInputs / kRows;
    return static_cast<uint32_t>(input / kBlockInputs * kBlockInputs + input % kRows * kTile + square);
  }
  size_t bytes_of(int64_t block) const {
    return static_cast<size_t>(std::min(kTileBytes, row_bytes_ - block * kTileBytes));
  }

  void turn(const std::byte* rows, int64_t count, int64_t block) {
    Square square{};
    const size_t bytes = bytes_of(block);
    for (int64_t row = 0; row < count; ++row) {
      const std::byte* from = rows + row * row_bytes_ + block * kTileBytes;
      Words& words = square[static_cast<size_t>(row)];
      if (bytes == kTileBytes) {
        words = load_words(from);
      } else {
        std::memcpy(&words, from, bytes);
      }
    }
    formats::transpose_codes<kBits>(square);
    for (int64_t k = 0; k < kRows; ++k) {
      store_words(words_ + block * kBlockInputs + k * kTile, square[static_cast<size_t>(k)]);
    }
  }

  void turn_back(std::byte* rows, int64_t count, int64_t block) {
    Square square{};
    for (int64_t k = 0; k < kRows; ++k) {
      square[static_cast<size_t>(k)] = load_words(moved_ + block * kBlockInputs + k * kTile);
    }
    formats::transpose_codes<kBits>(square);
    const size_t bytes = bytes_of(block);
    for (int64_t row = 0; row < count; ++row) {
      std::byte* to = rows + row * row_bytes_ + block * kTileBytes;
      const Words& words = square[static_cast<size_t>(row)];
      if (bytes == kTileBytes) {
        store_words(to, words);
      } else {
        std::memcpy(to, &words, bytes);
      }
    }
  }

  int64_t row_bytes_;
  int64_t blocks_;
  uint32_t* words_ = nullptr;
  uint32_t* moved_ = nullptr;
  uint32_t* sources_ = nullptr;
};

template <int kBits>
void reorder(int64_t row_bytes, std::span<const int32_t> order, formats::RowParts& parts,
             std::vector<uint32_t>& scratch) {
  Mover<kBits> mover(order, row_bytes, scratch);
  for (int64_t row = 0; row < parts.rows; row += Mover<kBits>::kRows) {
    mover.move(parts.codes.data() + row * row_bytes,
               std::min<int64_t>(Mover<kBits>::kRows, parts.rows - row));
  }
}

}  // namespace

std::vector<int32_t> order_by_group(std::span<const int32_t> group_index) {
  std::vector<int32_t> order(group_index.size());
  if (order.empty()) return order;
  const int32_t last = *std::max_element(group_index.begin(), group_index.end());
  // Where the next input of each group goes.
  std::vector<int32_t> next(static_cast<size_t>(last) + 2);
  for (const int32_t group : group_index) ++next[static_cast<size_t>(group) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  for (size_t k = 0; k < order.size(); ++k) {
    order[static_cast<size_t>(next[static_cast<size_t>(group_index[k])]++)] = static_cast<int32_t>(k);
  }
  return order;
}

void reorder_inputs(const PackedLayout& layout, formats::CodeShape shape, std::span<const int32_t> order,
                    const formats::CodeMoves& moves, formats::RowParts& parts, ReorderScratch& scratch) {
  BERYL_CHECK(layout.code_bits == 4 || layout.code_bits == 8);
  const int64_t row_bytes = static_cast<int64_t>(parts.codes.size()) / std::max<int64_t>(1, parts.rows);
  if (shape == formats::CodeShape::kColumns) {
    scratch.turned.resize(order.size() * kLineBytes);
    scratch.codes.resize(parts.codes.size());
    const formats::ReorderColumns reorder_columns = layout.code_bits == 4 ? moves.reorder_4 : moves.reorder_8;
    reorder_columns({.first = parts.codes.data(),
                     .column_bytes = formats::column_bytes(parts.rows),
                     .count = layout.cols / layout.word_inputs,
                     .rows = parts.rows},
                    order.data(), scratch.turned.data(), scratch.codes.data());
    std::swap(parts.codes, scratch.codes);
  } else if (layout.code_bits == 4) {
    reorder<4>(row_bytes, order, parts, scratch.words);
  } else {
    reorder<8>(row_bytes, order, parts, scratch.words);
  }
}

}  // namespace beryl::backend
