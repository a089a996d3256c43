// Where the entries of a sparse matrix stand whose values lie in a caller's array, one slot each.
//
// int32 words: version, rows, columns, rows of a block, columns of a block, capacity, entries, 0;
// starts of the cells (and the end); then two 16-bit positions a word. A cell is one block of rows
// and one of columns; cells stand by block of rows, then of columns, and so do their slots, which
// inside a cell stand by row, then column. A position is row in block * 32 + column in block.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace rarefy {

constexpr int32_t kSlotsVersion = 1;
constexpr int32_t kSlotsBlock = 30;

struct Slots {
  int64_t rows = 0, columns = 0, capacity = 0, entries = 0;
  std::vector<int32_t> first_row, first_column;  // of the blocks, and the end
  std::vector<int32_t> start;                    // of the cells, and the end
  std::vector<uint16_t> positions;

  // Copies and checks, index by index. False, and one line, where the words are not sound or of
  // other blocks than kSlotsBlock.
  static bool read(const int32_t* words, int64_t count, Slots& slots, std::string& error);

  int row_blocks() const { return static_cast<int>(first_row.size()) - 1; }
  int column_blocks() const { return static_cast<int>(first_column.size()) - 1; }
  int64_t cell(int row_block, int column_block) const {
    return int64_t{row_block} * column_blocks() + column_block;
  }
  // Entries of a block of rows.
  int64_t work(int row_block) const {
    return int64_t{start[cell(row_block + 1, 0)]} - start[cell(row_block, 0)];
  }
};

// One entry of a cell.
struct Slot {
  int32_t slot;
  uint8_t row, column;  // in their blocks
};

}  // namespace rarefy
