// How far a model's predictions are from those of another one on the same tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/progress.h"
#include "eval/row_store.h"
#include "model/network.h"

namespace beryl::eval {

// Tokens to predict. Position p stands for what a model expects behind token p.
struct CompareText {
  std::vector<int32_t> tokens;
  size_t first = 0;  // the first position that is measured; all later ones are, too

  int64_t positions() const { return static_cast<int64_t>(tokens.size() - first); }
};

enum class CompareLayers : uint8_t { kNo, kYes };

// What one model made of the texts: the logits of every measured position, and for layers the streams between
// them, both on disk; and the experts that were chosen.
class ModelTrace {
 public:
  // Runs the model over all texts. Errors: kResource and kIo as RowStore; as Sequence::append().
  ModelTrace(const model::Network& network, backend::Backend& backend, std::span<const CompareText> texts,
             CompareLayers layers, Progress& progress);

  int64_t vocabulary_size() const { return logits_.width(); }
  const RowStore& logits() const { return logits_; }                             // [positions, V]
  const std::optional<RowStore>& hidden() const { return hidden_; }              // [positions * (L + 1), D]
  const std::vector<std::vector<int32_t>>& experts() const { return experts_; }  // [L][positions * top_k]

 private:
  RowStore logits_;
  std::optional<RowStore> hidden_;
  std::vector<std::vector<int32_t>> experts_;
};

struct PositionDifference {
  size_t text = 0;
  size_t position = 0;
  double kl = 0;  // of the second model's distribution from the first's, in nats
  int32_t first_choice = 0, second_choice = 0;  // the most likely tokens
  // Of the token that the text goes on with; absent after its last one.
  std::optional<double> first_logprob = {}, second_logprob = {};
};

struct LayerDifference {
  // Of the stream after the layer, over all positions: |second - first| / |first|, Euclidean.
  double relative_error = 0;
  // Of a layer with experts: the share of the second model's choices that the first did not make, and of
  // positions with at least one of them.
  std::optional<double> changed_choices = {}, changed_positions = {};
};

struct CompareResult {
  std::vector<PositionDifference> positions;  // in order of the texts
  double kl_mean = 0, kl_median = 0, kl_p99 = 0, kl_p999 = 0, kl_max = 0;
  double same_choice = 0;  // share of positions
  // Of the tokens that the texts go on with; absent when there are none.
  std::optional<double> first_perplexity = {}, second_perplexity = {};
  double embedding_error = 0;           // of the stream before the first layer; 0 without layers
  std::vector<LayerDifference> layers;  // empty without layers
};

// Runs the second model over the same texts. Errors: kInvalidInput when the models have different
// vocabularies or, for layers, different shapes; as ModelTrace.
CompareResult compare_with(const ModelTrace& first, const model::Network& network, backend::Backend& backend,
                           std::span<const CompareText> texts, Progress& progress);

}  // namespace beryl::eval
