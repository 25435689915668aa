// Rows of numbers that are too many for memory, in a temporary file without a name.
#pragma once

#include <cstdint>
#include <span>

namespace beryl::eval {

// Rows of one width, added in order and read at will. One thread at a time.
class RowStore {
 public:
  // `rows_expected` of `width` numbers must fit on the disk of the folder for temporary files ($TMPDIR).
  // Errors: kResource with both sizes when they do not; kIo.
  RowStore(int64_t width, int64_t rows_expected);
  ~RowStore();
  RowStore(RowStore&& other) noexcept;
  RowStore& operator=(RowStore&& other) noexcept;

  // A number of whole rows. Errors: kIo, as when the disk is full.
  void add(std::span<const float> rows);
  // Fills `row`, of the store's width. Errors: kIo.
  void read(int64_t index, std::span<float> row) const;

  int64_t width() const { return width_; }
  int64_t size() const { return rows_; }

 private:
  int descriptor_ = -1;
  int64_t width_ = 0;
  int64_t rows_ = 0;
};

}  // namespace beryl::eval
