#include "few.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace rarefy {
namespace {

// Places are 16-bit numbers.
constexpr int64_t kMostColumns = 65536;
// Blocks this full are worth their empty slots.
constexpr double kFullBlocks = 0.9;
// Below this density the two lines of a step leave more slots empty than gathers cost.
constexpr double kSparse = 0.03;
// Above so many entries (3 MB) a weight comes from beyond the second cache, where bytes count most:
// from this density down, distances take at least an eighth less than places in two lines.
constexpr int64_t kNear = 450000;
constexpr double kFewerBytes = 0.15;

// Lanes of the vectors that the set's kernel is compiled for, as in few_lanes.h.
int lanes_of(const char* set) {
  if (!std::strncmp(set, "v4", 2)) return 16;
  return !std::strncmp(set, "v3", 2) ? 8 : 1;
}

bool holds(FewKind kind, int64_t columns, int lanes) {
  if (kind == FewKind::rows) return true;
  if (lanes == 1) return false;
  if (kind == FewKind::delta) return true;
  return columns <= kMostColumns && (kind != FewKind::flat || columns >= 4);
}

// Whether gathers run at a load an element and the third cache is slow beside them: Intel's servers
// since Sapphire Rapids, known by their half-precision arithmetic. Elsewhere gathers cost several
// times more than permutations, or microcode made them slow.
bool gathers_are_fast() {
#if defined(__x86_64__)
  static const bool fast = [] {
    uint32_t a = 0, b = 0, c = 0, d = 0;
    constexpr uint32_t intel[] = {0x756E6547, 0x49656E69, 0x6C65746E};  // "GenuineIntel"
    if (!__get_cpuid(0, &a, &b, &c, &d)) return false;
    if (b != intel[0] || d != intel[1] || c != intel[2]) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 23 & 1) != 0;
  }();
  return fast;
#else
  return false;
#endif
}

FewKind best_kind(const Lists& lists, int lanes, int64_t tokens) {
  if (lanes == 1) return FewKind::rows;
  if (lists.columns > kMostColumns) return FewKind::delta;
  const auto full = [&](int height, int width) {
    const int64_t met = blocks_met(lists, height, width);
    return met && static_cast<double>(lists.nonzero()) >=
                      kFullBlocks * static_cast<double>(met * height * width);
  };
  if (full(lanes, 1)) return FewKind::column;
  if (full(4, 1)) return FewKind::tall;
  if (holds(FewKind::flat, lists.columns, lanes) && full(1, 4)) return FewKind::flat;
  const double density = static_cast<double>(lists.nonzero()) /
                         std::max(1.0, static_cast<double>(lists.rows) * lists.columns);
  if (density < kSparse) return FewKind::delta;
  const bool from_afar = lists.nonzero() > kNear && density < kFewerBytes;
  return tokens == 1 && from_afar && gathers_are_fast() ? FewKind::delta : FewKind::pick;
}

FewParts lay_out(FewKind kind, const Lists& lists, int lanes) {
  switch (kind) {
    case FewKind::pick: return few_pick(lists, lanes);
    case FewKind::delta: return few_delta(lists, lanes);
    case FewKind::column: return few_column(lists, lanes);
    case FewKind::tall: return few_tall(lists, lanes);
    case FewKind::flat: return few_flat(lists, lanes);
    default: return few_rows(lists);
  }
}

}  // namespace

std::unique_ptr<Few> Few::make(const Tiles& tiles, const char* set, std::string& error,
                               int64_t tokens) {
  const Lists lists(tiles);
  return make_from(best_kind(lists, lanes_of(set), tokens), lists, set, error);
}

std::unique_ptr<Few> Few::make_as(FewKind kind, const Tiles& tiles, const char* set,
                                  std::string& error) {
  return make_from(kind, Lists(tiles), set, error);
}

std::unique_ptr<Few> Few::make_from(FewKind kind, const Lists& lists, const char* set,
                                    std::string& error) {
  const auto kernel = reinterpret_cast<few<float>*>(rarefy_kernel("few_f32", set));
  if (!kernel) {
    error = std::string("there are no kernels for a few tokens in the set ") + set;
    return nullptr;
  }
  const int lanes = lanes_of(set);
  if (!holds(kind, lists.columns, lanes)) {
    error = std::string("this layout for a few tokens does not hold this weight in the set ") + set;
    return nullptr;
  }
  std::unique_ptr<Few> made(new Few());
  made->parts_ = lay_out(kind, lists, lanes);
  made->kernel_ = kernel;
  made->rows = lists.rows;
  made->columns = lists.columns;
  made->parts = made->parts_.form.groups;
  return made;
}

const char* Few::name() const {
  static const char* const names[] = {"rows", "pick", "delta", "column", "tall", "flat"};
  return names[static_cast<int>(kind())];
}

void Few::run(int64_t first, int64_t last, const float* x, int64_t x_stride, float* y,
              int64_t y_stride, int64_t tokens, const float* bias, bool relu) const {
  for (int64_t t = 0; t < tokens; t += kFewTokens) {
    const auto some = static_cast<int32_t>(std::min<int64_t>(kFewTokens, tokens - t));
    kernel_(&parts_.form, first, last, x + t * x_stride, x_stride, y + t * y_stride, y_stride, some,
            bias, relu);
  }
}

}  // namespace rarefy
