// What weights show beside their likes: an expert beside the other experts of its layer, a projection beside
// the same one in neighbouring layers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "eval/verify.h"
#include "eval/verify_work.h"

namespace beryl::eval {

// What is kept of a matrix when it has been read.
struct MatrixSummary {
  RoleWeight weight;
  double rms = 0;
  int64_t groups = 0;
  int64_t slack_groups = 0;
};

// `summaries` has all matrices that could be read, in the order of their roles.
std::vector<Finding> check_magnitudes(std::span<const MatrixSummary> summaries);

// The middle one of some values; 0 when there are none.
double median(std::vector<double> values);

}  // namespace beryl::eval
