// What the kernels of image layers look like. A line is 16 floats at a 64-byte boundary: one pixel
// of 16 tiles. Strides are in floats; a channel's lines lie `plane` after the channel's before.
#pragma once
#include <cstdint>

#include "lines.h"

namespace rarefy {

constexpr int kLaneStrip = 8;

// Up to 8 neighbouring lines of a row of tiles, and where their pixels are in a plain image: lane l
// of line i is the value at from[l] + i where bit i of kept[l] is set, else it is outside. A lane
// in `whole` may be read or written 8 numbers wide whatever is kept: what is too much does no harm,
// if lanes are written in their order.
struct LaneStrip {
  int64_t line;  // floats from the start of the channel's lines
  int64_t from[kLine];
  int32_t count;
  uint32_t whole;
  uint8_t kept[kLine];
};

// One line to write: it starts as 16 times the filling, then takes lanes from `takes` lines.
struct LaneMove {
  int64_t to;
  int32_t takes;
};

// Lane l of the line becomes lane permutation[l] of the line at `from` where bit l of kept is set.
struct LaneTake {
  int64_t from;
  int32_t permutation;  // number of 16 lanes in the table of permutations
  uint32_t kept;
};

// What is done with each number, in this order: y = act(x * scale + shift, plus or times other).
enum class LaneCombine : int32_t { none, add, multiply };
enum class LaneAct : int32_t { none, relu, clamp };

struct LaneFinish {
  const float* scale;   // of each row of numbers, scale_step apart; null for none
  const float* shift;
  int64_t scale_step;
  const float* other;   // as many numbers as x; null for none
  int64_t other_pitch;
  LaneCombine combine;
  LaneAct act;          // both keep NaN
  float low, high;
};

// Copies an image into lines; lanes that are not in `lanes` (bit l) get `fill`, and so do pixels
// outside, but for lanes in `whole`.
template <class T>
using lanes_split = void(const T* image, int64_t image_plane, int64_t channels,
                         const LaneStrip* strips, int64_t count, uint32_t lanes, T fill, T* lines,
                         int64_t plane);

// Copies lines into an image: only the kept pixels of `lanes`.
template <class T>
using lanes_join = void(const T* lines, int64_t plane, int64_t channels, const LaneStrip* strips,
                        int64_t count, uint32_t lanes, T* image, int64_t image_plane);

// Writes lines from lanes of others; `from` and `to` may be the same lines.
template <class T>
using lanes_permute = void(const T* from, int64_t from_plane, T* to, int64_t to_plane,
                           int64_t channels, const LaneMove* moves, int64_t count,
                           const LaneTake* takes, const int32_t* permutations, T fill);

// y[g] = the largest over a window of tall x wide lines from x + g * step; NaN where one is there.
template <class T>
using lanes_max_pool = void(const T* x, int64_t pitch, int64_t step, int64_t tall, int64_t wide,
                            T* y, int64_t count);

// sums[c * 16 + l] = the sum over tall x wide lines of lane l, where bit l of kept[line] is set.
template <class T>
using lanes_sum = void(const T* x, int64_t plane, int64_t channels, int64_t pitch, int64_t tall,
                       int64_t wide, const uint16_t* kept, T* sums);

// rows x length numbers, length a multiple of 16; y may be x or the other operand.
template <class T>
using lanes_finish = void(const T* x, int64_t pitch, T* y, int64_t y_pitch, int64_t rows,
                          int64_t length, const LaneFinish* what);

}  // namespace rarefy
