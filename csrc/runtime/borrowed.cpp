#include "borrowed.h"

#include <chrono>
#include <cstdint>

#if defined(__linux__)
#include <dlfcn.h>
#endif

namespace rarefy {
namespace {

// The entry points that compiled OpenMP code calls.
using Go = void (*)(void (*body)(void*), void* data, unsigned threads, unsigned flags);
using Tell = int (*)();

std::atomic<Go> go{nullptr};
Tell number = nullptr, count = nullptr;  // written before `go`, never again

// Whose team is in use: the address of something of the calling thread's; and when it last was.
std::atomic<const void*> owner{nullptr};
std::atomic<int64_t> used{0};
constexpr int64_t kSpins = 50'000'000;  // ns; longer than a team spins

int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// One thread at a time gets here: it holds the pool.
bool is_owner() {
  static thread_local char self;
  const void* const before = owner.load(std::memory_order_relaxed);
  if (before != &self && before && now() - used.load(std::memory_order_relaxed) < kSpins) {
    return false;
  }
  owner.store(&self, std::memory_order_relaxed);
  return true;
}

struct Region {
  Task task;
  void* context;
};

void body(void* data) {
  const auto* const region = static_cast<const Region*>(data);
  region->task(region->context, number(), count());
}

}  // namespace

bool borrow_threads(const char* library) {
#if defined(__linux__)
  void* const handle = dlopen(library, RTLD_NOLOAD | RTLD_LAZY);
  if (!handle) return false;
  const auto found = reinterpret_cast<Go>(dlsym(handle, "GOMP_parallel"));
  const auto tell_number = reinterpret_cast<Tell>(dlsym(handle, "omp_get_thread_num"));
  const auto tell_count = reinterpret_cast<Tell>(dlsym(handle, "omp_get_num_threads"));
  if (!found || !tell_number || !tell_count) return false;
  number = tell_number;
  count = tell_count;
  go.store(found, std::memory_order_release);
  return true;
#else
  (void)library;
  return false;
#endif
}

bool run_borrowed(int threads, Task task, void* context) {
  const Go found = go.load(std::memory_order_acquire);
  if (!found || !is_owner()) return false;
  Region region{task, context};
  found(body, &region, static_cast<unsigned>(threads), 0);
  used.store(now(), std::memory_order_relaxed);
  return true;
}

void forget_borrowed() { go.store(nullptr); }

}  // namespace rarefy
