// The largest size among activations, which sets a token's scale; only for kernels.
#pragma once
#include "window_numbers.h"
#include "window_simd.h"

namespace rarefy {
namespace {

// As bits without the sign: they order like the sizes, infinity and NaN last.
inline uint32_t largest_bits(const float* x, int64_t count) {
#if defined(__AVX512F__)
  const __m512i size = _mm512_set1_epi32(0x7fffffff);
  __m512i most[4] = {};
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    for (int j = 0; j < 4; ++j) {
      const __m512i bits = _mm512_loadu_si512(x + i + 16 * j);
      most[j] = _mm512_max_epu32(most[j], _mm512_and_epi32(bits, size));
    }
  }
  for (; i < count; i += 16) {
    const auto lanes = static_cast<__mmask16>(count - i < 16 ? (1 << (count - i)) - 1 : -1);
    const __m512i bits = _mm512_maskz_loadu_epi32(lanes, x + i);
    most[0] = _mm512_max_epu32(most[0], _mm512_and_epi32(bits, size));
  }
  return _mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_max_epu32(most[0], most[1]),
                                                  _mm512_max_epu32(most[2], most[3])));
#else
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = bits_of_float(x[i]) & 0x7fffffff;
    largest = bits > largest ? bits : largest;
  }
  return largest;
#endif
}

}  // namespace
}  // namespace rarefy
