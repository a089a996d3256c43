// The vector operations of the sweep: the widest registers of the set.
//
// Included by sweep.cpp only. All of it is in an unnamed namespace: every set has its own copy.
#pragma once

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
// gcc 12 warns of the undefined operands inside its own AVX-512 header (gcc bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace {

#if defined(__AVX512F__)
using Vector = __m512;
inline Vector load(const float* from) { return _mm512_load_ps(from); }
inline void store(float* to, Vector v) { _mm512_store_ps(to, v); }
inline Vector all(float value) { return _mm512_set1_ps(value); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
// Not its negative part; the second operand where either is NaN.
inline Vector positive(Vector v) { return _mm512_max_ps(_mm512_setzero_ps(), v); }
#elif defined(__AVX2__) && defined(__FMA__)
using Vector = __m256;
inline Vector load(const float* from) { return _mm256_load_ps(from); }
inline void store(float* to, Vector v) { _mm256_store_ps(to, v); }
inline Vector all(float value) { return _mm256_set1_ps(value); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
inline Vector positive(Vector v) { return _mm256_max_ps(_mm256_setzero_ps(), v); }
#elif defined(__aarch64__) && defined(__ARM_NEON)
using Vector = float32x4_t;
inline Vector load(const float* from) { return vld1q_f32(from); }
inline void store(float* to, Vector v) { vst1q_f32(to, v); }
inline Vector all(float value) { return vdupq_n_f32(value); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }
inline Vector positive(Vector v) { return vmaxq_f32(v, vdupq_n_f32(0.0f)); }  // keeps NaN
#else
typedef float Vector __attribute__((vector_size(16)));
typedef float Stored __attribute__((vector_size(16), may_alias));
inline Vector load(const float* from) { return *reinterpret_cast<const Stored*>(from); }
inline void store(float* to, Vector v) { *reinterpret_cast<Stored*>(to) = v; }
inline Vector all(float value) { return Vector{value, value, value, value}; }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return a * b + c; }
inline Vector positive(Vector v) {
  const Vector none = {0, 0, 0, 0};
  return v < none ? none : v;
}
#endif

constexpr int kWidth = sizeof(Vector) / sizeof(float);
constexpr int kPieces = 16 / kWidth;  // vectors of a line
// Positions swept at once, so that a broadcast weight serves both. Four, with half the columns in a
// pass, are no faster: rows then have too few entries in a pass.
constexpr int kAtOnce = 2;

}  // namespace
