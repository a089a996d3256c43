// An image program for images of one size: which lines hold what, and what runs when.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "few.h"
#include "image_shapes.h"
#include "product.h"

namespace rarefy {

// Positions of which a product's results wait beside each other until what follows is done.
constexpr int64_t kStagedLines = 32;
constexpr int64_t kStagedPitch = 33;

// Up to so many images a linear layer takes the kernel for few tokens, beyond it lines of 16.
constexpr int64_t kFewImages = 8;

// Lines of a value. `shared`: needed by more than one segment, so every pass keeps its own, `slot`
// floats apart; else it lies in the scratch of whoever runs the pass.
struct ImageTensor {
  LaneLayout layout;
  bool filled = false;         // whether what lies outside of the image matters
  int64_t rows_of_kernel = 1;  // of what reads it
  bool shared = false;
  int64_t offset = 0, slot = 0;
  int first = -1, last = -1;   // groups
  int segment = -1;            // where it is made; -1: not yet
};

// Numbers in torch's order, image after image.
struct ImagePlain {
  enum class Kind { none, input, output, own };
  Kind kind = Kind::none;
  int number = -1;             // of the input or output
  int64_t offset = 0;          // own: in the shared arena
  int64_t numbers = 0;         // of an image
};

enum class ActionKind { split, join, move, pool, mean, pass };

// Works channel by channel on one pass of images.
struct ImageAction {
  ActionKind kind;
  int from = -1, to = -1;      // tensors; split: from a register; join, mean: to a register
  const ImageNode* node = nullptr;
  std::vector<int> others;     // pass: tensors
  std::vector<LaneStrip> strips;
  std::vector<LaneMoves> moves;  // by the place of the images in their source
  std::vector<uint16_t> kept;
};

// A convolution, if any, then actions on its channels.
struct ImageGroup {
  const ImageNode* conv = nullptr;
  int x = -1, y = -1;
  std::vector<int> others;     // of the passes
  std::shared_ptr<const Product> product;
  bool by_rows = false;        // whether the product's blocks are the weight's
  bool staged = false;
  std::vector<int64_t> x_at, y_at;  // of every position
  int64_t channels = 0;
  std::vector<ImageAction> actions;

  // Parts of the convolution's rows, and the first row of each and of the end.
  int blocks() const { return by_rows ? product->blocks : 1; }
  int64_t first_row(int block) const {
    return by_rows ? conv->weight->tiles.first_row[block] : block * conv->rows;
  }
};

// Steps on plain numbers: of the node, or a copy of register `from` to output `to`.
struct ImageStep {
  const ImageNode* node = nullptr;
  int from = -1, to = -1;
  std::shared_ptr<const Few> few;          // linear
  std::shared_ptr<const Product> product;  // linear, where there may be many images
};

// Floats of scratch that a step needs.
int64_t step_floats(const ImageStep& step);

// What runs one after the other on `images` images at a time; 0: on plain numbers of all.
struct ImageSegment {
  int64_t images = 0;
  std::vector<ImageGroup> groups;
  std::vector<ImageStep> steps;
};

// Products that plans of the same chain share, by weight and layout.
class ImageProducts;

struct ImagePlan {
  std::vector<ImageShape> shapes;
  int64_t images = 0;          // at most, in a run
  std::vector<ImageTensor> tensors;
  std::vector<ImagePlain> plains;     // of every register
  std::vector<ImageSegment> segments;
  int64_t shared_floats = 0, scratch_floats = 0, staged_rows = 0;

  // Whether what the group's convolution makes is used by this group only.
  bool passing(const ImageGroup& group) const {
    const ImageTensor& y = tensors[group.y];
    return !y.shared && y.first == y.last;
  }

  static std::unique_ptr<ImagePlan> make(const ImageGraph& graph, const ImageMaps& maps,
                                         std::vector<ImageShape> shapes, int64_t images,
                                         ImageProducts& products, std::string& error);
};

}  // namespace rarefy
