#include "slots_arrange.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace rarefy {
namespace {

constexpr int kPositions = 1024;  // of a cell, were it 32 x 32

// By row (or column): its block, and its place in it.
struct Line {
  int32_t block, inside;
};

std::vector<Line> lines_of(int64_t size, int64_t blocks) {
  std::vector<Line> lines(size);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t first = size * b / blocks;
    for (int64_t i = first; i < size * (b + 1) / blocks; ++i) {
      lines[i] = {static_cast<int32_t>(b), static_cast<int32_t>(i - first)};
    }
  }
  return lines;
}

// One place: which of those given, and its position in its cell.
struct Entry {
  int64_t number : 48;
  uint64_t position : 16;
};

// The entries of one cell in the order of their positions. False where two share one.
bool sort_cell(const Entry* entries, int64_t count, uint16_t* positions, int64_t* order) {
  uint64_t there[kPositions / 64] = {};
  int64_t number[kPositions];
  for (int64_t i = 0; i < count; ++i) {
    const auto position = static_cast<uint32_t>(entries[i].position);
    const uint64_t bit = uint64_t{1} << (position % 64);
    if (there[position / 64] & bit) return false;
    there[position / 64] |= bit;
    number[position] = entries[i].number;
  }
  for (int word = 0; word < kPositions / 64; ++word) {
    for (uint64_t left = there[word]; left; left &= left - 1) {
      const int position = 64 * word + __builtin_ctzll(left);
      *positions++ = static_cast<uint16_t>(position);
      *order++ = number[position];
    }
  }
  return true;
}

}  // namespace

bool arrange_slots(const SlotGrid& grid, const int64_t* places, int64_t count, int32_t* starts,
                   uint16_t* positions, int64_t* order) {
  const int64_t across = grid.column_blocks(), cells = grid.row_blocks() * across;
  const std::vector<Line> rows = lines_of(grid.rows, grid.row_blocks());
  const std::vector<Line> columns = lines_of(grid.columns, across);
  const bool narrow = grid.rows * grid.columns <= INT64_C(0xffffffff);
  const auto width = static_cast<uint32_t>(grid.columns);
  std::vector<int32_t> cell_of(count);
  std::vector<uint16_t> position_of(count);
  std::vector<int64_t> next(cells + 1);
  for (int64_t i = 0; i < count; ++i) {
    // A division of 32 bits takes a fraction of the time.
    const int64_t row =
        narrow ? static_cast<uint32_t>(places[i]) / width : places[i] / grid.columns;
    const Line down = rows[row], right = columns[places[i] - row * grid.columns];
    cell_of[i] = static_cast<int32_t>(down.block * across + right.block);
    position_of[i] = static_cast<uint16_t>(down.inside * 32 + right.inside);
    ++next[cell_of[i] + 1];
  }
  for (int64_t c = 0; c < cells; ++c) next[c + 1] += next[c];
  for (int64_t c = 0; c <= cells; ++c) starts[c] = static_cast<int32_t>(next[c]);
  std::vector<Entry> entries(count);
  for (int64_t i = 0; i < count; ++i) entries[next[cell_of[i]]++] = {i, position_of[i]};
  for (int64_t c = 0; c < cells; ++c) {
    const int64_t size = starts[c + 1] - starts[c];
    if (size > kPositions) return false;
    if (!sort_cell(entries.data() + starts[c], size, positions + starts[c], order + starts[c])) {
      return false;
    }
  }
  return true;
}

}  // namespace rarefy
