#include "eval/row_store.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace beryl::eval {
namespace {

namespace fs = std::filesystem;

Error io_error(std::string_view what) {
  return Error(ErrorCode::kIo, fmt::format("temporary file: cannot {}: {}", what, std::strerror(errno)),
               "TMPDIR names the folder for temporary files");
}

// Calls `transfer(done)`, which moves some of the bytes from `done` on, until all are moved.
template <typename Transfer>
void transfer_all(size_t bytes, std::string_view what, const Transfer& transfer) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t moved = transfer(done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) throw io_error(what);
    done += static_cast<size_t>(moved);
  }
}

}  // namespace

RowStore::RowStore(int64_t width, int64_t rows_expected) : width_(width) {
  BERYL_CHECK(width >= 1 && rows_expected >= 0);
  std::error_code failure;
  const fs::path folder = fs::temp_directory_path(failure);
  if (failure) throw io_error("find the folder for it");
  const auto needed = static_cast<uint64_t>(width) * sizeof(float) * static_cast<uint64_t>(rows_expected);
  const fs::space_info space = fs::space(folder, failure);
  if (!failure && space.available < needed) {
    throw Error(ErrorCode::kResource,
                fmt::format("{} MB of temporary data do not fit into '{}', where {} MB are free",
                            needed / 1'000'000, folder.string(), space.available / 1'000'000),
                "compare fewer positions (--positions), or name a larger disk with TMPDIR");
  }
  std::string pattern = (folder / "beryl-rows-XXXXXX").string();
  descriptor_ = ::mkstemp(pattern.data());
  if (descriptor_ < 0) throw io_error(fmt::format("make one in '{}'", folder.string()));
  ::unlink(pattern.c_str());
}

RowStore::~RowStore() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RowStore::RowStore(RowStore&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), width_(other.width_), rows_(other.rows_) {}

RowStore& RowStore::operator=(RowStore&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  width_ = other.width_;
  rows_ = other.rows_;
  return *this;
}

void RowStore::add(std::span<const float> rows) {
  BERYL_CHECK(rows.size() % static_cast<size_t>(width_) == 0);
  const auto bytes = std::as_bytes(rows);
  const auto offset = static_cast<size_t>(rows_ * width_) * sizeof(float);
  transfer_all(bytes.size(), "write to it", [&](size_t done) {
    return ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
  });
  rows_ += static_cast<int64_t>(rows.size()) / width_;
}

void RowStore::read(int64_t index, std::span<float> row) const {
  BERYL_CHECK(index >= 0 && index < rows_ && static_cast<int64_t>(row.size()) == width_);
  const auto bytes = std::as_writable_bytes(row);
  const auto offset = static_cast<size_t>(index * width_) * sizeof(float);
  transfer_all(bytes.size(), "read from it", [&](size_t done) {
    return ::pread(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
  });
}

}  // namespace beryl::eval
