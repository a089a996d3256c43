// What a layer whose values change at every step computes, on lines of 16 floats: its product, that
// of its transpose, and the gradient of its values.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "slots.h"

namespace rarefy {

// Where lines lie: of columns after the x base and of rows after the y base, in bytes, multiples of
// 64, one a column and one a row.
struct LinePlaces {
  const int32_t* columns;
  const int32_t* rows;
};

// y = W x, or x = W^T y, with values from the caller.
class SlotProduct {
 public:
  virtual ~SlotProduct() = default;

  // `turned`: W^T, which reads lines of rows and writes lines of columns. `adds`: what is written
  // is added to what is there. Generated code where CPU, system and `may_emit` allow it, else the
  // interpreted kernel of `set`.
  static std::unique_ptr<SlotProduct> make(const Slots& slots, const LinePlaces& places,
                                           bool turned, bool adds, bool may_emit, const char* set,
                                           std::string& error);

  int blocks = 0;

  // Multiply-adds of a block per position; bytes held.
  virtual int64_t work(int block) const = 0;
  virtual int64_t bytes() const = 0;
  // For blocks [first, last) of what is written: position g reads at from + from_at[g] and writes
  // at to + to_at[g], in floats, multiples of 16. `bias`: one float a line that is written, or
  // null; not looked at where it adds. Positions may add to the same lines.
  virtual void run(int first, int last, const float* values, const float* from,
                   const int64_t* from_at, float* to, const int64_t* to_at, int groups,
                   const float* bias) const = 0;
};

// values[s] += sum over positions and lanes of y line of its row * x line of its column.
class SlotGradient {
 public:
  virtual ~SlotGradient() = default;

  static std::unique_ptr<SlotGradient> make(const Slots& slots, const LinePlaces& places,
                                            bool may_emit, const char* set, std::string& error);

  virtual int64_t bytes() const = 0;
  // Of the slots of row blocks [first, last): positions are x + g * x_stride and y + g * y_stride
  // (floats, multiples of 16) for g < groups.
  virtual void run(int first, int last, const float* x, int64_t x_stride, const float* y,
                   int64_t y_stride, int64_t groups, float* values) const = 0;
};

// Positions whose lines one call of SlotGradient takes best.
constexpr int64_t kGradientGroups = 8;

}  // namespace rarefy
