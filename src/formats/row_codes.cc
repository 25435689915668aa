// The part of RowReader that reads codes, one function for each order in which files lay them out.

#include <algorithm>
#include <array>
#include <cstring>

#include "base/checked_math.h"
#include "formats/ggml_blocks.h"
#include "formats/integer.h"
#include "formats/ranges.h"
#include "formats/row_reader.h"

namespace beryl::formats {
namespace {

// The first `bytes` (at most 4) bytes of a word. Four at a time is one store instead of a call.
void copy_word(std::byte* to, uint32_t word, int64_t bytes) {
  if (bytes == 4) {
    std::memcpy(to, &word, 4);
  } else {
    std::memcpy(to, &word, static_cast<size_t>(bytes));
  }
}

// Transposes 8 x 8 codes of 4 bits: word k, code n becomes word n, code k.
void transpose_nibbles(std::array<uint32_t, 8>& words) {
  const auto swap = [&](size_t a, size_t b, int shift, uint32_t mask) {
    const uint32_t difference = (words[a] >> shift ^ words[b]) & mask;
    words[b] ^= difference;
    words[a] ^= difference << shift;
  };
  for (size_t i = 0; i < 8; i += 2) swap(i, i + 1, 4, 0x0f0f0f0fU);
  for (const size_t i : {0U, 1U, 4U, 5U}) swap(i, i + 2, 8, 0x00ff00ffU);
  for (size_t i = 0; i < 4; ++i) swap(i, i + 4, 16, 0x0000ffffU);
}

}  // namespace

void RowReader::read_codes(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  switch (matrix_.code_order) {
    case CodeOrder::kRows:
      return read_code_rows(first_row, count, out);
    case CodeOrder::kRowsHighFirst:
      return read_high_first(first_row, count, out);
    case CodeOrder::kInputWords:
      return read_input_words(first_row, count, out);
    case CodeOrder::kOutputWords:
      return read_output_words(first_row, count, out);
  }
}

void RowReader::read_code_rows(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  const FileRange& range = matrix_.codes.range;
  const int64_t stride = static_cast<int64_t>(range.bytes) / matrix_.rows;
  const int64_t row_bytes = code_row_bytes();
  const int bits = code_bits(scheme_.codes);
  const bool is_stream = bits == 5 || bits == 6;
  const uint64_t offset = range.offset + static_cast<uint64_t>(first_row * stride);
  if (stride == row_bytes && !is_stream) {
    range.file->read(offset, out);
  } else {
    staging_.resize(static_cast<size_t>(count * stride));
    range.file->read(offset, staging_);
    for (int64_t row = 0; row < count; ++row) {
      const auto from =
          std::span(staging_).subspan(static_cast<size_t>(row * stride), static_cast<size_t>(stride));
      std::byte* to = out.data() + row * row_bytes;
      if (!is_stream) {
        std::memcpy(to, from.data(), static_cast<size_t>(row_bytes));
        continue;
      }
      for (int64_t k = 0; k < matrix_.cols; ++k) to[k] = static_cast<std::byte>(bit_field(from, k, bits));
    }
  }
  // Packed words hold signed bytes with 128 added.
  if (scheme_.codes == CodeKind::kI8 && matrix_.codes.dtype == DType::kI32) {
    for (std::byte& code : out) code ^= std::byte{0x80};
  }
}

void RowReader::read_high_first(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  const FileRange& range = matrix_.codes.range;
  const int64_t first_code = first_row * matrix_.cols;
  const int64_t first_byte = first_code / 2;
  staging_.resize(static_cast<size_t>(ceil_div(first_code + count * matrix_.cols, 2) - first_byte));
  range.file->read(range.offset + static_cast<uint64_t>(first_byte), staging_);
  if (matrix_.cols % 2 == 0) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = staging_[i] >> 4 | staging_[i] << 4;
    return;
  }
  std::fill(out.begin(), out.end(), std::byte{0});
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t k = 0; k < matrix_.cols; ++k) {
      const int64_t code = first_code % 2 + row * matrix_.cols + k;
      const std::byte pair = staging_[static_cast<size_t>(code / 2)];
      const std::byte value = code % 2 == 0 ? pair >> 4 : pair & std::byte{15};
      out[static_cast<size_t>(row * code_row_bytes() + k / 2)] |= k % 2 == 0 ? value : value << 4;
    }
  }
}

