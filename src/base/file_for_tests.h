// Files for tests that need no name.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "base/files.h"

namespace beryl {

// An open file that holds `bytes`. Its name is removed at once; the data lives as long as the File.
inline File make_file_for_tests(std::span<const std::byte> bytes) {
  std::string path = (std::filesystem::temp_directory_path() / "beryl-file-XXXXXX").string();
  const int descriptor = ::mkstemp(path.data());
  const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
  EXPECT_EQ(written, static_cast<ssize_t>(bytes.size()));
  ::close(descriptor);
  File file(path);
  ::unlink(path.c_str());
  return file;
}

}  // namespace beryl
