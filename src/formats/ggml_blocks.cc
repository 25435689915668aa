#include "formats/ggml_blocks.h"

#include <cstring>

#include "base/number_types.h"

namespace beryl::formats {
namespace {

uint32_t byte_at(std::span<const std::byte> block, size_t index) {
  return static_cast<uint32_t>(block[index]);
}

float f16_at(std::span<const std::byte> block, size_t offset) {
  uint16_t bits;
  std::memcpy(&bits, block.data() + offset, sizeof(bits));
  return f16_to_float(bits);
}

// 16 bytes whose halves are inputs j and j + 16, to two codes a byte in order.
void split_nibbles(std::span<const std::byte> bytes, std::byte* codes) {
  for (size_t i = 0; i < 16; i += 2) {
    const uint32_t a = byte_at(bytes, i);
    const uint32_t b = byte_at(bytes, i + 1);
    codes[i / 2] = static_cast<std::byte>((a & 15U) | (b & 15U) << 4);
    codes[8 + i / 2] = static_cast<std::byte>(a >> 4 | (b >> 4) << 4);
  }
}

// The same with a fifth bit each, to one code a byte.
void split_five_bits(std::span<const std::byte> bytes, uint32_t high_bits, std::byte* codes) {
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t byte = byte_at(bytes, i);
    codes[i] = static_cast<std::byte>((byte & 15U) | ((high_bits >> i) & 1U) << 4);
    codes[16 + i] = static_cast<std::byte>(byte >> 4 | ((high_bits >> (16 + i)) & 1U) << 4);
  }
}

void split_q5(std::span<const std::byte> block, size_t high_offset, std::byte* codes) {
  uint32_t high_bits;
  std::memcpy(&high_bits, block.data() + high_offset, sizeof(high_bits));
  split_five_bits(block.subspan(high_offset + 4), high_bits, codes);
}

// The 6-bit scales and minimums of eight groups, in 12 bytes.
void split_k_scales(std::span<const std::byte> packed, float* scales, float* minimums) {
  for (size_t j = 0; j < 4; ++j) {
    const uint32_t a = byte_at(packed, j);
    const uint32_t b = byte_at(packed, j + 4);
    const uint32_t c = byte_at(packed, j + 8);
    scales[j] = static_cast<float>(a & 63U);
    minimums[j] = static_cast<float>(b & 63U);
    scales[j + 4] = static_cast<float>((c & 15U) | (a >> 6) << 4);
    minimums[j + 4] = static_cast<float>(c >> 4 | (b >> 6) << 4);
  }
}

void split_q4_k(std::span<const std::byte> block, const BlockParts& out) {
  const auto bytes = block.subspan(16);
  for (size_t pair = 0; pair < 4; ++pair) {  // 32 bytes hold two groups: low halves, high halves
    for (size_t i = 0; i < 32; i += 2) {
      const uint32_t a = byte_at(bytes, pair * 32 + i);
      const uint32_t b = byte_at(bytes, pair * 32 + i + 1);
      out.codes[pair * 32 + i / 2] = static_cast<std::byte>((a & 15U) | (b & 15U) << 4);
      out.codes[pair * 32 + 16 + i / 2] = static_cast<std::byte>(a >> 4 | (b >> 4) << 4);
    }
  }
}

void split_q5_k(std::span<const std::byte> block, const BlockParts& out) {
  const auto high = block.subspan(16, 32);
  const auto bytes = block.subspan(48);
  for (size_t pair = 0; pair < 4; ++pair) {
    for (size_t i = 0; i < 32; ++i) {
      const uint32_t byte = byte_at(bytes, pair * 32 + i);
      const uint32_t bits = byte_at(high, i) >> (2 * pair);
      out.codes[pair * 64 + i] = static_cast<std::byte>((byte & 15U) | (bits & 1U) << 4);
      out.codes[pair * 64 + 32 + i] = static_cast<std::byte>(byte >> 4 | (bits & 2U) << 3);
    }
  }
}

void split_q6_k(std::span<const std::byte> block, const BlockParts& out) {
  for (size_t half = 0; half < 2; ++half) {
    const auto low = block.subspan(64 * half, 64);
    const auto high = block.subspan(128 + 32 * half, 32);
    for (size_t i = 0; i < 32; ++i) {
      const uint32_t a = byte_at(low, i);
      const uint32_t b = byte_at(low, 32 + i);
      const uint32_t c = byte_at(high, i);
      std::byte* to = out.codes + 128 * half + i;
      to[0] = static_cast<std::byte>((a & 15U) | (c & 3U) << 4);
      to[32] = static_cast<std::byte>((b & 15U) | (c >> 2 & 3U) << 4);
      to[64] = static_cast<std::byte>(a >> 4 | (c >> 4 & 3U) << 4);
      to[96] = static_cast<std::byte>(b >> 4 | (c >> 6 & 3U) << 4);
    }
  }
  for (size_t group = 0; group < 16; ++group) {
    out.scales[group] = static_cast<float>(static_cast<int8_t>(byte_at(block, 192 + group)));
  }
  *out.outer_scale = f16_at(block, 208);
}

}  // namespace

bool is_block_format(Format format) {
  return format >= Format::kQ4_0 && format <= Format::kQ6K;
}

void split_block(Format format, std::span<const std::byte> block, const BlockParts& out) {
  switch (format) {
    case Format::kQ4_0:
      *out.scales = f16_at(block, 0);
      return split_nibbles(block.subspan(2), out.codes);
    case Format::kQ4_1:
      *out.scales = f16_at(block, 0);
      *out.minimums = f16_at(block, 2);
      return split_nibbles(block.subspan(4), out.codes);
    case Format::kQ5_0:
      *out.scales = f16_at(block, 0);
      return split_q5(block, 2, out.codes);
    case Format::kQ5_1:
      *out.scales = f16_at(block, 0);
      *out.minimums = f16_at(block, 2);
      return split_q5(block, 4, out.codes);
    case Format::kQ8_0:
      *out.scales = f16_at(block, 0);
      std::memcpy(out.codes, block.data() + 2, 32);
      return;
    case Format::kQ4K:
    case Format::kQ5K:
      *out.outer_scale = f16_at(block, 0);
      *out.outer_minimum = -f16_at(block, 2);
      split_k_scales(block.subspan(4, 12), out.scales, out.minimums);
      return format == Format::kQ4K ? split_q4_k(block, out) : split_q5_k(block, out);
    case Format::kQ6K:
      return split_q6_k(block, out);
    default:
      return;
  }
}

}  // namespace beryl::formats
