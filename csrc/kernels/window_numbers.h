// The two half formats and what is asked of a token's numbers before they are rounded.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "window.h"

namespace rarefy {
namespace {

constexpr uint32_t kInfinityBits = 0x7f800000;
// From here on bfloat16 rounds to infinity.
constexpr uint32_t kBf16InfinityBits = 0x7f7f8000;

inline float float_of_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline uint32_t bits_of_float(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

// To nearest, ties to even; finite values only.
inline uint16_t bf16_of(float value) {
  const uint32_t bits = bits_of_float(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// The same for float16, of values below 65520; subnormals included.
inline uint16_t f16_of(float value) {
  const uint32_t bits = bits_of_float(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  if (size < (127u - 14) << 23) {
    // The last bit of what lies in [0.5, 1) counts 2^-24, as that of a subnormal does.
    return static_cast<uint16_t>(sign | (bits_of_float(float_of_bits(size) + 0.5f) - 0x3f000000));
  }
  const uint32_t moved = size - (112u << 23);
  return static_cast<uint16_t>(sign | (moved + 0xfff + (moved >> 13 & 1)) >> 13);
}

inline float float_of_bf16(uint16_t bits) {
  return float_of_bits(static_cast<uint32_t>(bits) << 16);
}

// Exact; infinity and NaN are never stored.
inline float float_of_f16(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float size = exponent ? std::ldexp(static_cast<float>(1024 + fraction), exponent - 25)
                              : std::ldexp(static_cast<float>(fraction), -24);
  return bits & 0x8000 ? -size : size;
}

// The power of two that brings a token whose largest size has these bits into [4, 8); 0 where
// nothing of it is left.
inline float factor_to_eight(uint32_t largest) {
  if (float_of_bits(largest) < kLeastActivation) return 0;
  return float_of_bits((256 - (largest >> 23)) << 23);
}

}  // namespace
}  // namespace rarefy
