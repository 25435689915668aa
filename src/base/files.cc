#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace beryl {
namespace {

[[noreturn]] void throw_errno(const std::filesystem::path& path, std::string_view action) {
  const int code = errno;
  const bool missing = code == ENOENT || code == ENOTDIR;
  throw Error(missing ? ErrorCode::kNotFound : ErrorCode::kIo,
              fmt::format("cannot {} '{}': {}", action, path.string(), std::strerror(code)));
}

}  // namespace

File::File(std::filesystem::path path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer; it has no effect on regular files.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) throw_errno(path_, "open");
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) {
    const int code = errno;
    ::close(descriptor_);
    errno = code;
    throw_errno(path_, "examine");
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(ErrorCode::kIo, fmt::format("'{}' is not a regular file", path_.string()));
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

void File::read(uint64_t offset, std::span<std::byte> out) const {
  std::span<std::byte> rest = out;
  uint64_t position = offset;
  while (!rest.empty()) {
    const ssize_t count = ::pread(descriptor_, rest.data(), rest.size(), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(path_, "read");
    if (count == 0) {
      throw Error(ErrorCode::kIo, fmt::format("'{}' ends at byte {}, expected {} bytes from {}",
                                              path_.string(), position, out.size(), offset));
    }
    rest = rest.subspan(static_cast<size_t>(count));
    position += static_cast<uint64_t>(count);
  }
}

void File::read_ahead(uint64_t offset, uint64_t bytes) const {
  ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
}

std::string read_text_file(const std::filesystem::path& path, uint64_t bytes_max) {
  const File file(path);
  if (file.size() > bytes_max) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("'{}' has {} bytes, at most {} are allowed",
                                                      path.string(), file.size(), bytes_max));
  }
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace beryl
