// Which lanes go where: the ring around tiles, and from one map of lanes to another.
#include <algorithm>
#include <array>

#include "lanes.h"

namespace rarefy {
namespace {

using Order = std::array<int32_t, kLine>;

// Where a pixel lies: line (in floats from the start of the line group) and lane.
struct Place {
  int64_t at;
  int lane;
};

class Builder {
 public:
  Builder(const LaneLayout& from, const LaneLayout& to, int64_t slot, int64_t first_image)
      : from_(from), to_(to), slot_(slot), first_image_(first_image) {}

  void add(int64_t y, int64_t x) {
    const size_t start = found_.takes.size();
    std::vector<Order> orders;
    for (int lane = 0; lane < kLine; ++lane) {
      const LanePixel pixel = pixel_of(to_, lane, y, x);
      if (pixel.image < 0) continue;
      const Place place = place_of(pixel);
      size_t i = start;
      while (i < found_.takes.size() && found_.takes[i].from != place.at) ++i;
      if (i == found_.takes.size()) {
        found_.takes.push_back({place.at, 0, 0});
        orders.push_back(Order{});
      }
      found_.takes[i].kept |= 1u << lane;
      orders[i - start][lane] = place.lane;
    }
    for (size_t i = start; i < found_.takes.size(); ++i) {
      found_.takes[i].permutation = number_of(orders[i - start]);
    }
    found_.moves.push_back(
        {kLine * to_.line(y, x), static_cast<int32_t>(found_.takes.size() - start)});
  }

  LaneMoves finish() {
    for (const Order& order : orders_) {
      found_.permutations.insert(found_.permutations.end(), order.begin(), order.end());
    }
    return std::move(found_);
  }

 private:
  Place place_of(const LanePixel& pixel) const {
    const LaneMap& map = from_.map;
    const int64_t image = first_image_ + pixel.image;
    if (map.flat) {
      const int64_t at = pixel.y * from_.size[1] + pixel.x;
      return {image * slot_ + kLine * from_.line(0, at / kLine), static_cast<int>(at % kLine)};
    }
    const int64_t down = pixel.y / map.tile[0], across = pixel.x / map.tile[1];
    const int64_t line = from_.line(pixel.y % map.tile[0], pixel.x % map.tile[1]);
    const int64_t lane = (image % map.images * map.tiles[0] + down) * map.tiles[1] + across;
    return {image / map.images * slot_ + kLine * line, static_cast<int>(lane)};
  }

  int32_t number_of(const Order& order) {
    const auto at = std::find(orders_.begin(), orders_.end(), order);
    if (at == orders_.end()) {
      orders_.push_back(order);
      return static_cast<int32_t>(orders_.size() - 1);
    }
    return static_cast<int32_t>(at - orders_.begin());
  }

  const LaneLayout& from_;
  const LaneLayout& to_;
  const int64_t slot_, first_image_;
  std::vector<Order> orders_;
  LaneMoves found_;
};

}  // namespace

LaneMoves moves_of_ring(const LaneLayout& layout) {
  Builder builder(layout, layout, 0, 0);
  const LaneMap& map = layout.map;
  const std::vector<uint16_t> kept = kept_of(layout);
  const auto used = static_cast<uint16_t>((1u << map.lanes()) - 1);
  for (int64_t y = -layout.before[0]; y < map.tile[0] + layout.after[0]; ++y) {
    for (int64_t x = -layout.before[1]; x < map.tile[1] + layout.after[1]; ++x) {
      const bool in_tile = y >= 0 && y < map.tile[0] && x >= 0 && x < map.tile[1];
      if (in_tile && kept[y * map.tile[1] + x] == used) continue;
      builder.add(y, x);
    }
  }
  return builder.finish();
}

LaneMoves moves_between(const LaneLayout& from, const LaneLayout& to, int64_t slot,
                        int64_t first_image) {
  Builder builder(from, to, slot, first_image);
  for (int64_t y = -to.before[0]; y < to.map.tile[0] + to.after[0]; ++y) {
    for (int64_t x = -to.before[1]; x < to.map.tile[1] + to.after[1]; ++x) builder.add(y, x);
  }
  return builder.finish();
}

}  // namespace rarefy
