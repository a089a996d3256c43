// Moving pixels between plain images and lines of 16 tiles, and what is done between convolutions.
//
// Lanes that hold no pixel carry finite leftovers: only the masked moves here read across lanes.
#include "lanes.h"

#include <cstring>

#include "kernels.h"

#if defined(__AVX512F__) && defined(__AVX512VL__)
#define RAREFY_LANES_512
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>  // some versions warn of what their own intrinsics leave undefined
#pragma GCC diagnostic pop
#endif

namespace {

using namespace rarefy;

#if defined(RAREFY_LANES_512)

inline __m512d pairs(__m512 x) { return _mm512_castps_pd(x); }
inline __m512 singles(__m512d x) { return _mm512_castpd_ps(x); }

inline __m512 beside(__m256 a, __m256 b) {
  return singles(_mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_castps_pd(a)),
                                    _mm256_castps_pd(b), 1));
}
inline __m256 upper(__m512 x) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(pairs(x), 1)); }

// Transposes the 4 x 4 numbers in each quarter of four registers.
inline void turn_quarters(__m512* r) {
  const __m512d a = pairs(_mm512_unpacklo_ps(r[0], r[1]));
  const __m512d b = pairs(_mm512_unpackhi_ps(r[0], r[1]));
  const __m512d c = pairs(_mm512_unpacklo_ps(r[2], r[3]));
  const __m512d d = pairs(_mm512_unpackhi_ps(r[2], r[3]));
  r[0] = singles(_mm512_unpacklo_pd(a, c));
  r[1] = singles(_mm512_unpackhi_pd(a, c));
  r[2] = singles(_mm512_unpacklo_pd(b, d));
  r[3] = singles(_mm512_unpackhi_pd(b, d));
}

inline __m256 load_lane(const float* from, const LaneStrip& strip, uint32_t lanes, int lane,
                        __m512 fill) {
  if (strip.whole & lanes & 1u << lane) return _mm256_loadu_ps(from);
  const uint32_t kept = lanes >> lane & 1 ? strip.kept[lane] : 0;
  return _mm256_mask_loadu_ps(_mm512_castps512_ps256(fill), static_cast<__mmask8>(kept), from);
}

// Register i holds 8 pixels of lanes i and i + 4, from the fifth on of i + 4 and i + 8.
inline int lower_lane(int i) { return i < 4 ? i : i + 4; }

inline void split_strip(const float* image, const LaneStrip& strip, uint32_t lanes, __m512 fill,
                        float* lines) {
  __m512 r[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const int low = lower_lane(i), high = low + 4;
    r[i] = beside(load_lane(image + strip.from[low], strip, lanes, low, fill),
                  load_lane(image + strip.from[high], strip, lanes, high, fill));
  }
  turn_quarters(r);
  turn_quarters(r + 4);
  __m512 out[8];
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    out[c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);
    out[4 + c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
  }
  float* const to = lines + strip.line;
  if (strip.count == kLaneStrip) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) _mm512_store_ps(to + kLine * i, out[i]);
    return;
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    if (i < strip.count) _mm512_store_ps(to + kLine * i, out[i]);
  }
}

inline void store_lane(float* to, const LaneStrip& strip, uint32_t lanes, int lane, __m256 row) {
  if (strip.whole & lanes & 1u << lane) {
    _mm256_storeu_ps(to, row);
    return;
  }
  const uint32_t kept = lanes >> lane & 1 ? strip.kept[lane] : 0;
  _mm256_mask_storeu_ps(to, static_cast<__mmask8>(kept), row);
}

inline void join_strip(const float* lines, const LaneStrip& strip, uint32_t lanes, float* image) {
  __m512 r[8], both[8];
  const float* const from = lines + strip.line;
  // Lines past the count are some of the same tensor's, or the last of them once more.
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_load_ps(from + kLine * (i < strip.count ? i : strip.count - 1));
  }
  turn_quarters(r);
  turn_quarters(r + 4);
  const __m512i low_quarters = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
  const __m512i high_quarters = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const __m512d a = pairs(r[i & 3]), b = pairs(r[4 + (i & 3)]);
    both[i] = singles(_mm512_permutex2var_pd(a, i < 4 ? low_quarters : high_quarters, b));
  }
  // In the order of the lanes.
#pragma GCC unroll 16
  for (int lane = 0; lane < kLine; ++lane) {
    const __m512 held = both[(lane & 3) + (lane < 8 ? 0 : 4)];
    const __m256 row = lane & 4 ? upper(held) : _mm512_castps512_ps256(held);
    store_lane(image + strip.from[lane], strip, lanes, lane, row);
  }
}

using Filling = __m512;
inline Filling filling(float fill) { return _mm512_set1_ps(fill); }

inline void move_line(const float* from, float* to, const LaneTake* takes, int count,
                      const int32_t* permutations, __m512 fill) {
  __m512 line = fill;
  for (int i = 0; i < count; ++i) {
    const __m512i order = _mm512_loadu_si512(permutations + kLine * takes[i].permutation);
    line = _mm512_mask_permutexvar_ps(line, static_cast<__mmask16>(takes[i].kept), order,
                                      _mm512_load_ps(from + takes[i].from));
  }
  _mm512_store_ps(to, line);
}

using Numbers = __m512;
inline Numbers load(const float* from) { return _mm512_load_ps(from); }
inline void store(float* to, Numbers numbers) { _mm512_store_ps(to, numbers); }

