// A model whose logits are a hash of the true history of tokens, as the pages hold it: a wrong, stale or
// shared page changes what it says.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <vector>

#include "engine/model_runner.h"

namespace beryl::engine {

struct FakeShape {
  int64_t vocabulary_size = 16;
  int64_t window = 8;
  int64_t tokens_per_page = 4;
  int64_t sliding_pages = 64;
  int64_t full_pages = 64;
};

class FakeRunner final : public ModelRunner {
 public:
  explicit FakeRunner(const FakeShape& shape)
      : shape_(shape),
        sliding_(static_cast<size_t>(shape.sliding_pages * shape.tokens_per_page)),
        full_(static_cast<size_t>(shape.full_pages * shape.tokens_per_page)) {}

  // What follows a history, [V]; the last `window` tokens count once more.
  static void predict(std::span<const int32_t> history, int64_t window, std::span<float> logits) {
    uint64_t hash = 1;
    for (size_t i = 0; i < history.size(); ++i) hash = mix(hash, i, history[i]);
    const size_t first = history.size() - std::min(history.size(), static_cast<size_t>(window));
    for (size_t i = first; i < history.size(); ++i) hash = mix(hash, i, history[i]);
    fill(hash, logits);
  }

  // The most likely token of predict().
  static int32_t next(std::span<const int32_t> history, const FakeShape& shape) {
    std::vector<float> logits(static_cast<size_t>(shape.vocabulary_size));
    predict(history, shape.window, logits);
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }

  int64_t vocabulary_size() const override { return shape_.vocabulary_size; }
  int64_t window() const override { return shape_.window; }

  bool run(const model::Batch& batch, std::span<float> logits) override {
    rows += static_cast<int64_t>(batch.tokens.size());
    for (size_t row = 0; row < batch.tokens.size(); ++row) {
      const int64_t position = batch.rows.positions[row];
      slot(sliding_, tables(batch, row).sliding, position) = {position, batch.tokens[row]};
      slot(full_, tables(batch, row).full, position) = {position, batch.tokens[row]};
    }
    if (batch.should_stop && batch.should_stop()) {
      // What was written is undefined.
      for (size_t row = 0; row < batch.tokens.size(); ++row) {
        slot(full_, tables(batch, row).full, batch.rows.positions[row]).token ^= 1;
      }
      return false;
    }
    const auto vocabulary = static_cast<size_t>(shape_.vocabulary_size);
    for (size_t i = 0; i < batch.logit_rows.size(); ++i) {
      const auto row = static_cast<size_t>(batch.logit_rows[i]);
      answer(tables(batch, row), batch.rows.positions[row], logits.subspan(i * vocabulary, vocabulary));
      if (batch.tokens[row] == poison) {
        logits[i * vocabulary] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    return true;
  }

  void copy_page(backend::LayerKind kind, int32_t from, int32_t to) override {
    std::vector<Slot>& slots = kind == backend::LayerKind::kSliding ? sliding_ : full_;
    std::copy_n(slots.begin() + from * shape_.tokens_per_page, shape_.tokens_per_page,
                slots.begin() + to * shape_.tokens_per_page);
  }

  int64_t rows = 0;     // that ran
  int32_t poison = -1;  // the row of this token has logits that are not finite

 private:
  struct Slot {
    int64_t position = -1;
    int32_t token = -1;
  };

  static uint64_t mix(uint64_t hash, uint64_t position, int32_t token) {
    hash = (hash ^ (position * 0x9E3779B97F4A7C15U + static_cast<uint32_t>(token))) * 0xBF58476D1CE4E5B9U;
    return hash ^ (hash >> 31U);
  }

  static void fill(uint64_t hash, std::span<float> logits) {
    for (float& logit : logits) {
      hash = mix(hash, 0, 0);
      logit = static_cast<float>(hash >> 44U) * 0x1p-16F;
    }
  }

  static const backend::PageTables& tables(const model::Batch& batch, size_t row) {
    return batch.rows.tables[static_cast<size_t>(batch.rows.sequences[row])];
  }

  Slot& slot(std::vector<Slot>& slots, std::span<const int32_t> table, int64_t position) const {
    if (position / shape_.tokens_per_page >= static_cast<int64_t>(table.size())) {
      throw std::logic_error("a position has no page");
    }
    const int32_t page = table[static_cast<size_t>(position / shape_.tokens_per_page)];
    return slots.at(static_cast<size_t>(page * shape_.tokens_per_page + position % shape_.tokens_per_page));
  }

  void answer(const backend::PageTables& tables, int64_t last, std::span<float> logits) {
    uint64_t hash = 1;
    const auto add = [&](std::vector<Slot>& slots, std::span<const int32_t> table, int64_t position) {
      const Slot& found = slot(slots, table, position);
      hash = mix(hash, static_cast<uint64_t>(found.position), found.token);
    };
    for (int64_t position = 0; position <= last; ++position) add(full_, tables.full, position);
    const int64_t first = std::max<int64_t>(0, last + 1 - shape_.window);
    for (int64_t position = first; position <= last; ++position) add(sliding_, tables.sliding, position);
    fill(hash, logits);
  }

  FakeShape shape_;
  std::vector<Slot> sliding_, full_;  // [pages][tokens_per_page]
};

}  // namespace beryl::engine
