// The activation of Gemma's gated MLPs.
#pragma once

#include <cmath>

namespace beryl::backend {

// 0.5 z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))
inline float gelu_tanh(float z) {
  constexpr float kSqrt2OverPi = 0.7978845608028654F;
  return 0.5F * z * (1.0F + std::tanh(kSqrt2OverPi * (z + 0.044715F * z * z * z)));
}

}  // namespace beryl::backend
