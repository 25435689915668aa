#include "backend/cpu/upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_for_tests.h"
#include "base/error.h"
#include "base/file_for_tests.h"

namespace beryl::backend {
namespace {

using formats::Format;
using formats::QuantMatrix;
using formats::ScaleGrid;
using testing::HasSubstr;

// Matrices published one after another in one file, which starts at an odd offset.
class Published {
 public:
  // Adds a random matrix; with scales (float32) if the format is fp8.
  const PackedForTests& add(Format format, int64_t rows, int64_t cols) {
    made_.push_back(std::make_unique<PackedForTests>(format, format == Format::kFp8E4m3, rows, cols,
                                                     static_cast<uint32_t>(made_.size() + 1)));
    return *made_.back();
  }
  PackedForTests& made(size_t index) { return *made_[index]; }

  void write() {
    std::vector<std::byte> bytes(3);
    matrices_.clear();
    for (const auto& made : made_) {
      const PackedLayout& layout = made->layout;
      QuantMatrix matrix = {.rows = layout.rows,
                            .cols = layout.cols,
                            .format = layout.format,
                            .codes = {dtype_of(layout.format), {nullptr, bytes.size(), made->codes.size()}}};
      bytes.insert(bytes.end(), made->codes.begin(), made->codes.end());
      if (layout.has_scales) {
        matrix.scale_grid = ScaleGrid::kPerRow;
        const auto scales = std::as_bytes(std::span(made->scales));
        matrix.scales = formats::ElementRange{formats::DType::kF32, {nullptr, bytes.size(), scales.size()}};
        bytes.insert(bytes.end(), scales.begin(), scales.end());
      }
      matrices_.push_back(matrix);
    }
    file_ = std::make_unique<File>(make_file_for_tests(bytes));
    for (QuantMatrix& matrix : matrices_) {
      matrix.codes.range.file = file_.get();
      if (matrix.scales) matrix.scales->range.file = file_.get();
    }
  }
  const QuantMatrix& matrix(size_t index) const { return matrices_[index]; }

 private:
  std::vector<std::unique_ptr<PackedForTests>> made_;
  std::vector<QuantMatrix> matrices_;
  std::unique_ptr<File> file_;
};

class RecordedProgress final : public Progress {
 public:
  void update(uint64_t done, uint64_t total) override {
    const std::lock_guard lock(mutex_);
    updates.emplace_back(done, total);
  }
  std::vector<std::pair<uint64_t, uint64_t>> updates;

