// A call on lines: by groups of 16 tokens, or by rows of each product.
#include "linear_chain.h"

namespace rarefy {
namespace {

// Features of a piece of what is not a product: 8 KB of a group, for the first cache.
constexpr int64_t kPiece = 128;
// Pieces of a thread's share that others can still take from it.
constexpr int64_t kPiecesOfShare = 4;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

class LinesRun {
 public:
  LinesRun(const LinearChain& plan, const LinearChain::Job& job)
      : plan_(plan), job_(job), chain_(job.chain), groups_(divide_up(job.tokens, kLine)) {
    // Groups lie a little off a multiple of 4096 bytes, so that a feature's lines of several groups
    // do not compete for the same places of the first cache.
    const int64_t lines = chain_.room + (69 - chain_.room % 64) % 64;
    stride_ = lines * kLine;
  }

  void run() {
    if (job_.way.by_groups) {
      take_by_groups();
    } else {
      take_by_rows();
    }
  }

 private:
  const Step& step_of(const Point& point) const { return plan_.program_.steps[point.step]; }

  float* line(float* group, int r, int64_t feature) const {
    return group + (chain_.offset[r] + feature) * kLine;
  }

  int64_t tokens_of(int64_t group) const {
    return std::min<int64_t>(kLine, job_.tokens - group * kLine);
  }

  void take_by_groups() {
    const int64_t most = divide_up(groups_, job_.way.threads);
    const int64_t chunk = divide_up(most, divide_up(most, job_.way.together));
    const int64_t chunks = divide_up(groups_, chunk);
    float* const base = job_.scratch.arena.at_least(job_.way.threads * chunk * stride_);
    if (job_.way.threads == 1) {
      for (int64_t c = 0; c < chunks; ++c) take_groups(base, c * chunk, chunk);
      return;
    }
    Phases& phases = job_.scratch.phases;
    phases.begin(1, job_.way.threads);
    phases.set(0, chunks, 1, nullptr);
    auto body = [&](int thread, int) {
      float* const own = base + thread * chunk * stride_;
      phases.work(
          thread,
          [&](int, int64_t first, int64_t last) {
            for (int64_t c = first; c < last; ++c) take_groups(own, c * chunk, chunk);
          },
          [](int) {});
    };
    parallel_optional(job_.way.threads, body);
  }

  // The whole chain for groups [first, first + count).
  void take_groups(float* arena, int64_t first, int64_t count) const {
    count = std::min(count, groups_ - first);
    for (const Part& part : chain_.parts) {
      if (part.stage == Stage::multiply) {
        const auto& lines = lines_of(part);
        multiply(part, lines, arena, 0, lines.product->blocks, count);
      }
      for (int64_t g = 0; g < count; ++g) {
        float* const group = arena + g * stride_;
        if (part.stage != Stage::multiply) head(part, group, first + g, 0, part.features);
        points(part, group, 0, part.features);
      }
    }
  }

  // Chunks of groups one after the other, each through the whole chain; a phase is a part of one.
  void take_by_rows() {
    const int count = static_cast<int>(chain_.parts.size());
    const int64_t fit = job_.way.together * 4 / 3;  // a thread writes only its rows
    const int64_t chunk = divide_up(groups_, divide_up(groups_, fit));
    const int chunks = static_cast<int>(divide_up(groups_, chunk));
    float* const arena = job_.scratch.arena.at_least(chunk * stride_);
    Phases& phases = job_.scratch.phases;
    phases.begin(chunks * count, job_.way.threads);
    for (int p = 0; p < chunks * count; ++p) {
      set_phase(phases, p, chain_.parts[p % count], std::min(chunk, groups_ - p / count * chunk));
    }
    auto body = [&](int thread, int) {
      phases.work(
          thread,
          [&](int p, int64_t first, int64_t last) {
            const Rows rows{arena, p / count * chunk, std::min(chunk, groups_ - p / count * chunk)};
            take_items(chain_.parts[p % count], rows, first, last);
          },
          [&](int p) {
            end_phase(chain_.parts[p % count], arena,
                      std::min(chunk, groups_ - p / count * chunk));
          });
    };
    parallel_optional(job_.way.threads, body);
  }

  // Groups [first, first + count) of the call, in the arena's first places.
  struct Rows {
    float* arena;
    int64_t first, count;
  };

  // Items: blocks of rows of a product; groups of a norm; else pieces of groups.
  void set_phase(Phases& phases, int p, const Part& part, int64_t groups) const {
    int64_t items = groups;
    const int64_t* until = nullptr;
    if (part.stage == Stage::multiply) {
      const auto& lines = lines_of(part);
      items = lines.product->blocks;
      if (items > 0) until = lines.until.data();
    } else if (part.stage != Stage::norm) {
      items *= pieces(part);
    }
    items = std::max<int64_t>(1, items);
    phases.set(p, items, divide_up(items, kPiecesOfShare * job_.way.threads), until);
  }

