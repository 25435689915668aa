// The JSON part of a safetensors header. Used by safetensors.h alone, which goes on to check the ranges.
#pragma once

#include <string_view>

#include "checkpoint/limits.h"
#include "checkpoint/safetensors.h"

namespace beryl::checkpoint {

// Parses the header's text and checks each entry by itself: fields, types, name, rank, and that the range is
// as long as type and shape say. Names may still repeat, and ranges may lie anywhere. Tensors stand in the
// order of the text; their ranges have no file, and offset + bytes does not overflow.
// Errors: kInvalidInput, and kUnsupported for an unknown dtype; they name the tensor and the field.
SafetensorsHeader parse_safetensors_json(std::string_view text, const SafetensorsLimits& limits);

}  // namespace beryl::checkpoint
