#include "phases.h"

namespace rarefy {

void Phases::begin(int count, int threads) {
  count_ = count;
  threads_ = threads;
  const int64_t wanted = int64_t(count) * threads;
  if (wanted > room_) {
    room_ = 0;
    shares_ = std::make_unique<Share[]>(wanted);
    room_ = wanted;
  }
  if (count > left_room_) {
    left_room_ = 0;
    left_ = std::make_unique<Left[]>(count);
    left_room_ = count;
  }
  open_.store(0, std::memory_order_relaxed);
}

bool Phases::crowded(int thread) const {
  const int core = current_core();
  for (int t = 0; t < threads_; ++t) {
    if (t != thread && shares_[t].core.load(std::memory_order_relaxed) == core) return true;
  }
  return false;
}

void Phases::set(int phase, int64_t items, int64_t piece, const int64_t* until) {
  left_[phase].count.store(items, std::memory_order_relaxed);
  int64_t begin = 0;
  for (int t = 0; t < threads_; ++t) {
    int64_t end = items * (t + 1) / threads_;
    if (until) {
      // The items whose middle lies before the thread's end of the work.
      const double wanted = double(until[items]) * (t + 1) / threads_;
      end = begin;
      while (end < items && 0.5 * (double(until[end]) + double(until[end + 1])) <= wanted) ++end;
      if (t + 1 == threads_) end = items;
    }
    Share& share = shares_[int64_t(phase) * threads_ + t];
    share.next.store(begin, std::memory_order_relaxed);
    share.end = end;
    share.piece = piece;
    share.core.store(-1, std::memory_order_relaxed);
    begin = end;
  }
}

}  // namespace rarefy
