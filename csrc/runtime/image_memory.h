// Where the values of an image program lie.
#pragma once
#include <utility>
#include <vector>

#include "image_plan.h"

namespace rarefy {

// Gives every register that must lie in torch's order its place: the caller's where it enters or
// leaves. Returns what has to be copied to an output at the end: registers and output numbers.
std::vector<std::pair<int, int>> place_plains(const ImageGraph& graph,
                                              const std::vector<bool>& plain, ImagePlan& plan);

// Gives every tensor its offset; those that are never needed at the same time share one.
void place_tensors(ImagePlan& plan);

}  // namespace rarefy
