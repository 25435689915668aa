// Random weights of every format, published and packed, with their exact values.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/pack.h"
#include "backend/cpu/packed_matrix.h"
#include "formats/fp8.h"
#include "formats/plain.h"

namespace beryl::backend {

inline constexpr formats::Format kAllFormats[] = {formats::Format::kBf16, formats::Format::kF16,
                                                  formats::Format::kF32, formats::Format::kFp8E4m3};

inline formats::DType dtype_of(formats::Format format) {
  switch (format) {
    case formats::Format::kBf16:
      return formats::DType::kBf16;
    case formats::Format::kF16:
      return formats::DType::kF16;
    case formats::Format::kF32:
      return formats::DType::kF32;
    case formats::Format::kFp8E4m3:
      return formats::DType::kF8E4M3;
  }
  return {};
}

// A random finite code: mostly of ordinary size, one in eight a zero, subnormal or (8 and 16 bits wide with a
// small exponent field) any code at all, the largest included.
inline uint32_t random_code(formats::Format format, std::mt19937& random) {
  const uint32_t bits = static_cast<uint32_t>(random());
  const bool is_special = random() % 8 == 0;
  switch (format) {
    case formats::Format::kFp8E4m3:
      return (bits & 0x7fU) == 0x7f ? 0x80U : bits & 0xffU;
    case formats::Format::kF16:
      return (bits & 0x7c00U) == 0x7c00U ? bits & 0x83ffU : bits & 0xffffU;
    case formats::Format::kBf16:
      return is_special ? bits & 0x807fU : (bits & 0x807fU) | ((119 + bits % 16) << 7);
    case formats::Format::kF32:
      return is_special ? bits & 0x807fffffU : (bits & 0x807fffffU) | ((119 + bits % 16) << 23);
  }
  return 0;
}

struct PackedForTests {
  PackedForTests(formats::Format format, bool has_scales, int64_t rows, int64_t cols, uint32_t seed)
      : layout(format, has_scales, rows, cols) {
    std::mt19937 random(seed);
    std::vector<uint32_t> list(static_cast<size_t>(rows * cols));
    for (uint32_t& code : list) code = random_code(format, random);
    if (has_scales) {
      for (int64_t row = 0; row < rows; ++row) {
        scales.push_back(std::uniform_real_distribution<float>(1e-3F, 2)(random));
      }
    }
    set_codes(list);
  }

  // Takes [rows, cols] codes, decodes and packs them.
  void set_codes(std::span<const uint32_t> list) {
    const auto code_bytes = static_cast<size_t>(layout.code_bytes);
    codes.resize(list.size() * code_bytes);
    for (size_t i = 0; i < list.size(); ++i) std::memcpy(&codes[i * code_bytes], &list[i], code_bytes);
    values.resize(list.size());
    if (layout.format == formats::Format::kFp8E4m3) {
      formats::decode_fp8_row(codes, 1.0F, values);
    } else {
      formats::decode_plain(dtype_of(layout.format), codes, values);
    }
    pack();
  }

  // What the file holds of rows [begin, end).
  std::span<const std::byte> row_codes(int64_t begin, int64_t end) const {
    const auto row_bytes = static_cast<size_t>(layout.cols * layout.code_bytes);
    return std::span(codes).subspan(static_cast<size_t>(begin) * row_bytes,
                                    static_cast<size_t>(end - begin) * row_bytes);
  }

  float value(int64_t row, int64_t col) const { return values[static_cast<size_t>(row * layout.cols + col)]; }
  float scale(int64_t row) const { return scales.empty() ? 1.0F : scales[static_cast<size_t>(row)]; }
  const std::byte* panel(int64_t index) const { return packed.data() + index * layout.panel_bytes; }
  // The sanitizers' view of the packed bytes ends where the matrix does.
  PackedMatrix matrix() { return PackedMatrix(layout, packed.data()); }

  PackedLayout layout;
  std::vector<std::byte> codes;   // [rows, cols], as in a file
  std::vector<float> scales;      // [rows], or empty
  std::vector<float> values;      // [rows, cols] without scales
  std::vector<std::byte> packed;  // what pack_panel() and pack_scales() made of them
  bool is_finite = true;

 private:
  void pack() {
    // Not zero beforehand: padding must be written.
    packed.assign(layout.bytes(), std::byte{0x5a});
    is_finite = true;
    for (int64_t panel = 0; panel < layout.panels; ++panel) {
      const int64_t begin = panel * kPanelRows;
      const int64_t end = std::min(begin + kPanelRows, layout.rows);
      std::byte* to = packed.data() + panel * layout.panel_bytes;
      is_finite &= pack_panel(layout, row_codes(begin, end), to);
      if (layout.has_scales) {
        pack_scales(layout,
                    std::span(scales).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                    to);
      }
    }
  }
};

// Numbers of ordinary size, both signs.
inline std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// The name of a format as part of a test's name.
inline std::string format_test_name(formats::Format format) {
  return format == formats::Format::kFp8E4m3 ? "fp8" : std::string(formats::format_name(format));
}

}  // namespace beryl::backend
