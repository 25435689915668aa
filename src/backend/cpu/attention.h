// Attention of a batch over the cached keys and values.
//
// Keys are divided by absolute position into sections of kSectionKeys, and a section into blocks. One online
// recurrence runs over the blocks of a section, and the sections of a row are merged in ascending order. A
// block or section without a visible key is skipped: an exact no-op. So a row's result depends neither on the
// rows beside it nor on pages, chunks or threads, which share the work out like this: rows of one sequence
// that stand near each other, and all query heads of one key/value head, read a block together; where there
// are fewer such units than threads can share, their sections are computed apart and merged after that.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/cpu_cache.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/vector_kernels.h"

namespace beryl::backend {

inline constexpr int64_t kSectionKeys = 512;

// The pages of row `t` for the layer's kind.
std::span<const int32_t> pages_of_row(const AttentionLayer& layer, const Rows& rows, int64_t t);

struct AttentionCall {
  const AttentionLayer* layer;
  const CpuCache* cache;
  Rows rows;
  const float* q;  // [T, heads, head_dim]; bf16 numbers where the cache holds bf16
  float* out;      // the same shape
};

class Attention {
 public:
  // Both are borrowed.
  Attention(const VectorKernels& kernels, ThreadPool& pool);

  void run(const AttentionCall& call);

 private:
  // Rows order_[first ... first + count - 1], of one sequence, in ascending order of position.
  struct Group {
    int64_t first;
    int64_t count;
  };
  // A group and one key/value head; queries are [row of the group][query head].
  struct Unit {
    Group group;
    int64_t kv_head;
    int64_t first_section;
    int64_t section_end;
  };
  struct Visible {
    int64_t begin;
    int64_t end;
    bool operator==(const Visible&) const = default;
  };
  // Sums over the keys of one section, or of all sections so far.
  struct State {
    float* max;     // [queries]
    float* sum;     // [queries]
    float* values;  // [queries, head_dim]
  };
  // Memory of one thread.
  struct Scratch {
    std::vector<float> q;          // [queries, head_dim]
    std::vector<uint16_t> q_bf16;  // the same in bf16 mode
    std::vector<float> section, total;
  };
  class BlockReader;

  void make_units();
  bool is_short() const;
  bool has_few_units() const;
  void run_whole();
  void run_sections();

  int64_t heads_per_key() const { return call_->layer->heads / call_->layer->kv_heads; }
  int64_t state_numbers(int64_t queries) const { return queries * (call_->layer->head_dim + 2); }
  State state_at(float* memory, int64_t queries) const;
  Visible visible(int64_t row) const;
  const float* q_of(int64_t row, int64_t kv_head) const;
  float* out_of(int64_t row, int64_t kv_head) const;

  void gather_queries(const Unit& unit, Scratch& scratch) const;
  void attend_unit(const Unit& unit, Scratch& scratch) const;
  void attend_section(const Unit& unit, int64_t section, const Scratch& scratch, const State& state) const;
  void merge_query(int64_t query, const State& section, const State& total, bool is_first) const;
  void finish_query(int64_t query, const State& total, float* out) const;

  const VectorKernels& kernels_;
  ThreadPool& pool_;
  const AttentionCall* call_ = nullptr;  // while run() runs
  std::vector<int32_t> order_;           // the rows by sequence, then position
  std::vector<Unit> units_;
  std::vector<Scratch> scratches_;  // [threads]
  std::vector<float> sections_;     // states of all sections of all units
};

}  // namespace beryl::backend
