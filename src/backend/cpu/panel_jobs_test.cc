#include "backend/cpu/panel_jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <vector>

#include "backend/cpu/packed_for_tests.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

const TestScheme& scheme_named(std::string_view name) {
  const auto& all = all_test_schemes();
  return *std::find_if(all.begin(), all.end(), [&](const TestScheme& scheme) { return scheme.name == name; });
}

double gelu_in_double(double z) {
  const double root = std::sqrt(2.0 / std::acos(-1.0));
  return 0.5 * z * (1 + std::tanh(root * (z + 0.044715 * z * z * z)));
}

// A list like that of a mixture-of-experts layer: jobs of very different sizes, some without tokens.
struct Job {
  Job(std::string_view scheme, int64_t rows, int64_t cols, int64_t token_count, JobOutput job_output)
      : weights(scheme_named(scheme), rows, cols, static_cast<uint32_t>(rows + cols)),
        matrix(weights.matrix()),
        tokens(token_count),
        output(job_output),
        width(job_output == JobOutput::kGatedGelu ? rows / 2 : rows),
        x(random_floats(token_count * cols, 9)) {}

  // The inputs of a run: as they are, or rounded to bf16.
  Activations inputs(bool is_bf16) {
    rows.resize(tokens, matrix->cols(), is_bf16);
    for (int64_t t = 0; t < tokens; ++t) rows.store(t, 0, x.data() + t * matrix->cols(), matrix->cols());
    return rows.view();
  }

  PackedForTests weights;
  std::unique_ptr<PackedMatrix> matrix;
  int64_t tokens;
  JobOutput output;
  int64_t width;
  std::vector<float> x;
  ActivationRows rows;
  ActivationRows hidden;
};

std::vector<std::vector<float>> run_all(const std::vector<std::unique_ptr<Job>>& list, int threads,
                                        bool is_bf16, Isa isa = Isa::kPortable) {
  std::vector<std::vector<float>> outputs;
  std::vector<PanelJob> jobs;
  outputs.reserve(list.size());
  for (const auto& job : list) {
    outputs.emplace_back(static_cast<size_t>(job->tokens * job->width), -7.0F);
    job->hidden.resize(job->tokens, job->width, is_bf16);
    jobs.push_back({.matrix = job->matrix.get(),
                    .output = job->output,
                    .x = job->inputs(is_bf16),
                    .tokens = job->tokens,
                    .y = outputs.back().data(),
                    .hidden = &job->hidden});
  }
  ThreadPool pool(threads);
  PanelRunner(kernels_of(isa), vector_kernels(isa), pool).run(jobs);
  for (size_t i = 0; i < list.size(); ++i) {
    const Job& job = *list[i];
    if (job.output != JobOutput::kGatedGelu) continue;
    const Activations hidden = job.hidden.view();
    for (int64_t t = 0; t < job.tokens; ++t) {
      for (int64_t f = 0; f < job.width; ++f) {
        const int64_t at = t * hidden.stride + f;
        outputs[i][static_cast<size_t>(t * job.width + f)] =
            is_bf16 ? bf16_to_float(hidden.bf16()[at]) : hidden.floats()[at];
      }
    }
  }
  return outputs;
}

std::vector<std::unique_ptr<Job>> mixed_jobs() {
  std::vector<std::unique_ptr<Job>> list;
  const auto add = [&](std::string_view format, int64_t rows, int64_t cols, int64_t tokens,
                       JobOutput output) {
    list.push_back(std::make_unique<Job>(format, rows, cols, tokens, output));
  };
  add("bf16", 48, 70, 0, JobOutput::kStore);
  add("fp8", 64, 100, 17, JobOutput::kGatedGelu);
  add("bf16", 37, 64, 33, JobOutput::kStore);
  add("f32", 1, 3, 1, JobOutput::kStore);
  add("fp8", 96, 130, 1, JobOutput::kGatedGelu);
  add("f16", 200, 65, 5, JobOutput::kStore);
  add("nvfp4", 48, 96, 3, JobOutput::kStore);
  add("bf16", 16, 16, 0, JobOutput::kStore);
  return list;
}

bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

TEST(PanelJobsTest, AnyNumberOfThreadsGivesTheSameBits) {
  const auto list = mixed_jobs();
  for (const Isa isa : available_isas()) {
    for (const bool is_bf16 : {false, true}) {
      const auto expected = run_all(list, 1, is_bf16, isa);
      for (int threads = 2; threads <= 5; ++threads) {
        const auto actual = run_all(list, threads, is_bf16, isa);
        for (size_t i = 0; i < expected.size(); ++i) {
          EXPECT_TRUE(std::equal(actual[i].begin(), actual[i].end(), expected[i].begin(), expected[i].end(),
                                 same_bits))
              << "job " << i << ", threads " << threads;
        }
      }
    }
  }
}

// A list too small to share, and lists that have less units than threads.
TEST(PanelJobsTest, SmallListsAreComplete) {
  for (int64_t rows = 1; rows <= 50; rows += 7) {
    std::vector<std::unique_ptr<Job>> list;
    list.push_back(std::make_unique<Job>("bf16", rows, 4000, 3, JobOutput::kStore));
    EXPECT_EQ(run_all(list, 5, false), run_all(list, 1, false));
  }
  EXPECT_TRUE(run_all({}, 3, false).empty());
}

