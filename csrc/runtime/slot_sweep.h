// The operations on slots by the kernels that read a matrix entry by entry.
#pragma once
#include <memory>
#include <string>

#include "slot_product.h"

namespace rarefy {

std::unique_ptr<SlotProduct> interpreted_product(const Slots& slots, const LinePlaces& places,
                                                 bool turned, bool adds, const char* set,
                                                 std::string& error);
std::unique_ptr<SlotGradient> interpreted_gradient(const Slots& slots, const LinePlaces& places,
                                                   const char* set, std::string& error);

}  // namespace rarefy
