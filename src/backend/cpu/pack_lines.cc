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
using formats::kTile;
using formats::load_words;
using formats::store_words;
using formats::Words;

// The bits that are all set exactly in codes that are infinite or NaN, in every code of a word.
struct NonFinite {
  uint32_t mask;
  // Added to the masked code, carries into the code's sign bit if and only if all bits of the mask are set.
  uint32_t carry;
  uint32_t sign;
};

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

// Transposes four rows of four words into four lines, each from byte `at` on, and collects the sign bits of
// non-finite codes.
template <int kBits, bool kCanBeBad>
Words pack_tile(const std::byte* rows, int64_t row_bytes, const NonFinite& bad,
                const std::array<std::byte*, kTile>& lines, int64_t at) {
  const Words a = formats::unshuffle<kBits>(load_words(rows));
  const Words b = formats::unshuffle<kBits>(load_words(rows + row_bytes));
  const Words c = formats::unshuffle<kBits>(load_words(rows + 2 * row_bytes));
  const Words d = formats::unshuffle<kBits>(load_words(rows + 3 * row_bytes));
  Words found{};
  if constexpr (kCanBeBad) {
    found = ((a & bad.mask) + bad.carry) | ((b & bad.mask) + bad.carry) | ((c & bad.mask) + bad.carry) |
            ((d & bad.mask) + bad.carry);
  }
  const std::array<Words, kTile> columns = formats::transpose_words(a, b, c, d);
  for (size_t i = 0; i < columns.size(); ++i) store_words(lines[i] + at, columns[i]);
  return found;
}

// `bits` (at most 32) bits of a row.
uint32_t bits_at(const std::byte* row, int64_t first, int64_t bits) {
  uint64_t window = 0;
  std::memcpy(&window, row + first / 8, static_cast<size_t>((first % 8 + bits + 7) / 8));
  return static_cast<uint32_t>(window >> (first % 8) & ((uint64_t{1} << bits) - 1));
}

// What is left when tiles have packed the first lines of the first rows, word by word.
template <int kBits>
uint32_t pack_rest(const PackedLayout& layout, const Lines<kBits>& lines, const CodeRows& from,
                   const NonFinite& bad, int64_t tiled_rows, int64_t tiled_lines) {
  const int64_t first_group = tiled_rows == kPanelRows ? tiled_lines / lines.per_group() : 0;
  uint32_t found = 0;
  for (int64_t group = first_group; group < layout.groups; ++group) {
    const int64_t bits = layout.inputs_of(group) * kBits;
    const int64_t count = lines.lines_of(layout.inputs_of(group));
    const int64_t done = std::clamp<int64_t>(tiled_lines - group * lines.per_group(), 0, count);
    std::byte* const to = lines.first_of(group);
    for (int64_t row = 0; row < kPanelRows; ++row) {
      for (int64_t line = row < tiled_rows ? done : 0; line < count; ++line) {
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
template <int kBits, bool kCanBeBad = false>
uint32_t pack_lines(const PackedLayout& layout, bool is_plane, const CodeRows& from, std::byte* panel) {
  const NonFinite bad = non_finite(layout.scheme.codes);
  Lines<kBits> lines(layout, is_plane, panel);
  // Where groups are whole words, tiles of 4 rows x 4 lines run over the borders of groups.
  const bool has_whole_words = layout.groups == 1 || layout.group_inputs % Lines<kBits>::kInputs == 0;
  const int64_t tiled_rows = has_whole_words ? from.row_count / kTile * kTile : 0;
  const int64_t tiled_lines = tiled_rows == 0 ? 0 : layout.cols * kBits / 32 / kTile * kTile;
  Words found{};
  for (int64_t line = 0; line < tiled_lines; line += kTile) {
    std::array<std::byte*, kTile> to;
    for (std::byte*& one : to) one = lines.next();
    for (int64_t row = 0; row < tiled_rows; row += kTile) {
      found |= pack_tile<kBits, kCanBeBad>(from.rows + row * from.row_bytes + line * 4, from.row_bytes, bad,
                                           to, row * 4);
    }
  }
  const uint32_t rest = pack_rest(layout, lines, from, bad, tiled_rows, tiled_lines);
  return (found[0] | found[1] | found[2] | found[3] | rest) & bad.sign;
}

// Rows that are cut already: low halves to code lines, high bits to plane lines.
template <int kPlaneBits>
void pack_planes(const PackedLayout& layout, const CodeRows& from, std::byte* panel) {
  CodeRows planes = from;
  planes.rows += formats::nibble_row_bytes(layout.cols);
  pack_lines<4>(layout, false, from, panel);
  pack_lines<kPlaneBits>(layout, true, planes, panel);
}

// Rows of one byte a code.
template <int kPlaneBits>
void cut_and_pack(const PackedLayout& layout, const CodeRows& from, std::byte* panel) {
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
  pack_planes<kPlaneBits>(layout, {cut.data(), row_bytes, from.row_count}, panel);
}

}  // namespace

bool pack_codes(const PackedLayout& layout, const CodeRows& rows, bool are_cut, std::byte* panel) {
  switch (layout.code_bits) {
    case 4:
      return pack_lines<4>(layout, false, rows, panel) == 0;
    case 5:
      are_cut ? pack_planes<1>(layout, rows, panel) : cut_and_pack<1>(layout, rows, panel);
      return true;
    case 6:
      are_cut ? pack_planes<2>(layout, rows, panel) : cut_and_pack<2>(layout, rows, panel);
      return true;
    case 8:
      if (layout.scheme.codes == CodeKind::kE4m3) return pack_lines<8, true>(layout, false, rows, panel) == 0;
      return pack_lines<8>(layout, false, rows, panel) == 0;
    case 16:
      return pack_lines<16, true>(layout, false, rows, panel) == 0;
    default:
      return pack_lines<32, true>(layout, false, rows, panel) == 0;
  }
}

}  // namespace beryl::backend
