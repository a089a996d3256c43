// What every kernel looks like. Kernels know no torch and no Python: raw pointers in, raw pointers
// out; no allocation, no threads, no exceptions. Whoever calls has checked sizes and pointers.
#pragma once
#include <cstdint>

// One source is compiled once per instruction set; the set's name ends the symbol's name.
#define RAREFY_JOIN2(a, b) a##_##b
#define RAREFY_JOIN(a, b) RAREFY_JOIN2(a, b)

namespace rarefy {

// Adds to counts[65536] the 16-bit digit at `shift` of every key that begins with `prefix`, that
// is, whose bits above the digit equal it; at the topmost digit every key counts and the digit is
// offset by 32768, since the sign is in it. Returns how many values are NaN (topmost digit only).
template <class T>
using topk_histogram = int64_t(const T* values, int64_t size, int32_t shift, int64_t prefix,
                               int64_t* counts);

// kept[i] = 1 where the key is above `threshold`, or equals it while `ties` last, lowest i first;
// else 0. Returns how many equal ones were kept.
template <class T>
using topk_mark = int64_t(const T* values, int64_t size, int64_t threshold, int64_t ties,
                          uint8_t* kept);

// Does iterations * (independent multiply-adds) on registers alone and returns how many FLOPs that
// was: the peak that shares of the peak are shares of.
template <class T>
using fma_peak = int64_t(int64_t iterations);

}  // namespace rarefy
