#include "backend/cpu/made_up.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace beryl::backend {
namespace {

using formats::CodeKind;
using formats::RowParts;
using formats::ScaleKind;

// SplitMix64: fast, and good enough for weights.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x2545f4914f6cdd1dULL + 1) {}
  uint64_t next() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
  }

 private:
  uint64_t state_;
};

// Random bits become codes by keeping those of `keep` and setting those of `set`, in a whole word of codes.
struct CodePattern {
  uint64_t keep = ~uint64_t{0};
  uint64_t set = 0;
};

constexpr uint64_t kEach8 = 0x0101010101010101ULL;
constexpr uint64_t kEach16 = 0x0001000100010001ULL;
constexpr uint64_t kEach32 = 0x0000000100000001ULL;

// Codes with an exponent: any sign and mantissa, and one of the two binades around `size`. The exponent's
// lowest bit is kept, so the others are set for an even exponent.
CodePattern around(double size, int exponent_bits, int mantissa_bits, uint64_t each) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = std::max(0, (std::ilogb(size) - 1 + bias) & ~1);
  const auto field = ((uint64_t{1} << (exponent_bits - 1)) - 1) << (mantissa_bits + 1);
  return {.keep = ~(field * each), .set = (static_cast<uint64_t>(exponent) << mantissa_bits) * each};
}

CodePattern pattern_of(CodeKind kind, double size) {
  switch (kind) {
    case CodeKind::kBf16:
      return around(size, 8, 7, kEach16);
    case CodeKind::kF16:
      return around(size, 5, 10, kEach16);
    case CodeKind::kF32:
      return around(size, 8, 23, kEach32);
    case CodeKind::kE4m3:
      return {.keep = 0x8f * kEach8, .set = 0x30 * kEach8};  // 0.5 and above, below 2: subnormals are rare
    case CodeKind::kI5:
    case CodeKind::kU5:
      return {.keep = 0x1f * kEach8};
    case CodeKind::kI6:
    case CodeKind::kU6:
      return {.keep = 0x3f * kEach8};
    default:
      return {};
  }
}

// Halfway between the codes of kinds that count from zero.
float middle_of(CodeKind kind) {
  const bool counts_from_zero =
      kind == CodeKind::kU4 || kind == CodeKind::kU5 || kind == CodeKind::kU6 || kind == CodeKind::kU8;
  return counts_from_zero ? static_cast<float>(1 << (formats::code_bits(kind) - 1)) : 0.0F;
}

// Root mean square of the codes, from their middle; 1 for kinds that carry their size in the code.
double root_mean_square(CodeKind kind) {
  const std::span<const float> values = formats::code_values(kind);
  if (values.empty()) return 1;
  const CodePattern pattern = pattern_of(kind, 1);
  double sum = 0;
  int64_t count = 0;
  for (size_t code = 0; code < values.size(); ++code) {
    if ((((code & pattern.keep) | pattern.set) & 0xff) != code) continue;
    sum += std::pow(values[code] - middle_of(kind), 2);
    ++count;
  }
  return std::sqrt(sum / static_cast<double>(count));
}

// A few numbers that a kind holds exactly, in size around `unit`, a power of two.
struct Numbers {
  std::array<float, 4> values;
};

bool is_integer(ScaleKind kind) {
  return kind == ScaleKind::kU8 || kind == ScaleKind::kI8;
}

Numbers numbers_around(ScaleKind kind, float unit) {
  if (is_integer(kind)) return {{unit, unit + 2, unit + 4, unit + 8}};
  if (kind == ScaleKind::kE8m0) return {{unit, unit, unit / 2, unit * 2}};
  return {{unit, unit * 1.25F, unit * 1.5F, unit * 1.75F}};
}

void fill(std::vector<float>& values, int64_t count, const Numbers& numbers, Random& random) {
  values.resize(static_cast<size_t>(count));
  uint64_t bits = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % 32 == 0) bits = random.next();
    values[i] = numbers.values[bits & 3];
    bits >>= 2;
  }
}

void fill(std::vector<float>& values, int64_t count, float value) {
  values.assign(static_cast<size_t>(count), value);
}

void fill_codes(std::vector<std::byte>& codes, int64_t bytes, const CodePattern& pattern, Random& random) {
  codes.resize(static_cast<size_t>(bytes));
  for (size_t at = 0; at < codes.size(); at += sizeof(uint64_t)) {
    const uint64_t word = (random.next() & pattern.keep) | pattern.set;
    std::memcpy(codes.data() + at, &word, std::min(sizeof(word), codes.size() - at));
  }
}

}  // namespace

int64_t made_up_row_bytes(const PackedLayout& layout) {
  if (layout.code_bits == 4) return (layout.cols + 1) / 2;
  return layout.cols * std::max<int64_t>(1, layout.code_bits / 8);
}

void make_up_rows(const PackedLayout& layout, int64_t rows, uint64_t seed, RowParts& out) {
  const formats::Scheme& scheme = layout.scheme;
  Random random(seed);
  const double size = 1 / std::sqrt(static_cast<double>(layout.cols));
  out.rows = rows;
  fill_codes(out.codes, rows * made_up_row_bytes(layout), pattern_of(scheme.codes, size), random);

  const float scale = std::ldexp(1.0F, std::ilogb(size / root_mean_square(scheme.codes)));
  const bool has_outer = scheme.outer != ScaleKind::kNone;
  const bool has_inner = scheme.scale != ScaleKind::kNone;
  // The size of a weight is the work of the outer scales where there are some.
  const float integer_unit = is_integer(scheme.scale) ? 16.0F : 1.0F;
  const float unit = has_outer ? integer_unit : scale;
  const float middle = middle_of(scheme.codes);
  const int64_t numbers = rows * layout.groups;
  const int64_t outer_numbers = rows * layout.outer_groups;
  const Numbers scales = numbers_around(scheme.scale, unit);
  fill(out.scales, has_inner ? numbers : 0, scales, random);
  fill(out.zeros, scheme.has_zeros ? numbers : 0, middle);
  out.minimums.clear();
  if (scheme.minimum != ScaleKind::kNone) {
    // What moves the middle of the codes to zero; the outer minimum is the rest of it, if there is one.
    const float factor = scheme.has_outer_minimum ? 1.0F : -middle;
    for (const float number : out.scales) out.minimums.push_back(number * factor);
  }
  const float outer = has_inner ? scale / integer_unit : scale;
  fill(out.outer_scales, has_outer ? outer_numbers : 0, outer);
  fill(out.outer_minimums, scheme.has_outer_minimum ? outer_numbers : 0, -middle * outer);
}

}  // namespace beryl::backend
