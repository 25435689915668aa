#include "eval/verify_against.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "eval/verify_comparison.h"
#include "eval/verify_diagnosis.h"
#include "eval/verify_work.h"

namespace beryl::eval {
namespace {

using checkpoint::Part;
using checkpoint::Role;
using formats::QuantMatrix;

constexpr size_t kWorstShown = 10;
constexpr size_t kDiagnosedMax = 32;
// Rows and runs of columns stray further than whole matrices.
constexpr double kRowFactor = 2.5;
constexpr double kColumnFactor = 2.2;
struct Pair {
  RoleWeight ours;
  const QuantMatrix* original = nullptr;
  Comparison comparison;
  std::optional<Error> failure;
};

class Against {
 public:
  Against(const checkpoint::Checkpoint& ours, const checkpoint::Checkpoint& original, VerifyReport& report)
      : ours_(ours.weights()), original_(original.weights()), report_(report) {}

  void run(int threads, Progress& progress) {
    pair_up();
    std::vector<RoleWeight> list;
    for (const Pair& pair : pairs_) list.push_back(pair.ours);
    std::mutex mutex;
    for_each_piece(cut_into_pieces(list), threads, progress, [&](const Piece& piece) {
      Pair& pair = pairs_[piece.weight];
      try {
        const QuantMatrix& matrix = pair.ours.weight->matrix;
        const double bound = kRowFactor * closeness_of(matrix, *pair.original).relative_error_max;
        const Comparison part = compare_rows(matrix, *pair.original, piece.first_row, piece.rows, bound);
        const std::lock_guard lock(mutex);
        pair.comparison.merge(part);
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        if (!pair.failure) pair.failure = error;
      }
    });
    for (const Pair& pair : pairs_) note_smoothing(pair);
    for (const Pair& pair : pairs_) judge(pair);
    sort_worst();
  }

 private:
  void pair_up() {
    for (const auto& [role, weight] : ours_.weights()) {
      const checkpoint::Weight* other = original_.find(role);
      // A head of its own may stand against a tied one.
      if (other == nullptr && role.part == Part::kHead) other = original_.find({Part::kEmbedding});
      if (other == nullptr) {
        add({&role, &weight}, Severity::kWarning, "not-in-original", "the original has no such weight", "",
            "");
        continue;
      }
      const bool is_same_shape =
          weight.matrix.rows == other->matrix.rows && weight.matrix.cols == other->matrix.cols;
      if (!is_same_shape) {
        add({&role, &weight}, Severity::kError, "other-shape",
            fmt::format("[{},{}]", weight.matrix.rows, weight.matrix.cols),
            fmt::format("[{},{}], as in the original", other->matrix.rows, other->matrix.cols),
            "the two are not the same network");
        continue;
      }
      pairs_.push_back(
          {.ours = {&role, &weight}, .original = &other->matrix, .comparison = {}, .failure = {}});
    }
  }

  void add(const RoleWeight& weight, Severity severity, std::string_view kind, std::string found,
           std::string expected, std::string meaning) {
    report_.findings.push_back({severity, kind, weight_label(*weight.role, *weight.weight), std::move(found),
                                std::move(expected), std::move(meaning)});
  }

  // Producers that shift magnitudes from weights into norms.
  void note_smoothing(const Pair& pair) {
    const bool is_vector = pair.ours.weight->matrix.cols == 1;
    is_smoothed_ |= is_vector && pair.comparison.whole.relative_error() > 0.01;
  }

  void judge(const Pair& pair) {
    if (pair.failure) {
      add(pair.ours, Severity::kError, "not-compared", pair.failure->message(), "weights that can be read",
          pair.failure->help());
      return;
    }
    ++report_.compared;
    const QuantMatrix& matrix = pair.ours.weight->matrix;
    const Sums& sums = pair.comparison.whole;
    const Closeness bound = closeness_of(matrix, *pair.original);
    if (pair.comparison.unequal > 0) {
      report_.worst.push_back({.module = weight_label(*pair.ours.role, *pair.ours.weight),
                               .cosine = sums.cosine(),
                               .relative_error = sums.relative_error()});
    }
    const bool is_close =
        sums.cosine() >= bound.cosine_min && sums.relative_error() <= bound.relative_error_max;
    if (!is_close) {
      judge_whole(pair, bound);
    } else if (matrix.cols > 1) {
      judge_columns(pair, bound);
      judge_rows(pair, bound);
      judge_clipped(pair);
    }
  }

