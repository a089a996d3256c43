#include "image_products.h"

#include <vector>

namespace rarefy {

namespace {

std::shared_ptr<const Product> made(const ImageNode& node, const std::string& set,
                                    bool interpreted, int64_t plane, int64_t pitch,
                                    int64_t result_plane, std::string& error) {
  const Tiles& tiles = node.weight->tiles;
  const int64_t tall = node.window.size[0], wide = node.window.size[1];
  std::vector<int32_t> x_offset, y_offset;
  for (int64_t c = 0; c < tiles.columns; ++c) {
    const int64_t line = c / (tall * wide) * plane + c / wide % tall * pitch + c % wide;
    x_offset.push_back(static_cast<int32_t>(64 * line));
  }
  for (int64_t r = 0; r < tiles.rows; ++r) {
    y_offset.push_back(static_cast<int32_t>(64 * r * result_plane));
  }
  const auto make = interpreted ? Product::interpreted : Product::make;
  return make(tiles, set.c_str(), x_offset.data(), y_offset.data(), error);
}

}  // namespace

std::shared_ptr<const Product> ImageProducts::get(const ImageNode& node, int64_t plane,
                                                  int64_t pitch, int64_t result_plane,
                                                  std::string& error) {
  const Key key{node.weight.get(), plane, pitch, result_plane};
  std::shared_ptr<const Product> found;
  latch_.with([&] {
    const auto at = products_.find(key);
    if (at != products_.end()) found = at->second.lock();
  });
  if (found) return found;
  found = made(node, set_, interpreted, plane, pitch, result_plane, error);
  latch_.with([&] {
    for (auto at = products_.begin(); at != products_.end();) {
      at = at->second.expired() ? products_.erase(at) : std::next(at);
    }
    if (found) products_[key] = found;
  });
  return found;
}

std::shared_ptr<const Few> ImageProducts::few(const ImageNode& node, std::string& error) {
  std::shared_ptr<const Few> found;
  latch_.with([&] {
    const auto at = few_.find(node.weight.get());
    if (at != few_.end()) found = at->second;
  });
  if (found) return found;
  found = Few::make(node.weight->tiles, set_.c_str(), error);
  latch_.with([&] {
    if (found) few_[node.weight.get()] = found;
  });
  return found;
}

}  // namespace rarefy
