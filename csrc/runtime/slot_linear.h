// Rows of tokens through a layer of slots.
#pragma once
#include <memory>

#include "slot_layer.h"

namespace rarefy {

std::unique_ptr<SlotLayer> make_linear(Slots slots, const char* set, const LineKernels& kernels);

}  // namespace rarefy
