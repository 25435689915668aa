#include "eval/bench_streams.h"

#include <algorithm>

#include "base/check.h"

namespace beryl::eval {
namespace {

constexpr int64_t kTokensPerPage = 16;
// Rows of a pass that fills the cache.
constexpr int64_t kFillRows = 256;

int64_t pages_for(int64_t tokens) {
  return (tokens + kTokensPerPage - 1) / kTokensPerPage;
}

// Pages of one stream that are in use at once: a window before the first row of a pass, its rows, and the
// parts of a page at both ends.
int64_t sliding_pages_for(const checkpoint::ModelConfig& config, const StreamsShape& shape) {
  const int64_t rows = std::max(shape.rows_max, std::min(shape.tokens_max, kFillRows));
  return std::min(pages_for(shape.tokens_max), pages_for(config.sliding_window + rows) + 1);
}

}  // namespace

backend::CacheShape streams_cache_shape(const checkpoint::ModelConfig& config, const StreamsShape& shape) {
  return {.layers = model::cache_layers(config),
          .tokens_per_page = kTokensPerPage,
          .sliding_pages = shape.streams * sliding_pages_for(config, shape),
          .full_pages = shape.streams * pages_for(shape.tokens_max)};
}

BenchStreams::BenchStreams(const model::Network& network, backend::Backend& backend,
                           const StreamsShape& shape)
    : network_(network),
      backend_(backend),
      shape_(shape),
      cache_(backend.make_cache(streams_cache_shape(network.config, shape))),
      workspace_(backend),
      random_(1) {
  const int64_t pages = pages_for(shape.tokens_max);
  const int64_t in_use = sliding_pages_for(network.config, shape);
  for (int64_t stream = 0; stream < shape.streams; ++stream) {
    std::vector<int32_t> sliding;
    std::vector<int32_t> full;
    for (int64_t page = 0; page < pages; ++page) {
      sliding.push_back(static_cast<int32_t>(stream * in_use + page % in_use));
      full.push_back(static_cast<int32_t>(stream * pages + page));
    }
    sliding_pages_.push_back(std::move(sliding));
    full_pages_.push_back(std::move(full));
  }
  for (size_t stream = 0; stream < sliding_pages_.size(); ++stream) {
    tables_.push_back({.sliding = sliding_pages_[stream], .full = full_pages_[stream]});
  }
  for (auto* buffer : {&x_, &q_, &k_, &v_}) *buffer = backend.make_buffer();
}

BenchStreams::Batch BenchStreams::make_batch(int64_t begin, int64_t end) {
  BERYL_CHECK(begin >= 0 && end <= shape_.tokens_max);
  Batch batch;
  const auto vocabulary = static_cast<uint64_t>(network_.config.vocabulary_size);
  for (int64_t stream = 0; stream < shape_.streams; ++stream) {
    for (int64_t position = begin; position < end; ++position) {
      batch.tokens.push_back(static_cast<int32_t>(random_() % vocabulary));
      batch.sequences.push_back(static_cast<int32_t>(stream));
      batch.positions.push_back(static_cast<int32_t>(position));
    }
    batch.last_rows.push_back(static_cast<int32_t>(batch.tokens.size()) - 1);
  }
  return batch;
}

void BenchStreams::fill_to(int64_t depth) {
  for (const model::LayerWeights& layer : network_.layers) {
    if (layer.k) fill_layer(layer, depth);
  }
  position_ = depth;
}

void BenchStreams::fill_layer(const model::LayerWeights& layer, int64_t depth) {
  // The queries' part of the operation is of no use here; keys stand in for them.
  backend::AttentionLayer attention = layer.attention;
  attention.heads = attention.kv_heads;
  const bool is_sliding = attention.kind == backend::LayerKind::kSliding;
  const int64_t first = is_sliding ? std::max<int64_t>(0, depth - attention.window) : 0;
  for (int64_t begin = first; begin < depth; begin += kFillRows) {
    const Batch batch = make_batch(begin, std::min(depth, begin + kFillRows));
    backend_.embed(*network_.embedding, batch.tokens, 1.0F, *x_);
    backend_.rms_norm(*x_, layer.input_norm.get(), network_.config.norm_epsilon, *x_);
    std::vector<backend::LinearOutput> outputs = {{layer.k.get(), q_.get()}, {layer.k.get(), k_.get()}};
    if (layer.v) outputs.push_back({layer.v.get(), v_.get()});
    backend_.linear(*x_, outputs);
    const backend::Rows rows = {
        .sequences = batch.sequences, .positions = batch.positions, .tables = tables_};
    backend_.rotate_and_cache(attention, rows, *q_, k_.get(), layer.v ? v_.get() : k_.get(), *cache_);
  }
}

void BenchStreams::feed(int64_t tokens, bool with_logits, model::Observer* observer) {
  BERYL_CHECK(tokens <= shape_.rows_max);
  const Batch batch = make_batch(position_, position_ + tokens);
  const std::span<const int32_t> logit_rows =
      with_logits ? std::span<const int32_t>(batch.last_rows) : std::span<const int32_t>();
  if (with_logits) logits_.resize(logit_rows.size() * static_cast<size_t>(network_.config.vocabulary_size));
  const std::span<float> logits = with_logits ? std::span<float>(logits_) : std::span<float>();
  model::forward(network_, backend_,
                 {.tokens = batch.tokens,
                  .rows = {.sequences = batch.sequences, .positions = batch.positions, .tables = tables_},
                  .logit_rows = logit_rows,
                  .observer = observer},
                 *cache_, workspace_, logits);
  position_ += tokens;
}

}  // namespace beryl::eval
