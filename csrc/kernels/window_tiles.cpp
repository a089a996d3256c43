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

constexpr int64_t kTile = 1024, kLine = 64, kGroupRows = 32, kSums = 32 * kGroupRows * 4;

#if defined(__AVX512VNNI__) && defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 11
#define RAREFY_TILES __attribute__((target("amx-tile,amx-int8,amx-bf16,avx512vbmi2,popcnt")))

// Palette 1, every tile 16 lines of 64 bytes. 0-3: sums of two blocks of tokens x two of rows;
// 4, 5: tokens; 6, 7: weights.
struct alignas(64) TileSetup {
  uint8_t palette = 1, start = 0, zero[14] = {};
  uint16_t line_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// `between` is called at every step: tiles are multiplied beside what the other pipes do. `goes_on`:
// the sums begin with what stands there.
template <bool integers, class Between>
RAREFY_TILES void products(const uint8_t* weights, const uint8_t* x, int64_t stride, int64_t steps,
                           bool two, bool goes_on, void* sums, const Between& between) {
  const auto to = static_cast<uint8_t*>(sums);
  const auto row = static_cast<int>(4 * kGroupRows);
  if (goes_on) {
    _tile_loadd(0, to, row);
    _tile_loadd(1, to + kLine, row);
    _tile_loadd(2, to + 16 * row, row);
    _tile_loadd(3, to + 16 * row + kLine, row);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < steps; ++k, weights += 2 * kTile, x += kLine) {
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

template <int wide>
RAREFY_TILES inline const uint8_t* spread_line(const uint8_t* mask, const uint8_t* values,
                                               uint8_t* to) {
  __m512i some = _mm512_loadu_si512(values);
  __asm__("" : "+v"(some));  // else the compiler lets the instruction read memory, which is slow
  uint64_t bits = 0;
  std::memcpy(&bits, mask, 8 / wide);
  if constexpr (wide == 1) {
    _mm512_store_si512(to, _mm512_maskz_expand_epi8(bits, some));
  } else {
    _mm512_store_si512(to, _mm512_maskz_expand_epi16(static_cast<__mmask32>(bits), some));
  }
  return values + wide * __builtin_popcountll(bits);
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
void products(const uint8_t* weights, const uint8_t* x, int64_t stride, int64_t steps, bool two,
              bool goes_on, void* sums, const Between& between) {
  using Sum = std::conditional_t<integers, int32_t, float>;
  for (int64_t token = 0; token < (two ? 32 : 16); ++token) {
    for (int64_t row = 0; row < kGroupRows; ++row) {
      Sum& sum = static_cast<Sum*>(sums)[token * kGroupRows + row];
      if (!goes_on) sum = 0;
      for (int64_t k = 0; k < steps * kLine; k += integers ? 1 : 2) {
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
    }
  }
  for (int64_t k = 0; k < steps; ++k) between();
}

template <int wide>
inline const uint8_t* spread_line(const uint8_t* mask, const uint8_t* values, uint8_t* to) {
  for (int bit = 0; bit < 64 / wide; ++bit) {
    const bool there = mask[bit / 8] >> bit % 8 & 1;
    for (int byte = 0; byte < wide; ++byte) to[wide * bit + byte] = there ? *values++ : 0;
  }
  return values;
}
#endif

inline void prefetch(const uint8_t* line) {
#if defined(__GNUC__)
  __builtin_prefetch(line, 0, 2);  // into the second cache
#else
  (void)line;
#endif
}

// Brings weights from bits and values to tiles, some lines at a time.
template <int wide>
class Spreader {
 public:
  Spreader(const uint8_t* masks, const uint8_t* values) : mask_(masks), value_(values) {}
  void begin(uint8_t* to, int64_t lines) { to_ = to, left_ = lines; }
  RAREFY_TILES void some(int64_t lines) {
    lines = std::min(lines, left_);
    // In registers: bytes that are written could be members for all the compiler knows.
    const uint8_t *mask = mask_, *value = value_;
    uint8_t* to = to_;
    for (int64_t i = 0; i < lines; ++i, mask += 8 / wide, to += kLine) {
      value = spread_line<wide>(mask, value, to);
    }
    mask_ = mask, value_ = value, to_ = to;
    left_ -= lines;
  }
  void rest() { some(left_); }

 private:
  const uint8_t *mask_, *value_;
  uint8_t* to_ = nullptr;
  int64_t left_ = 0;
};

// Fetches weights that come next towards the second cache.
class Fetcher {
 public:
  void begin(const uint8_t* from, int64_t lines) { at_ = from, left_ = lines; }
  void some(int64_t lines) {
    lines = std::min(lines, left_);
    left_ -= lines;
    for (; lines > 0; --lines, at_ += kLine) prefetch(at_);
  }
  void rest() {}

 private:
  const uint8_t* at_ = nullptr;
  int64_t left_ = 0;
};

// Tiles of 32 rows and some steps of activations are one panel, which all tokens meet before the
// next. While a panel is multiplied, the next is made ready, and sums that are done leave.
template <bool integers, class Next>
RAREFY_TILES void panels(const TileForm& form, const WindowCall& call, Next& next) {
  using Sum = std::conditional_t<integers, int32_t, float>;
  constexpr bool spreads = !std::is_same_v<Next, Fetcher>;
  const Configured while_here;
  const int64_t blocks = (call.tokens + 31) / 32, chunks = tile_chunks(form.depth);
  uint8_t* const sums = call.space;
  uint8_t* const spread = sums + 2 * blocks * kSums;
  std::optional<Finisher<Sum>> before;  // of the block whose sums are done
  const auto steps_of = [&](int64_t p) {
    const int64_t c = p % chunks;
    return (c + 1) * form.depth / chunks - c * form.depth / chunks;
  };
  const auto begin_next = [&](int64_t p) {
    if constexpr (spreads) {
      next.begin(spread + p % 2 * kTileSteps * 2 * kTile, 2 * kTile / kLine * steps_of(p));
    } else {
      const int64_t step = p / chunks * form.depth + p % chunks * form.depth / chunks;
      next.begin(form.tiles + step * 2 * kTile, 2 * kTile / kLine * steps_of(p));
    }
  };
  const int64_t first = call.first * chunks, last = call.last * chunks;
  if (spreads && first < last) {
    begin_next(first);
    next.rest();
  }
  for (int64_t p = first; p < last; ++p) {
    const int64_t group = p / chunks, from = p % chunks * form.depth / chunks;
    const int64_t steps = steps_of(p), tokens_each = 32 / std::max<int64_t>(steps, 1) + 1;
    const uint8_t* const weights = spreads ? spread + p % 2 * kTileSteps * 2 * kTile
                                           : form.tiles + (group * form.depth + from) * 2 * kTile;
    if (p + 1 < last) begin_next(p + 1);
    // A panel that is met only once is not worth fetching ahead.
    const int64_t lines_each =
        spreads || blocks > 3 ? 2 * kTile / kLine / std::max<int64_t>(blocks, 1) + 1 : 0;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t token = 32 * block, left = call.tokens - token;
      uint8_t* const to = sums + (group % 2 * blocks + block) * kSums;
      products<integers>(weights, call.x + token * call.x_stride + from * kLine, call.x_stride,
                         steps, left > 16, from > 0, to, [&] {
                           next.some(lines_each);
                           if (before) before->some(tokens_each);
                         });
      if (before) before->rest();
      before.reset();
      if (from + steps < form.depth) continue;
      before.emplace(call, reinterpret_cast<const Sum*>(to),
                     Sums{kGroupRows, token, std::min<int64_t>(left, 32), group * kGroupRows,
                          kGroupRows});
    }
    next.rest();
  }
  if (before) before->rest();
}

template <bool integers>
void tiles(const TileForm& form, const WindowCall& call) {
  if (form.tiles) {
    Fetcher next;
    return panels<integers>(form, call, next);
  }
  constexpr int wide = integers ? 1 : 2;
  Spreader<wide> next(form.masks + call.first * form.depth * 2 * kTile / 8 / wide,
                      form.values + form.start[call.first]);
  panels<integers>(form, call, next);
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
