// Generated functions, one for each pass over the columns and block of rows, and their order.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory.h"

namespace rarefy {

class Pieces {
 public:
  // `first_row` of every block, and the end.
  void shape(int passes, std::vector<int32_t> first_row);

  int passes() const { return passes_; }
  int blocks() const { return static_cast<int>(first_row_.size()) - 1; }
  int32_t first_row(int block) const { return first_row_[block]; }
  int height(int block) const { return first_row_[block + 1] - first_row_[block]; }
  size_t bytes() const { return memory_->size() + code_.size() * sizeof(int64_t); }

  // Has emit(at, pass, block) write one function after the other and say where it ended, into
  // memory of at most `bound` bytes. False where the system gives none that can be executed.
  template <class Emit>
  bool write(int64_t bound, const Emit& emit) {
    memory_ = std::make_unique<CodeMemory>(static_cast<size_t>(bound));
    uint8_t* const start = memory_->writable();
    if (!start) return false;
    uint8_t* at = start;
    for (int pass = 0; pass < passes_; ++pass) {
      for (int block = 0; block <= blocks(); ++block) {
        code_[pass * (blocks() + 1) + block] = at - start;
        if (block < blocks()) at = emit(at, pass, block);
      }
    }
    return memory_->make_executable(static_cast<size_t>(at - start));
  }

  // call(function, pass, block, group) for blocks [first, last), all passes and groups, passes of a
  // block and group in order.
  template <class Call>
  void run(int first, int last, int groups, const Call& call) const {
    if (first >= last || groups <= 0) return;
    const std::vector<Panel> order = panels(first, last, std::min(groups, kChunk));
    for (int done = 0; done < groups; done += kChunk) {
      const int chunk = std::min(kChunk, groups - done);
      for (size_t i = 0; i < order.size(); ++i) {
        const Panel& panel = order[i];
        const Panel& following = order[i + 1 < order.size() ? i + 1 : 0];
        Ahead next = ahead(following, chunk * (panel.end - panel.first));
        for (int group = done; group < done + chunk; ++group) {
          for (int block = panel.first; block < panel.end; ++block) {
            next.step();
            call(memory_->writable() + code(panel.pass, block), panel.pass, block, group);
          }
        }
      }
    }
  }

 private:
  // Positions taken at once: enough to use code often, few enough to keep their lines near.
  static constexpr int kChunk = 12;

  // Blocks [first, end) of a pass, run on all positions one after the other.
  struct Panel {
    int pass, first, end;
  };

  // Code that will run next: fetched towards the second cache in equal shares while the present
  // code runs. The processor does not look that far ahead by itself; at weights, read in order, it
  // does.
  class Ahead {
   public:
    Ahead(const void* begin, const void* end, int64_t steps)
        : at_(static_cast<const char*>(begin)), end_(static_cast<const char*>(end)) {
      // The second cache fetches lines in pairs.
      bytes_ = ((end_ - at_) / 128 + steps) / steps * 128;
    }
    void step() {
      const char* const until = end_ - at_ > bytes_ ? at_ + bytes_ : end_;
      for (; at_ < until; at_ += 128) __builtin_prefetch(at_, 0, 2);
    }

   private:
    const char *at_, *end_;
    int64_t bytes_;
  };

  int64_t code(int pass, int block) const { return code_[pass * (blocks() + 1) + block]; }
  std::vector<Panel> panels(int first, int last, int groups) const;
  Ahead ahead(const Panel& panel, int64_t steps) const {
    const uint8_t* const start = memory_->writable();
    return Ahead(start + code(panel.pass, panel.first), start + code(panel.pass, panel.end), steps);
  }

  int passes_ = 0;
  std::vector<int32_t> first_row_;
  std::vector<int64_t> code_;  // where it starts, passes x (blocks + 1)
  std::unique_ptr<CodeMemory> memory_;
};

}  // namespace rarefy
