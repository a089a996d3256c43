#include "generated.h"

#include <algorithm>

#include "assembler.h"

namespace rarefy {
namespace {

// Code of the blocks that are run one after the other on the same activations: it stays in the
// instruction cache over all positions, while activations stay in the data cache over all blocks.
constexpr int64_t kPanelCode = 24 << 10;
// Results that stay in the second cache through all passes.
constexpr int64_t kStripBytes = 768 << 10;
// Positions taken at once: enough to use code often, few enough to keep their lines near.
constexpr int kChunk = 12;

// No piece needs more: bytes of the longest forms of what one block and one entry emit.
constexpr int64_t kBytesOfBlock = 64 + kBlockRows * 40;
constexpr int64_t kBytesOfEntry = 10 + 10 + 7 + 7;

// Code that will run next: fetched towards the second cache in equal shares while the present code
// runs. The processor does not look that far ahead by itself; weights, read in order, it does.
class Ahead {
 public:
  Ahead(const void* begin, const void* end, int64_t steps)
      : at_(static_cast<const char*>(begin)), end_(static_cast<const char*>(end)) {
    // The second cache fetches lines in pairs.
    bytes_ = ((end_ - at_) / 128 + steps) / steps * 128;
  }
  void step() {
    const char* const until = end_ - at_ > bytes_ ? at_ + bytes_ : end_;
    for (; at_ < until; at_ += 128) __builtin_prefetch(at_, 0, 2);
  }

