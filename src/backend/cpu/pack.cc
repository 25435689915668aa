#include "backend/cpu/pack.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace beryl::backend {
namespace {

// GCC and clang vector types: SSE2 on x86-64, NEON on AArch64, plain code elsewhere.
using Words = uint32_t __attribute__((vector_size(16)));

constexpr int64_t kTile = 4;

Words load_words(const std::byte* from) {
  Words words;
  std::memcpy(&words, from, sizeof(words));
  return words;
}

void store_words(std::byte* to, Words words) {
  std::memcpy(to, &words, sizeof(words));
}

// The bits that are all set exactly in codes that are infinite or NaN, in every code of a word.
struct NonFinite {
  uint32_t mask;
  // Added to the masked code, carries into the code's sign bit if and only if all bits of the mask are set.
  uint32_t carry;
  uint32_t sign;
};

constexpr NonFinite non_finite(formats::Format format) {
  switch (format) {
    case formats::Format::kBf16:
      return {0x7f807f80U, 0x00800080U, 0x80008000U};
    case formats::Format::kF16:
      return {0x7c007c00U, 0x04000400U, 0x80008000U};
    case formats::Format::kF32:
      return {0x7f800000U, 0x00800000U, 0x80000000U};
    case formats::Format::kFp8E4m3:
      return {0x7f7f7f7fU, 0x01010101U, 0x80808080U};
  }
  return {};
}

// Transposes four rows of four words into four lines, and collects the sign bits of non-finite codes.
Words pack_tile(const std::byte* rows, int64_t row_bytes, const NonFinite& bad, std::byte* lines) {
  const Words a = load_words(rows);
  const Words b = load_words(rows + row_bytes);
  const Words c = load_words(rows + 2 * row_bytes);
  const Words d = load_words(rows + 3 * row_bytes);
  const Words mask = Words{} + bad.mask;
  const Words found = ((a & mask) + bad.carry) | ((b & mask) + bad.carry) | ((c & mask) + bad.carry) |
                      ((d & mask) + bad.carry);
  const Words ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Words ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Words cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Words cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  store_words(lines, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
  store_words(lines + kLineBytes, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
  store_words(lines + 2 * kLineBytes, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
  store_words(lines + 3 * kLineBytes, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
  return found;
}

}  // namespace

bool pack_panel(const PackedLayout& layout, std::span<const std::byte> rows, std::byte* panel) {
  const int64_t row_bytes = layout.cols * layout.code_bytes;
  if (row_bytes == 0) return true;
  const int64_t row_count = static_cast<int64_t>(rows.size()) / row_bytes;
  BERYL_CHECK(row_count >= 1 && row_count <= kPanelRows);
  const NonFinite bad = non_finite(layout.format);

  // Whole tiles of 4 rows x 4 words; what remains at the right and bottom edges goes word by word.
  const int64_t tiled_rows = row_count / kTile * kTile;
  const int64_t tiled_lines = row_bytes / (4 * kTile) * kTile;
  Words found{};
  for (int64_t line = 0; line < tiled_lines; line += kTile) {
    for (int64_t row = 0; row < tiled_rows; row += kTile) {
      found |= pack_tile(rows.data() + row * row_bytes + line * 4, row_bytes, bad,
                         panel + line * kLineBytes + row * 4);
    }
  }
  uint32_t found_word = found[0] | found[1] | found[2] | found[3];
  for (int64_t row = 0; row < kPanelRows; ++row) {
    for (int64_t line = row < tiled_rows ? tiled_lines : 0; line < layout.lines; ++line) {
      uint32_t word = 0;
      if (row < row_count) {
        const int64_t bytes = std::min<int64_t>(4, row_bytes - line * 4);
        std::memcpy(&word, rows.data() + row * row_bytes + line * 4, static_cast<size_t>(bytes));
      }
      found_word |= (word & bad.mask) + bad.carry;
      std::memcpy(panel + line * kLineBytes + row * 4, &word, sizeof(word));
    }
  }
  return (found_word & bad.sign) == 0;
}

void pack_scales(const PackedLayout& layout, std::span<const float> row_scales, std::byte* panel) {
  std::array<float, kPanelRows> scales{};
  for (size_t row = 0; row < row_scales.size(); ++row) scales[row] = row_scales[row];
  std::memcpy(panel + layout.lines * kLineBytes, scales.data(), sizeof(scales));
}

}  // namespace beryl::backend
