#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl {
namespace {

using testing::HasSubstr;

class FilesTest : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    return directory_.write(name, bytes);
  }

  TemporaryDirectory directory_;
};

template <typename Work>
void expect_error(ErrorCode code, const std::string& part, Work work) {
  try {
    work();
    ADD_FAILURE() << "expected an error with " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_THAT(error.message(), HasSubstr(part));
  }
}

std::string read(const File& file, uint64_t offset, size_t bytes) {
  std::string text(bytes, '\0');
  file.read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

TEST_F(FilesTest, ReadsAnyRange) {
  const File file(write("a", "0123456789"));
  EXPECT_EQ(file.size(), 10U);
  EXPECT_EQ(read(file, 0, 10), "0123456789");
  EXPECT_EQ(read(file, 3, 4), "3456");
  EXPECT_EQ(read(file, 10, 0), "");
  file.read_ahead(0, 10);
}

TEST_F(FilesTest, AnEndTooEarlyIsAnErrorThatNamesFileAndRange) {
  const std::filesystem::path path = write("short", "0123456789");
  const File file(path);
  expect_error(ErrorCode::kIo, "ends at byte 10, expected 4 bytes from 8", [&] { read(file, 8, 4); });
  expect_error(ErrorCode::kIo, path.string(), [&] { read(file, 1000, 1); });
}

TEST_F(FilesTest, AFileThatShrinksIsAnError) {
  const std::filesystem::path path = write("shrinks", std::string(100'000, 'x'));
  const File file(path);
  std::filesystem::resize_file(path, 50'000);
  expect_error(ErrorCode::kIo, "ends at byte 50000", [&] { read(file, 0, 100'000); });
}

TEST_F(FilesTest, MovesOwnership) {
  File first(write("a", "first"));
  File second(write("b", "second"));
  second = std::move(first);
  EXPECT_EQ(read(second, 0, 5), "first");
  const File third(std::move(second));
  EXPECT_EQ(read(third, 0, 5), "first");
}

TEST_F(FilesTest, RefusesWhatIsNoRegularFile) {
  expect_error(ErrorCode::kNotFound, "none", [&] { File(directory_.path() / "none"); });
  expect_error(ErrorCode::kNotFound, "file", [&] { File(write("file", "") / "below"); });
  expect_error(ErrorCode::kIo, "not a regular file", [&] { File{directory_.path()}; });
  expect_error(ErrorCode::kIo, "not a regular file", [&] { File{"/dev/null"}; });
  // A FIFO without a writer must not block.
  ASSERT_EQ(::mkfifo((directory_.path() / "fifo").c_str(), 0600), 0);
  expect_error(ErrorCode::kIo, "not a regular file", [&] { File(directory_.path() / "fifo"); });
}

TEST_F(FilesTest, TextFilesHaveALimit) {
  const std::filesystem::path path = write("text", "0123456789");
  EXPECT_EQ(read_text_file(path, 10), "0123456789");
  EXPECT_EQ(read_text_file(write("empty", ""), 10), "");
  expect_error(ErrorCode::kInvalidInput, "has 10 bytes, at most 9", [&] { read_text_file(path, 9); });
}

}  // namespace
}  // namespace beryl