 private:
  const char *at_, *end_;
  int64_t bytes_;
};

}  // namespace

std::unique_ptr<Product> Generated::make(const Tiles& tiles, const int32_t* x_offset,
                                         const int32_t* y_offset, int64_t lines_of_pass) {
  std::unique_ptr<Generated> made(new Generated());
  made->rows = tiles.rows;
  made->columns = tiles.columns;
  made->blocks = static_cast<int>(tiles.blocks);
  made->gather(tiles, lines_of_pass);
  if (!made->emit(x_offset, y_offset)) return nullptr;
  made->columns_ = {};
  made->rows_ = {};
  return made;
}

// Sorts the entries by pass, block, column, row.
void Generated::gather(const Tiles& tiles, int64_t lines_of_pass) {
  passes_ = static_cast<int>(std::max<int64_t>(1, (columns + lines_of_pass - 1) / lines_of_pass));
  const int64_t width = std::max<int64_t>(1, (columns + passes_ - 1) / passes_);
  first_row_.assign(tiles.first_row, tiles.first_row + blocks + 1);
  pieces_.assign(static_cast<size_t>(passes_) * (blocks + 1), Piece{0, 0});
  work_.resize(blocks);
  for (int block = 0; block < blocks; ++block) {
    work_[block] = tiles.work(block);
    tiles.each(block, [&](int, int64_t column, float) {
      ++pieces_[column / width * (blocks + 1) + block].value;
    });
  }
  int64_t next = 0;
  for (Piece& piece : pieces_) {
    const int64_t count = piece.value;
    piece.value = next;
    next += count;
  }
  values_.resize(next);
  columns_.resize(next);
  rows_.resize(next);
  std::vector<int64_t> to(passes_);
  for (int block = 0; block < blocks; ++block) {
    for (int pass = 0; pass < passes_; ++pass) to[pass] = piece(pass, block).value;
    tiles.each(block, [&](int row, int64_t column, float value) {
      const int64_t i = to[column / width]++;
      values_[i] = value;
      columns_[i] = static_cast<int32_t>(column);
      rows_[i] = static_cast<uint8_t>(row);
    });
  }
}

bool Generated::emit(const int32_t* x_offset, const int32_t* y_offset) {
  const auto bound = static_cast<int64_t>(values_.size()) * kBytesOfEntry +
                     static_cast<int64_t>(pieces_.size()) * kBytesOfBlock;
  memory_ = std::make_unique<CodeMemory>(static_cast<size_t>(bound));
  uint8_t* const start = memory_->writable();
  if (!start) return false;
  uint8_t* at = start;
  for (int pass = 0; pass < passes_; ++pass) {
    for (int block = 0; block <= blocks; ++block) {
      pieces_[pass * (blocks + 1) + block].code = at - start;
      if (block < blocks) at = emit_piece(at, pass, block, x_offset, y_offset);
    }
  }
  return memory_->make_executable(static_cast<size_t>(at - start));
}

uint8_t* Generated::emit_piece(uint8_t* to, int pass, int block, const int32_t* x_offset,
                               const int32_t* y_offset) const {
  Assembler code(to);
  const int height = first_row_[block + 1] - first_row_[block];
  const int32_t* const y = y_offset + first_row_[block];
  for (int row = 0; row < height; ++row) {
    if (pass == 0) {
      code.broadcast(row, kRcx, 4 * row);
    } else {
      code.load(row, kRdx, y[row]);
    }
  }
  const int64_t begin = piece(pass, block).value, end = piece(pass, block + 1).value;
  int64_t value_base = begin;
  int32_t x_base = 0, column = -1;
  int x = 30;
  for (int64_t i = begin; i < end; ++i) {
    if (columns_[i] != column) {
      column = columns_[i];
      x ^= 1;
      const int32_t offset = x_offset[column];
      // Moving the base costs an instruction and saves three bytes a load while loads stay near.
      const int64_t later = std::min(end - 1, i + 24);
      const int32_t reach = x_offset[columns_[later]] - offset;
      if ((offset - x_base < -8192 || offset - x_base > 8128) && reach >= 0 && reach < 16384) {
        code.add(kRdi, offset + 8192 - x_base);
        x_base = offset + 8192;
      }
      code.load(x, kRdi, offset - x_base);
    }
    if (i - value_base > 127) {
      code.add(kRsi, static_cast<int32_t>(4 * (i + 128 - value_base)));
      value_base = i + 128;
    }
    code.multiply_add(rows_[i], x, kRsi, static_cast<int32_t>(4 * (i - value_base)));
  }
  if (pass == passes_ - 1) {
    uint8_t* const past = code.skip_unless_r8();
    code.zero(30);
    for (int row = 0; row < height; ++row) code.maximum(row, 30, row);
    code.land(past);
  }
  for (int row = 0; row < height; ++row) code.store(row, kRdx, y[row]);
  code.finish();
  return code.at();
}

int64_t Generated::work(int block) const { return work_[block]; }

int64_t Generated::bytes() const {
  return static_cast<int64_t>(values_.size() * sizeof(float) + pieces_.size() * sizeof(Piece) +
                              memory_->size());
}

// The order of work: a strip of blocks whose results stay in the second cache goes through all
// passes before the next strip; in each pass its panels follow each other.
std::vector<Generated::Panel> Generated::panels(int first, int last, int groups) const {
  std::vector<Panel> found;
  const int64_t strip_rows = std::max<int64_t>(kBlockRows, kStripBytes / (64 * groups));
  for (int strip = first; strip < last;) {
    int strip_end = strip + 1;
    while (strip_end < last && first_row_[strip_end + 1] - first_row_[strip] <= strip_rows) {
      ++strip_end;
    }
    for (int pass = 0; pass < passes_; ++pass) {
      for (int from = strip, end; from < strip_end; from = end) {
        const Piece& start = piece(pass, from);
        end = from + 1;
        while (end < strip_end && piece(pass, end + 1).code - start.code <= kPanelCode) ++end;
        found.push_back({pass, from, end});
      }
    }
    strip = strip_end;
  }
  return found;
}

void Generated::run_panel(const Panel& panel, const Panel& next, const float* x,
                          const int64_t* x_at, float* y, const int64_t* y_at, int groups,
                          const float* bias, bool relu) const {
  static const float none[kBlockRows] = {};
  const uint8_t* const code = memory_->writable();
  const Piece &next_start = piece(next.pass, next.first), &next_end = piece(next.pass, next.end);
  Ahead next_code(code + next_start.code, code + next_end.code,
                  int64_t{groups} * (panel.end - panel.first));
  for (int group = 0; group < groups; ++group) {
    for (int block = panel.first; block < panel.end; ++block) {
      next_code.step();
      const Piece& at = piece(panel.pass, block);
      reinterpret_cast<Code>(const_cast<uint8_t*>(code + at.code))(
          x + x_at[group], values_.data() + at.value, y + y_at[group],
          bias ? bias + first_row_[block] : none, relu);
    }
  }
}

void Generated::run_at(int first, int last, const float* x, const int64_t* x_at, float* y,
                       const int64_t* y_at, int groups, const float* bias, bool relu) const {
  if (first >= last || groups <= 0) return;
  const std::vector<Panel> order = panels(first, last, std::min(groups, kChunk));
  for (int done = 0; done < groups; done += kChunk) {
    const int chunk = std::min(kChunk, groups - done);
    for (size_t i = 0; i < order.size(); ++i) {
      run_panel(order[i], order[i + 1 < order.size() ? i + 1 : 0], x, x_at + done, y, y_at + done,
                chunk, bias, relu);
    }
  }
}

}  // namespace rarefy
