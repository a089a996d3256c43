// A layer whose values change at every step, forward and backward.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "line_kernels.h"
#include "phases.h"
#include "slot_product.h"
#include "workspace.h"

namespace rarefy {

// The three operations for one layout of lines, each made at first need.
class SlotParts {
 public:
  // `near`: places for the products, `apart`: for the gradient; both outlive this, as slots do.
  // `adds`: whether the transpose adds to what is there.
  SlotParts(const Slots& slots, const char* set, bool may_emit, const LinePlaces& near,
            const LinePlaces& apart, bool adds)
      : slots_(slots), set_(set), may_emit_(may_emit), near_(near), apart_(apart), adds_(adds) {}

  // Null where there is no memory, or no kernel, for it.
  const SlotProduct* product() const;
  const SlotProduct* twin() const;
  const SlotGradient* gradient() const;
  int64_t bytes() const;

 private:
  const Slots& slots_;
  const char* const set_;
  const bool may_emit_;
  const LinePlaces near_, apart_;
  const bool adds_;
  mutable Lazy<SlotProduct> product_, twin_;
  mutable Lazy<SlotGradient> gradient_;
};

class SlotLayer {
 public:
  // `geometry`: null for a layer of rows of tokens; else what an image layer needs (slot_image.h).
  // Null, and one line in `error`, where something does not fit.
  static std::unique_ptr<SlotLayer> make(const int32_t* words, int64_t count,
                                         const int64_t* geometry, const char* set,
                                         std::string& error);
  virtual ~SlotLayer();

  // y = W x + bias; `sizes` are the tokens, or images, height and width. Bias may be null.
  virtual int forward(const float* x, const float* values, const float* bias, float* y,
                      const int64_t* sizes, int threads) const = 0;
  // dx = W^T dy, and the gradient of all slots' values. `sizes` as for forward.
  virtual int input_gradient(const float* dy, const float* values, float* dx, const int64_t* sizes,
                             int threads) const = 0;
  virtual int weight_gradient(const float* x, const float* dy, float* dvalues,
                              const int64_t* sizes, int threads) const = 0;

  // Held beside the values, code included.
  virtual int64_t bytes() const = 0;

 protected:
  struct Scratch {
    Floats arena;
    Phases phases;
  };

  SlotLayer(Slots slots, const char* set, const LineKernels& kernels);

  const Slots slots_;
  const std::string set_;
  const LineKernels kernels_;
  const bool may_emit_;  // whether code may be generated
  mutable Shelf<Scratch> shelf_;

 private:
  const int64_t code_;  // bytes that its code is reckoned to take, of the process's allowance
};

// Lines from group to group: a little off a multiple of 4096 bytes, so that a feature's lines of
// several groups do not compete for the same places of the first cache.
inline int64_t spread_lines(int64_t lines) { return lines + (97 - lines % 64) % 64; }

}  // namespace rarefy
