// Compiled with -mavx512f -mavx512bw -mavx512vl -mavx512dq.

#if defined(__AVX512F__)

#include "backend/cpu/vector_attention.h"
#include "backend/cpu/vector_kernels.h"
#include "backend/cpu/vector_lanes_avx512.h"

namespace beryl::backend {
namespace {

struct Local;
constexpr VectorKernels kTable = lanes::make_table<lanes::Avx512Lanes<Local>>();

}  // namespace

const VectorKernels& avx512_vector_kernels() {
  return kTable;
}

}  // namespace beryl::backend

#endif
