// Compares the values of two checkpoints of one network, weight by weight.
#pragma once

#include <vector>

#include "base/progress.h"
#include "checkpoint/checkpoint.h"
#include "eval/verify.h"

namespace beryl::eval {

// Adds findings, the count and the worst weights to the report.
void compare_checkpoints(const checkpoint::Checkpoint& ours, const checkpoint::Checkpoint& original,
                         int threads, Progress& progress, VerifyReport& report);

// Whether the head holds the embedding's values, where both exist. Errors: as formats::RowDecoder.
std::vector<Finding> check_head(const checkpoint::Checkpoint& checkpoint, int threads, Progress& progress);

}  // namespace beryl::eval
