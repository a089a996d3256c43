// The two passes of the exact top-k selection: count digits of keys, mark keys above a threshold.
//
// Everything here is in an unnamed namespace or carries the set's name: a shared inline function
// could be linked in from the AVX-512 object and then run on a CPU without it.
#include "kernels.h"

#include <cstring>

namespace {

constexpr int kDigit = 16;
constexpr int kBlock = 256;

template <class T>
struct Bits;
template <>
struct Bits<float> {
  using Key = int32_t;
  static constexpr Key infinity = 0x7F800000;
};
template <>
struct Bits<double> {
  using Key = int64_t;
  static constexpr Key infinity = 0x7FF0000000000000;
};

// An integer in the order of the value. -0.0 would get -1, a key no other value has: it gets the
// key of 0.0. Works on the bits, so that flushing of denormals cannot change an order.
template <class T>
inline typename Bits<T>::Key key_of(const T* value) {
  using Key = typename Bits<T>::Key;
  constexpr int top = 8 * sizeof(Key) - 1;
  constexpr Key low = static_cast<Key>(~(static_cast<uint64_t>(1) << top));
  Key bits;
  std::memcpy(&bits, value, sizeof bits);
  const Key key = bits ^ ((bits >> top) & low);
  return key == -1 ? 0 : key;
}

// The topmost digit: every key counts.
template <class T>
int64_t first_digit(const T* values, int64_t size, int64_t* counts) {
  using Key = typename Bits<T>::Key;
  constexpr int shift = 8 * sizeof(Key) - kDigit;
  int64_t nan = 0;
  for (int64_t start = 0; start < size; start += kBlock) {
    const int64_t end = size - start < kBlock ? size - start : kBlock;
    uint16_t digits[kBlock];
    int32_t broken = 0, differing = 0;
    const uint16_t lead = static_cast<uint16_t>((key_of(values + start) >> shift) + 32768);
    for (int64_t i = 0; i < end; ++i) {
      const Key key = key_of(values + start + i);
      broken += (key > Bits<T>::infinity) | (key < ~Bits<T>::infinity);
      digits[i] = static_cast<uint16_t>((key >> shift) + 32768);
      differing |= digits[i] ^ lead;
    }
    nan += broken;
    if (differing == 0) {  // heavy ties: one addition, not a chain of dependent ones
      counts[lead] += end;
      continue;
    }
    for (int64_t i = 0; i < end; ++i) ++counts[digits[i]];
  }
  return nan;
}

// A later digit: few keys begin with the prefix, so a block is searched before it is counted.
template <class T>
void later_digit(const T* values, int64_t size, int32_t shift, int64_t prefix, int64_t* counts) {
  using Key = typename Bits<T>::Key;
  const Key wanted = static_cast<Key>(prefix);
  for (int64_t start = 0; start < size; start += kBlock) {
    const int64_t end = size - start < kBlock ? size - start : kBlock;
    int32_t found = 0;
    for (int64_t i = 0; i < end; ++i) {
      found += (key_of(values + start + i) >> (shift + kDigit)) == wanted;
    }
    if (found == 0) continue;
    for (int64_t i = 0; i < end; ++i) {
      const Key key = key_of(values + start + i);
      if (key >> (shift + kDigit) == wanted) ++counts[(key >> shift) & 0xFFFF];
    }
  }
}

template <class T>
int64_t histogram(const T* values, int64_t size, int32_t shift, int64_t prefix, int64_t* counts) {
  constexpr int32_t topmost = 8 * sizeof(typename Bits<T>::Key) - kDigit;
  if (shift == topmost) return first_digit(values, size, counts);
  later_digit(values, size, shift, prefix, counts);
  return 0;
}

template <class T>
int64_t mark(const T* values, int64_t size, int64_t threshold, int64_t ties, uint8_t* kept) {
  using Key = typename Bits<T>::Key;
  const Key limit = static_cast<Key>(threshold);
  int64_t left = ties;
  for (int64_t start = 0; start < size; start += kBlock) {
    const int64_t end = size - start < kBlock ? size - start : kBlock;
    uint8_t* out = kept + start;
    if (left >= end) {  // enough ties left for the whole block
      int32_t equal = 0;
      for (int64_t i = 0; i < end; ++i) {
        const Key key = key_of(values + start + i);
        out[i] = key >= limit;
        equal += key == limit;
      }
      left -= equal;
      continue;
    }
    int32_t equal = 0;
    for (int64_t i = 0; i < end; ++i) {
      const Key key = key_of(values + start + i);
      out[i] = key > limit;
      equal += key == limit;
    }
    for (int64_t i = 0; equal > 0 && left > 0 && i < end; ++i) {
      if (key_of(values + start + i) != limit) continue;
      out[i] = 1;
      --equal;
      --left;
    }
  }
  return ties - left;
}

}  // namespace

#define NAME(kernel) RAREFY_JOIN(kernel, RAREFY_SET)
extern "C" {
int64_t NAME(topk_histogram_f32)(const float* values, int64_t size, int32_t shift, int64_t prefix,
                                 int64_t* counts) {
  return histogram(values, size, shift, prefix, counts);
}
int64_t NAME(topk_histogram_f64)(const double* values, int64_t size, int32_t shift, int64_t prefix,
                                 int64_t* counts) {
  return histogram(values, size, shift, prefix, counts);
}
int64_t NAME(topk_mark_f32)(const float* values, int64_t size, int64_t threshold, int64_t ties,
                            uint8_t* kept) {
  return mark(values, size, threshold, ties, kept);
}
int64_t NAME(topk_mark_f64)(const double* values, int64_t size, int64_t threshold, int64_t ties,
                            uint8_t* kept) {
  return mark(values, size, threshold, ties, kept);
}
}
