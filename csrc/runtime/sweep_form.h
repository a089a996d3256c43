// A sparse matrix made ready for the kernels that read it entry by entry.
#pragma once
#include <cstdint>
#include <vector>

#include "../kernels/sweep.h"
#include "tiles.h"

namespace rarefy {

// How a set likes it: rows whose entries alternate, and columns of a pass.
struct SweepShape {
  int height = 1;
  int64_t pass_columns = 256;
  int64_t block_rows = 128;

  static SweepShape of(const char* set, const Tiles& tiles);
};

struct SweepParts {
  SweepForm form;
  std::vector<int64_t> first_run, first_row, first_entry;
  std::vector<SweepRun> runs;
  std::vector<SweepRow> rows;
  std::vector<float> values;
  std::vector<int32_t> x_offsets;
  std::vector<int64_t> work;  // entries of every block

  SweepParts(const Tiles& tiles, const SweepShape& shape, const int32_t* x_offset,
             const int32_t* y_offset);
  SweepParts(const SweepParts&) = delete;
  int64_t bytes() const;
};

}  // namespace rarefy
