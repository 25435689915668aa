#include "engine/sequence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace beryl::engine {

backend::CacheShape cache_shape(std::vector<backend::CacheLayer> layers, const SequenceOptions& options) {
  const int64_t pages = (options.tokens_max + options.tokens_per_page - 1) / options.tokens_per_page;
  return {.layers = std::move(layers),
          .tokens_per_page = options.tokens_per_page,
          .sliding_pages = pages,
          .full_pages = pages};
}

Sequence::Sequence(const model::Network& network, backend::Backend& backend, const SequenceOptions& options)
    : network_(network),
      backend_(backend),
      options_(options),
      cache_(backend.make_cache(cache_shape(model::cache_layers(network.config), options))),
      workspace_(backend) {
  BERYL_CHECK(options.tokens_max >= 1 && options.tokens_per_page >= 1 && options.chunk_tokens >= 1);
  pages_.resize(
      static_cast<size_t>((options.tokens_max + options.tokens_per_page - 1) / options.tokens_per_page));
  std::iota(pages_.begin(), pages_.end(), 0);
}

std::span<const float> Sequence::append(std::span<const int32_t> tokens, LogitRows rows,
                                        model::Observer* observer) {
  check_input(tokens);
  const auto vocabulary = static_cast<size_t>(vocabulary_size());
  const size_t logit_rows = rows == LogitRows::kAll ? tokens.size() : std::min<size_t>(1, tokens.size());
  logits_.resize(logit_rows * vocabulary);
  const int64_t first_position = length();
  const auto chunk = static_cast<size_t>(options_.chunk_tokens);
  for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
    const std::span<const int32_t> part = tokens.subspan(begin, std::min(chunk, tokens.size() - begin));
    const bool is_last = begin + part.size() == tokens.size();
    std::span<float> logits;
    if (rows == LogitRows::kAll) {
      logits = std::span(logits_).subspan(begin * vocabulary, part.size() * vocabulary);
    } else if (is_last) {
      logits = logits_;
    }
    run_chunk(part, rows, logits, observer);
  }
  check_finite(rows == LogitRows::kAll ? first_position : length() - 1);
  return logits_;
}

void Sequence::truncate(int64_t length) {
  BERYL_CHECK(length >= 0 && length <= this->length());
  tokens_.resize(static_cast<size_t>(length));
}

void Sequence::check_input(std::span<const int32_t> tokens) const {
  for (const int32_t token : tokens) {
    if (token >= 0 && token < vocabulary_size()) continue;
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("token id {}, expected 0 to {} (the model's vocabulary)", token, vocabulary_size() - 1));
  }
  const int64_t total = length() + static_cast<int64_t>(tokens.size());
  if (total > options_.tokens_max) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("the text comes to {} tokens, but there is room for {}", total, options_.tokens_max),
        "shorten the prompt or ask for fewer new tokens");
  }
}

void Sequence::run_chunk(std::span<const int32_t> tokens, LogitRows rows, std::span<float> logits,
                         model::Observer* observer) {
  std::vector<int32_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), static_cast<int32_t>(length()));
  const std::vector<int32_t> sequences(tokens.size(), 0);
  std::vector<int32_t> logit_rows;
  if (rows == LogitRows::kAll) {
    logit_rows.resize(tokens.size());
    std::iota(logit_rows.begin(), logit_rows.end(), 0);
  } else if (!logits.empty()) {
    logit_rows = {static_cast<int32_t>(tokens.size()) - 1};
  }
  const backend::PageTables tables = {.sliding = pages_, .full = pages_};
  const model::Batch batch = {
      .tokens = tokens,
      .rows = {.sequences = sequences, .positions = positions, .tables = {&tables, 1}},
      .logit_rows = logit_rows,
      .observer = observer};
  model::forward(network_, backend_, batch, *cache_, workspace_, logits);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

void Sequence::check_finite(int64_t first_position) const {
  const auto bad =
      std::find_if(logits_.begin(), logits_.end(), [](float logit) { return !std::isfinite(logit); });
  if (bad == logits_.end()) return;
  throw Error(ErrorCode::kNumeric,
              fmt::format("the logits after token {} of the text are not finite",
                          first_position + (bad - logits_.begin()) / vocabulary_size()),
              "the checkpoint may be damaged; compare it with `beryl check`");
}

}  // namespace beryl::engine
