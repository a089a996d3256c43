// The few instructions that float16 products consist of, as bytes; only for window_code.cpp.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

namespace rarefy {

// One weight of a piece: its column from the begin of the pass, its row in the block.
struct HalfEntry {
  int64_t column;
  int row;
  uint16_t value;
};

// Code with the arguments rdi = lines of the pass, rsi = values, rdx = sums of the block's rows.
class HalfAssembler {
 public:
  // No piece is longer: what one entry, and what one block beside its entries, can emit.
  static constexpr int64_t kEntryBytes = 10 + 7 + 10 + 7;
  static constexpr int64_t kPieceBytes = 30 * (10 + 10) + 16;

  explicit HalfAssembler(uint8_t* to) : at_(to) {}

  // Entries by column; sums start from zero, or go on. Returns the end.
  uint8_t* piece(const std::vector<HalfEntry>& entries, int height, bool from_zero) {
    for (int row = 0; row < height; ++row) {
      if (from_zero) {
        zero(row);
      } else {
        load(row, kRdx, 64 * row);
      }
    }
    const auto count = static_cast<int64_t>(entries.size());
    int64_t values_from = 0, lines_from = 0, column = -1;
    int x = 30;
    for (int64_t i = 0; i < count; ++i) {
      if (entries[i].column != column) {
        column = entries[i].column;
        x ^= 1;
        // A base that keeps up costs an instruction and saves three bytes a load.
        if (column - lines_from > 127) {
          add(kRdi, 64 * (column + 128 - lines_from));
          lines_from = column + 128;
        }
        load(x, kRdi, 64 * (column - lines_from));
      }
      if (i - values_from > 127) {
        add(kRsi, 2 * (i + 128 - values_from));
        values_from = i + 128;
      }
      multiply_add(entries[i].row, x, kRsi, 2 * (i - values_from));
    }
    for (int row = 0; row < height; ++row) store(row, kRdx, 64 * row);
    put(0xc5), put(0xf8), put(0x77), put(0xc3);  // vzeroupper; ret
    return at_;
  }

 private:
  enum Base : uint8_t { kRdx = 2, kRsi = 6, kRdi = 7 };

  // zmm[to] = 64 bytes at base + offset; and back (vmovups).
  void load(int to, Base base, int64_t offset) { memory(1, 0, 0x10, to, 0, base, offset, 64, 0); }
  void store(int from, Base base, int64_t offset) {
    memory(1, 0, 0x11, from, 0, base, offset, 64, 0);
  }
  // zmm[to] += zmm[a] * the float16 at base + offset, 32 times (vfmadd231ph with broadcast).
  void multiply_add(int to, int a, Base base, int64_t offset) {
    memory(6, 1, 0xb8, to, a, base, offset, 2, 0x10);
  }
  void zero(int to) {  // vpxord
    prefix(1, 1, to, to, (to & 16) != 0, (to & 8) != 0, 0);
    put(0xef);
    put(static_cast<uint8_t>(0xc0 | (to & 7) << 3 | (to & 7)));
  }
  void add(Base base, int64_t bytes) {
    put(0x48), put(0x81), put(static_cast<uint8_t>(0xc0 | base));
    put32(static_cast<int32_t>(bytes));
  }

  void put(uint8_t byte) { *at_++ = byte; }
  void put32(int32_t value) {
    std::memcpy(at_, &value, 4);
    at_ += 4;
  }
  // The EVEX bytes (Intel SDM volume 2, section 2.7): opcode map, mandatory prefix, registers
  // inverted. Map 6 holds the float16 instructions.
  void prefix(int map, int mandatory, int reg, int second, bool extended_x, bool extended_b,
              int broadcast) {
    put(0x62);
    put(static_cast<uint8_t>((~reg & 8) << 4 | (extended_x ? 0 : 0x40) | (extended_b ? 0 : 0x20) |
                             (~reg & 16) | map));
    put(static_cast<uint8_t>((~second & 15) << 3 | 4 | mandatory));
    put(static_cast<uint8_t>(0x40 | broadcast | (~second & 16) >> 1));
  }
  // A short displacement counts in units of what is read.
  void memory(int map, int mandatory, uint8_t opcode, int reg, int second, Base base,
              int64_t offset, int unit, int broadcast) {
    prefix(map, mandatory, reg, second, false, false, broadcast);
    put(opcode);
    const bool is_short = offset % unit == 0 && offset / unit >= -128 && offset / unit < 128;
    put(static_cast<uint8_t>((is_short ? 0x40 : 0x80) | (reg & 7) << 3 | base));
    if (is_short) {
      put(static_cast<uint8_t>(offset / unit));
    } else {
      put32(static_cast<int32_t>(offset));
    }
  }

  uint8_t* at_;
};

}  // namespace rarefy
