#include "backend/cpu/routing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace beryl::backend {
namespace {

// NaN, which no order fits, counts as smallest; the row's logits will show it.
float rank(float logit) {
  return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
}

// Indices of the out.size() largest logits, largest first, ties to the lower index.
void top_experts(std::span<const float> logits, std::span<int32_t> out) {
  const auto rank_of = [&](size_t slot) { return rank(logits[static_cast<size_t>(out[slot])]); };
  size_t count = 0;
  for (size_t expert = 0; expert < logits.size(); ++expert) {
    const float mine = rank(logits[expert]);
    if (count == out.size() && !(mine > rank_of(count - 1))) continue;
    if (count < out.size()) ++count;
    size_t slot = count - 1;
    for (; slot > 0 && mine > rank_of(slot - 1); --slot) out[slot] = out[slot - 1];
    out[slot] = static_cast<int32_t>(expert);
  }
}

// The softmax over all experts, renormalised over the chosen ones, is the softmax over the chosen ones.
void weigh_experts(std::span<const float> logits, std::span<const int32_t> chosen,
                   std::span<const float> per_expert_scale, std::span<float> weights) {
  float max = logits[static_cast<size_t>(chosen[0])];
  for (const int32_t expert : chosen) max = std::max(max, logits[static_cast<size_t>(expert)]);
  float sum = 0;
  for (size_t slot = 0; slot < chosen.size(); ++slot) {
    weights[slot] = std::exp(logits[static_cast<size_t>(chosen[slot])] - max);
    sum += weights[slot];
  }
  for (size_t slot = 0; slot < chosen.size(); ++slot) {
    weights[slot] = weights[slot] / sum * per_expert_scale[static_cast<size_t>(chosen[slot])];
  }
}

// Fewer rows are done by the caller alone.
constexpr int64_t kInlineRows = 8;

}  // namespace

void choose_experts(const ExpertChoice& choice, ThreadPool& pool, CpuRouting& out) {
  const size_t experts = choice.per_expert_scale.size();
  const auto top_k = static_cast<size_t>(choice.top_k);
  const size_t rows = choice.logits.size() / experts;
  BERYL_CHECK(top_k <= experts && (choice.forced.empty() || choice.forced.size() == rows * top_k));
  out.top_k = choice.top_k;
  out.experts.resize(rows * top_k);
  out.weights.resize(rows * top_k);
  if (top_k == 0) return;
  pool.run_ranges(static_cast<int64_t>(rows), kInlineRows, [&](int64_t begin, int64_t end) {
    for (auto t = static_cast<size_t>(begin); t < static_cast<size_t>(end); ++t) {
      const std::span<const float> logits = choice.logits.subspan(t * experts, experts);
      const std::span<int32_t> chosen = std::span(out.experts).subspan(t * top_k, top_k);
      if (choice.forced.empty()) {
        top_experts(logits, chosen);
      } else {
        std::copy_n(choice.forced.begin() + static_cast<std::ptrdiff_t>(t * top_k), top_k, chosen.begin());
      }
      weigh_experts(logits, chosen, choice.per_expert_scale,
                    std::span(out.weights).subspan(t * top_k, top_k));
    }
  });
}

ExpertGroups group_by_expert(const CpuRouting& routing, size_t expert_count) {
  std::vector<int64_t> begins(expert_count + 1, 0);
  for (const int32_t expert : routing.experts) ++begins[static_cast<size_t>(expert) + 1];
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  ExpertGroups result;
  result.slots.resize(routing.experts.size());
  std::vector<int64_t> next(begins.begin(), begins.end() - 1);
  for (size_t slot = 0; slot < routing.experts.size(); ++slot) {
    const auto expert = static_cast<size_t>(routing.experts[slot]);
    result.slots[static_cast<size_t>(next[expert]++)] = static_cast<int64_t>(slot);
  }
  for (size_t expert = 0; expert < expert_count; ++expert) {
    const int64_t count = begins[expert + 1] - begins[expert];
    if (count > 0) result.groups.push_back({static_cast<int32_t>(expert), begins[expert], count});
  }
  return result;
}

}  // namespace beryl::backend
