// How many multiply-adds this CPU does when nothing else holds it up: what every share of the peak
// is a share of. Independent chains in registers, as many as hide the latency of one; no memory.
#include "kernels.h"

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace {

#if defined(__AVX512F__)
using Vector = __m512;
constexpr int chains = 24;  // of 32 registers; two pipes of latency 4 need 8
Vector all(float value) { return _mm512_set1_ps(value); }
Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
#elif defined(__AVX2__) && defined(__FMA__)
using Vector = __m256;
constexpr int chains = 12;  // of 16 registers, two of which hold the factors
Vector all(float value) { return _mm256_set1_ps(value); }
Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
#elif defined(__ARM_NEON)
using Vector = float32x4_t;
constexpr int chains = 24;
Vector all(float value) { return vdupq_n_f32(value); }
Vector multiply_add(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }
#else
// Without a fused operation: what the set can do is a product and a sum.
typedef float Vector __attribute__((vector_size(16)));
constexpr int chains = 12;
Vector all(float value) { return Vector{value, value, value, value}; }
Vector multiply_add(Vector a, Vector b, Vector c) { return a * b + c; }
#endif

constexpr int64_t lanes = static_cast<int64_t>(sizeof(Vector) / sizeof(float));

// Makes the compiler believe that the value is read and changed here, so that no chain is folded
// with another, hoisted or dropped.
#if defined(__x86_64__) || defined(__i386__)
#define RAREFY_HOLD(value) __asm__ volatile("" : "+v"(value))
#elif defined(__aarch64__)
#define RAREFY_HOLD(value) __asm__ volatile("" : "+w"(value))
#else
#define RAREFY_HOLD(value) __asm__ volatile("" : "+m"(value))
#endif

}  // namespace

extern "C" int64_t RAREFY_JOIN(fma_peak_f32, RAREFY_SET)(int64_t iterations) {
  Vector sums[chains];
  for (int chain = 0; chain < chains; ++chain) sums[chain] = all(1e-3f * static_cast<float>(chain));
  // A fixed point of x * 0.999 + 0.001: neither denormals nor infinities, however long it runs.
  Vector factor = all(0.999f);
  Vector step = all(0.001f);
  for (int64_t i = 0; i < iterations; ++i) {
    RAREFY_HOLD(factor);
    RAREFY_HOLD(step);
#pragma GCC unroll 24
    for (int chain = 0; chain < chains; ++chain) {
      sums[chain] = multiply_add(sums[chain], factor, step);
    }
  }
#pragma GCC unroll 24
  for (int chain = 0; chain < chains; ++chain) RAREFY_HOLD(sums[chain]);
  return iterations > 0 ? iterations * chains * lanes * 2 : 0;
}
