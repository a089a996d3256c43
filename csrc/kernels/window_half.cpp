// 32 tokens at a time into lines of float16 for generated code, and its sums back into floats.
#include <algorithm>
#include <limits>

#include "kernels.h"
#include "window_finish.h"
#include "window_largest.h"

namespace {

using namespace rarefy;

constexpr int64_t kTokens = 32;
constexpr int64_t kLineBytes = 64;

// The factor of every token, 0 where nothing is to be read of it.
void factors_of(const float* x, int64_t x_stride, int32_t count, int64_t columns, float* factor,
                float* scale) {
  for (int64_t t = 0; t < kTokens; ++t) {
    factor[t] = scale[t] = 0;
    if (t >= count) continue;
    const uint32_t largest = largest_bits(x + t * x_stride, columns);
    if (largest >= kInfinityBits) {
      scale[t] = std::numeric_limits<float>::quiet_NaN();
      continue;
    }
    factor[t] = factor_to_eight(largest);
    scale[t] = factor[t] == 0 ? 0 : 1 / factor[t];
  }
}

#if defined(__AVX512F__)
// Turns 16 x 16 floats: afterwards rows[i][j] is what rows[j][i] was.
inline void turn(__m512 rows[16]) {
  __m512 next[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    next[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    next[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 8; ++i) {
    const int from = i / 2 * 4 + i % 2, to = i / 2 * 4 + i % 2 * 2;
    const __m512d a = _mm512_castps_pd(next[from]), b = _mm512_castps_pd(next[from + 2]);
    rows[to] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
    rows[to + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
  }
#pragma GCC unroll 16
  for (int i = 0; i < 8; ++i) {
    const int from = i / 4 * 8 + i % 4;
    next[from] = _mm512_shuffle_f32x4(rows[from], rows[from + 4], 0x88);
    next[from + 4] = _mm512_shuffle_f32x4(rows[from], rows[from + 4], 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 8; ++i) {
    rows[i] = _mm512_shuffle_f32x4(next[i], next[8 + i], 0x88);
    rows[8 + i] = _mm512_shuffle_f32x4(next[i], next[8 + i], 0xdd);
  }
}

// 16 tokens x 16 columns; where not all are there, tokens with factor 0 are not read.
template <bool full>
inline void turn_block(const float* x, int64_t x_stride, int64_t columns, const float* factor,
                       uint8_t* to) {
  __m512 block[16];
#pragma GCC unroll 16
  for (int t = 0; t < 16; ++t) {
    const __m512 by = _mm512_set1_ps(factor[t]);
    if (full) {
      block[t] = _mm512_mul_ps(_mm512_loadu_ps(x + t * x_stride), by);
    } else {
      const __mmask16 lanes = factor[t] == 0 ? 0 : first_lanes(columns);
      block[t] = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, x + (lanes ? t * x_stride : 0)), by);
    }
  }
  turn(block);
#pragma GCC unroll 16
  for (int c = 0; c < 16; ++c) {
    const __m256i halves = _mm512_cvtps_ph(block[c], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    if (full || c < columns) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + c * kLineBytes), halves);
    }
  }
}

void turn_all(const float* x, int64_t x_stride, int64_t columns, const float* factor, uint8_t* to) {
  for (int64_t half = 0; half < kTokens; half += 16) {
    const bool all = std::all_of(factor + half, factor + half + 16, [](float f) { return f != 0; });
    int64_t column = 0;
    for (; all && column + 16 <= columns; column += 16) {
      turn_block<true>(x + half * x_stride + column, x_stride, 16, factor + half,
                       to + column * kLineBytes + 2 * half);
    }
    for (; column < columns; column += 16) {
      turn_block<false>(x + half * x_stride + column, x_stride, columns - column, factor + half,
                        to + column * kLineBytes + 2 * half);
    }
  }
}
#else
void turn_all(const float* x, int64_t x_stride, int64_t columns, const float* factor, uint8_t* to) {
  const auto halves = reinterpret_cast<uint16_t*>(to);
  for (int64_t t = 0; t < kTokens; ++t) {
    for (int64_t column = 0; column < columns; ++column) {
      halves[column * kTokens + t] =
          factor[t] == 0 ? 0 : f16_of(x[t * x_stride + column] * factor[t]);
    }
  }
}
#endif

// Where sums of float16 lie and what becomes of them, for one group of tokens.
struct Halves {
  const uint8_t* sums;
  int64_t plane_stride;
  int32_t planes;
  const float* row_scale;
  const float* token_scale;
  const float* bias;
  bool relu;
  int32_t tokens;
  float* y;
  int64_t y_stride;
};

#if defined(__AVX512F__)
inline __m512 floats_at(const uint8_t* halves) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}

