// The gradient of slots by the kernel that takes them one by one.
#include <algorithm>

#include "../dispatch.h"
#include "../kernels/slots.h"
#include "slot_sweep.h"

namespace rarefy {
namespace {

// As for generated code: lines of so many blocks of columns stay in the first cache.
constexpr int kStripBlocks = 2;

class Interpreted final : public SlotGradient {
 public:
  Interpreted(const Slots& slots, const LinePlaces& places, slots_gradient<float>* kernel)
      : slots_(slots),
        columns_(places.columns, places.columns + slots.columns),
        rows_(places.rows, places.rows + slots.rows),
        kernel_(kernel) {}

  int64_t bytes() const override {
    return static_cast<int64_t>(4 * (columns_.size() + rows_.size()));
  }

  void run(int first, int last, const float* x, int64_t x_stride, const float* y, int64_t y_stride,
           int64_t groups, float* values) const override {
    for (int strip = 0; strip < slots_.column_blocks(); strip += kStripBlocks) {
      const int end = std::min(slots_.column_blocks(), strip + kStripBlocks);
      for (int r = first; r < last; ++r) {
        for (int c = strip; c < end; ++c) {
          const int32_t from = slots_.start[slots_.cell(r, c)];
          const int32_t count = slots_.start[slots_.cell(r, c) + 1] - from;
          if (!count) continue;
          kernel_(slots_.positions.data() + from, count, columns_.data() + slots_.first_column[c],
                  rows_.data() + slots_.first_row[r], x, x_stride, y, y_stride, groups,
                  values + from);
        }
      }
    }
  }

 private:
  const Slots& slots_;
  const std::vector<int32_t> columns_, rows_;
  slots_gradient<float>* const kernel_;
};

}  // namespace

std::unique_ptr<SlotGradient> interpreted_gradient(const Slots& slots, const LinePlaces& places,
                                                   const char* set, std::string& error) {
  const auto kernel =
      reinterpret_cast<slots_gradient<float>*>(rarefy_kernel("slots_gradient_f32", set));
  if (kernel) return std::make_unique<Interpreted>(slots, places, kernel);
  error = std::string("there are no kernels for slots in the set ") + set;
  return nullptr;
}

}  // namespace rarefy
