#include "server/grammars.h"

#include <string>
#include <utility>

#include "base/error.h"

namespace beryl::server {
namespace {

// Runs `work()`; what is wrong with the constraint that `field` asked for is the request's fault.
template <typename Work>
decltype(auto) blame_field(const std::string& field, Work&& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidInput, error.message(), error.help()).add_context(field);
  }
}

class FieldConstraint final : public engine::TokenConstraint {
 public:
  FieldConstraint(std::string field, std::unique_ptr<TokenConstraint> inner)
      : field_(std::move(field)), inner_(std::move(inner)) {}

  bool push(int32_t token) override {
    return blame_field(field_, [&] { return inner_->push(token); });
  }
  const engine::TokenMask& mask() override {
    return blame_field(field_, [&]() -> const engine::TokenMask& { return inner_->mask(); });
  }

 private:
  const std::string field_;
  const std::unique_ptr<TokenConstraint> inner_;
};

}  // namespace

Grammars::Grammars(const ApiModel& model, const text::grammar::GrammarLimits& limits)
    : model_(model), limits_(limits) {}

text::grammar::GrammarCache& Grammars::cache() {
  std::call_once(is_made_, [&] {
    cache_.emplace(engine::make_output_vocabulary(model_.tokenizer, model_.generation.eos_token_ids),
                   limits_);
  });
  return *cache_;
}

engine::ConstraintFactory Grammars::constrain(const OutputFormat& format, engine::GrammarStart start) {
  text::grammar::GrammarCache& grammars = cache();
  auto make = engine::make_grammar_constraints(
      blame_field(format.field, [&] { return grammars.compile(format.constraint); }), start);
  return [field = format.field, make = std::move(make)](int64_t vocabulary_size) {
    return std::make_unique<FieldConstraint>(field, make(vocabulary_size));
  };
}

}  // namespace beryl::server
