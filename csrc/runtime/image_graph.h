// An image program as the nodes that run: what follows a product number by number is part of it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../kernels/lanes.h"
#include "container.h"
#include "lanes.h"
#include "program.h"
#include "tiles.h"

namespace rarefy {

// A weight with its folded scale and bias; where it is not scaled, a view of the container's bytes.
struct ImageWeight {
  Tiles tiles;
  std::vector<float> scale, bias;  // per row; no scale: 1
};

// One pass over numbers: y = act(x * scale + shift, plus or times other).
struct ImagePass {
  std::vector<float> scale, shift;  // per channel, or empty
  LaneCombine combine = LaneCombine::none;
  int other = -1;                   // register
  bool acts = false;
  Op act = Op::relu;
  float low = 0, high = 0;
};

enum class ImageKind { conv, linear, pool, mean, flatten, pointwise };

struct ImageNode {
  ImageKind kind = ImageKind::pointwise;
  int in = -1, out = -1;  // registers
  int64_t rows = 0, columns = 0;
  ImageWindow window;
  std::shared_ptr<ImageWeight> weight;
  bool relu = false;      // by the product itself
  std::vector<ImagePass> passes;
};

struct ImageGraph {
  std::vector<int> inputs, outputs;  // registers
  std::vector<int> ranks;            // of every register
  std::vector<ImageNode> nodes;

  // False, and one line, where a section is wrong or a step is none of images.
  static bool make(const Program& program, const Container& container, ImageGraph& graph,
                   std::string& error);
};

}  // namespace rarefy
