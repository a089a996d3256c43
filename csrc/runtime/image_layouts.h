// Decides the lines of every value of an image program: which copies there are, and their rings.
#pragma once
#include <vector>

#include "image_plan.h"

namespace rarefy {

// What a node reads and writes. Tensors; -1 where the operand is plain.
struct ImageUse {
  int64_t images = 0;          // of a pass; 0: plain
  int x = -1, y = -1;
  std::vector<int> others;
};

class ImageLayouts {
 public:
  ImageLayouts(const ImageGraph& graph, const ImageMaps& maps,
               const std::vector<ImageShape>& shapes);

  // False where an image is too large for 31-bit offsets.
  bool arrange();

  const std::vector<bool> laned;
  std::vector<bool> plain;              // registers that must also lie in torch's order
  std::vector<ImageTensor> tensors;
  std::vector<std::vector<int>> copies;  // of every register; its own place first
  std::vector<ImageUse> uses;           // of every node

 private:
  struct Need {
    LaneMap map;
    int64_t before[2] = {0, 0}, after[2] = {0, 0};
    bool filled = false;
    float fill = 0;
  };

  int add(int number, const Need& need);
  int find(int number, const Need& need);
  int find_for(int number, const LaneMap& map);
  int find_window(const ImageNode& node, const LaneMap& map);
  void place(int node);
  void place_result(int node, const LaneMap& map);
  bool can_replace(int node, int number, const LaneMap& map) const;

  const ImageGraph& graph_;
  const ImageMaps& maps_;
  const std::vector<ImageShape>& shapes_;
  std::vector<int> last_use_;           // node
};

}  // namespace rarefy
