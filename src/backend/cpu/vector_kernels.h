// Everything a processor computes on rows of numbers that is no product with a matrix: the kernel table of
// one instruction set.
//
// The portable set is the specification: the others are tested against it and against double. Pointers need
// no alignment; nothing outside the stated lengths is read or written. What a kernel computes for one row
// depends on that row and its length alone, so a token has the same bits in any batch; between instruction
// sets the last bits differ. NaN goes through. This header is included by files that are compiled for one
// instruction set, so it holds plain structs only.
#pragma once

#include <cstdint>

namespace beryl::backend {

enum class Isa : uint8_t;

// Keys of one step of attention's online softmax.
inline constexpr int64_t kBlockKeys = 32;

// One block of keys against the query heads that see all of it. The state [queries] of the online softmax
// goes in and out: the largest score so far (-infinity before the first block), the sum of the weights
// exp(score - max), and the values summed by these weights (zeros before the first block).
struct AttentionBlock {
  int64_t head_dim;
  int64_t keys;                 // 1 ... kBlockKeys
  const void* const* key_rows;  // [keys] pointers to [head_dim] numbers: float, or bf16 for attend_bf16
  const void* const* value_rows;
  int64_t next_keys;  // of the block that comes next, to ask for its memory; may be 0
  const void* const* next_key_rows;
  int64_t queries;
  const float* q;          // [queries, head_dim]
  const uint16_t* q_bf16;  // the same numbers in bf16; null for attend_f32
  float* max;
  float* sum;
  float* out;  // [queries, head_dim]
};

// x = (x + update * inverse * weights) * scale
struct NormedUpdate {
  const float* update;
  float inverse;
  const float* weights;
  float scale;
};

struct VectorKernels {
  // out[i] = exp(x[i]) within 2 units in the last place; 0 below -104, infinity above 88.73. `out` may be
  // `x`.
  void (*exp)(const float* x, int64_t count, float* out);
  // out[i] = gelu_tanh(gate[i]) * up[i], gelu_tanh within 4e-7 |gate|. `out` may be either input.
  void (*gelu_times)(const float* gate, const float* up, int64_t count, float* out);
  // x[i] = cap * tanh(x[i] / cap), within 5e-7 of itself.
  void (*soft_cap)(float cap, float* x, int64_t count);

  // Sum of a[i] * b[i], in interleaved partial sums.
  float (*dot)(const float* a, const float* b, int64_t count);
  // out[i] = x[i] * factor * weights[i]; without weights where they are null. `out` may be `x`.
  void (*scale)(const float* x, float factor, const float* weights, int64_t count, float* out);
  // a[i] = (a[i] + b[i]) * factor
  void (*add_scaled)(float* a, const float* b, float factor, int64_t count);
  void (*add_normed)(float* x, const NormedUpdate& update, int64_t count);
  // to[i] = to[i] * keep + from[i] * weight
  void (*mix)(float* to, float keep, const float* from, float weight, int64_t count);
  // Rounds to nearest, ties to even, as float_to_bf16() does for every input. `out` may be `x`.
  void (*round_to_bf16)(const float* x, int64_t count, float* out);
  void (*to_bf16)(const float* x, int64_t count, uint16_t* out);
  // Rotates the pairs (x[i], x[i + half]) by the angles whose cosines and sines, [half], are given.
  void (*rotate)(const float* cosines, const float* sines, int64_t half, float* x);

  // One step of attention. attend_bf16 rounds the weights exp(score - max) to bf16, also in their sum, and
  // may take subnormal numbers for zero.
  void (*attend_f32)(const AttentionBlock& block);
  void (*attend_bf16)(const AttentionBlock& block);
};

// `isa` must be available.
const VectorKernels& vector_kernels(Isa isa);

// The tables of single instruction sets.
const VectorKernels& portable_vector_kernels();
const VectorKernels& avx2_vector_kernels();
const VectorKernels& avx512_vector_kernels();
const VectorKernels& avx512_bf16_vector_kernels();

}  // namespace beryl::backend