  void judge_whole(const Pair& pair, const Closeness& bound) {
    const Sums& sums = pair.comparison.whole;
    std::string found =
        fmt::format("cosine {:.5f}, relative error {:.3g}", sums.cosine(), sums.relative_error());
    if (pair.ours.weight->matrix.cols == 1) {
      add(pair.ours, Severity::kError, "vector-differs", std::move(found), "the original's values",
          "no format quantises it: it is another checkpoint's or follows another convention (1 added or "
          "not), unless "
          "the producer smooths (AWQ, SmoothQuant) and folds scales into norms");
      return;
    }
    std::string meaning;
    if (diagnosed_++ < kDiagnosedMax) {
      try {
        meaning = diagnose_difference(pair.ours, original_, pair.comparison);
      } catch (const Error&) {
        meaning.clear();  // told of the other weight
      }
    }
    if (meaning.empty() && is_modelopt_block(pair)) meaning = kModelOptBlocks;
    if (meaning.empty() && is_smoothed_) {
      meaning = "norms differ as well: smoothing was folded into them, or this is another checkpoint";
    }
    if (meaning.empty()) meaning = "these are not the original's weights, or their scales are wrong";
    add(pair.ours, Severity::kError, "differs", std::move(found),
        fmt::format("cosine at least {:g}, relative error at most {:.3g}", bound.cosine_min,
                    bound.relative_error_max),
        std::move(meaning));
  }

  void judge_columns(const Pair& pair, const Closeness& bound) {
    const std::vector<Sums>& columns = pair.comparison.columns;
    const auto worst = std::max_element(columns.begin(), columns.end(), [](const Sums& a, const Sums& b) {
      return a.relative_error() < b.relative_error();
    });
    if (worst == columns.end() || worst->relative_error() <= kColumnFactor * bound.relative_error_max) return;
    const int64_t first = (worst - columns.begin()) * kComparedColumns;
    const int64_t last = std::min(first + kComparedColumns, pair.ours.weight->matrix.cols) - 1;
    const bool is_tail = worst == columns.end() - 1;
    add(pair.ours, Severity::kError, "columns-differ",
        fmt::format("inputs {} to {} have a relative error of {:.3g}, the matrix {:.3g}", first, last,
                    worst->relative_error(), pair.comparison.whole.relative_error()),
        fmt::format("at most {:.3g}", kColumnFactor * bound.relative_error_max),
        is_tail ? "the last group is stale or has other scales: a group size that does not divide the row"
                : "some groups of inputs are damaged or have other scales");
  }

  void judge_rows(const Pair& pair, const Closeness& bound) {
    const Comparison& comparison = pair.comparison;
    if (comparison.wrong_rows == 0) return;
    const bool is_certain = comparison.worst_row_error > std::max(0.7, kRowFactor * bound.relative_error_max);
    add(pair.ours, is_certain ? Severity::kError : Severity::kWarning, "rows-differ",
        fmt::format("{} of {} rows are off, row {} by {:.3g} of its norm", comparison.wrong_rows,
                    pair.ours.weight->matrix.rows, comparison.worst_row, comparison.worst_row_error),
        fmt::format("at most {:.3g}", kRowFactor * bound.relative_error_max),
        is_modelopt_block(pair) ? kModelOptBlocks : "some rows are damaged or have other scales");
  }

  void judge_clipped(const Pair& pair) {
    const Comparison& comparison = pair.comparison;
    if (comparison.clipped == 0) return;
    add(pair.ours, Severity::kWarning, "clipped",
        fmt::format("{} large {}, the worst, in row {}, lacks {:.1f} % of the original's value",
                    comparison.clipped, comparison.clipped == 1 ? "value is clipped" : "values are clipped",
                    comparison.worst_clip_row, comparison.worst_clip * 100),
        "scales that reach the largest value",
        is_modelopt_block(pair) ? kModelOptBlocks : "a scale that does not cover its largest values");
  }

  static bool is_modelopt_block(const Pair& pair) {
    const checkpoint::Weight& weight = *pair.ours.weight;
    const Part part = pair.ours.role->part;
    return weight.dialect == "ModelOpt" && weight.matrix.scales && weight.matrix.scales->tile_rows > 1 &&
           (part == Part::kExpertUp || part == Part::kExpertGate || part == Part::kUp || part == Part::kGate);
  }

  void sort_worst() {
    std::sort(report_.worst.begin(), report_.worst.end(),
              [](const auto& a, const auto& b) { return a.relative_error > b.relative_error; });
    if (report_.worst.size() > kWorstShown) report_.worst.resize(kWorstShown);
  }

  static constexpr const char* kModelOptBlocks =
      "known fault: ModelOpt's block export scales rows of up_proj wrongly in the block that gate and up "
      "share, "
      "where 128 does not divide the expert's width; the file is used as it is";

