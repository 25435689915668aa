// Which instruction set the kernels use: chosen once at run time, so that one binary serves all processors.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace beryl::backend {

// In ascending order: a processor that has one has all before it.
enum class Isa : uint8_t {
  kPortable,    // what the compiler's target has: SSE2 on x86-64
  kAvx2,        // AVX2, FMA and F16C
  kAvx512,      // AVX-512 F, BW, VL and DQ
  kAvx512Bf16,  // and the dot products of bf16, and VBMI's byte tables
};

// "portable", "avx2", "avx512" or "avx512bf16".
std::string_view isa_name(Isa isa);

// The sets that this processor and the system can run, in ascending order.
std::vector<Isa> available_isas();
// The last of them.
Isa best_isa();

// The set that the environment variable BERYL_ISA names, otherwise best_isa().
// Errors: kInvalidInput for an unknown name, kUnsupported for a set that this processor lacks.
Isa chosen_isa();

}  // namespace beryl::backend
