// The pool: one mailbox a worker, written by whoever owns the pool at the moment.
#include "pool.h"

#include "borrowed.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define RAREFY_FORKS 1
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace rarefy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostThreads = 256;
constexpr int kLongTurns = 500;  // some 20 us
constexpr int kTurnsBetween = 16;
constexpr std::chrono::microseconds kSpin(40);
constexpr std::chrono::milliseconds kStay(5);

// A worker's mailbox. The owner of the pool turns idle into posted (or leaving); the worker turns
// posted into running and running into idle; the owner may take posted back to idle.
enum State : int { idle, posted, running, leaving };

struct alignas(64) Worker {
  std::atomic<int> state{idle};
  std::atomic<bool> asleep{false};
  std::atomic<int> core{-1};
  Clock::time_point stays_until{};  // its thread's own
  std::mutex mutex;
  std::condition_variable wake;
  std::thread thread;
};

struct Pool {
  // Of the region; read by a worker only between its posted and its idle.
  Task task = nullptr;
  void* context = nullptr;
  int threads = 0;
  int count = 0;  // workers there are
  std::atomic<bool> full{false};  // more threads than cores
  std::atomic<int> core{-1};  // of whoever owns or owned the pool
  Worker workers[kMostThreads - 1];
};

// Whoever turns busy on owns the pool. `closed` stays on once the library is being unloaded.
std::atomic<bool> busy{false};
Pool* pool = nullptr;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Has the system move this thread to another core that it may run on, if there is one: it would
// leave the two of them on one core for long where the other cores have work as well.
void leave_core(int core) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (core < 0 || core >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed)) return;
  cpu_set_t others = allowed;
  CPU_CLR(core, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others)) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
#else
  (void)core;
#endif
}

// Whoever posts may be waiting for this very core.
void give_way(Pool& own, Worker& worker) {
  const int core = current_core();
  worker.core.store(core, std::memory_order_relaxed);
  const bool full = own.full.load(std::memory_order_relaxed);
  if (!full && core != own.core.load(std::memory_order_relaxed)) return;
  if (!full && Clock::now() > worker.stays_until) {
    worker.stays_until = Clock::now() + kStay;
    leave_core(core);
    worker.core.store(current_core(), std::memory_order_relaxed);
  } else {
    std::this_thread::yield();
  }
}

// Returns once there is something in the mailbox: looks for a moment, then sleeps.
void await(Pool& own, Worker& worker) {
  Clock::time_point until = Clock::now() + kSpin;
  for (int turn = 1;; ++turn) {
    const int state = worker.state.load(std::memory_order_acquire);
    if (state == posted || state == leaving) return;
    relax();
    if (turn % kTurnsBetween) continue;
    if (Clock::now() < until) {
      if (turn % kPatientTurns == 0) give_way(own, worker);
      continue;
    }
    // Whoever posts stores the state and then looks at asleep; here it is the other way round, so
    // one of the two sees the other.
    std::unique_lock<std::mutex> lock(worker.mutex);
    worker.asleep.store(true);
    worker.wake.wait(lock, [&] { return worker.state.load() != idle; });
    worker.asleep.store(false);
    until = Clock::now() + kSpin;
  }
}

void serve(Pool& own, int number) {
  Worker& worker = own.workers[number - 1];
  for (;;) {
    await(own, worker);
    int wanted = posted;
    if (worker.state.compare_exchange_strong(wanted, running, std::memory_order_acquire)) {
      own.task(own.context, number, own.threads);
      worker.state.store(idle, std::memory_order_release);
    } else if (wanted == leaving) {
      return;
    }
  }
}

void post(Worker& worker, State state) {
  worker.state.store(state);
  if (!worker.asleep.load()) return;
  { std::lock_guard<std::mutex> lock(worker.mutex); }  // past its last look, or not yet at it
  worker.wake.notify_one();
}

