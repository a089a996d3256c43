// The gradient of values that stand in slots: a few entries at a time, their sums in registers.
//
// Everything here is in an unnamed namespace or carries the set's name: see topk.cpp.
#include "slots.h"

#include "kernels.h"
#include "sweep_vector.h"

namespace {

constexpr int kTogether = kPieces == 1 ? 8 : 4;  // as many sums as registers

#if defined(__AVX512F__)
inline float total(const Vector* parts) { return _mm512_reduce_add_ps(parts[0]); }
#else
inline float total(const Vector* parts) {
  alignas(64) float lanes[16];
  for (int q = 0; q < kPieces; ++q) store(lanes + q * kWidth, parts[q]);
  for (int width = 8; width; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}
#endif

inline const float* after(const float* base, int64_t bytes) {
  return reinterpret_cast<const float*>(reinterpret_cast<const char*>(base) + bytes);
}

struct Steps {
  int64_t x, y, groups;
};

template <int count>
void entries(const float* const* x, const float* const* y, const Steps& steps, float* values) {
  Vector sums[count][kPieces];
  for (int i = 0; i < count; ++i) {
    for (int q = 0; q < kPieces; ++q) sums[i][q] = all(0);
  }
  for (int64_t g = 0; g < steps.groups; ++g) {
#pragma GCC unroll 8
    for (int i = 0; i < count; ++i) {
      const float* const xs = x[i] + g * steps.x;
      const float* const ys = y[i] + g * steps.y;
#pragma GCC unroll 4
      for (int q = 0; q < kPieces; ++q) {
        sums[i][q] = multiply_add(load(xs + q * kWidth), load(ys + q * kWidth), sums[i][q]);
      }
    }
  }
  for (int i = 0; i < count; ++i) values[i] += total(sums[i]);
}

}  // namespace

extern "C" void RAREFY_JOIN(slots_gradient_f32, RAREFY_SET)(
    const uint16_t* positions, int32_t count, const int32_t* columns, const int32_t* rows,
    const float* x, int64_t x_stride, const float* y, int64_t y_stride, int64_t groups,
    float* values) {
  const Steps steps{x_stride, y_stride, groups};
  const float *xs[kTogether], *ys[kTogether];
  int32_t i = 0;
  const auto find = [&](int32_t first, int32_t many) {
    for (int32_t j = 0; j < many; ++j) {
      xs[j] = after(x, columns[positions[first + j] & 31]);
      ys[j] = after(y, rows[positions[first + j] >> 5]);
    }
  };
  for (; i + kTogether <= count; i += kTogether) {
    find(i, kTogether);
    entries<kTogether>(xs, ys, steps, values + i);
  }
  for (; i < count; ++i) {
    find(i, 1);
    entries<1>(xs, ys, steps, values + i);
  }
}
