// A model without layers whose logits a test decides, and which remembers the tokens that it was fed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "engine/engine.h"
#include "engine/model_runner.h"
#include "engine/sequence.h"
#include "model/network.h"

namespace beryl::engine {

// A row of a buffer is the token that it stands for.
class TokenBuffer final : public backend::Buffer {
 public:
  void set(std::vector<int32_t> row_tokens) {
    tokens = std::move(row_tokens);
    rows_ = static_cast<int64_t>(tokens.size());
    width_ = 1;
  }
  std::vector<int32_t> tokens;
};

class ScriptedBackend final : public backend::Backend {
 public:
  // Called for each row that needs logits, in order: fills logits [V], which are zero, for what follows
  // `token`.
  std::function<void(int32_t token, std::span<float> logits)> predict = [](int32_t, std::span<float>) {};
  std::vector<int32_t> fed;  // every token that ran

  void embed(const backend::Matrix&, std::span<const int32_t> tokens, float, backend::Buffer& out) override {
    fed.insert(fed.end(), tokens.begin(), tokens.end());
    rows(out).set({tokens.begin(), tokens.end()});
  }
  void rms_norm(const backend::Buffer& in, const backend::Vector*, float, backend::Buffer& out) override {
    rows(out).set(rows(in).tokens);
  }
  void gather_rows(const backend::Buffer& in, std::span<const int32_t> which, backend::Buffer& out) override {
    std::vector<int32_t> gathered;
    for (const int32_t row : which) gathered.push_back(rows(in).tokens.at(static_cast<size_t>(row)));
    rows(out).set(std::move(gathered));
  }
  void head(const backend::Buffer& in, const backend::Matrix& matrix, float,
            std::span<float> logits) override {
    const auto vocabulary = static_cast<size_t>(matrix.rows());
    std::fill(logits.begin(), logits.end(), 0.0F);
    for (size_t row = 0; row < rows(in).tokens.size(); ++row) {
      predict(rows(in).tokens[row], logits.subspan(row * vocabulary, vocabulary));
    }
  }
  std::vector<float> read(const backend::Buffer& buffer) override {
    return {rows(buffer).tokens.begin(), rows(buffer).tokens.end()};
  }

  std::unique_ptr<backend::Buffer> make_buffer() override { return std::make_unique<TokenBuffer>(); }
  std::unique_ptr<backend::Routing> make_routing() override { return std::make_unique<backend::Routing>(); }
  std::unique_ptr<backend::Cache> make_cache(const backend::CacheShape&) override {
    return std::make_unique<backend::Cache>();
  }

  // What a network without layers does not use.
  uint64_t resident_bytes(const backend::MatrixSource&) const override { return 0; }
  uint64_t cache_bytes(const backend::CacheShape&) const override { return 0; }
  std::vector<std::unique_ptr<backend::Matrix>> upload(std::span<const backend::MatrixSource>,
                                                       Progress&) override {
    return {};
  }
  std::unique_ptr<backend::Vector> upload_vector(std::span<const float>) override { return nullptr; }
  void copy_page(backend::Cache&, backend::LayerKind, int32_t, int32_t) override {}
  void linear(const backend::Buffer&, std::span<const backend::LinearOutput>) override {}
  void rotate_and_cache(const backend::AttentionLayer&, const backend::Rows&, backend::Buffer&,
                        const backend::Buffer*, const backend::Buffer*, backend::Cache&) override {}
  void attention(const backend::AttentionLayer&, const backend::Rows&, const backend::Buffer&,
                 const backend::Cache&, backend::Buffer&) override {}
  void route(const backend::Router&, const backend::Buffer&, std::span<const int32_t>,
             backend::Routing&) override {}
  void feed_forward(const backend::FeedForward&) override {}
  void gelu_gate(backend::Buffer&, const backend::Buffer&, int64_t) override {}
  void add_scaled(backend::Buffer&, const backend::Buffer&, float) override {}
  void add_normed(backend::Buffer&, const backend::Buffer&, const backend::Vector*, float, float) override {}
  std::vector<int32_t> read_experts(const backend::Routing&) override { return {}; }

 private:
  static TokenBuffer& rows(backend::Buffer& buffer) { return static_cast<TokenBuffer&>(buffer); }
  static const TokenBuffer& rows(const backend::Buffer& buffer) {
    return static_cast<const TokenBuffer&>(buffer);
  }
};

struct ScriptedModel {
  explicit ScriptedModel(int32_t vocabulary_size) {
    network.config.vocabulary_size = vocabulary_size;
    network.config.hidden_size = 1;
    network.embedding = std::make_unique<backend::Matrix>(vocabulary_size, 1);
  }

  Sequence make_sequence(const SequenceOptions& options) { return Sequence(network, backend, options); }

  // An engine with room for a few texts of `context` tokens.
  struct Running {
    Running(ScriptedModel& model, const EngineOptions& options)
        : runner(model.network, model.backend, options), engine(runner, options) {}
    NetworkRunner runner;
    Engine engine;
  };
  std::unique_ptr<Running> run_engine(int64_t context, int64_t chunk_tokens = 1024) {
    const int64_t pages = 8 * (context + 16);
    return std::make_unique<Running>(*this, EngineOptions{.context_max = context,
                                                          .tokens_per_page = 1,
                                                          .sliding_pages = pages,
                                                          .full_pages = pages,
                                                          .prefix_sliding_pages = pages / 2,
                                                          .chunk_tokens = chunk_tokens});
  }

  // Makes these the most likely tokens of the rows to come, one after another. Asking for more throws
  // std::out_of_range.
  void answer_with(std::vector<int32_t> tokens) {
    backend.predict = [answer = std::move(tokens), next = size_t{0}](int32_t,
                                                                     std::span<float> logits) mutable {
      logits[static_cast<size_t>(answer.at(next++))] = 10;
    };
  }

  ScriptedBackend backend;
  model::Network network;
};

}  // namespace beryl::engine
