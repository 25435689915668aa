#include "backend/cpu/matrix_fma.h"
#include "backend/cpu/matrix_kernels.h"

namespace beryl::backend {

MultiplyFunction multiply_avx2() {
  return multiply_fma;
}

}  // namespace beryl::backend
