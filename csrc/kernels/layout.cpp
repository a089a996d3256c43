// Between rows (token after token) and lines (16 tokens side by side): transposes of 16 x 16.
#include <cstring>

#include "kernels.h"
#include "lines.h"

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t kSide = rarefy::kLine;

// to[j * to_stride + i] = from[i * from_stride + j] for i, j < 16. The vector forms gather four
// rows' quarters into one register while they load, which no shuffle has to do then; what is left
// is a transpose of 4 x 4 inside every quarter.
#if defined(__AVX512F__)
inline __m512 quarters(const float* from, int64_t stride) {
  __m512 value = _mm512_castps128_ps512(_mm_loadu_ps(from));
  value = _mm512_insertf32x4(value, _mm_loadu_ps(from + 4 * stride), 1);
  value = _mm512_insertf32x4(value, _mm_loadu_ps(from + 8 * stride), 2);
  return _mm512_insertf32x4(value, _mm_loadu_ps(from + 12 * stride), 3);
}

// With a mask of ones: gcc 12 warns of the plain forms.
inline __m512d low(__m512 a, __m512 b) {
  return _mm512_castps_pd(_mm512_maskz_unpacklo_ps(0xFFFF, a, b));
}
inline __m512d high(__m512 a, __m512 b) {
  return _mm512_castps_pd(_mm512_maskz_unpackhi_ps(0xFFFF, a, b));
}
inline void store_low(float* to, __m512d a, __m512d b) {
  _mm512_storeu_ps(to, _mm512_castpd_ps(_mm512_maskz_unpacklo_pd(0xFF, a, b)));
}
inline void store_high(float* to, __m512d a, __m512d b) {
  _mm512_storeu_ps(to, _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(0xFF, a, b)));
}

inline void turn(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
#pragma GCC unroll 4
  for (int64_t j = 0; j < kSide; j += 4) {
    const __m512 a = quarters(from + j, from_stride);
    const __m512 b = quarters(from + from_stride + j, from_stride);
    const __m512 c = quarters(from + 2 * from_stride + j, from_stride);
    const __m512 d = quarters(from + 3 * from_stride + j, from_stride);
    float* const line = to + j * to_stride;
    store_low(line, low(a, b), low(c, d));
    store_high(line + to_stride, low(a, b), low(c, d));
    store_low(line + 2 * to_stride, high(a, b), high(c, d));
    store_high(line + 3 * to_stride, high(a, b), high(c, d));
  }
}
#elif defined(__AVX__)
inline __m256 halves(const float* from, int64_t stride) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)),
                              _mm_loadu_ps(from + 4 * stride), 1);
}

inline void turn(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  for (int64_t i = 0; i < kSide; i += 8) {
    for (int64_t j = 0; j < kSide; j += 4) {
      const float* const corner = from + i * from_stride + j;
      const __m256 a = halves(corner, from_stride);
      const __m256 b = halves(corner + from_stride, from_stride);
      const __m256 c = halves(corner + 2 * from_stride, from_stride);
      const __m256 d = halves(corner + 3 * from_stride, from_stride);
      const __m256d low_ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
      const __m256d low_cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
      const __m256d high_ab = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
      const __m256d high_cd = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
      float* const line = to + j * to_stride + i;
      _mm256_storeu_ps(line, _mm256_castpd_ps(_mm256_unpacklo_pd(low_ab, low_cd)));
      _mm256_storeu_ps(line + to_stride, _mm256_castpd_ps(_mm256_unpackhi_pd(low_ab, low_cd)));
      _mm256_storeu_ps(line + 2 * to_stride,
                       _mm256_castpd_ps(_mm256_unpacklo_pd(high_ab, high_cd)));
      _mm256_storeu_ps(line + 3 * to_stride,
                       _mm256_castpd_ps(_mm256_unpackhi_pd(high_ab, high_cd)));
    }
  }
}
#else
inline void turn(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  for (int64_t j = 0; j < kSide; ++j) {
    for (int64_t i = 0; i < kSide; ++i) to[j * to_stride + i] = from[i * from_stride + j];
  }
}
#endif

// A corner of `rows` x `columns` of a block of 16 x 16; the block's other places become 0.
inline void widen(const float* from, int64_t stride, int64_t rows, int64_t columns, float* block) {
  std::memset(block, 0, kSide * kSide * sizeof(float));
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(block + i * kSide, from + i * stride, columns * sizeof(float));
  }
}

}  // namespace

#define NAME(kernel) RAREFY_JOIN(kernel, RAREFY_SET)
extern "C" {

void NAME(lines_of_tokens_f32)(const float* x, int64_t stride, int64_t tokens, int64_t features,
                               float* lines, int64_t apart) {
  int64_t f = 0;
  if (tokens == kSide) {
    for (; f + kSide <= features; f += kSide) turn(x + f, stride, lines + f * apart, apart);
  }
  alignas(64) float block[kSide * kSide], turned[kSide * kSide];
  for (; f < features; f += kSide) {
    const int64_t columns = features - f < kSide ? features - f : kSide;
    widen(x + f, stride, tokens, columns, block);
    turn(block, kSide, turned, kSide);
    for (int64_t c = 0; c < columns; ++c) {
      std::memcpy(lines + (f + c) * apart, turned + c * kSide, kSide * sizeof(float));
    }
  }
}

void NAME(tokens_of_lines_f32)(const float* lines, int64_t tokens, int64_t features, float* y,
                               int64_t stride) {
  int64_t f = 0;
  if (tokens == kSide) {
    for (; f + kSide <= features; f += kSide) turn(lines + f * kSide, kSide, y + f, stride);
  }
  alignas(64) float block[kSide * kSide], turned[kSide * kSide];
  for (; f < features; f += kSide) {
    const int64_t rows = features - f < kSide ? features - f : kSide;
    widen(lines + f * kSide, kSide, rows, kSide, block);
    turn(block, kSide, turned, kSide);
    for (int64_t t = 0; t < tokens; ++t) {
      std::memcpy(y + t * stride + f, turned + t * kSide, rows * sizeof(float));
    }
  }
}
}
