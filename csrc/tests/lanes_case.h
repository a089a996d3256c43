// Layouts of lanes for the C++ tests, and memory of exactly the size that they need.
#pragma once
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "runtime/lanes.h"

namespace cases {

using rarefy::kLine;
using rarefy::LaneLayout;

inline int failures = 0;
inline std::mt19937 generator(5);

inline void expect(bool good, const std::string& what) {
  if (good) return;
  if (++failures <= 20) std::printf("FAILED %s\n", what.c_str());
}

inline int64_t any(int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(generator);
}

inline float number() { return std::normal_distribution<float>()(generator); }

// Lines at a multiple of 64 bytes.
struct Lines {
  explicit Lines(int64_t floats)
      : data(static_cast<float*>(std::aligned_alloc(64, floats * sizeof(float)))), size(floats) {
    for (int64_t i = 0; i < size; ++i) data[i] = number();
  }
  ~Lines() { std::free(data); }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  float* data;
  int64_t size;
};

// Images that begin past a multiple of 64 bytes.
struct Image {
  explicit Image(int64_t count)
      : memory(new float[count + 1]), data(memory.get() + 1), size(count) {
    for (int64_t i = 0; i < size; ++i) data[i] = number();
  }
  std::unique_ptr<float[]> memory;
  float* data;
  int64_t size;
};

inline LaneLayout any_layout() {
  LaneLayout layout;
  layout.map.images = int64_t{1} << any(0, 4);
  const int64_t tiles = kLine / layout.map.images;
  layout.channels = any(1, 4);
  for (int side = 0; side < 2; ++side) {
    layout.size[side] = any(1, 40);
    layout.before[side] = any(0, 3);
    layout.after[side] = any(0, 3);
  }
  layout.map.tiles[0] = any(1, tiles);
  layout.map.tiles[1] = any(1, tiles / layout.map.tiles[0]);
  for (int side = 0; side < 2; ++side) {
    const int64_t count = layout.map.tiles[side];
    const int64_t least = (layout.size[side] + count - 1) / count;
    layout.map.tile[side] = std::max<int64_t>(1, least - any(0, 1));
  }
  layout.fill = -7.f;
  expect(layout.arrange(3), "a small layout fits");
  return layout;
}

// What a lane holds at (y, x) of its tile, from images of the layout's sizes, `first` on.
inline float held(const LaneLayout& layout, const Image& image, int64_t first, int64_t c, int lane,
                  int64_t y, int64_t x) {
  const rarefy::LanePixel pixel = rarefy::pixel_of(layout, lane, y, x);
  if (pixel.image < 0) return layout.fill;
  const int64_t row = ((first + pixel.image) * layout.channels + c) * layout.size[0] + pixel.y;
  return image.data[row * layout.size[1] + pixel.x];
}

// Calls visit(c, y, x, lane, place of the number) for the tiles, or with their ring.
template <class Visit>
void each(const LaneLayout& layout, bool with_ring, Visit visit) {
  int64_t first[2] = {0, 0}, last[2] = {layout.map.tile[0], layout.map.tile[1]};
  for (int side = 0; with_ring && side < 2; ++side) {
    first[side] -= layout.before[side];
    last[side] += layout.after[side];
  }
  for (int64_t c = 0; c < layout.channels; ++c) {
    for (int64_t y = first[0]; y < last[0]; ++y) {
      for (int64_t x = first[1]; x < last[1]; ++x) {
        for (int lane = 0; lane < layout.map.lanes(); ++lane) {
          visit(c, y, x, lane, kLine * (c * layout.plane + layout.line(y, x)) + lane);
        }
      }
    }
  }
}

inline int64_t pixels_of(const LaneLayout& layout) { return layout.size[0] * layout.size[1]; }

inline uint32_t lanes_of(const LaneLayout& layout, int64_t images) {
  return static_cast<uint32_t>((1ull << (images * layout.map.tiles[0] * layout.map.tiles[1])) - 1);
}

}  // namespace cases
