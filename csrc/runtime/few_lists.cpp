#include "few_lists.h"

#include <algorithm>
#include <numeric>

namespace rarefy {

Lists::Lists(const Tiles& tiles)
    : rows(tiles.rows),
      columns(tiles.columns),
      start(tiles.rows + 1),
      entry_columns(tiles.nonzero),
      values(tiles.nonzero) {
  for (int64_t block = 0; block < tiles.blocks; ++block) {
    int64_t* const counts = start.data() + tiles.first_row[block] + 1;
    tiles.each(block, [&](int row, int64_t, float) { ++counts[row]; });
  }
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<int64_t> next(start.begin(), start.end() - 1);
  for (int64_t block = 0; block < tiles.blocks; ++block) {
    int64_t* const of_block = next.data() + tiles.first_row[block];
    tiles.each(block, [&](int row, int64_t column, float value) {
      const int64_t to = of_block[row]++;
      entry_columns[to] = static_cast<int32_t>(column);
      values[to] = value == 0 ? -0.0f : value;
    });
  }
}

void FewParts::settle(FewKind kind, const Lists& lists, int lanes) {
  form.kind = kind;
  form.lanes = lanes;
  form.rows = lists.rows;
  form.columns = lists.columns;
  form.groups = (lists.rows + lanes - 1) / lanes;
  form.first_step = first_step.data();
  form.row_of = row_of.data();
  form.words = words.data();
  form.places = places.data();
  form.values = values.data();
  form.row_start = row_start.data();
  form.entry_columns = entry_columns.data();
}

int64_t FewParts::bytes() const {
  return static_cast<int64_t>(first_step.size() * 8 + row_of.size() * 4 + words.size() * 4 +
                              places.size() * 2 + values.size() * 4 + row_start.size() * 8 +
                              entry_columns.size() * 4);
}

int64_t FewParts::slots(int64_t group) const {
  if (form.kind == FewKind::rows) {
    const int64_t last = std::min(form.rows, (group + 1) * form.lanes);
    return row_start[last] - row_start[group * form.lanes];
  }
  const int64_t steps = first_step[group + 1] - first_step[group];
  return steps * form.lanes * (form.kind == FewKind::flat ? 4 : 1);
}

std::vector<int32_t> grouped(const std::vector<int32_t>& order, int lanes) {
  std::vector<int32_t> rows((order.size() + lanes - 1) / lanes * lanes, -1);
  std::copy(order.begin(), order.end(), rows.begin());
  return rows;
}

std::vector<int32_t> largest_first(const std::vector<int64_t>& sizes) {
  std::vector<int32_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return sizes[a] > sizes[b]; });
  return order;
}

FewParts few_rows(const Lists& lists) {
  FewParts parts;
  parts.row_start = lists.start;
  parts.entry_columns = lists.entry_columns;
  parts.values.assign(lists.values.begin(), lists.values.end());
  parts.settle(FewKind::rows, lists, 16);
  return parts;
}

}  // namespace rarefy
