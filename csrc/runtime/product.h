// A sparse weight made ready to multiply lines of 16 floats in one layout of memory.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "tiles.h"

namespace rarefy {

class Product {
 public:
  virtual ~Product() = default;

  // For matrix columns whose line lies x_offset[column] bytes after the x base, and rows whose line
  // lies y_offset[row] bytes after the y base; offsets are multiples of 64. Generated code where
  // the CPU and the system allow it, else the interpreted kernel of `set`.
  static std::unique_ptr<Product> make(const Tiles& tiles, const char* set,
                                       const int32_t* x_offset, const int32_t* y_offset,
                                       std::string& error);
  // The same by the interpreted kernel, whatever the CPU allows.
  static std::unique_ptr<Product> interpreted(const Tiles& tiles, const char* set,
                                              const int32_t* x_offset, const int32_t* y_offset,
                                              std::string& error);

  int64_t rows = 0, columns = 0;
  int blocks = 0;

  // Multiply-adds of a block per position, and the bytes held.
  virtual int64_t work(int block) const = 0;
  virtual int64_t bytes() const = 0;
  // "generated" or "interpreted".
  virtual const char* kind() const = 0;

  // y = bias + W x at `groups` positions: position g reads lines from x + x_at[g] and writes lines
  // from y + y_at[g] (in floats, multiples of 16). Row blocks [first, last). `bias` has a float a
  // row, or is null; `relu` keeps the positive part and NaN. Lines are 64-byte aligned.
  virtual void run_at(int first, int last, const float* x, const int64_t* x_at, float* y,
                      const int64_t* y_at, int groups, const float* bias, bool relu) const = 0;

  // The same at positions x + g * x_stride and y + g * y_stride.
  void run(int first, int last, const float* x, int64_t x_stride, float* y, int64_t y_stride,
           int groups, const float* bias, bool relu) const;
};

// Whether this CPU and system run generated code (AVX-512F and memory that may be executed).
bool can_emit();

}  // namespace rarefy
