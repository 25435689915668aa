#include "eval/verify.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <span>
#include <utility>

#include "eval/verify_against.h"
#include "eval/verify_magnitudes.h"
#include "eval/verify_matrix.h"
#include "eval/verify_producers.h"
#include "eval/verify_skipped.h"
#include "eval/verify_statistics.h"
#include "eval/verify_work.h"

namespace beryl::eval {
namespace {

// Counts the progress of several steps as one.
class Steps final : public Progress {
 public:
  Steps(Progress& shown, uint64_t total) : shown_(shown), total_(total) {}
  void begin(uint64_t before) { before_ = before; }
  void update(uint64_t done, uint64_t /*total*/) override { shown_.update(before_ + done, total_); }

 private:
  Progress& shown_;
  uint64_t total_;
  uint64_t before_ = 0;
};

class Verification {
 public:
  Verification(const checkpoint::Checkpoint& checkpoint, const VerifyOptions& options, Progress& progress)
      : checkpoint_(checkpoint), options_(options), progress_(progress) {
    for (const auto& [role, weight] : checkpoint.weights().weights()) weights_.push_back({&role, &weight});
  }

  VerifyReport run() {
    const uint64_t bytes = checkpoint_.weights().published_bytes();
    Steps steps(progress_, options_.original != nullptr ? 2 * bytes : bytes);
    read_all(steps);
    report_.bytes_read = bytes;
    add(check_magnitudes(summaries_));
    add_readable([&] { return check_producer(checkpoint_); });
    add_readable([&] { return check_skipped(checkpoint_, report_.bytes_read); });
    NoProgress none;
    if (!has_failed({checkpoint::Part::kHead}) && !has_failed({checkpoint::Part::kEmbedding})) {
      add_readable([&] { return check_head(checkpoint_, options_.threads, none); });
    }
    steps.begin(bytes);
    if (options_.original != nullptr) {
      compare_checkpoints(checkpoint_, *options_.original, options_.threads, steps, report_);
    }
    summarise_classes();
    sort_by_severity();
    return std::move(report_);
  }

 private:
  // What is known of a weight while its pieces are read.
  struct State {
    MatrixStatistics statistics;
    int64_t rows_left = 0;
    bool has_failed = false;
    std::vector<Finding> findings;
  };

  void read_all(Progress& progress) {
    states_.resize(weights_.size());
    for (size_t i = 0; i < weights_.size(); ++i) states_[i].rows_left = weights_[i].weight->matrix.rows;
    summaries_.resize(weights_.size());
    for_each_piece(cut_into_pieces(weights_), options_.threads, progress,
                   [&](const Piece& piece) { read_piece(piece); });
    // In the order of the network.
    for (State& state : states_) add(std::move(state.findings));
    std::erase_if(summaries_, [](const MatrixSummary& summary) { return summary.weight.role == nullptr; });
  }

  void read_piece(const Piece& piece) {
    State& state = states_[piece.weight];
    const RoleWeight& weight = weights_[piece.weight];
    try {
      const formats::QuantMatrix& matrix = weight.weight->matrix;
      if (matrix.cols == 1) {
        // A vector comes in one piece, or is read once with the first.
        if (piece.first_row == 0) finish_vector(weight, state, piece.weight);
        return;
      }
      const MatrixStatistics part = read_statistics(matrix, piece.first_row, piece.rows);
      const std::lock_guard lock(mutex_);
      state.statistics.merge(part);
      state.rows_left -= piece.rows;
      if (state.rows_left == 0 && !state.has_failed) finish_matrix(weight, state, piece.weight);
    } catch (const Error& error) {
      const std::lock_guard lock(mutex_);
      if (!state.has_failed) state.findings.push_back(unreadable_finding(weight, error));
      state.has_failed = true;
    }
  }

  void finish_vector(const RoleWeight& weight, State& state, size_t index) {
    std::vector<Finding> findings = check_vector(weight);
    const MatrixStatistics statistics = read_statistics(weight.weight->matrix, 0, weight.weight->matrix.rows);
    const std::lock_guard lock(mutex_);
    state.findings = std::move(findings);
    rms_[index] = statistics.rms();
  }

