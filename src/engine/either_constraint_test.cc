#include "engine/either_constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace beryl::engine {
namespace {

using testing::ElementsAre;

constexpr int32_t kTokens = 70;  // more than one word of a mask

// Allows the tokens of a list one after the other, and then its last one for ever.
class Listed final : public TokenConstraint {
 public:
  explicit Listed(std::vector<int32_t> tokens) : tokens_(std::move(tokens)) {}
  bool push(int32_t token) override {
    if (token != tokens_[place_]) return false;
    place_ = std::min(place_ + 1, tokens_.size() - 1);
    return true;
  }
  const TokenMask& mask() override {
    mask_ = TokenMask(kTokens);
    mask_.allow(tokens_[place_]);
    return mask_;
  }

 private:
  std::vector<int32_t> tokens_;
  size_t place_ = 0;
  TokenMask mask_{kTokens};
};

ConstraintFactory listed(std::vector<int32_t> tokens) {
  return [tokens](int64_t) { return std::make_unique<Listed>(tokens); };
}

std::vector<int32_t> allowed(TokenConstraint& constraint) {
  const TokenMask& mask = constraint.mask();
  std::vector<int32_t> tokens;
  for (int32_t token = 0; token < kTokens; ++token) {
    if (mask.allows(token)) tokens.push_back(token);
  }
  return tokens;
}

TEST(EitherConstraint, TokensDecideWhichOneHolds) {
  const ConstraintFactory make = make_either_constraints(listed({1, 2, 3, 5}), listed({1, 69, 4}));
  for (const bool takes_first : {true, false}) {
    const auto constraint = make(kTokens);
    EXPECT_THAT(allowed(*constraint), ElementsAre(1));
    EXPECT_FALSE(constraint->push(2));
    EXPECT_TRUE(constraint->push(1));
    EXPECT_THAT(allowed(*constraint), ElementsAre(2, 69));
    EXPECT_FALSE(constraint->push(5));  // refused by both, so both still hold
    EXPECT_THAT(allowed(*constraint), ElementsAre(2, 69));
    EXPECT_TRUE(constraint->push(takes_first ? 2 : 69));
    EXPECT_THAT(allowed(*constraint), ElementsAre(takes_first ? 3 : 4));
    EXPECT_FALSE(constraint->push(takes_first ? 4 : 3));
    EXPECT_TRUE(constraint->push(takes_first ? 3 : 4));
  }
}

}  // namespace
}  // namespace beryl::engine
