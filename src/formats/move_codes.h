// The loops of code_moves.h over vectors of kCount lanes. In an unnamed namespace: each instruction set has
// a copy of its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "formats/code_moves.h"
#include "formats/integer.h"
#include "formats/lanes.h"
#include "formats/word_tiles.h"

namespace beryl::formats {
namespace {

// Calls move(lanes, i) for blocks i and on, as many as there are lanes. The last call may overlap the one
// before it: moving a block twice is quicker than moving a few alone.
template <int kCount, typename Move>
void move_each(int64_t count, const Move& move) {
  int64_t i = 0;
  for (; i + kCount <= count; i += kCount) move(Lanes<kCount>(), i);
  if (i == count) return;
  if (count > kCount) return move(Lanes<kCount>(), count - kCount);
  for (; i < count; ++i) move(Lanes<1>(), i);
}

// ---- Rows to lines ----

template <int kCount, int kBits>
uint32_t move_tile(const std::byte* rows, int64_t row_bytes, const NonFinite& bad, std::byte* const* lines) {
  using L = Lanes<kCount>;
  using Vector = typename L::Words;
  Vector found{};
  typename L::Square squares[4];
  for (typename L::Square& square : squares) {
    Vector words[4];
    for (Vector& one : words) {
      one = unshuffle<kBits>(L::load(rows));
      if constexpr (kBits >= 8) found |= (one & bad.mask) + bad.carry;
      rows += row_bytes;
    }
    square = L::transpose(words[0], words[1], words[2], words[3]);
  }
  for (int i = 0; i < 4; ++i) {
    L::store_lines(squares[0].columns[i], squares[1].columns[i], squares[2].columns[i], squares[3].columns[i],
                   lines + i);
  }
  uint32_t any = 0;
  if constexpr (kBits >= 8) {
    for (int i = 0; i < 4 * kCount; ++i) any |= found[i];
  }
  return any;
}

// ---- Columns ----

template <int kBits>
void move_columns(const std::byte* columns, int64_t column_bytes, int64_t count, std::byte* const* lines) {
  for (int64_t i = 0; i < count; ++i) {
    // Too far apart for a processor to fetch by itself.
    __builtin_prefetch(columns + (i + kLineRows) * column_bytes + 4 * kLineRows - 1);
    for (int64_t at = 0; at < 4 * kLineRows; at += kTileBytes) {
      store_words(lines[i] + at, unshuffle<kBits>(load_words(columns + i * column_bytes + at)));
    }
  }
}

// As many squares of codes as there are words in a vector: word n of each holds an input of kSquare rows, or
// kSquare inputs of a row. Which rows a square has does not matter as long as it is turned back.
template <typename L, int kBits>
struct Squares {
  static constexpr int64_t kSquare = 32 / kBits;
  static constexpr auto kVectorBytes = static_cast<int64_t>(sizeof(typename L::Words));
  std::array<typename L::Words, kSquare> words;

