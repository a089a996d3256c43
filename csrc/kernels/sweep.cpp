// A sparse matrix times lines of 16 floats, entry by entry.
//
// Everything here is in an unnamed namespace or carries the set's name: see topk.cpp.
#include "sweep.h"

#include "kernels.h"
#include "sweep_vector.h"

namespace {

using rarefy::SweepForm;
using rarefy::SweepRow;
using rarefy::SweepRun;

// Where the next entry and row of a piece lie; every run leaves it at the next run's.
struct Cursor {
  const float* values;
  const int32_t* x_offsets;
  const SweepRow* rows;
};

// What a pass does beside its sums.
struct Pass {
  const float* bias;
  bool first, relu;
};

template <int positions>
struct Bases {
  const char* x[positions];
  char* y[positions];
};

inline const float* at(const char* base, int64_t offset) {
  return reinterpret_cast<const float*>(base + offset);
}
inline float* at(char* base, int64_t offset) { return reinterpret_cast<float*>(base + offset); }

template <int positions, int height>
void run_rows(const SweepRun& run, Cursor& cursor, const Bases<positions>& bases,
              const Pass& pass) {
  // Copies, which no store through y can be taken to change.
  const Bases<positions> base = bases;
  const float* values = cursor.values;
  const int32_t* offsets = cursor.x_offsets;
  const SweepRow* rows = cursor.rows;
  for (int32_t group = 0; group < run.groups; ++group, rows += height) {
    Vector sums[height][positions][kPieces];
#pragma GCC unroll 4
    for (int r = 0; r < height; ++r) {
      const Vector bias = all(pass.first && pass.bias ? pass.bias[rows[r].row] : 0.0f);
#pragma GCC unroll 4
      for (int p = 0; p < positions; ++p) {
        const float* const line = at(base.y[p], rows[r].y_offset);
#pragma GCC unroll 4
        for (int q = 0; q < kPieces; ++q) {
          sums[r][p][q] = pass.first ? bias : load(line + q * kWidth);
        }
      }
    }
    for (int32_t i = 0; i < run.entries; ++i, values += height, offsets += height) {
#pragma GCC unroll 4
      for (int r = 0; r < height; ++r) {
        const Vector weight = all(values[r]);
#pragma GCC unroll 4
        for (int p = 0; p < positions; ++p) {
          const float* const line = at(base.x[p], offsets[r]);
#pragma GCC unroll 4
          for (int q = 0; q < kPieces; ++q) {
            sums[r][p][q] = multiply_add(load(line + q * kWidth), weight, sums[r][p][q]);
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < height; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < positions; ++p) {
        float* const line = at(base.y[p], rows[r].y_offset);
#pragma GCC unroll 4
        for (int q = 0; q < kPieces; ++q) {
          store(line + q * kWidth, pass.relu ? positive(sums[r][p][q]) : sums[r][p][q]);
        }
      }
    }
  }
  cursor = {values, offsets, rows};
}

template <int positions>
void run_pieces(const SweepForm& form, int32_t first, int32_t last, const Bases<positions>& bases,
                const float* bias, int32_t end) {
  for (int32_t pass = 0; pass < form.passes; ++pass) {
    const Pass how{bias, pass == 0 && end != rarefy::kSweepAdds,
                   pass == form.passes - 1 && end == rarefy::kSweepRelu};
    for (int32_t block = first; block < last; ++block) {
      const int64_t piece = int64_t{pass} * form.blocks + block;
      const int64_t entry = form.first_entry[piece];
      Cursor cursor{form.values + entry, form.x_offsets + entry, form.rows + form.first_row[piece]};
      for (int64_t i = form.first_run[piece]; i < form.first_run[piece + 1]; ++i) {
        const SweepRun& run = form.runs[i];
        if (run.height == 4) {
          run_rows<positions, 4>(run, cursor, bases, how);
        } else if (run.height == 2) {
          run_rows<positions, 2>(run, cursor, bases, how);
        } else {
          run_rows<positions, 1>(run, cursor, bases, how);
        }
      }
    }
  }
}

struct Lines {
  const float* x;
  const int64_t* x_at;
  float* y;
  const int64_t* y_at;
};

template <int positions>
void sweep_positions(const SweepForm& form, int32_t first, int32_t last, const Lines& lines,
                     int32_t from, const float* bias, int32_t end) {
  Bases<positions> bases;
  for (int p = 0; p < positions; ++p) {
    bases.x[p] = reinterpret_cast<const char*>(lines.x + lines.x_at[from + p]);
    bases.y[p] = reinterpret_cast<char*>(lines.y + lines.y_at[from + p]);
  }
  run_pieces<positions>(form, first, last, bases, bias, end);
}

}  // namespace

extern "C" void RAREFY_JOIN(sweep_f32, RAREFY_SET)(const SweepForm* form, int32_t first,
                                                   int32_t last, const float* x,
                                                   const int64_t* x_at, float* y,
                                                   const int64_t* y_at, int32_t groups,
                                                   const float* bias, int32_t end) {
  const Lines lines{x, x_at, y, y_at};
  int32_t done = 0;
  // Lines that are added to may be those of another position, too.
  for (; end != rarefy::kSweepAdds && groups - done >= kAtOnce; done += kAtOnce) {
    sweep_positions<kAtOnce>(*form, first, last, lines, done, bias, end);
  }
  for (; done < groups; ++done) sweep_positions<1>(*form, first, last, lines, done, bias, end);
}
