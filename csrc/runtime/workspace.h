// Memory that calls of a plan borrow, and hand back for the next call.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace rarefy {

// Floats at a multiple of 64 bytes (of 2 MB, as huge pages where the system has them, once it is
// that large). What is in it is not kept when it grows.
class Floats {
 public:
  Floats() = default;
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  ~Floats();

  // At least `count` floats. Throws std::bad_alloc.
  float* at_least(int64_t count);

 private:
  float* data_ = nullptr;
  int64_t count_ = 0;
  bool large_ = false;
};

// Keeps up to eight things between calls. Takes no lock, so neither a call in another thread nor a
// fork in the middle of one can leave it shut.
template <class Thing>
class Shelf {
 public:
  ~Shelf() {
    for (auto& place : places_) delete place.load(std::memory_order_acquire);
  }

  // One that lies there, or a new one. Throws std::bad_alloc.
  std::unique_ptr<Thing> take() {
    for (auto& place : places_) {
      if (!place.load(std::memory_order_relaxed)) continue;
      Thing* found = place.exchange(nullptr, std::memory_order_acquire);
      if (found) return std::unique_ptr<Thing>(found);
    }
    return std::make_unique<Thing>();
  }

  // Keeps it if there is room.
  void put(std::unique_ptr<Thing> thing) {
    for (auto& place : places_) {
      Thing* none = nullptr;
      if (place.compare_exchange_strong(none, thing.get(), std::memory_order_release,
                                        std::memory_order_relaxed)) {
        thing.release();
        return;
      }
    }
  }

 private:
  std::atomic<Thing*> places_[8] = {};
};

// Made once, by whoever needs it first; two that need it at once both make it, and one is kept.
template <class Thing>
class Lazy {
 public:
  ~Lazy() { delete thing_.load(std::memory_order_acquire); }

  // `make` returns a unique_ptr, null where it cannot; then so is the answer.
  template <class Make>
  const Thing* get(Make make) {
    Thing* there = thing_.load(std::memory_order_acquire);
    if (there) return there;
    std::unique_ptr<Thing> made = make();
    if (!made) return nullptr;
    if (thing_.compare_exchange_strong(there, made.get(), std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
      return made.release();
    }
    return there;
  }

  const Thing* if_there() const { return thing_.load(std::memory_order_acquire); }

 private:
  std::atomic<Thing*> thing_{nullptr};
};

}  // namespace rarefy
