#include "backend/cpu/panel_jobs.h"

#include <algorithm>
#include <array>
#include <vector>

#include "backend/cpu/gelu.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

// Below this many multiply-adds a list is not worth waking other threads for.
constexpr int64_t kInlineWork = 100'000;

// Tokens whose outputs of one panel (or gate/up pair) are held before they are stored.
constexpr int64_t kTokenTile = 16;

// Panels are dealt out in units: one panel, or a gate panel and its up panel.
int64_t unit_panels(const PanelJob& job) {
  return job.output == JobOutput::kGatedGelu ? 2 : 1;
}

int64_t unit_count(const PanelJob& job) {
  return job.tokens == 0 ? 0 : job.matrix->layout().panels / unit_panels(job);
}

int64_t unit_work(const PanelJob& job) {
  return unit_panels(job) * kPanelRows * job.matrix->cols() * job.tokens;
}

using UnitOutputs = std::array<float, kTokenTile * 2 * kPanelRows>;  // [token][panel of the unit][row]

void store_unit(const PanelJob& job, int64_t unit, int64_t first_token, int64_t tokens,
                const UnitOutputs& from) {
  const bool is_gated = job.output == JobOutput::kGatedGelu;
  const int64_t width = is_gated ? job.matrix->rows() / 2 : job.matrix->rows();
  const int64_t first_row = unit * kPanelRows;
  const int64_t rows = std::min(kPanelRows, width - first_row);
  for (int64_t t = 0; t < tokens; ++t) {
    const float* in = from.data() + t * 2 * kPanelRows;
    float* out = job.y + (first_token + t) * width + first_row;
    for (int64_t r = 0; r < rows; ++r) {
      const float value = is_gated ? gelu_tanh(in[r]) * in[kPanelRows + r] : in[r];
      out[r] = job.round_output ? round_to_bf16(value) : value;
    }
  }
}

// The input rows of a job as its matrix takes them: of the two halves of a gated pair each has its own order.
struct JobInputs {
  std::array<const float*, 2> x{};  // [tokens, cols]
};

// Inputs in published order where that is the packed one, else copies in the packed order.
class OrderedInputs {
 public:
  explicit OrderedInputs(std::span<const PanelJob> jobs) {
    for (const PanelJob& job : jobs) {
      JobInputs inputs;
      for (int half = 0; half < 2; ++half) inputs.x[static_cast<size_t>(half)] = ordered(job, half);
      inputs_.push_back(inputs);
    }
  }

  const JobInputs& of(size_t job) const { return inputs_[job]; }

 private:
  const float* ordered(const PanelJob& job, int half) {
    const std::span<const int32_t> order = job.matrix->input_order(half);
    if (order.empty()) return job.x;
    const int64_t cols = job.matrix->cols();
    copies_.emplace_back(static_cast<size_t>(job.tokens * cols));
    std::vector<float>& copy = copies_.back();
    for (int64_t t = 0; t < job.tokens; ++t) {
      for (size_t i = 0; i < order.size(); ++i) {
        copy[static_cast<size_t>(t * cols) + i] = job.x[t * cols + order[i]];
      }
    }
    return copy.data();
  }

  std::vector<JobInputs> inputs_;
  std::vector<std::vector<float>> copies_;
};

void run_unit(const Kernels& kernels, const PanelJob& job, const JobInputs& inputs, int64_t unit) {
  UnitOutputs outputs;
  for (int64_t first = 0; first < job.tokens; first += kTokenTile) {
    const int64_t tokens = std::min(kTokenTile, job.tokens - first);
    for (int64_t half = 0; half < unit_panels(job); ++half) {
      kernels.multiply_panel({.layout = &job.matrix->layout(),
                              .panel = job.matrix->panel(unit * unit_panels(job) + half),
                              .x = inputs.x[static_cast<size_t>(half)] + first * job.matrix->cols(),
                              .x_stride = job.matrix->cols(),
                              .tokens = tokens,
                              .y = outputs.data() + half * kPanelRows,
                              .y_stride = 2 * kPanelRows});
    }
    store_unit(job, unit, first, tokens, outputs);
  }
}

}  // namespace

void run_panel_jobs(const Kernels& kernels, ThreadPool& pool, std::span<const PanelJob> jobs) {
  const OrderedInputs inputs(jobs);
  int64_t total_work = 0;
  for (const PanelJob& job : jobs) total_work += unit_count(job) * unit_work(job);
  const int threads = total_work < kInlineWork ? 1 : pool.thread_count();
  const auto run_share = [&](int thread) {
    // The units whose work, counted from the start of the list, begins inside this thread's share.
    const int64_t share_begin = total_work / threads * thread;
    const int64_t share_end = thread + 1 == threads ? total_work : total_work / threads * (thread + 1);
    int64_t job_begin = 0;
    for (size_t index = 0; index < jobs.size(); ++index) {
      const PanelJob& job = jobs[index];
      const int64_t count = unit_count(job);
      if (count == 0) continue;
      const int64_t work = unit_work(job);
      const auto first_unit_at = [&](int64_t position) {
        return std::clamp((position - job_begin + work - 1) / work, int64_t{0}, count);
      };
      const int64_t end = share_end <= job_begin ? 0 : first_unit_at(share_end);
      for (int64_t unit = share_begin <= job_begin ? 0 : first_unit_at(share_begin); unit < end; ++unit) {
        run_unit(kernels, job, inputs.of(index), unit);
      }
      job_begin += count * work;
    }
  };
  if (threads == 1) {
    run_share(0);
  } else {
    pool.run(run_share);
  }
}

}  // namespace beryl::backend
