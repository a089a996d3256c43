#include "slot_size.h"

#include <algorithm>

namespace rarefy {

bool ImageSize::fit(const ImageGeometry& geometry, const Slots& slots, int64_t height_,
                    int64_t width_) {
  height = height_, width = width_;
  tall = height + 2 * geometry.padding[0], wide = width + 2 * geometry.padding[1];
  plane = tall * wide | 1;
  const int64_t down = tall - geometry.dilation[0] * (geometry.kernel[0] - 1) - 1;
  const int64_t across = wide - geometry.dilation[1] * (geometry.kernel[1] - 1) - 1;
  if (down < 0 || across < 0) return false;
  out_height = down / geometry.stride[0] + 1, out_width = across / geometry.stride[1] + 1;
  const int64_t channels = slots.columns / geometry.taps();
  if (64 * std::max(channels * plane, slots.rows * out_pixels()) > INT32_MAX) return false;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < geometry.kernel[0]; ++i) {
      for (int64_t j = 0; j < geometry.kernel[1]; ++j) {
        const int64_t line = c * plane + i * geometry.dilation[0] * wide + j * geometry.dilation[1];
        columns.push_back(static_cast<int32_t>(64 * line));
      }
    }
  }
  for (int64_t r = 0; r < slots.rows; ++r) {
    rows.push_back(static_cast<int32_t>(64 * r * out_pixels()));
  }
  return true;
}

}  // namespace rarefy
