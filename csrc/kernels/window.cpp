// Products with a weight as windows: lanes are rows; a permutation of the window's bytes brings
// every row the activations of its own slots, and one instruction multiplies and adds them.
#include "window.h"

#include "kernels.h"
#include "window_finish.h"
#include "window_numbers.h"

namespace {

using namespace rarefy;

// Sums of integers, or of floats.
template <int kind>
struct SumOf {
  using type = int32_t;
};
template <>
struct SumOf<kBf16> {
  using type = float;
};
template <>
struct SumOf<kF16> {
  using type = float;
};

constexpr int kMostVectors = 2;

// The groups of a call, `count` tokens at a time; products(group, token, sums) fills
// sums[count][lines * 16].
template <int kind, class Products>
void by_groups(const WindowForm& form, const WindowCall& call, int64_t token, int64_t count,
               const Products& products) {
  using Sum = typename SumOf<kind>::type;
  alignas(64) Sum sums[8 * kMostVectors * kLanes];
  const int64_t slots = form.lines * kLanes;
  for (int64_t group = call.first; group < call.last; ++group) {
    products(group, token, sums);
    finish(call, sums, Sums{slots, token, count, group * slots, slots});
  }
}

#if defined(__AVX512VNNI__) && defined(__AVX512VBMI__) && defined(__AVX512BF16__)
#define RAREFY_WINDOW_VECTORS 1
#define UNROLL _Pragma("GCC unroll 16")

using Vector = __m512i;

// Offsets and weights of one vector and step.
template <int kind>
inline Vector offsets_at(const uint8_t* record) {
  if constexpr (kind == kW8A8) return _mm512_loadu_si512(record);
  return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(record)));
}
template <int kind>
inline Vector weights_at(const uint8_t* record) {
  const uint8_t* const from = record + kLanes * slots_of(kind);
  if constexpr (kind == kW8A16) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  return _mm512_loadu_si512(from);
}

// The activations of every slot, from a window of one line or of two. The instructions that matter
// are asm with values: gcc 12 otherwise copies sums and reads weights anew for every token.
template <int kind>
inline Vector picked(Vector offsets, const uint8_t* window) {
  const Vector line = _mm512_loadu_si512(window);
  if constexpr (kind == kW8A8) return _mm512_permutexvar_epi8(offsets, line);
  return _mm512_permutexvar_epi16(offsets, line);
}
template <int kind>
inline Vector picked(Vector low, Vector offsets, Vector high) {
  if constexpr (kind == kW8A8) {
    asm("vpermt2b %2,%1,%0" : "+v"(low) : "v"(offsets), "v"(high));
  } else {
    asm("vpermt2w %2,%1,%0" : "+v"(low) : "v"(offsets), "v"(high));
  }
  return low;
}

template <int kind>
inline Vector multiplied(Vector sum, Vector x, Vector weights) {
  if constexpr (kind == kW8A8) {
    asm("vpdpbusd %2,%1,%0" : "+v"(sum) : "v"(x), "v"(weights));
  } else if constexpr (kind == kBf16) {
    asm("vdpbf16ps %2,%1,%0" : "+v"(sum) : "v"(x), "v"(weights));
  } else {
    asm("vpdpwssd %2,%1,%0" : "+v"(sum) : "v"(x), "v"(weights));
  }
  return sum;
}

template <int kind>
inline Vector added(Vector a, Vector b) {
  if constexpr (kind == kBf16) {
    return _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
  }
  return _mm512_add_epi32(a, b);
}

// One group x `tokens` tokens. `flight` steps have sums of their own, so that few tokens do not
// wait for the latency of one sum.
template <int kind, int lines, int tokens, int flight>
void group_products(const WindowForm& form, const WindowCall& call, int64_t group, int64_t token,
                    void* sums) {
  constexpr int64_t bytes = step_bytes(kind);
  const uint8_t* const x = call.x + token * call.x_stride;
  Vector total[flight][lines][tokens];
  UNROLL for (int f = 0; f < flight; ++f) {
    UNROLL for (int v = 0; v < lines; ++v) {
      UNROLL for (int t = 0; t < tokens; ++t) total[f][v][t] = _mm512_setzero_si512();
    }
  }
  const uint32_t* at = form.window + form.start[group];
  const uint32_t* const end = form.window + form.start[group + 1];
  const uint8_t* record = form.records + form.start[group] * bytes * lines;
  const auto step = [&](int f) __attribute__((always_inline)) {
    const uint8_t* const from = x + static_cast<int64_t>(at[f]) * kWindowUnit;
    Vector offsets[lines], weights[lines];
    UNROLL for (int v = 0; v < lines; ++v) {
      offsets[v] = offsets_at<kind>(record + (f * lines + v) * bytes);
      weights[v] = weights_at<kind>(record + (f * lines + v) * bytes);
    }
    UNROLL for (int t = 0; t < tokens; ++t) {
      const uint8_t* const window = from + t * call.x_stride;
      if constexpr (lines == 1) {
        const Vector taken = picked<kind>(offsets[0], window);
        total[f][0][t] = multiplied<kind>(total[f][0][t], taken, weights[0]);
      } else {
        Vector low = _mm512_loadu_si512(window), high = _mm512_loadu_si512(window + 64);
        asm("" : "+v"(low), "+v"(high));
        UNROLL for (int v = 0; v < lines; ++v) {
          const Vector taken = picked<kind>(low, offsets[v], high);
          total[f][v][t] = multiplied<kind>(total[f][v][t], taken, weights[v]);
        }
      }
    }
  };
  for (; at + flight <= end; at += flight, record += flight * lines * bytes) {
    UNROLL for (int f = 0; f < flight; ++f) step(f);
  }
  for (; at < end; ++at, record += lines * bytes) step(0);
  UNROLL for (int t = 0; t < tokens; ++t) {
    UNROLL for (int v = 0; v < lines; ++v) {
      Vector sum = total[0][v][t];
      UNROLL for (int f = 1; f < flight; ++f) sum = added<kind>(sum, total[f][v][t]);
      _mm512_store_si512(static_cast<uint8_t*>(sums) + 64 * (t * lines + v), sum);
    }
  }
}

