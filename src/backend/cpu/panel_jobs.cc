#include "backend/cpu/panel_jobs.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>

#include "backend/cpu/panel_reader.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

// Below this many multiply-adds a list is not worth waking other threads for.
constexpr int64_t kInlineWork = 100'000;

// Panels of the largest unit of work: kernels work on so many at a time. Of a gated matrix, two pairs.
constexpr int64_t kUnitPanels = 4;
// For so few tokens kernels take panel after panel, and units may be smaller.
constexpr int64_t kFewTokens = 8;

int64_t unit_panels(const PanelJob& job) {
  return job.tokens <= kFewTokens ? kUnitPanels / 2 : kUnitPanels;
}

int64_t unit_count(const PanelJob& job) {
  if (job.tokens == 0 || job.matrix->cols() == 0) return 0;
  return ceil_div(job.matrix->layout().panels, unit_panels(job));
}

int64_t unit_work(const PanelJob& job) {
  return unit_panels(job) * kPanelRows * job.matrix->cols() * job.tokens;
}

// Units of a list, numbered through.
class UnitNumbers {
 public:
  explicit UnitNumbers(std::span<const PanelJob> jobs) : jobs_(jobs) {
    first_units_.reserve(jobs.size() + 1);
    first_units_.push_back(0);
    for (const PanelJob& job : jobs) {
      const int64_t count = unit_count(job);
      first_units_.push_back(first_units_.back() + count);
      total_work_ += count * unit_work(job);
    }
  }

  int64_t total_work() const { return total_work_; }
  size_t job_of(int64_t unit) const {
    const auto behind = std::upper_bound(first_units_.begin(), first_units_.end(), unit);
    return static_cast<size_t>(behind - first_units_.begin()) - 1;
  }
  int64_t first_of(size_t job) const { return first_units_[job]; }
  // The first unit that has at least `work` before it.
  int64_t unit_at(int64_t work) const {
    for (size_t job = 0; job < jobs_.size(); ++job) {
      const int64_t count = first_units_[job + 1] - first_units_[job];
      if (count == 0) continue;
      const int64_t each = unit_work(jobs_[job]);
      if (work <= count * each) return first_units_[job] + ceil_div(work, each);
      work -= count * each;
    }
    return first_units_.back();
  }

 private:
  std::span<const PanelJob> jobs_;
  std::vector<int64_t> first_units_;  // [jobs + 1]
  int64_t total_work_ = 0;
};

// The input of a job as its matrix takes it: in the order of its inputs, of which gate and up may have one
// each, and with the sums of the segments where it needs them.
struct JobInput {
  std::array<Activations, 2> x;
  std::array<const float*, 2> sums{};  // [rows, segments]
};

class JobInputs {
 public:
  explicit JobInputs(std::span<const PanelJob> jobs) {
    for (const PanelJob& job : jobs) {
      JobInput input;
      const size_t halves = job.output == JobOutput::kGatedGelu ? 2 : 1;
      for (size_t half = 0; half < halves; ++half) {
        input.x[half] = ordered(job, static_cast<int>(half));
        if (job.matrix->shape().needs_sums) input.sums[half] = sums_of(job.matrix->shape(), input.x[half]);
      }
      inputs_.push_back(input);
    }
  }

  const JobInput& of(size_t job) const { return inputs_[job]; }

 private:
  struct Sums {
    const void* data;
    int64_t group_inputs;
    std::vector<float> values;
  };

  Activations ordered(const PanelJob& job, int half) {
    const std::span<const int32_t> order = job.matrix->input_order(half);
    if (order.empty()) return job.x;
    const auto cols = static_cast<int64_t>(order.size());
    ActivationRows& copy = copies_.emplace_back();
    copy.resize(job.x.rows, cols, job.x.is_bf16);
    std::vector<float> row(order.size());
    for (int64_t t = 0; t < job.x.rows; ++t) {
      for (size_t i = 0; i < order.size(); ++i) {
        const int64_t at = t * job.x.stride + order[i];
        row[i] = job.x.is_bf16 ? bf16_to_float(job.x.bf16()[at]) : job.x.floats()[at];
      }
      copy.store(t, 0, row.data(), cols);
    }
    return copy.view();
  }

