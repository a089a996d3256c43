// Products in float16 arithmetic, row by row: a multiply-add serves 32 tokens. Needs a CPU that has
// it (the caller asks); the other sets round after every step in software, alike but slowly.
#include "kernels.h"
#include "window_numbers.h"
#include "window_simd.h"

namespace {

using namespace rarefy;

constexpr int64_t kLine = 64;

#if defined(__AVX512VBMI__) && defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12
#define UNROLL _Pragma("GCC unroll 8")

using Vector = __m512i;

// As asm, so that this set needs no flag for float16, which not all CPUs that run it have.
inline Vector multiply_added(Vector sum, Vector weight, const uint8_t* x) {
  asm("vfmadd231ph %2,%1,%0" : "+v"(sum) : "v"(weight), "m"(*reinterpret_cast<const Vector*>(x)));
  return sum;
}
inline Vector added(Vector a, Vector b) {
  asm("vaddph %1,%0,%0" : "+v"(a) : "v"(b));
  return a;
}

// Rows of one tile for `groups` x 32 tokens. Every row has `chains` sums, so that no multiply-add
// waits for the one before it.
template <int groups, int chains>
void tile_products(const ListForm::Run* run, const ListForm::Run* end, const int32_t* row,
                   const ListForm::Quad* quad, const uint8_t* x, int64_t x_stride, uint8_t* sums,
                   int64_t sum_stride) {
  const uint8_t* lines[groups];
  UNROLL for (int g = 0; g < groups; ++g) lines[g] = x + g * x_stride;
  Vector choose[4];  // the z-th of four numbers of 16 bits, everywhere
  UNROLL for (int z = 0; z < 4; ++z) {
    choose[z] = _mm512_set1_epi16(static_cast<int16_t>((2 * z + 1) << 8 | 2 * z));
  }
  for (; run < end; ++run) {
    const int32_t quads = run->quads;
    for (int32_t r = 0; r < run->rows; ++r, ++row) {
      uint8_t* const to = sums + int64_t{*row} * kLine;
      Vector total[groups][chains];
      UNROLL for (int g = 0; g < groups; ++g) {
        total[g][0] = _mm512_loadu_si512(to + g * sum_stride);
        UNROLL for (int c = 1; c < chains; ++c) total[g][c] = _mm512_setzero_si512();
      }
      for (int32_t q = 0; q < quads; ++q, ++quad) {
        uint64_t offsets, weights;
        std::memcpy(&offsets, quad->offset, 8);
        std::memcpy(&weights, quad->weight, 8);
        const Vector four = _mm512_set1_epi64(static_cast<int64_t>(weights));
        UNROLL for (int z = 0; z < 4; ++z) {
          const Vector weight = _mm512_shuffle_epi8(four, choose[z]);
          const uint64_t offset = offsets >> 16 * z & 0xffff;
          UNROLL for (int g = 0; g < groups; ++g) {
            total[g][z % chains] = multiply_added(total[g][z % chains], weight, lines[g] + offset);
          }
        }
      }
      UNROLL for (int g = 0; g < groups; ++g) {
        UNROLL for (int c = 1; c < chains; ++c) total[g][0] = added(total[g][0], total[g][c]);
        _mm512_storeu_si512(to + g * sum_stride, total[g][0]);
      }
    }
  }
}
#else
template <int groups, int chains>
void tile_products(const ListForm::Run* run, const ListForm::Run* end, const int32_t* row,
                   const ListForm::Quad* quad, const uint8_t* x, int64_t x_stride, uint8_t* sums,
                   int64_t sum_stride) {
  for (; run < end; ++run) {
    for (int32_t r = 0; r < run->rows; ++r, ++row) {
      for (int32_t i = 0; i < 4 * run->quads; ++i) {
        const float weight = float_of_f16(quad[i / 4].weight[i % 4]);
        for (int64_t t = 0; t < 32 * groups; ++t) {
          uint16_t bits, number;
          uint8_t* const to = sums + t / 32 * sum_stride + int64_t{*row} * kLine + t % 32 * 2;
          std::memcpy(&bits, to, 2);
          std::memcpy(&number, x + t / 32 * x_stride + quad[i / 4].offset[i % 4] + t % 32 * 2, 2);
          bits = f16_of(std::fma(weight, float_of_f16(number), float_of_f16(bits)));
          std::memcpy(to, &bits, 2);
        }
      }
      quad += run->quads;
    }
  }
}
#endif

}  // namespace

extern "C" void RAREFY_JOIN(window_lists_f16, RAREFY_SET)(const ListForm* form, int64_t panel,
                                                          int64_t first, int64_t last,
                                                          const uint8_t* x, int64_t x_stride,
                                                          int64_t groups, uint8_t* sums,
                                                          int64_t sum_stride) {
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t at = panel * form->tiles + tile;
    const ListForm::Run* const run = form->runs + form->first_run[at];
    const ListForm::Run* const end = form->runs + form->first_run[at + 1];
    const int32_t* const row = form->rows + form->first_row[at];
    const ListForm::Quad* const quad = form->quads + form->first_quad[at];
    const uint8_t* const lines = x + tile * form->tile_columns * kLine;
    switch (groups) {
      case 1:
        tile_products<1, 4>(run, end, row, quad, lines, x_stride, sums, sum_stride);
        break;
      case 2:
        tile_products<2, 4>(run, end, row, quad, lines, x_stride, sums, sum_stride);
        break;
      case 3:
        tile_products<3, 2>(run, end, row, quad, lines, x_stride, sums, sum_stride);
        break;
      default:
        tile_products<4, 2>(run, end, row, quad, lines, x_stride, sums, sum_stride);
    }
  }
}