 private:
  std::mutex mutex_;
};

Upload upload(const std::vector<MatrixSource>& sources, int threads = 2) {
  ThreadPool pool(threads);
  NoProgress progress;
  return upload_matrices(sources, pool, progress);
}

const PackedMatrix& packed(const Upload& upload, size_t index) {
  return static_cast<const PackedMatrix&>(*upload.matrices[index]);
}

bool same_panel(const std::byte* a, const std::byte* b, const PackedLayout& layout) {
  return std::memcmp(a, b, static_cast<size_t>(layout.panel_bytes)) == 0;
}

TEST(UploadTest, EveryFormatInTheOrderOfTheSources) {
  Published published;
  published.add(Format::kBf16, 300, 2048);  // several chunks
  published.add(Format::kFp8E4m3, 33, 70);
  published.add(Format::kF16, 5, 3);
  published.add(Format::kF32, 16, 64);
  published.write();
  for (const int threads : {1, 3}) {
    std::vector<MatrixSource> sources;
    for (const size_t i : {2U, 0U, 3U, 1U}) {
      sources.push_back({.name = "m", .matrix = published.matrix(i), .up = {}});
    }
    const Upload result = upload(sources, threads);
    size_t index = 0;
    for (const size_t i : {2U, 0U, 3U, 1U}) {
      const PackedForTests& made = published.made(i);
      const PackedMatrix& matrix = packed(result, index++);
      EXPECT_EQ(matrix.rows(), made.layout.rows);
      EXPECT_EQ(matrix.cols(), made.layout.cols);
      EXPECT_EQ(0, std::memcmp(matrix.panel(0), made.packed.data(), made.packed.size())) << i;
    }
  }
}

TEST(UploadTest, GateAndUpPanelsAlternate) {
  for (const Format format : {Format::kBf16, Format::kFp8E4m3}) {
    for (const int64_t rows : {16, 40, 96}) {
      Published published;
      published.add(format, rows, 50);
      published.add(format, rows, 50);
      published.write();
      const MatrixSource source = {.name = "m", .matrix = published.matrix(0), .up = published.matrix(1)};
      const Upload result = upload({source});
      const PackedMatrix& matrix = packed(result, 0);
      EXPECT_EQ(matrix.rows(), 2 * rows);
      EXPECT_EQ(matrix.layout().bytes(), packed_layout(source).bytes());
      const PackedLayout& half = published.made(0).layout;
      ASSERT_EQ(matrix.layout().panels, 2 * half.panels);
      for (int64_t panel = 0; panel < half.panels; ++panel) {
        EXPECT_TRUE(same_panel(matrix.panel(2 * panel), published.made(0).panel(panel), half));
        EXPECT_TRUE(same_panel(matrix.panel(2 * panel + 1), published.made(1).panel(panel), half));
      }
    }
  }
}

TEST(UploadTest, OneScaleForTheTensorReachesEveryRow) {
  Published published;
  published.add(Format::kFp8E4m3, 20, 8);
  published.write();
  QuantMatrix matrix = published.matrix(0);
  matrix.scale_grid = ScaleGrid::kPerTensor;
  matrix.scales->range.bytes = 4;
  const Upload result = upload({{.name = "m", .matrix = matrix, .up = {}}});
  const PackedForTests& made = published.made(0);
  for (int64_t row = 0; row < 20; ++row) {
    std::vector<float> out(8);
    portable_kernels().decode_row(packed(result, 0).layout(), packed(result, 0).panel(row / 16), row % 16,
                                  out.data());
    for (int64_t k = 0; k < 8; ++k)
      EXPECT_EQ(out[static_cast<size_t>(k)], made.value(row, k) * made.scale(0));
  }
}

void expect_error(const std::vector<MatrixSource>& sources, ErrorCode code, const std::string& module,
                  const std::string& fact) {
  for (const int threads : {1, 3}) {
    try {
      upload(sources, threads);
      ADD_FAILURE() << "expected an error about " << module;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_THAT(error.message(), HasSubstr(module));
      EXPECT_THAT(error.message(), HasSubstr(fact));
    }
  }
}

TEST(UploadTest, ErrorsNameTheModule) {
  Published published;
  published.add(Format::kBf16, 40, 8);
  published.add(Format::kFp8E4m3, 40, 8);
  published.add(Format::kFp8E4m3, 40, 8);
  published.add(Format::kFp8E4m3, 40, 8);
  published.made(0).codes[2 * (20 * 8 + 3)] = std::byte{0x80};
  published.made(0).codes[2 * (20 * 8 + 3) + 1] = std::byte{0x7f};
  published.made(1).scales[7] = -1;
  published.made(2).codes[39 * 8] = std::byte{0xff};
  published.write();
  const auto source = [&](const char* name, size_t i) {
    return MatrixSource{.name = name, .matrix = published.matrix(i), .up = {}};
  };
  expect_error({source("layers.0.q", 0)}, ErrorCode::kInvalidInput, "layers.0.q", "rows 16 to 31");
  expect_error({source("layers.1.q", 1)}, ErrorCode::kInvalidInput, "layers.1.q", "scale 7 of 40 is -1");
  expect_error({source("layers.2.q", 2)}, ErrorCode::kInvalidInput, "layers.2.q", "rows 32 to 39");
  MatrixSource pair = source("layers.2.gate", 3);
  pair.up_name = "layers.2.up";
  pair.up = published.matrix(2);
  expect_error({pair}, ErrorCode::kInvalidInput, "layers.2.up", "rows 32 to 39");
  pair.up = published.matrix(1);
  expect_error({pair}, ErrorCode::kInvalidInput, "layers.2.up", "scale 7 of 40 is -1");
  MatrixSource beyond = source("layers.3.q", 2);
  beyond.matrix.codes.range.offset += 100'000;
  expect_error({beyond}, ErrorCode::kIo, "layers.3.q", "ends at byte");
}

// One thread, so the growth of its progress shows what it read: sizes tell the matrices apart.
TEST(UploadTest, ReadsInTheOrderOfTheFileAndCountsAllOfIt) {
  Published published;
  const int64_t rows[] = {3, 9, 5, 12};
  uint64_t total = 0;
  for (const int64_t count : rows) {
    published.add(Format::kF32, count, 10);
    total += static_cast<uint64_t>(count) * 40;
  }
  published.write();
  std::vector<MatrixSource> sources;
  for (const size_t i : {3U, 0U, 2U, 1U}) {
    sources.push_back({.name = "m", .matrix = published.matrix(i), .up = {}});
  }
  ThreadPool pool(1);
  RecordedProgress progress;
  upload_matrices(sources, pool, progress);
  uint64_t done = 0;
  ASSERT_GE(progress.updates.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    done += static_cast<uint64_t>(rows[i]) * 40;
    EXPECT_EQ(progress.updates[i], std::pair(done, total));
  }
  EXPECT_EQ(progress.updates.back(), std::pair(total, total));
}

TEST(UploadTest, NothingToUpload) {
  EXPECT_TRUE(upload({}).matrices.empty());
}

TEST(WeightArenaTest, IsAlignedAndRefusesTheImpossible) {
  const WeightArena arena(1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.data()) % (uintptr_t{2} << 20), 0U);
  std::memset(arena.data(), 1, 1000);
  try {
    const WeightArena impossible(uint64_t{1} << 60);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResource);
  }
}

}  // namespace
}  // namespace beryl::backend
