// Guesses what became of a weight that does not resemble the original's.
#pragma once

#include <string>

#include "checkpoint/weight_map.h"
#include "eval/verify_comparison.h"
#include "eval/verify_work.h"

namespace beryl::eval {

// "it holds the original's layers.0.experts.5.up_proj", "the halves of its bytes are swapped", ...; empty
// when nothing fits. Errors: as formats::RowDecoder.
std::string diagnose_difference(const RoleWeight& ours, const checkpoint::WeightMap& original,
                                const Comparison& comparison);

}  // namespace beryl::eval
