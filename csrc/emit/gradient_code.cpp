#include "gradient_code.h"

#include <algorithm>

#include "assembler.h"

namespace rarefy {
namespace {

constexpr int kTogether = 28;  // slots whose sums are in registers
constexpr int kHalf = 16;      // of them, what one register of sums holds
// Blocks of columns whose lines, of kGradientGroups positions, stay in the first cache while all
// blocks of rows meet them.
constexpr int kStripBlocks = 2;
// Blocks of rows whose lines stay in the second cache while all strips meet them.
constexpr int kPanelBlocks = 24;
// So many functions ahead, code is fetched towards the second cache.
constexpr int kAhead = 2;

// No more than: what a function, the slots of a bundle and one slot emit in their longest forms.
constexpr int64_t kBytesOfPiece = 16;
constexpr int64_t kBytesOfBundle = 64;
constexpr int64_t kBytesOfSlot = 11 + 10;
constexpr int64_t kBytesOfRoutines = 4096;

// Registers: rdi and rsi the lines of x and y, rdx the gradients, rcx the positions, r8 and r9 the
// bytes from position to position; rax, r10 and r11 run inside a bundle.
class Writer {
 public:
  explicit Writer(uint8_t* to) : code_(to) {}
  uint8_t* at() const { return code_.at(); }

  void routines() {
    for (const bool all : {false, true}) {
      clear_[all] = code_.at();
      for (int i = 0; i < (all ? kTogether : kHalf); ++i) code_.zero(i);
      code_.ret();
      add_[all] = code_.at();
      for (int half = 0; half <= all; ++half) {
        reduce(half * kHalf, half ? kTogether - kHalf : kHalf);
        if (half) code_.next_mask();
        code_.add_some(kRdx, half * kHalf * 4, half * kHalf);
      }
      code_.ret();
    }
  }

  // Slots [first, first + count), whose lines of x and y lie at these bytes.
  void bundle(const int32_t* x, const int32_t* y, int count) {
    const int32_t middle_x = middle(x, count), middle_y = middle(y, count);
    const bool all = count > kHalf;
    code_.call(clear_[all]);
    code_.address(kRax, kRdi, middle_x);
    code_.address(kR10, kRsi, middle_y);
    code_.move(kR11, kRcx);
    const uint8_t* const start = code_.at();
    int row = kTogether;
    for (int i = 0; i < count; ++i) {
      if (i == 0 || y[i] != y[i - 1]) code_.load(row ^= 1, kR10, y[i] - middle_y);
      code_.multiply_add_lines(i, row, kRax, x[i] - middle_x);
    }
    code_.add(kRax, kR8);
    code_.add(kR10, kR9);
    code_.loop(kR11, start);
    code_.mask((1 << count) - 1);
    code_.call(add_[all]);
    code_.add(kRdx, 4 * count);
  }

  void finish() { code_.finish(); }

 private:
  // So that as many displacements as possible are short.
  static int32_t middle(const int32_t* offsets, int count) {
    const auto [low, high] = std::minmax_element(offsets, offsets + count);
    return (*low + (*high - *low) / 2) / 64 * 64;
  }

  // The sums of up to 16 registers from `first` over their lanes, in the lanes of the first. Lanes
  // beyond `count` hold something.
  void reduce(int first, int count) {
    const auto fold = [&](int a, int b, auto low, auto high) {
      low(30, a, b);
      high(31, a, b);
      code_.add_floats(a, 30, 31);
    };
    for (int i = first; i < first + count; i += 2) {
      fold(
          i, i + 1, [&](int to, int a, int b) { code_.unpack_low(to, a, b); },
          [&](int to, int a, int b) { code_.unpack_high(to, a, b); });
    }
    for (int i = first; i < first + count; i += 4) {
      fold(
          i, i + 2, [&](int to, int a, int b) { code_.unpack_low_pairs(to, a, b); },
          [&](int to, int a, int b) { code_.unpack_high_pairs(to, a, b); });
    }
    const auto even = [&](int to, int a, int b) { code_.quarters(to, a, b, 0x88); };
    const auto odd = [&](int to, int a, int b) { code_.quarters(to, a, b, 0xdd); };
    for (int i = first; i < first + count; i += 8) {
      fold(i, i + 4 < first + count ? i + 4 : i, even, odd);
    }
    fold(first, first + 8, even, odd);
  }

