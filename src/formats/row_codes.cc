// The part of RowReader that reads codes, one function for each order in which files lay them out.

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/checked_math.h"
#include "formats/ggml_blocks.h"
#include "formats/integer.h"
#include "formats/planes.h"
#include "formats/ranges.h"
#include "formats/row_reader.h"
#include "formats/word_tiles.h"

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

// Twice eight codes of kBits bits that follow each other, to a byte each: halves move apart, then quarters,
// ...
template <int kBits>
Longs spread(Longs codes) {
  constexpr auto kLow = [](int bits) { return (uint64_t{1} << bits) - 1; };
  constexpr uint64_t kHalf = kLow(4 * kBits);
  constexpr uint64_t kQuarter = kLow(2 * kBits) * 0x0000000100000001ULL;
  constexpr uint64_t kOne = kLow(kBits) * 0x0001000100010001ULL;
  codes = (codes & kHalf) | (codes >> (4 * kBits) & kHalf) << 32;
  codes = (codes & kQuarter) | (codes & kQuarter << (2 * kBits)) << (16 - 2 * kBits);
  return (codes & kOne) | (codes & kOne << kBits) << (8 - kBits);
}

template <int kBits>
void spread_row(std::span<const std::byte> from, std::span<std::byte> to) {
  // Whole words are read as long as they end within the row.
  constexpr size_t kRead = kBits + 8;
  const size_t pairs =
      from.size() < kRead ? 0 : std::min(to.size() / 16, (from.size() - kRead) / (2 * kBits) + 1);
  const std::byte* source = from.data();
  std::byte* target = to.data();
  for (size_t i = 0; i < pairs; ++i) {
    const Longs codes = {load_word<uint64_t>(source), load_word<uint64_t>(source + kBits)};
    store_words(target, spread<kBits>(codes));
    source += 2 * kBits;
    target += 16;
  }
  for (size_t k = pairs * 16; k < to.size(); ++k) {
    to[k] = static_cast<std::byte>(bit_field(from, static_cast<int64_t>(k), kBits));
  }
}

// Swaps the halves of bytes.
void swap_nibbles(std::span<const std::byte> from, std::span<std::byte> to) {
  const std::byte* source = from.data();
  std::byte* target = to.data();
  for (size_t i = 0; i < to.size(); ++i) target[i] = source[i] >> 4 | source[i] << 4;
}

// 32 inputs of four words of eight rows each, in AWQ's order, to 16 bytes of each of the 32 rows. `step` is
// the number of words from one input to the next.
void turn_output_tile(const uint32_t* words, int64_t step, std::byte* rows, int64_t row_bytes) {
  std::array<std::array<Words, 8>, kTile> squares;
  for (std::array<Words, 8>& square : squares) {
    for (Words& one : square) {
      one = load_words(words);
      words += step;
    }
    transpose_codes<4>(square);
  }
  for (int64_t place = 0; place < 8; ++place) {
    const auto at = static_cast<size_t>(kAwqNibble[place]);
    const auto turned = transpose_words(squares[0][at], squares[1][at], squares[2][at], squares[3][at]);
    for (int64_t word = 0; word < kTile; ++word) {
      store_words(rows + (word * 8 + place) * row_bytes, turned[static_cast<size_t>(word)]);
    }
  }
}

}  // namespace

void RowReader::read_codes(int64_t first_row, int64_t count, std::vector<std::byte>& out, CodeShape shape) {
  const int bits = code_bits(scheme_.codes);
  if (bits == 5 || bits == 6) return read_bit_stream(first_row, count, out, shape);
  if (shape == CodeShape::kColumns) return read_columns(first_row, count, out);
  switch (matrix_->code_order) {
    case CodeOrder::kRows:
      return read_code_rows(first_row, count, out);
    case CodeOrder::kRowsHighFirst:
      return read_high_first(first_row, count, out);
    case CodeOrder::kInputWords:
      return read_input_words(first_row, count, out);
    case CodeOrder::kOutputWords:
      return read_output_rows(first_row, count, out);
  }
}

CodeShape RowReader::packing_shape(int64_t first_row, int64_t count) const {
  const int64_t word_inputs = 32 / std::max(4, code_bits(scheme_.codes));
  const bool has_whole_words =
      matrix_->cols % word_inputs == 0 && (groups_ <= 1 || scheme_.group % word_inputs == 0);
  const bool is_by_outputs = matrix_->code_order == CodeOrder::kOutputWords;
  if (!is_by_outputs && matrix_->code_order != CodeOrder::kInputWords) return CodeShape::kPlanes;
  if (!has_whole_words || count < kRowsTurned) return CodeShape::kPlanes;
  if (is_by_outputs && (first_row % 8 != 0 || count % 8 != 0)) return CodeShape::kPlanes;
  return CodeShape::kColumns;
}

