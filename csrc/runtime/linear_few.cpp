// A call on a few rows: each token's features side by side, threads share the rows of a product.
#include <cstring>

#include "linear_chain.h"

namespace rarefy {

void LayerWeight::Rows::run(int64_t first, int64_t last, const float* x, int64_t x_stride,
                            float* y, int64_t y_stride, int64_t tokens, const float* bias,
                            bool relu) const {
  for (const Range& range : ranges) {
    const int64_t from = std::max(first - range.part, int64_t(0));
    const int64_t to = std::min(last - range.part, range.few->parts);
    if (from >= to) continue;
    range.few->run(from, to, x, x_stride, y + range.row, y_stride, tokens,
                   bias ? bias + range.row : nullptr, relu);
  }
}

class FewRun {
 public:
  FewRun(const LinearChain& plan, const LinearChain::Job& job)
      : plan_(plan), job_(job), chain_(job.chain), stride_(job.chain.room | kLine) {
    arena_ = job.scratch.arena.at_least(stride_ * job.tokens);
  }

  void run() {
    if (job_.way.threads > 1 && !chain_.products.empty()) return run_together();
    for (const Part& part : chain_.parts) {
      if (part.stage == Stage::multiply) multiply(part, 0, rows_of(part).parts());
      finish(part);
    }
  }

 private:
  // A phase is a product and all up to the next, which is little: whoever ends the product does it.
  void run_together() {
    const int count = static_cast<int>(chain_.products.size());
    Phases& phases = job_.scratch.phases;
    phases.begin(count, job_.way.threads);
    for (int p = 0; p < count; ++p) {
      const Part& part = chain_.parts[chain_.products[p]];
      const int64_t items = std::max<int64_t>(1, rows_of(part).parts());
      const std::vector<int64_t>& until = rows_of(part).until;
      phases.set(p, items, std::max<int64_t>(1, items / (4 * job_.way.threads)),
                 rows_of(part).parts() > 0 ? until.data() : nullptr);
    }
    finish_all(0, chain_.products[0]);
    auto body = [&](int thread, int) {
      phases.work(
          thread,
          [&](int p, int64_t first, int64_t last) {
            const Part& part = chain_.parts[chain_.products[p]];
            multiply(part, first, std::min(last, rows_of(part).parts()));
          },
          [&](int p) {
            finish_all(chain_.products[p],
                       p + 1 < count ? chain_.products[p + 1] : chain_.parts.size());
          });
    };
    parallel_optional(job_.way.threads, body);
  }

  void finish_all(size_t first, size_t last) const {
    for (size_t p = first; p < last; ++p) finish(chain_.parts[p]);
  }

  const LayerWeight::Rows& rows_of(const Part& part) const {
    const LayerWeight& weight = *plan_.layers_[part.step].weight;
    return *(job_.tokens == 1 ? weight.one_row : weight.some_rows).if_there();
  }

  float* row(int r, int64_t token) const { return arena_ + token * stride_ + chain_.offset[r]; }

  void multiply(const Part& part, int64_t first, int64_t last) const {
    if (first >= last) return;
    rows_of(part).run(first, last, row(part.in, 0), stride_, row(part.out, 0), stride_,
                      job_.tokens, plan_.layers_[part.step].bias(), part.relu);
  }

  // All of a part but its product.
  void finish(const Part& part) const {
    for (int64_t t = 0; t < job_.tokens; ++t) {
      head(part, t);
      for (const Point& point : part.points) apply(point, t);
    }
  }

  void head(const Part& part, int64_t t) const {
    const int64_t size = part.features, begin = t * size;
    if (size == 0) return;
    if (part.stage == Stage::enter) {
      std::memcpy(row(part.out, t), job_.inputs[part.number].data + begin, size * sizeof(float));
    } else if (part.stage == Stage::leave) {
      std::memcpy(job_.outputs[part.number].data + begin, row(part.in, t), size * sizeof(float));
    } else if (part.stage == Stage::norm) {
      const float* const gamma = plan_.layers_[part.step].values.data();
      plan_.kernels_.norm_row(row(part.in, t), gamma, gamma + size, row(part.out, t), size,
                              static_cast<float>(plan_.program_.steps[part.step].epsilon));
    }
  }

  void apply(const Point& point, int64_t t) const {
    const int64_t size = chain_.features[point.out];
    if (point.op == Op::affine) {
      const float* const scale = plan_.layers_[point.step].values.data();
      plan_.kernels_.affine_row(row(point.a, t), scale, scale + size, row(point.out, t), size);
      return;
    }
    const Step& step = plan_.program_.steps[point.step];
    plan_.kernels_.pointwise(pointwise_of(point.op), row(point.a, t), row(point.b, t),
                             row(point.out, t), size, static_cast<float>(step.low),
                             static_cast<float>(step.high));
  }

  const LinearChain& plan_;
  const LinearChain::Job& job_;
  const Chain& chain_;
  const int64_t stride_;  // floats from token to token, a multiple of 16
  float* arena_;
};

void LinearChain::run_few(const Job& job) const { FewRun(*this, job).run(); }

}  // namespace rarefy
