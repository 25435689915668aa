// Takes rows of a published matrix apart into codes, scales and zero points, whatever their order in the
// file. Decoders and packers both start here, so a way of laying numbers out is understood in one place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "formats/code_moves.h"
#include "formats/quant_matrix.h"
#include "formats/scheme.h"

namespace beryl::formats {

// How codes are taken apart. The first two differ for codes of 5 and 6 bits only.
enum class CodeShape : uint8_t {
  kBytes,    // one a byte
  kPlanes,   // rows cut into low halves and high bits: planes.h
  kColumns,  // of 4 and 8 bits: words of 32 bits, the first of all rows, then the second, ...
};

// From one column of words to the next: so that columns do not all fall into one set of the cache.
constexpr int64_t column_bytes(int64_t rows) {
  return rows * 4 + (rows % 512 == 0 ? 64 : 0);
}

// Parts of `rows` successive rows. What the scheme does not have is empty.
struct RowParts {
  int64_t rows = 0;
  // [rows, code_row_bytes], or [words of a row, column_bytes(rows)] in columns: elements as in the file when
  // they are wider than a byte; one byte a code of 5, 6 or 8 bits, if 5 and 6 bits are not cut into planes;
  // of 4 bits two a byte, the first in the low half.
  std::vector<std::byte> codes;
  std::vector<float> scales;  // [rows, groups]
  // Instead of scales and minimums that files hold as one byte each, when codes are not taken as kBytes:
  // these bytes, [rows, groups].
  std::vector<std::byte> scale_bytes;
  std::vector<std::byte> minimum_bytes;
  std::vector<float> zeros;           // [rows, groups]
  std::vector<float> minimums;        // [rows, groups]
  std::vector<float> outer_scales;    // [rows, outer groups]
  std::vector<float> outer_minimums;  // [rows, outer groups]
};

// Borrows the matrix. One reader serves one thread.
class RowReader {
 public:
  // Reads what belongs to the whole matrix. Errors: kIo; kInvalidInput for a global scale that is not a
  // positive finite number or stands on the wrong side of 1, for a group index that is not a grouping, for
  // tables that are not the format's.
  explicit RowReader(const QuantMatrix& matrix, const CodeMoves& moves = portable_moves()) : moves_(&moves) {
    turn_to(matrix);
  }
  // Becomes the reader of another matrix, and keeps its memory for it.
  void turn_to(const QuantMatrix& matrix);

  const Scheme& scheme() const { return scheme_; }
  int64_t groups() const { return groups_; }                          // of a row
  int64_t outer_groups() const { return outer_groups_; }              // of a row
  int64_t code_row_bytes(CodeShape shape = CodeShape::kBytes) const;  // of RowParts; not of columns
  // The shape that takes least work to read and to pack.
  CodeShape packing_shape(int64_t first_row, int64_t count) const;
  // The group of each input, [cols]; empty when it is k / group.
  std::span<const int32_t> group_index() const { return group_index_; }
  std::vector<int32_t> take_group_index() { return std::move(group_index_); }

  // Errors: kIo; kInvalidInput for a scale that is not finite, or negative where that is a fault, and for a
  // zero point outside its range; with the row.
  void read(int64_t first_row, int64_t count, RowParts& out, CodeShape shape = CodeShape::kBytes);

  // Whether an outer scale divides the scales instead of multiplying them. RowParts::outer_scales then hold
  // the divisors.
  bool outer_divides() const { return matrix_->global_scale_divides; }

 private:
  int64_t words_of_row() const { return matrix_->cols * code_bits(scheme_.codes) / 32; }
  void read_codes(int64_t first_row, int64_t count, std::vector<std::byte>& out, CodeShape shape);
  void read_bit_stream(int64_t first_row, int64_t count, std::vector<std::byte>& out, CodeShape shape);
  void read_code_rows(int64_t first_row, int64_t count, std::vector<std::byte>& out);
  void read_high_first(int64_t first_row, int64_t count, std::vector<std::byte>& out);
  void read_input_words(int64_t first_row, int64_t count, std::vector<std::byte>& out);
  void read_columns(int64_t first_row, int64_t count, std::vector<std::byte>& out);
  std::span<const uint32_t> read_output_words(int64_t first_word, int64_t count);
  void read_output_rows(int64_t first_row, int64_t count, std::vector<std::byte>& out);
  void read_blocks(int64_t first_row, int64_t count, RowParts& out, CodeShape shape);
  bool keeps_scale_bytes(CodeShape shape) const;
  void read_scale_bytes(int64_t first_row, int64_t count, RowParts& out);
  void read_tiles(const TileValues& tiles, int64_t first_row, int64_t count, std::vector<float>& out);
  void read_flat_tiles(const TileValues& tiles, int64_t first_row, int64_t count, std::vector<float>& out);
  // Nested codes `first` and on, as numbers, to the scales that they stand for.
  void widen_nested(int64_t first, std::span<float> scales) const;
  void read_zeros(const ZeroPoints& zeros, int64_t first_row, int64_t count, std::vector<float>& out);
  [[noreturn]] void fail_zero(int64_t first_row, uint32_t mask, std::span<const float> zeros) const;
  void check(int64_t first_row, const RowParts& parts) const;

  const CodeMoves* moves_;
  const QuantMatrix* matrix_ = nullptr;
  Scheme scheme_;
  int64_t groups_ = 0;
  int64_t outer_groups_ = 0;
  float global_scale_ = 1;
  std::vector<int32_t> group_index_;
  std::vector<float> nested_map_;     // [256]
  std::vector<float> nested_scales_;  // one a block
  // Memory for reuse.
  std::vector<std::byte> staging_;
  std::vector<uint32_t> words_;
  std::vector<float> numbers_;
};

}  // namespace beryl::formats
