// The vector vocabulary of the instruction set that the including file is compiled for.
#pragma once

#if defined(__AVX512F__)
#include "backend/cpu/lanes_avx512.h"
#else
#include "backend/cpu/lanes_avx2.h"
#endif
