// Kernels on activations. They lie either as rows (a token's features side by side) or as lines: of
// 16 tokens at a time, one line of 16 floats per feature, aligned to 64 bytes, lane = token.
#pragma once
#include <cstdint>

namespace rarefy {

constexpr int64_t kLine = 16;

enum Pointwise : int32_t {
  kRelu, kGelu, kGeluTanh, kSilu, kClamp, kAdd, kMul, kPointwiseCount
};

// y[i] = op(a[i]), or op(a[i], b[i]) for add and mul; low and high are clamp's. y may be a or b.
// NaN and infinities give what torch gives, except that gelu of +inf is +inf.
template <class T>
using pointwise = void(int32_t op, const T* a, const T* b, T* y, int64_t size, T low, T high);

// y = x * scale + shift: one scale and shift per line, and one per float. y may be x.
template <class T>
using affine_lines = void(const T* x, const T* scale, const T* shift, T* y, int64_t features);
template <class T>
using affine_row = void(const T* x, const T* scale, const T* shift, T* y, int64_t features);

// Layer norm over the features, of 16 tokens at once and of one: (x - mean) / sqrt(variance +
// epsilon) * gamma + beta, the variance in a second pass over x. y may be x.
template <class T>
using norm_lines = void(const T* x, const T* gamma, const T* beta, T* y, int64_t features,
                        T epsilon);
template <class T>
using norm_row = void(const T* x, const T* gamma, const T* beta, T* y, int64_t features,
                      T epsilon);

// Rows to lines: lines[f * apart + t] = x[t * stride + f] for t < tokens (0 to 16), 0 for the
// others of 16.
template <class T>
using lines_of_tokens = void(const T* x, int64_t stride, int64_t tokens, int64_t features,
                             T* lines, int64_t apart);
// Back: y[t * stride + f] = lines[f * 16 + t] for t < tokens; nothing else is written.
template <class T>
using tokens_of_lines = void(const T* lines, int64_t tokens, int64_t features, T* y,
                             int64_t stride);

}  // namespace rarefy
