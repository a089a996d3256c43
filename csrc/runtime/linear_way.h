// How a call of a linear chain runs: rows or lines, who shares what, by which product.
#pragma once

#include <cstdint>

namespace rarefy {

// What the choice looks at.
struct WayQuestion {
  int64_t tokens;
  int threads;            // as asked for
  int64_t entries;        // of all weights together
  int64_t room;           // features of the activations held at a time
  int64_t read;           // features that products read, together
  bool can_emit;          // there is generated code
  bool can_interpret;     // the interpreted product gives the bits of generated code
};

// What may be set by hand, for tests and measurements.
struct WayLimits {
  int64_t most_rows = 0;                // 0: chosen
  int64_t work_of_thread = 1 << 18;     // multiply-adds worth a further thread; 0: always
  int64_t code_that_stays = 7 << 18;    // bytes that the second cache of a thread keeps
  enum class Split { choose, groups, rows } split = Split::choose;
};

struct Way {
  bool rows;            // activations are rows; the rest is about lines
  int threads;
  bool by_groups;       // threads share groups of 16 tokens; else the rows of each product
  bool interpreted;
  int64_t together;     // groups that are taken through the chain at a time
};

Way choose_way(const WayQuestion& question, const WayLimits& limits);

}  // namespace rarefy
