// A sparse float32 matrix as it is stored: row blocks x column tiles, nothing padded.
//
// Bytes of the section (little endian): int64 rows, columns, tile, blocks, tiles, nonzero;
// int64 start[blocks * tiles + 1], block after block; int32 first_row[blocks + 1]; zeros to the next
// multiple of 64; float32 values[nonzero]; zeros to 64; uint16 positions[nonzero]; zeros to 64.
// A position is (column - first column of its tile) * 32 + (row - first row of its block). Inside a
// block and tile entries stand by column, then row; so a whole block stands by column, then row.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../dispatch.h"

namespace rarefy {

// Rows of a block: as many accumulators as 32 registers leave beside two of activations.
constexpr int64_t kBlockRows = 30;
constexpr int64_t kLargestTile = 2048;

struct Tiles {
  int64_t rows = 0, columns = 0, tile = 0, blocks = 0, tiles = 0, nonzero = 0;
  const int64_t* start = nullptr;
  const int32_t* first_row = nullptr;
  const float* values = nullptr;
  const uint16_t* positions = nullptr;

  // Reads and checks a section, index by index; the view lasts as long as `bytes`.
  static bool view(const uint8_t* bytes, int64_t size, Tiles& tiles, std::string& error);

  // The same matrix with row r multiplied by scale[r]; owns its values, shares the rest.
  Tiles scaled(const float* scale) const;

  // Entries of a block: [begin(block), begin(block + 1)).
  int64_t begin(int64_t block) const { return start[block * tiles]; }
  int64_t work(int64_t block) const { return begin(block + 1) - begin(block); }

  // Calls visit(row in block, column, value) for every entry of a block, by column, then row.
  template <class Visit>
  void each(int64_t block, Visit visit) const {
    for (int64_t t = 0; t < tiles; ++t) {
      for (int64_t i = start[block * tiles + t]; i < start[block * tiles + t + 1]; ++i) {
        visit(positions[i] & 31, t * tile + (positions[i] >> 5), values[i]);
      }
    }
  }

 private:
  std::shared_ptr<std::vector<float>> owned_;
};

}  // namespace rarefy

// Bytes of the section for a dense row-major matrix, or -1 where an argument makes none. Kept are
// the nonzero weights, or, where there is a mask, the places whose byte is not 0.
RAREFY_EXPORT int64_t rarefy_pack_size(const float* weight, const uint8_t* mask, int64_t rows,
                                       int64_t columns, int32_t tile, int threads);
// Writes the section; 0, or -1 where `size` is not what rarefy_pack_size gives.
RAREFY_EXPORT int rarefy_pack(const float* weight, const uint8_t* mask, int64_t rows,
                              int64_t columns, int32_t tile, int threads, uint8_t* out,
                              int64_t size);
