// The rows of a sparse matrix as lists, and the memory that forms for a few tokens own.
#pragma once
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

#include "../kernels/few.h"
#include "tiles.h"

namespace rarefy {

// Memory from which whole cache lines are read.
template <class T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}  // NOLINT: allocators convert
  T* allocate(size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)));
  }
  void deallocate(T* from, size_t) { ::operator delete(from, std::align_val_t(64)); }
  template <class U>
  bool operator==(const LineAllocator<U>&) const {
    return true;
  }
  template <class U>
  bool operator!=(const LineAllocator<U>&) const {
    return false;
  }
};
template <class T>
using Aligned = std::vector<T, LineAllocator<T>>;

// Entries of row r: [start[r], start[r + 1]), by column.
struct Lists {
  int64_t rows = 0, columns = 0;
  std::vector<int64_t> start;
  std::vector<int32_t> entry_columns;
  std::vector<float> values;  // a stored zero is -0.0: +0.0 marks an empty slot

  explicit Lists(const Tiles& tiles);
  int64_t count(int64_t row) const { return start[row + 1] - start[row]; }
  int64_t nonzero() const { return start[rows]; }
};

// What a FewForm points to.
struct FewParts {
  FewForm form;
  std::vector<int64_t> first_step;
  std::vector<int32_t> row_of;
  Aligned<uint32_t> words;
  Aligned<uint16_t> places;
  Aligned<float> values;
  std::vector<int64_t> row_start;
  std::vector<int32_t> entry_columns;

  // Points the form at the parts, once they are complete.
  void settle(FewKind kind, const Lists& lists, int lanes);
  int64_t bytes() const;
  // Entries of which a group with unequal rows has this many slots.
  int64_t slots(int64_t group) const;
};

// `order` cut in groups of `lanes`: the row each lane of each group stands for, or -1.
std::vector<int32_t> grouped(const std::vector<int32_t>& order, int lanes);
// 0 .. sizes.size() - 1, the largest size first, equal ones in order.
std::vector<int32_t> largest_first(const std::vector<int64_t>& sizes);

// Plain lists.
FewParts few_rows(const Lists& lists);
// 16 lanes of 5 bits or 8 lanes of 4; at most 65536 columns.
FewParts few_pick(const Lists& lists, int lanes);
// The width of a distance that makes the fewest bytes.
FewParts few_delta(const Lists& lists, int lanes);

// Blocks of height x width entries, on multiples of both, that hold an entry at all.
int64_t blocks_met(const Lists& lists, int height, int width);
// lanes x 1, 4 x 1 or 1 x 4 blocks; at most 65536 columns, and at least 4 for 1 x 4.
FewParts few_column(const Lists& lists, int lanes);
FewParts few_tall(const Lists& lists, int lanes);
FewParts few_flat(const Lists& lists, int lanes);

}  // namespace rarefy