  // Jobs on one input share its sums.
  const float* sums_of(const PanelShape& shape, const Activations& x) {
    for (const Sums& sums : sums_) {
      if (sums.data == x.data && sums.group_inputs == shape.group_inputs) return sums.values.data();
    }
    Sums& sums = sums_.emplace_back(Sums{x.data, shape.group_inputs, {}});
    const int64_t segments = segment_count(&shape);
    sums.values.assign(static_cast<size_t>(x.rows * segments), 0.0F);
    for (int64_t row = 0; row < x.rows; ++row) {
      for (int64_t segment = 0; segment < segments; ++segment) {
        const int64_t group = segment / shape.segments_per_group;
        const int64_t within = segment % shape.segments_per_group * kSegmentInputs;
        const int64_t begin = group * shape.group_inputs + within;
        const int64_t group_end = std::min((group + 1) * shape.group_inputs, shape.cols);
        float sum = 0;
        for (int64_t k = begin; k < std::min(begin + kSegmentInputs, group_end); ++k) {
          const int64_t at = row * x.stride + k;
          sum += x.is_bf16 ? bf16_to_float(x.bf16()[at]) : x.floats()[at];
        }
        sums.values[static_cast<size_t>(row * segments + segment)] = sum;
      }
    }
    return sums.values.data();
  }

  std::vector<JobInput> inputs_;
  std::deque<ActivationRows> copies_;
  std::deque<Sums> sums_;
};

// Outputs of a unit for a block of tokens, [token][panel of the unit][row].
constexpr int64_t kUnitWidth = kUnitPanels * kPanelRows;

struct UnitOutputs {
  int64_t first_panel;
  int64_t panels;
  int64_t first_token;
  int64_t tokens;
  const float* numbers;  // [tokens, kUnitWidth]
};

void store_plain(const VectorKernels& /*vectors*/, const PanelJob& job, const UnitOutputs& unit) {
  const int64_t first_row = unit.first_panel * kPanelRows;
  const int64_t rows = std::min(unit.panels * kPanelRows, job.matrix->rows() - first_row);
  for (int64_t t = 0; t < unit.tokens; ++t) {
    std::copy_n(unit.numbers + t * kUnitWidth, rows,
                job.y + (unit.first_token + t) * job.matrix->rows() + first_row);
  }
}

void store_gated(const VectorKernels& vectors, const PanelJob& job, const UnitOutputs& unit) {
  const int64_t width = job.matrix->rows() / 2;
  for (int64_t pair = 0; pair < unit.panels / 2; ++pair) {
    const int64_t first_row = (unit.first_panel / 2 + pair) * kPanelRows;
    const int64_t rows = std::min(kPanelRows, width - first_row);
    for (int64_t t = 0; t < unit.tokens; ++t) {
      const float* gate = unit.numbers + t * kUnitWidth + pair * 2 * kPanelRows;
      std::array<float, kPanelRows> values;
      vectors.gelu_times(gate, gate + kPanelRows, rows, values.data());
      job.hidden->store(job.hidden_row + unit.first_token + t, first_row, values.data(), rows);
    }
  }
}

}  // namespace

void ActivationRows::resize(int64_t rows, int64_t width, bool is_bf16) {
  const bool is_same = rows <= rows_ && width == width_ && is_bf16 == is_bf16_;
  rows_ = rows;
  if (is_same) return;
  width_ = width;
  is_bf16_ = is_bf16;
  stride_ = is_bf16 ? (width + kSegmentInputs - 1) / kSegmentInputs * kSegmentInputs : width;
  const auto numbers = static_cast<size_t>(rows * stride_);
  if (!is_bf16) {
    if (floats_.size() < numbers) floats_.resize(numbers);
  } else if (stride_ == width) {
    if (bf16_.size() < numbers) bf16_.resize(numbers);
  } else {
    bf16_.assign(numbers, 0);
  }
}

Activations ActivationRows::rows_from(int64_t first, int64_t count) const {
  const auto at = static_cast<size_t>(first * stride_);
  const void* data = is_bf16_ ? static_cast<const void*>(bf16_.data() + at) : floats_.data() + at;
  return {.data = data, .is_bf16 = is_bf16_, .rows = count, .stride = stride_};
}

void ActivationRows::store(int64_t row, int64_t first, const float* values, int64_t count) {
  const auto at = static_cast<size_t>(row * stride_ + first);
  if (!is_bf16_) {
    std::copy_n(values, count, floats_.data() + at);
    return;
  }
  vectors_->to_bf16(values, count, bf16_.data() + at);
}

