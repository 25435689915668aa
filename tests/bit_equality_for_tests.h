// What tests that compare the bits of logits share: models fed in many ways, alone and beside each other.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/checkpoint.h"
#include "engine/sequence.h"
#include "model/forward.h"
#include "model/network.h"

namespace beryl {

using Case = std::tuple<std::string, backend::Compute>;

// A checkpoint, loaded.
struct Model {
  Model(const Case& which, int threads)
      : Model(std::get<0>(which), {.threads = threads, .compute = std::get<1>(which)}) {}
  Model(const std::string& name, const backend::CpuOptions& options)
      : checkpoint(checkpoint::Checkpoint::open(std::filesystem::path(BERYL_SOURCE_DIR) / name)),
        cpu(backend::make_cpu_backend(options)) {
    NoProgress progress;
    network = model::load_network(checkpoint.config(), checkpoint.weights(), *cpu, progress);
  }

  checkpoint::Checkpoint checkpoint;
  std::unique_ptr<backend::Backend> cpu;
  model::Network network;
};

inline std::vector<int32_t> make_tokens(size_t count, size_t seed) {
  std::vector<int32_t> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<int32_t>(7 + (i + seed * 91) * 37 % 480);
  return tokens;
}

struct Feeding {
  int threads = 1;
  int64_t chunk_tokens = 0;
  int64_t tokens_per_page = 0;
};

// The logits of every token, [T, V], of a sequence that has the model for itself.
inline std::vector<float> logits_alone(const Model& model, const std::vector<int32_t>& tokens,
                                       const Feeding& feeding) {
  engine::Sequence sequence(model.network, *model.cpu,
                            {.tokens_max = static_cast<int64_t>(tokens.size()),
                             .tokens_per_page = feeding.tokens_per_page,
                             .chunk_tokens = feeding.chunk_tokens});
  const auto logits = sequence.append(tokens, engine::LogitRows::kAll);
  return {logits.begin(), logits.end()};
}

// Names the first value that differs.
inline void expect_same_bits(std::span<const float> actual, std::span<const float> expected,
                             const std::string& where) {
  ASSERT_EQ(actual.size(), expected.size()) << where;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::memcmp(&actual[i], &expected[i], sizeof(float)) == 0) continue;
    ADD_FAILURE() << where << ": value " << i << " is " << actual[i] << ", expected " << expected[i];
    return;
  }
}

inline constexpr int64_t kPageTokens = 4;

// One of the sequences that share a cache.
struct Stream {
  std::vector<int32_t> tokens;
  std::vector<int32_t> sliding, full;  // page tables
  size_t fed = 0;
};

// Sequences that share one cache, fed in common batches. Pages of different sequences alternate in the
// cache, those of full layers backwards.
class SharedCache {
 public:
  SharedCache(const Model& model, std::vector<std::vector<int32_t>> prompts)
      : model_(model), workspace_(*model.cpu) {
    size_t longest = 0;
    for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
    const size_t pages_each = longest / kPageTokens + 1;
    const size_t pages = pages_each * prompts.size();
    for (size_t s = 0; s < prompts.size(); ++s) {
      Stream stream = {.tokens = std::move(prompts[s])};
      for (size_t page = 0; page < pages_each; ++page) {
        stream.sliding.push_back(static_cast<int32_t>(page * prompts.size() + s));
        stream.full.push_back(static_cast<int32_t>(pages - 1) - stream.sliding.back());
      }
      streams.push_back(std::move(stream));
    }
    cache_ = model.cpu->make_cache({.layers = model::cache_layers(model.network.config),
                                    .tokens_per_page = kPageTokens,
                                    .sliding_pages = static_cast<int64_t>(pages),
                                    .full_pages = static_cast<int64_t>(pages)});
  }

  // Feeds the next counts[s] tokens of each stream s as one batch, the rows of the streams alternating, and
  // compares the logits of every `logit_step`-th row with those of the streams alone, [s][T, V].
  void feed(const std::vector<size_t>& counts, size_t logit_step,
            const std::vector<std::vector<float>>& alone) {
    std::vector<int32_t> tokens, sequences, positions, logit_rows;
    for (size_t i = 0; i < *std::max_element(counts.begin(), counts.end()); ++i) {
      for (size_t s = 0; s < streams.size(); ++s) {
        if (i >= counts[s]) continue;
        if (tokens.size() % logit_step == 0) logit_rows.push_back(static_cast<int32_t>(tokens.size()));
        tokens.push_back(streams[s].tokens.at(streams[s].fed));
        sequences.push_back(static_cast<int32_t>(s));
        positions.push_back(static_cast<int32_t>(streams[s].fed++));
      }
    }
    std::vector<backend::PageTables> tables;
    for (const Stream& stream : streams) tables.push_back({.sliding = stream.sliding, .full = stream.full});
    const model::Batch batch = {.tokens = tokens,
                                .rows = {.sequences = sequences, .positions = positions, .tables = tables},
                                .logit_rows = logit_rows};
    const auto vocabulary = static_cast<size_t>(model_.network.config.vocabulary_size);
    std::vector<float> logits(logit_rows.size() * vocabulary);
    model::forward(model_.network, *model_.cpu, batch, *cache_, workspace_, logits);
    for (size_t i = 0; i < logit_rows.size(); ++i) {
      const auto row = static_cast<size_t>(logit_rows[i]);
      const auto s = static_cast<size_t>(sequences[row]);
      const auto position = static_cast<size_t>(positions[row]);
      expect_same_bits(std::span(logits).subspan(i * vocabulary, vocabulary),
                       std::span(alone[s]).subspan(position * vocabulary, vocabulary),
                       "sequence " + std::to_string(s) + ", position " + std::to_string(position));
    }
  }

  std::vector<Stream> streams;

 private:
  const Model& model_;
  std::unique_ptr<backend::Cache> cache_;
  model::Workspace workspace_;
};

}  // namespace beryl