void RowReader::read_columns(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  const Columns columns{out.data(), column_bytes(count), words_of_row(), count};
  if (matrix_->code_order == CodeOrder::kOutputWords) {
    return moves_->turn_outputs(read_output_words(first_row / 8, count / 8).data(), columns);
  }
  if (columns.column_bytes == count * 4) {
    return read_lines(matrix_->codes, {.lines = columns.count, .first = first_row, .count = count}, out);
  }
  for (int64_t i = 0; i < columns.count; ++i) {
    const FileRange from = slice(matrix_->codes, i * matrix_->rows + first_row, count).range;
    from.file->read(from.offset, std::span(out).subspan(static_cast<size_t>(i * columns.column_bytes),
                                                        static_cast<size_t>(count * 4)));
  }
}

void RowReader::read_code_rows(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  const FileRange& range = matrix_->codes.range;
  const int64_t stride = static_cast<int64_t>(range.bytes) / matrix_->rows;
  const int64_t row_bytes = code_row_bytes();
  const uint64_t offset = range.offset + static_cast<uint64_t>(first_row * stride);
  if (stride == row_bytes) {
    range.file->read(offset, out);
  } else {
    staging_.resize(static_cast<size_t>(count * stride));
    range.file->read(offset, staging_);
    for (int64_t row = 0; row < count; ++row) {
      std::memcpy(out.data() + row * row_bytes, staging_.data() + row * stride,
                  static_cast<size_t>(row_bytes));
    }
  }
  // Packed words hold signed bytes with 128 added.
  if (scheme_.codes == CodeKind::kI8 && matrix_->codes.dtype == DType::kI32) {
    for (std::byte& code : out) code ^= std::byte{0x80};
  }
}

void RowReader::read_bit_stream(int64_t first_row, int64_t count, std::vector<std::byte>& out,
                                CodeShape shape) {
  const FileRange& range = matrix_->codes.range;
  const auto stride = static_cast<size_t>(range.bytes) / static_cast<size_t>(matrix_->rows);
  const auto row_bytes = static_cast<size_t>(code_row_bytes(shape));
  // Cutting reads whole vectors, of the last row too.
  const size_t bytes = static_cast<size_t>(count) * stride;
  staging_.resize(bytes + kPlaneBlock + 16);
  range.file->read(range.offset + static_cast<uint64_t>(first_row) * stride,
                   std::span(staging_).first(bytes));
  const bool is_five = code_bits(scheme_.codes) == 5;
  for (size_t row = 0; row < static_cast<size_t>(count); ++row) {
    const auto from = std::span(staging_).subspan(row * stride, stride);
    const auto to = std::span(out).subspan(row * row_bytes, row_bytes);
    if (shape == CodeShape::kPlanes) {
      const CutBlocks cut = is_five ? moves_->cut_5 : moves_->cut_6;
      cut(from.data(), plane_blocks(matrix_->cols), to.data(), to.data() + nibble_row_bytes(matrix_->cols));
    } else {
      is_five ? spread_row<5>(from, to) : spread_row<6>(from, to);
    }
  }
}

void RowReader::read_high_first(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  const FileRange& range = matrix_->codes.range;
  const int64_t first_code = first_row * matrix_->cols;
  const int64_t first_byte = first_code / 2;
  staging_.resize(static_cast<size_t>(ceil_div(first_code + count * matrix_->cols, 2) - first_byte));
  range.file->read(range.offset + static_cast<uint64_t>(first_byte), staging_);
  if (matrix_->cols % 2 == 0) return swap_nibbles(staging_, out);
  std::fill(out.begin(), out.end(), std::byte{0});
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t k = 0; k < matrix_->cols; ++k) {
      const int64_t code = first_code % 2 + row * matrix_->cols + k;
      const std::byte pair = staging_[static_cast<size_t>(code / 2)];
      const std::byte value = code % 2 == 0 ? pair >> 4 : pair & std::byte{15};
      out[static_cast<size_t>(row * code_row_bytes() + k / 2)] |= k % 2 == 0 ? value : value << 4;
    }
  }
}

