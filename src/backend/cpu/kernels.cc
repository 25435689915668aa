#include "backend/cpu/kernels.h"

namespace beryl::backend {

const Kernels& kernels_of(Isa isa) {
  static const Kernels kPortable = {"portable", multiply_portable(), &formats::portable_moves()};
#if defined(__x86_64__)
  static const Kernels kAvx2 = {"avx2", multiply_avx2(), &formats::avx2_moves()};
  static const Kernels kAvx512 = {"avx512", multiply_avx512(), &formats::avx512_moves()};
  static const Kernels kAvx512Bf16 = {"avx512bf16", multiply_avx512_bf16(), &formats::avx512_moves()};
  if (isa == Isa::kAvx2) return kAvx2;
  if (isa == Isa::kAvx512) return kAvx512;
  if (isa == Isa::kAvx512Bf16) return kAvx512Bf16;
#endif
  return kPortable;
}

}  // namespace beryl::backend
