// Threads for regions: those that borrowed.h has, else the library's own. The latter spin for a moment after a region, then sleep, so that chained
// calls start in well under a microsecond and the cores are free again soon after.
#pragma once

#include <atomic>

namespace rarefy {

using Task = void (*)(void* context, int thread, int threads);

// Runs task(context, t, n) once for each t in [0, n) and returns when all are done; the caller is
// thread 0. n is `threads`, or 1 where the pool is busy (another caller, or a region inside a
// region) or cannot start. So a task splits its work by the n it is given, never by what it asked.
// A task must not throw.
void parallel(int threads, Task task, void* context);

// As parallel, for work that is handed out as it goes: a thread that has not begun when the caller
// is done is called off, so that a sleeping worker never delays a short region. The task must
// finish all the work alone if it has to: it must never wait for a thread that may not come.
void parallel_optional(int threads, Task task, void* context);

// The same for anything that can be called as body(thread, threads).
template <class Body>
void parallel(int threads, Body& body) {
  parallel(threads, [](void* b, int t, int n) { (*static_cast<Body*>(b))(t, n); }, &body);
}

template <class Body>
void parallel_optional(int threads, Body& body) {
  parallel_optional(threads, [](void* b, int t, int n) { (*static_cast<Body*>(b))(t, n); }, &body);
}

// The core this thread runs on; -1 where the system does not tell.
int current_core();

// One step of a waiting loop. `crowded`: who is waited for was last seen on this very core, which
// is then given away soon; else only once `turns` has grown large, since on a full machine others
// would keep it for long.
void pause_for(int& turns, bool crowded = false);

// Turns before it matters whether the core is crowded, some 2 us.
constexpr int kPatientTurns = 48;

// Holds every thread of a region back until all have come; `threads` is the n the task was given.
// Lives in the caller's context, may be passed any number of times.
class Barrier {
 public:
  void wait(int threads);

 private:
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<unsigned> turn_{0};
};

// What a forked child calls first: its pool is empty and starts anew when needed.
void forget_pool();

}  // namespace rarefy
