#include "backend/cpu/pack_lines.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "formats/planes.h"
#include "formats/word_tiles.h"

namespace beryl::backend {
namespace {

using formats::CodeKind;
using formats::CodeMoves;
using formats::NonFinite;
using formats::Words;

constexpr NonFinite non_finite(CodeKind kind) {
  switch (kind) {
    case CodeKind::kBf16:
      return {0x7f807f80U, 0x00800080U, 0x80008000U};
    case CodeKind::kF16:
      return {0x7c007c00U, 0x04000400U, 0x80008000U};
    case CodeKind::kF32:
      return {0x7f800000U, 0x00800000U, 0x80000000U};
    case CodeKind::kE4m3:
      return {0x7f7f7f7fU, 0x01010101U, 0x80808080U};
    default:
      return {0, 0, 0};
  }
}

// Lines of one kind, the code lines or the plane lines, group after group of a panel.
template <int kBits>
class Lines {
 public:
  // Inputs of a word.
  static constexpr int64_t kInputs = 32 / kBits;

  Lines(const PackedLayout& layout, bool is_plane, std::byte* panel)
      : layout_(layout), is_plane_(is_plane), panel_(panel), per_group_(lines_of(layout.group_inputs)) {
    enter(0);
  }

  static int64_t lines_of(int64_t inputs) { return (inputs + kInputs - 1) / kInputs; }
  int64_t per_group() const { return per_group_; }  // of a full one
  std::byte* first_of(int64_t group) const {
    std::byte* begin = panel_ + layout_.group_offset(group);
    return is_plane_ ? begin + layout_.code_lines(layout_.inputs_of(group)) * kLineBytes : begin;
  }

  // The next line, of the first group at first.
  std::byte* next() {
    if (left_ == 0) enter_next();
    --left_;
    std::byte* line = next_;
    next_ += kLineBytes;
    return line;
  }

 private:
  void enter(int64_t group) {
    group_ = group;
    left_ = per_group_;
    next_ = first_of(group);
  }
  void enter_next() {
    // As enter(group_ + 1), without divisions where it can be.
    if (group_ + 2 >= layout_.groups || layout_.outer_bytes > 0) return enter(group_ + 1);
    ++group_;
    left_ = per_group_;
    next_ += layout_.group_bytes - per_group_ * kLineBytes;
  }

