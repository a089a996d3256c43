#include "tiles.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "pool.h"

namespace rarefy {
namespace {

constexpr int64_t kHeader = 6;  // int64 numbers

int64_t to_64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Where the parts of a section lie.
struct Layout {
  int64_t blocks, tiles, start, first_row, values, positions, size;

  Layout(int64_t rows, int64_t columns, int64_t tile, int64_t nonzero)
      : blocks((rows + kBlockRows - 1) / kBlockRows), tiles((columns + tile - 1) / tile) {
    start = kHeader * 8;
    first_row = start + 8 * (blocks * tiles + 1);
    values = to_64(first_row + 4 * (blocks + 1));
    positions = values + to_64(4 * nonzero);
    size = positions + to_64(2 * nonzero);
  }
};

bool fails(std::string& error, const char* problem) {
  error = problem;
  return false;
}

bool check_rows(const Tiles& tiles, std::string& error) {
  if (tiles.first_row[0] != 0 || tiles.first_row[tiles.blocks] != tiles.rows) {
    return fails(error, "the row blocks of a sparse weight do not cover its rows");
  }
  for (int64_t block = 0; block < tiles.blocks; ++block) {
    const int64_t height = int64_t{tiles.first_row[block + 1]} - tiles.first_row[block];
    if (height < 1 || height > kBlockRows) {
      return fails(error, "a row block of a sparse weight has no or too many rows");
    }
  }
  return true;
}

bool check_entries(const Tiles& tiles, std::string& error) {
  for (int64_t block = 0; block < tiles.blocks; ++block) {
    const int64_t height = tiles.first_row[block + 1] - tiles.first_row[block];
    for (int64_t t = 0; t < tiles.tiles; ++t) {
      const int64_t width = std::min(tiles.tile, tiles.columns - t * tiles.tile);
      int32_t before = -1;
      bool wrong = false;
      for (int64_t i = tiles.start[block * tiles.tiles + t];
           i < tiles.start[block * tiles.tiles + t + 1]; ++i) {
        const int32_t position = tiles.positions[i];
        wrong |= position <= before || (position & 31) >= height;
        before = position;
      }
      if (wrong || before >> 5 >= width) {
        return fails(error, "an entry of a sparse weight lies outside its tile or out of order");
      }
    }
  }
  return true;
}

// Bit j is set where weight j, or, with a mask, mask byte j is not zero; of `count` <= 64 places.
uint64_t kept_bits(const float* weight, const uint8_t* mask, int64_t count) {
  uint64_t bits = 0;
  int64_t j = 0;
#if defined(__SSE2__)
  const __m128 zero = _mm_setzero_ps();
  const __m128i none = _mm_setzero_si128();
  for (; j + 16 <= count; j += 16) {
    uint32_t sixteen;
    if (mask) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(mask + j));
      sixteen = static_cast<uint32_t>(~_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, none))) & 0xffff;
    } else {
      const auto differs = [&](int64_t at) {
        return _mm_castps_si128(_mm_cmpneq_ps(_mm_loadu_ps(weight + at), zero));
      };
      const __m128i low = _mm_packs_epi32(differs(j), differs(j + 4));
      const __m128i high = _mm_packs_epi32(differs(j + 8), differs(j + 12));
      sixteen = static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
    }
    bits |= static_cast<uint64_t>(sixteen) << j;
  }
#endif
  for (; j < count; ++j) {
    bits |= static_cast<uint64_t>(mask ? mask[j] != 0 : weight[j] != 0) << j;
  }
  return bits;
}

// The dense matrix, and a bit for every place that is kept; a tile's row starts at a word.
struct Packing {
  const float* weight;
  const uint8_t* mask;
  int64_t rows, columns, tile;
  Layout layout;
  int64_t words = (tile + 63) / 64 * layout.tiles;  // of a row
  std::vector<uint64_t> kept = std::vector<uint64_t>(rows * words);

  int64_t first_row(int64_t block) const { return rows * block / layout.blocks; }
  uint64_t* bits(int64_t row, int64_t t) { return kept.data() + row * words + t * ((tile + 63) / 64); }

