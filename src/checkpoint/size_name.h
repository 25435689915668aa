// Which published model a network is, by its dimensions: no file says so.
#pragma once

#include <string_view>

#include "checkpoint/model_config.h"

namespace beryl::checkpoint {

struct PublishedSize {
  std::string_view name;     // "E2B", "E4B", "12B", "26B-A4B", "31B"
  int64_t expert_count = 0;  // as published; a pruned model has fewer
};

// Null when the dimensions are no published model's. The number of experts and the width of the MLPs, which
// pruning and padding change, do not count.
const PublishedSize* find_published_size(const ModelConfig& config);

}  // namespace beryl::checkpoint
