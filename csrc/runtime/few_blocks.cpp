// Lays a matrix of small full blocks out: a place a block instead of one an entry.
#include <algorithm>

#include "few_lists.h"

namespace rarefy {
namespace {

// Where each block of a strip of `height` rows starts, in ascending columns.
std::vector<int32_t> places_of(const Lists& lists, int64_t strip, int height, int width) {
  std::vector<int32_t> places;
  const int64_t end = std::min(lists.rows, (strip + 1) * height);
  for (int64_t i = lists.start[strip * height]; i < lists.start[end]; ++i) {
    places.push_back(lists.entry_columns[i] / width);
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  for (int32_t& place : places) place *= width;
  return places;
}

// Puts a row's values at (slot of its block, place in the block): put(slot, entry, column).
template <class Put>
void each_entry(const Lists& lists, int64_t row, int width, const std::vector<int32_t>& places,
                Put put) {
  size_t slot = 0;
  for (int64_t i = lists.start[row]; i < lists.start[row + 1]; ++i) {
    const int32_t column = lists.entry_columns[i];
    while (places[slot] != column / width * width) ++slot;
    put(slot, column, lists.values[i]);
  }
}

// Strips with the most blocks first, `across` of them a group.
struct Strips {
  std::vector<int32_t> order;  // groups * across, -1 beyond the last
  std::vector<int64_t> first_step;

  Strips(const Lists& lists, int height, int width, int across) {
    std::vector<int64_t> counts((lists.rows + height - 1) / height);
    for (size_t strip = 0; strip < counts.size(); ++strip) {
      counts[strip] =
          static_cast<int64_t>(places_of(lists, static_cast<int64_t>(strip), height, width).size());
    }
    order = grouped(largest_first(counts), across);
    first_step.push_back(0);
    for (size_t at = 0; at < order.size(); at += across) {
      first_step.push_back(first_step.back() + counts[order[at]]);
    }
  }
};

}  // namespace

int64_t blocks_met(const Lists& lists, int height, int width) {
  int64_t met = 0;
  std::vector<int64_t> last(lists.columns / width + 1, -1);
  for (int64_t row = 0; row < lists.rows; ++row) {
    for (int64_t i = lists.start[row]; i < lists.start[row + 1]; ++i) {
      int64_t& of_column = last[lists.entry_columns[i] / width];
      met += of_column != row / height;
      of_column = row / height;
    }
  }
  return met;
}

static FewParts few_strips(const Lists& lists, int lanes, int height, FewKind kind) {
  const int across = lanes / height;
  Strips strips(lists, height, 1, across);
  FewParts parts;
  parts.first_step = std::move(strips.first_step);
  parts.places.resize(parts.first_step.back() * across);
  parts.values.resize(parts.first_step.back() * lanes);
  parts.row_of.assign((parts.first_step.size() - 1) * lanes, -1);
  for (size_t at = 0; at < strips.order.size(); ++at) {
    if (strips.order[at] < 0) continue;
    const int64_t top = int64_t{strips.order[at]} * height;
    const int64_t first = parts.first_step[at / across], k = static_cast<int64_t>(at) % across;
    const std::vector<int32_t> places = places_of(lists, strips.order[at], height, 1);
    for (size_t slot = 0; slot < places.size(); ++slot) {
      parts.places[(first + slot) * across + k] = static_cast<uint16_t>(places[slot]);
    }
    for (int64_t row = top; row < std::min(lists.rows, top + height); ++row) {
      const int64_t lane = k * height + row - top;
      parts.row_of[at / across * lanes + lane] = static_cast<int32_t>(row);
      each_entry(lists, row, 1, places, [&](size_t slot, int32_t, float value) {
        parts.values[(first + slot) * lanes + lane] = value;
      });
    }
  }
  parts.settle(kind, lists, lanes);
  return parts;
}

FewParts few_column(const Lists& lists, int lanes) {
  return few_strips(lists, lanes, lanes, FewKind::column);
}

FewParts few_tall(const Lists& lists, int lanes) {
  return few_strips(lists, lanes, 4, FewKind::tall);
}

FewParts few_flat(const Lists& lists, int lanes) {
  Strips strips(lists, 1, 4, lanes);
  FewParts parts;
  parts.row_of = std::move(strips.order);
  parts.first_step = std::move(strips.first_step);
  parts.places.resize(parts.first_step.back() * lanes);
  parts.values.resize(parts.first_step.back() * lanes * 4);
  for (size_t at = 0; at < parts.row_of.size(); ++at) {
    const int32_t row = parts.row_of[at];
    if (row < 0) continue;
    // Lane 4 k + q is quad k of vector q.
    const int64_t lane = static_cast<int64_t>(at) % lanes;
    const int64_t quad = lane % 4 * (lanes / 4) + lane / 4;
    const int64_t first = parts.first_step[at / lanes];
    const std::vector<int32_t> places = places_of(lists, row, 1, 4);
    // The last block ends with the last column, so that it never reaches beyond x.
    const auto begin = [&](size_t slot) {
      return std::min<int64_t>(places[slot], lists.columns - 4);
    };
    for (size_t slot = 0; slot < places.size(); ++slot) {
      parts.places[(first + slot) * lanes + quad] = static_cast<uint16_t>(begin(slot));
    }
    each_entry(lists, row, 4, places, [&](size_t slot, int32_t column, float value) {
      parts.values[((first + slot) * lanes + quad) * 4 + column - begin(slot)] = value;
    });
  }
  parts.settle(FewKind::flat, lists, lanes);
  return parts;
}

}  // namespace rarefy
