// A sparse matrix laid out for lines of 16 floats and read entry by entry, where code is not
// generated.
//
// The columns are cut in passes, so that the lines a pass reads stay in the first cache. In a piece
// (one pass, one block of rows) rows stand by their number of entries, and equal ones in twos or
// fours whose entries alternate: the loop over entries ends alike for many rows, and a row's sum
// need not wait for its last multiply-add. No slot is padded.
#pragma once
#include <cstdint>

namespace rarefy {

// `groups` times `height` rows of `entries` entries each.
struct SweepRun {
  int32_t entries, height, groups;
};

struct SweepRow {
  int32_t row, y_offset;  // bytes after the position's y
};

struct SweepForm {
  int32_t blocks = 0, passes = 0;
  // Of piece pass * blocks + block: its first run (and, one further, its end), row and entry.
  const int64_t* first_run = nullptr;
  const int64_t* first_row = nullptr;
  const int64_t* first_entry = nullptr;
  const SweepRun* runs = nullptr;
  const SweepRow* rows = nullptr;
  const float* values = nullptr;
  const int32_t* x_offsets = nullptr;  // of every entry: bytes after the position's x
};

// Heights of a run that the kernels know: 1, 2 and 4. All rows of a block are in its first and in
// its last pass, be it with no entries.
constexpr int kSweepLargest = 4;

// What becomes of a row's sum: it is stored; without its negative part (NaN stays); or added to the
// line that is there, and then nobody looks at a bias.
enum SweepEnd : int32_t { kSweepStores, kSweepRelu, kSweepAdds };

// For blocks [first, last) and `groups` positions: the line of a row is its bias plus the sum of
// weight * line over its entries, at y + y_at[g] from lines at x + x_at[g], in floats. Lines are
// 64-byte aligned. No bias where it is null.
template <class T>
using sweep = void(const SweepForm* form, int32_t first, int32_t last, const T* x,
                   const int64_t* x_at, T* y, const int64_t* y_at, int32_t groups, const T* bias,
                   int32_t end);

}  // namespace rarefy
