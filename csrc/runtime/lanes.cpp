#include "lanes.h"

#include <algorithm>

namespace rarefy {
namespace {

constexpr int64_t kMostLines = (int64_t{1} << 31) / 64 - 1;  // as byte offsets of 32 bits

int64_t odd(int64_t lines) { return lines | 1; }

// Strips of 8 lines; the last one of a row overlaps the one before rather than being shorter.
std::vector<LaneStrip> strips_of(const LaneLayout& layout, bool with_ring) {
  const LaneMap& map = layout.map;
  if (map.flat) return {};
  int64_t first[2] = {0, 0}, last[2] = {map.tile[0], map.tile[1]};
  for (int side = 0; with_ring && side < 2; ++side) {
    first[side] -= layout.before[side];
    last[side] += layout.after[side];
  }
  const int64_t wide = last[1] - first[1], count = std::min<int64_t>(kLaneStrip, wide);
  std::vector<LaneStrip> strips;
  for (int64_t y = first[0]; y < last[0]; ++y) {
    for (int64_t done = 0; done < wide; done += kLaneStrip) {
      const int64_t x = first[1] + std::min(done, wide - count);
      LaneStrip strip = {};
      strip.line = kLine * layout.line(y, x);
      strip.count = static_cast<int32_t>(count);
      for (int lane = 0; lane < kLine; ++lane) {
        for (int i = 0; i < count; ++i) {
          const LanePixel pixel = pixel_of(layout, lane, y, x + i);
          if (pixel.image < 0) continue;
          strip.kept[lane] |= static_cast<uint8_t>(1 << i);
          const int64_t row = pixel.image * layout.channels * layout.size[0] + pixel.y;
          strip.from[lane] = row * layout.size[1] + pixel.x - i;
        }
      }
      strips.push_back(strip);
    }
  }
  return strips;
}

}  // namespace

bool LaneMap::operator==(const LaneMap& other) const {
  return images == other.images && tiles[0] == other.tiles[0] && tiles[1] == other.tiles[1] &&
         tile[0] == other.tile[0] && tile[1] == other.tile[1] && flat == other.flat;
}

LaneMap LaneMap::in_order(int64_t pixels) {
  LaneMap map;
  map.tiles[1] = kLine;
  map.tile[1] = (pixels + kLine - 1) / kLine;
  map.flat = true;
  return map;
}

LaneMap LaneMap::before(const ImageWindow& window) const {
  LaneMap map = *this;
  map.tile[0] *= window.stride[0];
  map.tile[1] *= window.stride[1];
  return map;
}

// The channels of a row of tiles lie side by side, then the next row: so offsets from one position
// stay small however large the image is. Odd steps spread the lines of a product over all sets of
// the first cache.
bool LaneLayout::arrange(int64_t rows_of_kernel) {
  plane = odd(before[1] + map.tile[1] + after[1]);
  const int64_t most = std::max<int64_t>(channels, 1);
  if (plane > kMostLines / most / (rows_of_kernel + 1)) return false;
  pitch = odd(plane * most);
  return true;
}

int64_t LaneLayout::floats() const {
  return kLine * pitch * (before[0] + map.tile[0] + after[0]);
}

LanePixel pixel_of(const LaneLayout& layout, int lane, int64_t y, int64_t x) {
  const LaneMap& map = layout.map;
  const int64_t of_image = map.tiles[0] * map.tiles[1];
  if (lane >= map.lanes()) return {-1, 0, 0};
  if (map.flat) {
    const int64_t pixel = x * kLine + lane;
    const bool there = y == 0 && x >= 0 && pixel < layout.size[0] * layout.size[1];
    return {there ? 0 : -1, pixel / layout.size[1], pixel % layout.size[1]};
  }
  const int64_t down = lane / map.tiles[1] % map.tiles[0] * map.tile[0] + y;
  const int64_t across = lane % map.tiles[1] * map.tile[1] + x;
  const bool inside = down >= 0 && down < layout.size[0] && across >= 0 && across < layout.size[1];
  return {inside ? lane / of_image : -1, down, across};
}

bool covers(const LaneLayout& layout) {
  const LaneMap& map = layout.map;
  if (map.flat) return true;
  return map.tiles[0] * map.tile[0] >= layout.size[0] &&
         map.tiles[1] * map.tile[1] >= layout.size[1];
}

std::vector<LaneStrip> strips_to_split(const LaneLayout& layout) {
  const bool covered = covers(layout);
  std::vector<LaneStrip> strips = strips_of(layout, !covered);
  const int64_t pixels = layout.size[0] * layout.size[1];
  const int64_t numbers = std::max<int64_t>(1, layout.channels * pixels);
  for (LaneStrip& strip : strips) {
    for (int lane = 0; lane < kLine; ++lane) {
      const int64_t in_plane = strip.from[lane] % numbers;
      const bool readable = in_plane >= 0 && in_plane + kLaneStrip <= pixels;
      if (readable && (covered || strip.kept[lane] == 0xff)) strip.whole |= 1u << lane;
    }
  }
  return strips;
}

// A lane may write more than it holds where lanes after it write that part of the row again.
std::vector<LaneStrip> strips_to_join(const LaneLayout& layout) {
  std::vector<LaneStrip> strips = strips_of(layout, false);
  for (LaneStrip& strip : strips) {
    for (int lane = 0; lane < kLine; ++lane) {
      const auto held = static_cast<uint8_t>((1 << strip.count) - 1);
      if (strip.kept[lane] != held || (strip.count < kLaneStrip && !covers(layout))) continue;
      const int64_t column = strip.from[lane] % layout.size[1];
      if (column + kLaneStrip <= layout.size[1]) strip.whole |= 1u << lane;
    }
  }
  return strips;
}

std::vector<uint16_t> kept_of(const LaneLayout& layout) {
  std::vector<uint16_t> kept;
  for (int64_t y = 0; y < layout.map.tile[0]; ++y) {
    for (int64_t x = 0; x < layout.map.tile[1]; ++x) {
      uint16_t lanes = 0;
      for (int lane = 0; lane < kLine; ++lane) {
        if (pixel_of(layout, lane, y, x).image >= 0) lanes |= static_cast<uint16_t>(1 << lane);
      }
      kept.push_back(lanes);
    }
  }
  return kept;
}

}  // namespace rarefy
