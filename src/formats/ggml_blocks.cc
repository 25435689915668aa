#include "formats/ggml_blocks.h"

#include <cstring>

#include "formats/plain.h"
#include "formats/word_tiles.h"

namespace beryl::formats {
namespace {

// Each of 16 bits to bit 4 of a byte.
Longs fifth_bits(uint32_t bits) {
  constexpr uint64_t kEach = 0x0101010101010101ULL;
  Longs each = {(bits & 0xffU) * kEach, (bits >> 8 & 0xffU) * kEach};
  each &= 0x8040201008040201ULL;
  return (each + 0x7f7f7f7f7f7f7f7fULL) >> 3 & 0x1010101010101010ULL;
}

// 16 bytes whose low halves are that many codes and whose high halves are the next ones, with a fifth bit for
// each, to one code a byte.
void split_five_bits(const std::byte* bytes, uint32_t high_bits, std::byte* codes) {
  constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0fULL;
  const auto pairs = load_word<Longs>(bytes);
  store_words(codes, (pairs & kLow) | fifth_bits(high_bits));
  store_words(codes + sizeof(pairs), (pairs >> 4 & kLow) | fifth_bits(high_bits >> 16));
}

// Bytes as numbers.
template <typename Number>
void widen(const std::byte* bytes, size_t count, float* to) {
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<float>(static_cast<Number>(bytes[i]));
}

// The 6-bit scales and minimums of eight groups, in 12 bytes.
void split_k_scales(const std::byte* packed, std::byte* scales, std::byte* minimums) {
  const auto a = load_word<uint32_t>(packed);
  const auto b = load_word<uint32_t>(packed + 4);
  const auto c = load_word<uint32_t>(packed + 8);
  store_words(scales, a & 0x3f3f3f3fU);
  store_words(minimums, b & 0x3f3f3f3fU);
  store_words(scales + 4, (c & 0x0f0f0f0fU) | (a >> 2 & 0x30303030U));
  store_words(minimums + 4, (c >> 4 & 0x0f0f0f0fU) | (b >> 2 & 0x30303030U));
}

void split_q5_k(const std::byte* block, std::byte* codes) {
  // Plain loops over bytes that do not overlap, which compilers turn into vector instructions.
  const std::byte* high = block + 16;
  for (size_t pair = 0; pair < 4; ++pair) {  // 32 bytes hold two groups: low halves, high halves
    const std::byte* bytes = block + 48 + 32 * pair;
    std::byte to[64];
    for (size_t i = 0; i < 32; ++i) {
      const std::byte bits = high[i] >> (2 * pair);
      to[i] = (bytes[i] & std::byte{15}) | (bits & std::byte{1}) << 4;
      to[32 + i] = bytes[i] >> 4 | (bits & std::byte{2}) << 3;
    }
    std::memcpy(codes + 64 * pair, to, sizeof(to));
  }
}

void split_q6_k(const std::byte* block, std::byte* codes) {
  constexpr std::byte kLow{15};
  constexpr std::byte kHigh{0x30};
  for (size_t half = 0; half < 2; ++half) {
    const std::byte* low = block + 64 * half;
    const std::byte* high = block + 128 + 32 * half;
    std::byte to[128];
    for (size_t i = 0; i < 32; ++i) {
      to[i] = (low[i] & kLow) | (high[i] << 4 & kHigh);
      to[32 + i] = (low[32 + i] & kLow) | (high[i] << 2 & kHigh);
      to[64 + i] = low[i] >> 4 | (high[i] & kHigh);
      to[96 + i] = low[32 + i] >> 4 | (high[i] >> 2 & kHigh);
    }
    std::memcpy(codes + 128 * half, to, sizeof(to));
  }
}

// Cuts the codes of blocks of 5 and 6 bits.
void cut_blocks(const CodeMoves& moves, Format format, std::span<const std::byte> blocks,
                const BlockParts& out) {
  const auto count = [&](size_t block_bytes) { return static_cast<int64_t>(blocks.size() / block_bytes); };
  const auto cut_five = [&](size_t block_bytes, size_t bits) {
    moves.split_16(blocks.data() + bits + 4, static_cast<int64_t>(block_bytes), count(block_bytes),
                   out.codes);
    for (size_t i = 0; i < blocks.size() / block_bytes; ++i) {
      std::memcpy(out.planes + 4 * i, blocks.data() + i * block_bytes + bits, 4);
    }
  };
  switch (format) {
    case Format::kQ5_0:
      return cut_five(22, 2);
    case Format::kQ5_1:
      return cut_five(24, 4);
    case Format::kQ5K:
      return moves.cut_q5_k(blocks.data(), count(176), out.codes, out.planes);
    default:
      return moves.cut_q6_k(blocks.data(), count(210), out.codes, out.planes);
  }
}

// The float16 at byte kOffset of each block.
template <size_t kBlock, size_t kOffset>
void read_f16(std::span<const std::byte> blocks, float* to, float factor = 1) {
  for (size_t i = 0; i < blocks.size() / kBlock; ++i) {
    to[i] = factor * widen_f16(load_word<uint16_t>(blocks.data() + i * kBlock + kOffset));
  }
}

// Calls split(block, codes) for all blocks, each of which has kCodes bytes of codes.
template <size_t kBlock, size_t kCodes, typename Split>
void split_codes(std::span<const std::byte> blocks, std::byte* codes, Split split) {
  for (size_t i = 0; i < blocks.size() / kBlock; ++i) {
    split(blocks.data() + i * kBlock, codes + i * kCodes);
  }
}

template <size_t kBlock>
void split_k(std::span<const std::byte> blocks, const BlockParts& out) {
  read_f16<kBlock, 0>(blocks, out.outer_scales);
  read_f16<kBlock, 2>(blocks, out.outer_minimums, -1);
  for (size_t i = 0; i < blocks.size() / kBlock; ++i) {
    const std::byte* packed = blocks.data() + i * kBlock + 4;
    if (out.scale_bytes != nullptr) {
      split_k_scales(packed, out.scale_bytes + 8 * i, out.minimum_bytes + 8 * i);
      continue;
    }
    std::byte scales[8];
    std::byte minimums[8];
    split_k_scales(packed, scales, minimums);
    widen<uint8_t>(scales, 8, out.scales + 8 * i);
    widen<uint8_t>(minimums, 8, out.minimums + 8 * i);
  }
}

void split_q6_k_numbers(std::span<const std::byte> blocks, const BlockParts& out) {
  read_f16<210, 208>(blocks, out.outer_scales);
  for (size_t i = 0; i < blocks.size() / 210; ++i) {
    const std::byte* scales = blocks.data() + i * 210 + 192;
    if (out.scale_bytes != nullptr) {
      std::memcpy(out.scale_bytes + 16 * i, scales, 16);
    } else {
      widen<int8_t>(scales, 16, out.scales + 16 * i);
    }
  }
}

}  // namespace

bool is_block_format(Format format) {
  return format >= Format::kQ4_0 && format <= Format::kQ6K;
}

void split_blocks(const CodeMoves& moves, Format format, std::span<const std::byte> blocks,
                  const BlockParts& out) {
  const auto bytes = static_cast<int64_t>(blocks.size());
  using Block = const std::byte*;
  switch (format) {
    case Format::kQ4_0:
      read_f16<18, 0>(blocks, out.scales);
      return moves.split_16(blocks.data() + 2, 18, bytes / 18, out.codes);
    case Format::kQ4_1:
      read_f16<20, 0>(blocks, out.scales);
      read_f16<20, 2>(blocks, out.minimums);
      return moves.split_16(blocks.data() + 4, 20, bytes / 20, out.codes);
    case Format::kQ5_0:
      read_f16<22, 0>(blocks, out.scales);
      if (out.planes != nullptr) return cut_blocks(moves, format, blocks, out);
      return split_codes<22, 32>(blocks, out.codes, [](Block block, std::byte* to) {
        split_five_bits(block + 6, load_word<uint32_t>(block + 2), to);
      });
    case Format::kQ5_1:
      read_f16<24, 0>(blocks, out.scales);
      read_f16<24, 2>(blocks, out.minimums);
      if (out.planes != nullptr) return cut_blocks(moves, format, blocks, out);
      return split_codes<24, 32>(blocks, out.codes, [](Block block, std::byte* to) {
        split_five_bits(block + 8, load_word<uint32_t>(block + 4), to);
      });
    case Format::kQ8_0:
      read_f16<34, 0>(blocks, out.scales);
      return split_codes<34, 32>(blocks, out.codes,
                                 [](Block block, std::byte* to) { std::memcpy(to, block + 2, 32); });
    case Format::kQ4K:
      split_k<144>(blocks, out);
      return moves.split_128(blocks.data() + 16, 144, bytes / 144, out.codes);
    case Format::kQ5K:
      split_k<176>(blocks, out);
      if (out.planes != nullptr) return cut_blocks(moves, format, blocks, out);
      return split_codes<176, 256>(blocks, out.codes, split_q5_k);
    case Format::kQ6K:
      split_q6_k_numbers(blocks, out);
      if (out.planes != nullptr) return cut_blocks(moves, format, blocks, out);
      return split_codes<210, 256>(blocks, out.codes, split_q6_k);
    default:
      return;
  }
}

}  // namespace beryl::formats