  // From the rows of a column, and back.
  void load_rows(const std::byte* column) {
    for (auto& one : words) {
      one = L::load(column);
      column += kVectorBytes;
    }
  }
  void store_rows(std::byte* column) const {
    for (const auto& one : words) {
      store_words(column, one);
      column += kVectorBytes;
    }
  }
  void turn() { transpose_codes<kBits>(words); }
};

// Calls turn(lanes, row) so that all rows, kRows for each lane, are covered; some may be covered twice.
template <int kCount, int64_t kRows, typename Turn>
void turn_each(int64_t rows, const Turn& turn) {
  move_each<kCount>(rows / kRows, [&](auto lanes, int64_t i) { turn(lanes, i * kRows); });
  if (rows % kRows != 0) turn(Lanes<1>(), rows - kRows);
}

template <int kCount, int kBits>
void reorder_columns(const Columns& from, const int32_t* order, std::byte* scratch, std::byte* to) {
  turn_each<kCount, kTile * (32 / kBits)>(from.rows, [&](auto lanes, int64_t row) {
    using L = decltype(lanes);
    using Block = Squares<L, kBits>;
    Block block;
    for (int64_t column = 0; column < from.count; ++column) {
      block.load_rows(from.first + column * from.column_bytes + row * 4);
      block.turn();
      block.store_rows(scratch + column * Block::kSquare * Block::kVectorBytes);
    }
    const int32_t* input = order;
    for (int64_t column = 0; column < from.count; ++column) {
      for (auto& one : block.words) one = L::load(scratch + *input++ * Block::kVectorBytes);
      block.turn();
      block.store_rows(to + column * from.column_bytes + row * 4);
    }
  });
}

template <int kCount>
void turn_outputs(const uint32_t* words, const Columns& to) {
  constexpr int64_t kWordRows = 8;
  const int64_t word_count = to.rows / kWordRows;
  turn_each<kCount, kTile * kWordRows>(to.rows, [&](auto lanes, int64_t row) {
    using L = decltype(lanes);
    Squares<L, 4> block;
    const uint32_t* from = words + row / kWordRows;
    std::byte* column = to.first + row * 4;
    for (int64_t i = 0; i < to.count; ++i, column += to.column_bytes) {
      for (auto& one : block.words) {
        one = L::load(from);
        from += word_count;
      }
      block.turn();
      const auto of_row = [&](int place) { return block.words[static_cast<size_t>(kAwqNibble[place])]; };
      const auto low = L::transpose(of_row(0), of_row(1), of_row(2), of_row(3));
      const auto high = L::transpose(of_row(4), of_row(5), of_row(6), of_row(7));
      for (int64_t k = 0; k < kTile; ++k) {
        L::store_each(column + k * 32, 128, low.columns[k]);
        L::store_each(column + k * 32 + 16, 128, high.columns[k]);
      }
    }
  });
}

// ---- Blocks to planes ----

// Halves the width of fields: of each pair of bytes that hold `bits` bits, one byte of twice as many; first
// those of `a`.
template <typename L>
typename L::Words join(typename L::Words a, typename L::Words b, int bits) {
  using Halves = typename L::Halves;
  const auto low = static_cast<uint16_t>((1U << bits) - 1);
  const auto high = static_cast<uint16_t>(low << bits);
  const auto x = reinterpret_cast<Halves>(a);
  const auto y = reinterpret_cast<Halves>(b);
  return L::pack((x & low) | (x >> (8 - bits) & high), (y & low) | (y >> (8 - bits) & high));
}

// 16 codes of each lane that follow each other as bits: each pair in the low bits of a half word.
template <typename L, int kBits>
typename L::Halves pairs_of(const std::byte* from, int64_t stride) {
  using Halves = typename L::Halves;
  if constexpr (sizeof(Halves) == 16) {
    // Without a shuffle of bytes: halves of eight codes move apart, then quarters.
    constexpr uint64_t kFour = (uint64_t{1} << (4 * kBits)) - 1;
    constexpr uint64_t kTwo = ((uint64_t{1} << (2 * kBits)) - 1) * 0x0000000100000001ULL;
    Longs codes = {load_word<uint64_t>(from), load_word<uint64_t>(from + kBits)};
    codes = (codes & kFour) | (codes >> (4 * kBits) & kFour) << 32;
    codes = (codes & kTwo) | (codes >> (2 * kBits) & kTwo) << 16;
    return reinterpret_cast<Halves>(codes);
  } else {
    // The two bytes that hold a pair, then a shift that differs from pair to pair, as a product.
    const auto bytes = reinterpret_cast<typename L::Bytes>(L::load_each(from, stride));
    Halves shifts;
    constexpr int kUnused = 16 - 2 * kBits;
    for (size_t i = 0; i < sizeof(Halves) / 2; ++i) {
      shifts[i] = static_cast<uint16_t>(1U << (kUnused - static_cast<int>(i) * 2 * kBits % 8));
    }
    return reinterpret_cast<Halves>(L::template spread_pairs<kBits>(bytes)) * shifts >> kUnused;
  }
}

// The low halves of the codes of two runs of pairs.
template <typename L, int kBits>
typename L::Words low_halves(typename L::Halves a, typename L::Halves b) {
  const auto low = [](typename L::Halves pairs) { return (pairs & 0x0f) | (pairs >> (kBits - 4) & 0xf0); };
  return L::pack(low(a), low(b));
}

// Their high bits, those of two codes in a byte.
template <typename L, int kBits>
typename L::Words high_bits(typename L::Halves a, typename L::Halves b) {
  constexpr uint16_t kFirst = (1U << (kBits - 4)) - 1;
  constexpr uint16_t kSecond = kFirst << (kBits - 4);
  const auto high = [](typename L::Halves pairs) { return (pairs >> 4 & kFirst) | (pairs >> 8 & kSecond); };
  return L::pack(high(a), high(b));
}

template <int kCount, int kBits>
void cut_stream(const std::byte* blocks, int64_t count, std::byte* nibbles, std::byte* planes) {
  constexpr int64_t kPlaneBytes = 8 * (kBits - 4);
  move_each<kCount>(count, [&](auto lanes, int64_t i) {
    using L = decltype(lanes);
    const std::byte* from = blocks + i * 8 * kBits;
    typename L::Halves pairs[4];
    for (auto& one : pairs) {
      one = pairs_of<L, kBits>(from, 8 * kBits);
      from += 2 * kBits;
    }
    L::store_each(nibbles + i * 32, 32, low_halves<L, kBits>(pairs[0], pairs[1]));
    L::store_each(nibbles + i * 32 + 16, 32, low_halves<L, kBits>(pairs[2], pairs[3]));
    auto high = join<L>(high_bits<L, kBits>(pairs[0], pairs[1]), high_bits<L, kBits>(pairs[2], pairs[3]),
                        2 * (kBits - 4));
    if constexpr (kBits == 5) high = join<L>(high, high, 4);
    L::template store_each<kPlaneBytes>(planes + i * kPlaneBytes, kPlaneBytes, high);
  });
}

// Two runs of 16 bytes in each lane, whose low halves are 32 codes and whose high halves are the next.
template <typename L>
void split_run(const std::byte* from, int64_t stride, std::byte* low, std::byte* high, int64_t to_stride) {
  const auto first = L::load_each(from, stride);
  const auto second = L::load_each(from + 16, stride);
  L::store_each(low, to_stride, join<L>(first, second, 4));
  L::store_each(high, to_stride, join<L>(first >> 4, second >> 4, 4));
}

template <int kCount>
void split_16(const std::byte* blocks, int64_t block_bytes, int64_t count, std::byte* nibbles) {
  move_each<kCount>(count, [&](auto lanes, int64_t i) {
    using L = decltype(lanes);
    const auto codes = L::load_each(blocks + i * block_bytes, block_bytes);
    L::store_each(nibbles + i * 16, 16, join<L>(codes, codes >> 4, 4));
  });
}

template <int kCount>
void split_128(const std::byte* blocks, int64_t block_bytes, int64_t count, std::byte* nibbles) {
  using L = Lanes<kCount>;
  for (int64_t i = 0; i < count; ++i) {
    const std::byte* from = blocks + i * block_bytes;
    std::byte* to = nibbles + i * 128;
    for (int64_t at = 0; at < 128; at += std::max(32, 16 * kCount)) {
      if constexpr (kCount == 1) {
        split_run<L>(from + at, 0, to + at, to + at + 16, 0);
      } else {
        const auto codes = L::load(from + at);
        store_words(to + at, L::sort_halves_of_two(join<L>(codes, codes >> 4, 4)));
      }
    }
  }
}

// 32 bytes hold bit g of each of 32 inputs of group g.
template <int kCount>
void cut_q5_k(const std::byte* blocks, int64_t count, std::byte* nibbles, std::byte* planes) {
  constexpr int64_t kBytes = 176;
  split_128<kCount>(blocks + 48, kBytes, count, nibbles);
  move_each<kCount>(count, [&](auto lanes, int64_t i) {
    using L = decltype(lanes);
    const auto first = L::load_each(blocks + i * kBytes + 16, kBytes);
    const auto second = L::load_each(blocks + i * kBytes + 32, kBytes);
    const auto groups = [&](int g) {  // two successive ones
      return join<L>(join<L>(first >> g, second >> g, 1), join<L>(first >> (g + 1), second >> (g + 1), 1), 2);
    };
    L::store_each(planes + i * 32, 32, join<L>(groups(0), groups(2), 4));
    L::store_each(planes + i * 32 + 16, 32, join<L>(groups(4), groups(6), 4));
  });
}

// Each half is 64 bytes of low halves and 32 bytes that hold bits 2g and 2g + 1 of group g.
template <int kCount>
void cut_q6_k(const std::byte* blocks, int64_t count, std::byte* nibbles, std::byte* planes) {
  constexpr int64_t kBytes = 210;
  if constexpr (kCount == 4) {  // a half at a time
    for (int64_t i = 0; i < 2 * count; ++i) {
      const auto codes = Lanes<kCount>::load(blocks + i / 2 * kBytes + i % 2 * 64);
      store_words(nibbles + i * 64, Lanes<kCount>::sort_halves(join<Lanes<kCount>>(codes, codes >> 4, 4)));
    }
  }
  move_each<kCount>(count, [&](auto lanes, int64_t i) {
    using L = decltype(lanes);
    for (int64_t half = 0; half < 2; ++half) {
      if constexpr (kCount < 4) {
        const std::byte* block = blocks + i * kBytes + 64 * half;
        std::byte* to = nibbles + i * 128 + 64 * half;
        split_run<L>(block, kBytes, to, to + 32, 128);
        split_run<L>(block + 32, kBytes, to + 16, to + 48, 128);
      }
      const std::byte* bits = blocks + i * kBytes + 128 + 32 * half;
      const auto first = L::load_each(bits, kBytes);
      const auto second = L::load_each(bits + 16, kBytes);
      const auto group = [&](int g) { return join<L>(first >> (2 * g), second >> (2 * g), 2); };
      std::byte* plane = planes + i * 64 + 32 * half;
      L::store_each(plane, 64, join<L>(group(0), group(1), 4));
      L::store_each(plane + 16, 64, join<L>(group(2), group(3), 4));
    }
  });
}

template <int kCount>
constexpr CodeMoves make_moves() {
  return {.tile_words = 4 * kCount,
          .move_1 = move_tile<kCount, 1>,
          .move_2 = move_tile<kCount, 2>,
          .move_4 = move_tile<kCount, 4>,
          .move_8 = move_tile<kCount, 8>,
          .move_16 = move_tile<kCount, 16>,
          .move_32 = move_tile<kCount, 32>,
          .move_columns_4 = move_columns<4>,
          .move_columns_8 = move_columns<8>,
          .reorder_4 = reorder_columns<kCount, 4>,
          .reorder_8 = reorder_columns<kCount, 8>,
          .turn_outputs = turn_outputs<kCount>,
          .cut_5 = cut_stream<kCount, 5>,
          .cut_6 = cut_stream<kCount, 6>,
          .cut_q5_k = cut_q5_k<kCount>,
          .cut_q6_k = cut_q6_k<kCount>,
          .split_16 = split_16<kCount>,
          .split_128 = split_128<kCount>};
}

}  // namespace
}  // namespace beryl::formats
