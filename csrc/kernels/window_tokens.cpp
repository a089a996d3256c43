// Activations made ready for products of low precision, one token at a time.
#include <cmath>
#include <limits>

#include "kernels.h"
#include "window_finish.h"
#include "window_largest.h"

namespace {

using namespace rarefy;

#if defined(__AVX512F__)
inline __m512i rounded(__m512 x, __m512 inverse, __m512 high) {
  // What is too low becomes the lowest number of 32 bits, and is clamped as such.
  return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_mul_ps(x, inverse), high));
}

// Bytes: both signs, stored with 128 added, or not negative, stored as they are.
inline __m512i clamped(const __m512i part[4], bool both_signs) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i low = _mm512_packs_epi32(part[0], part[1]);
  const __m512i high = _mm512_packs_epi32(part[2], part[3]);
  const __m512i bytes =
      both_signs ? _mm512_xor_si512(_mm512_packs_epi16(low, high), _mm512_set1_epi8(-128))
                 : _mm512_packus_epi16(low, high);
  return _mm512_permutexvar_epi32(order, bytes);
}

void round_all(const float* x, int64_t count, float inverse, const TokenRule& rule, uint8_t* to) {
  const __m512 by = _mm512_set1_ps(inverse), high = _mm512_set1_ps(static_cast<float>(rule.high));
  const bool both_signs = rule.zero != 0;
  __m512i part[4];
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) part[j] = rounded(_mm512_loadu_ps(x + i + 16 * j), by, high);
    _mm512_storeu_si512(to + i, clamped(part, both_signs));
  }
  if (i == count) return;
  for (int j = 0; j < 4; ++j) {
    const __mmask16 lanes = first_lanes(count - i - 16 * j);
    part[j] = rounded(_mm512_maskz_loadu_ps(lanes, x + (lanes ? i + 16 * j : 0)), by, high);
  }
  _mm512_mask_storeu_epi8(to + i, (uint64_t{1} << (count - i)) - 1, clamped(part, both_signs));
}

void round_all(const float* x, int64_t count, float inverse, const TokenRule& rule, int16_t* to) {
  const __m512 by = _mm512_set1_ps(inverse), high = _mm512_set1_ps(static_cast<float>(rule.high));
  const __m512i low = _mm512_set1_epi32(rule.low);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 lanes = first_lanes(count - i);
    const __m512i whole =
        _mm512_max_epi32(rounded(_mm512_maskz_loadu_ps(lanes, x + i), by, high), low);
    _mm256_mask_storeu_epi16(to + i, lanes, _mm512_cvtepi32_epi16(whole));
  }
}
#else
// to[i] = round(clamp(x[i] * inverse)) + zero, ties to even.
template <class Integer>
void round_all(const float* x, int64_t count, float inverse, const TokenRule& rule, Integer* to) {
  const auto low = static_cast<float>(rule.low), high = static_cast<float>(rule.high);
  for (int64_t i = 0; i < count; ++i) {
    float value = x[i] * inverse;
    value = value > low ? value : low;
    value = value < high ? value : high;
    to[i] = static_cast<Integer>(static_cast<int32_t>(std::nearbyint(value)) + rule.zero);
  }
}
#endif

template <class Integer>
float take_integers(const float* x, int64_t columns, const TokenRule& rule, uint8_t* to,
                    int64_t bytes) {
  const uint32_t largest = largest_bits(x, columns);
  const float most = float_of_bits(largest);
  const auto integers = reinterpret_cast<Integer*>(to);
  const int64_t room = bytes / static_cast<int64_t>(sizeof(Integer));
  const bool finite = largest < kInfinityBits;
  if (!finite || (rule.scale == 0 && most < kLeastActivation)) {
    for (int64_t i = 0; i < room; ++i) integers[i] = static_cast<Integer>(rule.zero);
    return finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  }
  const auto high = static_cast<float>(rule.high);
  round_all(x, columns, rule.scale != 0 ? 1 / rule.scale : high / most, rule, integers);
  for (int64_t i = columns; i < room; ++i) integers[i] = 0;
  return rule.scale != 0 ? rule.scale : most / high;
}

template <class Round>
float take_halves(const float* x, int64_t columns, uint8_t* to, int64_t bytes, float factor,
                  const Round& round) {
  const auto halves = reinterpret_cast<uint16_t*>(to);
  for (int64_t i = 0; i < columns; ++i) halves[i] = round(x[i] * factor);
  for (int64_t i = columns; i < bytes / 2; ++i) halves[i] = 0;
  return 1 / factor;
}

float take_nothing(uint8_t* to, int64_t bytes, float scale) {
  std::memset(to, 0, bytes);
  return scale;
}

}  // namespace

extern "C" {
float RAREFY_JOIN(window_take_u8, RAREFY_SET)(const float* x, int64_t columns,
                                              const TokenRule* rule, uint8_t* to, int64_t bytes) {
  return take_integers<uint8_t>(x, columns, *rule, to, bytes);
}

float RAREFY_JOIN(window_take_i16, RAREFY_SET)(const float* x, int64_t columns,
                                               const TokenRule* rule, uint8_t* to, int64_t bytes) {
  return take_integers<int16_t>(x, columns, *rule, to, bytes);
}

float RAREFY_JOIN(window_take_bf16, RAREFY_SET)(const float* x, int64_t columns, const TokenRule*,
                                                uint8_t* to, int64_t bytes) {
  if (largest_bits(x, columns) >= kBf16InfinityBits) {
    return take_nothing(to, bytes, std::numeric_limits<float>::quiet_NaN());
  }
  return take_halves(x, columns, to, bytes, 1, bf16_of);
}

float RAREFY_JOIN(window_take_f16, RAREFY_SET)(const float* x, int64_t columns, const TokenRule*,
                                               uint8_t* to, int64_t bytes) {
  const uint32_t largest = largest_bits(x, columns);
  if (largest >= kInfinityBits) {
    return take_nothing(to, bytes, std::numeric_limits<float>::quiet_NaN());
  }
  const float factor = factor_to_eight(largest);
  if (factor == 0) return take_nothing(to, bytes, 0);
  return take_halves(x, columns, to, bytes, factor, f16_of);
}
}
