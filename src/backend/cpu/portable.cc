// The portable kernels: plain loops over 16 lanes that any compiler vectorises for its baseline.

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "backend/cpu/kernels.h"

namespace beryl::backend {
namespace {

constexpr int64_t kTokenTile = 8;  // tokens that share one decoded block

using Lanes = std::array<float, kPanelRows>;
using Line = std::array<uint32_t, kPanelRows>;
using Block = std::array<Lanes, kBlockInputs>;  // [input of the block][row]

// Decoders of one line into the inputs that it holds. Codes are finite (checked when they were packed), so
// f16 and e4m3 need no special cases: shifted into float32's fields they are off by a power of two,
// subnormals too.
struct DecodeBf16 {
  static constexpr int64_t kCodes = 2;
  static void decode(const Line& line, Lanes* out) {
    for (size_t r = 0; r < kPanelRows; ++r) {
      out[0][r] = std::bit_cast<float>(line[r] << 16);
      out[1][r] = std::bit_cast<float>(line[r] & 0xffff0000U);
    }
  }
};

struct DecodeF16 {
  static constexpr int64_t kCodes = 2;
  static float value(uint32_t code) {
    return std::bit_cast<float>(((code & 0x8000U) << 16) | ((code & 0x7fffU) << 13)) * 0x1p112F;
  }
  static void decode(const Line& line, Lanes* out) {
    for (size_t r = 0; r < kPanelRows; ++r) {
      out[0][r] = value(line[r]);
      out[1][r] = value(line[r] >> 16);
    }
  }
};

struct DecodeF32 {
  static constexpr int64_t kCodes = 1;
  static void decode(const Line& line, Lanes* out) {
    for (size_t r = 0; r < kPanelRows; ++r) out[0][r] = std::bit_cast<float>(line[r]);
  }
};

struct DecodeE4m3 {
  static constexpr int64_t kCodes = 4;
  static float value(uint32_t code) {
    return std::bit_cast<float>(((code & 0x80U) << 24) | ((code & 0x7fU) << 20)) * 0x1p120F;
  }
  static void decode(const Line& line, Lanes* out) {
    for (size_t r = 0; r < kPanelRows; ++r) {
      out[0][r] = value(line[r]);
      out[1][r] = value(line[r] >> 8);
      out[2][r] = value(line[r] >> 16);
      out[3][r] = value(line[r] >> 24);
    }
  }
};

template <typename Decode>
void decode_block(const std::byte* panel, int64_t first_input, int64_t inputs, Block& block) {
  const int64_t first_line = first_input / Decode::kCodes;
  const int64_t lines = (inputs + Decode::kCodes - 1) / Decode::kCodes;
  for (int64_t i = 0; i < lines; ++i) {
    Line line;
    std::memcpy(line.data(), panel + (first_line + i) * kLineBytes, kLineBytes);
    Decode::decode(line, &block[static_cast<size_t>(i * Decode::kCodes)]);
  }
}

template <typename Decode>
void multiply(const PanelProduct& p) {
  const PackedLayout& layout = *p.layout;
  Lanes scales;
  scales.fill(1.0F);
  if (layout.has_scales) std::memcpy(scales.data(), p.panel + layout.lines * kLineBytes, sizeof(scales));
  for (int64_t first_token = 0; first_token < p.tokens; first_token += kTokenTile) {
    const int64_t tokens = std::min(kTokenTile, p.tokens - first_token);
    std::array<Lanes, kTokenTile> totals{};
    for (int64_t first_input = 0; first_input < layout.cols; first_input += kBlockInputs) {
      const int64_t inputs = std::min(kBlockInputs, layout.cols - first_input);
      Block block;
      decode_block<Decode>(p.panel, first_input, inputs, block);
      for (int64_t t = 0; t < tokens; ++t) {
        const float* x = p.x + (first_token + t) * p.x_stride + first_input;
        Lanes sums{};
        for (int64_t k = 0; k < inputs; ++k) {
          const Lanes& weights = block[static_cast<size_t>(k)];
          for (size_t r = 0; r < kPanelRows; ++r) sums[r] += weights[r] * x[k];
        }
        Lanes& total = totals[static_cast<size_t>(t)];
        for (size_t r = 0; r < kPanelRows; ++r) total[r] += sums[r];
      }
    }
    for (int64_t t = 0; t < tokens; ++t) {
      float* y = p.y + (first_token + t) * p.y_stride;
      for (size_t r = 0; r < kPanelRows; ++r) y[r] = totals[static_cast<size_t>(t)][r] * scales[r];
    }
  }
}

void multiply_panel(const PanelProduct& product) {
  switch (product.layout->format) {
    case formats::Format::kBf16:
      return multiply<DecodeBf16>(product);
    case formats::Format::kF16:
      return multiply<DecodeF16>(product);
    case formats::Format::kF32:
      return multiply<DecodeF32>(product);
    case formats::Format::kFp8E4m3:
      return multiply<DecodeE4m3>(product);
  }
}

template <typename Decode>
void decode(const PackedLayout& layout, const std::byte* panel, int64_t row, float* out) {
  float scale = 1.0F;
  if (layout.has_scales) std::memcpy(&scale, panel + layout.lines * kLineBytes + row * 4, sizeof(scale));
  Block block;
  for (int64_t first_input = 0; first_input < layout.cols; first_input += kBlockInputs) {
    const int64_t inputs = std::min(kBlockInputs, layout.cols - first_input);
    decode_block<Decode>(panel, first_input, inputs, block);
    for (int64_t k = 0; k < inputs; ++k) {
      out[first_input + k] = block[static_cast<size_t>(k)][static_cast<size_t>(row)] * scale;
    }
  }
}

void decode_row(const PackedLayout& layout, const std::byte* panel, int64_t row, float* out) {
  switch (layout.format) {
    case formats::Format::kBf16:
      return decode<DecodeBf16>(layout, panel, row, out);
    case formats::Format::kF16:
      return decode<DecodeF16>(layout, panel, row, out);
    case formats::Format::kF32:
      return decode<DecodeF32>(layout, panel, row, out);
    case formats::Format::kFp8E4m3:
      return decode<DecodeE4m3>(layout, panel, row, out);
  }
}

float dot(const float* a, const float* b, int64_t count) {
  Lanes sums{};
  int64_t i = 0;
  for (; i + kPanelRows <= count; i += kPanelRows) {
    for (int64_t r = 0; r < kPanelRows; ++r) sums[static_cast<size_t>(r)] += a[i + r] * b[i + r];
  }
  for (int64_t r = 0; i < count; ++i, ++r) sums[static_cast<size_t>(r)] += a[i] * b[i];
  for (size_t half = kPanelRows / 2; half >= 1; half /= 2) {
    for (size_t r = 0; r < half; ++r) sums[r] += sums[r + half];
  }
  return sums[0];
}

constexpr Kernels kPortable = {"portable", multiply_panel, decode_row, dot};

}  // namespace

const Kernels& portable_kernels() {
  return kPortable;
}

}  // namespace beryl::backend
