#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "backend/cpu/attention.h"
#include "backend/cpu/cpu_cache.h"
#include "backend/cpu/gelu.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/panel_jobs.h"
#include "backend/cpu/routing.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/upload.h"
#include "base/check.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

class CpuVector final : public Vector {
 public:
  explicit CpuVector(std::span<const float> values) : values_(values.begin(), values.end()) {}
  const float* data() const { return values_.data(); }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }

 private:
  std::vector<float> values_;
};

class CpuBuffer final : public Buffer {
 public:
  // Sets the shape; what the buffer held is lost.
  void resize(int64_t rows, int64_t width) {
    rows_ = rows;
    width_ = width;
    const auto numbers = static_cast<size_t>(rows * width);
    if (values_.size() < numbers) values_.resize(numbers);
  }
  float* row(int64_t index) { return values_.data() + index * width_; }
  const float* row(int64_t index) const { return values_.data() + index * width_; }
  int64_t size() const { return rows_ * width_; }
  Activations view() const { return {.data = values_.data(), .rows = rows_, .stride = width_}; }

 private:
  std::vector<float> values_;
};

CpuBuffer& cpu(Buffer& buffer) {
  return static_cast<CpuBuffer&>(buffer);
}
const CpuBuffer& cpu(const Buffer& buffer) {
  return static_cast<const CpuBuffer&>(buffer);
}
const PackedMatrix& cpu(const Matrix& matrix) {
  return static_cast<const PackedMatrix&>(matrix);
}
const CpuVector& cpu(const Vector& vector) {
  return static_cast<const CpuVector&>(vector);
}
CpuCache& cpu(Cache& cache) {
  return static_cast<CpuCache&>(cache);
}
const CpuCache& cpu(const Cache& cache) {
  return static_cast<const CpuCache&>(cache);
}
CpuRouting& cpu(Routing& routing) {
  return static_cast<CpuRouting&>(routing);
}
const CpuRouting& cpu(const Routing& routing) {
  return static_cast<const CpuRouting&>(routing);
}

