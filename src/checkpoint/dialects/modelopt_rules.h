// NVIDIA ModelOpt's algorithms, and how its configuration gives them to modules. One of
//
//   quant_algo: ALGORITHM                            all linears
//   quant_algo: MIXED_PRECISION, quantized_layers    {MODULE: {quant_algo, group_size}, ...}
//   config_groups                                    {GROUP: {weights: {type, num_bits, group_size}, ...}}
//
// and "ignore" or "exclude_modules", shell wildcards that match whole names.
#pragma once

#include <string_view>

#include "checkpoint/config_fields.h"
#include "checkpoint/quantization_config.h"

namespace beryl::checkpoint {

// An algorithm as a scheme, whose `format` is the algorithm's name in capitals. Names that are not known give
// a scheme of no bits.
QuantizationScheme modelopt_scheme(std::string_view algorithm);

// Whether files of that algorithm, in capitals, can be read.
bool reads_modelopt_algorithm(std::string_view algorithm);

// Errors: kInvalidInput for malformed fields.
void read_modelopt_rules(const ConfigFields& section, QuantizationRules& rules);

}  // namespace beryl::checkpoint
