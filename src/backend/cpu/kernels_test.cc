// Every kernel set against sums in double. Tolerances are relative to the sum of absolute products, which is
// what a sum's rounding error scales with.

#include "backend/cpu/kernels.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <tuple>
#include <vector>

#include "backend/cpu/packed_for_tests.h"
#include "backend/cpu/panel_jobs.h"

namespace beryl::backend {
namespace {

using formats::CodeKind;

// Products of subnormals vanish; each may lose a whole smallest number.
constexpr double kSmallest = 1.5e-38;

// Panels, inputs and outputs between pages that must not be touched.
class Guarded {
 public:
  explicit Guarded(size_t bytes) : bytes_(bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    mapped_ = (bytes + page - 1) / page * page + 2 * page;
    base_ = static_cast<std::byte*>(mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_NE(base_, MAP_FAILED);
    EXPECT_EQ(0, mprotect(base_ + page, mapped_ - 2 * page, PROT_READ | PROT_WRITE));
    inside_ = base_ + page;
    inside_bytes_ = mapped_ - 2 * page;
  }
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  // The bytes against the page before them, or the page behind them.
  std::byte* at(bool is_at_end) { return is_at_end ? inside_ + inside_bytes_ - bytes_ : inside_; }

 private:
  size_t bytes_;
  std::byte* base_ = nullptr;
  size_t mapped_ = 0;
  std::byte* inside_ = nullptr;
  size_t inside_bytes_ = 0;
};

// Rows of inputs as float32 or bf16, and the sums of their segments.
struct Inputs {
  Inputs(const PanelShape& shape, int64_t tokens, bool is_bf16, uint32_t seed, float factor = 1) {
    std::vector<float> numbers = random_floats(tokens * shape.cols, seed);
    for (float& number : numbers) number = is_bf16 ? round_to_bf16(number * factor) : number * factor;
    values = numbers;
    rows.resize(tokens, shape.cols, is_bf16);
    for (int64_t t = 0; t < tokens; ++t) rows.store(t, 0, numbers.data() + t * shape.cols, shape.cols);
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t group = 0; group < shape.groups; ++group) {
        const int64_t end = std::min((group + 1) * shape.group_inputs, shape.cols);
        for (int64_t s = 0; s < shape.segments_per_group; ++s) {
          const int64_t begin = group * shape.group_inputs + s * kSegmentInputs;
          float sum = 0;
          for (int64_t k = begin; k < std::min(begin + kSegmentInputs, end); ++k) {
            sum += numbers[static_cast<size_t>(t * shape.cols + k)];
          }
          sums.push_back(sum);
        }
      }
    }
  }

  std::vector<float> values;  // [tokens, cols]
  ActivationRows rows;
  std::vector<float> sums;  // [tokens, segments]
};

using Case = std::tuple<Isa, TestScheme>;

class KernelsTest : public testing::TestWithParam<Case> {
 protected:
  const Kernels& kernels_ = kernels_of(std::get<Isa>(GetParam()));
  const TestScheme& scheme_ = std::get<TestScheme>(GetParam());

  // y [tokens, panels * 16 and 3 more] of a run of tokens.
  std::vector<float> multiply(const PackedForTests& made, const Inputs& inputs, int64_t first, int64_t tokens,
                              const int32_t* rows = nullptr) const {
    const PanelShape shape = panel_shape(made.layout);
    const int64_t stride = made.layout.panels * kPanelRows + 3;
    std::vector<float> y(static_cast<size_t>(tokens * stride), -7.0F);
    const Activations x = rows == nullptr ? inputs.rows.rows_from(first, tokens) : inputs.rows.view();
    kernels_.multiply({.shape = &shape,
                       .panels = reinterpret_cast<const unsigned char*>(made.packed.data()),
                       .panel_count = made.layout.panels,
                       .panel_bytes = made.layout.panel_bytes,
                       .x = x.data,
                       .x_is_bf16 = x.is_bf16,
                       .x_stride = x.stride,
                       .x_rows = rows,
                       .x_sums = inputs.sums.data() + (rows == nullptr ? first : 0) * segment_count(&shape),
                       .sums_stride = segment_count(&shape),
                       .tokens = tokens,
                       .y = y.data(),
                       .y_stride = stride,
                       .scratch = scratch_->data()});
    return y;
  }

