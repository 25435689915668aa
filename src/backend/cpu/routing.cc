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

// Indices of the top_k largest logits, largest first, ties to the lower index.
void top_experts(std::span<const float> logits, std::span<int32_t> out) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(out.size()), order.end(),
                    [&](int32_t a, int32_t b) {
                      const float left = rank(logits[static_cast<size_t>(a)]);
                      const float right = rank(logits[static_cast<size_t>(b)]);
                      return left > right || (left == right && a < b);
                    });
  std::copy_n(order.begin(), out.size(), out.begin());
}

}  // namespace

void choose_experts(const ExpertChoice& choice, CpuRouting& out) {
  const size_t experts = choice.per_expert_scale.size();
  const auto top_k = static_cast<size_t>(choice.top_k);
  const size_t rows = choice.logits.size() / experts;
  BERYL_CHECK(top_k <= experts && (choice.forced.empty() || choice.forced.size() == rows * top_k));
  out.top_k = choice.top_k;
  out.experts.resize(rows * top_k);
  out.weights.resize(rows * top_k);
  for (size_t t = 0; t < rows; ++t) {
    const std::span<const float> logits = choice.logits.subspan(t * experts, experts);
    const std::span<int32_t> chosen = std::span(out.experts).subspan(t * top_k, top_k);
    const std::span<float> weights = std::span(out.weights).subspan(t * top_k, top_k);
    if (choice.forced.empty()) {
      top_experts(logits, chosen);
    } else {
      std::copy_n(choice.forced.begin() + static_cast<std::ptrdiff_t>(t * top_k), top_k, chosen.begin());
    }
    // The softmax over all experts, renormalised over the chosen ones, is the softmax over the chosen ones.
    float max = logits[static_cast<size_t>(chosen[0])];
    for (const int32_t expert : chosen) max = std::max(max, logits[static_cast<size_t>(expert)]);
    float sum = 0;
    for (size_t slot = 0; slot < top_k; ++slot) {
      weights[slot] = std::exp(logits[static_cast<size_t>(chosen[slot])] - max);
      sum += weights[slot];
    }
    for (size_t slot = 0; slot < top_k; ++slot) {
      weights[slot] = weights[slot] / sum * choice.per_expert_scale[static_cast<size_t>(chosen[slot])];
    }
  }
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
