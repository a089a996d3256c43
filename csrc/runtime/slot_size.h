// How the lines of images of one size lie.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "slot_layer.h"

namespace rarefy {

// Two of each: down, then across.
struct ImageGeometry {
  int64_t kernel[2], stride[2], padding[2], dilation[2];

  int64_t taps() const { return kernel[0] * kernel[1]; }
};

// Of images of one size: 16 of them lie side by side, in a line for every channel and pixel, the
// padding included. Channels are an odd number of lines apart, so that they do not compete for the
// same places of a cache.
struct ImageSize {
  int64_t height, width;          // of an image
  int64_t tall, wide, plane;      // with its padding; lines of a channel
  int64_t out_height, out_width;  // of what comes out
  std::vector<int32_t> columns, rows;
  std::unique_ptr<SlotParts> parts;

  // False where the kernel is larger than the padded image, or lines would lie too far apart.
  bool fit(const ImageGeometry& geometry, const Slots& slots, int64_t height, int64_t width);

  int64_t pixels() const { return height * width; }
  int64_t out_pixels() const { return out_height * out_width; }
};

}  // namespace rarefy
