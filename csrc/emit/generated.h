// A product as generated code: the pattern of zeros is baked into the instructions.
//
// Of a row block (<= 30 rows, each an accumulator register) and a pass (a run of columns whose
// activations stay in the first cache) it is one function: load each column's line of 16 floats
// once, then one fused multiply-add with a broadcast weight per entry. No index is read, no slot is
// padded, so a row meets exactly the columns of its entries.
#pragma once
#include <vector>

#include "../runtime/product.h"
#include "pieces.h"

namespace rarefy {

class Generated final : public Product {
 public:
  // Null where the system gives no executable memory.
  static std::unique_ptr<Product> make(const Tiles& tiles, const int32_t* x_offset,
                                       const int32_t* y_offset, int64_t lines_of_pass);

  int64_t work(int block) const override;
  int64_t bytes() const override;
  const char* kind() const override { return "generated"; }
  void run_at(int first, int last, const float* x, const int64_t* x_at, float* y,
              const int64_t* y_at, int groups, const float* bias, bool relu) const override;

 private:
  using Code = void (*)(const float* x, const float* values, float* y, const float* bias,
                        int32_t relu);

  Generated() = default;
  void gather(const Tiles& tiles, int64_t lines_of_pass);
  bool emit(const int32_t* x_offset, const int32_t* y_offset);
  uint8_t* emit_piece(uint8_t* to, int pass, int block, const int32_t* x_offset,
                      const int32_t* y_offset) const;
  int64_t value(int pass, int block) const { return value_[pass * (blocks + 1) + block]; }

  Pieces pieces_;
  std::vector<int64_t> value_;          // where a piece's values start, passes x (blocks + 1)
  std::vector<float> values_;           // pass, block, column, row
  std::vector<int32_t> columns_;        // of every value; dropped once the code stands
  std::vector<uint8_t> rows_;
  std::vector<int64_t> work_;
};

}  // namespace rarefy