void RowReader::read_input_words(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  const int64_t row_bytes = code_row_bytes();
  const int64_t word_count = ceil_div(row_bytes, 4);
  words_.resize(static_cast<size_t>(word_count * count));
  read_lines(matrix_->codes, {.lines = word_count, .first = first_row, .count = count},
             std::as_writable_bytes(std::span(words_)));
  const uint32_t* from = words_.data();
  // By tiles of 4 words x 4 rows, in strips of rows that stay in the first cache.
  const int64_t tiled_words = row_bytes / kTileBytes * kTile;
  const int64_t tiled_rows = count / kTile * kTile;
  constexpr int64_t kStrip = 16;
  for (int64_t strip = 0; strip < tiled_rows; strip += kStrip) {
    for (int64_t word = 0; word < tiled_words; word += kTile) {
      for (int64_t row = strip; row < std::min(strip + kStrip, tiled_rows); row += kTile) {
        const uint32_t* tile = from + word * count + row;
        const auto rows = transpose_words(load_words(tile), load_words(tile + count),
                                          load_words(tile + 2 * count), load_words(tile + 3 * count));
        std::byte* to = out.data() + row * row_bytes + word * 4;
        for (size_t i = 0; i < rows.size(); ++i)
          store_words(to + static_cast<int64_t>(i) * row_bytes, rows[i]);
      }
    }
  }
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t word = row < tiled_rows ? tiled_words : 0; word < word_count; ++word) {
      copy_word(out.data() + row * row_bytes + word * 4, from[word * count + row],
                std::min<int64_t>(4, row_bytes - word * 4));
    }
  }
}

// `count` words of each input, one input after the other.
std::span<const uint32_t> RowReader::read_output_words(int64_t first_word, int64_t count) {
  words_.resize(static_cast<size_t>(matrix_->cols * count));
  read_lines(matrix_->codes, {.lines = matrix_->cols, .first = first_word, .count = count},
             std::as_writable_bytes(std::span(words_)));
  return words_;
}

void RowReader::read_output_rows(int64_t first_row, int64_t count, std::vector<std::byte>& out) {
  const int64_t row_bytes = code_row_bytes();
  const int64_t first_word = first_row / 8;
  const int64_t word_count = ceil_div(first_row + count, 8) - first_word;
  read_output_words(first_word, word_count);
  const bool has_whole_words = first_row % 8 == 0 && count % 8 == 0;
  const int64_t tiled_words = has_whole_words ? word_count / kTile * kTile : 0;
  const int64_t tiled_inputs = row_bytes / kTileBytes * kTileBytes * 2;
  for (int64_t word = 0; word < tiled_words; word += kTile) {
    for (int64_t k = 0; k < tiled_inputs; k += kTileBytes * 2) {
      turn_output_tile(words_.data() + k * word_count + word, word_count,
                       out.data() + word * 8 * row_bytes + k / 2, row_bytes);
    }
  }
  for (int64_t word = 0; word < word_count; ++word) {
    for (int64_t k = word < tiled_words ? tiled_inputs : 0; k < matrix_->cols; k += 8) {
      std::array<uint32_t, 8> square{};
      for (int64_t i = 0; i < std::min<int64_t>(8, matrix_->cols - k); ++i) {
        square[static_cast<size_t>(i)] = words_[static_cast<size_t>((k + i) * word_count + word)];
      }
      transpose_codes<4>(square);
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

void RowReader::read_blocks(int64_t first_row, int64_t count, RowParts& out, CodeShape shape) {
  const DTypeBlock block = dtype_block(matrix_->codes.dtype);
  const int64_t blocks = matrix_->cols / block.elements;
  const FileRange& range = matrix_->codes.range;
  staging_.resize(static_cast<size_t>(count * blocks * block.bytes));
  range.file->read(range.offset + static_cast<uint64_t>(first_row * blocks * block.bytes), staging_);
  const int64_t row_bytes = code_row_bytes(shape);
  const bool are_cut = row_bytes != code_row_bytes(CodeShape::kBytes);
  const int64_t row_groups = blocks * block.elements / scheme_.group;
  for (int64_t row = 0; row < count; ++row) {
    const auto at = [&](auto& numbers, int64_t per_row) {
      return numbers.empty() ? nullptr : numbers.data() + row * per_row;
    };
    std::byte* const codes = out.codes.data() + row * row_bytes;
    split_blocks(*moves_, matrix_->format,
                 std::span(staging_).subspan(static_cast<size_t>(row * blocks * block.bytes),
                                             static_cast<size_t>(blocks * block.bytes)),
                 {.codes = codes,
                  .planes = are_cut ? codes + nibble_row_bytes(matrix_->cols) : nullptr,
                  .scales = at(out.scales, row_groups),
                  .scale_bytes = at(out.scale_bytes, row_groups),
                  .minimums = at(out.minimums, row_groups),
                  .minimum_bytes = at(out.minimum_bytes, row_groups),
                  .outer_scales = at(out.outer_scales, blocks),
                  .outer_minimums = at(out.outer_minimums, blocks)});
  }
}

}  // namespace beryl::formats
