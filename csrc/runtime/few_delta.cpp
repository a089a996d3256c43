// Lays a sparse matrix out for the gathering kernel: every entry as its distance from the row's
// last one, in as few bits as pay. A distance that does not fit is walked in empty slots.
#include <algorithm>

#include "few_lists.h"

namespace rarefy {
namespace {

constexpr int kWidths[] = {4, 5, 6, 8, 10, 16, 31};

// Slots that a row needs: one an entry, and one for every full stride between two.
int64_t slots_of(const Lists& lists, int64_t row, int32_t largest) {
  int64_t slots = lists.count(row);
  int32_t before = 0;
  for (int64_t i = lists.start[row]; i < lists.start[row + 1]; ++i) {
    const int32_t distance = lists.entry_columns[i] - before;
    if (distance > largest) slots += (distance - 1) / largest;
    before = lists.entry_columns[i];
  }
  return slots;
}

// Rows in the order of their slots, and the steps of every group.
struct Plan {
  int bits = 0, per_word = 1;
  int64_t bytes = 0;
  std::vector<int32_t> rows;
  std::vector<int64_t> first_step;

  Plan(const Lists& lists, int lanes, int width) : bits(width), per_word(32 / width) {
    std::vector<int64_t> slots(lists.rows);
    const auto largest = static_cast<int32_t>((1u << bits) - 1);
    for (int64_t row = 0; row < lists.rows; ++row) slots[row] = slots_of(lists, row, largest);
    const std::vector<int32_t> order = largest_first(slots);
    rows = grouped(order, lanes);
    first_step.push_back(0);
    for (size_t at = 0; at < rows.size(); at += lanes) {
      const int64_t whole = (slots[rows[at]] + per_word - 1) / per_word * per_word;
      first_step.push_back(first_step.back() + whole);
    }
    bytes = first_step.back() * lanes * 4 + first_step.back() / per_word * lanes * 4;
  }
};

}  // namespace

FewParts few_delta(const Lists& lists, int lanes) {
  Plan plan(lists, lanes, kWidths[0]);
  for (int width : kWidths) {
    Plan other(lists, lanes, width);
    if (other.bytes < plan.bytes) plan = std::move(other);
  }
  FewParts parts;
  parts.row_of = std::move(plan.rows);
  parts.first_step = std::move(plan.first_step);
  parts.values.resize(parts.first_step.back() * lanes);
  parts.words.resize(parts.first_step.back() / plan.per_word * lanes);
  const auto largest = static_cast<int32_t>((1u << plan.bits) - 1);
  for (size_t at = 0; at < parts.row_of.size(); ++at) {
    const int32_t row = parts.row_of[at];
    if (row < 0) continue;
    int64_t step = parts.first_step[at / lanes];
    const auto lane = static_cast<int64_t>(at) % lanes;
    const auto put = [&](int32_t distance, float value) {
      parts.values[step * lanes + lane] = value;
      parts.words[step / plan.per_word * lanes + lane] |=
          static_cast<uint32_t>(distance) << (step % plan.per_word * plan.bits);
      ++step;
    };
    int32_t before = 0;
    for (int64_t i = lists.start[row]; i < lists.start[row + 1]; ++i) {
      int32_t distance = lists.entry_columns[i] - before;
      for (; distance > largest; distance -= largest) put(largest, 0.0f);
      put(distance, lists.values[i]);
      before = lists.entry_columns[i];
    }
  }
  parts.settle(FewKind::delta, lists, lanes);
  parts.form.bits = plan.bits;
  parts.form.per_word = plan.per_word;
  return parts;
}

}  // namespace rarefy
