// Tokens one after another: how windows and tiles are given theirs, and how a product is cut.
#include <algorithm>
#include <cstring>

#include "window_forms.h"

namespace rarefy {
namespace {

constexpr int64_t kPiece = 16;               // tokens
constexpr int64_t kTokenBytes = 768 << 10;   // of activations that stay in the second cache

int64_t scale_bytes(int64_t tokens) { return (4 * tokens + 63) / 64 * 64; }

}  // namespace

int64_t token_stride(int32_t kind, int64_t columns) {
  const int64_t bytes = std::max<int64_t>(128, (columns * activation_bytes(kind) + 63) / 64 * 64);
  return bytes % 512 ? bytes : bytes + 64;
}

void* window_kernel(const std::string& name, const char* set, std::string& error) {
  void* const found = rarefy_kernel(name.c_str(), set);
  if (!found) error = "there is no kernel " + name + " in the set '" + set + "'";
  return found;
}

bool TokenMajor::take(const Quantized& weight, const char* set, int64_t slots, std::string& error) {
  static const char* const names[] = {"u8", "i16", "i16", "bf16", "f16"};
  rows = weight.rows, columns = weight.columns, kind = weight.kind;
  rule_ = weight.rule();
  stride_ = token_stride(kind, columns);
  take_ = reinterpret_cast<window_take<void>*>(
      window_kernel(std::string("window_take_") + names[kind], set, error));
  if (!take_) return false;
  row_scale_.assign(slots, 0);
  correction_.assign(slots, 0);
  for (int64_t slot = 0; slot < rows; ++slot) {
    const int64_t row = order_.empty() ? slot : order_[slot];
    row_scale_[slot] = weight.row_scale[row];
    if (kind != kW8A8 || !rule_.zero) continue;
    for (int64_t i = weight.start[row]; i < weight.start[row + 1]; ++i) {
      correction_[slot] += rule_.zero * weight.value[i];
    }
  }
  return true;
}

int64_t TokenMajor::prepared_bytes(int64_t tokens) const {
  return scale_bytes(tokens) + pieces(tokens) * kPiece * stride_;
}

int TokenMajor::pieces(int64_t tokens) const {
  return static_cast<int>((tokens + kPiece - 1) / kPiece);
}

void TokenMajor::prepare(int first, int last, const float* x, int64_t x_stride, int64_t tokens,
                         uint8_t* prepared) const {
  const auto scales = reinterpret_cast<float*>(prepared);
  uint8_t* const to = prepared + scale_bytes(tokens);
  for (int64_t token = first * kPiece; token < last * kPiece; ++token) {
    if (token < tokens) {
      scales[token] = take_(x + token * x_stride, columns, &rule_, to + token * stride_, stride_);
    } else if (fills_up_) {
      std::memset(to + token * stride_, 0, stride_);
    }
  }
}

void TokenMajor::run(int first, int last, const uint8_t* prepared, int64_t tokens, float* y,
                     int64_t y_stride, const float* bias, bool relu) const {
  WindowCall call{};
  call.rows = rows;
  call.x_stride = stride_;
  call.row_scale = row_scale_.data();
  call.correction = correction_.data();
  call.order = order_.empty() ? nullptr : order_.data();
  call.bias = bias;
  call.y_stride = y_stride;
  call.relu = relu;
  const int64_t at_once = std::max<int64_t>(64, kTokenBytes / stride_ / kPiece * kPiece);
  // Kept for the thread's next call.
  static thread_local std::vector<uint8_t> memory;
  const auto wanted = static_cast<size_t>(space(std::min(at_once, tokens)) + 64);
  if (memory.size() < wanted) memory.resize(wanted);
  call.space = memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 63);
  for (int64_t token = 0; token < tokens; token += at_once) {
    call.tokens = std::min(at_once, tokens - token);
    call.x = prepared + scale_bytes(tokens) + token * stride_;
    call.token_scale = reinterpret_cast<const float*>(prepared) + token;
    call.y = y + token * y_stride;
    for (call.first = first; call.first < last; call.first = call.last) {
      call.last = call.first + groups_at_once(call.first, last, call.tokens);
      multiply(call);
    }
  }
}

}  // namespace rarefy