  void expect_product(const PackedForTests& made, int64_t tokens, uint32_t seed, float factor = 1) const {
    for (const bool is_bf16 : {false, true}) {
      const Inputs inputs(panel_shape(made.layout), tokens, is_bf16, seed, factor);
      const std::vector<float> y = multiply(made, inputs, 0, tokens);
      const int64_t cols = made.layout.cols;
      const int64_t stride = made.layout.panels * kPanelRows + 3;
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t row = 0; row < stride; ++row) {
          const double actual = y[static_cast<size_t>(t * stride + row)];
          if (row >= made.layout.rows) {
            if (row >= made.layout.panels * kPanelRows) ASSERT_EQ(actual, -7.0);
            continue;
          }
          double sum = 0;
          double absolute = 0;
          for (int64_t k = 0; k < cols; ++k) {
            const double input = inputs.values[static_cast<size_t>(t * cols + k)];
            sum += input * made.value(row, k);
            absolute += std::abs(input) * made.magnitude(row, k);
          }
          ASSERT_NEAR(actual, sum, 1e-6 * absolute + kSmallest * static_cast<double>(cols))
              << cols << " inputs, token " << t << " of " << tokens << ", row " << row
              << (is_bf16 ? ", bf16" : ", f32");
        }
      }
    }
  }

 private:
  struct alignas(64) Scratch : std::array<float, kMatrixScratchFloats> {};
  std::unique_ptr<Scratch> scratch_ = std::make_unique<Scratch>();
};

TEST_P(KernelsTest, EveryInputCount) {
  for (int64_t cols = 1; cols <= 200; ++cols) {
    const PackedForTests made(scheme_, 1 + cols % 16, cols, static_cast<uint32_t>(cols));
    expect_product(made, 1 + cols % 5, 7);
  }
}

TEST_P(KernelsTest, LongRowsAndSeveralSecondLevelGroups) {
  for (const int64_t cols : {255, 256, 257, 288, 512, 600, 704, 768, 1040}) {
    const PackedForTests made(scheme_, 16, cols, static_cast<uint32_t>(cols));
    for (const int64_t tokens : {1, 2, 3, 4, 8}) expect_product(made, tokens, 8);
  }
}

TEST_P(KernelsTest, EveryTokenCount) {
  const PackedForTests made(scheme_, 16, 131, 3);
  for (int64_t tokens = 1; tokens <= 33; ++tokens)
    expect_product(made, tokens, static_cast<uint32_t>(tokens));
}

TEST_P(KernelsTest, EveryPanelCount) {
  for (int64_t rows = 9; rows <= 160; rows += 13) {
    const PackedForTests made(scheme_, rows, 96, static_cast<uint32_t>(rows));
    expect_product(made, 2, 5);
    expect_product(made, 7, 5);
  }
}

TEST_P(KernelsTest, ATokenHasTheSameBitsInAnyBatch) {
  for (const int64_t cols : {150, 544}) {
    const PackedForTests made(scheme_, 70, cols, 4);
    const int64_t stride = made.layout.panels * kPanelRows + 3;
    for (const bool is_bf16 : {false, true}) {
      const Inputs inputs(panel_shape(made.layout), 33, is_bf16, 5);
      const std::vector<float> all = multiply(made, inputs, 0, 33);
      for (int64_t first = 0; first < 33; ++first) {
        for (const int64_t tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 32}) {
          if (first + tokens > 33) continue;
          const std::vector<float> part = multiply(made, inputs, first, tokens);
          ASSERT_EQ(0, std::memcmp(part.data(), all.data() + first * stride, part.size() * sizeof(float)))
              << tokens << " from " << first << (is_bf16 ? ", bf16" : ", f32");
        }
      }
      // Picked out of their order.
      const int32_t rows[] = {31, 0, 7, 7, 2};
      const std::vector<float> picked = multiply(made, inputs, 0, 5, rows);
      for (int64_t t = 0; t < 5; ++t) {
        ASSERT_EQ(0, std::memcmp(picked.data() + t * stride, all.data() + rows[t] * stride,
                                 static_cast<size_t>(stride) * sizeof(float)));
      }
    }
  }
}

