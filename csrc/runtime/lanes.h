// Images in lines of 16 floats: the lanes of a line hold the same pixel of 16 tiles.
//
// A tile is a part of an image; lane = (image * down + row of the tile) * across + its column. So a
// step in y or x is a step of whole lines, whatever the kernel, the stride and the batch are; what
// lies outside of a tile is a ring of lines, filled from the neighbouring tiles' lanes.
#pragma once
#include <cstdint>
#include <vector>

#include "../kernels/lanes.h"

namespace rarefy {

// Kernel, stride and padding of a convolution or pooling; height first.
struct ImageWindow {
  int64_t size[2] = {1, 1}, stride[2] = {1, 1}, pad[2] = {0, 0};

  // One pixel in, one pixel out.
  bool single() const {
    return size[0] == 1 && size[1] == 1 && stride[0] == 1 && stride[1] == 1 && !pad[0] && !pad[1];
  }
  int64_t out(int side, int64_t in) const {
    const int64_t room = in + 2 * pad[side] - size[side];
    return room < 0 ? 0 : room / stride[side] + 1;
  }
};

struct LaneMap {
  int64_t images = 1;               // in a line
  int64_t tiles[2] = {1, 1};        // of an image: down, across
  int64_t tile[2] = {1, 1};         // pixels of a tile: tall, wide
  // The pixels of an image in torch's order, 16 to a line: for programs that never look sideways.
  bool flat = false;

  int64_t lanes() const { return images * tiles[0] * tiles[1]; }
  int64_t lines() const { return tile[0] * tile[1]; }
  bool operator==(const LaneMap& other) const;
  static LaneMap in_order(int64_t pixels);
  // The map of the input that a window turns into this one without a lane moving.
  LaneMap before(const ImageWindow& window) const;
};

// Where the lines of one value lie. Lines are counted from the start of its memory.
struct LaneLayout {
  LaneMap map;
  int64_t size[2] = {0, 0};         // pixels of an image
  int64_t channels = 0;
  int64_t before[2] = {0, 0}, after[2] = {0, 0};  // ring, in lines
  float fill = 0;                   // outside of the image
  int64_t pitch = 0, plane = 0;     // lines from a row to the next, from a channel to the next

  // Sets pitch and plane once the rest stands. False where the offsets that a product with a kernel
  // of so many rows needs would not fit in 31 bits.
  bool arrange(int64_t rows_of_kernel);
  int64_t line(int64_t y, int64_t x) const { return (y + before[0]) * pitch + x + before[1]; }
  int64_t floats() const;
};

// Which pixel a lane holds at (y, x) of its tile; -1 as image where it holds none.
struct LanePixel {
  int64_t image, y, x;
};
LanePixel pixel_of(const LaneLayout& layout, int lane, int64_t y, int64_t x);

// Whether the tiles hold every pixel, so that the ring can be filled from them.
bool covers(const LaneLayout& layout);
// Tables for lanes_split: where the tiles cover the image, the ring and what lies outside are left
// to moves_of_ring.
std::vector<LaneStrip> strips_to_split(const LaneLayout& layout);
// And for lanes_join.
std::vector<LaneStrip> strips_to_join(const LaneLayout& layout);
// For each line of the tiles, which lanes hold a pixel.
std::vector<uint16_t> kept_of(const LaneLayout& layout);

// A list of lane moves for lanes_permute.
struct LaneMoves {
  std::vector<LaneMove> moves;
  std::vector<LaneTake> takes;
  std::vector<int32_t> permutations;  // 16 each
};

// Fills the ring of a layout from its own tiles, and cleans what lies outside of the image.
LaneMoves moves_of_ring(const LaneLayout& layout);
// Copies lines between layouts of the same images: line groups of the target start at image
// `first_image` of the line group of the source, whose line groups lie `slot` floats apart.
LaneMoves moves_between(const LaneLayout& from, const LaneLayout& to, int64_t slot,
                        int64_t first_image);

}  // namespace rarefy
