#include "eval/compare_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/error.h"
#include "engine/sequence.h"
#include "eval/divergence.h"
#include "eval/statistics.h"

namespace beryl::eval {
namespace {

// Tokens fed at a time: a row of logits takes a megabyte with the published vocabulary.
constexpr size_t kPart = 64;

int64_t position_count(std::span<const CompareText> texts) {
  int64_t count = 0;
  for (const CompareText& text : texts) count += text.positions();
  return count;
}

// Receives what a model does at the measured positions, part by part.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // The next rows of logits, [n, V], of positions from `position` of text number `text` on.
  virtual void on_logits(size_t text, size_t position, std::span<const float> rows) = 0;
  // Before the logits of the same positions: their streams [n, D] and chosen experts [n, top_k].
  virtual void on_hidden(size_t index, std::span<const float> rows) = 0;
  virtual void on_experts(size_t layer, std::span<const int32_t> experts) = 0;
};

class LayerObserver final : public model::Observer {
 public:
  explicit LayerObserver(TraceSink& sink) : sink_(sink) {}

  void on_hidden(int64_t index, const std::vector<float>& values) override {
    sink_.on_hidden(static_cast<size_t>(index), values);
  }
  void on_experts(int64_t layer, const std::vector<int32_t>& experts) override {
    sink_.on_experts(static_cast<size_t>(layer), experts);
  }

 private:
  TraceSink& sink_;
};

struct TracedModel {
  const model::Network& network;
  backend::Backend& backend;
};

void trace_text(engine::Sequence& sequence, const CompareText& text, size_t index, bool has_layers,
                TraceSink& sink) {
  sequence.truncate(0);
  const std::span<const int32_t> tokens = text.tokens;
  // What comes before needs no logits.
  if (text.first > 0) sequence.append(tokens.first(text.first), engine::LogitRows::kLast);
  LayerObserver observer(sink);
  for (size_t begin = text.first; begin < tokens.size(); begin += kPart) {
    const std::span<const int32_t> part = tokens.subspan(begin, std::min(kPart, tokens.size() - begin));
    sink.on_logits(index, begin,
                   sequence.append(part, engine::LogitRows::kAll, has_layers ? &observer : nullptr));
  }
}

void trace(const TracedModel& model, std::span<const CompareText> texts, bool has_layers, TraceSink& sink,
           Progress& progress) {
  size_t longest = 1;
  uint64_t total = 0, done = 0;
  for (const CompareText& text : texts) {
    longest = std::max(longest, text.tokens.size());
    total += text.tokens.size();
  }
  // A part must not be cut further: its streams arrive at once.
  engine::Sequence sequence(model.network, model.backend,
                            {.tokens_max = static_cast<int64_t>(longest), .chunk_tokens = kPart});
  for (size_t i = 0; i < texts.size(); ++i) {
    with_context(fmt::format("text {}", i), [&] { trace_text(sequence, texts[i], i, has_layers, sink); });
    done += texts[i].tokens.size();
    progress.update(done, total);
  }
}

// Streams of one part arrive layer by layer; in the store the rows of a position stand together.
class StreamRows {
 public:
  StreamRows(size_t layers, size_t width) : width_(width), rows_(layers + 1) {}

  void set(size_t index, std::span<const float> rows) { rows_[index].assign(rows.begin(), rows.end()); }
  void add_to(RowStore& store) const {
    for (size_t at = 0; at < rows_.front().size(); at += width_) {
      for (const std::vector<float>& rows : rows_) store.add(std::span(rows).subspan(at, width_));
    }
  }
  std::span<const float> row(size_t index, size_t n) const {
    return std::span(rows_[index]).subspan(n * width_, width_);
  }
  size_t layers() const { return rows_.size(); }

 private:
  size_t width_;
  std::vector<std::vector<float>> rows_;  // [L + 1][n, D]
};

class Recorder final : public TraceSink {
 public:
  Recorder(RowStore& logits, RowStore* hidden, std::vector<std::vector<int32_t>>& experts, StreamRows streams)
      : logits_(logits), hidden_(hidden), experts_(experts), streams_(std::move(streams)) {}

