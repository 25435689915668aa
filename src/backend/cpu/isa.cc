#include "backend/cpu/isa.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace beryl::backend {
namespace {

constexpr std::array kIsas = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

// The compiler's test asks the processor, and whether the system saves the registers.
bool is_available(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kPortable:
      return true;
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    case Isa::kAvx512Bf16:
      return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vbmi");
  }
#endif
  return isa == Isa::kPortable;
}

std::string names(const auto& isas) {
  std::string text;
  for (const Isa isa : isas) text += fmt::format("{}{}", text.empty() ? "" : ", ", isa_name(isa));
  return text;
}

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return "portable";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512bf16";
  }
  return "unknown";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> found;
  for (const Isa isa : kIsas) {
    if (!is_available(isa)) break;
    found.push_back(isa);
  }
  return found;
}

Isa best_isa() {
  return available_isas().back();
}

Isa chosen_isa() {
  const char* const variable = std::getenv("BERYL_ISA");
  const std::string_view wanted = variable != nullptr ? variable : "";
  if (wanted.empty()) return best_isa();
  for (const Isa isa : kIsas) {
    if (isa_name(isa) != wanted) continue;
    if (isa <= best_isa()) return isa;
    throw Error(ErrorCode::kUnsupported,
                fmt::format("BERYL_ISA is '{}', which this processor does not have", wanted),
                fmt::format("choose one of: {}, or leave it unset", names(available_isas())));
  }
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("BERYL_ISA is '{}', expected one of: {}", wanted, names(kIsas)),
              fmt::format("this processor has: {}", names(available_isas())));
}

}  // namespace beryl::backend