// Words of successive inputs are transposed in squares that stay in the first cache.
void RowReader::read_input_words(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  constexpr int64_t kSquare = 16;
  const int64_t row_bytes = code_row_bytes();
  const int64_t word_count = ceil_div(row_bytes, 4);
  std::vector<uint32_t>& words = words_;
  words.resize(static_cast<size_t>(word_count * count));
  for (int64_t word = 0; word < word_count; ++word) {
    const ElementRange part = slice(matrix_.codes, word * matrix_.rows + first_row, count);
    part.range.file->read(part.range.offset,
                          std::as_writable_bytes(std::span(words).subspan(static_cast<size_t>(word * count),
                                                                          static_cast<size_t>(count))));
  }
  for (int64_t row_begin = 0; row_begin < count; row_begin += kSquare) {
    const int64_t row_end = std::min(row_begin + kSquare, count);
    for (int64_t word = 0; word < word_count; ++word) {
      const int64_t bytes = std::min<int64_t>(4, row_bytes - word * 4);
      const uint32_t* from = words.data() + word * count;
      for (int64_t row = row_begin; row < row_end; ++row) {
        copy_word(out.data() + row * row_bytes + word * 4, from[row], bytes);
      }
    }
  }
}

void RowReader::read_output_words(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  const int64_t row_bytes = code_row_bytes();
  const int64_t words_per_input = matrix_.rows / 8;
  const int64_t first_word = first_row / 8;
  const int64_t word_count = ceil_div(first_row + count, 8) - first_word;
  words_.resize(static_cast<size_t>(matrix_.cols * word_count));
  for (int64_t k = 0; k < matrix_.cols; ++k) {
    const ElementRange part = slice(matrix_.codes, k * words_per_input + first_word, word_count);
    part.range.file->read(part.range.offset,
                          std::as_writable_bytes(std::span(words_).subspan(
                              static_cast<size_t>(k * word_count), static_cast<size_t>(word_count))));
  }
  for (int64_t word = 0; word < word_count; ++word) {
    for (int64_t k = 0; k < matrix_.cols; k += 8) {
      std::array<uint32_t, 8> square{};
      for (int64_t i = 0; i < std::min<int64_t>(8, matrix_.cols - k); ++i) {
        square[static_cast<size_t>(i)] = words_[static_cast<size_t>((k + i) * word_count + word)];
      }
      transpose_nibbles(square);
      const int64_t bytes = std::min<int64_t>(4, row_bytes - k / 2);
      for (int64_t place = 0; place < 8; ++place) {
        const int64_t row = (first_word + word) * 8 + place - first_row;
        if (row < 0 || row >= count) continue;
        copy_word(out.data() + row * row_bytes + k / 2, square[static_cast<size_t>(kAwqNibble[place])],
                  bytes);
      }
    }
  }
}

void RowReader::read_blocks(int64_t first_row, int64_t count, RowParts& out) {
  const DTypeBlock block = dtype_block(matrix_.codes.dtype);
  const int64_t blocks = matrix_.cols / block.elements;
  const FileRange& range = matrix_.codes.range;
  staging_.resize(static_cast<size_t>(count * blocks * block.bytes));
  range.file->read(range.offset + static_cast<uint64_t>(first_row * blocks * block.bytes), staging_);
  const int64_t groups = block.elements / scheme_.group;
  const int64_t code_bytes = code_row_bytes() / blocks;
  for (int64_t i = 0; i < count * blocks; ++i) {
    split_block(
        matrix_.format,
        std::span(staging_).subspan(static_cast<size_t>(i * block.bytes), static_cast<size_t>(block.bytes)),
        {.codes = out.codes.data() + i * code_bytes,
         .scales = out.scales.data() + i * groups,
         .minimums = out.minimums.data() + (out.minimums.empty() ? 0 : i * groups),
         .outer_scale = out.outer_scales.data() + (out.outer_scales.empty() ? 0 : i),
         .outer_minimum = out.outer_minimums.data() + (out.outer_minimums.empty() ? 0 : i)});
  }
}

}  // namespace beryl::formats
