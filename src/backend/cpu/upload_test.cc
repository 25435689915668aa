#include "backend/cpu/upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_for_tests.h"
#include "backend/cpu/panel_reader.h"
#include "base/error.h"
#include "base/file_for_tests.h"
#include "formats/decoder.h"

namespace beryl::backend {
namespace {

using formats::DType;
using formats::Format;
using formats::QuantMatrix;
using testing::HasSubstr;

// Matrices published one after another in one file, which starts at an odd offset.
class Published {
 public:
  struct Part {
    QuantMatrix matrix;
    std::vector<std::byte> codes;
    std::vector<float> row_scales;  // of fp8
  };

  // Adds a random matrix; fp8 has float32 scales of the rows.
  void add(Format format, int64_t rows, int64_t cols) {
    const DType dtype = format == Format::kBf16  ? DType::kBf16
                        : format == Format::kF16 ? DType::kF16
                        : format == Format::kF32 ? DType::kF32
                                                 : DType::kF8E4M3;
    Part part;
    part.matrix = {.rows = rows, .cols = cols, .format = format, .codes = {.dtype = dtype, .range = {}}};
    std::mt19937 random(static_cast<uint32_t>(parts_.size() + 1));
    const formats::CodeKind kind = format == Format::kBf16  ? formats::CodeKind::kBf16
                                   : format == Format::kF16 ? formats::CodeKind::kF16
                                   : format == Format::kF32 ? formats::CodeKind::kF32
                                                            : formats::CodeKind::kE4m3;
    const auto code_bytes = static_cast<size_t>(dtype_bits(dtype) / 8);
    part.codes.resize(static_cast<size_t>(rows * cols) * code_bytes);
    for (size_t at = 0; at < part.codes.size(); at += code_bytes) {
      const uint32_t code = random_code(kind, random);
      std::memcpy(&part.codes[at], &code, code_bytes);
    }
    if (format == Format::kFp8E4m3) {
      part.matrix.scales =
          formats::TileValues{.values = {.dtype = DType::kF32, .range = {}}, .tile_cols = cols};
      for (int64_t row = 0; row < rows; ++row) {
        part.row_scales.push_back(std::uniform_real_distribution<float>(1e-3F, 2)(random));
      }
    }
    parts_.push_back(std::move(part));
  }
  Part& part(size_t index) { return parts_[index]; }

  void write() {
    std::vector<std::byte> bytes(3);
    for (Part& part : parts_) {
      part.matrix.codes.range = {nullptr, bytes.size(), part.codes.size()};
      bytes.insert(bytes.end(), part.codes.begin(), part.codes.end());
      if (!part.matrix.scales) continue;
      const auto scales = std::as_bytes(std::span(part.row_scales));
      part.matrix.scales->values.range = {nullptr, bytes.size(), scales.size()};
      bytes.insert(bytes.end(), scales.begin(), scales.end());
    }
    file_ = std::make_unique<File>(make_file_for_tests(bytes));
    for (Part& part : parts_) {
      part.matrix.codes.range.file = file_.get();
      if (part.matrix.scales) part.matrix.scales->values.range.file = file_.get();
    }
  }
  const QuantMatrix& matrix(size_t index) const { return parts_[index].matrix; }