void start_workers(int wanted) {
  try {
    if (!pool) {
      pool = new Pool;
#if RAREFY_FORKS
      static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
      (void)registered;
#endif
    }
    while (pool->count < wanted) {
      Pool& own = *pool;
      const int number = own.count + 1;
      own.workers[number - 1].thread = std::thread([&own, number] { serve(own, number); });
      ++own.count;
      own.full = own.count >= static_cast<int>(std::thread::hardware_concurrency());
    }
  } catch (const std::exception&) {
    // No memory or no more threads: the region runs on those there are.
  }
}

// Returns the threads of the region, 1 where the caller must work alone; then busy is not held.
int begin(int threads, Task task, void* context) {
  if (!pool || pool->count < threads - 1) start_workers(threads - 1);
  if (pool && threads > pool->count + 1) threads = pool->count + 1;
  if (!pool || threads == 1) {
    busy.store(false, std::memory_order_release);
    return 1;
  }
  pool->task = task;
  pool->context = context;
  pool->threads = threads;
  pool->core.store(current_core(), std::memory_order_relaxed);
  for (int w = 0; w + 1 < threads; ++w) post(pool->workers[w], posted);
  return threads;
}

void finish(int threads, bool call_off) {
  for (int w = 0; w + 1 < threads; ++w) {
    Worker& worker = pool->workers[w];
    int turns = 0;
    while (worker.state.load(std::memory_order_acquire) != idle) {
      int wanted = posted;
      if (call_off && worker.state.compare_exchange_strong(wanted, idle)) break;
      pause_for(turns, turns >= kPatientTurns &&
                           worker.core.load(std::memory_order_relaxed) == current_core());
    }
  }
  busy.store(false, std::memory_order_release);
}

void run(int threads, Task task, void* context, bool call_off) {
  if (threads > kMostThreads) threads = kMostThreads;
  if (threads <= 1 || busy.load(std::memory_order_relaxed) ||
      busy.exchange(true, std::memory_order_acquire)) {
    return task(context, 0, 1);
  }
  if (run_borrowed(threads, task, context)) {
    busy.store(false, std::memory_order_release);
    return;
  }
  threads = begin(threads, task, context);
  task(context, 0, threads);
  if (threads > 1) finish(threads, call_off);
}

// At exit and at unload the workers are sent home. A region that is still running then (a daemon
// thread's) keeps its workers: the process is about to end.
struct Unload {
  ~Unload() {
#if RAREFY_FORKS
    const Clock::time_point until = Clock::now() + std::chrono::milliseconds(100);
    while (busy.exchange(true, std::memory_order_acquire)) {
      if (Clock::now() > until) return;
      std::this_thread::yield();
    }
    if (!pool) return;
    for (int w = 0; w < pool->count; ++w) post(pool->workers[w], leaving);
    for (int w = 0; w < pool->count; ++w) pool->workers[w].thread.join();
    delete pool;
    pool = nullptr;
#endif
  }
} unload;

}  // namespace

int current_core() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

void pause_for(int& turns, bool crowded) {
  relax();
  ++turns;
  if (turns % kTurnsBetween == 0 && turns >= (crowded ? kPatientTurns : kLongTurns)) {
    std::this_thread::yield();
  }
}

void parallel(int threads, Task task, void* context) { run(threads, task, context, false); }

void parallel_optional(int threads, Task task, void* context) {
  run(threads, task, context, true);
}

void Barrier::wait(int threads) {
  if (threads <= 1) return;
  const unsigned turn = turn_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    turn_.store(turn + 1, std::memory_order_release);
    return;
  }
  for (int turns = 0; turn_.load(std::memory_order_acquire) == turn; pause_for(turns)) {
  }
}

// The parent's pool is leaked: its threads are not here, and a lock may have been held.
void forget_pool() {
  pool = nullptr;
  forget_borrowed();
  busy.store(false);
}

}  // namespace rarefy
