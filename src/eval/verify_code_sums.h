// Sums over the codes of a group, by a table: one look-up adds a byte, be it one code or two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "formats/scheme.h"

namespace beryl::eval {

// What some codes add to their group. A code that is not a number counts as zero and makes high() infinite.
struct CodeSums {
  using Lanes = float __attribute__((vector_size(16)));
  static constexpr float kNone = -std::numeric_limits<float>::infinity();

  Lanes sums = {0, 0, 0, 0};                   // values, squares, -, -
  Lanes peaks = {kNone, kNone, kNone, kNone};  // -, -, -lowest, highest

  void add(const CodeSums& other) {
    sums += other.sums;
    peaks = other.peaks > peaks ? other.peaks : peaks;
  }
  // `entry` is {value, square, -lowest, highest}.
  void add(const Lanes& entry) {
    sums += entry;
    peaks = entry > peaks ? entry : peaks;
  }
  float sum() const { return sums[0]; }
  float squares() const { return sums[1]; }
  float low() const { return -peaks[2]; }
  float high() const { return peaks[3]; }
};

class CodeTable {
 public:
  // Of a kind of at most 8 bits.
  explicit CodeTable(formats::CodeKind kind);

  // `count` codes from code `first` of a row on; of 4 bits, `first` is even and two share a byte.
  CodeSums sum(const std::byte* row, int64_t first, int64_t count) const;

 private:
  bool is_nibbles_;
  std::array<CodeSums::Lanes, 256> entries_;
  std::array<CodeSums::Lanes, 16> single_;
};

// Of plain values; sum() is not filled. Where one is not finite, squares() is not either.
CodeSums sum_values(std::span<const float> values);

}  // namespace beryl::eval
