#include "backend/cpu/vector_kernels.h"

#include "backend/cpu/isa.h"

namespace beryl::backend {

const VectorKernels& vector_kernels(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kPortable:
      break;
    case Isa::kAvx2:
      return avx2_vector_kernels();
    case Isa::kAvx512:
      return avx512_vector_kernels();
    case Isa::kAvx512Bf16:
      return avx512_bf16_vector_kernels();
  }
#endif
  static_cast<void>(isa);
  return portable_vector_kernels();
}

}  // namespace beryl::backend