  // Notes what a block keeps and counts it, tile by tile.
  void count(int64_t block, int64_t* counts) {
    for (int64_t row = first_row(block); row < first_row(block + 1); ++row) {
      for (int64_t t = 0; t < layout.tiles; ++t) {
        const int64_t end = std::min(columns, (t + 1) * tile);
        uint64_t* to = bits(row, t);
        int64_t found = 0;
        for (int64_t column = t * tile; column < end; column += 64) {
          const int64_t place = row * columns + column;
          *to = kept_bits(weight + place, mask ? mask + place : nullptr,
                          std::min<int64_t>(64, end - column));
          found += __builtin_popcountll(*to++);
        }
        counts[t] += found;
      }
    }
  }

  // Writes a block's entries of one tile by column, then row: a counting sort over columns.
  void fill(int64_t block, int64_t t, float* values, uint16_t* positions) {
    const int64_t top = first_row(block), height = first_row(block + 1) - top;
    const int64_t tile_words = (tile + 63) / 64;
    int32_t next[kLargestTile + 65] = {};
    for (int64_t row = 0; row < height; ++row) {
      const uint64_t* const from = bits(top + row, t);
      for (int64_t word = 0; word < tile_words; ++word) {
        for (uint64_t found = from[word]; found; found &= found - 1) {
          ++next[64 * word + __builtin_ctzll(found) + 1];
        }
      }
    }
    for (int64_t c = 1; c < tile; ++c) next[c] += next[c - 1];
    for (int64_t row = 0; row < height; ++row) {
      const uint64_t* const from = bits(top + row, t);
      const float* const line = weight + (top + row) * columns + t * tile;
      for (int64_t word = 0; word < tile_words; ++word) {
        for (uint64_t found = from[word]; found; found &= found - 1) {
          const int64_t c = 64 * word + __builtin_ctzll(found);
          const int32_t to = next[c]++;
          values[to] = line[c];
          positions[to] = static_cast<uint16_t>(c * 32 + row);
        }
      }
    }
  }
};

// Runs body(block) for every row block, on several threads, each block by one of them.
template <class Body>
void for_blocks(int64_t blocks, int threads, Body body) {
  auto share = [&](int thread, int of) {
    for (int64_t block = blocks * thread / of; block < blocks * (thread + 1) / of; ++block) {
      body(block);
    }
  };
  parallel(threads, share);
}

bool makes_none(int64_t rows, int64_t columns, int32_t tile) {
  return rows < 0 || columns < 0 || tile < 1 || tile > kLargestTile || rows > INT32_MAX ||
         columns > INT32_MAX || (columns && rows > INT64_MAX / 64 / columns);
}

}  // namespace

bool Tiles::view(const uint8_t* bytes, int64_t size, Tiles& tiles, std::string& error) {
  int64_t header[kHeader];
  if (size < kHeader * 8 || reinterpret_cast<uintptr_t>(bytes) % 8) {
    return fails(error, "the section of a sparse weight is too short or not aligned");
  }
  std::memcpy(header, bytes, sizeof(header));
  Tiles found;
  found.rows = header[0], found.columns = header[1], found.tile = header[2];
  found.blocks = header[3], found.tiles = header[4], found.nonzero = header[5];
  if (found.tile < 1 || found.tile > kLargestTile ||
      makes_none(found.rows, found.columns, static_cast<int32_t>(found.tile)) ||
      found.nonzero < 0 || found.nonzero > size / 6 ||
      found.rows > size * kBlockRows || found.columns > size * kLargestTile) {
    return fails(error, "the sizes of a sparse weight are impossible");
  }
  const Layout layout(found.rows, found.columns, found.tile, found.nonzero);
  if (layout.blocks != found.blocks || layout.tiles != found.tiles ||
      (layout.tiles && layout.blocks > size / layout.tiles) || layout.size != size) {
    return fails(error, "the section of a sparse weight has another length than its sizes give");
  }
  found.start = reinterpret_cast<const int64_t*>(bytes + layout.start);
  found.first_row = reinterpret_cast<const int32_t*>(bytes + layout.first_row);
  found.values = reinterpret_cast<const float*>(bytes + layout.values);
  found.positions = reinterpret_cast<const uint16_t*>(bytes + layout.positions);
  const int64_t pieces = layout.blocks * layout.tiles;
  bool rises = found.start[0] == 0 && found.start[pieces] == found.nonzero;
  for (int64_t i = 0; i < pieces; ++i) rises &= found.start[i] <= found.start[i + 1];
  if (!rises) return fails(error, "the tiles of a sparse weight do not cover its entries");
  if (!check_rows(found, error) || !check_entries(found, error)) return false;
  tiles = found;
  return true;
}

