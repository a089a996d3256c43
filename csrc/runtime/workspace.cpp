#include "workspace.h"

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace rarefy {
namespace {

constexpr size_t kSmall = 64, kLarge = size_t(2) << 20;

std::align_val_t alignment(bool large) { return std::align_val_t(large ? kLarge : kSmall); }

}  // namespace

Floats::~Floats() {
  if (data_) ::operator delete(data_, alignment(large_));
}

float* Floats::at_least(int64_t count) {
  if (count <= count_ && data_) return data_;
  if (data_) ::operator delete(data_, alignment(large_));
  data_ = nullptr;
  count_ = 0;
  size_t bytes = (static_cast<size_t>(count) * sizeof(float) + kSmall) / kSmall * kSmall;
  large_ = bytes >= kLarge;
  if (large_) bytes = (bytes + kLarge - 1) / kLarge * kLarge;
  data_ = static_cast<float*>(::operator new(bytes, alignment(large_)));
  count_ = static_cast<int64_t>(bytes / sizeof(float));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (large_) madvise(data_, bytes, MADV_HUGEPAGE);  // a wish; small pages work as well
#endif
  return data_;
}

}  // namespace rarefy
