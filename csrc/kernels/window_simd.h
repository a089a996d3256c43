// The vector intrinsics, where this set has any; only for kernels.
#pragma once
#if defined(__AVX512F__)
#if defined(__GNUC__) && !defined(__clang__)
// The intrinsics of gcc 12 pass a variable that they never set (gcc bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif
