// Regions on the pool's own threads and on borrowed ones.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "runtime/abi.h"
#include "runtime/pool.h"

// The thread sanitizer would otherwise end a forked child that starts threads.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace {

int failures = 0;

void check(bool right, const std::string& what) {
  if (right) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

// Every thread of a region comes once, with one number each, and all know how many they are.
bool region_is_whole(int threads) {
  std::vector<std::atomic<int>> came(256);
  std::atomic<int> told{0};
  auto body = [&](int thread, int n) {
    ++came[thread];
    told = n;
  };
  rarefy::parallel(threads, body);
  bool whole = told == threads || told == 1;
  for (int t = 0; t < 256; ++t) whole = whole && came[t] == (t < told ? 1 : 0);
  return whole;
}

void test_regions() {
  for (int threads : {1, 2, 3, 4, 2, 1, 7}) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      check(region_is_whole(threads), "a region of " + std::to_string(threads));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // they have fallen asleep
    check(region_is_whole(threads), "a region that wakes " + std::to_string(threads));
  }
  check(region_is_whole(0) && region_is_whole(-3), "no threads are one");
}

void test_nested_regions() {
  std::atomic<int> inner{0};
  auto body = [&](int, int) {
    auto within = [&](int, int n) { inner += n; };
    rarefy::parallel(4, within);
  };
  std::atomic<int> outer{0};
  auto count = [&](int thread, int n) {
    if (thread == 0) outer = n;
    body(thread, n);
  };
  rarefy::parallel(3, count);
  check(inner == outer, "a region inside a region runs on one thread");
}

void test_optional_regions() {
  for (int repeat = 0; repeat < 300; ++repeat) {
    std::atomic<int> next{0}, done{0};
    auto body = [&](int, int) {
      while (next++ < 20) ++done;
    };
    rarefy::parallel_optional(4, body);
    check(done == 20, "all work of an optional region is done");
    if (repeat % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void test_barrier() {
  rarefy::Barrier barrier;
  std::vector<int> values(4, 0);
  std::atomic<int> wrong{0};
  auto body = [&](int thread, int n) {
    for (int round = 1; round <= 200; ++round) {
      values[thread] = round;
      barrier.wait(n);
      for (int t = 0; t < n; ++t) wrong += values[t] != round;
      barrier.wait(n);
    }
  };
  rarefy::parallel(4, body);
  check(wrong == 0, "nobody passes a barrier early");
}

void test_callers() {
  std::vector<std::thread> callers;
  std::atomic<int> broken{0};
  for (int c = 0; c < 8; ++c) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 200; ++repeat) broken += !region_is_whole(3);
    });
  }
  for (std::thread& caller : callers) caller.join();
  check(broken == 0, "regions of eight callers");
}

void test_fork() {
  check(region_is_whole(3), "a region before a fork");
  const pid_t child = fork();
  if (child == 0) {
    rarefy_pool_after_fork_child();
    _exit(region_is_whole(3) && region_is_whole(2) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child has a pool of its own");
  check(region_is_whole(3), "a region after a fork");
}

void test_all() {
  test_regions();
  test_nested_regions();
  test_optional_regions();
  test_barrier();
  test_callers();
  test_fork();
}

void test_borrowed() {
  check(!rarefy_pool_borrow("librarefy_nowhere.so"), "what is not loaded has no threads");
  if (!dlopen("libgomp.so.1", RTLD_LAZY)) {
    std::puts("there is no libgomp here: borrowed threads are not tested");
    return;
  }
  check(rarefy_pool_borrow("libgomp.so.1"), "threads of a loaded library");
  test_all();
}

}  // namespace

int main() {
  test_all();
  test_borrowed();
  std::printf("pool: %d failures\n", failures);
  return failures != 0;
}
