#include "slot_product.h"

#include "../emit/gradient_code.h"
#include "../emit/slot_code.h"
#include "product.h"
#include "slot_sweep.h"

namespace rarefy {

std::unique_ptr<SlotProduct> SlotProduct::make(const Slots& slots, const LinePlaces& places,
                                               bool turned, bool adds, bool may_emit,
                                               const char* set, std::string& error) {
  if (may_emit && can_emit()) {
    auto made = SlotCode::make(slots, places, turned, adds);
    if (made) return made;
  }
  return interpreted_product(slots, places, turned, adds, set, error);
}

std::unique_ptr<SlotGradient> SlotGradient::make(const Slots& slots, const LinePlaces& places,
                                                 bool may_emit, const char* set,
                                                 std::string& error) {
  if (may_emit && can_emit()) {
    auto made = GradientCode::make(slots, places);
    if (made) return made;
  }
  return interpreted_gradient(slots, places, set, error);
}

}  // namespace rarefy
