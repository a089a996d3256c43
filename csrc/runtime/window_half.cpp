#include "window_half.h"

#include <algorithm>

namespace rarefy {

bool Halves::take(const Quantized& weight, const char* set, std::string& error) {
  rows = weight.rows, columns = weight.columns, kind = weight.kind;
  row_scale_ = weight.row_scale;
  int64_t longest = 0;
  for (int64_t row = 0; row < rows; ++row) longest = std::max(longest, weight.count(row));
  planes_ = static_cast<int>(
      std::max<int64_t>(1, (longest + kPlaneEntries - 1) / kPlaneEntries));
  turn_ = reinterpret_cast<window_turn<void>*>(window_kernel("window_turn_f16", set, error));
  unturn_ = reinterpret_cast<window_unturn<void>*>(window_kernel("window_unturn_f16", set, error));
  return turn_ && unturn_;
}

void Halves::prepare(int first, int last, const float* x, int64_t x_stride, int64_t tokens,
                     uint8_t* prepared) const {
  for (int64_t group = first; group < last; ++group) {
    const auto count = static_cast<int32_t>(std::min(kTokens, tokens - group * kTokens));
    turn_(x + group * kTokens * x_stride, x_stride, count, columns,
          prepared + 128 * pieces(tokens) + group * columns * kLine,
          reinterpret_cast<float*>(prepared + 128 * group));
  }
}

void Halves::finish(const Target& target, const uint8_t* prepared, int64_t group, int64_t first,
                    int64_t count, const uint8_t* sums, int64_t plane_stride) const {
  const int64_t token = group * kTokens;
  unturn_(sums, plane_stride, planes_, count, row_scale_.data() + first,
          scales_of(prepared, group), target.bias ? target.bias + first : nullptr, target.relu,
          static_cast<int32_t>(std::min(kTokens, target.tokens - token)),
          target.y + token * target.y_stride + first, target.y_stride);
}

}  // namespace rarefy