  void finish_matrix(const RoleWeight& weight, State& state, size_t index) {
    state.findings = check_matrix(weight, state.statistics);
    rms_[index] = state.statistics.rms();
    summaries_[index] = {.weight = weight,
                         .rms = state.statistics.rms(),
                         .groups = state.statistics.groups,
                         .slack_groups = state.statistics.slack_groups};
    state.statistics = {};
  }

  bool has_failed(const checkpoint::Role& role) const {
    for (size_t i = 0; i < weights_.size(); ++i) {
      if (*weights_[i].role == role) return states_[i].has_failed;
    }
    return true;
  }

  void add(std::vector<Finding> findings) {
    std::move(findings.begin(), findings.end(), std::back_inserter(report_.findings));
  }

  void sort_by_severity() {
    std::vector<Finding> sorted;
    for (const Severity severity : {Severity::kError, Severity::kWarning, Severity::kNote}) {
      for (Finding& finding : report_.findings) {
        if (finding.severity == severity) sorted.push_back(std::move(finding));
      }
    }
    report_.findings = std::move(sorted);
  }

  template <typename Check>
  void add_readable(Check&& check) {
    try {
      add(check());
    } catch (const Error& error) {
      report_.findings.push_back({.severity = Severity::kError,
                                  .kind = "unreadable",
                                  .module = checkpoint_.path().string(),
                                  .found = error.message(),
                                  .expected = "files that can be read",
                                  .meaning = error.help()});
    }
  }

  void summarise_classes() {
    std::map<std::string_view, std::vector<size_t>> members;
    std::map<std::string, std::string_view> class_of;
    for (size_t i = 0; i < weights_.size(); ++i) {
      const std::string_view name = class_name(weights_[i].role->part);
      members[name].push_back(i);
      class_of[weight_label(*weights_[i].role, *weights_[i].weight)] = name;
      class_of.try_emplace(weights_[i].weight->module, name);
    }
    for (const std::string_view name : class_names()) {
      if (members.contains(name)) report_.classes.push_back(summarise(name, members[name]));
    }
    for (const Finding& finding : report_.findings) {
      const auto found = class_of.find(finding.module);
      if (found == class_of.end()) continue;
      for (VerifiedClass& entry : report_.classes) {
        if (entry.name != found->second) continue;
        entry.errors += finding.severity == Severity::kError ? 1 : 0;
        entry.warnings += finding.severity == Severity::kWarning ? 1 : 0;
      }
    }
  }

  VerifiedClass summarise(std::string_view name, const std::vector<size_t>& members) const {
    VerifiedClass entry{.name = name};
    std::vector<double> values;
    for (const size_t i : members) {
      ++entry.weights;
      entry.bytes += weights_[i].weight->matrix.published_bytes();
      if (const auto found = rms_.find(i); found != rms_.end()) values.push_back(found->second);
    }
    if (values.empty()) return entry;
    entry.rms_min = *std::min_element(values.begin(), values.end());
    entry.rms_max = *std::max_element(values.begin(), values.end());
    entry.rms_median = median(values);
    return entry;
  }

  const checkpoint::Checkpoint& checkpoint_;
  const VerifyOptions& options_;
  Progress& progress_;
  std::vector<RoleWeight> weights_;
  std::mutex mutex_;
  std::vector<State> states_;
  std::map<size_t, double> rms_;
  std::vector<MatrixSummary> summaries_;
  VerifyReport report_;
};

}  // namespace

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "?";
}

int64_t VerifyReport::count(Severity severity) const {
  return std::count_if(findings.begin(), findings.end(),
                       [&](const Finding& finding) { return finding.severity == severity; });
}

VerifyReport verify_checkpoint(const checkpoint::Checkpoint& checkpoint, const VerifyOptions& options,
                               Progress& progress) {
  return Verification(checkpoint, options, progress).run();
}

VerifyReport report_refusal(const std::filesystem::path& path, const Error& error) {
  VerifyReport report;
  report.findings.push_back(explain_refusal(path, error));
  return report;
}

}  // namespace beryl::eval
