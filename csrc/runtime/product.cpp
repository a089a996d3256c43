#include "product.h"

#include <algorithm>

#include "../emit/generated.h"

namespace rarefy {
namespace {

// Columns whose activations stay in the first cache; the fewer entries, the more columns, since
// every pass reads and writes the results once more.
int64_t lines_of_pass(const Tiles& tiles) {
  const double density =
      static_cast<double>(tiles.nonzero) / std::max<double>(1, 1.0 * tiles.rows * tiles.columns);
  if (density > 0.4) return 128;
  return density > 0.15 ? 256 : 384;
}

}  // namespace

bool can_emit() {
#if defined(__x86_64__) && (defined(__linux__) || defined(__APPLE__))
  static const bool can = [] {
    if (!__builtin_cpu_supports("avx512f")) return false;
    CodeMemory trial(1);
    return trial.make_executable(1);
  }();
  return can;
#else
  return false;
#endif
}

void Product::run(int first, int last, const float* x, int64_t x_stride, float* y,
                  int64_t y_stride, int groups, const float* bias, bool relu) const {
  constexpr int kAtOnce = 64;
  int64_t x_at[kAtOnce], y_at[kAtOnce];
  for (int done = 0; done < groups; done += kAtOnce) {
    const int count = std::min(kAtOnce, groups - done);
    for (int g = 0; g < count; ++g) {
      x_at[g] = (done + g) * x_stride;
      y_at[g] = (done + g) * y_stride;
    }
    run_at(first, last, x, x_at, y, y_at, count, bias, relu);
  }
}

std::unique_ptr<Product> Product::make(const Tiles& tiles, const char* set,
                                       const int32_t* x_offset, const int32_t* y_offset,
                                       std::string& error) {
  if (can_emit()) {
    auto made = Generated::make(tiles, x_offset, y_offset, lines_of_pass(tiles));
    if (made) return made;
  }
  return interpreted(tiles, set, x_offset, y_offset, error);
}

}  // namespace rarefy
