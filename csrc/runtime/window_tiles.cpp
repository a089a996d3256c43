// A weight as tiles. Where a CPU multiplies whole tiles, zeros cost less there than finding the
// weights between them, down to a few per cent of density. Tiles may lie dense in memory, or as bits
// and values that become tiles just before they are multiplied: less to read and to hold.
#include <algorithm>

#include "window_forms.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace rarefy {
namespace {

constexpr int64_t kTile = 1024, kGroupRows = 32;
// Bytes of tiles for an entry; where it takes more, other forms are far faster.
constexpr int64_t kLargestTimes = 256;

class WeightTiles final : public TokenMajor {
 public:
  const char* form() const override { return form_.tiles ? "tiles" : "masks"; }
  int64_t bytes() const override {
    return static_cast<int64_t>(memory_.size() + masks_.size() + values_.size());
  }
  int units() const override { return static_cast<int>(form_.groups); }
  int64_t work(int) const override { return form_.depth; }

  bool fill(const Quantized& weight, const char* set, bool dense, std::string& error) {
    multiply_ = reinterpret_cast<window_tiles<void>*>(window_kernel(
        weight.kind == kW8A8 ? "window_tiles_w8a8" : "window_tiles_bf16", set, error));
    if (!multiply_) return false;
    form_.groups = (weight.rows + kGroupRows - 1) / kGroupRows;
    form_.depth = (weight.columns * activation_bytes(weight.kind) + 63) / 64;
    if (form_.groups * form_.depth * 2 * kTile > kLargestTimes * (weight.nonzero() + 4096)) {
      error = "the weight has too few entries for tiles";
      return false;
    }
    fills_up_ = true;
    if (!take(weight, set, form_.groups * kGroupRows, error)) return false;
    dense ? fill_tiles(weight) : fill_masks(weight);
    return true;
  }

 protected:
  void multiply(const WindowCall& call) const override { multiply_(&form_, &call); }
  int64_t groups_at_once(int64_t first, int64_t last, int64_t) const override {
    return last - first;
  }
  int64_t space(int64_t tokens) const override { return tile_space(tokens); }

 private:
  // The tiles of rows [first, first + kGroupRows), which are all zero before.
  void put_group(const Quantized& weight, int64_t first, uint8_t* tiles) const {
    const int64_t wide = activation_bytes(weight.kind);
    const int64_t end = std::min(first + kGroupRows, weight.rows);
    for (int64_t row = first; row < end; ++row) {
      uint8_t* const of_row = tiles + (row - first) / 16 * kTile + (row - first) % 16 * 4;
      for (int64_t i = weight.start[row]; i < weight.start[row + 1]; ++i) {
        const int64_t byte = weight.column[i] * wide;
        uint8_t* const to = of_row + byte / 64 * 2 * kTile + byte % 64 / 4 * 64 + byte % 4;
        const auto value = static_cast<uint16_t>(weight.value[i]);
        to[0] = static_cast<uint8_t>(value);
        if (wide == 2) to[1] = static_cast<uint8_t>(value >> 8);
      }
    }
  }

  void fill_tiles(const Quantized& weight) {
    const int64_t bytes = form_.depth * 2 * kTile;
    memory_.assign(form_.groups * bytes + 64, 0);
    uint8_t* const tiles = memory_.data() + (-reinterpret_cast<uintptr_t>(memory_.data()) & 63);
    for (int64_t g = 0; g < form_.groups; ++g) put_group(weight, g * kGroupRows, tiles + g * bytes);
    form_.tiles = tiles;
  }

  void fill_masks(const Quantized& weight) {
    const int64_t bytes = form_.depth * 2 * kTile, wide = activation_bytes(weight.kind);
    std::vector<uint8_t> group(bytes);
    masks_.assign(form_.groups * bytes / wide / 8 + 8, 0);
    values_.reserve(weight.nonzero() * wide + 64);
    for (int64_t g = 0; g < form_.groups; ++g) {
      std::fill(group.begin(), group.end(), 0);
      put_group(weight, g * kGroupRows, group.data());
      start_.push_back(static_cast<int64_t>(values_.size()));
      for (int64_t at = 0; at < bytes; at += wide) {
        if (!group[at] && !group[at + wide - 1]) continue;
        const int64_t bit = (g * bytes + at) / wide;
        masks_[bit / 8] |= static_cast<uint8_t>(1 << bit % 8);
        values_.insert(values_.end(), group.begin() + at, group.begin() + at + wide);
      }
    }
    values_.resize(values_.size() + 64, 0);
    form_.masks = masks_.data();
    form_.values = values_.data();
    form_.start = start_.data();
  }

  TileForm form_{};
  window_tiles<void>* multiply_ = nullptr;
  std::vector<uint8_t> memory_, masks_, values_;
  std::vector<int64_t> start_;
};

#if defined(__x86_64__) && defined(__linux__)
bool ask_for_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25;
  if ((d & (bf16 | tile | int8)) != (bf16 | tile | int8)) return false;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27))) return false;  // OSXSAVE
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned tile_state = 3u << 17;
  if ((low & tile_state) != tile_state) return false;
  // ARCH_REQ_XCOMP_PERM of XFEATURE_XTILEDATA.
  constexpr long ask_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, ask_permission, tile_data) == 0;
}
#else
bool ask_for_tiles() { return false; }
#endif

}  // namespace

bool can_use_tiles() {
  static const bool can = ask_for_tiles();
  return can;
}

std::unique_ptr<Window> make_tiles(const Quantized& weight, const char* set, bool dense,
                                   std::string& error) {
  if (weight.kind != kW8A8 && weight.kind != kBf16) {
    error = "tiles hold weights and activations of 8 bits, or bfloat16";
    return nullptr;
  }
  if (std::string(set) == kWindowSet && !can_use_tiles()) {
    error = "this CPU or its system does not multiply tiles";
    return nullptr;
  }
  auto made = std::make_unique<WeightTiles>();
  if (!made->fill(weight, set, dense, error)) return nullptr;
  return made;
}

}  // namespace rarefy
