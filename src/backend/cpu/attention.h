// Attention over the cached keys and values of one row and one key/value head.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/cpu_cache.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/vector_kernels.h"

namespace beryl::backend {

// Keys are divided by absolute position into sections of this many, and a section into blocks. One online
// recurrence runs over the blocks of a section, and sections are merged in ascending order, so the result
// does not depend on pages, chunks or threads. A block or section without a visible key is skipped: an exact
// no-op.
inline constexpr int64_t kSectionKeys = 512;

struct AttentionTask {
  const AttentionLayer* layer;
  const CpuCache* cache;
  std::span<const int32_t> pages;  // of the row's sequence and the layer's kind
  Compute compute;
  int64_t position;  // of the row; sees keys max(0, position - window + 1) ... position
  int64_t kv_head;
  const float* q;  // [heads / kv_heads, head_dim], the query heads that share kv_head
  float* out;      // same shape
};

// Memory that attend() works in, one per thread, reused between tasks.
struct AttentionScratch {
  std::vector<float> keys;     // [kBlockKeys, head_dim]
  std::vector<float> values;   // [kBlockKeys, head_dim]
  std::vector<float> section;  // [query heads, head_dim] sums of the current section
  std::vector<float> total;    // [query heads, head_dim] sums of the sections before it
  std::vector<float> section_max, section_sum, total_max, total_sum;  // [query heads]
};

void attend(const Kernels& kernels, const AttentionTask& task, AttentionScratch& scratch);

}  // namespace beryl::backend
