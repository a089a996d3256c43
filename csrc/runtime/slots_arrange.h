// From places in any order to slots.
#pragma once
#include <cstdint>

namespace rarefy {

// A matrix in blocks: of rows, then of columns.
struct SlotGrid {
  int64_t rows, columns, block_rows, block_columns;

  int64_t row_blocks() const { return (rows + block_rows - 1) / block_rows; }
  int64_t column_blocks() const { return (columns + block_columns - 1) / block_columns; }
};

// Of `count` places, row * columns + column, each in the matrix: the starts of the cells (and the
// end), the position of every slot, and which place stands there. Blocks have 1 to 32 rows and
// columns. False where a place is there twice. Throws std::bad_alloc.
bool arrange_slots(const SlotGrid& grid, const int64_t* places, int64_t count, int32_t* starts,
                   uint16_t* positions, int64_t* order);

}  // namespace rarefy