// Working memory of one thread.
struct PanelRunner::Scratch {
  explicit Scratch(const formats::CodeMoves& moves) : reader(moves) {}

  PanelReader reader;
  alignas(64) std::array<float, kMatrixScratchFloats> kernel;
  std::array<float, kKernelTokens * kUnitWidth> outputs;
};

// Units that one thread begins with. Who is done takes the next of another's.
struct alignas(64) PanelRunner::Share {
  std::atomic<int64_t> next{0};
  int64_t end = 0;
};

PanelRunner::PanelRunner(const Kernels& kernels, const VectorKernels& vectors, ThreadPool& pool)
    : kernels_(kernels), vectors_(vectors), pool_(pool), shares_(static_cast<size_t>(pool.thread_count())) {
  for (int i = 0; i < pool.thread_count(); ++i) scratch_.push_back(std::make_unique<Scratch>(*kernels.moves));
}

PanelRunner::~PanelRunner() = default;

void PanelRunner::run(std::span<const PanelJob> jobs) {
  const JobInputs inputs(jobs);
  const UnitNumbers units(jobs);
  const auto run_unit = [&](int64_t number, Scratch& scratch) {
    const size_t index = units.job_of(number);
    const PanelJob& job = jobs[index];
    const JobInput& input = inputs.of(index);
    const PackedLayout& layout = job.matrix->layout();
    const int64_t first_panel = (number - units.first_of(index)) * unit_panels(job);
    const int64_t panels = std::min(unit_panels(job), layout.panels - first_panel);
    // Halves that take their inputs in different orders are two products of every second panel.
    const bool is_split = input.x[1].data != nullptr && input.x[1].data != input.x[0].data;
    const std::byte* const packed = scratch.reader.panels(*job.matrix, first_panel, panels);
    for (int64_t first = 0; first < job.tokens; first += kKernelTokens) {
      const int64_t tokens = std::min<int64_t>(kKernelTokens, job.tokens - first);
      for (int64_t part = 0; part < (is_split ? panels : 1); ++part) {
        const auto half = static_cast<size_t>(part % 2);
        const Activations& x = input.x[half];
        const int64_t row = job.x_rows == nullptr ? first : 0;
        const auto* data = static_cast<const std::byte*>(x.data) + row * x.stride * (x.is_bf16 ? 2 : 4);
        const int64_t segments = segment_count(&job.matrix->shape());
        kernels_.multiply(
            {.shape = &job.matrix->shape(),
             .panels = reinterpret_cast<const unsigned char*>(packed + part * layout.panel_bytes),
             .panel_count = is_split ? 1 : panels,
             .panel_bytes = layout.panel_bytes,
             .x = data,
             .x_is_bf16 = x.is_bf16,
             .x_stride = x.stride,
             .x_rows = job.x_rows == nullptr ? nullptr : job.x_rows + first,
             .x_sums = input.sums[half] == nullptr ? nullptr : input.sums[half] + row * segments,
             .sums_stride = segments,
             .tokens = tokens,
             .y = scratch.outputs.data() + part * kPanelRows,
             .y_stride = kUnitWidth,
             .scratch = scratch.kernel.data()});
      }
      const auto store = job.output == JobOutput::kGatedGelu ? store_gated : store_plain;
      store(vectors_, job, {first_panel, panels, first, tokens, scratch.outputs.data()});
    }
  };
  const int threads = units.total_work() < kInlineWork ? 1 : pool_.thread_count();
  for (int thread = 0; thread < threads; ++thread) {
    Share& share = shares_[static_cast<size_t>(thread)];
    share.next.store(units.unit_at(units.total_work() / threads * thread), std::memory_order_relaxed);
    const bool is_last = thread + 1 == threads;
    share.end = units.unit_at(is_last ? units.total_work() : units.total_work() / threads * (thread + 1));
  }
  const auto run_share = [&](int thread) {
    Scratch& scratch = *scratch_[static_cast<size_t>(thread)];
    for (int i = 0; i < threads; ++i) {
      Share& share = shares_[static_cast<size_t>((thread + i) % threads)];
      const auto take = [&] { return share.next.fetch_add(1, std::memory_order_relaxed); };
      for (int64_t unit = take(); unit < share.end; unit = take()) run_unit(unit, scratch);
    }
  };
  if (threads == 1) {
    run_share(0);
  } else {
    pool_.run(run_share);
  }
}

}  // namespace beryl::backend
