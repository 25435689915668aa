#include "engine/model_runner.h"

#include <algorithm>

namespace beryl::engine {

NetworkRunner::NetworkRunner(const model::Network& network, backend::Backend& backend,
                             const EngineOptions& options)
    : network_(network),
      backend_(backend),
      cache_(backend.make_cache({.layers = model::cache_layers(network.config),
                                 .tokens_per_page = options.tokens_per_page,
                                 .sliding_pages = options.sliding_pages,
                                 .full_pages = options.full_pages})),
      workspace_(backend) {}

int64_t NetworkRunner::window() const {
  return std::max<int64_t>(1, network_.config.sliding_window);
}

bool NetworkRunner::run(const model::Batch& batch, std::span<float> logits) {
  return model::forward(network_, backend_, batch, *cache_, workspace_, logits);
}

void NetworkRunner::copy_page(backend::LayerKind kind, int32_t from, int32_t to) {
  backend_.copy_page(*cache_, kind, from, to);
}

}  // namespace beryl::engine
