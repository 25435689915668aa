// The weights that a configuration calls for: roles, shapes, and what may be absent.
#pragma once

#include <map>

#include "checkpoint/model_config.h"
#include "checkpoint/role.h"

namespace beryl::checkpoint {

enum class Presence : uint8_t {
  kRequired,
  kOptional,  // used when there
  kIgnored,   // may be there and is never used: keys and values of layers that share another layer's
};

struct ExpectedWeight {
  int64_t rows = 0;
  int64_t cols = 0;  // 1 for a vector
  bool is_vector = false;
  Presence presence = Presence::kRequired;
};

// Experts appear one by one; how a file stores them is the dialect's business.
std::map<Role, ExpectedWeight> expected_weights(const ModelConfig& config);

}  // namespace beryl::checkpoint
