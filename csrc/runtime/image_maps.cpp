// Which tiles the lanes hold, size by size, by a rough count of cycles: multiply-adds of the lines
// (empty lanes cost as much as full ones), code that is fetched once for 32 of them, lines moved at
// the ring and between maps, and what does not fit into the second cache.
#include <algorithm>

#include "image_shapes.h"

namespace rarefy {
namespace {

constexpr double kMultiplyAdd = 0.6, kCode = 0.5, kResult = 6, kMoved = 4, kSplit = 4, kPooled = 2;
constexpr double kByteOutside = 0.125, kCacheBytes = 1.5e6;
constexpr int64_t kPositions = 32;

class Chooser {
 public:
  Chooser(const ImageGraph& graph, const std::vector<ImageShape>& shapes, int64_t images)
      : graph_(graph), shapes_(shapes), laned_(laned_registers(graph)), most_(images) {}

  ImageMaps choose() {
    for (const ImageNode& node : graph_.nodes) {
      if (laned_[node.out]) choose(shapes_[node.out]);
      if (node.kind == ImageKind::mean) choose(shapes_[node.in]);
    }
    return std::move(maps_);
  }

 private:
  void choose(const ImageShape& shape) {
    const std::pair<int64_t, int64_t> size{shape.size[0], shape.size[1]};
    if (maps_.of_size.count(size)) return;
    LaneMap best;
    double least = -1;
    if (never_sideways(shape)) {
      best = LaneMap::in_order(shape.pixels());
      least = stage(best, shape);
    }
    for (int64_t images = 1; images <= most_; images *= 2) {
      for (int64_t down = 1; down * images <= kLine; ++down) {
        for (int64_t across = 1; across * down * images <= kLine; ++across) {
          LaneMap map;
          map.images = images;
          if (!cut(map, 0, down, shape.size[0]) || !cut(map, 1, across, shape.size[1])) continue;
          const double cycles = stage(map, shape) / static_cast<double>(images);
          if (least < 0 || cycles < least) {
            least = cycles;
            best = map;
          }
        }
      }
    }
    maps_.of_size[size] = best;
    maps_.costs.push_back({best.images, least * static_cast<double>(best.images)});
  }

  // Whether no window reaches from a pixel of these images to another.
  bool never_sideways(const ImageShape& shape) const {
    for (const ImageNode& node : graph_.nodes) {
      if (node.kind != ImageKind::conv && node.kind != ImageKind::pool) continue;
      const ImageShape &in = shapes_[node.in], &out = shapes_[node.out];
      const bool here = (in.size[0] == shape.size[0] && in.size[1] == shape.size[1]) ||
                        (out.size[0] == shape.size[0] && out.size[1] == shape.size[1]);
      if (here && !node.window.single()) return false;
    }
    return true;
  }

  // False where fewer tiles of that length would do.
  static bool cut(LaneMap& map, int side, int64_t tiles, int64_t length) {
    map.tiles[side] = tiles;
    map.tile[side] = (length + tiles - 1) / tiles;
    return (length + map.tile[side] - 1) / map.tile[side] == tiles;
  }

  // All nodes whose result has this size.
  double stage(const LaneMap& map, const ImageShape& shape) const {
    auto cycles = static_cast<double>(map.lines());
    for (const ImageNode& node : graph_.nodes) {
      const ImageShape& out = shapes_[node.out];
      if (!laned_[node.out] || out.size[0] != shape.size[0] || out.size[1] != shape.size[1]) {
        continue;
      }
      cycles += one(node, map);
    }
    return cycles;
  }

  double one(const ImageNode& node, const LaneMap& map) const {
    const auto lines = static_cast<double>(map.lines());
    const auto out = static_cast<double>(shapes_[node.out].channels);
    const auto in = static_cast<double>(shapes_[node.in].channels);
    const double ringed = with_ring(map, 2, 2);
    const bool one_tile = map.tiles[0] * map.tiles[1] == 1;
    double cycles = lines * out * kResult + (ringed - lines) * out * (one_tile ? 1 : kMoved);
    if (node.kind == ImageKind::pointwise) return cycles;
    const LaneMap before = map.before(node.window);
    const double read = with_ring(before, node.window.size[0] - node.window.stride[0],
                                  node.window.size[1] - node.window.stride[1]);
    const auto taps = static_cast<double>(node.window.size[0] * node.window.size[1]);
    if (node.kind == ImageKind::pool) cycles += lines * out * taps * kPooled;
    if (node.kind == ImageKind::conv) {
      const auto codes = static_cast<double>((map.lines() + kPositions - 1) / kPositions);
      const auto entries = static_cast<double>(node.weight->tiles.nonzero);
      cycles += entries * (lines * kMultiplyAdd + codes * kCode);
    }
    const double bytes = 64 * (in * read + out * ringed);
    cycles += std::max(0., bytes - kCacheBytes) * kByteOutside;
    if (!laned_[node.in]) return cycles + in * read * (map.flat ? 1 : kSplit);
    const ImageShape& given = shapes_[node.in];
    const auto found = maps_.of_size.find({given.size[0], given.size[1]});
    const bool moved = found != maps_.of_size.end() && !(found->second == before);
    return cycles + (moved ? in * read * 2 * kMoved : 0);
  }

  static double with_ring(const LaneMap& map, int64_t tall, int64_t wide) {
    return static_cast<double>((map.tile[0] + std::max<int64_t>(0, tall)) *
                               (map.tile[1] + std::max<int64_t>(0, wide)));
  }

  const ImageGraph& graph_;
  const std::vector<ImageShape>& shapes_;
  const std::vector<bool> laned_;
  const int64_t most_;
  ImageMaps maps_;
};

}  // namespace

double ImageMaps::cycles(int64_t images) const {
  double sum = 0;
  for (const Cost& cost : costs) {
    sum += cost.cycles * static_cast<double>((images + cost.images - 1) / cost.images);
  }
  return sum;
}

ImageMaps choose_maps(const ImageGraph& graph, const std::vector<ImageShape>& shapes,
                      int64_t images) {
  return Chooser(graph, shapes, images).choose();
}

}  // namespace rarefy