  static int64_t pieces(const Part& part) {
    return std::max<int64_t>(1, divide_up(part.features, kPiece));
  }

  void take_items(const Part& part, const Rows& rows, int64_t first, int64_t last) const {
    if (part.stage == Stage::multiply) return take_blocks(part, rows, first, last);
    const bool norm = part.stage == Stage::norm;
    const int64_t each = norm ? 1 : pieces(part);
    for (int64_t i = first; i < last; ++i) {
      const int64_t g = i / each;
      const int64_t from = i % each * kPiece;
      const int64_t to = norm ? part.features : std::min(from + kPiece, part.features);
      head(part, rows.arena + g * stride_, rows.first + g, from, to);
      points(part, rows.arena + g * stride_, from, to);
    }
  }

  void take_blocks(const Part& part, const Rows& rows, int64_t first, int64_t last) const {
    const LayerWeight& weight = *layer(part).weight;
    const auto& lines = lines_of(part);
    last = std::min<int64_t>(last, lines.product->blocks);
    if (first >= last) return;
    multiply(part, lines, rows.arena, static_cast<int>(first), static_cast<int>(last), rows.count);
    if (!lines.by_rows) return;
    for (int64_t g = 0; g < rows.count; ++g) {
      points(part, rows.arena + g * stride_, weight.tiles.first_row[first],
             weight.tiles.first_row[last]);
    }
  }

  // What could not follow the rows one by one.
  void end_phase(const Part& part, float* arena, int64_t groups) const {
    if (part.stage != Stage::multiply || lines_of(part).by_rows) return;
    for (int64_t g = 0; g < groups; ++g) points(part, arena + g * stride_, 0, part.features);
  }

  const Layer& layer(const Part& part) const { return plan_.layers_[part.step]; }

  const LayerWeight::Lines& lines_of(const Part& part) const {
    const LayerWeight& weight = *layer(part).weight;
    return *(job_.way.interpreted ? weight.interpreted : weight.generated).if_there();
  }

  void multiply(const Part& part, const LayerWeight::Lines& lines, float* arena, int first,
                int last, int64_t count) const {
    if (first >= last) return;
    lines.product->run(first, last, line(arena, part.in, 0), stride_, line(arena, part.out, 0),
                       stride_, static_cast<int>(count), layer(part).bias(), part.relu);
  }

  void head(const Part& part, float* group, int64_t g, int64_t from, int64_t to) const {
    const LineKernels& kernels = plan_.kernels_;
    const int64_t begin = g * kLine * part.features + from;
    if (part.stage == Stage::enter) {
      kernels.lines_of_tokens(job_.inputs[part.number].data + begin, part.features, tokens_of(g),
                              to - from, line(group, part.out, from), kLine);
    } else if (part.stage == Stage::leave) {
      kernels.tokens_of_lines(line(group, part.in, from), tokens_of(g), to - from,
                              job_.outputs[part.number].data + begin, part.features);
    } else if (part.stage == Stage::norm) {
      const float* const gamma = layer(part).values.data();
      kernels.norm_lines(line(group, part.in, 0), gamma, gamma + part.features,
                         line(group, part.out, 0), part.features,
                         static_cast<float>(plan_.program_.steps[part.step].epsilon));
    }
  }

  void points(const Part& part, float* group, int64_t from, int64_t to) const {
    if (part.points.empty()) return;
    const int64_t step = part.points.size() == 1 ? to - from : kPiece;
    for (int64_t f = from; f < to; f += step) {
      const int64_t count = std::min(step, to - f);
      for (const Point& point : part.points) apply(point, group, f, count);
    }
  }

  void apply(const Point& point, float* group, int64_t f, int64_t count) const {
    const float* const a = line(group, point.a, f);
    float* const out = line(group, point.out, f);
    if (point.op == Op::affine) {
      const float* const scale = plan_.layers_[point.step].values.data();
      const float* const shift = scale + chain_.features[point.out];
      plan_.kernels_.affine_lines(a, scale + f, shift + f, out, count);
      return;
    }
    const Step& step = step_of(point);
    plan_.kernels_.pointwise(pointwise_of(point.op), a, line(group, point.b, f), out, count * kLine,
                             static_cast<float>(step.low), static_cast<float>(step.high));
  }

  const LinearChain& plan_;
  const LinearChain::Job& job_;
  const Chain& chain_;
  const int64_t groups_;
  int64_t stride_;  // floats from group to group
};

void LinearChain::run_lines(const Job& job) const { LinesRun(*this, job).run(); }

}  // namespace rarefy
