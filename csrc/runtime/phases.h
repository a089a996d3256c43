// Work of one call in phases, handed out to however many threads come.
//
// Every phase has items; thread t begins with its own share of them, so that it meets the same
// weights in each call, and then helps the others. A phase ends when its items are done, not when
// all threads have come, so one that is late or never comes holds nobody back.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "pool.h"

namespace rarefy {

class Phases {
 public:
  // Makes room for `count` phases on `threads` threads; forgets those before. May throw bad_alloc.
  void begin(int count, int threads);

  // A phase of `items` (at least 1) items, in pieces of `piece`. `until[i]` is the work of items
  // [0, i), by which shares are balanced; null: all alike.
  void set(int phase, int64_t items, int64_t piece, const int64_t* until);

  // One thread's part of all phases: body(phase, first, last) for pieces of its items; last(phase)
  // once, by whoever ends it, before the next phase begins. Both must not throw.
  template <class Body, class Last>
  void work(int thread, const Body& body, const Last& last) {
    shares_[thread].core.store(current_core(), std::memory_order_relaxed);
    for (int p = open_.load(std::memory_order_acquire); p < count_; ++p) {
      int64_t finished = 0;
      for (int s = 0; s < threads_; ++s) {
        Share& share = shares_[p * threads_ + (thread + s) % threads_];
        while (share.next.load(std::memory_order_relaxed) < share.end) {
          const int64_t from = share.next.fetch_add(share.piece, std::memory_order_relaxed);
          if (from >= share.end) break;
          const int64_t to = std::min(from + share.piece, share.end);
          body(p, from, to);
          finished += to - from;
        }
      }
      if (finished && left_[p].count.fetch_sub(finished, std::memory_order_acq_rel) == finished) {
        last(p);
        open_.store(p + 1, std::memory_order_release);
      } else {
        for (int turns = 0; open_.load(std::memory_order_acquire) <= p;) {
          pause_for(turns, turns >= kPatientTurns && crowded(thread));
        }
      }
    }
  }

 private:
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0, piece = 1;
    std::atomic<int> core{-1};  // in the first phase's shares: where their threads run
  };
  struct alignas(64) Left {
    std::atomic<int64_t> count{0};
  };

  // Whether another thread was last seen on this one's core.
  bool crowded(int thread) const;

  alignas(64) std::atomic<int> open_{0};
  int count_ = 0, threads_ = 1;
  int64_t room_ = 0, left_room_ = 0;
  std::unique_ptr<Share[]> shares_;  // phases x threads
  std::unique_ptr<Left[]> left_;
};

}  // namespace rarefy
