// The matrix kernels of each instruction set. Each multiplies y = x * panels^T with every code and scale,
// float32 or bf16 inputs, in an order of sums of its own that does not depend on the batch. Rows of bf16
// inputs have zeros behind their last number, up to a multiple of 64.
#pragma once

#include "backend/cpu/matrix_product.h"

namespace beryl::backend {

using MultiplyFunction = void (*)(const MatrixProduct& product);

MultiplyFunction multiply_portable();
MultiplyFunction multiply_avx2();
MultiplyFunction multiply_avx512();
MultiplyFunction multiply_avx512_bf16();

}  // namespace beryl::backend
