// How far the distributions are apart that two rows of logits stand for.
#pragma once

#include <span>

namespace beryl::eval {

// The log of the sum of exponentials of logits [V], in float64.
double log_sum(std::span<const float> logits);

// Of `first` from `second`, both [V], in nats: never negative, exactly zero for equal rows. The sums are
// log_sum() of each.
double kl_divergence(std::span<const float> first, double first_sum, std::span<const float> second,
                     double second_sum);
double kl_divergence(std::span<const float> first, std::span<const float> second);

}  // namespace beryl::eval
