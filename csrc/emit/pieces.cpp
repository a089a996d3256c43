#include "pieces.h"

#include "../runtime/tiles.h"

namespace rarefy {
namespace {

// Code of the blocks that are run one after the other on the same activations: it stays in the
// instruction cache over all positions, while activations stay in the data cache over all blocks.
constexpr int64_t kPanelCode = 24 << 10;
// Results that stay in the second cache through all passes.
constexpr int64_t kStripBytes = 768 << 10;

}  // namespace

void Pieces::shape(int passes, std::vector<int32_t> first_row) {
  passes_ = passes;
  first_row_ = std::move(first_row);
  code_.assign(static_cast<size_t>(passes) * first_row_.size(), 0);
}

// The order of work: a strip of blocks whose results stay in the second cache goes through all
// passes before the next strip; in each pass its panels follow each other.
std::vector<Pieces::Panel> Pieces::panels(int first, int last, int groups) const {
  std::vector<Panel> found;
  const int64_t strip_rows = std::max<int64_t>(kBlockRows, kStripBytes / (64 * groups));
  for (int strip = first; strip < last;) {
    int strip_end = strip + 1;
    while (strip_end < last && first_row_[strip_end + 1] - first_row_[strip] <= strip_rows) {
      ++strip_end;
    }
    for (int pass = 0; pass < passes_; ++pass) {
      for (int from = strip, end; from < strip_end; from = end) {
        end = from + 1;
        while (end < strip_end && code(pass, end + 1) - code(pass, from) <= kPanelCode) ++end;
        found.push_back({pass, from, end});
      }
    }
    strip = strip_end;
  }
  return found;
}

}  // namespace rarefy
