// The numbers here are measured on cores with 2 MB of second cache; they choose between ways that
// give the same numbers, and matter for speed alone (most_rows for the order of sums, too).
#include "linear_way.h"

#include <algorithm>

#include "../kernels/lines.h"

namespace rarefy {
namespace {

// Bytes of generated code, values included, that an entry takes.
constexpr int64_t kCodeOfEntry = 14;
// Up to so many tokens, rows are as fast as lines whose weights are at hand; or, where the code
// must be read anew for each call.
constexpr int64_t kMostRows = 4, kMostRowsOfLarge = 8;
// Up to so many groups, reading the code anew is dearer than the interpreted product, which reads
// less.
constexpr int64_t kFewGroups = 2;
// What the activations of groups that are taken together may fill of the second cache, and how many
// groups are taken all the same so that weights are not read anew for too few of them.
constexpr int64_t kArenaBytes = 5 << 18;
constexpr int64_t kLeastGroups = 8;
// Code that every thread may read for few groups; and how many bytes of it are read sooner than one
// of activations that another thread wrote.
constexpr int64_t kLargeCode = int64_t(8) << 20;
constexpr int64_t kCodeForActivations = 3;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

int useful_threads(const WayQuestion& question, const WayLimits& limits, bool rows) {
  // A multiply-add of a row costs some eight of those that 16 lanes share.
  const int64_t lanes = rows ? 8 * question.tokens : divide_up(question.tokens, kLine) * kLine;
  const double work = double(question.entries + 8 * question.room) * double(lanes);
  const int threads = std::max(1, question.threads);
  if (work >= double(limits.work_of_thread) * threads) return threads;
  return std::max(1, static_cast<int>(work / double(limits.work_of_thread)));
}

// Whole groups for each thread need no waiting and leave activations where they are, but every
// thread reads all weights. Shared rows leave each thread a part of the weights that its own cache
// may keep, and keep all threads busy however few groups there are; but of what a thread then
// reads, another wrote its share.
bool shares_groups(const Way& way, const WayQuestion& question, int64_t code,
                   const WayLimits& limits) {
  if (limits.split != WayLimits::Split::choose) return limits.split == WayLimits::Split::groups;
  const int64_t groups = divide_up(question.tokens, kLine);
  const int64_t most = divide_up(groups, way.threads);
  if (100 * most * way.threads > 115 * groups) return false;  // too many would wait for the last
  if (code <= limits.code_that_stays || most >= way.together) return true;
  if (most < kFewGroups) return false;
  const int64_t activations = 4 * question.read * question.tokens;
  return code <= kLargeCode && (most == kFewGroups || code <= kCodeForActivations * activations);
}

}  // namespace

Way choose_way(const WayQuestion& question, const WayLimits& limits) {
  const int64_t code = kCodeOfEntry * question.entries;
  const int64_t groups = divide_up(question.tokens, kLine);
  const bool large = code > limits.code_that_stays;
  const bool interprets = question.can_interpret && question.can_emit && large;
  Way way;
  const int64_t most_rows =
      limits.most_rows ? limits.most_rows : large ? kMostRowsOfLarge : kMostRows;
  way.rows = question.tokens <= most_rows;
  way.threads = useful_threads(question, limits, way.rows);
  way.together = std::max(kArenaBytes / (64 * question.room + 1), kLeastGroups);
  way.by_groups = way.threads == 1 || shares_groups(way, question, code, limits);
  const int64_t at_a_time =
      std::min(way.by_groups ? divide_up(groups, way.threads) : groups, way.together);
  const int64_t code_of_thread = way.by_groups ? code : code / way.threads;
  way.interpreted = !question.can_emit || (interprets && at_a_time <= kFewGroups &&
                                           code_of_thread > limits.code_that_stays);
  return way;
}

}  // namespace rarefy
