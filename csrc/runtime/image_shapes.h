// Sizes of every register of an image program, and which lanes hold its images.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "image_graph.h"

namespace rarefy {

// One image of a register: channels x height x width; features lie in channels.
struct ImageShape {
  int64_t channels = 0;
  int64_t size[2] = {1, 1};

  int64_t pixels() const { return size[0] * size[1]; }
  int64_t numbers() const { return channels * pixels(); }
  bool operator==(const ImageShape& other) const {
    return channels == other.channels && size[0] == other.size[0] && size[1] == other.size[1];
  }
};

// Completes the shapes from those of the inputs. False, and one line, where they do not fit.
bool spread_shapes(const ImageGraph& graph, std::vector<ImageShape>& shapes, std::string& error);

// Registers that are made in lanes: by convolutions, poolings, and what joins such.
std::vector<bool> laned_registers(const ImageGraph& graph);

// The map of lanes for images of a size: all values of that size share it, so that what adds them
// finds them in the same lanes.
struct ImageMaps {
  std::map<std::pair<int64_t, int64_t>, LaneMap> of_size;
  // Cycles, roughly, and how many images a pass takes, by size.
  struct Cost {
    int64_t images;
    double cycles;
  };
  std::vector<Cost> costs;

  const LaneMap& at(const ImageShape& shape) const {
    return of_size.at({shape.size[0], shape.size[1]});
  }
  // Of so many images at once, the lanes that stay empty included.
  double cycles(int64_t images) const;
};

// The cheapest maps that hold at most `images` images.
ImageMaps choose_maps(const ImageGraph& graph, const std::vector<ImageShape>& shapes,
                      int64_t images);

}  // namespace rarefy
