#include "backend/cpu/table_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/file_for_tests.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

using testing::HasSubstr;

constexpr int64_t kRows = 40;
constexpr int64_t kCols = 24;

// A table of bf16 numbers in a file, whose numbers all differ within a row.
class TableMatrixTest : public testing::Test {
 protected:
  static std::vector<std::byte> bytes() {
    std::vector<std::byte> all(kRows * kCols * 2);
    for (int64_t i = 0; i < kRows * kCols; ++i) {
      const uint16_t bits = float_to_bf16(number(i / kCols, i % kCols));
      std::memcpy(all.data() + i * 2, &bits, 2);
    }
    return all;
  }
  static float number(int64_t row, int64_t col) {
    return static_cast<float>(row * 4 + col) * 0.25F;  // at most 183 quarters: exact
  }
  MatrixSource source(bool is_table) const {
    const auto size = static_cast<uint64_t>(kRows * kCols * 2);
    return {.name = "embed_tokens_per_layer",
            .matrix = {.rows = kRows,
                       .cols = kCols,
                       .format = formats::Format::kBf16,
                       .codes = {.dtype = formats::DType::kBf16, .range = {&file_, 0, size}}},
            .up = {},
            .is_table = is_table};
  }

  const File file_ = make_file_for_tests(bytes());
};

TEST_F(TableMatrixTest, StaysInItsFileAndTakesNoMemory) {
  const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = 2});
  EXPECT_EQ(backend->resident_bytes(source(true)), 0U);
  EXPECT_GE(backend->resident_bytes(source(false)), static_cast<uint64_t>(kRows * kCols * 2));
  MatrixSource made_up = source(true);
  made_up.matrix.codes.range.file = nullptr;
  EXPECT_FALSE(stays_in_file(made_up));
}

TEST_F(TableMatrixTest, EmbedsTheRowsAskedForAmongOtherMatrices) {
  const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = 3});
  NoProgress progress;
  const std::vector<MatrixSource> sources = {source(false), source(true), source(false)};
  const auto matrices = backend->upload(sources, progress);
  ASSERT_EQ(matrices.size(), 3U);
  const std::unique_ptr<Buffer> out = backend->make_buffer();
  for (const int64_t count : {1, 7, 8, 33}) {
    std::vector<int32_t> tokens;
    std::mt19937 random(static_cast<uint32_t>(count));
    std::vector<float> expected;
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int32_t>(random() % kRows));
      for (int64_t col = 0; col < kCols; ++col) expected.push_back(number(tokens.back(), col) * 3);
    }
    for (const auto& matrix : matrices) {
      backend->embed(*matrix, tokens, 3.0F, *out);
      EXPECT_EQ(backend->read(*out), expected);
    }
  }
}

TEST_F(TableMatrixTest, AShortFileIsAnErrorThatNamesTheTable) {
  MatrixSource beyond = source(true);
  beyond.matrix.codes.range.offset = 2;
  const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = 2});
  NoProgress progress;
  const auto matrices = backend->upload({&beyond, 1}, progress);
  const std::unique_ptr<Buffer> out = backend->make_buffer();
  const std::vector<int32_t> good = {0};
  backend->embed(*matrices[0], good, 1.0F, *out);
  const std::vector<int32_t> bad(9, static_cast<int32_t>(kRows - 1));
  try {
    backend->embed(*matrices[0], bad, 1.0F, *out);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.what(), HasSubstr("embed_tokens_per_layer"));
  }
  backend->embed(*matrices[0], good, 1.0F, *out);
  EXPECT_EQ(out->rows(), 1);
}

}  // namespace
}  // namespace beryl::backend
