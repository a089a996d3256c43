// Products of an image program, made when a layout first asks for them and shared while in use.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "few.h"
#include "image_graph.h"
#include "image_latch.h"
#include "product.h"

namespace rarefy {

// May be asked by several threads at once.
class ImageProducts {
 public:
  explicit ImageProducts(const char* set) : set_(set) {}

  // Whether products are those of CPUs without generated code.
  bool interpreted = false;

  // Columns are (channel, kernel row, kernel column): `plane`, `pitch` and one line apart; rows of
  // the result are `result_plane` lines apart. Null, and one line, where it cannot be made.
  std::shared_ptr<const Product> get(const ImageNode& node, int64_t plane, int64_t pitch,
                                     int64_t result_plane, std::string& error);
  // Of a linear node, for a few images in torch's order.
  std::shared_ptr<const Few> few(const ImageNode& node, std::string& error);

 private:
  using Key = std::tuple<const ImageWeight*, int64_t, int64_t, int64_t>;

  const std::string set_;
  ImageLatch latch_;
  std::map<Key, std::weak_ptr<const Product>> products_;
  std::map<const ImageWeight*, std::shared_ptr<const Few>> few_;
};

}  // namespace rarefy
