// The model as the engine sees it: tokens in, logits out, pages by number.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "backend/backend.h"
#include "engine/engine_options.h"
#include "model/forward.h"
#include "model/network.h"

namespace beryl::engine {

class ModelRunner {
 public:
  virtual ~ModelRunner() = default;

  virtual int64_t vocabulary_size() const = 0;
  // Keys that a row of a sliding layer sees, itself included; at least 1, also when no layer slides.
  virtual int64_t window() const = 0;
  // As model::forward(): false when batch.should_stop said so; logits and written pages then hold nothing.
  virtual bool run(const model::Batch& batch, std::span<float> logits) = 0;
  virtual void copy_page(backend::LayerKind kind, int32_t from, int32_t to) = 0;
};

// The real one.
class NetworkRunner final : public ModelRunner {
 public:
  // With pages for an engine of these options. Borrows network and backend. Errors: kResource when the cache
  // cannot be had.
  NetworkRunner(const model::Network& network, backend::Backend& backend, const EngineOptions& options);

  int64_t vocabulary_size() const override { return network_.config.vocabulary_size; }
  int64_t window() const override;
  bool run(const model::Batch& batch, std::span<float> logits) override;
  void copy_page(backend::LayerKind kind, int32_t from, int32_t to) override;

 private:
  const model::Network& network_;
  backend::Backend& backend_;
  std::unique_ptr<backend::Cache> cache_;
  model::Workspace workspace_;
};

}  // namespace beryl::engine