// A product in double, and what float32 may be off by: a millionth of the sum of absolute products.
struct Product {
  double value = 0;
  double tolerance = 0;
};

Product product(const Job& job, int64_t row, int64_t t) {
  Product result;
  for (int64_t k = 0; k < job.matrix->cols(); ++k) {
    const double x = job.x[static_cast<size_t>(t * job.matrix->cols() + k)];
    result.value += job.weights.value(row, k) * x;
    result.tolerance += std::abs(x) * job.weights.magnitude(row, k) * 1e-6;
  }
  return result;
}

TEST(PanelJobsTest, StoresEveryProduct) {
  const auto list = mixed_jobs();
  const auto outputs = run_all(list, 3, false);
  for (size_t i = 0; i < list.size(); ++i) {
    const Job& job = *list[i];
    if (job.output != JobOutput::kStore || job.weights.layout.scheme.codes == formats::CodeKind::kF16)
      continue;
    for (int64_t t = 0; t < job.tokens; ++t) {
      for (int64_t row = 0; row < job.width; ++row) {
        const Product expected = product(job, row, t);
        EXPECT_NEAR(outputs[i][static_cast<size_t>(t * job.width + row)], expected.value, expected.tolerance);
      }
    }
  }
}

// Packed in another order of inputs, a matrix takes its inputs in that order; gate and up may have two.
TEST(PanelJobsTest, InputsFollowTheOrderOfEachHalf) {
  Job plain("int4_g32", 64, 40, 5, JobOutput::kGatedGelu);
  std::vector<int32_t> reversed(40);
  for (size_t i = 0; i < reversed.size(); ++i) reversed[i] = 39 - static_cast<int32_t>(i);
  std::vector<float> y(5 * 32);
  std::vector<float> expected(5 * 32);
  ThreadPool pool(1);
  PanelRunner runner(kernels_of(Isa::kPortable), portable_vector_kernels(), pool);
  const auto run = [&](const PackedMatrix& matrix, const std::vector<float>& x, std::vector<float>& out) {
    ActivationRows rows;
    ActivationRows hidden;
    rows.resize(5, 40, false);
    hidden.resize(5, 32, false);
    for (int64_t t = 0; t < 5; ++t) rows.store(t, 0, x.data() + t * 40, 40);
    const PanelJob job{
        .matrix = &matrix, .output = JobOutput::kGatedGelu, .x = rows.view(), .tokens = 5, .hidden = &hidden};
    runner.run({&job, 1});
    out.assign(hidden.view().floats(), hidden.view().floats() + out.size());
  };
  std::vector<float> x_reversed = plain.x;
  for (int64_t t = 0; t < 5; ++t)
    std::reverse(x_reversed.begin() + t * 40, x_reversed.begin() + (t + 1) * 40);
  run(*plain.matrix, x_reversed, expected);
  const auto both = plain.weights.matrix();
  both->set_input_order(0, reversed);
  both->set_input_order(1, reversed);
  run(*both, plain.x, y);
  EXPECT_EQ(y, expected);
  // The gate alone: up is zero where its inputs cancel it, so compare with a product by hand.
  const auto gate = plain.weights.matrix();
  gate->set_input_order(0, reversed);
  run(*gate, plain.x, y);
  EXPECT_NE(y, expected);
  const auto row_sum = [&](int64_t row, bool is_reversed) {
    double sum = 0;
    for (int64_t k = 0; k < 40; ++k) {
      sum += double{plain.weights.value(row, k)} * plain.x[static_cast<size_t>(is_reversed ? 39 - k : k)];
    }
    return sum;
  };
  EXPECT_NEAR(y[3], gelu_in_double(row_sum(3, true)) * row_sum(16 + 3, false), 1e-3 * (1 + std::abs(y[3])));
}

TEST(PanelJobsTest, GatedOutputsAreGeluOfGateTimesUp) {
  // Panels alternate, so rows 0-15 are the gates and 16-31 the ups of outputs 0-15.
  std::vector<std::unique_ptr<Job>> list;
  list.push_back(std::make_unique<Job>("bf16", 96, 90, 19, JobOutput::kGatedGelu));
  const Job& job = *list.front();
  const std::vector<float> exact = run_all(list, 2, false).front();
  for (int64_t t = 0; t < job.tokens; ++t) {
    for (int64_t f = 0; f < job.width; ++f) {
      const int64_t row = f / kPanelRows * 2 * kPanelRows + f % kPanelRows;
      const Product gate = product(job, row, t);
      const Product up = product(job, row + kPanelRows, t);
      const double expected = gelu_in_double(gate.value) * up.value;
      // GELU's slope stays below 1.13.
      const double tolerance = 1.2 * gate.tolerance * std::abs(up.value) +
                               std::abs(gate.value) * up.tolerance +
                               1e-6 * (std::abs(expected) + std::abs(gate.value * up.value));
      const auto at = static_cast<size_t>(t * job.width + f);
      EXPECT_NEAR(exact[at], expected, tolerance);
    }
  }
}

}  // namespace
}  // namespace beryl::backend
