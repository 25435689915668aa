// Each kernel of each instruction set that this processor has, against double: every remainder, between
// pages that may not be touched.

#include "backend/cpu/vector_kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/guarded_for_tests.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/packed_for_tests.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Floats = Guarded<float>;
using Side = Floats::Side;

class VectorKernelsTest : public testing::TestWithParam<Isa> {
 protected:
  const VectorKernels& kernels() const { return vector_kernels(GetParam()); }

  // Calls body(count, side) for every remainder of every vector, whole vectors before it or not.
  static void for_counts(const std::function<void(int64_t, Side)>& body) {
    for (const Side side : {Side::kEnd, Side::kBegin}) {
      for (int64_t count = 0; count <= 70; ++count) body(count, side);
      for (const int64_t count : {127, 128, 2816, 2817}) body(count, side);
    }
  }
};

// Finite floats of every magnitude, both signs, subnormals, zeros.
std::vector<float> all_magnitudes() {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x7f800000U; bits += 0x7331) {
    values.push_back(std::bit_cast<float>(bits));
    values.push_back(-values.back());
  }
  return values;
}

// Distance in units in the last place of the exact result.
double ulps(float actual, double expected) {
  if (static_cast<float>(expected) == actual) return 0;
  const double magnitude = std::max(std::abs(expected), 0x1p-126);
  return std::abs(actual - expected) / std::ldexp(1.0, std::ilogb(magnitude) - 23);
}

TEST_P(VectorKernelsTest, ExpIsWithinTwoUnitsInTheLastPlace) {
  std::vector<float> x;
  for (float value = -105.0F; value < 89.0F; value += 0.00037F) x.push_back(value);
  for (const float value : all_magnitudes()) {
    if (std::abs(value) < 80) x.push_back(value);
  }
  std::vector<float> out(x.size());
  kernels().exp(x.data(), static_cast<int64_t>(x.size()), out.data());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(double{x[i]});
    if (expected > std::numeric_limits<float>::max()) {
      EXPECT_EQ(out[i], kInfinity) << x[i];
      continue;
    }
    worst = std::max(worst, ulps(out[i], expected));
    ASSERT_LE(ulps(out[i], expected), 2) << x[i] << " gives " << out[i];
  }
  RecordProperty("worst_ulps", std::to_string(worst));
  EXPECT_GT(worst, 0.4);  // the measure measures
}

TEST_P(VectorKernelsTest, ExpOfLimits) {
  std::vector<float> x = {0.0F, -0.0F, -kInfinity, kInfinity, kNan, -104.5F, 90.0F, -1e30F, 1e30F};
  kernels().exp(x.data(), static_cast<int64_t>(x.size()), x.data());
  const std::vector<float> expected = {1, 1, 0, kInfinity, kNan, 0, kInfinity, 0, kInfinity};
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(x[i]));
    } else {
      EXPECT_EQ(x[i], expected[i]) << i;
    }
  }
}

double gelu_in_double(double z) {
  return 0.5 * z * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (z + 0.044715 * z * z * z)));
}

TEST_P(VectorKernelsTest, GeluIsWithinItsBound) {
  std::vector<float> gate;
  for (float value = -20.0F; value < 20.0F; value += 0.00011F) gate.push_back(value);
  for (const float value : all_magnitudes()) gate.push_back(value);
  const std::vector<float> ones(gate.size(), 1.0F);
  std::vector<float> out(gate.size());
  kernels().gelu_times(gate.data(), ones.data(), static_cast<int64_t>(gate.size()), out.data());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double bound = 4e-7 * std::abs(double{gate[i]}) + 0x1p-149;
    ASSERT_NEAR(out[i], gelu_in_double(gate[i]), bound) << gate[i];
  }
}