  void on_hidden(size_t index, std::span<const float> rows) override { streams_.set(index, rows); }
  void on_experts(size_t layer, std::span<const int32_t> experts) override {
    experts_[layer].insert(experts_[layer].end(), experts.begin(), experts.end());
  }
  void on_logits(size_t, size_t, std::span<const float> rows) override {
    logits_.add(rows);
    if (hidden_ != nullptr) streams_.add_to(*hidden_);
  }

 private:
  RowStore& logits_;
  RowStore* hidden_;
  std::vector<std::vector<int32_t>>& experts_;
  StreamRows streams_;
};

StreamRows make_stream_rows(const checkpoint::ModelConfig& config) {
  return {config.layers.size(), static_cast<size_t>(config.hidden_size)};
}

int32_t most_likely(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Holds what the second model does against the trace of the first.
class Comparer final : public TraceSink {
 public:
  Comparer(const ModelTrace& first, std::span<const CompareText> texts, StreamRows streams)
      : first_(first), texts_(texts), streams_(std::move(streams)) {
    logits_.resize(static_cast<size_t>(first.vocabulary_size()));
    const size_t layers = streams_.layers();
    difference_.resize(layers);
    magnitude_.resize(layers);
    choices_.resize(layers);
  }

  void on_hidden(size_t index, std::span<const float> rows) override { streams_.set(index, rows); }

  void on_experts(size_t layer, std::span<const int32_t> experts) override {
    const std::vector<int32_t>& all = first_.experts()[layer];
    Choices& choices = choices_[layer];
    const auto slots = static_cast<size_t>(all.size()) / static_cast<size_t>(first_.logits().size());
    for (size_t at = 0; at < experts.size(); at += slots) {
      const std::span<const int32_t> ours = experts.subspan(at, slots);
      const std::span<const int32_t> theirs = std::span(all).subspan(choices.seen, slots);
      const auto changed = static_cast<int64_t>(std::count_if(ours.begin(), ours.end(), [&](int32_t expert) {
        return std::find(theirs.begin(), theirs.end(), expert) == theirs.end();
      }));
      choices.seen += slots;
      choices.changed += changed;
      choices.changed_positions += changed > 0 ? 1 : 0;
    }
  }

  void on_logits(size_t text, size_t position, std::span<const float> rows) override {
    const size_t vocabulary = logits_.size();
    for (size_t n = 0; n * vocabulary < rows.size(); ++n, ++position) {
      const auto index = static_cast<int64_t>(result_.positions.size());
      if (first_.hidden()) compare_streams(index, n);
      compare_logits(text, position, rows.subspan(n * vocabulary, vocabulary), index);
    }
  }

  CompareResult finish() {
    summarise_positions();
    if (first_.hidden()) summarise_layers();
    return std::move(result_);
  }

 private:
  struct Choices {
    size_t seen = 0;
    int64_t changed = 0;
    int64_t changed_positions = 0;
  };

  void compare_logits(size_t text, size_t position, std::span<const float> second, int64_t index) {
    first_.logits().read(index, logits_);
    const double first_sum = log_sum(logits_);
    const double second_sum = log_sum(second);
    PositionDifference difference = {.text = text,
                                     .position = position,
                                     .kl = kl_divergence(logits_, first_sum, second, second_sum),
                                     .first_choice = most_likely(logits_),
                                     .second_choice = most_likely(second)};
    const std::vector<int32_t>& tokens = texts_[text].tokens;
    if (position + 1 < tokens.size()) {
      const auto next = static_cast<size_t>(tokens[position + 1]);
      difference.first_logprob = double{logits_[next]} - first_sum;
      difference.second_logprob = double{second[next]} - second_sum;
    }
    result_.positions.push_back(difference);
  }

  void compare_streams(int64_t index, size_t n) {
    std::vector<float> theirs(static_cast<size_t>(first_.hidden()->width()));
    for (size_t layer = 0; layer < streams_.layers(); ++layer) {
      first_.hidden()->read(index * static_cast<int64_t>(streams_.layers()) + static_cast<int64_t>(layer),
                            theirs);
      const std::span<const float> ours = streams_.row(layer, n);
      for (size_t i = 0; i < ours.size(); ++i) {
        const double difference = double{ours[i]} - double{theirs[i]};
        difference_[layer] += difference * difference;
        magnitude_[layer] += double{theirs[i]} * double{theirs[i]};
      }
    }
  }

  void summarise_positions() {
    std::vector<double> kl;
    double first_loss = 0, second_loss = 0, kl_sum = 0;
    int64_t predicted = 0, same = 0;
    for (const PositionDifference& position : result_.positions) {
      kl.push_back(position.kl);
      kl_sum += position.kl;
      same += position.first_choice == position.second_choice ? 1 : 0;
      if (!position.first_logprob) continue;
      first_loss -= *position.first_logprob;
      second_loss -= *position.second_logprob;
      ++predicted;
    }
    const auto count = static_cast<double>(kl.size());
    std::sort(kl.begin(), kl.end());
    result_.kl_mean = kl_sum / count;
    result_.kl_median = quantile(kl, 0.5);
    result_.kl_p99 = quantile(kl, 0.99);
    result_.kl_p999 = quantile(kl, 0.999);
    result_.kl_max = kl.back();
    result_.same_choice = static_cast<double>(same) / count;
    if (predicted == 0) return;
    result_.first_perplexity = std::exp(first_loss / static_cast<double>(predicted));
    result_.second_perplexity = std::exp(second_loss / static_cast<double>(predicted));
  }

  void summarise_layers() {
    const auto error = [&](size_t index) {
      return magnitude_[index] > 0 ? std::sqrt(difference_[index] / magnitude_[index]) : 0;
    };
    result_.embedding_error = error(0);
    for (size_t layer = 0; layer + 1 < streams_.layers(); ++layer) {
      LayerDifference difference = {.relative_error = error(layer + 1)};
      if (const Choices& choices = choices_[layer]; choices.seen > 0) {
        difference.changed_choices = static_cast<double>(choices.changed) / static_cast<double>(choices.seen);
        difference.changed_positions =
            static_cast<double>(choices.changed_positions) / static_cast<double>(result_.positions.size());
      }
      result_.layers.push_back(difference);
    }
  }

  const ModelTrace& first_;
  std::span<const CompareText> texts_;
  StreamRows streams_;
  std::vector<float> logits_;                   // the first model's, of one position
  std::vector<double> difference_, magnitude_;  // [L + 1] sums of squares
  std::vector<Choices> choices_;                // by layer
  CompareResult result_;
};

void check_shapes(const ModelTrace& first, const checkpoint::ModelConfig& second) {
  const auto differ = [](std::string_view what, int64_t a, int64_t b) {
    return Error(ErrorCode::kInvalidInput,
                 fmt::format("the models cannot be compared: {} {} and {}", what, a, b),
                 "compare checkpoints of the same model");
  };
  if (first.vocabulary_size() != second.vocabulary_size) {
    throw differ("their vocabularies have", first.vocabulary_size(), second.vocabulary_size);
  }
  if (!first.hidden()) return;
  const auto layers = static_cast<int64_t>(first.experts().size());
  const auto other_layers = static_cast<int64_t>(second.layers.size());
  if (layers != other_layers) throw differ("their numbers of layers are", layers, other_layers);
  if (first.hidden()->width() != second.hidden_size) {
    throw differ("their widths are", first.hidden()->width(), second.hidden_size);
  }
}

}  // namespace

ModelTrace::ModelTrace(const model::Network& network, backend::Backend& backend,
                       std::span<const CompareText> texts, CompareLayers layers, Progress& progress)
    : logits_(network.config.vocabulary_size, position_count(texts)), experts_(network.config.layers.size()) {
  const bool has_layers = layers == CompareLayers::kYes;
  const auto stored_streams = static_cast<int64_t>(experts_.size()) + 1;
  if (has_layers) hidden_.emplace(network.config.hidden_size, position_count(texts) * stored_streams);
  Recorder recorder(logits_, has_layers ? &*hidden_ : nullptr, experts_, make_stream_rows(network.config));
  trace({network, backend}, texts, has_layers, recorder, progress);
}

CompareResult compare_with(const ModelTrace& first, const model::Network& network, backend::Backend& backend,
                           std::span<const CompareText> texts, Progress& progress) {
  check_shapes(first, network.config);
  Comparer comparer(first, texts, make_stream_rows(network.config));
  trace({network, backend}, texts, first.hidden().has_value(), comparer, progress);
  return comparer.finish();
}

}  // namespace beryl::eval
