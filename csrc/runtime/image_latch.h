// A lock for moments. Whoever meets it shut for long goes on without what it guards: after a fork
// in the wrong moment nobody is left to open it.
#pragma once
#include <atomic>

#include "pool.h"

namespace rarefy {

class ImageLatch {
 public:
  // Runs body() alone and returns true; false where the latch stayed shut.
  template <class Body>
  bool with(const Body& body) {
    for (int turns = 0, tries = 0; shut_.exchange(true, std::memory_order_acquire);) {
      if (++tries > kMostTries) return false;
      pause_for(turns);
    }
    const Opener opener{shut_};
    body();
    return true;
  }

 private:
  static constexpr int kMostTries = 20000;

  struct Opener {
    std::atomic<bool>& shut;
    ~Opener() { shut.store(false, std::memory_order_release); }
  };

  std::atomic<bool> shut_{false};
};

}  // namespace rarefy