TEST_P(VectorKernelsTest, GeluOfLimits) {
  const std::vector<float> gate = {0.0F, 100.0F, -100.0F, kNan, kInfinity, 1e30F, -1e30F};
  const std::vector<float> up = {5, 2, 3, 1, 1, 2, 1};
  std::vector<float> out(gate.size());
  kernels().gelu_times(gate.data(), up.data(), static_cast<int64_t>(gate.size()), out.data());
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[1], 200);
  EXPECT_EQ(out[2], 0);
  EXPECT_TRUE(std::isnan(out[3]));
  EXPECT_EQ(out[4], kInfinity);
  EXPECT_EQ(out[5], 2e30F);
  EXPECT_EQ(out[6], 0);
}

TEST_P(VectorKernelsTest, SoftCapIsWithinItsBound) {
  for (const float cap : {30.0F, 1.0F}) {
    const std::vector<float> in = all_magnitudes();
    std::vector<float> x = in;
    kernels().soft_cap(cap, x.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = cap * std::tanh(double{in[i]} / cap);
      ASSERT_NEAR(x[i], expected, 5e-7 * std::abs(expected) + 0x1p-140) << in[i];
    }
  }
  std::vector<float> x = {kInfinity, -kInfinity, kNan, 0.0F};
  kernels().soft_cap(30.0F, x.data(), 4);
  EXPECT_EQ(x[0], 30);
  EXPECT_EQ(x[1], -30);
  EXPECT_TRUE(std::isnan(x[2]));
  EXPECT_EQ(x[3], 0);
}

TEST_P(VectorKernelsTest, DotOfEveryLength) {
  for_counts([&](int64_t count, Side side) {
    Floats a(random_floats(count, 1), side);
    Floats b(random_floats(count, 2), side);
    double sum = 0;
    double absolute = 0;
    for (int64_t i = 0; i < count; ++i) {
      sum += double{a.data()[i]} * b.data()[i];
      absolute += std::abs(double{a.data()[i]} * b.data()[i]);
    }
    EXPECT_NEAR(kernels().dot(a.data(), b.data(), count), sum, 1e-6 * absolute) << count;
  });
}

// One row in, one row out, element by element: `run` computes from (a, b) in place of a.
struct ElementwiseCase {
  const char* name;
  std::function<void(const VectorKernels&, float* a, const float* b, int64_t count)> run;
  std::function<double(double a, double b)> expected;
};

const ElementwiseCase kElementwise[] = {
    {"exp", [](const auto& k, float* a, const float*, int64_t n) { k.exp(a, n, a); },
     [](double a, double) { return std::exp(a); }},
    {"gelu_times", [](const auto& k, float* a, const float* b, int64_t n) { k.gelu_times(a, b, n, a); },
     [](double a, double b) { return gelu_in_double(a) * b; }},
    {"soft_cap", [](const auto& k, float* a, const float*, int64_t n) { k.soft_cap(3.0F, a, n); },
     [](double a, double) { return 3 * std::tanh(a / 3); }},
    {"scale", [](const auto& k, float* a, const float*, int64_t n) { k.scale(a, 1.5F, nullptr, n, a); },
     [](double a, double) { return a * 1.5; }},
    {"weighted scale", [](const auto& k, float* a, const float* b, int64_t n) { k.scale(a, 0.7F, b, n, a); },
     [](double a, double b) { return a * 0.7F * b; }},
    {"add_scaled", [](const auto& k, float* a, const float* b, int64_t n) { k.add_scaled(a, b, 0.3F, n); },
     [](double a, double b) { return (a + b) * 0.3F; }},
    {"add_normed",
     [](const auto& k, float* a, const float* b, int64_t n) {
       k.add_normed(a, {.update = b, .inverse = 0.6F, .weights = b, .scale = 1.1F}, n);
     },
     [](double a, double b) { return (a + b * 0.6F * b) * 1.1F; }},
    {"mix", [](const auto& k, float* a, const float* b, int64_t n) { k.mix(a, 0.9F, b, 0.4F, n); },
     [](double a, double b) { return a * 0.9F + b * 0.4F; }},
};

