// What the configuration says of a module that is stored quantised, for tools whose configuration is not
// strict: GPTQ, AWQ, AutoRound, bitsandbytes, MLX.
#pragma once

#include <string_view>

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

// Note for modules that a skip list names and that are quantised all the same.
inline constexpr std::string_view kTensorsDecide =
    "stored quantised, though the configuration says that it is not; the tensors decide";

// Note for routers, which most tools leave alone.
inline constexpr std::string_view kRouterIsQuantised = "the router is quantised; it is used as stored";

// The module's scheme; where the configuration calls the module unquantised, the method's first. Adds the
// notes above. Errors: kInvalidInput when config.json says nothing of quantisation.
const QuantizationScheme& scheme_of_stored(const Module& module, const QuantizationConfig& quantization,
                                           ModuleReading& reading);

// Throws kUnsupported: "'X' is stored in WHAT, which is not supported", with what is.
[[noreturn]] void fail_unsupported(const Module& module, std::string_view what, std::string_view supported);

}  // namespace beryl::checkpoint
