// Lays a sparse matrix out for the permutation kernel: which two lines of x each step reads, and
// which entry of each row it takes from them.
//
// The order of a row's entries is free, and so are the two lines. Greedily, a step takes the line
// that most rows still need and the line that serves most of the rest; equals in this, the line
// with the most entries left, so that all lines run dry together. A window that slides over x in
// order, as the prototype had it, fills 0.63 of the slots at 90 % sparsity; this fills 0.75.
#include <algorithm>

#include "few_lists.h"

namespace rarefy {
namespace {

// Lines among which a step chooses; more fill little better and take longer.
constexpr int kChoice = 256;

class Picker {
 public:
  Picker(const Lists& lists, int lanes)
      : lists_(lists),
        lanes_(lanes),
        per_word_(lanes == 16 ? 6 : 8),
        bits_(lanes == 16 ? 5 : 4),
        lines_(static_cast<int>(std::max<int64_t>(1, (lists.columns + lanes - 1) / lanes))),
        next_(static_cast<size_t>(lines_) * lanes),
        left_(next_.size()),
        needing_(lines_),
        line_left_(lines_) {}

  // Appends a group's steps to the parts; `rows` are its lanes.
  void add(const int32_t* rows, FewParts& parts) {
    const int64_t entries = read(rows);
    for (int64_t taken = 0; taken < entries;) {
      parts.words.resize(parts.words.size() + lanes_);
      uint32_t* const words = parts.words.data() + parts.words.size() - lanes_;
      for (int step = 0; step < per_word_; ++step) taken += take(words, step * bits_, parts);
    }
  }

 private:
  // The last line ends with the last column, so that none reaches beyond it.
  int64_t start(int line) const {
    return std::max<int64_t>(0, std::min<int64_t>(int64_t{line} * lanes_, lists_.columns - lanes_));
  }

  int64_t read(const int32_t* rows) {
    std::fill(left_.begin(), left_.end(), uint8_t{0});
    std::fill(needing_.begin(), needing_.end(), 0u);
    std::fill(line_left_.begin(), line_left_.end(), 0u);
    int64_t entries = 0;
    for (int lane = 0; lane < lanes_; ++lane) {
      if (rows[lane] < 0) continue;
      for (int64_t i = lists_.start[rows[lane]]; i < lists_.start[rows[lane] + 1]; ++i) {
        const int line = lists_.entry_columns[i] / lanes_;
        const int64_t at = int64_t{line} * lanes_ + lane;
        if (left_[at]++ == 0) next_[at] = i;
        needing_[line] |= 1u << lane;
        ++line_left_[line];
        ++entries;
      }
    }
    from_ = 0;
    return entries;
  }

  // The line that serves most lanes outside `covered`; among equals the one with most entries left.
  int best_line(uint32_t covered) const {
    const int choices = std::min(lines_ - from_, kChoice);
    const uint32_t* const needing = needing_.data() + from_;
    const uint32_t* const line_left = line_left_.data() + from_;
    uint32_t best = 0;
    for (int i = 0; i < choices; ++i) {
      // All in one number: lanes served (at most 16), entries left (at most 256), which line.
      uint32_t count = needing[i] & ~covered;
      count -= count >> 1 & 0x5555u;
      count = (count & 0x3333u) + (count >> 2 & 0x3333u);
      count = (count + (count >> 4)) & 0x0F0Fu;
      count = (count + (count >> 8)) & 0x1Fu;
      best = std::max(best, count << 17 | line_left[i] << 8 | static_cast<uint32_t>(i));
    }
    return from_ + static_cast<int>(best & 0xFFu);
  }

  // One step: two lines, and up to one entry for every lane. Returns the entries taken.
  int64_t take(uint32_t* words, int shift, FewParts& parts) {
    while (from_ < lines_ - 1 && line_left_[from_] == 0) ++from_;
    const int low = best_line(0);
    const uint32_t low_left = line_left_[low];
    line_left_[low] = 0;  // the second search shall find another
    const int high = best_line(needing_[low]);
    line_left_[low] = low_left;
    parts.places.push_back(static_cast<uint16_t>(start(low)));
    parts.places.push_back(static_cast<uint16_t>(start(high)));
    const size_t at = parts.values.size();
    parts.values.resize(at + lanes_);
    int64_t taken = 0;
    for (int lane = 0; lane < lanes_; ++lane) {
      const int64_t in_low = int64_t{low} * lanes_ + lane, in_high = int64_t{high} * lanes_ + lane;
      const bool takes_high = left_[in_high] > left_[in_low];
      const int64_t source = takes_high ? in_high : in_low;
      if (left_[source] == 0) continue;
      const int line = takes_high ? high : low;
      const int64_t entry = next_[source]++;
      parts.values[at + lane] = lists_.values[entry];
      const int64_t place = lists_.entry_columns[entry] - start(line) + (takes_high ? lanes_ : 0);
      words[lane] |= static_cast<uint32_t>(place) << shift;
      if (--left_[source] == 0) needing_[line] &= ~(1u << lane);
      --line_left_[line];
      ++taken;
    }
    return taken;
  }

  const Lists& lists_;
  const int lanes_, per_word_, bits_, lines_;
  int from_ = 0;                     // lines before it are done
  std::vector<int64_t> next_;        // line, lane: the entry to be taken next
  std::vector<uint8_t> left_;        // line, lane: entries left
  std::vector<uint32_t> needing_;    // line: lanes that have entries left
  std::vector<uint32_t> line_left_;  // line: entries left
};

}  // namespace

FewParts few_pick(const Lists& lists, int lanes) {
  FewParts parts;
  std::vector<int64_t> counts(lists.rows);
  for (int64_t row = 0; row < lists.rows; ++row) counts[row] = lists.count(row);
  parts.row_of = grouped(largest_first(counts), lanes);
  Picker picker(lists, lanes);
  // Room that is not used is never touched, and so costs no memory.
  const auto room = static_cast<size_t>(lists.nonzero()) * 2 + parts.row_of.size() * 6;
  parts.values.reserve(room);
  parts.words.reserve(room / 6);
  parts.places.reserve(room / lanes * 2);
  parts.first_step.push_back(0);
  for (size_t group = 0; group * lanes < parts.row_of.size(); ++group) {
    picker.add(parts.row_of.data() + group * lanes, parts);
    parts.first_step.push_back(static_cast<int64_t>(parts.values.size()) / lanes);
  }
  parts.settle(FewKind::pick, lists, lanes);
  parts.form.bits = lanes == 16 ? 5 : 4;
  parts.form.per_word = lanes == 16 ? 6 : 8;
  return parts;
}

}  // namespace rarefy
