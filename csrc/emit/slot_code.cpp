#include "slot_code.h"

#include <algorithm>

#include "../runtime/product.h"
#include "assembler.h"

namespace rarefy {
namespace {

// No piece needs more: bytes of the longest forms of what a block, a cell and an entry emit.
constexpr int64_t kBytesOfBlock = 64 + kSlotsBlock * 40;
constexpr int64_t kBytesOfCell = 7;
constexpr int64_t kBytesOfEntry = 10 + 10 + 7;

// One cell as the code of its direction meets it: by the line that is read, then the one written.
class CellOrder {
 public:
  CellOrder(const Slots& slots, bool turned) : slots_(slots), turned_(turned) {}

  // Its entries, as (read line, written line, slot), numbers inside the blocks.
  const std::vector<Slot>& of(int row_block, int column_block) {
    const int64_t cell = slots_.cell(row_block, column_block);
    const int32_t begin = slots_.start[cell], end = slots_.start[cell + 1];
    entries_.resize(end - begin);
    if (turned_) {  // rows are read, and slots stand by row already
      for (int32_t s = begin; s < end; ++s) entries_[s - begin] = at(s);
      return entries_;
    }
    int32_t next[33] = {};
    for (int32_t s = begin; s < end; ++s) ++next[(slots_.positions[s] & 31) + 1];
    for (int c = 0; c < 32; ++c) next[c + 1] += next[c];
    for (int32_t s = begin; s < end; ++s) entries_[next[slots_.positions[s] & 31]++] = at(s);
    return entries_;
  }

 private:
  Slot at(int32_t slot) const {
    const uint16_t position = slots_.positions[slot];
    return {slot, static_cast<uint8_t>(position >> 5), static_cast<uint8_t>(position & 31)};
  }

  const Slots& slots_;
  const bool turned_;
  std::vector<Slot> entries_;
};

// Writes the function of one block of written lines and one pass over blocks of read lines.
class PieceWriter {
 public:
  PieceWriter(uint8_t* to, const int32_t* from, const int32_t* written, int height)
      : code_(to), from_(from), written_(written), height_(height) {}

  void begin(bool bias) {
    for (int line = 0; line < height_; ++line) {
      if (bias) {
        code_.broadcast(line, kRcx, 4 * line);
      } else {
        code_.load(line, kRdx, written_[line]);
      }
    }
  }

  void cell(const std::vector<Slot>& entries, int32_t first_read, bool turned) {
    if (entries.empty()) return;
    const auto [low, high] = std::minmax_element(
        entries.begin(), entries.end(),
        [](const Slot& a, const Slot& b) { return a.slot < b.slot; });
    if (low->slot < base_ - 128 || high->slot > base_ + 127) {
      code_.add(kRsi, 4 * (low->slot + 128 - base_));
      base_ = low->slot + 128;
    }
    for (const Slot& entry : entries) {
      read(first_read + (turned ? entry.row : entry.column));
      code_.multiply_add(turned ? entry.column : entry.row, x_, kRsi, 4 * (entry.slot - base_));
    }
  }

  uint8_t* end() {
    for (int line = 0; line < height_; ++line) code_.store(line, kRdx, written_[line]);
    code_.finish();
    return code_.at();
  }

 private:
  // The line into the register that the last one is not in. Moving the base costs an instruction
  // and saves three bytes a load while loads stay near.
  void read(int32_t line) {
    if (line == line_) return;
    line_ = line;
    x_ ^= 1;
    const int32_t offset = from_[line];
    if (offset - x_base_ < -8192 || offset - x_base_ > 8128) {
      code_.add(kRdi, offset + 4096 - x_base_);
      x_base_ = offset + 4096;
    }
    code_.load(x_, kRdi, offset - x_base_);
  }

  Assembler code_;
  const int32_t* const from_;
  const int32_t* const written_;
  const int height_;
  int32_t base_ = 0, x_base_ = 0, line_ = -1;
  int x_ = 30;
};

// Lines of a pass: the fewer entries, the more, since every pass reads and writes results again.
int64_t lines_of_pass(const Slots& slots) {
  const double density = static_cast<double>(slots.entries) /
                         std::max<double>(1, 1.0 * slots.rows * slots.columns);
  if (density > 0.4) return 128;
  return density > 0.15 ? 256 : 384;
}

}  // namespace

std::unique_ptr<SlotCode> SlotCode::make(const Slots& slots, const LinePlaces& places, bool turned,
                                         bool adds) {
  std::unique_ptr<SlotCode> made(new SlotCode());
  made->adds_ = adds;
  const int written = turned ? slots.column_blocks() : slots.row_blocks();
  const int read = turned ? slots.row_blocks() : slots.column_blocks();
  const std::vector<int32_t>& first_written = turned ? slots.first_column : slots.first_row;
  const std::vector<int32_t>& first_read = turned ? slots.first_row : slots.first_column;
  const int32_t* const from = turned ? places.rows : places.columns;
  const int32_t* const to = turned ? places.columns : places.rows;
  const int64_t lines = first_read.back(), most = lines_of_pass(slots);
  const int passes = static_cast<int>(std::max<int64_t>(1, (lines + most - 1) / most));
  made->blocks = written;
  made->pieces_.shape(passes, first_written);
  made->work_.assign(written, 0);
  for (int w = 0; w < written; ++w) {
    for (int r = 0; r < read; ++r) {
      const int64_t cell = turned ? slots.cell(r, w) : slots.cell(w, r);
      made->work_[w] += slots.start[cell + 1] - slots.start[cell];
    }
  }
  CellOrder order(slots, turned);
  const int64_t cells = int64_t{written} * read;
  const int64_t bound = slots.entries * kBytesOfEntry + cells * kBytesOfCell +
                        int64_t{passes} * (written + 1) * kBytesOfBlock;
  const bool good = made->pieces_.write(bound, [&](uint8_t* at, int pass, int w) {
    PieceWriter piece(at, from, to + first_written[w], made->pieces_.height(w));
    piece.begin(pass == 0 && !adds);
    const int end = static_cast<int>(int64_t{read} * (pass + 1) / passes);
    for (int r = static_cast<int>(int64_t{read} * pass / passes); r < end; ++r) {
      piece.cell(turned ? order.of(r, w) : order.of(w, r), first_read[r], turned);
    }
    return piece.end();
  });
  return good ? std::move(made) : nullptr;
}

void SlotCode::run(int first, int last, const float* values, const float* from,
                   const int64_t* from_at, float* to, const int64_t* to_at, int groups,
                   const float* bias) const {
  static const float none[kSlotsBlock] = {};
  pieces_.run(first, last, groups, [&](uint8_t* code, int, int block, int group) {
    reinterpret_cast<Code>(code)(from + from_at[group], values, to + to_at[group],
                                 bias ? bias + pieces_.first_row(block) : none);
  });
}

}  // namespace rarefy
