#include "image_layouts.h"

#include <algorithm>
#include <limits>

namespace rarefy {

ImageLayouts::ImageLayouts(const ImageGraph& graph, const ImageMaps& maps,
                           const std::vector<ImageShape>& shapes)
    : laned(laned_registers(graph)),
      plain(graph.ranks.size()),
      copies(graph.ranks.size()),
      uses(graph.nodes.size()),
      graph_(graph),
      maps_(maps),
      shapes_(shapes),
      last_use_(graph.ranks.size(), -1) {
  for (int number : graph.outputs) plain[number] = true;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const ImageNode& node = graph.nodes[i];
    last_use_[node.in] = static_cast<int>(i);
    for (const ImagePass& pass : node.passes) {
      if (pass.other >= 0) last_use_[pass.other] = static_cast<int>(i);
    }
    if (laned[node.out]) continue;
    plain[node.out] = true;
    if (node.kind == ImageKind::mean) continue;
    plain[node.in] = true;
    for (const ImagePass& pass : node.passes) {
      if (pass.other >= 0) plain[pass.other] = true;
    }
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) place(static_cast<int>(i));
}

bool ImageLayouts::arrange() {
  for (ImageTensor& tensor : tensors) {
    if (!tensor.layout.arrange(tensor.rows_of_kernel)) return false;
  }
  return true;
}

int ImageLayouts::add(int number, const Need& need) {
  ImageTensor tensor;
  tensor.layout.map = need.map;
  tensor.layout.channels = shapes_[number].channels;
  for (int side = 0; side < 2; ++side) tensor.layout.size[side] = shapes_[number].size[side];
  tensors.push_back(tensor);
  copies[number].push_back(static_cast<int>(tensors.size() - 1));
  return copies[number].back();
}

// A copy that serves, made wider if it must be, or a new one.
int ImageLayouts::find(int number, const Need& need) {
  int found = -1;
  for (int id : copies[number]) {
    const ImageTensor& tensor = tensors[id];
    const bool fits = !need.filled || !tensor.filled || tensor.layout.fill == need.fill;
    if (found < 0 && fits && tensor.layout.map == need.map) found = id;
  }
  if (found < 0) found = add(number, need);
  ImageTensor& tensor = tensors[found];
  for (int side = 0; side < 2; ++side) {
    tensor.layout.before[side] = std::max(tensor.layout.before[side], need.before[side]);
    tensor.layout.after[side] = std::max(tensor.layout.after[side], need.after[side]);
  }
  if (need.filled) {
    tensor.filled = true;
    tensor.layout.fill = need.fill;
  }
  return found;
}

int ImageLayouts::find_for(int number, const LaneMap& map) {
  Need need;
  need.map = map;
  return find(number, need);
}

// What a window reads to make images in `map`. Outside of the image lie zeros; to find the largest,
// what is below everything.
int ImageLayouts::find_window(const ImageNode& node, const LaneMap& map) {
  const ImageWindow& window = node.window;
  Need need;
  need.map = map.before(window);
  for (int side = 0; side < 2; ++side) {
    need.before[side] = window.pad[side];
    need.after[side] =
        std::max<int64_t>(0, window.size[side] - window.stride[side] - window.pad[side]);
    need.filled = need.filled || window.pad[side] > 0;
  }
  if (node.kind == ImageKind::pool) need.fill = -std::numeric_limits<float>::infinity();
  const int id = find(node.in, need);
  tensors[id].rows_of_kernel = std::max(tensors[id].rows_of_kernel, window.size[0]);
  return id;
}

// Whether the node may write its result over a register that it reads number by number.
bool ImageLayouts::can_replace(int node, int number, const LaneMap& map) const {
  if (!laned[number] || last_use_[number] != node || copies[number].empty()) return false;
  const ImageTensor& tensor = tensors[copies[number][0]];
  return tensor.layout.map == map && copies[number][0] != uses[node].x;
}

void ImageLayouts::place_result(int number, const LaneMap& map) {
  const ImageNode& node = graph_.nodes[number];
  ImageUse& use = uses[number];
  use.y = -1;
  if (node.kind == ImageKind::conv) {
    for (const ImagePass& pass : node.passes) {
      if (pass.other >= 0 && can_replace(number, pass.other, map)) use.y = copies[pass.other][0];
    }
  }
  if (use.y >= 0) {
    copies[node.out] = {use.y};
  } else {
    use.y = find_for(node.out, map);
  }
}

void ImageLayouts::place(int number) {
  const ImageNode& node = graph_.nodes[number];
  ImageUse& use = uses[number];
  if (node.kind == ImageKind::mean) {
    use.x = find_for(node.in, maps_.at(shapes_[node.in]));
    use.images = tensors[use.x].layout.map.images;
    return;
  }
  if (!laned[node.out]) return;
  const LaneMap& map = maps_.at(shapes_[node.out]);
  use.images = map.images;
  use.x = node.kind == ImageKind::pointwise ? find_for(node.in, map) : find_window(node, map);
  for (const ImagePass& pass : node.passes) {
    use.others.push_back(pass.other < 0 ? -1 : find_for(pass.other, map));
  }
  place_result(number, map);
}

}  // namespace rarefy
