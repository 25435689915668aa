// One forward pass of the network over a ragged batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "model/network.h"

namespace beryl::model {

// Looks into a pass, for verification. All rows must need logits, since later layers run on no others.
class Observer {
 public:
  virtual ~Observer() = default;
  // The residual stream, [T, D]: 0 the scaled embedding, l the stream after layer l - 1, where the last one
  // has passed the final norm.
  virtual void on_hidden(int64_t /*index*/, const std::vector<float>& /*values*/) {}
  // The experts that each row chose in a layer, [T, top_k] in slot order.
  virtual void on_experts(int64_t /*layer*/, const std::vector<int32_t>& /*experts*/) {}
  // Experts to use instead of the router's choice, [T, top_k]; empty to let the router choose.
  virtual std::span<const int32_t> forced_experts(int64_t /*layer*/) { return {}; }
};

// Tokens of any number of sequences, in any order as long as each sequence's positions ascend. The pages of
// the tables belong to the caller; keys and values of all rows are written before any is read.
struct Batch {
  std::span<const int32_t> tokens;      // [T], each below the vocabulary size
  backend::Rows rows;                   // [T]
  std::span<const int32_t> logit_rows;  // rows that need logits, ascending indices into tokens
  Observer* observer = nullptr;         // null: nobody looks
  // Asked before each layer; true gives the pass up. Empty: never.
  std::function<bool()> should_stop = {};
};

// Activations of a pass; reused from pass to pass. One pass at a time.
class Workspace {
 public:
  explicit Workspace(backend::Backend& backend);

 private:
  friend class ForwardPass;
  std::unique_ptr<backend::Buffer> stream_, narrowed_;             // [T, D] residual stream
  std::unique_ptr<backend::Buffer> normed_, experts_in_;           // [T, D] inputs of a sublayer
  std::unique_ptr<backend::Buffer> q_, k_, v_, attention_;         // [T, heads * head_dim]
  std::unique_ptr<backend::Buffer> update_, experts_out_;          // [T, D] outputs of a sublayer
  std::unique_ptr<backend::Buffer> per_layer_, per_layer_narrow_;  // [T, L * P]
  std::unique_ptr<backend::Buffer> per_layer_gate_;                // [T, P]
  std::unique_ptr<backend::Routing> routing_;
};

// Writes the logits of batch.logit_rows to `logits`, [logit_rows, V]. False: the pass was given up, there are
// no logits, and what the rows' places in the cache hold is undefined.
bool forward(const Network& network, backend::Backend& backend, const Batch& batch, backend::Cache& cache,
             Workspace& workspace, std::span<float> logits);

}  // namespace beryl::model