template <int kind, int lines, int tokens, int flight>
void some_tokens(const WindowForm& form, const WindowCall& call, int64_t token) {
  by_groups<kind>(form, call, token, tokens, [&](int64_t group, int64_t at, void* sums) {
    group_products<kind, lines, tokens, flight>(form, call, group, at, sums);
  });
}

template <int kind, int lines>
void all_tokens(const WindowForm& form, const WindowCall& call) {
  int64_t token = 0;
  for (; call.tokens - token >= 8; token += 8) some_tokens<kind, lines, 8, 1>(form, call, token);
  const int64_t left = call.tokens - token;
  if (left & 4) some_tokens<kind, lines, 4, 2 / lines>(form, call, token), token += 4;
  if (left & 2) some_tokens<kind, lines, 2, 4 / lines>(form, call, token), token += 2;
  if (left & 1) some_tokens<kind, lines, 1, 6 / lines>(form, call, token);
}
#endif

template <class Value>
inline Value read(const uint8_t* from) {
  Value value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <int kind>
inline typename SumOf<kind>::type product(const uint8_t* x, const uint8_t* weight) {
  if constexpr (kind == kW8A8) return read<int8_t>(weight) * int32_t{*x};
  if constexpr (kind == kW8A16) return read<int8_t>(weight) * int32_t{read<int16_t>(x)};
  if constexpr (kind == kW16A16) return read<int16_t>(weight) * int32_t{read<int16_t>(x)};
  if constexpr (kind == kBf16) {
    return float_of_bf16(read<uint16_t>(weight)) * float_of_bf16(read<uint16_t>(x));
  }
  if constexpr (kind == kF16) {
    return float_of_f16(read<uint16_t>(weight)) * float_of_f16(read<uint16_t>(x));
  }
}

// The plain loops: every step, lane and slot, token after token.
template <int kind>
void plain_tokens(const WindowForm& form, const WindowCall& call) {
  using Sum = typename SumOf<kind>::type;
  constexpr int slots = slots_of(kind), wide = weight_bytes(kind);
  const auto products = [&](int64_t group, int64_t token, Sum* sums) {
    const uint8_t* const x = call.x + token * call.x_stride;
    for (int64_t row = 0; row < form.lines * kLanes; ++row) sums[row] = 0;
    for (int64_t i = form.start[group]; i < form.start[group + 1]; ++i) {
      const uint8_t* const window = x + static_cast<int64_t>(form.window[i]) * kWindowUnit;
      for (int v = 0; v < form.lines; ++v) {
        const uint8_t* const record = form.records + (i * form.lines + v) * step_bytes(kind);
        for (int z = 0; z < kLanes * slots; ++z) {
          sums[v * kLanes + z / slots] += product<kind>(
              window + activation_bytes(kind) * record[z], record + kLanes * slots + wide * z);
        }
      }
    }
  };
  for (int64_t token = 0; token < call.tokens; ++token) {
    by_groups<kind>(form, call, token, 1, products);
  }
}

template <int kind>
void lines(const WindowForm* form, const WindowCall* call) {
#if defined(RAREFY_WINDOW_VECTORS)
  if constexpr (kind != kF16) {
    return form->lines == 1 ? all_tokens<kind, 1>(*form, *call) : all_tokens<kind, 2>(*form, *call);
  }
#endif
  plain_tokens<kind>(*form, *call);
}

}  // namespace

extern "C" {
void RAREFY_JOIN(window_lines_w8a8, RAREFY_SET)(const WindowForm* form, const WindowCall* call) {
  lines<kW8A8>(form, call);
}
void RAREFY_JOIN(window_lines_w8a16, RAREFY_SET)(const WindowForm* form, const WindowCall* call) {
  lines<kW8A16>(form, call);
}
void RAREFY_JOIN(window_lines_w16a16, RAREFY_SET)(const WindowForm* form, const WindowCall* call) {
  lines<kW16A16>(form, call);
}
void RAREFY_JOIN(window_lines_bf16, RAREFY_SET)(const WindowForm* form, const WindowCall* call) {
  lines<kBf16>(form, call);
}
void RAREFY_JOIN(window_lines_f16, RAREFY_SET)(const WindowForm* form, const WindowCall* call) {
  lines<kF16>(form, call);
}
}
