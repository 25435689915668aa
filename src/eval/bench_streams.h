// Several sequences that are fed side by side, as a server would, with random tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "model/forward.h"
#include "model/network.h"

namespace beryl::eval {

struct StreamsShape {
  int64_t streams = 1;
  int64_t tokens_max = 0;  // of each stream
  int64_t rows_max = 1;    // of one stream in one pass
};

// The cache that streams take. Sliding layers keep the window and the rows of one pass.
backend::CacheShape streams_cache_shape(const checkpoint::ModelConfig& config, const StreamsShape& shape);

// Borrows the network and the backend.
class BenchStreams {
 public:
  // Errors: kResource when the cache cannot be had.
  BenchStreams(const model::Network& network, backend::Backend& backend, const StreamsShape& shape);

  // Puts all streams to `depth` tokens, whose keys and values are of the right size and otherwise not what
  // the network would have computed: that would take the time of a prompt, and speed does not depend on it.
  void fill_to(int64_t depth);
  // Where the next pass begins; the cache keeps what it holds.
  void set_position(int64_t position) { position_ = position; }

  // One pass that feeds `tokens` tokens to each stream. Logits are computed for the last of each, or for
  // none. `observer` may be null.
  void feed(int64_t tokens, bool with_logits, model::Observer* observer);

  // Of the last pass that had some, [streams, V].
  std::span<const float> logits() const { return logits_; }

 private:
  struct Batch {
    std::vector<int32_t> tokens, sequences, positions, last_rows;
  };
  Batch make_batch(int64_t begin, int64_t end);
  void fill_layer(const model::LayerWeights& layer, int64_t depth);

  const model::Network& network_;
  backend::Backend& backend_;
  StreamsShape shape_;
  std::unique_ptr<backend::Cache> cache_;
  model::Workspace workspace_;
  std::vector<std::vector<int32_t>> sliding_pages_, full_pages_;  // [streams], page tables
  std::vector<backend::PageTables> tables_;                       // [streams], views of them
  std::unique_ptr<backend::Buffer> x_, q_, k_, v_;                // of fill_to()
  int64_t position_ = 0;
  std::mt19937 random_;
  std::vector<float> logits_;
};

}  // namespace beryl::eval
