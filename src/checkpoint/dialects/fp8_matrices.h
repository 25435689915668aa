// What ModelOpt, AutoFP8 and Hugging Face's fine-grained FP8 have in common: e4m3 codes, scales that
// multiply, and tools that do not always do what their configuration says.
#pragma once

#include <vector>

#include "checkpoint/config_fields.h"
#include "checkpoint/dialects/dialect.h"
#include "formats/quant_matrix.h"

namespace beryl::checkpoint {

// One matrix, or one for each expert: `codes` and `scale` are split into as many equal parts, and each number
// of `scale` covers tile_rows x tile_cols elements. The shapes have been checked.
std::vector<formats::QuantMatrix> fp8_matrices(const ModuleShape& shape, const TensorRecord& codes,
                                               const TensorRecord& scale, int64_t tile_rows,
                                               int64_t tile_cols);

// Adds what the user should know of a module that is stored quantised: where its scheme is none, where the
// scheme calls for an activation scale that is not there, where it is a router.
void add_notes(const Module& module, const QuantizationScheme* scheme, bool has_activation_scale,
               ModuleReading& reading);

// "activation_scheme" of quant_method "fp8": whether activations have scales in the file.
// Errors: kInvalidInput for other words than "static" and "dynamic".
bool has_static_activations(const ConfigFields& section);

// Whether the section belongs to scales per block, so that AutoFP8 and fine-grained FP8, which share a
// quant_method, agree on who reads it.
bool has_weight_blocks(const ConfigFields& section);

}  // namespace beryl::checkpoint
