// Which experts each row goes to, and the rows of each expert.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/thread_pool.h"

namespace beryl::backend {

class CpuRouting final : public Routing {
 public:
  int64_t top_k = 0;
  std::vector<int32_t> experts;  // [T, top_k] in slot order
  std::vector<float> weights;    // [T, top_k]
};

struct ExpertChoice {
  std::span<const float> logits;            // [T, E]
  std::span<const float> per_expert_scale;  // [E]
  int64_t top_k = 0;
  std::span<const int32_t> forced;  // empty, or [T, top_k]
};

// Softmax over all experts, the top_k of it (ties to the lower index) renormalised to a sum of one, each
// times its expert's scale.
void choose_experts(const ExpertChoice& choice, ThreadPool& pool, CpuRouting& out);

// Slots (token * top_k + slot) that go to one expert: slots[begin ... begin + count - 1] of the list.
struct ExpertGroup {
  int32_t expert;
  int64_t begin;
  int64_t count;
};

struct ExpertGroups {
  std::vector<int64_t> slots;       // [T * top_k], by expert, then by token
  std::vector<ExpertGroup> groups;  // the experts that have rows, ascending
};

ExpertGroups group_by_expert(const CpuRouting& routing, size_t expert_count);

}  // namespace beryl::backend
