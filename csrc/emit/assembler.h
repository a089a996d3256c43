// The dozen AVX-512 instructions that generated code consists of, as bytes.
#pragma once
#include <cstdint>
#include <cstring>

namespace rarefy {

// General registers, by their number in the encoding.
enum Base : uint8_t {
  kRax = 0, kRcx = 1, kRdx = 2, kRsi = 6, kRdi = 7, kR8 = 8, kR9 = 9, kR10 = 10, kR11 = 11
};

class Assembler {
 public:
  explicit Assembler(uint8_t* to) : at_(to) {}
  uint8_t* at() const { return at_; }

  // zmm[to] = 16 floats at base + offset; and back.
  void load(int to, Base base, int32_t offset) { memory(kNone, 0x10, to, 0, base, offset, 64, 0); }
  void store(int from, Base base, int32_t offset) {
    memory(kNone, 0x11, from, 0, base, offset, 64, 0);
  }
  // zmm[to] = the float at base + offset in all lanes.
  void broadcast(int to, Base base, int32_t offset) {
    memory(k66_0f38, 0x18, to, 0, base, offset, 4, 0);
  }
  // zmm[to] += zmm[a] * the float at base + offset.
  void multiply_add(int to, int a, Base base, int32_t offset) {
    memory(k66_0f38, 0xb8, to, a, base, offset, 4, 0x10);
  }
  // zmm[to] += zmm[a] * 16 floats at base + offset.
  void multiply_add_lines(int to, int a, Base base, int32_t offset) {
    memory(k66_0f38, 0xb8, to, a, base, offset, 64, 0);
  }
  // zmm[to] = max(zmm[a], zmm[b]); b where either is NaN.
  void maximum(int to, int a, int b) { registers(kNone, 0x5f, to, a, b); }
  void zero(int to) { registers(k66_0f, 0xef, to, to, to); }
  // base += bytes.
  void add(Base base, int32_t bytes) {
    put(rex(kRax, base)), put(0x81), put(static_cast<uint8_t>(0xc0 | (base & 7)));
    put32(bytes);
  }
  // to += from; to = from; to = from + bytes.
  void add(Base to, Base from) { general(0x01, from, to); }
  void move(Base to, Base from) { general(0x89, from, to); }
  void address(Base to, Base from, int32_t bytes) {
    put(rex(to, from)), put(0x8d), put(static_cast<uint8_t>(0x80 | (to & 7) << 3 | (from & 7)));
    put32(bytes);
  }
  // Counts down and goes back to `start` until nothing is left.
  void loop(Base counter, const uint8_t* start) {
    put(rex(kRax, counter)), put(0xff), put(static_cast<uint8_t>(0xc8 | (counter & 7)));
    put(0x0f), put(0x85);
    put32(static_cast<int32_t>(start - (at_ + 4)));
  }
  void call(const uint8_t* routine) {
    put(0xe8);
    put32(static_cast<int32_t>(routine - (at_ + 4)));
  }
  void ret() { put(0xc3); }
  // eax = k1 = number; and k1's upper 16 bits to the lower ones.
  void mask(int32_t number) {
    put(0xb8);
    put32(number);
    put(0xc5), put(0xfb), put(0x92), put(0xc8);
  }
  void next_mask() {
    put(0xc4), put(0xe3), put(0x79), put(0x31), put(0xc9), put(16);
  }
  // The low and the high halves of each pair of floats (and of doubles) of a's and b's quarters.
  void unpack_low(int to, int a, int b) { registers(kNone, 0x14, to, a, b); }
  void unpack_high(int to, int a, int b) { registers(kNone, 0x15, to, a, b); }
  void unpack_low_pairs(int to, int a, int b) { registers(k66_0f_wide, 0x14, to, a, b); }
  void unpack_high_pairs(int to, int a, int b) { registers(k66_0f_wide, 0x15, to, a, b); }
  // Quarters of a, then of b, chosen by two bits each.
  void quarters(int to, int a, int b, uint8_t which) {
    registers(k66_0f3a, 0x43, to, a, b);
    put(which);
  }
  void add_floats(int to, int a, int b) { registers(kNone, 0x58, to, a, b); }
  // Those of the 16 floats at base + offset whose bit of k1 is set += zmm[from]; no others are
  // read or written.
  void add_some(Base base, int32_t offset, int from) {
    memory(kNone, 0x58, from, from, base, offset, 64, 0x81);
    memory(kNone, 0x11, from, 0, base, offset, 64, 0x01);
  }
  // Jumps over what is emitted until land() where the 32-bit argument in r8 is zero.
  uint8_t* skip_unless_r8() {
    put(0x45), put(0x85), put(0xc0), put(0x0f), put(0x84);
    put32(0);
    return at_;
  }
  void land(uint8_t* from) {
    const auto distance = static_cast<int32_t>(at_ - from);
    std::memcpy(from - 4, &distance, 4);
  }
  void finish() { put(0xc5), put(0xf8), put(0x77), put(0xc3); }  // vzeroupper; ret

 private:
  // Opcode map and mandatory prefix, as the second and third payload bytes hold them.
  struct Map {
    uint8_t map, prefix;
  };
  static constexpr Map kNone{1, 0}, k66_0f{1, 1}, k66_0f38{2, 1};
  static constexpr Map k66_0f_wide{1, 0x81}, k66_0f3a{3, 1};

  void put(uint8_t byte) { *at_++ = byte; }
  void put32(int32_t value) {
    std::memcpy(at_, &value, 4);
    at_ += 4;
  }
  static uint8_t rex(int reg, int base) {
    return static_cast<uint8_t>(0x48 | (reg & 8) >> 1 | (base & 8) >> 3);
  }
  void general(uint8_t opcode, Base reg, Base base) {
    put(rex(reg, base)), put(opcode);
    put(static_cast<uint8_t>(0xc0 | (reg & 7) << 3 | (base & 7)));
  }
  // The four EVEX bytes (Intel SDM volume 2, section 2.7): register numbers go in inverted.
  void prefix(Map map, int reg, int second, bool extended_x, bool extended_b, uint8_t broadcast) {
    put(0x62);
    put(static_cast<uint8_t>((~reg & 8) << 4 | (extended_x ? 0 : 0x40) | (extended_b ? 0 : 0x20) |
                             (~reg & 16) | map.map));
    put(static_cast<uint8_t>((~second & 15) << 3 | 4 | map.prefix));
    put(static_cast<uint8_t>(0x40 | broadcast | (~second & 16) >> 1));
  }
  // A short displacement counts in units of what is read (`unit` bytes).
  void memory(Map map, uint8_t opcode, int reg, int second, Base base, int32_t offset, int unit,
              uint8_t broadcast) {
    prefix(map, reg, second, false, (base & 8) != 0, broadcast);
    put(opcode);
    const bool is_short = offset % unit == 0 && offset / unit >= -128 && offset / unit < 128;
    put(static_cast<uint8_t>((is_short ? 0x40 : 0x80) | (reg & 7) << 3 | (base & 7)));
    if (is_short) {
      put(static_cast<uint8_t>(offset / unit));
    } else {
      put32(offset);
    }
  }
  void registers(Map map, uint8_t opcode, int to, int a, int b) {
    prefix(map, to, a, (b & 16) != 0, (b & 8) != 0, 0);
    put(opcode);
    put(static_cast<uint8_t>(0xc0 | (to & 7) << 3 | (b & 7)));
  }

  uint8_t* at_;
};

}  // namespace rarefy