// One order keeps a NaN of a, the other one of b, and a NaN with more bits set is one still.
// Without any, both are the same number.
inline Numbers larger(Numbers a, Numbers b) {
  const __m512i one = _mm512_castps_si512(_mm512_max_ps(a, b));
  const __m512i other = _mm512_castps_si512(_mm512_max_ps(b, a));
  return _mm512_castsi512_ps(_mm512_or_si512(one, other));
}

inline Numbers add_kept(Numbers sum, Numbers numbers, int kept) {
  return _mm512_mask_add_ps(sum, static_cast<__mmask16>(kept), sum, numbers);
}

#else

using Filling = float;
inline Filling filling(float fill) { return fill; }

inline void split_strip(const float* image, const LaneStrip& strip, uint32_t lanes, float fill,
                        float* lines) {
  for (int l = 0; l < kLine; ++l) {
    const int kept = lanes >> l & 1 ? strip.kept[l] : 0;
    for (int i = 0; i < strip.count; ++i) {
      lines[strip.line + kLine * i + l] = kept >> i & 1 ? image[strip.from[l] + i] : fill;
    }
  }
}

inline void join_strip(const float* lines, const LaneStrip& strip, uint32_t lanes, float* image) {
  for (int l = 0; l < kLine; ++l) {
    const int kept = lanes >> l & 1 ? strip.kept[l] : 0;
    for (int i = 0; i < strip.count; ++i) {
      if (kept >> i & 1) image[strip.from[l] + i] = lines[strip.line + kLine * i + l];
    }
  }
}

inline void move_line(const float* from, float* to, const LaneTake* takes, int count,
                      const int32_t* permutations, float fill) {
  float line[kLine];
  for (float& value : line) value = fill;
  for (int i = 0; i < count; ++i) {
    const int32_t* const order = permutations + kLine * takes[i].permutation;
    for (int l = 0; l < kLine; ++l) {
      if (takes[i].kept >> l & 1) line[l] = from[takes[i].from + order[l]];
    }
  }
  std::memcpy(to, line, sizeof(line));
}

struct Numbers {
  float of[kLine];
};

inline Numbers load(const float* from) {
  Numbers numbers;
  std::memcpy(&numbers, from, sizeof(numbers));
  return numbers;
}
inline void store(float* to, const Numbers& numbers) { std::memcpy(to, &numbers, sizeof(numbers)); }

inline Numbers larger(Numbers a, const Numbers& b) {
  for (int l = 0; l < kLine; ++l) {
    const bool taken = (b.of[l] > a.of[l]) | (b.of[l] != b.of[l]);
    a.of[l] = taken ? b.of[l] : a.of[l];
  }
  return a;
}

inline Numbers add_kept(Numbers sum, const Numbers& numbers, int kept) {
  for (int l = 0; l < kLine; ++l) sum.of[l] += kept >> l & 1 ? numbers.of[l] : 0.f;
  return sum;
}

#endif

}  // namespace

extern "C" void RAREFY_JOIN(lanes_split_f32, RAREFY_SET)(const float* image, int64_t image_plane,
                                                         int64_t channels, const LaneStrip* strips,
                                                         int64_t count, uint32_t lanes, float fill,
                                                         float* lines, int64_t plane) {
  const Filling outside = filling(fill);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < count; ++i) {
      split_strip(image + c * image_plane, strips[i], lanes, outside, lines + c * plane);
    }
  }
}

extern "C" void RAREFY_JOIN(lanes_join_f32, RAREFY_SET)(const float* lines, int64_t plane,
                                                        int64_t channels, const LaneStrip* strips,
                                                        int64_t count, uint32_t lanes, float* image,
                                                        int64_t image_plane) {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < count; ++i) {
      join_strip(lines + c * plane, strips[i], lanes, image + c * image_plane);
    }
  }
}

extern "C" void RAREFY_JOIN(lanes_permute_f32, RAREFY_SET)(
    const float* from, int64_t from_plane, float* to, int64_t to_plane, int64_t channels,
    const LaneMove* moves, int64_t count, const LaneTake* takes, const int32_t* permutations,
    float fill) {
  const Filling outside = filling(fill);
  for (int64_t c = 0; c < channels; ++c) {
    const LaneTake* take = takes;
    for (int64_t i = 0; i < count; ++i) {
      move_line(from + c * from_plane, to + c * to_plane + moves[i].to, take, moves[i].takes,
                permutations, outside);
      take += moves[i].takes;
    }
  }
}

extern "C" void RAREFY_JOIN(lanes_max_pool_f32, RAREFY_SET)(const float* x, int64_t pitch,
                                                            int64_t step, int64_t tall,
                                                            int64_t wide, float* y, int64_t count) {
  for (int64_t g = 0; g < count; ++g, x += step) {
    Numbers best = load(x);
    for (int64_t row = 0; row < tall; ++row) {
      for (int64_t column = 0; column < wide; ++column) {
        best = larger(best, load(x + row * pitch + column * kLine));
      }
    }
    store(y + g * kLine, best);
  }
}

extern "C" void RAREFY_JOIN(lanes_sum_f32, RAREFY_SET)(const float* x, int64_t plane,
                                                       int64_t channels, int64_t pitch,
                                                       int64_t tall, int64_t wide,
                                                       const uint16_t* kept, float* sums) {
  for (int64_t c = 0; c < channels; ++c) {
    Numbers sum = {};
    for (int64_t row = 0; row < tall; ++row) {
      for (int64_t column = 0; column < wide; ++column) {
        sum = add_kept(sum, load(x + c * plane + row * pitch + column * kLine),
                       kept[row * wide + column]);
      }
    }
    store(sums + c * kLine, sum);
  }
}
