// The gradient of values that stand in slots, entry by entry.
#pragma once
#include <cstdint>

namespace rarefy {

// values[i] += sum over `groups` positions and 16 lanes of a row's line of y times a column's of x,
// for `count` entries at positions (row * 32 + column). The line of column c at position g lies
// columns[c] bytes after x + g * x_stride (floats), that of row r rows[r] bytes after
// y + g * y_stride. Lines are 64-byte aligned.
template <class T>
using slots_gradient = void(const uint16_t* positions, int32_t count, const int32_t* columns,
                            const int32_t* rows, const T* x, int64_t x_stride, const T* y,
                            int64_t y_stride, int64_t groups, T* values);

}  // namespace rarefy