 private:
  std::vector<Part> parts_;
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

Upload upload(const std::vector<MatrixSource>& sources, int threads = 2,
              WeightPlace place = WeightPlace::kMemory) {
  ThreadPool pool(threads);
  NoProgress progress;
  return upload_matrices(sources, place, *kernels_of(best_isa()).moves, pool, progress);
}

const PackedMatrix& packed(const Upload& upload, size_t index) {
  return static_cast<const PackedMatrix&>(*upload.matrices[index]);
}

// Every row of the packed matrix has the published values. `first_panel` and `step` pick the panels of a
// half.
void expect_values(const PackedMatrix& matrix, const QuantMatrix& published, int64_t first_panel = 0,
                   int64_t step = 1) {
  formats::RowDecoder decoder(published);
  std::vector<float> expected(static_cast<size_t>(published.cols));
  std::vector<float> packed_order(expected.size());
  const std::span<const int32_t> order = matrix.input_order(static_cast<int>(first_panel));
  for (int64_t row = 0; row < published.rows; ++row) {
    decoder.decode(row, expected);
    decode_packed_row(matrix.layout(), matrix.panel(first_panel + row / 16 * step), row % 16,
                      packed_order.data());
    std::vector<float> actual = packed_order;
    for (size_t i = 0; i < order.size(); ++i) actual[static_cast<size_t>(order[i])] = packed_order[i];
    ASSERT_EQ(actual, expected) << "row " << row;
  }
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
      const PackedMatrix& matrix = packed(result, index++);
      EXPECT_EQ(matrix.rows(), published.matrix(i).rows);
      EXPECT_EQ(matrix.cols(), published.matrix(i).cols);
      expect_values(matrix, published.matrix(i));
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
      ASSERT_EQ(matrix.layout().panels, 2 * ((rows + 15) / 16));
      expect_values(matrix, published.matrix(0), 0, 2);
      expect_values(matrix, published.matrix(1), 1, 2);
    }
  }
}

// The panels of a matrix in its files, a few at a time, are those of the same matrix in memory.
void expect_same_panels(const PackedMatrix& in_files, const PackedMatrix& in_memory) {
  ASSERT_EQ(in_files.layout(), in_memory.layout());
  ASSERT_NE(in_files.source(), nullptr);
  ASSERT_EQ(in_memory.source(), nullptr);
  const int64_t parts = in_files.source()->up ? 2 : 1;
  const auto panel_bytes = static_cast<size_t>(in_memory.layout().panel_bytes);
  PanelReader reader(*kernels_of(best_isa()).moves);
  for (const int64_t step : {1, 2, 5}) {
    const int64_t count = step * parts;
    // Backwards, so that what a longer run has left in the reader's memory must not matter.
    for (int64_t first = in_memory.layout().panels / count * count; first >= 0; first -= count) {
      const int64_t panels = std::min(count, in_memory.layout().panels - first);
      if (panels == 0) continue;
      const std::byte* const read = reader.panels(in_files, first, panels);
      ASSERT_EQ(std::memcmp(read, in_memory.panel(first), panel_bytes * static_cast<size_t>(panels)), 0)
          << "panels " << first << " and on";
      ASSERT_EQ(reader.panels(in_memory, first, panels), in_memory.panel(first));
    }
  }
}

TEST(UploadTest, PanelsOfMatricesThatStayInTheirFiles) {
  Published published;
  for (const Format format : {Format::kBf16, Format::kFp8E4m3, Format::kF16, Format::kF32}) {
    published.add(format, 121, 70);
    published.add(format, 121, 70);
  }
  published.write();
  std::vector<MatrixSource> sources;
  for (size_t i = 0; i < 8; i += 2) {
    sources.push_back({.name = "m", .matrix = published.matrix(i), .up = {}});
    sources.push_back(
        {.name = "gate", .matrix = published.matrix(i), .up = published.matrix(i + 1), .up_name = "up"});
  }
  const Upload in_memory = upload(sources);
  const Upload in_files = upload(sources, 2, WeightPlace::kFiles);
  for (size_t i = 0; i < sources.size(); ++i) {
    EXPECT_EQ(packed_bytes(sources[i], WeightPlace::kFiles), 0U);
    expect_same_panels(packed(in_files, i), packed(in_memory, i));
  }
}

TEST(UploadTest, ANonFiniteCodeInAFileIsAnErrorOnceItIsUsed) {
  Published published;
  published.add(Format::kBf16, 40, 8);
  published.part(0).codes[33 * 16 + 1] = std::byte{0x7f};
  published.part(0).codes[33 * 16] = std::byte{0x80};
  published.write();
  const Upload in_files =
      upload({{.name = "layer.up_proj", .matrix = published.matrix(0), .up = {}}}, 2, WeightPlace::kFiles);
  PanelReader reader(*kernels_of(best_isa()).moves);
  reader.panels(packed(in_files, 0), 0, 2);
  try {
    reader.panels(packed(in_files, 0), 1, 2);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(error.what(), HasSubstr("layer.up_proj: weight holds an infinity or NaN in rows 32"));
  }
}

TEST(UploadTest, OneScaleForTheTensorReachesEveryRow) {
  Published published;
  published.add(Format::kFp8E4m3, 20, 8);
  published.write();
  QuantMatrix matrix = published.matrix(0);
  matrix.scales->tile_rows = 20;
  matrix.scales->values.range.bytes = 4;
  const Upload result = upload({{.name = "m", .matrix = matrix, .up = {}}});
  expect_values(packed(result, 0), matrix);
  EXPECT_EQ(packed(result, 0).layout().outer_groups, 1);
}

// GPTQ's order, wider than one strip, with groups that are not runs: gate and up each have their own order.
TEST(UploadTest, WordsAlongInputsAndAnOrderOfInputs) {
  constexpr int64_t kRows = 4104;
  constexpr int64_t kCols = 64;
  std::mt19937 random(3);
  std::vector<std::byte> bytes;
  const auto append = [&](const auto& values) {
    const FileRange range = {nullptr, bytes.size(), std::span(values).size_bytes()};
    const auto raw = std::as_bytes(std::span(values));
    bytes.insert(bytes.end(), raw.begin(), raw.end());
    return range;
  };
  std::vector<QuantMatrix> halves;
  for (int half = 0; half < 2; ++half) {
    std::vector<uint32_t> words(kRows * kCols / 8);
    for (uint32_t& word : words) word = static_cast<uint32_t>(random());
    std::vector<uint16_t> scales(2 * kRows);
    for (uint16_t& scale : scales) scale = static_cast<uint16_t>(0xb000 + random() % 0x400);  // negative f16
    std::vector<int32_t> index(kCols);
    for (size_t k = 0; k < index.size(); ++k) index[k] = (k + static_cast<size_t>(half)) % 2 == 0 ? 1 : 0;
    QuantMatrix matrix = {.rows = kRows, .cols = kCols, .format = Format::kInt4};
    matrix.codes = {.dtype = DType::kI32, .range = append(words)};
    matrix.code_order = formats::CodeOrder::kInputWords;
    matrix.scales = formats::TileValues{.values = {.dtype = DType::kF16, .range = append(scales)},
                                        .tile_cols = 32,
                                        .order = formats::TileOrder::kTransposed};
    matrix.group_index = formats::ElementRange{.dtype = DType::kI32, .range = append(index)};
    matrix.may_have_negative_scales = true;
    halves.push_back(matrix);
  }
  const File file = make_file_for_tests(bytes);
  for (QuantMatrix& matrix : halves) {
    matrix.codes.range.file = matrix.scales->values.range.file = matrix.group_index->range.file = &file;
  }
  const Upload result = upload({{.name = "gate", .matrix = halves[0], .up = halves[1], .up_name = "up"}});
  expect_values(packed(result, 0), halves[0], 0, 2);
  expect_values(packed(result, 0), halves[1], 1, 2);
  EXPECT_NE(packed(result, 0).input_order(0)[0], packed(result, 0).input_order(1)[0]);
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
  published.part(0).codes[2 * (20 * 8 + 3)] = std::byte{0x80};
  published.part(0).codes[2 * (20 * 8 + 3) + 1] = std::byte{0x7f};
  published.part(1).row_scales[7] = -1;
  published.part(2).codes[39 * 8] = std::byte{0xff};
  published.write();
  const auto source = [&](const char* name, size_t i) {
    return MatrixSource{.name = name, .matrix = published.matrix(i), .up = {}};
  };
  expect_error({source("layers.0.q", 0)}, ErrorCode::kInvalidInput, "layers.0.q", "rows 16 to 31");
  expect_error({source("layers.1.q", 1)}, ErrorCode::kInvalidInput, "layers.1.q", "scale of row 7 is -1");
  expect_error({source("layers.2.q", 2)}, ErrorCode::kInvalidInput, "layers.2.q", "rows 32 to 39");
  MatrixSource pair = source("layers.2.gate", 3);
  pair.up_name = "layers.2.up";
  pair.up = published.matrix(2);
  expect_error({pair}, ErrorCode::kInvalidInput, "layers.2.up", "rows 32 to 39");
  pair.up = published.matrix(1);
  expect_error({pair}, ErrorCode::kInvalidInput, "layers.2.up", "scale of row 7 is -1");
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
  upload_matrices(sources, WeightPlace::kMemory, *kernels_of(best_isa()).moves, pool, progress);
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
