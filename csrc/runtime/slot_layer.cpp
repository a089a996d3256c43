#include "slot_layer.h"

#include <atomic>
#include <cstdlib>

#include "product.h"
#include "slot_image.h"
#include "slot_linear.h"

namespace rarefy {
namespace {

// Code takes some 34 bytes an entry for the three operations, where the values, their gradient and
// an optimizer's moments take 16. So only so much of it is generated in a process: it is twice as
// fast as the kernels that read a matrix entry by entry.
constexpr int64_t kCodeOfEntry = 34;
constexpr int64_t kMegabytes = 48;

int64_t code_allowed() {
  static const int64_t bytes = [] {
    const char* const given = std::getenv("RAREFY_CODE_MB");
    char* end = nullptr;
    const long long megabytes = given ? std::strtoll(given, &end, 10) : kMegabytes;
    const bool good = !given || (end != given && !*end && megabytes >= 0 && megabytes < 1 << 20);
    return (good ? static_cast<int64_t>(megabytes) : kMegabytes) << 20;
  }();
  return bytes;
}

std::atomic<int64_t> code_of_process{0};

bool allowed(int64_t bytes) {
  if (code_of_process.fetch_add(bytes, std::memory_order_relaxed) + bytes <= code_allowed()) {
    return true;
  }
  code_of_process.fetch_sub(bytes, std::memory_order_relaxed);
  return false;
}

}  // namespace

SlotLayer::SlotLayer(Slots slots, const char* set, const LineKernels& kernels)
    : slots_(std::move(slots)),
      set_(set),
      kernels_(kernels),
      may_emit_(can_emit() && set_.compare(0, 2, "v4") == 0 &&
                allowed(kCodeOfEntry * slots_.entries)),
      code_(may_emit_ ? kCodeOfEntry * slots_.entries : 0) {}

SlotLayer::~SlotLayer() { code_of_process.fetch_sub(code_, std::memory_order_relaxed); }

const SlotProduct* SlotParts::product() const {
  std::string error;
  return product_.get(
      [&] { return SlotProduct::make(slots_, near_, false, false, may_emit_, set_, error); });
}

const SlotProduct* SlotParts::twin() const {
  std::string error;
  return twin_.get(
      [&] { return SlotProduct::make(slots_, near_, true, adds_, may_emit_, set_, error); });
}

const SlotGradient* SlotParts::gradient() const {
  std::string error;
  return gradient_.get([&] { return SlotGradient::make(slots_, apart_, may_emit_, set_, error); });
}

int64_t SlotParts::bytes() const {
  int64_t bytes = static_cast<int64_t>(slots_.positions.size() * 2 + slots_.start.size() * 4);
  if (const auto* made = product_.if_there()) bytes += made->bytes();
  if (const auto* made = twin_.if_there()) bytes += made->bytes();
  if (const auto* made = gradient_.if_there()) bytes += made->bytes();
  return bytes;
}

std::unique_ptr<SlotLayer> SlotLayer::make(const int32_t* words, int64_t count,
                                           const int64_t* geometry, const char* set,
                                           std::string& error) {
  Slots slots;
  LineKernels kernels;
  if (!Slots::read(words, count, slots, error) || !LineKernels::find(set, kernels, error)) {
    return nullptr;
  }
  if (geometry) return make_image(std::move(slots), geometry, set, kernels, error);
  return make_linear(std::move(slots), set, kernels);
}

}  // namespace rarefy
