#include "checkpoint/size_name.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace beryl::checkpoint {
namespace {

struct Dimensions {
  PublishedSize size;
  int64_t hidden_size;
  size_t layers;
  int64_t heads;
  int64_t per_layer_input_size;
};

constexpr std::array kPublished = {
    Dimensions{{"E2B"}, 1536, 35, 8, 256}, Dimensions{{"E4B"}, 2560, 42, 8, 256},
    Dimensions{{"12B"}, 3840, 48, 16, 0},  Dimensions{{"26B-A4B", 128}, 2816, 30, 16, 0},
    Dimensions{{"31B"}, 5376, 60, 32, 0},
};

}  // namespace

const PublishedSize* find_published_size(const ModelConfig& config) {
  const auto* const found =
      std::find_if(kPublished.begin(), kPublished.end(), [&](const Dimensions& dimensions) {
        return config.hidden_size == dimensions.hidden_size && config.layers.size() == dimensions.layers &&
               config.heads == dimensions.heads &&
               config.per_layer_input_size == dimensions.per_layer_input_size &&
               config.is_moe() == (dimensions.size.expert_count > 0);
      });
  return found == kPublished.end() ? nullptr : &found->size;
}

}  // namespace beryl::checkpoint
