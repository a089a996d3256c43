// Generated code with float16 arithmetic: a multiply-add serves 32 tokens, and no slot is padded.
//
// Of a block of up to 30 rows (each an accumulator register) and a pass (a run of columns whose
// lines stay in the first cache) it is one function: load each column's line of 32 float16 once,
// then one multiply-add with a broadcast weight per entry.
#include "window_code.h"

#include <algorithm>

#include "../emit/memory.h"
#include "product.h"
#include "window_half.h"

namespace rarefy {
namespace {

constexpr int64_t kHeight = 30;
constexpr int64_t kPassLines = 320;          // columns
constexpr int64_t kPanelCode = 28 << 10;     // bytes of code that are run over and over
constexpr int64_t kPanelSums = 96 << 10;     // bytes; on the stack
constexpr int64_t kMostGroups = 8;           // of tokens that a panel runs over at once

int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

class HalfCode final : public Halves {
 public:
  const char* form() const override { return "code"; }
  int64_t bytes() const override {
    return static_cast<int64_t>(memory_->size() + 2 * values_.size() +
                                pieces_.size() * sizeof(Piece));
  }
  int units() const override { return blocks_; }
  int64_t work(int unit) const override { return work_[unit]; }

  void run(int first, int last, const uint8_t* prepared, int64_t tokens, float* y, int64_t y_stride,
           const float* bias, bool relu) const override {
    const int64_t groups = pieces(tokens), plane = kHeight * kLine;
    const int64_t at_once = std::clamp<int64_t>(kPanelSums / (plane * planes_), 1, kMostGroups);
    const int64_t most_blocks = std::max<int64_t>(1, kPanelSums / (plane * planes_ * at_once));
    alignas(64) uint8_t sums[kPanelSums];
    for (int64_t group = 0; group < groups; group += at_once) {
      const int64_t count = std::min(at_once, groups - group);
      for (int panel = first; panel < last;) {
        const int end = panel_end(panel, last, most_blocks);
        const int64_t height = first_row_[end] - first_row_[panel];
        run_panel(panel, end, prepared, tokens, group, count, sums);
        for (int64_t g = 0; g < count; ++g) {
          finish({tokens, y, y_stride, bias, relu}, prepared, group + g, first_row_[panel], height,
                 sums + g * planes_ * height * kLine, height * kLine);
        }
        panel = end;
      }
    }
  }

  bool fill(const Quantized& weight, const char* set, std::string& error) {
    if (!take(weight, set, error)) return false;
    planes_ = std::min(planes_, static_cast<int>(kPanelSums / (kHeight * kLine)));
    blocks_ = static_cast<int>(parts(rows, kHeight));
    for (int64_t block = 0; block <= blocks_; ++block) {
      first_row_.push_back(blocks_ ? rows * block / blocks_ : 0);
    }
    passes_ = static_cast<int>(std::max<int64_t>(1, parts(columns, kPassLines)));
    passes_ = static_cast<int>(parts(passes_, planes_) * planes_);
    if (emit(weight)) return true;
    error = "this system gives no memory for generated code";
    return false;
  }

 private:
  // One (block, pass): where its code and its first value lie.
  struct Piece {
    int64_t code, value;
  };

  const Piece& piece(int pass, int block) const { return pieces_[block * passes_ + pass]; }

  bool emit(const Quantized& weight) {
    const int64_t bound = weight.nonzero() * HalfAssembler::kEntryBytes +
                          int64_t{blocks_} * passes_ * HalfAssembler::kPieceBytes + 64;
    memory_ = std::make_unique<CodeMemory>(static_cast<size_t>(bound));
    uint8_t* const start = memory_->writable();
    if (!start) return false;
    uint8_t* at = start;
    std::vector<HalfEntry> entries;
    std::vector<int64_t> next(weight.start.begin(), weight.start.end() - 1);
    for (int block = 0; block < blocks_; ++block) {
      const auto height = static_cast<int>(first_row_[block + 1] - first_row_[block]);
      work_.push_back(height + weight.start[first_row_[block + 1]] -
                      weight.start[first_row_[block]]);
      for (int pass = 0; pass < passes_; ++pass) {
        const int64_t begin_column = columns * pass / passes_;
        const int64_t end_column = columns * (pass + 1) / passes_;
        entries.clear();
        for (int row = 0; row < height; ++row) {
          const int64_t end = weight.start[first_row_[block] + row + 1];
          for (int64_t& i = next[first_row_[block] + row];
               i < end && weight.column[i] < end_column; ++i) {
            entries.push_back({weight.column[i] - begin_column, row,
                               static_cast<uint16_t>(weight.value[i])});
          }
        }
        std::stable_sort(
            entries.begin(), entries.end(),
            [](const HalfEntry& a, const HalfEntry& b) { return a.column < b.column; });
        pieces_.push_back({at - start, static_cast<int64_t>(values_.size())});
        for (const HalfEntry& entry : entries) values_.push_back(entry.value);
        at = HalfAssembler(at).piece(entries, height, pass % (passes_ / planes_) == 0);
      }
    }
    pieces_.push_back({at - start, static_cast<int64_t>(values_.size())});
    return memory_->make_executable(static_cast<size_t>(at - start));
  }

  // The end of the panel that starts with block `first`: its code for one pass stays in a cache.
  int panel_end(int first, int last, int64_t most_blocks) const {
    int end = first + 1;
    while (end < last && end - first < most_blocks &&
           piece(0, end + 1).code - piece(0, first).code <= kPanelCode * passes_) {
      ++end;
    }
    return end;
  }

  // sums[group][plane][row of the panel][32 tokens].
  void run_panel(int first, int last, const uint8_t* prepared, int64_t tokens, int64_t first_group,
                 int64_t groups, uint8_t* sums) const {
    using Code = void (*)(const uint8_t* x, const uint16_t* values, uint8_t* sums);
    const int64_t height = first_row_[last] - first_row_[first];
    for (int pass = 0; pass < passes_; ++pass) {
      const int64_t plane = pass / (passes_ / planes_);
      for (int64_t g = 0; g < groups; ++g) {
        const uint8_t* const x =
            lines_of(prepared, tokens, first_group + g) + columns * pass / passes_ * kLine;
        for (int block = first; block < last; ++block) {
          const Piece& at = piece(pass, block);
          const int64_t row = first_row_[block] - first_row_[first];
          reinterpret_cast<Code>(memory_->writable() + at.code)(
              x, values_.data() + at.value, sums + ((g * planes_ + plane) * height + row) * kLine);
        }
      }
    }
  }

  int blocks_ = 0, passes_ = 1;
  std::vector<int64_t> first_row_;
  std::vector<int64_t> work_;
  std::vector<Piece> pieces_;
  std::vector<uint16_t> values_;
  std::unique_ptr<CodeMemory> memory_;
};

}  // namespace

bool has_half_arithmetic() {
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12
  return __builtin_cpu_supports("avx512fp16");
#else
  return false;
#endif
}

std::unique_ptr<Window> make_code(const Quantized& weight, const char* set, std::string& error) {
  if (weight.kind != kF16) {
    error = "generated code with float16 arithmetic needs weights of float16";
    return nullptr;
  }
  if (!has_half_arithmetic() || !can_emit()) {
    error = "this CPU has no float16 arithmetic, or its system forbids generated code";
    return nullptr;
  }
  auto made = std::make_unique<HalfCode>();
  if (!made->fill(weight, set, error)) return nullptr;
  return made;
}

}  // namespace rarefy
