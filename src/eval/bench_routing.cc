#include "eval/bench_routing.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace beryl::eval {

RoutingObserver::RoutingObserver(const checkpoint::ModelConfig& config, BenchRouting routing)
    : routing_(routing),
      expert_count_(config.expert_count),
      top_k_(config.experts_per_token),
      random_(1),
      is_used_(static_cast<size_t>(config.expert_count)) {
  double sum = 0;
  for (int64_t rank = 0; rank < expert_count_; ++rank) {
    sum += routing == BenchRouting::kSkewed ? 1.0 / static_cast<double>(rank + 1) : 1.0;
    cumulative_.push_back(sum);
  }
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    std::vector<int32_t> order(static_cast<size_t>(expert_count_));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random_);
    order_.push_back(std::move(order));
  }
}

int64_t RoutingObserver::take_count() {
  return std::exchange(seen_, 0);
}

void RoutingObserver::on_experts(int64_t /*layer*/, const std::vector<int32_t>& experts) {
  is_used_.assign(is_used_.size(), false);
  for (const int32_t expert : experts) {
    seen_ += is_used_[static_cast<size_t>(expert)] ? 0 : 1;
    is_used_[static_cast<size_t>(expert)] = true;
  }
}

std::span<const int32_t> RoutingObserver::forced_experts(int64_t layer) {
  if (routing_ == BenchRouting::kModel) return {};
  forced_.clear();
  for (int64_t row = 0; row < rows_; ++row) {
    const size_t begin = forced_.size();
    while (forced_.size() - begin < static_cast<size_t>(top_k_)) {
      const int32_t expert = draw(layer);
      const auto chosen = forced_.begin() + static_cast<std::ptrdiff_t>(begin);
      if (std::find(chosen, forced_.end(), expert) == forced_.end()) forced_.push_back(expert);
    }
  }
  return forced_;
}

int32_t RoutingObserver::draw(int64_t layer) {
  const double point = static_cast<double>(random_()) / 4294967296.0 * cumulative_.back();
  const auto rank = std::upper_bound(cumulative_.begin(), cumulative_.end(), point) - cumulative_.begin();
  return order_[static_cast<size_t>(layer)][static_cast<size_t>(std::min(rank, expert_count_ - 1))];
}

}  // namespace beryl::eval
