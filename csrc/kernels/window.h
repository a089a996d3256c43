// What the kernels of low precision see. Arithmetic in integers is exact, so for the integer kinds
// every form, set and thread count gives the same bits.
#pragma once
#include <cstdint>

namespace rarefy {

// How weights and activations of a product are kept. The numbers stand in stored sections.
enum WindowKind : int32_t {
  kW8A8 = 0,    // int8 by row x uint8 by token
  kW8A16 = 1,   // int8 by row x int16 by token
  kW16A16 = 2,  // int16 by row x int16 by token
  kBf16 = 3,    // bfloat16 x bfloat16, sums in float32
  kF16 = 4,     // float16, scaled by powers of two by row and by token
};
constexpr int32_t kWindowKinds = 5;

constexpr int64_t kLanes = 16;  // rows of a vector: 32-bit sums

// Bytes of an activation as the product reads it, and of a weight as a window step holds it.
constexpr int activation_bytes(int kind) { return kind == kW8A8 ? 1 : 2; }
constexpr int weight_bytes(int kind) { return kind == kW8A8 || kind == kW8A16 ? 1 : 2; }
// Weights that one 32-bit lane takes in a step.
constexpr int slots_of(int kind) { return 4 / activation_bytes(kind); }
// Bytes of a step for one vector: an offset (of elements, from the window's begin) a slot, then the
// weights.
constexpr int64_t step_bytes(int kind) {
  return kLanes * slots_of(kind) * (1 + weight_bytes(kind));
}

// Where a step's window begins is told in units of this many bytes.
constexpr int64_t kWindowUnit = 32;

// A weight as windows. Lanes are rows; a group is `lines` vectors of 16. A step names a window of
// 64 * lines bytes of a token's activations; every row takes from it its next slots, or fewer: what
// is left over holds weight 0.
struct WindowForm {
  int32_t lines;            // 1 or 2
  int64_t groups;
  const int64_t* start;     // groups + 1: first step of each
  const uint32_t* window;   // of every step
  const uint8_t* records;   // of every step, vector after vector; then 64 bytes that may be read
};

// A weight as dense tiles of 16 rows x 64 bytes of activations, for CPUs that multiply tiles. A
// group is two tiles high; [group][64 bytes of activations][upper, lower tile]: in a tile, line q
// of 16 holds 4 bytes of activations [4 q, 4 q + 4) for each of the 16 rows.
// The weights lie so, or, where `tiles` is null, as a bit for each (each byte of int8, each two of
// bfloat16) in the same order, and the values that are there one after the other.
struct TileForm {
  int64_t groups;
  int64_t depth;           // tiles along the activations
  const uint8_t* tiles;    // groups * depth * 2048 bytes, aligned to 64
  const uint8_t* masks;
  const uint8_t* values;   // then 64 bytes that may be read
  const int64_t* start;    // of a group's values, in bytes
};

// Steps (64 bytes of activations) whose tiles are at hand at a time; and how often a group's are.
constexpr int64_t kTileSteps = 8;
constexpr int64_t tile_chunks(int64_t depth) {
  return depth <= kTileSteps ? 1 : (depth + kTileSteps - 1) / kTileSteps;
}
// Bytes that a product with tiles works in: sums of two groups, tiles of two chunks.
constexpr int64_t tile_space(int64_t tokens) {
  return (tokens + 31) / 32 * 2 * 4096 + 2 * kTileSteps * 2048;
}

// A float16 weight as lists, for CPUs that calculate in float16: its rows in panels, its columns in
// tiles. In one (panel, tile) the rows with entries stand by count of quads, and those of one count
// are a run, so that loops end where they are expected to.
struct ListForm {
  struct Run {
    int32_t rows, quads;
  };
  // 4 entries: where in the tile each column's line lies, in bytes, and its weight as float16. What
  // fills up a row's last quad has weight 0.
  struct Quad {
    uint16_t offset[4], weight[4];
  };
  int64_t tiles, tile_columns;
  const int64_t* first_run;    // of (panel, tile), panel after panel, and the end
  const Run* runs;
  const int64_t* first_row;    // likewise, of the list of rows
  const int32_t* rows;         // in the panel
  const int64_t* first_quad;   // likewise
  const Quad* quads;
};

// What becomes of the sums: y = (sum - correction) * (row scale * token scale) + bias, rounded once
// after the sum (fused), then max(., 0) that keeps NaN.
struct WindowCall {
  int64_t first, last;         // groups
  int64_t rows;                // of the whole weight: rows that are padding are not written
  const uint8_t* x;            // prepared tokens
  int64_t x_stride;            // bytes, a multiple of 64
  int64_t tokens;              // where tiles are read, as many more lie there as fill up 16
  const float* token_scale;    // NaN: the whole token becomes NaN
  const float* row_scale;      // by slot, groups * lanes of them
  const int32_t* correction;   // by slot
  const int32_t* order;        // row of every slot; null: the slot itself
  const float* bias;           // by row, or null
  float* y;                    // [token][row]
  int64_t y_stride;            // floats
  int32_t relu;
  uint8_t* space;              // of tiles: tile_space(tokens), aligned to 64
};

// How a token is made ready.
struct TokenRule {
  int32_t low, high;   // least and largest integer
  int32_t zero;        // the integer that stands for 0, added last
  float scale;         // of the calibration; 0: each token has its own, largest / high
};

// Numbers below this are 0 in low precision: their reciprocal would not be finite.
constexpr float kLeastActivation = 1e-30f;

// Products of groups [first, last) with every token, all the way to y.
template <class T>
using window_lines = void(const WindowForm* form, const WindowCall* call);
template <class T>
using window_tiles = void(const TileForm* form, const WindowCall* call);

// Adds the products of a panel and tiles [first, last) to sums [group][row][32 tokens] of float16,
// `sum_stride` bytes apart from group to group; x likewise: [group][column][32 tokens]. At most
// kListGroups groups.
constexpr int64_t kListGroups = 4;
template <class T>
using window_lists = void(const ListForm* form, int64_t panel, int64_t first, int64_t last,
                          const uint8_t* x, int64_t x_stride, int64_t groups, uint8_t* sums,
                          int64_t sum_stride);

// One token of `columns` floats into `bytes` bytes at `to`, what is past the columns zero. Returns
// the token's scale: NaN where an activation is not finite, 0 where all are 0.
template <class T>
using window_take = float(const float* x, int64_t columns, const TokenRule* rule, uint8_t* to,
                          int64_t bytes);

// 32 tokens (`count` of them there, the others zero), `x_stride` floats apart, as float16 lines
// [column][32 tokens] at `to`, each token times the power of two that brings its largest into
// [4, 8); scale[32] is what undoes it, NaN where an activation is not finite.
template <class T>
using window_turn = void(const float* x, int64_t x_stride, int32_t count, int64_t columns,
                         uint8_t* to, float* scale);

// The way back: rows [first, first + count) of one group of 32 tokens, from `planes` sums of
// float16 [plane][row][32 tokens], `plane_stride` bytes apart, to y (which begins at row `first`).
template <class T>
using window_unturn = void(const uint8_t* sums, int64_t plane_stride, int32_t planes, int64_t count,
                           const float* row_scale, const float* token_scale, const float* bias,
                           int32_t relu, int32_t tokens, float* y, int64_t y_stride);

}  // namespace rarefy