// Element-wise loops shorter than this many rows run on one thread.
constexpr int64_t kInlineRows = 8;

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const CpuOptions& options)
      : compute_(options.compute),
        kernels_(kernels_of(chosen_isa())),
        pool_(options.threads),
        runner_(kernels_, vector_kernels(chosen_isa()), pool_) {}

  uint64_t resident_bytes(const MatrixSource& source) const override { return packed_layout(source).bytes(); }

  uint64_t cache_bytes(const CacheShape& shape) const override { return CpuCache::bytes(shape, compute_); }

  std::vector<std::unique_ptr<Matrix>> upload(std::span<const MatrixSource> sources,
                                              Progress& progress) override {
    Upload upload = upload_matrices(sources, pool_, progress);
    arenas_.push_back(std::move(upload.arena));
    return std::move(upload.matrices);
  }

  std::unique_ptr<Vector> upload_vector(std::span<const float> values) override {
    return std::make_unique<CpuVector>(values);
  }
  std::unique_ptr<Buffer> make_buffer() override { return std::make_unique<CpuBuffer>(); }
  std::unique_ptr<Routing> make_routing() override { return std::make_unique<CpuRouting>(); }
  std::unique_ptr<Cache> make_cache(const CacheShape& shape) override {
    return std::make_unique<CpuCache>(shape, compute_);
  }

  void embed(const Matrix& table, std::span<const int32_t> tokens, float scale, Buffer& out) override {
    const PackedMatrix& matrix = cpu(table);
    const auto rows = static_cast<int64_t>(tokens.size());
    cpu(out).resize(rows, matrix.cols());
    for_rows(rows, [&](int64_t t) {
      const int64_t token = tokens[static_cast<size_t>(t)];
      BERYL_CHECK(token >= 0 && token < matrix.rows());
      float* to = cpu(out).row(t);
      decode_row(matrix, token, to);
      for (int64_t i = 0; i < matrix.cols(); ++i) to[i] *= scale;
    });
  }

  void rms_norm(const Buffer& in, const Vector* weight, float epsilon, Buffer& out) override {
    if (&in != &out) cpu(out).resize(in.rows(), in.width());
    for_rows(in.rows(),
             [&](int64_t t) { normalise(cpu(in).row(t), in.width(), weight, epsilon, cpu(out).row(t)); });
  }

  void linear(const Buffer& in, std::span<const LinearOutput> outputs) override {
    const Activations x = linear_input(in, linear_in_);
    std::vector<PanelJob> jobs;
    for (const LinearOutput& output : outputs) {
      BERYL_CHECK(output.matrix->cols() == in.width());
      cpu(*output.out).resize(in.rows(), output.matrix->rows());
      jobs.push_back(
          {.matrix = &cpu(*output.matrix), .x = x, .tokens = in.rows(), .y = cpu(*output.out).row(0)});
    }
    runner_.run(jobs);
  }

  void rotate_and_cache(const AttentionLayer& layer, const Rows& rows, Buffer& q, const Buffer* k,
                        const Buffer* v, Cache& cache) override {
    for_rows(q.rows(), [&](int64_t t) {
      const int64_t position = rows.positions[static_cast<size_t>(t)];
      const RotaryRow rotary = make_rotary(layer, position);
      for (int64_t head = 0; head < layer.heads; ++head) {
        float* vector = cpu(q).row(t) + head * layer.head_dim;
        normalise(vector, layer.head_dim, layer.q_norm, layer.norm_epsilon, vector);
        rotate(rotary, vector);
        if (compute_ == Compute::kBf16) round_all(vector, layer.head_dim);
      }
      if (k != nullptr) cache_row(layer, rows, t, rotary, {cpu(*k).row(t), cpu(*v).row(t)}, cpu(cache));
    });
  }

  void attention(const AttentionLayer& layer, const Rows& rows, const Buffer& q, const Cache& cache,
                 Buffer& out) override {
    cpu(out).resize(q.rows(), layer.heads * layer.head_dim);
    const int64_t group_width = layer.heads / layer.kv_heads * layer.head_dim;
    pool_.run_ranges(q.rows() * layer.kv_heads, 2, [&](int64_t begin, int64_t end) {
      AttentionScratch scratch;
      for (int64_t task = begin; task < end; ++task) {
        const int64_t t = task / layer.kv_heads;
        const int64_t kv_head = task % layer.kv_heads;
        attend(kernels_,
               {.layer = &layer,
                .cache = &cpu(cache),
                .pages = pages_of(layer, rows, t),
                .compute = compute_,
                .position = rows.positions[static_cast<size_t>(t)],
                .kv_head = kv_head,
                .q = cpu(q).row(t) + kv_head * group_width,
                .out = cpu(out).row(t) + kv_head * group_width},
               scratch);
      }
    });
  }

  void route(const Router& router, const Buffer& in, std::span<const int32_t> forced, Routing& out) override {
    const PackedMatrix& projection = cpu(*router.projection);
    router_logits_.resize(static_cast<size_t>(in.rows() * projection.rows()));
    // Never rounded: near ties between experts are common, and a flipped expert changes the whole token.
    const PanelJob job = {
        .matrix = &projection, .x = cpu(in).view(), .tokens = in.rows(), .y = router_logits_.data()};
    runner_.run({&job, 1});
    choose_experts(
        {.logits = router_logits_,
         .per_expert_scale = {cpu(*router.per_expert_scale).data(), static_cast<size_t>(projection.rows())},
         .top_k = router.top_k,
         .forced = forced},
        cpu(out));
  }

  void feed_forward(const FeedForward& arguments) override {
    const int64_t tokens = arguments.dense_in->rows();
    const ExpertGroups groups = arguments.experts.empty()
                                    ? ExpertGroups{}
                                    : group_by_expert(cpu(*arguments.routing), arguments.experts.size());
    run_gated(arguments, groups, tokens);
    run_down(arguments, groups, tokens);
    if (!arguments.experts.empty()) combine_slots(arguments, tokens);
  }

  void gelu_gate(Buffer& gate, const Buffer& factors, int64_t first_column) override {
    for_rows(gate.rows(), [&](int64_t t) {
      float* to = cpu(gate).row(t);
      const float* by = cpu(factors).row(t) + first_column;
      for (int64_t i = 0; i < gate.width(); ++i) to[i] = gelu_tanh(to[i]) * by[i];
    });
  }

  void add_scaled(Buffer& a, const Buffer& b, float scale) override {
    BERYL_CHECK(cpu(a).size() == cpu(b).size());
    for_rows(a.rows(), [&](int64_t t) {
      float* to = cpu(a).row(t);
      const float* from = cpu(b).row(0) + t * a.width();
      for (int64_t i = 0; i < a.width(); ++i) to[i] = (to[i] + from[i]) * scale;
    });
  }

  void add_normed(Buffer& x, const Buffer& update, const Vector* weight, float epsilon,
                  float scale) override {
    for_rows(x.rows(), [&](int64_t t) {
      const float* from = cpu(update).row(t);
      float* to = cpu(x).row(t);
      const float inverse = inverse_rms(from, x.width(), epsilon);
      const float* weights = cpu(*weight).data();
      for (int64_t i = 0; i < x.width(); ++i) to[i] = (to[i] + from[i] * inverse * weights[i]) * scale;
    });
  }

  void gather_rows(const Buffer& in, std::span<const int32_t> rows, Buffer& out) override {
    cpu(out).resize(static_cast<int64_t>(rows.size()), in.width());
    for (size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(cpu(in).row(rows[i]), in.width(), cpu(out).row(static_cast<int64_t>(i)));
    }
  }

  void head(const Buffer& in, const Matrix& matrix, float soft_cap, std::span<float> logits) override {
    BERYL_CHECK(static_cast<int64_t>(logits.size()) == in.rows() * matrix.rows());
    const PanelJob job = {
        .matrix = &cpu(matrix), .x = linear_input(in, linear_in_), .tokens = in.rows(), .y = logits.data()};
    runner_.run({&job, 1});
    if (soft_cap == 0.0F) return;
    pool_.run_ranges(static_cast<int64_t>(logits.size()), 4096, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float& logit = logits[static_cast<size_t>(i)];
        logit = soft_cap * std::tanh(logit / soft_cap);
      }
    });
  }

  std::vector<float> read(const Buffer& buffer) override {
    return {cpu(buffer).row(0), cpu(buffer).row(0) + cpu(buffer).size()};
  }

  std::vector<int32_t> read_experts(const Routing& routing) override { return cpu(routing).experts; }

 private:
  // The cosines and sines of one position.
  struct RotaryRow {
    std::vector<float> cosines;  // [head_dim / 2]
    std::vector<float> sines;
  };
  struct KeyAndValue {
    const float* k;  // [kv_heads, head_dim], straight from the projection
    const float* v;
  };

  template <typename Body>
  void for_rows(int64_t rows, Body body) {
    pool_.run_ranges(rows, kInlineRows, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) body(row);
    });
  }

  float inverse_rms(const float* in, int64_t width, float epsilon) const {
    const float mean = kernels_.dot(in, in, width) / static_cast<float>(width);
    return 1.0F / std::sqrt(mean + epsilon);
  }

  void normalise(const float* in, int64_t width, const Vector* weight, float epsilon, float* out) const {
    const float inverse = inverse_rms(in, width, epsilon);
    if (weight == nullptr) {
      for (int64_t i = 0; i < width; ++i) out[i] = in[i] * inverse;
      return;
    }
    BERYL_CHECK(cpu(*weight).size() == width);
    const float* weights = cpu(*weight).data();
    for (int64_t i = 0; i < width; ++i) out[i] = in[i] * inverse * weights[i];
  }

  static void round_all(float* values, int64_t count) {
    for (int64_t i = 0; i < count; ++i) values[i] = round_to_bf16(values[i]);
  }

  // What a linear multiplies: the input itself, or in bf16 mode a copy of it in `rounded`.
  Activations linear_input(const Buffer& in, ActivationRows& rounded) {
    if (compute_ == Compute::kF32) return cpu(in).view();
    rounded.resize(in.rows(), in.width(), true);
    for_rows(in.rows(), [&](int64_t t) { rounded.store(t, 0, cpu(in).row(t), in.width()); });
    return rounded.view();
  }

  static RotaryRow make_rotary(const AttentionLayer& layer, int64_t position) {
    const auto half = static_cast<size_t>(layer.head_dim / 2);
    RotaryRow row{std::vector<float>(half), std::vector<float>(half)};
    const float* inv_freq = cpu(*layer.inv_freq).data();
    for (size_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(position) * inv_freq[i];
      row.cosines[i] = std::cos(angle);
      row.sines[i] = std::sin(angle);
    }
    return row;
  }

  // Row `row` of a matrix in the published order of inputs.
  void decode_row(const PackedMatrix& matrix, int64_t row, float* out) const {
    decode_packed_row(matrix.layout(), matrix.panel(row / kPanelRows), row % kPanelRows, out);
    const std::span<const int32_t> order = matrix.input_order();
    if (order.empty()) return;
    const std::vector<float> packed(out, out + matrix.cols());
    for (size_t i = 0; i < order.size(); ++i) out[order[i]] = packed[i];
  }

  static void rotate(const RotaryRow& rotary, float* vector) {
    const size_t half = rotary.cosines.size();
    for (size_t i = 0; i < half; ++i) {
      const float a = vector[i];
      const float b = vector[i + half];
      vector[i] = a * rotary.cosines[i] - b * rotary.sines[i];
      vector[i + half] = b * rotary.cosines[i] + a * rotary.sines[i];
    }
  }

  static std::span<const int32_t> pages_of(const AttentionLayer& layer, const Rows& rows, int64_t t) {
    const PageTables& tables = rows.tables[static_cast<size_t>(rows.sequences[static_cast<size_t>(t)])];
    return layer.kind == LayerKind::kSliding ? tables.sliding : tables.full;
  }

  void cache_row(const AttentionLayer& layer, const Rows& rows, int64_t t, const RotaryRow& rotary,
                 KeyAndValue row, CpuCache& cache) const {
    const int64_t position = rows.positions[static_cast<size_t>(t)];
    const int64_t tokens_per_page = cache.shape().tokens_per_page;
    const int32_t page = pages_of(layer, rows, t)[static_cast<size_t>(position / tokens_per_page)];
    const int64_t slot = position % tokens_per_page;
    const int64_t width = layer.kv_heads * layer.head_dim;
    std::vector<float> keys(static_cast<size_t>(width));
    std::vector<float> values(static_cast<size_t>(width));
    for (int64_t at = 0; at < width; at += layer.head_dim) {
      normalise(row.k + at, layer.head_dim, layer.k_norm, layer.norm_epsilon, keys.data() + at);
      rotate(rotary, keys.data() + at);
      normalise(row.v + at, layer.head_dim, nullptr, layer.norm_epsilon, values.data() + at);
    }
    cache.write(layer.cache_layer, CpuCache::Side::kKeys, page, slot, keys);
    cache.write(layer.cache_layer, CpuCache::Side::kValues, page, slot, values);
  }

  // First half of a feed-forward: the gated activations of the dense MLP and of all experts that have rows.
  void run_gated(const FeedForward& arguments, const ExpertGroups& groups, int64_t tokens) {
    const bool is_bf16 = compute_ == Compute::kBf16;
    std::vector<PanelJob> jobs;
    const PackedMatrix& dense = cpu(*arguments.dense.gate_up);
    dense_hidden_.resize(tokens, dense.rows() / 2, is_bf16);
    jobs.push_back({.matrix = &dense,
                    .output = JobOutput::kGatedGelu,
                    .x = linear_input(*arguments.dense_in, linear_in_),
                    .tokens = tokens,
                    .hidden = &dense_hidden_});
    if (!arguments.experts.empty()) {
      const Activations x = linear_input(*arguments.experts_in, experts_in_);
      const auto slots = static_cast<int64_t>(groups.slots.size());
      expert_hidden_.resize(slots, arguments.experts[0].gate_up->rows() / 2, is_bf16);
      expert_tokens_.resize(groups.slots.size());
      const int64_t top_k = cpu(*arguments.routing).top_k;
      for (size_t i = 0; i < groups.slots.size(); ++i) {
        expert_tokens_[i] = static_cast<int32_t>(groups.slots[i] / top_k);
      }
      for (const ExpertGroup& group : groups.groups) {
        jobs.push_back({.matrix = &cpu(*arguments.experts[static_cast<size_t>(group.expert)].gate_up),
                        .output = JobOutput::kGatedGelu,
                        .x = x,
                        .x_rows = expert_tokens_.data() + group.begin,
                        .tokens = group.count,
                        .hidden = &expert_hidden_,
                        .hidden_row = group.begin});
      }
    }
    runner_.run(jobs);
  }

  // Second half: the down projections, experts' results in the order of the groups.
  void run_down(const FeedForward& arguments, const ExpertGroups& groups, int64_t tokens) {
    const PackedMatrix& dense = cpu(*arguments.dense.down);
    cpu(*arguments.dense_out).resize(tokens, dense.rows());
    std::vector<PanelJob> jobs = {{.matrix = &dense,
                                   .x = dense_hidden_.view(),
                                   .tokens = tokens,
                                   .y = cpu(*arguments.dense_out).row(0)}};
    if (!arguments.experts.empty()) {
      const int64_t width = arguments.experts[0].down->rows();
      expert_out_.resize(groups.slots.size() * static_cast<size_t>(width));
      for (const ExpertGroup& group : groups.groups) {
        jobs.push_back({.matrix = &cpu(*arguments.experts[static_cast<size_t>(group.expert)].down),
                        .x = expert_hidden_.rows_from(group.begin, group.count),
                        .tokens = group.count,
                        .y = expert_out_.data() + group.begin * width});
      }
      place_of_slot_.resize(groups.slots.size());
      for (size_t i = 0; i < groups.slots.size(); ++i) {
        place_of_slot_[static_cast<size_t>(groups.slots[i])] = static_cast<int64_t>(i);
      }
    }
    runner_.run(jobs);
  }

  // Adds the experts' results of each token in slot order.
  void combine_slots(const FeedForward& arguments, int64_t tokens) {
    const CpuRouting& routing = cpu(*arguments.routing);
    const int64_t width = arguments.experts[0].down->rows();
    CpuBuffer& out = cpu(*arguments.experts_out);
    out.resize(tokens, width);
    for_rows(tokens, [&](int64_t t) {
      float* to = out.row(t);
      std::fill_n(to, width, 0.0F);
      for (int64_t slot = t * routing.top_k; slot < (t + 1) * routing.top_k; ++slot) {
        const float weight = routing.weights[static_cast<size_t>(slot)];
        const float* from = expert_out_.data() + place_of_slot_[static_cast<size_t>(slot)] * width;
        for (int64_t i = 0; i < width; ++i) to[i] += weight * from[i];
      }
    });
  }

  const Compute compute_;
  const Kernels& kernels_;
  ThreadPool pool_;
  PanelRunner runner_;
  std::vector<std::unique_ptr<WeightArena>> arenas_;
  // Scratch of single operations, kept to spare allocations.
  ActivationRows linear_in_{vector_kernels(chosen_isa())};
  ActivationRows experts_in_{vector_kernels(chosen_isa())};
  ActivationRows dense_hidden_{vector_kernels(chosen_isa())};
  ActivationRows expert_hidden_{vector_kernels(chosen_isa())};
  std::vector<float> router_logits_, expert_out_;
  std::vector<int32_t> expert_tokens_;  // [T * top_k], the rows of the batch by expert
  std::vector<int64_t> place_of_slot_;  // [T * top_k], index into expert_out_
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options) {
  return std::make_unique<CpuBackend>(options);
}

std::string_view cpu_kernel_name() {
  return isa_name(chosen_isa());
}

}  // namespace beryl::backend
