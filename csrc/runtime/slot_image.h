// Images through a layer of slots.
#pragma once
#include <memory>

#include "slot_layer.h"

namespace rarefy {

// `geometry`: kernel height and width, stride, padding and dilation, two each: down, then across.
// The columns of the matrix are channels x kernel height x kernel width.
std::unique_ptr<SlotLayer> make_image(Slots slots, const int64_t* geometry, const char* set,
                                      const LineKernels& kernels, std::string& error);

}  // namespace rarefy
