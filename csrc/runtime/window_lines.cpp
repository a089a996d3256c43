// A weight as windows: rows side by side, each taking its next entries from the same lines of x.
#include <algorithm>
#include <limits>
#include <numeric>

#include "window_forms.h"

namespace rarefy {
namespace {

constexpr int64_t kGroupBytes = 400 << 10;  // of windows that stay in the second cache
constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

// A window inside one cache line is read faster than one across two, by about this.
constexpr double kAcross = 1.5;
// Rows in another order cost time at the end (outputs are scattered); what it must save at least.
constexpr double kOrderPays = 1.15;

// Entries that the longest row of every group has, in all.
int64_t longest(const Quantized& weight, const std::vector<int32_t>& order, int64_t lanes) {
  int64_t sum = 0;
  for (int64_t begin = 0; begin < weight.rows; begin += lanes) {
    int64_t most = 0;
    for (int64_t slot = begin; slot < std::min(weight.rows, begin + lanes); ++slot) {
      most = std::max(most, weight.count(order[slot]));
    }
    sum += most;
  }
  return sum;
}

// Fills the steps of one group.
class Packer {
 public:
  Packer(const Quantized& weight, int lines)
      : weight_(weight), lines_(lines), lanes_(lines * kLanes), slots_(slots_of(weight.kind)),
        width_(64 * lines / activation_bytes(weight.kind)),
        unit_(kWindowUnit / activation_bytes(weight.kind)),
        end_(token_stride(weight.kind, weight.columns) / activation_bytes(weight.kind)) {}

  // Rows of the group's lanes; -1: none.
  void pack(const std::vector<int64_t>& rows, std::vector<uint32_t>& window,
            std::vector<uint8_t>& records) {
    next_.assign(lanes_, 0);
    last_.assign(lanes_, 0);
    for (int64_t lane = 0; lane < lanes_; ++lane) {
      if (rows[lane] < 0) continue;
      next_[lane] = weight_.start[rows[lane]];
      last_[lane] = weight_.start[rows[lane] + 1];
    }
    for (int64_t first = least(); first != kNone; first = least()) {
      const int64_t begin = best_window(first);
      window.push_back(static_cast<uint32_t>(begin / unit_));
      write(begin, records);
    }
  }

 private:
  int64_t least() const {
    int64_t first = kNone;
    for (int64_t lane = 0; lane < lanes_; ++lane) {
      if (next_[lane] < last_[lane]) first = std::min<int64_t>(first, weight_.column[next_[lane]]);
    }
    return first;
  }

  // How many of the lane's next entries a step with this window takes.
  int64_t taken(int64_t lane, int64_t begin) const {
    const int64_t most = std::min(last_[lane], next_[lane] + slots_);
    int64_t at = next_[lane];
    while (at < most && weight_.column[at] < begin + width_) ++at;
    return at - next_[lane];
  }

  // Where the window begins that holds entry `first` and takes most for its cost.
  int64_t best_window(int64_t first) const {
    const int64_t line = std::min(first / (2 * unit_) * 2 * unit_, end_ - width_);
    if (lines_ == 2) return line;
    const int64_t across = std::min(first / unit_ * unit_, end_ - width_);
    if (across == line) return line;
    int64_t inside = 0, over = 0;
    for (int64_t lane = 0; lane < lanes_; ++lane) {
      inside += taken(lane, line);
      over += taken(lane, across);
    }
    return static_cast<double>(over) > kAcross * static_cast<double>(inside) ? across : line;
  }

