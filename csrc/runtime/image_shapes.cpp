#include "image_shapes.h"

namespace rarefy {
namespace {

std::string text_of(const ImageShape& shape) {
  return std::to_string(shape.channels) + "x" + std::to_string(shape.size[0]) + "x" +
         std::to_string(shape.size[1]);
}

bool wrong(const ImageNode& node, const ImageShape& given, const std::string& what,
           std::string& error) {
  error = "register r" + std::to_string(node.in) + " holds images of " + text_of(given) + ": " +
          what;
  return false;
}

bool make_shape(const ImageNode& node, const ImageShape& in, ImageShape& out, std::string& error) {
  out = in;
  switch (node.kind) {
    case ImageKind::conv:
    case ImageKind::pool:
      for (int side = 0; side < 2; ++side) {
        out.size[side] = node.window.out(side, in.size[side]);
        if (out.size[side] < 1) return wrong(node, in, "smaller than the window", error);
      }
      if (node.kind == ImageKind::pool) return true;
      if (in.channels != node.columns) return wrong(node, in, "wanted other channels", error);
      out.channels = node.rows;
      return true;
    case ImageKind::linear:
      if (in.numbers() != node.columns) return wrong(node, in, "wanted other features", error);
      out.channels = node.rows;
      return true;
    case ImageKind::mean: out.size[0] = out.size[1] = 1; return true;
    case ImageKind::flatten: out = {in.numbers(), {1, 1}}; return true;
    case ImageKind::pointwise: break;
  }
  return true;
}

bool check_passes(const ImageNode& node, const std::vector<ImageShape>& shapes,
                  std::string& error) {
  for (const ImagePass& pass : node.passes) {
    const ImageShape& shape = shapes[node.out];
    if (pass.other >= 0 && !(shapes[pass.other] == shape)) {
      return wrong(node, shape, "what is added has another size", error);
    }
    if (!pass.scale.empty() && static_cast<int64_t>(pass.scale.size()) != shape.channels) {
      return wrong(node, shape, "scaled by another number of channels", error);
    }
  }
  return true;
}

}  // namespace

bool spread_shapes(const ImageGraph& graph, std::vector<ImageShape>& shapes, std::string& error) {
  for (const ImageNode& node : graph.nodes) {
    if (!make_shape(node, shapes[node.in], shapes[node.out], error)) return false;
    if (!check_passes(node, shapes, error)) return false;
  }
  return true;
}

std::vector<bool> laned_registers(const ImageGraph& graph) {
  std::vector<bool> laned(graph.ranks.size());
  for (const ImageNode& node : graph.nodes) {
    bool made = node.kind == ImageKind::conv || node.kind == ImageKind::pool;
    if (node.kind == ImageKind::pointwise) {
      made = laned[node.in];
      for (const ImagePass& pass : node.passes) {
        made = made || (pass.other >= 0 && laned[pass.other]);
      }
    }
    laned[node.out] = made;
  }
  return laned;
}

}  // namespace rarefy
