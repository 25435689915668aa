// One sequence of tokens with a cache of its own: the simplest driver of the model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "model/forward.h"
#include "model/network.h"

namespace beryl::engine {

struct SequenceOptions {
  int64_t tokens_max = 0;  // capacity: prompt and answer together
  int64_t tokens_per_page = 16;
  int64_t chunk_tokens = 256;  // fed to the model at a time
};

enum class LogitRows : uint8_t {
  kLast,  // of the last token fed
  kAll,   // of every token fed
};

// The shape of the cache that a sequence of this capacity takes.
backend::CacheShape cache_shape(std::vector<backend::CacheLayer> layers, const SequenceOptions& options);

// Borrows the network and the backend. One thread at a time.
class Sequence {
 public:
  // Errors: kResource when the cache cannot be had.
  Sequence(const model::Network& network, backend::Backend& backend, const SequenceOptions& options);

  // Appends tokens and returns the logits, [1 or tokens.size(), V], valid until the next call.
  // Errors: kInvalidInput when a token is outside of the vocabulary or the capacity is exceeded (both
  // numbers); nothing is appended then. kNumeric when a logit is not finite, with the position; the sequence
  // is then of no further use.
  std::span<const float> append(std::span<const int32_t> tokens, LogitRows rows,
                                model::Observer* observer = nullptr);

  // Forgets all tokens after the first `length`.
  void truncate(int64_t length);

  std::span<const int32_t> tokens() const { return tokens_; }
  int64_t capacity() const { return options_.tokens_max; }
  int64_t length() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t vocabulary_size() const { return network_.config.vocabulary_size; }

 private:
  void check_input(std::span<const int32_t> tokens) const;
  // Runs one chunk; its logits go to `logits`, which may be empty.
  void run_chunk(std::span<const int32_t> tokens, LogitRows rows, std::span<float> logits,
                 model::Observer* observer);
  void check_finite(int64_t first_position) const;

  const model::Network& network_;
  backend::Backend& backend_;
  SequenceOptions options_;
  std::unique_ptr<backend::Cache> cache_;
  model::Workspace workspace_;
  std::vector<int32_t> pages_;   // the trivial table: page p is page p
  std::vector<int32_t> tokens_;  // fed so far
  std::vector<float> logits_;
};

}  // namespace beryl::engine
