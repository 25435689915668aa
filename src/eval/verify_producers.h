// What the way in which a checkpoint was written says about its producer: faults and habits that are known,
// by name. Reads headers and single numbers.
#pragma once

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "eval/verify.h"

namespace beryl::eval {

// Errors: kIo.
std::vector<Finding> check_producer(const checkpoint::Checkpoint& checkpoint);

// What is known about a checkpoint that `error` kept from being opened.
Finding explain_refusal(const std::filesystem::path& path, const Error& error);

}  // namespace beryl::eval
