// The dozen AVX-512 instructions that generated code consists of, as bytes.
#pragma once
#include <cstdint>
#include <cstring>

namespace rarefy {

// General registers, by their number in the encoding.
enum Base : uint8_t { kRcx = 1, kRdx = 2, kRsi = 6, kRdi = 7 };

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
  // zmm[to] = max(zmm[a], zmm[b]); b where either is NaN.
  void maximum(int to, int a, int b) { registers(kNone, 0x5f, to, a, b); }
  void zero(int to) { registers(k66_0f, 0xef, to, to, to); }
  // base += bytes.
  void add(Base base, int32_t bytes) {
    put(0x48), put(0x81), put(static_cast<uint8_t>(0xc0 | base));
    put32(bytes);
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

  void put(uint8_t byte) { *at_++ = byte; }
  void put32(int32_t value) {
    std::memcpy(at_, &value, 4);
    at_ += 4;
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
    prefix(map, reg, second, false, false, broadcast);
    put(opcode);
    const bool is_short = offset % unit == 0 && offset / unit >= -128 && offset / unit < 128;
    put(static_cast<uint8_t>((is_short ? 0x40 : 0x80) | (reg & 7) << 3 | base));
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
