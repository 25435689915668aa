// Reads all of a checkpoint and says what is wrong with it, or how far it is from another checkpoint of the
// same network. What needs headers only, completeness and shapes, opening the checkpoint has checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "checkpoint/checkpoint.h"

namespace beryl::eval {

enum class Severity : uint8_t {
  kError,    // results would be wrong
  kWarning,  // legal, but unusual, or wrong in other programs
  kNote,     // worth knowing
};

std::string_view severity_name(Severity severity);

struct Finding {
  Severity severity = Severity::kError;
  std::string_view kind;  // "non-finite", "expert-magnitude", ...: the same for all findings of one sort
  std::string module;     // as published, with its role where that says more
  std::string found;
  std::string expected;
  std::string meaning;  // what it means, and whose fault it is where that is known
};

// The weights of one class, such as all experts.
struct VerifiedClass {
  std::string_view name;
  int64_t weights = 0;
  uint64_t bytes = 0;
  // Root mean squares of the weights' values.
  double rms_min = 0;
  double rms_median = 0;
  double rms_max = 0;
  int64_t errors = 0;
  int64_t warnings = 0;
};

// A weight beside the same weight of the original.
struct ComparedWeight {
  std::string module;
  double cosine = 1;
  double relative_error = 0;  // norm of the difference by the norm of the original
};

struct VerifyReport {
  std::vector<VerifiedClass> classes;
  std::vector<Finding> findings;  // errors first, each severity in the order of the network
  uint64_t bytes_read = 0;
  int64_t compared = 0;               // weights
  std::vector<ComparedWeight> worst;  // of the quantised ones, by relative error

  int64_t count(Severity severity) const;
  bool passed() const { return count(Severity::kError) == 0; }
};

struct VerifyOptions {
  int threads = 1;
  const checkpoint::Checkpoint* original = nullptr;  // to compare with
};

// Never throws for what is wrong with the checkpoint or the original: that is a finding.
VerifyReport verify_checkpoint(const checkpoint::Checkpoint& checkpoint, const VerifyOptions& options,
                               Progress& progress);

// The report on a model that could not be opened, from the error that said why. Where the error is one that a
// known fault of a producer leads to, it names the fault.
VerifyReport report_refusal(const std::filesystem::path& path, const Error& error);

}  // namespace beryl::eval