  const checkpoint::WeightMap& ours_;
  const checkpoint::WeightMap& original_;
  VerifyReport& report_;
  std::vector<Pair> pairs_;
  size_t diagnosed_ = 0;
  bool is_smoothed_ = false;
};

// Fields that change every answer though no tensor's shape depends on them.
void compare_configurations(const checkpoint::Checkpoint& ours, const checkpoint::Checkpoint& original,
                            VerifyReport& report) {
  const checkpoint::ModelConfig& a = ours.config();
  const checkpoint::ModelConfig& b = original.config();
  const auto compare = [&](const std::string& name, const auto& found, const auto& expected) {
    if (found == expected) return;
    report.findings.push_back({.severity = Severity::kError,
                               .kind = "config-differs",
                               .module = "config.json",
                               .found = fmt::format("{} is {}", name, found),
                               .expected = fmt::format("{}, as in the original", expected),
                               .meaning = "the network computes something else with the same weights"});
  };
  const auto shared = [](const checkpoint::ModelConfig& config) {
    int64_t count = 0;
    for (size_t i = 0; i < config.layers.size(); ++i) {
      count += config.layers[i].kv_source == static_cast<int64_t>(i) ? 0 : 1;
    }
    return count;
  };
  const auto attention = [](const checkpoint::ModelConfig& config) {
    std::string kinds;
    for (const auto& layer : config.layers) {
      kinds += layer.attention == checkpoint::AttentionKind::kSliding ? 's' : 'f';
    }
    return kinds;
  };
  compare("top_k_experts", a.experts_per_token, b.experts_per_token);
  compare("sliding_window", a.sliding_window, b.sliding_window);
  compare("rms_norm_eps", a.norm_epsilon, b.norm_epsilon);
  compare("final_logit_softcapping", a.logit_soft_cap, b.logit_soft_cap);
  compare("num_attention_heads", a.heads, b.heads);
  compare("num_kv_shared_layers", shared(a), shared(b));
  compare("layer_types (s sliding, f full)", attention(a), attention(b));
  compare("rope_theta of sliding layers", a.sliding_rotary.theta, b.sliding_rotary.theta);
  compare("rope_theta of full layers", a.full_rotary.theta, b.full_rotary.theta);
  compare("partial_rotary_factor of full layers", a.full_rotary.partial_factor, b.full_rotary.partial_factor);
}

}  // namespace

void compare_checkpoints(const checkpoint::Checkpoint& ours, const checkpoint::Checkpoint& original,
                         int threads, Progress& progress, VerifyReport& report) {
  const checkpoint::ModelConfig& a = ours.config();
  const checkpoint::ModelConfig& b = original.config();
  const auto shape = [](const checkpoint::ModelConfig& config) {
    return fmt::format("{} layers, width {}, {} experts, vocabulary {}", config.layers.size(),
                       config.hidden_size, config.expert_count, config.vocabulary_size);
  };
  if (shape(a) != shape(b)) {
    report.findings.push_back(
        {.severity = Severity::kError,
         .kind = "other-network",
         .module = original.path().string(),
         .found = "the original has " + shape(b),
         .expected = shape(a),
         .meaning = "the two are not the same network, so their weights were not compared"});
    return;
  }
  compare_configurations(ours, original, report);
  Against(ours, original, report).run(threads, progress);
}

std::vector<Finding> check_head(const checkpoint::Checkpoint& checkpoint, int threads, Progress& progress) {
  const auto& weights = checkpoint.weights();
  const auto head = weights.weights().find({Part::kHead});
  const checkpoint::Weight* embedding = weights.find({Part::kEmbedding});
  if (head == weights.weights().end() || embedding == nullptr) return {};
  const RoleWeight weight{&head->first, &head->second};
  Comparison comparison;
  std::mutex mutex;
  for_each_piece(cut_into_pieces(std::span(&weight, 1)), threads, progress, [&](const Piece& piece) {
    const Comparison part =
        compare_rows(head->second.matrix, embedding->matrix, piece.first_row, piece.rows, 1);
    const std::lock_guard lock(mutex);
    comparison.merge(part);
  });
  Finding finding{.severity = Severity::kNote,
                  .kind = "head-equal",
                  .module = weight_label(head->first, head->second),
                  .found = "the head holds the embedding's values",
                  .expected = "",
                  .meaning = "it is stored twice, and could be tied"};
  if (comparison.unequal > 0) {
    finding.severity = Severity::kWarning;
    finding.kind = "head-differs";
    finding.found =
        fmt::format("{} of {} values differ from the embedding (cosine {:.5f})", comparison.unequal,
                    head->second.matrix.rows * head->second.matrix.cols, comparison.whole.cosine());
    finding.expected = "the embedding's values: Gemma 4 ties its head";
    finding.meaning = checkpoint.config().ties_head
                          ? "the configuration says that the head is the embedding; the head in the file is "
                            "used here, other engines drop it"
                          : "the head was quantised or trained apart from the embedding";
  }
  return {finding};
}

}  // namespace beryl::eval
