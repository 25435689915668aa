#include "backend/cpu/made_up.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/pack.h"
#include "backend/cpu/packed_for_tests.h"
#include "backend/cpu/upload.h"

namespace beryl::backend {
namespace {

constexpr int64_t kCols = 512;

// Packs 16 made-up rows and decodes them from the panel; empty when a code is not finite.
std::vector<float> make_values(const formats::Scheme& scheme, uint64_t seed) {
  const PackedLayout layout(scheme, kPanelRows, kCols);
  formats::RowParts parts;
  make_up_rows(layout, kPanelRows, seed, parts);
  std::vector<std::byte> panel(layout.bytes());
  const PanelRows rows{
      .parts = &parts, .code_row_bytes = made_up_row_bytes(layout), .first = 0, .count = kPanelRows};
  if (!pack_panel(layout, rows, panel.data())) return {};
  std::vector<float> values(kPanelRows * kCols);
  for (int64_t row = 0; row < kPanelRows; ++row) {
    decode_packed_row(layout, panel.data(), row, values.data() + row * kCols);
  }
  return values;
}

class MadeUpTest : public testing::TestWithParam<TestScheme> {};

TEST_P(MadeUpTest, HasTheSizeOfTrainedWeights) {
  const std::vector<float> values = make_values(GetParam().of(kCols), 1);
  ASSERT_FALSE(values.empty());
  double sum = 0;
  double squares = 0;
  for (const float value : values) {
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += double{value} * value;
  }
  const auto count = static_cast<double>(values.size());
  const double size = std::sqrt(squares / count) * std::sqrt(static_cast<double>(kCols));
  // A scheme without scales has the size of its codes.
  const formats::Scheme scheme = GetParam().of(kCols);
  const bool is_scaled = scheme.scale != formats::ScaleKind::kNone ||
                         scheme.outer != formats::ScaleKind::kNone ||
                         formats::code_values(scheme.codes).empty();
  if (is_scaled) {
    EXPECT_GT(size, 0.4);
    EXPECT_LT(size, 3.0);
  }
  EXPECT_LT(std::abs(sum / count), 0.15 * std::sqrt(squares / count));
}

TEST_P(MadeUpTest, DependsOnTheSeedAlone) {
  const formats::Scheme scheme = GetParam().of(kCols);
  const std::vector<float> values = make_values(scheme, 1);
  EXPECT_EQ(make_values(scheme, 1), values);
  EXPECT_NE(make_values(scheme, 2), values);
}

INSTANTIATE_TEST_SUITE_P(AllSchemes, MadeUpTest, testing::ValuesIn(all_test_schemes()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(MadeUpUploadTest, FillsAllRowsOfMatricesWithoutAFile) {
  formats::QuantMatrix matrix = {
      .rows = 40,
      .cols = 64,
      .format = formats::Format::kBf16,
      .codes = {.dtype = formats::DType::kBf16, .range = {nullptr, 0, 40 * 64 * 2}}};
  std::vector<MatrixSource> sources = {{.name = "a", .matrix = matrix}, {.name = "b", .matrix = matrix}};
  sources[1].matrix.codes.range.offset = 40 * 64 * 2;
  sources[1].up = matrix;
  sources[1].up->codes.range.offset = 2 * 40 * 64 * 2;
  ThreadPool pool(2);
  NoProgress progress;
  const Upload upload =
      upload_matrices(sources, WeightPlace::kMemory, *kernels_of(best_isa()).moves, pool, progress);
  ASSERT_EQ(upload.matrices.size(), 2U);
  const auto& single = static_cast<const PackedMatrix&>(*upload.matrices[0]);
  const auto& pair = static_cast<const PackedMatrix&>(*upload.matrices[1]);
  EXPECT_EQ(pair.rows(), 80);
  std::vector<float> row(64);
  for (const PackedMatrix* packed : {&single, &pair}) {
    for (int64_t panel = 0; panel < packed->layout().panels; ++panel) {
      decode_packed_row(packed->layout(), packed->panel(panel), 7, row.data());
      EXPECT_TRUE(std::all_of(row.begin(), row.end(), [](float x) { return x != 0 && std::isfinite(x); }));
    }
  }
  EXPECT_NE(std::memcmp(pair.panel(0), pair.panel(1), static_cast<size_t>(pair.layout().panel_bytes)), 0);
}

}  // namespace
}  // namespace beryl::backend
