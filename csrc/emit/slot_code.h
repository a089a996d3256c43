// The product of a sparse matrix whose values change, as generated code: the pattern of zeros is
// baked into the instructions, and so is the slot each value is read from. W and W^T read the same
// array, in the order of its slots; no second copy of the values is kept.
#pragma once
#include <vector>

#include "../runtime/slot_product.h"
#include "pieces.h"

namespace rarefy {

class Assembler;

class SlotCode final : public SlotProduct {
 public:
  // Null where the system gives no executable memory.
  static std::unique_ptr<SlotCode> make(const Slots& slots, const LinePlaces& places, bool turned,
                                        bool adds);

  int64_t work(int block) const override { return work_[block]; }
  int64_t bytes() const override { return static_cast<int64_t>(pieces_.bytes()); }
  void run(int first, int last, const float* values, const float* from, const int64_t* from_at,
           float* to, const int64_t* to_at, int groups, const float* bias) const override;

 private:
  using Code = void (*)(const float* from, const float* values, float* to, const float* bias);

  bool adds_ = false;
  std::vector<int64_t> work_;
  Pieces pieces_;
};

}  // namespace rarefy