  Assembler code_;
  const uint8_t *clear_[2] = {}, *add_[2] = {};  // of half the registers, and of all
};

}  // namespace

std::unique_ptr<GradientCode> GradientCode::make(const Slots& slots, const LinePlaces& places) {
  std::unique_ptr<GradientCode> made(new GradientCode());
  made->row_blocks_ = slots.row_blocks();
  made->strips_ = (slots.column_blocks() + kStripBlocks - 1) / kStripBlocks;
  const int64_t pieces = int64_t{made->strips_} * made->row_blocks_;
  const int64_t cells = int64_t{slots.row_blocks()} * slots.column_blocks();
  made->memory_ = std::make_unique<CodeMemory>(static_cast<size_t>(
      kBytesOfRoutines + pieces * kBytesOfPiece + slots.entries * kBytesOfSlot +
      (slots.entries / kTogether + cells) * kBytesOfBundle));
  uint8_t* const begin = made->memory_->writable();
  if (!begin) return nullptr;
  Writer writer(begin);
  writer.routines();
  for (int strip = 0; strip < made->strips_; ++strip) {
    const int from = strip * kStripBlocks;
    const int to = std::min(slots.column_blocks(), from + kStripBlocks);
    for (int r = 0; r < slots.row_blocks(); ++r) {
      const int32_t first = slots.start[slots.cell(r, from)];
      // The last cell of a block of rows ends where the next block's first begins.
      const int32_t end = slots.start[slots.cell(r, to - 1) + 1];
      made->code_.push_back(writer.at() - begin);
      made->start_.push_back(first);
      if (first == end) continue;
      // Alike, so that none is nearly empty.
      const int32_t bundles = (end - first + kTogether - 1) / kTogether;
      int32_t x[kTogether], y[kTogether], done = 0;
      int count = 0;
      for (int c = from; c < to; ++c) {
        const int64_t cell = slots.cell(r, c);
        for (int32_t s = slots.start[cell]; s < slots.start[cell + 1]; ++s) {
          x[count] = places.columns[slots.first_column[c] + (slots.positions[s] & 31)];
          y[count] = places.rows[slots.first_row[r] + (slots.positions[s] >> 5)];
          ++count;
          if (s + 1 - first < int64_t{end - first} * (done + 1) / bundles) continue;
          writer.bundle(x, y, count);
          count = 0;
          ++done;
        }
      }
      writer.finish();
    }
  }
  made->code_.resize(made->code_.size() + 2, writer.at() - begin);
  return made->memory_->make_executable(static_cast<size_t>(writer.at() - begin))
             ? std::move(made)
             : nullptr;
}

int64_t GradientCode::bytes() const {
  return static_cast<int64_t>(memory_->size() + code_.size() * 12);
}

void GradientCode::run(int first, int last, const float* x, int64_t x_stride, const float* y,
                       int64_t y_stride, int64_t groups, float* values) const {
  if (groups <= 0) return;
  const uint8_t* const begin = memory_->writable();
  for (int panel = first; panel < last; panel += kPanelBlocks) {
    const int end = std::min(last, panel + kPanelBlocks);
    for (int strip = 0; strip < strips_; ++strip) {
      for (int r = panel; r < end; ++r) {
        const int64_t piece = int64_t{strip} * row_blocks_ + r;
        // The processor does not look so far ahead by itself.
        const int64_t ahead = std::min<int64_t>(piece + kAhead, strips_ * row_blocks_);
        for (int64_t at = code_[ahead]; at < code_[ahead + 1]; at += 128) {
          __builtin_prefetch(begin + at, 0, 2);
        }
        if (code_[piece] == code_[piece + 1]) continue;
        reinterpret_cast<Code>(const_cast<uint8_t*>(begin + code_[piece]))(
            x, y, values + start_[piece], groups, 4 * x_stride, 4 * y_stride);
      }
    }
  }
}

}  // namespace rarefy
