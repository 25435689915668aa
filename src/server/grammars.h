// The grammars that answers follow.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "engine/grammar_constraint.h"
#include "server/api_model.h"
#include "server/output_format.h"

namespace beryl::server {

// Any number of threads may use it.
class Grammars {
 public:
  // Borrows the model.
  Grammars(const ApiModel& model, const text::grammar::GrammarLimits& limits);

  // Constraints of answers that follow `format`. Takes up to the limits' compile time, the first time also a
  // fraction of a second for the vocabulary; equal formats are compiled once. What goes wrong, now or in an
  // answer, is kInvalidInput and begins with the field. Errors: also kUnsupported when no answer of the model
  // could follow a grammar.
  engine::ConstraintFactory constrain(const OutputFormat& format, engine::GrammarStart start);

 private:
  text::grammar::GrammarCache& cache();

  const ApiModel& model_;
  const text::grammar::GrammarLimits limits_;
  std::once_flag is_made_;
  std::optional<text::grammar::GrammarCache> cache_;
};

}  // namespace beryl::server
