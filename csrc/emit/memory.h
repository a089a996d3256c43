// Memory that holds generated code: written first, then executable and no longer writable.
#pragma once
#include <cstddef>
#include <cstdint>

namespace rarefy {

class CodeMemory {
 public:
  explicit CodeMemory(size_t size);
  ~CodeMemory();
  CodeMemory(const CodeMemory&) = delete;
  CodeMemory& operator=(const CodeMemory&) = delete;

  // Null where the system gave none.
  uint8_t* writable() const { return start_; }
  // Gives back what lies behind the first `used` bytes and makes the rest executable. False where
  // the system forbids it; the memory is then of no use.
  bool make_executable(size_t used);
  size_t size() const { return size_; }

 private:
  void* base_ = nullptr;  // what was mapped; `start_` lies in it
  uint8_t* start_ = nullptr;
  size_t size_ = 0, mapped_ = 0;
};

}  // namespace rarefy