Tiles Tiles::scaled(const float* scale) const {
  Tiles result = *this;
  result.owned_ = std::make_shared<std::vector<float>>(values, values + nonzero);
  float* const to = result.owned_->data();
  for (int64_t block = 0; block < blocks; ++block) {
    const float* const of_block = scale + first_row[block];
    for (int64_t i = begin(block); i < begin(block + 1); ++i) to[i] *= of_block[positions[i] & 31];
  }
  result.values = to;
  return result;
}

}  // namespace rarefy

using rarefy::kLargestTile;

int64_t rarefy_pack_size(const float* weight, const uint8_t* mask, int64_t rows, int64_t columns,
                         int32_t tile, int threads) {
  using namespace rarefy;
  if (makes_none(rows, columns, tile)) return -1;
  const int64_t words = (rows * columns + 63) / 64;
  std::atomic<int64_t> nonzero{0};
  auto share = [&](int thread, int of) {
    int64_t found = 0;
    for (int64_t word = words * thread / of; word < words * (thread + 1) / of; ++word) {
      const int64_t place = 64 * word;
      found += __builtin_popcountll(kept_bits(weight + place, mask ? mask + place : nullptr,
                                              std::min<int64_t>(64, rows * columns - place)));
    }
    nonzero += found;
  };
  parallel(threads, share);
  return Layout(rows, columns, tile, nonzero).size;
}

int rarefy_pack(const float* weight, const uint8_t* mask, int64_t rows, int64_t columns,
                int32_t tile, int threads, uint8_t* out, int64_t size) {
  using namespace rarefy;
  if (makes_none(rows, columns, tile)) return -1;
  const Layout shape(rows, columns, tile, 0);
  Packing packing{weight, mask, rows, columns, tile, shape};
  std::vector<int64_t> start(shape.blocks * shape.tiles + 1);
  for_blocks(shape.blocks, threads, [&](int64_t block) {
    packing.count(block, start.data() + 1 + block * shape.tiles);
  });
  for (size_t i = 1; i < start.size(); ++i) start[i] += start[i - 1];
  const int64_t nonzero = start.back();
  const Layout layout(rows, columns, tile, nonzero);
  if (layout.size != size) return -1;
  std::memset(out, 0, layout.values);
  const int64_t header[kHeader] = {rows, columns, tile, layout.blocks, layout.tiles, nonzero};
  std::memcpy(out, header, sizeof(header));
  std::memcpy(out + layout.start, start.data(), 8 * start.size());
  const auto first_row = reinterpret_cast<int32_t*>(out + layout.first_row);
  for (int64_t block = 0; block <= layout.blocks; ++block) {
    first_row[block] = layout.blocks ? static_cast<int32_t>(packing.first_row(block)) : 0;
  }
  std::memset(out + layout.values + 4 * nonzero, 0, layout.positions - layout.values - 4 * nonzero);
  std::memset(out + layout.positions + 2 * nonzero, 0, size - layout.positions - 2 * nonzero);
  const auto values = reinterpret_cast<float*>(out + layout.values);
  const auto positions = reinterpret_cast<uint16_t*>(out + layout.positions);
  for_blocks(shape.blocks, threads, [&](int64_t block) {
    for (int64_t t = 0; t < shape.tiles; ++t) {
      const int64_t at = start[block * shape.tiles + t];
      packing.fill(block, t, values + at, positions + at);
    }
  });
  return 0;
}
