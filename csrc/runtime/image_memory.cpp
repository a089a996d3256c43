#include "image_memory.h"

#include <algorithm>

namespace rarefy {
namespace {

int64_t to_line(int64_t floats) { return (floats + kLine - 1) / kLine * kLine; }

}  // namespace

std::vector<std::pair<int, int>> place_plains(const ImageGraph& graph,
                                              const std::vector<bool>& plain, ImagePlan& plan) {
  const int count = static_cast<int>(plain.size());
  std::vector<int> root(count);  // a flattened register lies where it lay before
  for (int number = 0; number < count; ++number) root[number] = number;
  for (const ImageNode& node : graph.nodes) {
    if (node.kind == ImageKind::flatten) root[node.out] = root[node.in];
  }
  std::vector<ImagePlain> places(count);
  const auto place = [&](int number, ImagePlain::Kind kind, int which) {
    ImagePlain& at = places[root[number]];
    if (at.kind != ImagePlain::Kind::none) return false;
    at.kind = kind;
    at.number = which;
    return true;
  };
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    place(graph.inputs[i], ImagePlain::Kind::input, static_cast<int>(i));
  }
  std::vector<std::pair<int, int>> copies;
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const int which = static_cast<int>(i);
    if (!place(graph.outputs[i], ImagePlain::Kind::output, which)) {
      copies.emplace_back(graph.outputs[i], which);
    }
  }
  plan.plains.resize(count);
  for (int number = 0; number < count; ++number) {
    if (!plain[number] && places[root[number]].kind != ImagePlain::Kind::input) continue;
    const int64_t numbers = plan.shapes[number].numbers();
    if (place(number, ImagePlain::Kind::own, -1)) {
      places[root[number]].offset = plan.shared_floats;
      plan.shared_floats += to_line(numbers * plan.images);
    }
    plan.plains[number] = places[root[number]];
    plan.plains[number].numbers = numbers;
  }
  return copies;
}

void place_tensors(ImagePlan& plan) {
  std::vector<ImageTensor*> order;
  for (ImageTensor& tensor : plan.tensors) {
    if (tensor.segment < 0) continue;
    tensor.slot = tensor.layout.floats();
    if (tensor.shared) {
      const int64_t images = tensor.layout.map.images;
      tensor.offset = plan.shared_floats;
      plan.shared_floats += tensor.slot * ((plan.images + images - 1) / images);
    } else {
      order.push_back(&tensor);
    }
  }
  std::stable_sort(order.begin(), order.end(), [](const ImageTensor* a, const ImageTensor* b) {
    return a->first < b->first;
  });
  std::vector<const ImageTensor*> placed;
  for (ImageTensor* tensor : order) {
    // The lowest place that no tensor needed at the same time reaches into.
    std::vector<const ImageTensor*> near;
    for (const ImageTensor* other : placed) {
      if (other->last >= tensor->first) near.push_back(other);
    }
    std::sort(near.begin(), near.end(), [](const ImageTensor* a, const ImageTensor* b) {
      return a->offset < b->offset;
    });
    for (const ImageTensor* other : near) {
      if (other->offset >= tensor->offset + tensor->slot) break;
      tensor->offset = std::max(tensor->offset, other->offset + other->slot);
    }
    plan.scratch_floats = std::max(plan.scratch_floats, tensor->offset + tensor->slot);
    placed.push_back(tensor);
  }
}

}  // namespace rarefy