  void write(int64_t begin, std::vector<uint8_t>& records) {
    const int64_t bytes = step_bytes(weight_.kind), wide = weight_bytes(weight_.kind);
    const size_t at = records.size();
    records.resize(at + lines_ * bytes, 0);
    for (int64_t lane = 0; lane < lanes_; ++lane) {
      uint8_t* const offsets = records.data() + at + lane / kLanes * bytes;
      uint8_t* const weights = offsets + kLanes * slots_;
      const int64_t count = taken(lane, begin), slot = lane % kLanes * slots_;
      for (int64_t z = 0; z < count; ++z, ++next_[lane]) {
        const auto value = static_cast<uint16_t>(weight_.value[next_[lane]]);
        offsets[slot + z] = static_cast<uint8_t>(weight_.column[next_[lane]] - begin);
        weights[wide * (slot + z)] = static_cast<uint8_t>(value);
        if (wide == 2) weights[wide * (slot + z) + 1] = static_cast<uint8_t>(value >> 8);
      }
    }
  }

  const Quantized& weight_;
  const int64_t lines_, lanes_, slots_, width_, unit_, end_;
  std::vector<int64_t> next_, last_;
};

class Lines final : public TokenMajor {
 public:
  const char* form() const override { return form_.lines == 1 ? "narrow" : "wide"; }
  int64_t bytes() const override {
    return static_cast<int64_t>(records_.size() + 4 * window_.size() + 8 * start_.size());
  }
  int units() const override { return static_cast<int>(form_.groups); }
  int64_t work(int unit) const override { return start_[unit + 1] - start_[unit] + 1; }

  bool fill(const Quantized& weight, const char* set, int lines, std::string& error) {
    static const char* const names[] = {"w8a8", "w8a16", "w16a16", "bf16", "f16"};
    const int64_t lanes = lines * kLanes;
    multiply_ = reinterpret_cast<window_lines<void>*>(
        window_kernel(std::string("window_lines_") + names[weight.kind], set, error));
    if (!multiply_) return false;
    choose_order(weight, lanes);
    form_.lines = lines;
    form_.groups = (weight.rows + lanes - 1) / lanes;
    if (!take(weight, set, form_.groups * lanes, error)) return false;
    Packer packer(weight, lines);
    std::vector<int64_t> of_group(lanes);
    start_.push_back(0);
    for (int64_t group = 0; group < form_.groups; ++group) {
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const int64_t slot = group * lanes + lane;
        of_group[lane] = slot >= weight.rows ? -1 : order_.empty() ? slot : order_[slot];
      }
      packer.pack(of_group, window_, records_);
      start_.push_back(static_cast<int64_t>(window_.size()));
    }
    records_.resize(records_.size() + 64, 0);
    form_.start = start_.data();
    form_.window = window_.data();
    form_.records = records_.data();
    return true;
  }

 protected:
  void multiply(const WindowCall& call) const override { multiply_(&form_, &call); }

  int64_t groups_at_once(int64_t first, int64_t last, int64_t tokens) const override {
    if (tokens <= 8) return last - first;
    const int64_t steps = kGroupBytes / (form_.lines * step_bytes(kind));
    int64_t end = first + 1;
    while (end < last && start_[end + 1] - start_[first] <= steps) ++end;
    return end - first;
  }

 private:
  // Rows of a group go on together, so the fullest one sets the pace: rows of like count belong
  // side by side, where they are not already.
  void choose_order(const Quantized& weight, int64_t lanes) {
    std::vector<int32_t> plain(weight.rows);
    std::iota(plain.begin(), plain.end(), 0);
    std::vector<int32_t> sorted = plain;
    std::stable_sort(sorted.begin(), sorted.end(), [&](int32_t a, int32_t b) {
      return weight.count(a) > weight.count(b);
    });
    const auto without = static_cast<double>(longest(weight, plain, lanes));
    const auto with = static_cast<double>(longest(weight, sorted, lanes));
    if (without > kOrderPays * with) order_ = std::move(sorted);
  }

  WindowForm form_{};
  window_lines<void>* multiply_ = nullptr;
  std::vector<int64_t> start_;
  std::vector<uint32_t> window_;
  std::vector<uint8_t> records_;
};

}  // namespace

std::unique_ptr<Window> make_lines(const Quantized& weight, const char* set, int lines,
                                   std::string& error) {
  auto made = std::make_unique<Lines>();
  if (!made->fill(weight, set, lines, error)) return nullptr;
  return made;
}

}  // namespace rarefy
