#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "backend/cpu/attention.h"
#include "backend/cpu/cpu_cache.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/panel_jobs.h"
#include "backend/cpu/panel_reader.h"
#include "backend/cpu/rotary.h"
#include "backend/cpu/routing.h"
#include "backend/cpu/table_matrix.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/upload.h"
#include "backend/cpu/vector_kernels.h"
#include "base/check.h"
#include "base/machine.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

class CpuVector final : public Vector {
 public:
  explicit CpuVector(std::span<const float> values) : values_(values.begin(), values.end()) {}
  const float* data() const { return values_.data(); }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  std::span<const float> values() const { return values_; }

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
// As many logits as one thread caps in the time that waking another takes.
constexpr int64_t kInlineLogits = 32768;

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const CpuOptions& options)
      : compute_(options.compute),
        place_(options.leaves_weights_in_files ? WeightPlace::kFiles : WeightPlace::kMemory),
        kernels_(kernels_of(chosen_isa())),
        pool_(options.threads),
        runner_(kernels_, vectors_, pool_) {
    if (options.pins_threads) pool_.pin(usable_processors());
    for (int i = 0; i < pool_.thread_count(); ++i) {
      readers_.push_back(std::make_unique<PanelReader>(*kernels_.moves));
    }
  }

  uint64_t resident_bytes(const MatrixSource& source) const override { return packed_bytes(source, place_); }

  uint64_t cache_bytes(const CacheShape& shape) const override { return CpuCache::bytes(shape, compute_); }

  std::vector<std::unique_ptr<Matrix>> upload(std::span<const MatrixSource> sources,
                                              Progress& progress) override {
    Upload upload = upload_matrices(sources, place_, *kernels_.moves, pool_, progress);
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

  void copy_page(Cache& cache, LayerKind kind, int32_t from, int32_t to) override {
    static_cast<CpuCache&>(cache).copy_page(kind, from, to);
  }

  void embed(const Matrix& table, std::span<const int32_t> tokens, float scale, Buffer& out) override {
    const auto rows = static_cast<int64_t>(tokens.size());
    const int64_t width = table.cols();
    cpu(out).resize(rows, width);
    const auto* const in_file = dynamic_cast<const TableMatrix*>(&table);
    const auto embed_row = [&](int thread, int64_t t) {
      const int64_t token = tokens[static_cast<size_t>(t)];
      BERYL_CHECK(token >= 0 && token < table.rows());
      float* const to = cpu(out).row(t);
      if (in_file != nullptr) {
        in_file->read_row(thread, token, {to, static_cast<size_t>(width)});
      } else {
        decode_row(cpu(table), token, *readers_[static_cast<size_t>(thread)], to);
      }
      vectors_.scale(to, scale, nullptr, width, to);
    };
    if (rows < kInlineRows) {
      for (int64_t t = 0; t < rows; ++t) embed_row(0, t);
    } else {
      pool_.run_tasks(rows, embed_row);
    }
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
    const RotaryTable& rotary = rotary_.get(cpu(*layer.inv_freq).values(), rows.positions, pool_);
    pool_.run_ranges(q.rows(), kInlineRows, [&](int64_t begin, int64_t end) {
      std::vector<float> vector(static_cast<size_t>(layer.head_dim));
      for (int64_t t = begin; t < end; ++t) {
        for (int64_t head = 0; head < layer.heads; ++head) {
          float* const to = cpu(q).row(t) + head * layer.head_dim;
          normalise(to, layer.head_dim, layer.q_norm, layer.norm_epsilon, to);
          vectors_.rotate(rotary.cosines(t), rotary.sines(t), layer.head_dim / 2, to);
          if (compute_ == Compute::kBf16) vectors_.round_to_bf16(to, layer.head_dim, to);
        }
        if (k == nullptr) continue;
        const CachePlace place = find_place(layer, rows, t, cpu(cache));
        cache_keys(layer, rotary, t, cpu(*k).row(t), place, vector);
        cache_values(layer, cpu(*v).row(t), place, vector);
      }
    });
  }

  void attention(const AttentionLayer& layer, const Rows& rows, const Buffer& q, const Cache& cache,
                 Buffer& out) override {
    cpu(out).resize(q.rows(), layer.heads * layer.head_dim);
    attention_.run(
        {.layer = &layer, .cache = &cpu(cache), .rows = rows, .q = cpu(q).row(0), .out = cpu(out).row(0)});
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
        pool_, cpu(out));
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
      vectors_.gelu_times(to, by, gate.width(), to);
    });
  }

  void add_scaled(Buffer& a, const Buffer& b, float scale) override {
    BERYL_CHECK(cpu(a).size() == cpu(b).size());
    for_rows(a.rows(), [&](int64_t t) {
      vectors_.add_scaled(cpu(a).row(t), cpu(b).row(0) + t * a.width(), scale, a.width());
    });
  }

  void add_normed(Buffer& x, const Buffer& update, const Vector* weight, float epsilon,
                  float scale) override {
    for_rows(x.rows(), [&](int64_t t) {
      const float* const from = cpu(update).row(t);
      vectors_.add_normed(cpu(x).row(t),
                          {.update = from,
                           .inverse = inverse_rms(from, x.width(), epsilon),
                           .weights = cpu(*weight).data(),
                           .scale = scale},
                          x.width());
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
    pool_.run_ranges(static_cast<int64_t>(logits.size()), kInlineLogits, [&](int64_t begin, int64_t end) {
      vectors_.soft_cap(soft_cap, logits.data() + begin, end - begin);
    });
  }

  std::vector<float> read(const Buffer& buffer) override {
    return {cpu(buffer).row(0), cpu(buffer).row(0) + cpu(buffer).size()};
  }

  std::vector<int32_t> read_experts(const Routing& routing) override { return cpu(routing).experts; }

 private:
  // Where the vectors of one token lie in the cache.
  struct CachePlace {
    CpuCache* cache;
    int32_t page;
    int64_t offset;  // within a head's vectors of the page, in bytes
  };

  template <typename Body>
  void for_rows(int64_t rows, Body body) {
    pool_.run_ranges(rows, kInlineRows, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) body(row);
    });
  }

  float inverse_rms(const float* in, int64_t width, float epsilon) const {
    const float mean = vectors_.dot(in, in, width) / static_cast<float>(width);
    return 1.0F / std::sqrt(mean + epsilon);
  }

  void normalise(const float* in, int64_t width, const Vector* weight, float epsilon, float* out) const {
    BERYL_CHECK(weight == nullptr || cpu(*weight).size() == width);
    const float* const weights = weight == nullptr ? nullptr : cpu(*weight).data();
    vectors_.scale(in, inverse_rms(in, width, epsilon), weights, width, out);
  }

  // What a linear multiplies: the input itself, or in bf16 mode a copy of it in `rounded`.
  Activations linear_input(const Buffer& in, ActivationRows& rounded) {
    if (compute_ == Compute::kF32) return cpu(in).view();
    rounded.resize(in.rows(), in.width(), true);
    for_rows(in.rows(), [&](int64_t t) { rounded.store(t, 0, cpu(in).row(t), in.width()); });
    return rounded.view();
  }

  // Row `row` of a matrix in the published order of inputs.
  static void decode_row(const PackedMatrix& matrix, int64_t row, PanelReader& reader, float* out) {
    const std::byte* const panel = reader.panels(matrix, row / kPanelRows, 1);
    decode_packed_row(matrix.layout(), panel, row % kPanelRows, out);
    const std::span<const int32_t> order = matrix.input_order();
    if (order.empty()) return;
    const std::vector<float> packed(out, out + matrix.cols());
    for (size_t i = 0; i < order.size(); ++i) out[order[i]] = packed[i];
  }

  static CachePlace find_place(const AttentionLayer& layer, const Rows& rows, int64_t t, CpuCache& cache) {
    const int64_t position = rows.positions[static_cast<size_t>(t)];
    const int64_t page_tokens = cache.shape().tokens_per_page;
    return {.cache = &cache,
            .page = pages_of_row(layer, rows, t)[static_cast<size_t>(position / page_tokens)],
            .offset = position % page_tokens * layer.head_dim * cache.number_bytes()};
  }

  // `k` [kv_heads, head_dim], straight from the projection; `vector` [head_dim] is scratch.
  void cache_keys(const AttentionLayer& layer, const RotaryTable& rotary, int64_t t, const float* k,
                  const CachePlace& place, std::span<float> vector) const {
    for (int64_t head = 0; head < layer.kv_heads; ++head) {
      normalise(k + head * layer.head_dim, layer.head_dim, layer.k_norm, layer.norm_epsilon, vector.data());
      vectors_.rotate(rotary.cosines(t), rotary.sines(t), layer.head_dim / 2, vector.data());
      store(place, layer.cache_layer, CpuCache::Side::kKeys, head, vector);
    }
  }

  void cache_values(const AttentionLayer& layer, const float* v, const CachePlace& place,
                    std::span<float> vector) const {
    for (int64_t head = 0; head < layer.kv_heads; ++head) {
      normalise(v + head * layer.head_dim, layer.head_dim, nullptr, layer.norm_epsilon, vector.data());
      store(place, layer.cache_layer, CpuCache::Side::kValues, head, vector);
    }
  }

  void store(const CachePlace& place, int64_t layer, CpuCache::Side side, int64_t kv_head,
             std::span<const float> vector) const {
    std::byte* const to = place.cache->vectors(layer, side, place.page, kv_head) + place.offset;
    if (compute_ == Compute::kBf16) {
      vectors_.to_bf16(vector.data(), static_cast<int64_t>(vector.size()), reinterpret_cast<uint16_t*>(to));
    } else {
      std::memcpy(to, vector.data(), vector.size_bytes());
    }
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
        vectors_.mix(to, 1.0F, from, weight, width);
      }
    });
  }

  const Compute compute_;
  const WeightPlace place_;
  const Kernels& kernels_;
  const VectorKernels& vectors_ = vector_kernels(chosen_isa());
  ThreadPool pool_;
  Attention attention_{vectors_, pool_};
  RotaryTables rotary_;
  PanelRunner runner_;
  std::vector<std::unique_ptr<PanelReader>> readers_;  // of rows that are looked up, one a thread
  std::vector<std::unique_ptr<WeightArena>> arenas_;
  // Scratch of single operations, kept to spare allocations.
  ActivationRows linear_in_{vectors_};
  ActivationRows experts_in_{vectors_};
  ActivationRows dense_hidden_{vectors_};
  ActivationRows expert_hidden_{vectors_};
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