// The panels end, and begin, at the edge of what may be read.
TEST_P(KernelsTest, ReadsNothingOutsideItsPanels) {
  for (const int64_t cols : {16, 48, 130, 704}) {
    PackedForTests made(scheme_, 37, cols, 6);
    const PanelShape shape = panel_shape(made.layout);
    Guarded guarded(made.packed.size());
    for (const bool is_at_end : {false, true}) {
      std::byte* const panels = guarded.at(is_at_end);
      std::copy(made.packed.begin(), made.packed.end(), panels);
      for (const bool is_bf16 : {false, true}) {
        for (const int64_t tokens : {1, 2, 3, 5}) {
          const Inputs inputs(shape, tokens, is_bf16, 7);
          const std::vector<float> expected = multiply(made, inputs, 0, tokens);
          std::vector<float> y(expected.size(), -7.0F);
          const Activations x = inputs.rows.view();
          alignas(64) static std::array<float, kMatrixScratchFloats> scratch;
          kernels_.multiply({.shape = &shape,
                             .panels = reinterpret_cast<const unsigned char*>(panels),
                             .panel_count = made.layout.panels,
                             .panel_bytes = made.layout.panel_bytes,
                             .x = x.data,
                             .x_is_bf16 = is_bf16,
                             .x_stride = x.stride,
                             .x_rows = nullptr,
                             .x_sums = inputs.sums.data(),
                             .sums_stride = segment_count(&shape),
                             .tokens = tokens,
                             .y = y.data(),
                             .y_stride = made.layout.panels * kPanelRows + 3,
                             .scratch = scratch.data()});
          ASSERT_EQ(0, std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)));
        }
      }
    }
  }
}

// The finite code of the largest magnitude, and the bit of its sign if it has one of its own.
std::pair<uint32_t, uint32_t> largest_code(CodeKind kind) {
  switch (kind) {
    case CodeKind::kBf16:
      return {0x7f7f, 0x8000};
    case CodeKind::kF16:
      return {0x7bff, 0x8000};
    case CodeKind::kF32:
      return {0x7f7fffff, 0x80000000};
    case CodeKind::kE4m3:
      return {0x7e, 0x80};
    case CodeKind::kE2m1:
      return {7, 8};
    case CodeKind::kI8:
      return {0x80, 0};
    case CodeKind::kI4:
    case CodeKind::kI5:
    case CodeKind::kI6:
    case CodeKind::kNf4:
      return {0, 0};
    default:
      return {(1U << formats::code_bits(kind)) - 1, 0};
  }
}

TEST_P(KernelsTest, LargestCodesAndZeros) {
  PackedForTests made(scheme_, 16, 64, 1);
  const auto [largest, sign] = largest_code(made.layout.scheme.codes);
  std::vector<uint32_t> codes(16 * 64);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = i % 3 == 0 ? 0 : largest | (i % 2 == 0 ? sign : 0);
  made.set_codes(codes);
  // Keeps 64 of the largest in range.
  for (const int64_t tokens : {1, 4}) expect_product(made, tokens, 2, 0x1p-10F);
}

INSTANTIATE_TEST_SUITE_P(All, KernelsTest,
                         testing::Combine(testing::ValuesIn(available_isas()),
                                          testing::ValuesIn(all_test_schemes())),
                         [](const auto& info) {
                           return std::string(isa_name(std::get<Isa>(info.param))) + "_" +
                                  std::get<TestScheme>(info.param).name;
                         });

class DecodeTest : public testing::TestWithParam<TestScheme> {};

TEST_P(DecodeTest, RowsAreExact) {
  for (const int64_t cols : {1, 2, 3, 5, 63, 64, 65, 130, 257, 512}) {
    const PackedForTests made(GetParam(), 16, cols, static_cast<uint32_t>(cols));
    std::vector<float> out(static_cast<size_t>(cols) + 1);
    for (int64_t row = 0; row < 16; ++row) {
      out.back() = -7.0F;
      decode_packed_row(made.layout, made.panel(0), row, out.data());
      for (int64_t k = 0; k < cols; ++k) ASSERT_EQ(out[static_cast<size_t>(k)], made.value(row, k)) << k;
      EXPECT_EQ(out.back(), -7.0F);
    }
  }
}

TEST_P(DecodeTest, EveryCodeOfUpTo16Bits) {
  PackedForTests made(GetParam(), 1, 1, 1);
  if (made.layout.code_bits > 16) return;
  const uint32_t count = 1U << made.layout.code_bits;
  std::vector<float> out(1);
  const CodeKind kind = made.layout.scheme.codes;
  for (uint32_t code = 0; code < count; ++code) {
    made.set_codes({&code, 1});
    if (!std::isfinite(code_value(kind, code))) continue;  // refused when packing
    decode_packed_row(made.layout, made.panel(0), 0, out.data());
    ASSERT_EQ(out[0], made.value(0, 0)) << code;
    ASSERT_EQ(std::signbit(out[0]), std::signbit(made.value(0, 0))) << code;
  }
}

INSTANTIATE_TEST_SUITE_P(All, DecodeTest, testing::ValuesIn(all_test_schemes()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace beryl::backend
