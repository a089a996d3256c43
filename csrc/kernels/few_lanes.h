// The few vector operations of the kernels for a few tokens, for the two vector sets of x86.
//
// Included by few.cpp only. All of it is in an unnamed namespace: every set has its own copy.
#pragma once
#include <cstdint>

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
// gcc 12 warns of the undefined operands inside its own AVX-512 header (gcc bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#define RAREFY_FEW_LANES 1
#endif

#if defined(__AVX512F__)

namespace {

using Floats = __m512;
using Words = __m512i;
constexpr int kLanes = 16;
constexpr int kPickBits = 5;  // position in a line of 16, and which of two lines
constexpr int kPickWord = 6;

inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline Words load_words(const uint32_t* from) { return _mm512_loadu_si512(from); }
inline Floats zeros() { return _mm512_setzero_ps(); }
inline Floats all(float value) { return _mm512_set1_ps(value); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

// a * w + c where the bits of w are not all zero, c elsewhere.
inline Floats multiply_add_kept(Floats a, Floats w, Floats c) {
  const Words bits = _mm512_castps_si512(w);
  return _mm512_mask3_fmadd_ps(a, w, c, _mm512_test_epi32_mask(bits, bits));
}

// The permutation reads the low five bits of each word only.
inline Floats pick(Words words, const float* low, const float* high) {
  return _mm512_permutex2var_ps(load(low), words, load(high));
}
template <int bits>
inline Words shifted(Words words) {
  return _mm512_srli_epi32(words, bits);
}
inline Words shifted_by(Words words, Words bits) { return _mm512_srlv_epi32(words, bits); }
inline Words words_of(int32_t value) { return _mm512_set1_epi32(value); }
inline Words advanced(Words columns, Words words, Words mask) {
  return _mm512_add_epi32(columns, _mm512_and_si512(words, mask));
}
inline Floats gathered(const float* x, Words columns) {
  return _mm512_i32gather_ps(columns, x, 4);
}

// The places of the blocks of one vector, read at once.
using Places = uint64_t;
inline int64_t place(Places places, int i) { return places >> (16 * i) & 0xFFFF; }

// One float of each of four places, in four lanes each.
inline Floats spread_one(const float* x, Places at) {
  Floats v = _mm512_broadcastss_ps(_mm_load_ss(x + place(at, 0)));
  v = _mm512_mask_broadcastss_ps(v, 0x00F0, _mm_load_ss(x + place(at, 1)));
  v = _mm512_mask_broadcastss_ps(v, 0x0F00, _mm_load_ss(x + place(at, 2)));
  return _mm512_mask_broadcastss_ps(v, 0xF000, _mm_load_ss(x + place(at, 3)));
}
// Four floats from each of four places.
inline Floats spread_four(const float* x, Places at) {
  Floats v = _mm512_castps128_ps512(_mm_loadu_ps(x + place(at, 0)));
  v = _mm512_insertf32x4(v, _mm_loadu_ps(x + place(at, 1)), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps(x + place(at, 2)), 2);
  return _mm512_insertf32x4(v, _mm_loadu_ps(x + place(at, 3)), 3);
}
// Lane 4 k + q is the sum of the four lanes of quad k of vector q.
inline Floats quad_sums(Floats a, Floats b, Floats c, Floats d) {
  const Floats ab = add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const Floats cd = add(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  return add(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
}

inline bool any_nan(Floats v) { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q) != 0; }

// y[rows[lane]] = v + bias[rows[lane]] for the lanes whose row is not negative.
inline void scatter(Floats v, const int32_t* rows, float* y, const float* bias, bool relu) {
  const Words to = _mm512_loadu_si512(rows);
  const __mmask16 used = _mm512_cmpge_epi32_mask(to, _mm512_setzero_si512());
  if (bias) v = add(v, _mm512_mask_i32gather_ps(zeros(), used, to, bias, 4));
  if (relu) v = _mm512_max_ps(zeros(), v);  // the second where either is NaN
  _mm512_mask_i32scatter_ps(y, used, to, v, 4);
}

}  // namespace

#elif defined(RAREFY_FEW_LANES)

namespace {

using Floats = __m256;
using Words = __m256i;
constexpr int kLanes = 8;
constexpr int kPickBits = 4;  // position in a line of 8, and which of two lines
constexpr int kPickWord = 8;

inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline Words load_words(const uint32_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline Floats zeros() { return _mm256_setzero_ps(); }
inline Floats all(float value) { return _mm256_set1_ps(value); }
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

inline Floats multiply_add_kept(Floats a, Floats w, Floats c) {
  const Words empty = _mm256_cmpeq_epi32(_mm256_castps_si256(w), _mm256_setzero_si256());
  return _mm256_blendv_ps(multiply_add(a, w, c), c, _mm256_castsi256_ps(empty));
}

// A permutation reads the low three bits of each word only; the fourth chooses the line.
inline Floats pick(Words words, const float* low, const float* high) {
  const Floats a = _mm256_permutevar8x32_ps(load(low), words);
  const Floats b = _mm256_permutevar8x32_ps(load(high), words);
  return _mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(words, 28)));
}
template <int bits>
inline Words shifted(Words words) {
  return _mm256_srli_epi32(words, bits);
}
inline Words shifted_by(Words words, Words bits) { return _mm256_srlv_epi32(words, bits); }
inline Words words_of(int32_t value) { return _mm256_set1_epi32(value); }
inline Words advanced(Words columns, Words words, Words mask) {
  return _mm256_add_epi32(columns, _mm256_and_si256(words, mask));
}
inline Floats gathered(const float* x, Words columns) {
  return _mm256_i32gather_ps(x, columns, 4);
}

using Places = uint32_t;
inline int64_t place(Places places, int i) { return places >> (16 * i) & 0xFFFF; }
inline Floats spread_one(const float* x, Places at) {
  return _mm256_insertf128_ps(_mm256_broadcast_ss(x + place(at, 0)),
                              _mm_broadcast_ss(x + place(at, 1)), 1);
}
inline Floats spread_four(const float* x, Places at) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x + place(at, 0))),
                              _mm_loadu_ps(x + place(at, 1)), 1);
}
inline Floats quad_sums(Floats a, Floats b, Floats c, Floats d) {
  const Floats ab = add(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
  const Floats cd = add(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
  return add(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xEE));
}

inline bool any_nan(Floats v) {
  return _mm256_movemask_ps(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)) != 0;
}

inline void scatter(Floats v, const int32_t* rows, float* y, const float* bias, bool relu) {
  alignas(32) float sums[kLanes];
  _mm256_store_ps(sums, v);
  for (int lane = 0; lane < kLanes; ++lane) {
    const int32_t row = rows[lane];
    if (row < 0) continue;
    const float sum = bias ? sums[lane] + bias[row] : sums[lane];
    y[row] = relu && sum < 0 ? 0.0f : sum;
  }
}

}  // namespace

#endif
