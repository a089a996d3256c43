// The product of slots by the sweep: its form is kept with four bytes an entry, and values and
// offsets are laid out just before a strip of rows runs.
#include "slot_sweep.h"

#include <algorithm>
#include <numeric>

#include "../kernels/sweep.h"
#include "product.h"
#include "sweep_form.h"

namespace rarefy {
namespace {

constexpr int kBlocksTogether = 4;  // blocks of the topology in one of the sweep
constexpr int64_t kStripEntries = (512 << 10) / 8;
// An entry: its slot, counted from the first one of its piece, and its read line within the pass.
constexpr int kLineBits = 9;
constexpr int64_t kMostLines = 1 << kLineBits;
constexpr int64_t kMostSlots = int64_t{1} << (32 - kLineBits);

// Which blocks of the topology a sweep reads and writes.
struct Sides {
  const Slots& slots;
  bool turned;

  const std::vector<int32_t>& read() const { return turned ? slots.first_row : slots.first_column; }
  const std::vector<int32_t>& written() const {
    return turned ? slots.first_column : slots.first_row;
  }
  int read_blocks() const { return static_cast<int>(read().size()) - 1; }
  int written_blocks() const { return static_cast<int>(written().size()) - 1; }
  int64_t cell(int read_block, int written_block) const {
    return turned ? slots.cell(read_block, written_block) : slots.cell(written_block, read_block);
  }
  int written_line(int32_t slot) const {
    return turned ? slots.positions[slot] & 31 : slots.positions[slot] >> 5;
  }
  int read_line(int32_t slot) const {
    return turned ? slots.positions[slot] >> 5 : slots.positions[slot] & 31;
  }
};

// The entries of one pass and block of the sweep, by written line, then read line.
struct PieceEntries {
  int32_t first_slot = 0, end_slot = 0;
  std::vector<int64_t> start;  // of every written line, and the end
  std::vector<int32_t> slot, line;

  PieceEntries(const Sides& sides, int read_from, int read_to, int from, int to) {
    const int32_t top = sides.written()[from], left = sides.read()[read_from];
    start.assign(sides.written()[to] - top + 1, 0);
    first_slot = INT32_MAX;
    visit(sides, read_from, read_to, from, to, [&](int32_t s, int32_t written, int32_t) {
      ++start[written - top + 1];
      first_slot = std::min(first_slot, s);
      end_slot = std::max(end_slot, s + 1);
    });
    std::partial_sum(start.begin(), start.end(), start.begin());
    slot.resize(start.back());
    line.resize(start.back());
    std::vector<int64_t> next(start.begin(), start.end() - 1);
    visit(sides, read_from, read_to, from, to, [&](int32_t s, int32_t written, int32_t read) {
      const int64_t i = next[written - top]++;
      slot[i] = s;
      line[i] = read - left;
    });
  }

  template <class Visit>
  static void visit(const Sides& sides, int read_from, int read_to, int from, int to, Visit visit) {
    for (int w = from; w < to; ++w) {
      for (int r = read_from; r < read_to; ++r) {
        const int64_t cell = sides.cell(r, w);
        for (int32_t s = sides.slots.start[cell]; s < sides.slots.start[cell + 1]; ++s) {
          visit(s, sides.written()[w] + sides.written_line(s),
                sides.read()[r] + sides.read_line(s));
        }
      }
    }
  }
};

class SlotSweep final : public SlotProduct {
 public:
  SlotSweep(sweep<float>* kernel, bool adds) : kernel_(kernel), adds_(adds) {}

  // False where a pass and block have too many slots to be numbered.
  bool build(const Slots& slots, const LinePlaces& places, bool turned, const SweepShape& shape) {
    const Sides sides{slots, turned};
    height_ = shape.height;
    const int32_t* const from = turned ? places.rows : places.columns;
    const int32_t* const to = turned ? places.columns : places.rows;
    from_.assign(from, from + sides.read().back());
    blocks = (sides.written_blocks() + kBlocksTogether - 1) / kBlocksTogether;
    const int64_t width = std::min(shape.pass_columns, kMostLines - kSlotsBlock);
    passes_ = static_cast<int>(std::max<int64_t>(1, (sides.read().back() + width - 1) / width));
    work_.assign(blocks, 0);
    entries_.reserve(slots.entries);
    for (int pass = 0; pass < passes_; ++pass) {
      const int first = static_cast<int>(int64_t{sides.read_blocks()} * pass / passes_);
      const int end = static_cast<int>(int64_t{sides.read_blocks()} * (pass + 1) / passes_);
      first_line_.push_back(sides.read()[first]);
      for (int block = 0; block < blocks; ++block) {
        const int top = block * kBlocksTogether;
        const int bottom = std::min(sides.written_blocks(), top + kBlocksTogether);
        const PieceEntries piece(sides, first, end, top, bottom);
        if (piece.end_slot - int64_t{piece.first_slot} > kMostSlots) return false;
        add(piece, sides.written()[top], to, pass == 0 && !adds_);
        work_[block] += piece.start.back();
      }
    }
    first_run_.push_back(static_cast<int64_t>(runs_.size()));
    first_entry_.push_back(static_cast<int64_t>(entries_.size()));
    runs_.shrink_to_fit(), rows_.shrink_to_fit();
    return true;
  }

