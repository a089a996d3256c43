// The packed container: the numbered sections of one chain in one run of bytes.
//
// All numbers are little endian. Version 1:
//
//   byte   0  4  magic "RFPK"
//          4  4  version, uint32, 1
//          8  4  number of sections, uint32
//         12  4  zero
//         16  8  length of the whole container in bytes, uint64
//         24 40  zero
//   byte  64     table: per section 32 bytes
//          0 16  kind, ASCII [a-z0-9_], zero-padded, at most 15 letters ("tiles", "floats", ...)
//         16  8  offset from the start of the container, uint64, a multiple of 64
//         24  8  length in bytes, uint64
//
// Sections follow the table in their order, each at the next multiple of 64; what lies between is
// zero, and the container ends at the next multiple of 64 after the last. So there is exactly one
// container for a list of sections. What is in a section is its kind's business, except "floats":
// float32 values, nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rarefy {

// A view into the container's bytes; `data` is aligned only as far as the container itself is.
struct Section {
  std::string kind;
  const uint8_t* data = nullptr;
  int64_t size = 0;  // bytes
};

struct Container {
  std::vector<Section> sections;

  // False, and one line in `error`, where the bytes are no valid container. The sections are views:
  // the bytes must live as long as the container.
  static bool read(const uint8_t* bytes, int64_t size, Container& container, std::string& error);
  // The section if it is there and of this kind, else null and one line in `error`.
  const Section* find(int number, const char* kind, std::string& error) const;
  // Copies a section of `count` floats; false, and one line, where it is not one.
  bool floats(int number, int64_t count, std::vector<float>& values, std::string& error) const;
};

// Bytes of the container that holds sections of these lengths; -1 where they cannot fit in one.
int64_t container_size(const int64_t* lengths, int64_t count);
// Writes it to `bytes` (container_size of them). False where a kind is no valid name.
bool container_write(const char* const* kinds, const uint8_t* const* data, const int64_t* lengths,
                     int64_t count, uint8_t* bytes);

}  // namespace rarefy
