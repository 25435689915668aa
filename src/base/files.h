// Reading files that may be hostile: regular files only, every range checked before use, errors that name the
// path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace beryl {

// A regular file opened for reading. Reads are positional, so one File serves several threads.
// Data is read with pread, never mapped: a file that shrinks while in use gives an Error, not a signal.
class File {
 public:
  // Errors: kNotFound when there is no such file, kIo when it is not a regular file or cannot be opened.
  explicit File(std::filesystem::path path);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }
  // Size in bytes when the file was opened.
  uint64_t size() const { return size_; }

  // Fills `out` from `offset`. Errors: kIo when the file ends before that or the read fails.
  void read(uint64_t offset, std::span<std::byte> out) const;
  // Tells the system that a range will soon be read, so that it can begin to fetch it. A hint.
  void read_ahead(uint64_t offset, uint64_t bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// `bytes` bytes of `file` from `offset`; whoever makes one has checked that they lie inside the file.
// `file` is owned by the checkpoint that the range was read from.
struct FileRange {
  const File* file = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// The whole file as text. Errors: as File, and kInvalidInput when it holds more than `bytes_max` bytes.
std::string read_text_file(const std::filesystem::path& path, uint64_t bytes_max);

}  // namespace beryl
