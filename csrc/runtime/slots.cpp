#include "slots.h"

#include <cstring>

namespace rarefy {
namespace {

constexpr int64_t kHeader = 8;  // words

bool fails(std::string& error, const char* problem) {
  error = problem;
  return false;
}

std::vector<int32_t> blocks_of(int64_t size) {
  const int64_t blocks = (size + kSlotsBlock - 1) / kSlotsBlock;
  std::vector<int32_t> first(blocks + 1);
  for (int64_t b = 1; b <= blocks; ++b) first[b] = static_cast<int32_t>(size * b / blocks);
  return first;
}

bool check_cell(const Slots& slots, int row_block, int column_block) {
  const int64_t cell = slots.cell(row_block, column_block);
  const int height = slots.first_row[row_block + 1] - slots.first_row[row_block];
  const int width = slots.first_column[column_block + 1] - slots.first_column[column_block];
  int32_t before = -1;
  bool good = true;
  for (int32_t i = slots.start[cell]; i < slots.start[cell + 1]; ++i) {
    const int32_t position = slots.positions[i];
    good &= position > before && (position & 31) < width;
    before = position;
  }
  return good && before >> 5 < height;
}

}  // namespace

bool Slots::read(const int32_t* words, int64_t count, Slots& slots, std::string& error) {
  if (!words || count < kHeader + 1) return fails(error, "a topology is too short");
  if (words[0] != kSlotsVersion) return fails(error, "a topology is of another version");
  if (words[3] != kSlotsBlock || words[4] != kSlotsBlock) {
    return fails(error, "a topology has blocks of another size");
  }
  slots.rows = words[1], slots.columns = words[2];
  slots.capacity = words[5], slots.entries = words[6];
  if (slots.rows < 0 || slots.columns < 0 || slots.entries < 0 || slots.entries > slots.capacity) {
    return fails(error, "a topology has sizes that cannot be");
  }
  slots.first_row = blocks_of(slots.rows);
  slots.first_column = blocks_of(slots.columns);
  const int64_t cells = int64_t{slots.row_blocks()} * slots.column_blocks();
  if (count != kHeader + cells + 1 + (slots.capacity + 1) / 2) {
    return fails(error, "the length of a topology does not fit its sizes");
  }
  slots.start.assign(words + kHeader, words + kHeader + cells + 1);
  if (slots.start[0] != 0 || slots.start[cells] != slots.entries) {
    return fails(error, "the cells of a topology do not hold its entries");
  }
  for (int64_t c = 0; c < cells; ++c) {
    if (slots.start[c + 1] < slots.start[c]) {
      return fails(error, "the cells of a topology are out of order");
    }
  }
  slots.positions.resize(slots.entries);
  if (slots.entries) {
    std::memcpy(slots.positions.data(), words + kHeader + cells + 1, 2 * slots.entries);
  }
  for (int r = 0; r < slots.row_blocks(); ++r) {
    for (int c = 0; c < slots.column_blocks(); ++c) {
      if (!check_cell(slots, r, c)) {
        return fails(error, "an entry of a topology lies outside its cell or out of order");
      }
    }
  }
  return true;
}

}  // namespace rarefy
