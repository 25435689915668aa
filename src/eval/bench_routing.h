// Experts for measurements: who is routed where decides how many weights a batch reads.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "checkpoint/model_config.h"
#include "model/forward.h"

namespace beryl::eval {

enum class BenchRouting : uint8_t {
  kModel,    // the router's own choice
  kUniform,  // every expert equally often
  // The i-th most frequent expert of a layer (a random one) 1 / (i + 1) times as often as the first, as far
  // as a token's experts being different allows: a stand-in for texts of one kind.
  kSkewed,
};

// Chooses experts and counts how many different ones passes read.
class RoutingObserver final : public model::Observer {
 public:
  RoutingObserver(const checkpoint::ModelConfig& config, BenchRouting routing);

  // Announces the rows of the passes that follow.
  void set_rows(int64_t rows) { rows_ = rows; }
  // Experts that took part since the last call, counted once for each layer and pass.
  int64_t take_count();

  void on_experts(int64_t layer, const std::vector<int32_t>& experts) override;
  std::span<const int32_t> forced_experts(int64_t layer) override;

 private:
  int32_t draw(int64_t layer);

  BenchRouting routing_;
  int64_t expert_count_;
  int64_t top_k_;
  int64_t rows_ = 1;
  int64_t seen_ = 0;
  std::mt19937 random_;
  std::vector<double> cumulative_;           // of the shares by rank
  std::vector<std::vector<int32_t>> order_;  // [layers][E], the expert of each rank
  std::vector<int32_t> forced_;
  std::vector<bool> is_used_;  // [E], scratch
};

}  // namespace beryl::eval
