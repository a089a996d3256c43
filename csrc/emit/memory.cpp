#include "memory.h"

#if defined(__x86_64__) && (defined(__linux__) || defined(__APPLE__))
#include <sys/mman.h>

#include <algorithm>

namespace rarefy {
namespace {

constexpr size_t kPage = 4096, kLargePage = size_t{2} << 20;

}  // namespace

// Long code is asked for in large pages, on their boundary: walking 4 KB pages costs more than
// reading them.
CodeMemory::CodeMemory(size_t size) : size_((size + kPage - 1) / kPage * kPage) {
  const bool large = size_ >= kLargePage / 2;
  if (large) size_ = (size_ + kLargePage - 1) / kLargePage * kLargePage;
  mapped_ = size_ + (large ? kLargePage : 0);
  void* found = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) return;
  base_ = found;
  start_ = static_cast<uint8_t*>(found);
  if (!large) return;
  start_ += (kLargePage - reinterpret_cast<uintptr_t>(found) % kLargePage) % kLargePage;
#if defined(MADV_HUGEPAGE)
  madvise(start_, size_, MADV_HUGEPAGE);
#endif
}

CodeMemory::~CodeMemory() {
  if (base_) munmap(base_, mapped_);
}

bool CodeMemory::make_executable(size_t used) {
  if (!start_) return false;
  const size_t kept = std::max(kPage, (used + kPage - 1) / kPage * kPage);
  const size_t before = static_cast<size_t>(start_ - static_cast<uint8_t*>(base_));
  if (before + kept < mapped_) {
    munmap(start_ + kept, mapped_ - before - kept);
    mapped_ = before + kept;
    size_ = kept;
  }
  return mprotect(start_, size_, PROT_READ | PROT_EXEC) == 0;
}

}  // namespace rarefy

#else

namespace rarefy {

CodeMemory::CodeMemory(size_t) {}
CodeMemory::~CodeMemory() = default;
bool CodeMemory::make_executable(size_t) { return false; }

}  // namespace rarefy

#endif
