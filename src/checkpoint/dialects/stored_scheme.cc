#include "checkpoint/dialects/stored_scheme.h"

#include <fmt/format.h>

#include "base/error.h"
#include "checkpoint/dialects/module_reading.h"

namespace beryl::checkpoint {

const QuantizationScheme& scheme_of_stored(const Module& module, const QuantizationConfig& quantization,
                                           ModuleReading& reading) {
  if (quantization.schemes().empty()) {
    fail_contradiction(module, fmt::format("quantised weights ({})", module.suffix_list()),
                       "config.json does not say how to read them");
  }
  if (module.role.part == Part::kRouterProjection) reading.notes.push_back(kRouterIsQuantised);
  const QuantizationScheme* scheme = quantization.find_scheme(module.role, module.name);
  if (scheme != nullptr) return *scheme;
  reading.notes.push_back(kTensorsDecide);
  return quantization.schemes().front();
}

void fail_unsupported(const Module& module, std::string_view what, std::string_view supported) {
  throw Error(ErrorCode::kUnsupported,
              fmt::format("'{}' is stored in {}, which is not supported", module.name, what),
              fmt::format("supported: {}", supported));
}

}  // namespace beryl::checkpoint