  const PackedLayout& layout_;
  bool is_plane_;
  std::byte* panel_;
  int64_t per_group_;
  int64_t group_ = 0;
  int64_t left_ = 0;
  std::byte* next_ = nullptr;
};

template <int kBits>
formats::MoveTile tile_mover(const CodeMoves& moves) {
  if constexpr (kBits == 1) return moves.move_1;
  if constexpr (kBits == 2) return moves.move_2;
  if constexpr (kBits == 4) return moves.move_4;
  if constexpr (kBits == 8) return moves.move_8;
  if constexpr (kBits == 16) return moves.move_16;
  return moves.move_32;
}

// Packs full panels by tiles, as many lines as tiles of these moves fill; `done` are packed already. Returns
// the sign bits of non-finite codes.
template <int kBits>
uint32_t pack_tiles(const CodeRows& from, const NonFinite& bad, const CodeMoves& moves, int64_t line_count,
                    Lines<kBits>& lines, int64_t& done) {
  constexpr int64_t kMost = 16;
  std::array<std::byte*, kMost> to;
  uint32_t found = 0;
  for (; done + moves.tile_words <= line_count; done += moves.tile_words) {
    for (int64_t i = 0; i < moves.tile_words; ++i) to[static_cast<size_t>(i)] = lines.next();
    found |= tile_mover<kBits>(moves)(from.rows + done * 4, from.row_bytes, bad, to.data());
  }
  return found;
}

// `bits` (at most 32) bits of a row.
uint32_t bits_at(const std::byte* row, int64_t first, int64_t bits) {
  uint64_t window = 0;
  std::memcpy(&window, row + first / 8, static_cast<size_t>((first % 8 + bits + 7) / 8));
  return static_cast<uint32_t>(window >> (first % 8) & ((uint64_t{1} << bits) - 1));
}

// What is left when tiles have packed the first lines, word by word.
template <int kBits>
uint32_t pack_rest(const PackedLayout& layout, const Lines<kBits>& lines, const CodeRows& from,
                   const NonFinite& bad, int64_t tiled_lines) {
  const int64_t first_group = tiled_lines / lines.per_group();
  uint32_t found = 0;
  for (int64_t group = first_group; group < layout.groups; ++group) {
    const int64_t bits = layout.inputs_of(group) * kBits;
    const int64_t count = lines.lines_of(layout.inputs_of(group));
    const int64_t done = std::clamp<int64_t>(tiled_lines - group * lines.per_group(), 0, count);
    std::byte* const to = lines.first_of(group);
    for (int64_t row = 0; row < kPanelRows; ++row) {
      for (int64_t line = done; line < count; ++line) {
        uint32_t word = 0;
        if (row < from.row_count) {
          word = bits_at(from.rows + row * from.row_bytes, group * layout.group_inputs * kBits + line * 32,
                         std::min<int64_t>(32, bits - line * 32));
        }
        word = formats::unshuffle<kBits>(word);
        found |= (word & bad.mask) + bad.carry;
        std::memcpy(to + line * kLineBytes + row * 4, &word, sizeof(word));
      }
    }
  }
  return found;
}

// Packs all lines of one kind, of codes of `kBits` bits that follow each other in their row. Returns the sign
// bits of non-finite codes, in any word.
template <int kBits>
uint32_t pack_lines(const PackedLayout& layout, bool is_plane, const CodeRows& from, const CodeMoves& moves,
                    std::byte* panel) {
  const NonFinite bad = non_finite(layout.scheme.codes);
  Lines<kBits> lines(layout, is_plane, panel);
  // Where groups are whole words, tiles run over the borders of groups.
  const bool has_whole_words = layout.groups == 1 || layout.group_inputs % Lines<kBits>::kInputs == 0;
  int64_t done = 0;
  uint32_t found = 0;
  if (has_whole_words && from.row_count == kPanelRows) {
    const int64_t line_count = layout.cols * kBits / 32;
    found = pack_tiles(from, bad, moves, line_count, lines, done);
    found |= pack_tiles(from, bad, formats::portable_moves(), line_count, lines, done);
  }
  found |= pack_rest(layout, lines, from, bad, done);
  return found & bad.sign;
}

// Columns of whole words, of codes that are all finite. What rows are not there become zero.
template <int kBits>
void pack_columns(const PackedLayout& layout, const CodeRows& from, const CodeMoves& moves,
                  std::byte* panel) {
  Lines<kBits> lines(layout, false, panel);
  const formats::MoveColumns move = kBits == 4 ? moves.move_columns_4 : moves.move_columns_8;
  const int64_t count = layout.cols / Lines<kBits>::kInputs;
  std::array<std::byte*, 16> to;
  for (int64_t done = 0; done < count; done += std::ssize(to)) {
    const int64_t left = std::min<int64_t>(std::ssize(to), count - done);
    for (int64_t i = 0; i < left; ++i) to[static_cast<size_t>(i)] = lines.next();
    const std::byte* columns = from.rows + done * from.row_bytes;
    if (from.row_count == kPanelRows) {
      move(columns, from.row_bytes, left, to.data());
      continue;
    }
    for (int64_t i = 0; i < left; ++i) {
      std::array<std::byte, kLineBytes> line{};
      std::memcpy(line.data(), columns + i * from.row_bytes, static_cast<size_t>(4 * from.row_count));
      move(line.data(), 0, 1, &to[static_cast<size_t>(i)]);
    }
  }
}

// Rows that are cut already: low halves to code lines, high bits to plane lines.
template <int kPlaneBits>
void pack_planes(const PackedLayout& layout, const CodeRows& from, const CodeMoves& moves, std::byte* panel) {
  CodeRows planes = from;
  planes.rows += formats::nibble_row_bytes(layout.cols);
  pack_lines<4>(layout, false, from, moves, panel);
  pack_lines<kPlaneBits>(layout, true, planes, moves, panel);
}

// Rows of one byte a code.
template <int kPlaneBits>
void cut_and_pack(const PackedLayout& layout, const CodeRows& from, const CodeMoves& moves,
                  std::byte* panel) {
  const int64_t row_bytes = formats::plane_row_bytes(layout.cols, kPlaneBits);
  std::vector<std::byte> cut(static_cast<size_t>(from.row_count * row_bytes));
  for (int64_t row = 0; row < from.row_count; ++row) {
    const std::byte* codes = from.rows + row * from.row_bytes;
    formats::cut_row<kPlaneBits>(layout.cols, cut.data() + row * row_bytes, [&](int64_t first) {
      std::array<Words, 4> block{};
      std::memcpy(&block, codes + first,
                  static_cast<size_t>(std::min(formats::kPlaneBlock, layout.cols - first)));
      return block;
    });
  }
  pack_planes<kPlaneBits>(layout, {cut.data(), row_bytes, from.row_count}, moves, panel);
}

}  // namespace

bool pack_codes(const PackedLayout& layout, const CodeRows& rows, formats::CodeShape shape,
                const CodeMoves& moves, std::byte* panel) {
  const bool are_cut = shape == formats::CodeShape::kPlanes;
  if (shape == formats::CodeShape::kColumns) {
    layout.code_bits == 4 ? pack_columns<4>(layout, rows, moves, panel)
                          : pack_columns<8>(layout, rows, moves, panel);
    return true;
  }
  switch (layout.code_bits) {
    case 4:
      return pack_lines<4>(layout, false, rows, moves, panel) == 0;
    case 5:
      are_cut ? pack_planes<1>(layout, rows, moves, panel) : cut_and_pack<1>(layout, rows, moves, panel);
      return true;
    case 6:
      are_cut ? pack_planes<2>(layout, rows, moves, panel) : cut_and_pack<2>(layout, rows, moves, panel);
      return true;
    case 8:
      return pack_lines<8>(layout, false, rows, moves, panel) == 0;
    case 16:
      return pack_lines<16>(layout, false, rows, moves, panel) == 0;
    default:
      return pack_lines<32>(layout, false, rows, moves, panel) == 0;
  }
}

}  // namespace beryl::backend
