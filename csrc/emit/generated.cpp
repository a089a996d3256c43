#include "generated.h"

#include <algorithm>
#include <utility>

#include "assembler.h"

namespace rarefy {
namespace {

// No piece needs more: bytes of the longest forms of what one block and one entry emit.
constexpr int64_t kBytesOfBlock = 64 + kBlockRows * 40;
constexpr int64_t kBytesOfEntry = 10 + 10 + 7 + 7;

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
  const auto passes =
      static_cast<int>(std::max<int64_t>(1, (columns + lines_of_pass - 1) / lines_of_pass));
  const int64_t width = std::max<int64_t>(1, (columns + passes - 1) / passes);
  pieces_.shape(passes, {tiles.first_row, tiles.first_row + blocks + 1});
  value_.assign(static_cast<size_t>(passes) * (blocks + 1), 0);
  work_.resize(blocks);
  for (int block = 0; block < blocks; ++block) {
    work_[block] = tiles.work(block);
    tiles.each(block, [&](int, int64_t column, float) {
      ++value_[column / width * (blocks + 1) + block];
    });
  }
  int64_t next = 0;
  for (int64_t& value : value_) next += std::exchange(value, next);
  values_.resize(next);
  columns_.resize(next);
  rows_.resize(next);
  std::vector<int64_t> to(passes);
  for (int block = 0; block < blocks; ++block) {
    for (int pass = 0; pass < passes; ++pass) to[pass] = value(pass, block);
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
                     static_cast<int64_t>(value_.size()) * kBytesOfBlock;
  return pieces_.write(bound, [&](uint8_t* at, int pass, int block) {
    return emit_piece(at, pass, block, x_offset, y_offset);
  });
}

uint8_t* Generated::emit_piece(uint8_t* to, int pass, int block, const int32_t* x_offset,
                               const int32_t* y_offset) const {
  Assembler code(to);
  const int height = pieces_.height(block);
  const int32_t* const y = y_offset + pieces_.first_row(block);
  for (int row = 0; row < height; ++row) {
    if (pass == 0) {
      code.broadcast(row, kRcx, 4 * row);
    } else {
      code.load(row, kRdx, y[row]);
    }
  }
  const int64_t begin = value(pass, block), end = value(pass, block + 1);
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
  if (pass == pieces_.passes() - 1) {
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
  return static_cast<int64_t>(values_.size() * sizeof(float) + value_.size() * sizeof(int64_t) +
                              pieces_.bytes());
}

void Generated::run_at(int first, int last, const float* x, const int64_t* x_at, float* y,
                       const int64_t* y_at, int groups, const float* bias, bool relu) const {
  static const float none[kBlockRows] = {};
  pieces_.run(first, last, groups, [&](uint8_t* code, int pass, int block, int group) {
    reinterpret_cast<Code>(code)(x + x_at[group], values_.data() + value(pass, block),
                                 y + y_at[group], bias ? bias + pieces_.first_row(block) : none,
                                 relu);
  });
}

}  // namespace rarefy
