#include "engine/either_constraint.h"

#include <memory>
#include <utility>
#include <vector>

namespace beryl::engine {
namespace {

class EitherConstraint final : public TokenConstraint {
 public:
  EitherConstraint(std::unique_ptr<TokenConstraint> first, std::unique_ptr<TokenConstraint> second,
                   int64_t vocabulary_size)
      : first_(std::move(first)), second_(std::move(second)), mask_(static_cast<int32_t>(vocabulary_size)) {}

  bool push(int32_t token) override {
    const bool first_goes_on = first_ && first_->push(token);
    const bool second_goes_on = second_ && second_->push(token);
    if (!first_goes_on && !second_goes_on) return false;
    if (!first_goes_on) first_.reset();
    if (!second_goes_on) second_.reset();
    return true;
  }

  const TokenMask& mask() override {
    if (!first_) return second_->mask();
    if (!second_) return first_->mask();
    const auto first = first_->mask().words();
    std::vector<uint64_t> words(first.begin(), first.end());
    const auto second = second_->mask().words();
    for (size_t i = 0; i < words.size(); ++i) words[i] |= second[i];
    mask_.assign(words);
    return mask_;
  }

 private:
  // Those that allow all so far; one of them at least.
  std::unique_ptr<TokenConstraint> first_, second_;
  TokenMask mask_;
};

}  // namespace

ConstraintFactory make_either_constraints(ConstraintFactory first, ConstraintFactory second) {
  return [first = std::move(first), second = std::move(second)](int64_t vocabulary_size) {
    return std::make_unique<EitherConstraint>(first(vocabulary_size), second(vocabulary_size),
                                              vocabulary_size);
  };
}

}  // namespace beryl::engine
