// Tensors that the loader skips: scales of activations and caches, records of shapes, towers. They change no
// answer here, but other engines use them.
#pragma once

#include <vector>

#include "checkpoint/checkpoint.h"
#include "eval/verify.h"

namespace beryl::eval {

// Errors: kIo.
std::vector<Finding> check_skipped(const checkpoint::Checkpoint& checkpoint, uint64_t& bytes_read);

}  // namespace beryl::eval
