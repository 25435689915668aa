// The sets of moves that this processor can run.
#pragma once

#include <vector>

#include "formats/code_moves.h"

namespace beryl::formats {

inline std::vector<const CodeMoves*> available_moves() {
  std::vector<const CodeMoves*> sets = {&portable_moves()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    sets.push_back(&avx2_moves());
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    sets.push_back(&avx512_moves());
  }
#endif
  return sets;
}

}  // namespace beryl::formats
