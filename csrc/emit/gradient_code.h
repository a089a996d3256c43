// The gradient of the values of a sparse matrix, as generated code: up to 28 slots at a time
// have their sums in registers while the positions go by; a slot costs one multiply-add a position.
#pragma once
#include <vector>

#include "../runtime/slot_product.h"
#include "memory.h"

namespace rarefy {

class GradientCode final : public SlotGradient {
 public:
  // Null where the system gives no executable memory.
  static std::unique_ptr<GradientCode> make(const Slots& slots, const LinePlaces& places);

  int64_t bytes() const override;
  void run(int first, int last, const float* x, int64_t x_stride, const float* y, int64_t y_stride,
           int64_t groups, float* values) const override;

 private:
  using Code = void (*)(const float* x, const float* y, float* values, int64_t groups,
                        int64_t x_stride, int64_t y_stride);

  int strips_ = 0, row_blocks_ = 0;
  std::vector<int64_t> code_;   // of every strip and block of rows, where it starts, and the end
  std::vector<int32_t> start_;  // and its first slot
  std::unique_ptr<CodeMemory> memory_;
};

}  // namespace rarefy
