// From sums to outputs, the last step of every product of low precision; only for kernels.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "window.h"
#include "window_simd.h"

namespace rarefy {
namespace {

// Which sums: tokens [token, token + tokens), slots [slot, slot + slots), of which some may lie
// past the last row. sums[t][s] is that of token `token + t` and slot `slot + s`.
struct Sums {
  int64_t stride, token, tokens, slot, slots;
};

// The fused operation is asked for by name, so that every set rounds alike, and so does the twin.
#if defined(__AVX512F__)
inline __m512 as_float(const int32_t* sums, __mmask16 lanes, __m512i correction) {
  const __m512i sum = _mm512_maskz_loadu_epi32(lanes, sums);
  return _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, correction));
}
inline __m512 as_float(const float* sums, __mmask16 lanes, __m512i) {
  return _mm512_maskz_loadu_ps(lanes, sums);
}

inline __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>(count < kLanes ? (1 << std::max<int64_t>(count, 0)) - 1 : -1);
}

// What 16 slots need for every token.
struct SlotVector {
  __m512 scale, bias;
  __m512i correction, order;
  __mmask16 lanes;

  SlotVector(const WindowCall& call, int64_t slot, int64_t end) : lanes(first_lanes(end - slot)) {
    const __m512 zero = _mm512_setzero_ps();
    scale = _mm512_maskz_loadu_ps(lanes, call.row_scale + slot);
    correction = _mm512_maskz_loadu_epi32(lanes, call.correction + slot);
    order = _mm512_setzero_si512();
    bias = zero;
    if (call.order) {
      order = _mm512_maskz_loadu_epi32(lanes, call.order + slot);
      if (call.bias) bias = _mm512_mask_i32gather_ps(zero, lanes, order, call.bias, 4);
    } else if (call.bias) {
      bias = _mm512_maskz_loadu_ps(lanes, call.bias + slot);
    }
  }

  template <class Sum>
  __m512 output(const Sum* sums, __m512 token_scale, __m512 lowest) const {
    const __m512 y = _mm512_fmadd_ps(as_float(sums, lanes, correction),
                                     _mm512_mul_ps(scale, token_scale), bias);
    return _mm512_max_ps(lowest, y);  // the second where either is NaN
  }
};

// 32 slots in their own order, some tokens at a time: so that other work can go on in between.
template <class Sum>
class Finisher {
 public:
  Finisher(const WindowCall& call, const Sum* sums, const Sums& part)
      : low_(call, part.slot, call.rows),
        high_(call, std::min(part.slot + kLanes, call.rows), call.rows),
        sums_(sums), token_scale_(call.token_scale + part.token),
        y_(call.y + part.token * call.y_stride + part.slot), stride_(part.stride),
        y_stride_(call.y_stride), left_(part.tokens),
        lowest_(_mm512_set1_ps(call.relu ? 0 : -std::numeric_limits<float>::infinity())) {}

  void some(int64_t tokens) {
    for (int64_t t = std::min(tokens, left_); t > 0; --t) {
      const __m512 scale = _mm512_set1_ps(*token_scale_);
      _mm512_mask_storeu_ps(y_, low_.lanes, low_.output(sums_, scale, lowest_));
      _mm512_mask_storeu_ps(y_ + kLanes, high_.lanes, high_.output(sums_ + kLanes, scale, lowest_));
      ++token_scale_, y_ += y_stride_, sums_ += stride_, --left_;
    }
  }
  void rest() { some(left_); }

 private:
  SlotVector low_, high_;
  const Sum* sums_;
  const float* token_scale_;
  float* y_;
  int64_t stride_, y_stride_, left_;
  __m512 lowest_;
};

template <class Sum>
void finish(const WindowCall& call, const Sum* sums, const Sums& part) {
  const int64_t end = std::min(part.slot + part.slots, call.rows);
  const __m512 lowest = _mm512_set1_ps(call.relu ? 0 : -std::numeric_limits<float>::infinity());
  for (int64_t slot = part.slot; slot < end; slot += kLanes) {
    const SlotVector some(call, slot, end);
    for (int64_t t = 0; t < part.tokens; ++t) {
      const __m512 scale = _mm512_set1_ps(call.token_scale[part.token + t]);
      const __m512 found = some.output(sums + t * part.stride + slot - part.slot, scale, lowest);
      float* const to = call.y + (part.token + t) * call.y_stride;
      if (call.order) {
        _mm512_mask_i32scatter_ps(to, some.lanes, some.order, found, 4);
      } else {
        _mm512_mask_storeu_ps(to + slot, some.lanes, found);
      }
    }
  }
}
#else
inline float as_float(int32_t sum, int32_t correction) {
  return static_cast<float>(sum - correction);
}
inline float as_float(float sum, int32_t) { return sum; }

template <class Sum>
void finish(const WindowCall& call, const Sum* sums, const Sums& part) {
  const int64_t end = std::min(part.slot + part.slots, call.rows);
  for (int64_t t = 0; t < part.tokens; ++t) {
    const float token_scale = call.token_scale[part.token + t];
    float* const to = call.y + (part.token + t) * call.y_stride;
    const Sum* const from = sums + t * part.stride - part.slot;
    for (int64_t slot = part.slot; slot < end; ++slot) {
      const int64_t row = call.order ? call.order[slot] : slot;
      const float factor = call.row_scale[slot] * token_scale;
      const float y = std::fma(as_float(from[slot], call.correction[slot]), factor,
                               call.bias ? call.bias[row] : 0.0f);
      to[row] = call.relu && y < 0 ? 0.0f : y;
    }
  }
}

template <class Sum>
class Finisher {
 public:
  Finisher(const WindowCall& call, const Sum* sums, const Sums& part) {
    finish(call, sums, part);
  }
  void some(int64_t) {}
  void rest() {}
};
#endif

}  // namespace
}  // namespace rarefy