// 16 rows x 16 tokens; where fewer rows are there, the last one stands for those that are not.
template <bool full>
inline void unturn_block(const Halves& all, int64_t row, int64_t there, int64_t half,
                         __m512 block[16]) {
  const int64_t last = there - 1;
  const auto at = [&](int r) { return full ? r : (r < last ? r : last); };
  const uint8_t* from = all.sums + row * kLineBytes + 2 * half;
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r) block[r] = floats_at(from + at(r) * kLineBytes);
  for (int32_t plane = 1; plane < all.planes; ++plane) {
    from += all.plane_stride;
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) {
      block[r] = _mm512_add_ps(block[r], floats_at(from + at(r) * kLineBytes));
    }
  }
  const __m512 lowest = _mm512_set1_ps(all.relu ? 0 : -std::numeric_limits<float>::infinity());
  const __m512 token_scale = _mm512_loadu_ps(all.token_scale + half);
  const float* const row_scale = all.row_scale + row;
  const float* const bias = all.bias ? all.bias + row : nullptr;
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r) {
    const __m512 factor = _mm512_mul_ps(_mm512_set1_ps(row_scale[at(r)]), token_scale);
    const __m512 shift = bias ? _mm512_set1_ps(bias[at(r)]) : _mm512_setzero_ps();
    block[r] = _mm512_max_ps(lowest, _mm512_fmadd_ps(block[r], factor, shift));  // NaN stays
  }
  turn(block);
}

// 16 rows (`there` of them) x all tokens.
void unturn_rows(const Halves& all, int64_t row, int64_t there) {
  const __mmask16 lanes = first_lanes(there);
  for (int64_t half = 0; half < all.tokens; half += 16) {
    __m512 block[16];
    if (there == 16) {
      unturn_block<true>(all, row, there, half, block);
    } else {
      unturn_block<false>(all, row, there, half, block);
    }
    float* y = all.y + half * all.y_stride + row;
    const int64_t tokens = std::min<int64_t>(16, all.tokens - half);
    for (int64_t t = 0; t < tokens; ++t, y += all.y_stride) {
      _mm512_mask_storeu_ps(y, lanes, block[t]);
    }
  }
}

void unturn(const Halves& all, int64_t count) {
  // Whole cache lines of y, but for the first and the last.
  const auto past = static_cast<int64_t>(reinterpret_cast<uintptr_t>(all.y) / 4 % 16);
  for (int64_t row = 0, there = 16 - past; row < count; row += there, there = 16) {
    unturn_rows(all, row, there = std::min(there, count - row));
  }
}
#else
void unturn(const Halves& all, int64_t count) {
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t t = 0; t < all.tokens; ++t) {
      float sum = 0;
      for (int32_t plane = 0; plane < all.planes; ++plane) {
        uint16_t bits;
        std::memcpy(&bits, all.sums + plane * all.plane_stride + row * kLineBytes + 2 * t, 2);
        sum += float_of_f16(bits);
      }
      const float value = std::fma(sum, all.row_scale[row] * all.token_scale[t],
                                   all.bias ? all.bias[row] : 0.0f);
      all.y[t * all.y_stride + row] = all.relu && value < 0 ? 0.0f : value;
    }
  }
}
#endif

}  // namespace

extern "C" {
void RAREFY_JOIN(window_turn_f16, RAREFY_SET)(const float* x, int64_t x_stride, int32_t count,
                                              int64_t columns, uint8_t* to, float* scale) {
  float factor[kTokens];
  factors_of(x, x_stride, count, columns, factor, scale);
  turn_all(x, x_stride, columns, factor, to);
}

void RAREFY_JOIN(window_unturn_f16, RAREFY_SET)(
    const uint8_t* sums, int64_t plane_stride, int32_t planes, int64_t count,
    const float* row_scale, const float* token_scale, const float* bias, int32_t relu,
    int32_t tokens, float* y, int64_t y_stride) {
  unturn(Halves{sums, plane_stride, planes, row_scale, token_scale, bias, relu != 0, tokens, y,
                y_stride},
         count);
}
}