  int64_t work(int block) const override { return work_[block]; }
  int64_t bytes() const override {
    return static_cast<int64_t>(entries_.size() * 4 + rows_.size() * sizeof(SweepRow) +
                                runs_.size() * sizeof(SweepRun) + first_run_.size() * 28 +
                                from_.size() * 4);
  }

  void run(int first, int last, const float* values, const float* from, const int64_t* from_at,
           float* to, const int64_t* to_at, int groups, const float* bias) const override {
    while (first < last) {
      int end = first + 1;
      int64_t entries = work_[first];
      while (end < last && entries + work_[end] <= kStripEntries) entries += work_[end++];
      thread_local std::vector<float> laid;
      thread_local std::vector<int32_t> offsets;
      thread_local std::vector<int64_t> start;
      laid.resize(std::max<size_t>(laid.size(), entries));
      offsets.resize(laid.size());
      start.resize(first_entry_.size());
      lay(first, end, values, laid.data(), offsets.data(), start.data());
      SweepForm form;
      form.blocks = blocks, form.passes = passes_;
      form.first_run = first_run_.data(), form.first_row = first_row_.data();
      form.first_entry = start.data();
      form.runs = runs_.data(), form.rows = rows_.data();
      form.values = laid.data(), form.x_offsets = offsets.data();
      kernel_(&form, first, end, from, from_at, to, to_at, groups, bias,
              adds_ ? kSweepAdds : kSweepStores);
      first = end;
    }
  }

 private:
  // Equal rows in fours or twos whose entries alternate, as the kernel wants them.
  void add(const PieceEntries& piece, int32_t top, const int32_t* to, bool whole) {
    const auto entries = [&](int32_t row) {
      return static_cast<int32_t>(piece.start[row + 1] - piece.start[row]);
    };
    std::vector<int32_t> order;
    for (int32_t row = 0; row + 1 < static_cast<int32_t>(piece.start.size()); ++row) {
      if (whole || entries(row)) order.push_back(row);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return entries(a) > entries(b); });
    first_run_.push_back(static_cast<int64_t>(runs_.size()));
    first_row_.push_back(static_cast<int64_t>(rows_.size()));
    first_entry_.push_back(static_cast<int64_t>(entries_.size()));
    first_slot_.push_back(piece.first_slot);
    for (size_t i = 0; i < order.size();) {
      size_t end = i + 1;
      while (end < order.size() && entries(order[end]) == entries(order[i])) ++end;
      for (int height = height_; height >= 1; height /= 2) {
        const auto groups = static_cast<int32_t>((end - i) / height);
        if (groups) runs_.push_back({entries(order[i]), height, groups});
        for (int32_t g = 0; g < groups; ++g, i += height) {
          add_group(piece, order.data() + i, height, top, to);
        }
      }
    }
  }

  void add_group(const PieceEntries& piece, const int32_t* order, int height, int32_t top,
                 const int32_t* to) {
    for (int r = 0; r < height; ++r) rows_.push_back({top + order[r], to[top + order[r]]});
    const int64_t count = piece.start[*order + 1] - piece.start[*order];
    for (int64_t i = 0; i < count; ++i) {
      for (int r = 0; r < height; ++r) {
        const int64_t at = piece.start[order[r]] + i;
        entries_.push_back(static_cast<uint32_t>(piece.slot[at] - piece.first_slot) << kLineBits |
                           static_cast<uint32_t>(piece.line[at]));
      }
    }
  }

  void lay(int first, int end, const float* values, float* laid, int32_t* offsets,
           int64_t* start) const {
    int64_t next = 0;
    for (int pass = 0; pass < passes_; ++pass) {
      const int32_t* const from = from_.data() + first_line_[pass];
      for (int block = first; block < end; ++block) {
        const int64_t piece = int64_t{pass} * blocks + block;
        const float* const own = values + first_slot_[piece];
        start[piece] = next;
        for (int64_t i = first_entry_[piece]; i < first_entry_[piece + 1]; ++i, ++next) {
          laid[next] = own[entries_[i] >> kLineBits];
          offsets[next] = from[entries_[i] & (kMostLines - 1)];
        }
      }
    }
  }

  sweep<float>* const kernel_;
  const bool adds_;
  int passes_ = 0, height_ = 1;
  std::vector<int64_t> work_, first_run_, first_row_, first_entry_;
  std::vector<int32_t> first_slot_, first_line_, from_;
  std::vector<SweepRun> runs_;
  std::vector<SweepRow> rows_;
  std::vector<uint32_t> entries_;
};

}  // namespace

std::unique_ptr<SlotProduct> interpreted_product(const Slots& slots, const LinePlaces& places,
                                                 bool turned, bool adds, const char* set,
                                                 std::string& error) {
  const auto kernel = reinterpret_cast<sweep<float>*>(rarefy_kernel("sweep_f32", set));
  if (!kernel) {
    error = std::string("there are no kernels for lines in the set ") + set;
    return nullptr;
  }
  Tiles sizes;  // all that the shape asks for
  sizes.rows = slots.rows, sizes.columns = slots.columns, sizes.nonzero = slots.entries;
  auto made = std::make_unique<SlotSweep>(kernel, adds);
  if (made->build(slots, places, turned, SweepShape::of(set, sizes))) return made;
  error = "a topology has more entries in a few rows than can be numbered";
  return nullptr;
}

}  // namespace rarefy
