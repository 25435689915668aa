// What decides, token by token, what an answer may be made of.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/token_mask.h"

namespace beryl::engine {

// Of one answer, which it follows from its first token on. Used on the engine's thread only; what it throws
// ends that answer with kFailed.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  // Goes on behind `token` and returns true; stays and returns false when it may not come next. End tokens
  // are tokens like others here: allowed where the answer may end.
  virtual bool push(int32_t token) = 0;
  // All tokens that push() would take, at least one, among as many as the model has logits. Valid until the
  // next call.
  virtual const TokenMask& mask() = 0;
};

// Makes a constraint for each answer; `vocabulary_size` is that of the model's logits. Called on the engine's
// thread, when the first token is chosen; never gives null.
using ConstraintFactory = std::function<std::unique_ptr<TokenConstraint>(int64_t vocabulary_size)>;

}  // namespace beryl::engine