TEST_P(VectorKernelsTest, ElementwiseOfEveryLength) {
  for (const ElementwiseCase& test : kElementwise) {
    SCOPED_TRACE(test.name);
    for_counts([&](int64_t count, Side side) {
      const std::vector<float> in = random_floats(count, 3);
      Floats a(in, side);
      Floats b(random_floats(count, 4), side);
      test.run(kernels(), a.data(), b.data(), count);
      for (int64_t i = 0; i < count; ++i) {
        const double x = in[static_cast<size_t>(i)];
        const double expected = test.expected(x, b.data()[i]);
        const double scale = std::abs(expected) + std::abs(x) + std::abs(double{b.data()[i]});
        ASSERT_NEAR(a.data()[i], expected, 1e-6 * scale) << count << ", " << i;
      }
    });
  }
}

// A number must not depend on where in the row it stands, whole vector or remainder.
TEST_P(VectorKernelsTest, PositionsInTheRowDoNotMatter) {
  for (const ElementwiseCase& test : kElementwise) {
    for (int64_t count = 1; count <= 40; ++count) {
      std::vector<float> a(static_cast<size_t>(count), 1.37F);
      const std::vector<float> b(static_cast<size_t>(count), -0.81F);
      test.run(kernels(), a.data(), b.data(), count);
      EXPECT_EQ(a, std::vector<float>(a.size(), a[0])) << test.name << ", " << count;
    }
  }
}

TEST_P(VectorKernelsTest, RotatesPairs) {
  for_counts([&](int64_t half, Side side) {
    const std::vector<float> in = random_floats(2 * half, 5);
    std::vector<float> angles = random_floats(half, 6);
    std::vector<float> cosines, sines;
    for (const float angle : angles) {
      cosines.push_back(std::cos(angle));
      sines.push_back(std::sin(angle));
    }
    Floats x(in, side);
    Floats cosine(cosines, side);
    Floats sine(sines, side);
    kernels().rotate(cosine.data(), sine.data(), half, x.data());
    for (size_t i = 0; i < static_cast<size_t>(half); ++i) {
      const auto h = static_cast<size_t>(half);
      EXPECT_NEAR(x.data()[i], double{in[i]} * cosines[i] - double{in[i + h]} * sines[i], 2e-6);
      EXPECT_NEAR(x.data()[i + h], double{in[i + h]} * cosines[i] + double{in[i]} * sines[i], 2e-6);
    }
  });
}

// Bit for bit as base/number_types.h, for every upper half and the lower halves around ties.
TEST_P(VectorKernelsTest, RoundsToBf16LikeTheScalarCode) {
  std::vector<float> x;
  for (uint32_t high = 0; high < 0x10000; ++high) {
    for (const uint32_t low : {0x0U, 0x1U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU}) {
      x.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  std::vector<float> rounded(x.size());
  std::vector<uint16_t> codes(x.size());
  kernels().round_to_bf16(x.data(), static_cast<int64_t>(x.size()), rounded.data());
  kernels().to_bf16(x.data(), static_cast<int64_t>(x.size()), codes.data());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(codes[i], float_to_bf16(x[i])) << std::hex << std::bit_cast<uint32_t>(x[i]);
    ASSERT_EQ(std::bit_cast<uint32_t>(rounded[i]), uint32_t{codes[i]} << 16);
  }
}

TEST_P(VectorKernelsTest, RoundsEveryLength) {
  for_counts([&](int64_t count, Side side) {
    Floats x(random_floats(count, 7), side);
    Guarded<uint16_t> codes(static_cast<size_t>(count), side == Side::kEnd ? Guarded<uint16_t>::Side::kEnd
                                                                           : Guarded<uint16_t>::Side::kBegin);
    kernels().to_bf16(x.data(), count, codes.data());
    for (int64_t i = 0; i < count; ++i) EXPECT_EQ(codes.data()[i], float_to_bf16(x.data()[i]));
  });
}

std::string name_of(const testing::TestParamInfo<Isa>& info) {
  return std::string(isa_name(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, VectorKernelsTest, testing::ValuesIn(available_isas()), name_of);

}  // namespace
}  // namespace beryl::backend
