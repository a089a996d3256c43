// Products with a weight as dense tiles, by the instructions that multiply tiles (AMX) where the
// caller has found that CPU and system allow them, else by plain loops.
#include <algorithm>
#include <optional>
#include <type_traits>

#include "kernels.h"
#include "window_finish.h"
#include "window_numbers.h"

namespace {

using namespace rarefy;

constexpr int64_t kTile = 1024, kLine = 64, kGroupRows = 32;

#if defined(__AVX512VNNI__) && defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 11
#define RAREFY_TILES __attribute__((target("amx-tile,amx-int8,amx-bf16")))

// Palette 1, every tile 16 lines of 64 bytes. 0-3: sums of two blocks of tokens x two of rows;
// 4, 5: tokens; 6, 7: weights.
struct alignas(64) TileSetup {
  uint8_t palette = 1, start = 0, zero[14] = {};
  uint16_t line_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// `between` is called at every step: tiles are multiplied beside what the other pipes do.
template <bool integers, class Between>
RAREFY_TILES void products(const uint8_t* weights, const uint8_t* x, int64_t stride, int64_t depth,
                           bool two, void* sums, const Between& between) {
  const auto to = static_cast<uint8_t*>(sums);
  const auto row = static_cast<int>(4 * kGroupRows);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t k = 0; k < depth; ++k, weights += 2 * kTile, x += kLine) {
    _tile_loadd(4, x, static_cast<int>(stride));
    _tile_loadd(6, weights, static_cast<int>(kLine));
    _tile_loadd(7, weights + kTile, static_cast<int>(kLine));
    if constexpr (integers) {
      _tile_dpbusd(0, 4, 6);
      _tile_dpbusd(1, 4, 7);
    } else {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (two) {
      _tile_loadd(5, x + 16 * stride, static_cast<int>(stride));
      if constexpr (integers) {
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
      } else {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    between();
  }
  _tile_stored(0, to, row);
  _tile_stored(1, to + kLine, row);
  _tile_stored(2, to + 16 * row, row);
  _tile_stored(3, to + 16 * row + kLine, row);
}

// Lies in memory for good: the intrinsic tells the compiler of its first bytes only.
const TileSetup kSetup;

struct Configured {
  RAREFY_TILES Configured() { _tile_loadconfig(&kSetup); }
  RAREFY_TILES ~Configured() { _tile_release(); }
};
#else
#define RAREFY_TILES
struct Configured {
  Configured() {}
};

template <bool integers, class Between>
void products(const uint8_t* weights, const uint8_t* x, int64_t stride, int64_t depth, bool two,
              void* sums, const Between&) {
  using Sum = std::conditional_t<integers, int32_t, float>;
  for (int64_t token = 0; token < (two ? 32 : 16); ++token) {
    for (int64_t row = 0; row < kGroupRows; ++row) {
      Sum sum = 0;
      for (int64_t k = 0; k < depth * kLine; k += integers ? 1 : 2) {
        const uint8_t* const weight = weights + k / kLine * 2 * kTile + row / 16 * kTile +
                                      k % kLine / 4 * kLine + row % 16 * 4 + k % 4;
        const uint8_t* const at = x + token * stride + k;
        if constexpr (integers) {
          sum += static_cast<int8_t>(*weight) * int32_t{*at};
        } else {
          uint16_t a, b;
          std::memcpy(&a, at, 2);
          std::memcpy(&b, weight, 2);
          sum += float_of_bf16(a) * float_of_bf16(b);
        }
      }
      static_cast<Sum*>(sums)[token * kGroupRows + row] = sum;
    }
  }
}
#endif

inline void prefetch(const uint8_t* line) {
#if defined(__GNUC__)
  __builtin_prefetch(line, 0, 2);  // into the second cache
#else
  (void)line;
#endif
}

template <bool integers>
RAREFY_TILES void tiles(const TileForm& form, const WindowCall& call) {
  using Sum = std::conditional_t<integers, int32_t, float>;
  const Configured while_here;
  alignas(64) Sum sums[2][32 * kGroupRows];
  std::optional<Finisher<Sum>> before;  // of the block whose sums are done
  const int64_t blocks = (call.tokens + 31) / 32, panel = form.depth * 2 * kTile;
  const int64_t tokens_each = (32 + form.depth - 1) / std::max<int64_t>(form.depth, 1);
  // The next group's weights are fetched ahead where each step has time for it.
  const int64_t lines_each = blocks < 4 ? 0 : 2 * kTile / kLine / blocks;
  int turn = 0;
  for (int64_t group = call.first; group < call.last; ++group) {
    const uint8_t* const weights = form.tiles + group * panel;
    const uint8_t* next = weights + (group + 1 < call.last ? panel : 0);
    for (int64_t token = 0; token < call.tokens; token += 32, turn ^= 1) {
      const int64_t left = call.tokens - token;
      products<integers>(weights, call.x + token * call.x_stride, call.x_stride, form.depth,
                         left > 16, sums[turn], [&] {
                           for (int64_t i = 0; i < lines_each; ++i, next += kLine) prefetch(next);
                           if (before) before->some(tokens_each);
                         });
      if (before) before->rest();
      before.emplace(call, sums[turn], Sums{kGroupRows, token, std::min<int64_t>(left, 32),
                                            group * kGroupRows, kGroupRows});
    }
  }
  if (before) before->rest();
}

}  // namespace

extern "C" {
void RAREFY_JOIN(window_tiles_w8a8, RAREFY_SET)(const TileForm* form, const WindowCall* call) {
  tiles<true>(*form, *call);
}
void RAREFY_JOIN(window_tiles_bf16, RAREFY_SET)(const TileForm* form, const WindowCall* call) {
  tiles<false>(*form, *call);
}
}
