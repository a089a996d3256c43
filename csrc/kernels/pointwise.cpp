// Activations, sums and norms. One source for every set: vectors are GCC's and Clang's own, as wide
// as the set's registers.
#include <cmath>
#include <cstring>

#include "kernels.h"
#include "lines.h"

namespace {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif
constexpr int kParts = rarefy::kLine / kWidth;  // vectors of a line

typedef float Vector __attribute__((vector_size(4 * kWidth)));
typedef uint32_t Bits __attribute__((vector_size(4 * kWidth)));

#define INLINE __attribute__((always_inline)) inline

INLINE Vector all(float value) { return Vector{} + value; }

INLINE Vector load(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

INLINE void store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

INLINE Bits bits_of(Vector value) { return reinterpret_cast<Bits>(value); }

INLINE Vector at_least(Vector value, float bound) { return value < bound ? all(bound) : value; }
INLINE Vector at_most(Vector value, float bound) { return value > bound ? all(bound) : value; }

// The nearest whole number, for sizes below 2^22: adding this puts it into the last bits.
constexpr float kRound = 12582912.0f;

// 2^(whole + rest) for |rest| <= 0.5; `rounded` = whole + kRound. The polynomial is the minimax one
// for the relative error, 2e-9.
INLINE Vector power_of_two(Vector rounded, Vector rest) {
  Vector p = all(1.5353417e-4f);
  p = p * rest + 1.3398876e-3f;
  p = p * rest + 9.618437e-3f;
  p = p * rest + 5.5503324e-2f;
  p = p * rest + 2.4022648e-1f;
  p = p * rest + 6.931472e-1f;
  p = p * rest + 1.0f;
  return reinterpret_cast<Vector>(bits_of(p) + (bits_of(rounded) << 23));
}

// e^x, infinite from 88.722 on; what lies below -87 counts as -87. Of NaN: anything.
INLINE Vector exponential(Vector x) {
  const Vector z = at_most(at_least(x, -87.0f), 88.722f);
  const Vector rounded = z * 1.44269504f + kRound;
  const Vector whole = rounded - kRound;
  Vector rest = z - whole * 0.693359375f;  // ln 2 in two parts, the first of few bits
  rest = rest + whole * 2.12194440e-4f;
  const Vector value = power_of_two(rounded, rest * 1.44269504f);
  return x > 88.722f ? all(INFINITY) : value;
}

// x / (1 + e^-z)
INLINE Vector sigmoid_times(Vector x, Vector z) { return x / (exponential(-z) + 1.0f); }

struct Relu {
  INLINE static Vector of(Vector x, Vector, float, float) { return x < 0.0f ? all(0.0f) : x; }
};

// x Phi(x), with Phi(-|x|) = 2^q(|x|): log2 of the normal tail is so smooth that a polynomial of
// degree 9 gives it to 1.6e-7 of Phi up to 5.6, where x Phi(x) is below the rounding of x. Closer
// to the exact value than 1 + erf, which cancels.
struct Gelu {
  INLINE static Vector of(Vector x, Vector, float, float) {
    const Vector size = reinterpret_cast<Vector>(bits_of(x) & 0x7FFFFFFFu);
    const Vector a = at_most(size, 5.6f);
    Vector q = all(1.02570844e-7f);
    q = q * a - 2.653464e-6f;
    q = q * a + 2.6736552e-5f;
    q = q * a - 1.03974155e-4f;
    q = q * a - 3.731447e-4f;
    q = q * a + 7.411328e-3f;
    q = q * a - 5.2757613e-2f;
    q = q * a - 4.5911747e-1f;
    q = q * a - 1.1511165f;
    q = q * a - 9.9999976e-1f;
    const Vector rounded = q + kRound;
    const Vector tail = size > 5.6f ? all(0.0f) : power_of_two(rounded, q - (rounded - kRound));
    return x * (x > 0.0f ? 1.0f - tail : tail);
  }
};

// x (1 + tanh u) / 2 = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3)
struct GeluTanh {
  INLINE static Vector of(Vector x, Vector, float, float) {
    const Vector cubic = x * (x * x) * 0.044715f + x;
    return sigmoid_times(x, cubic * 1.5957691216f);
  }
};

struct Silu {
  INLINE static Vector of(Vector x, Vector, float, float) { return sigmoid_times(x, x); }
};

struct Clamp {
  INLINE static Vector of(Vector x, Vector, float low, float high) {
    return at_most(at_least(x, low), high);
  }
};

struct Add {
  INLINE static Vector of(Vector a, Vector b, float, float) { return a + b; }
};

struct Mul {
  INLINE static Vector of(Vector a, Vector b, float, float) { return a * b; }
};

// Calls body(at, count) for every whole vector, then for the rest.
template <class Whole, class Rest>
INLINE void each(int64_t size, Whole whole, Rest rest) {
  int64_t i = 0;
  for (; i + kWidth <= size; i += kWidth) whole(i);
  if (i < size) rest(i, size - i);
}

INLINE Vector load_some(const float* from, int64_t count) {
  Vector value = all(0.0f);
  std::memcpy(&value, from, count * sizeof(float));
  return value;
}

INLINE void store_some(float* to, Vector value, int64_t count) {
  std::memcpy(to, &value, count * sizeof(float));
}

template <class Op>
void apply(const float* a, const float* b, float* y, int64_t size, float low, float high) {
  each(
      size, [=](int64_t i) { store(y + i, Op::of(load(a + i), load(b + i), low, high)); },
      [=](int64_t i, int64_t n) {
        const Vector value = Op::of(load_some(a + i, n), load_some(b + i, n), low, high);
        store_some(y + i, value, n);
      });
}

INLINE float sum_of(Vector value) {
  float sum = 0;
  for (int i = 0; i < kWidth; ++i) sum += value[i];
  return sum;
}

// Sums in four chains, so that neither the latency of an addition nor its rounding adds up.
constexpr int kChains = 4;

template <class Term>
INLINE Vector sum_over_lines(int64_t features, Term term) {
  Vector sums[kChains] = {};
  int64_t f = 0;
  for (; f + kChains <= features; f += kChains) {
    for (int c = 0; c < kChains; ++c) sums[c] += term(f + c);
  }
  for (int c = 0; f < features; ++f, ++c) sums[c] += term(f);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

Vector root_of(Vector value) {
  for (int i = 0; i < kWidth; ++i) value[i] = std::sqrt(value[i]);
  return value;
}

// One vector's share of 16 tokens.
INLINE void norm_part(const float* x, const float* gamma, const float* beta, float* y,
                      int64_t features, float epsilon) {
  const float count = static_cast<float>(features);
  const int64_t step = rarefy::kLine;
  const Vector mean =
      sum_over_lines(features, [=](int64_t f) { return load(x + f * step); }) / count;
  const Vector squares = sum_over_lines(features, [=](int64_t f) {
    const Vector d = load(x + f * step) - mean;
    return d * d;
  });
  const Vector scale = 1.0f / root_of(squares / count + epsilon);
  for (int64_t f = 0; f < features; ++f) {
    store(y + f * step, (load(x + f * step) - mean) * scale * gamma[f] + beta[f]);
  }
}

template <class Term>
INLINE float sum_over_row(int64_t features, Term term) {
  Vector sums[kChains] = {};
  int64_t i = 0;
  for (; i + kChains * kWidth <= features; i += kChains * kWidth) {
    for (int c = 0; c < kChains; ++c) sums[c] += term(i + c * kWidth, kWidth);
  }
  for (int c = 0; i < features; i += kWidth, ++c) {
    sums[c] += term(i, features - i < kWidth ? features - i : kWidth);
  }
  return sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace

#define NAME(kernel) RAREFY_JOIN(kernel, RAREFY_SET)
extern "C" {

void NAME(pointwise_f32)(int32_t op, const float* a, const float* b, float* y, int64_t size,
                         float low, float high) {
  switch (op) {
    case rarefy::kRelu: return apply<Relu>(a, a, y, size, low, high);
    case rarefy::kGelu: return apply<Gelu>(a, a, y, size, low, high);
    case rarefy::kGeluTanh: return apply<GeluTanh>(a, a, y, size, low, high);
    case rarefy::kSilu: return apply<Silu>(a, a, y, size, low, high);
    case rarefy::kClamp: return apply<Clamp>(a, a, y, size, low, high);
    case rarefy::kAdd: return apply<Add>(a, b, y, size, low, high);
    case rarefy::kMul: return apply<Mul>(a, b, y, size, low, high);
  }
}

void NAME(affine_lines_f32)(const float* x, const float* scale, const float* shift, float* y,
                            int64_t features) {
  for (int64_t f = 0; f < features; ++f) {
    for (int p = 0; p < kParts; ++p) {
      const int64_t at = f * rarefy::kLine + p * kWidth;
      store(y + at, load(x + at) * scale[f] + shift[f]);
    }
  }
}

void NAME(affine_row_f32)(const float* x, const float* scale, const float* shift, float* y,
                          int64_t features) {
  each(
      features,
      [=](int64_t i) { store(y + i, load(x + i) * load(scale + i) + load(shift + i)); },
      [=](int64_t i, int64_t n) {
        const Vector scaled = load_some(x + i, n) * load_some(scale + i, n);
        store_some(y + i, scaled + load_some(shift + i, n), n);
      });
}

void NAME(norm_lines_f32)(const float* x, const float* gamma, const float* beta, float* y,
                          int64_t features, float epsilon) {
  for (int p = 0; p < kParts; ++p) {
    norm_part(x + p * kWidth, gamma, beta, y + p * kWidth, features, epsilon);
  }
}

void NAME(norm_row_f32)(const float* x, const float* gamma, const float* beta, float* y,
                        int64_t features, float epsilon) {
  const float count = static_cast<float>(features);
  const float mean = sum_over_row(features, [=](int64_t i, int64_t n) {
    return load_some(x + i, n);
  }) / count;
  const float squares = sum_over_row(features, [=](int64_t i, int64_t n) {
    Vector d = load_some(x + i, n) - mean;
    for (int64_t j = n; j < kWidth; ++j) d[j] = 0.0f;
    return d * d;
  });
  const float scale = 1.0f / std::sqrt(squares / count + epsilon);
  each(
      features,
      [=](int64_t i) {
        store(y + i, (load(x + i) - mean) * scale * load(gamma + i) + load(beta + i));
      },
      [=](int64_t i, int64_t n) {
        const Vector normal = (load_some(x + i, n) - mean) * scale;
        store_some(y + i, normal * load_some(gamma + i, n) + load_some(beta + i, n), n);
      });
}
}
