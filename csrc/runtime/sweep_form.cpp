#include "sweep_form.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "product.h"

namespace rarefy {
namespace {

// A pass of 256 columns reads 32 KB for two positions: the first cache. Below this density rows
// have so few entries in it that reading and writing their sums costs more than misses do.
constexpr double kSparse = 0.07;

// The matrix by pass, then row, then column.
struct Sorted {
  int64_t passes, width;
  std::vector<int64_t> start;  // passes * rows + 1
  std::vector<int32_t> columns;
  std::vector<float> values;

  Sorted(const Tiles& tiles, int64_t pass_columns)
      : passes(std::max<int64_t>(1, (tiles.columns + pass_columns - 1) / pass_columns)),
        width(std::max<int64_t>(1, (tiles.columns + passes - 1) / passes)),
        start(passes * tiles.rows + 1),
        columns(tiles.nonzero),
        values(tiles.nonzero) {
    for (int64_t block = 0; block < tiles.blocks; ++block) {
      const int64_t top = tiles.first_row[block];
      tiles.each(block, [&](int row, int64_t column, float) {
        ++start[column / width * tiles.rows + top + row + 1];
      });
    }
    std::partial_sum(start.begin(), start.end(), start.begin());
    std::vector<int64_t> next(start.begin(), start.end() - 1);
    for (int64_t block = 0; block < tiles.blocks; ++block) {
      const int64_t top = tiles.first_row[block];
      tiles.each(block, [&](int row, int64_t column, float value) {
        const int64_t to = next[column / width * tiles.rows + top + row]++;
        columns[to] = static_cast<int32_t>(column);
        values[to] = value;
      });
    }
  }
};

// Appends one piece after the other.
class Layout {
 public:
  Layout(SweepParts& parts, const Sorted& sorted, const Tiles& tiles, int height,
         const int32_t* x_offset, const int32_t* y_offset)
      : parts_(parts),
        sorted_(sorted),
        rows_(tiles.rows),
        height_(height),
        x_offset_(x_offset),
        y_offset_(y_offset) {}

  // Rows [top, end) of a pass; returns their entries.
  int64_t add(int64_t pass, int64_t top, int64_t end) {
    start_ = sorted_.start.data() + pass * rows_;
    const bool whole = pass == 0 || pass == sorted_.passes - 1;
    std::vector<int32_t> order;
    for (int64_t row = top; row < end; ++row) {
      if (whole || start_[row + 1] > start_[row]) order.push_back(static_cast<int32_t>(row));
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return entries(a) > entries(b); });
    parts_.first_run.push_back(static_cast<int64_t>(parts_.runs.size()));
    parts_.first_row.push_back(static_cast<int64_t>(parts_.rows.size()));
    parts_.first_entry.push_back(static_cast<int64_t>(parts_.values.size()));
    for (size_t i = 0; i < order.size();) {
      int64_t equal = 1;
      while (i + equal < order.size() && entries(order[i + equal]) == entries(order[i])) ++equal;
      add_equal(order.data() + i, equal);
      i += equal;
    }
    return static_cast<int64_t>(parts_.values.size()) - parts_.first_entry.back();
  }

 private:
  int32_t entries(int32_t row) const { return static_cast<int32_t>(start_[row + 1] - start_[row]); }

  // As many rows as possible alternate; what is left goes two by two, then alone.
  void add_equal(const int32_t* order, int64_t count) {
    for (int height = height_; height >= 1; height /= 2) {
      const auto groups = static_cast<int32_t>(count / height);
      if (groups) parts_.runs.push_back({entries(*order), height, groups});
      for (int32_t g = 0; g < groups; ++g, order += height, count -= height) {
        add_group(order, height);
      }
    }
  }

  void add_group(const int32_t* order, int height) {
    for (int r = 0; r < height; ++r) parts_.rows.push_back({order[r], y_offset_[order[r]]});
    for (int32_t i = 0; i < entries(*order); ++i) {
      for (int r = 0; r < height; ++r) {
        const int64_t from = start_[order[r]] + i;
        parts_.values.push_back(sorted_.values[from]);
        parts_.x_offsets.push_back(x_offset_[sorted_.columns[from]]);
      }
    }
  }

  SweepParts& parts_;
  const Sorted& sorted_;
  const int64_t rows_;
  const int height_;
  const int32_t* const x_offset_;
  const int32_t* const y_offset_;
  const int64_t* start_ = nullptr;  // of the pass, row by row
};

}  // namespace

SweepShape SweepShape::of(const char* set, const Tiles& tiles) {
  SweepShape shape;
  if (!std::strncmp(set, "v4", 2)) {
    shape.height = 4;
  } else if (!std::strncmp(set, "v3", 2)) {
    shape.height = 2;
  } else {
#if defined(__aarch64__)
    shape.height = 2;  // 32 registers, where x86's generic set has 16
#endif
  }
  const double size = static_cast<double>(tiles.rows) * static_cast<double>(tiles.columns);
  shape.pass_columns = static_cast<double>(tiles.nonzero) < kSparse * size ? 384 : 256;
  return shape;
}

SweepParts::SweepParts(const Tiles& tiles, const SweepShape& shape, const int32_t* x_offset,
                       const int32_t* y_offset) {
  const Sorted sorted(tiles, shape.pass_columns);
  const int64_t blocks = (tiles.rows + shape.block_rows - 1) / shape.block_rows;
  work.resize(blocks);
  values.reserve(tiles.nonzero);
  x_offsets.reserve(tiles.nonzero);
  Layout layout(*this, sorted, tiles, shape.height, x_offset, y_offset);
  for (int64_t pass = 0; pass < sorted.passes; ++pass) {
    for (int64_t block = 0; block < blocks; ++block) {
      work[block] +=
          layout.add(pass, tiles.rows * block / blocks, tiles.rows * (block + 1) / blocks);
    }
  }
  first_run.push_back(static_cast<int64_t>(runs.size()));
  form.blocks = static_cast<int32_t>(blocks);
  form.passes = static_cast<int32_t>(sorted.passes);
  form.first_run = first_run.data();
  form.first_row = first_row.data();
  form.first_entry = first_entry.data();
  form.runs = runs.data();
  form.rows = rows.data();
  form.values = values.data();
  form.x_offsets = x_offsets.data();
}

int64_t SweepParts::bytes() const {
  return static_cast<int64_t>((first_run.size() + first_row.size() + first_entry.size()) * 8 +
                              runs.size() * sizeof(SweepRun) + rows.size() * sizeof(SweepRow) +
                              values.size() * 4 + x_offsets.size() * 4);
}

}  // namespace rarefy
