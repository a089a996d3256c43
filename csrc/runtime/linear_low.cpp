// A call of a chain with weights of low precision: rows at any number of tokens.
//
// Inputs are read and outputs written where the caller keeps them; what is in between lies in an
// arena for a chunk of tokens, all that belongs to one side by side. A weight of float32 that rides along takes the form for a few rows.
#include <cstring>

#include "linear_chain.h"

namespace rarefy {
namespace {

// What the activations of a chunk may fill of the second cache.
constexpr int64_t kArenaBytes = 5 << 18;
// Weights that the second cache of a thread keeps: then it may take chunks of its own, of at least
// so many tokens.
constexpr int64_t kWeightBytes = 3 << 18;
constexpr int64_t kTokensOfThread = 32;
// Multiply-adds, of low precision, that are worth a further thread.
constexpr int64_t kWorkOfThread = 1 << 20;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t rounded(int64_t a) { return divide_up(a, kLine) * kLine; }

}  // namespace

class LowRun {
 public:
  LowRun(const LinearChain& plan, const LinearChain::Job& job)
      : plan_(plan),
        job_(job),
        chain_(job.chain),
        form_(LayerWeight::low_form(job.tokens)),
        stride_(job.chain.room | kLine) {
    find_places();
    find_passes();
    choose_chunk();
  }

  void run() {
    const int64_t shares = by_chunks_ ? threads_ : 1;
    arena_ = job_.scratch.arena.at_least(shares * arena_size());
    prepared_ = job_.scratch.prepared.at_least(shares * prepared_size());
    if (threads_ == 1) {
      for (int64_t c = 0; c < chunks_; ++c) take_chunk(0, c);
    } else if (by_chunks_) {
      share_chunks();
    } else {
      share_passes();
    }
  }

 private:
  // What is done before the next needs all of it.
  struct Pass {
    enum What { prepare, multiply, tokens } what;
    size_t first, last;  // parts; of a product just one
  };
  // Tokens [first, first + count) of the call, and which of the arenas they are in.
  struct Chunk {
    int64_t share, first, count;
  };
  // Where a register lies: outside, or in the arena.
  struct Place {
    float* outside;
    int64_t stride;  // floats from token to token
  };

  void find_places() {
    places_.assign(chain_.features.size(), Place{nullptr, stride_});
    const auto& inputs = plan_.program_.inputs;
    for (size_t i = 0; i < inputs.size(); ++i) put_outside(inputs[i], job_.inputs[i]);
    const auto& outputs = plan_.program_.outputs;
    own_.resize(outputs.size());
    for (size_t o = 0; o < outputs.size(); ++o) {
      own_[o] = !places_[outputs[o]].outside && job_.outputs[o].data;
      if (own_[o]) put_outside(outputs[o], job_.outputs[o]);
    }
  }

  void put_outside(int r, const rarefy_tensor& tensor) {
    // Nothing is ever written to an input: registers are written once.
    if (tensor.data) places_[r] = {tensor.data, chain_.features[r]};
  }

  void find_passes() {
    for (size_t p = 0; p < chain_.parts.size(); ++p) {
      const Part& part = chain_.parts[p];
      if (part.stage == Stage::multiply) {
        if (low(part)) passes_.push_back({Pass::prepare, p, p + 1});
        passes_.push_back({Pass::multiply, p, p + 1});
      }
      const bool copies = part.stage == Stage::leave && !own_[part.number];
      if (part.points.empty() && part.stage != Stage::norm && !copies) continue;
      if (passes_.empty() || passes_.back().what != Pass::tokens) {
        passes_.push_back({Pass::tokens, p, p + 1});
      } else {
        passes_.back().last = p + 1;
      }
    }
  }

  void choose_chunk() {
    threads_ = job_.way.threads;
    if (plan_.limits.work_of_thread) {
      const double work = double(plan_.entries_) * double(job_.tokens) / double(kWorkOfThread);
      threads_ = std::max(1, static_cast<int>(std::min<double>(work, threads_)));
    }
    int64_t weights = 0;
    for (int p : chain_.products) {
      const LayerWeight::Low* const found = low(chain_.parts[p]);
      weights += found ? found->window->bytes() : rows(chain_.parts[p]).until.back() * 8;
    }
    by_chunks_ = threads_ > 1 && job_.tokens >= threads_ * kTokensOfThread &&
                 weights <= kWeightBytes;
    // Large weights are read anew for each chunk, which then shall be worth it.
    const int64_t worth = std::max(kArenaBytes, 2 * weights);
    const int64_t most = std::max(worth / (4 * chain_.room + 4) / kLine * kLine, kLine);
    const int64_t shares = by_chunks_ ? threads_ : 1;
    const int64_t rounds = divide_up(job_.tokens, most * shares);
    chunk_ = rounded(divide_up(job_.tokens, rounds * shares));
    chunks_ = divide_up(job_.tokens, chunk_);
  }

  Chunk chunk(int64_t share, int64_t c) const {
    return {share, c * chunk_, std::min(chunk_, job_.tokens - c * chunk_)};
  }

  void take_chunk(int64_t share, int64_t c) const {
    const Chunk chunk = this->chunk(share, c);
    for (const Pass& pass : passes_) take(pass, chunk, 0, items(pass, chunk.count));
  }

  void share_chunks() {
    Phases& phases = job_.scratch.phases;
    phases.begin(1, threads_);
    phases.set(0, chunks_, 1, nullptr);
    auto body = [&](int thread, int) {
      phases.work(
          thread,
          [&](int, int64_t first, int64_t last) {
            for (int64_t c = first; c < last; ++c) take_chunk(thread, c);
          },
          [](int) {});
    };
    parallel_optional(threads_, body);
  }

  void share_passes() {
    const int count = static_cast<int>(passes_.size());
    Phases& phases = job_.scratch.phases;
    phases.begin(static_cast<int>(chunks_) * count, threads_);
    for (int p = 0; p < chunks_ * count; ++p) {
      const Pass& pass = passes_[p % count];
      const int64_t there = std::max<int64_t>(1, items(pass, chunk(0, p / count).count));
      const std::vector<int64_t>* until =
          pass.what == Pass::multiply ? &until_of(chain_.parts[pass.first]) : nullptr;
      phases.set(p, there, std::max<int64_t>(1, there / (4 * threads_)),
                 until && until->size() > 1 ? until->data() : nullptr);
    }
    auto body = [&](int thread, int) {
      phases.work(
          thread,
          [&](int p, int64_t first, int64_t last) {
            const Chunk chunk = this->chunk(0, p / count);
            const Pass& pass = passes_[p % count];
            take(pass, chunk, first, std::min(last, items(pass, chunk.count)));
          },
          [](int) {});
    };
    parallel_optional(threads_, body);
  }

  const Layer& layer(const Part& part) const { return plan_.layers_[part.step]; }

  // Null where the weight is float32.
  const LayerWeight::Low* low(const Part& part) const {
    return layer(part).weight->low_forms[form_].if_there();
  }
  const LayerWeight::Rows& rows(const Part& part) const {
    return *layer(part).weight->some_rows.if_there();
  }
  const std::vector<int64_t>& until_of(const Part& part) const {
    return low(part) ? low(part)->until : rows(part).until;
  }

  int64_t items(const Pass& pass, int64_t count) const {
    if (pass.what == Pass::tokens) return count;
    const Part& part = chain_.parts[pass.first];
    if (pass.what == Pass::prepare) return low(part)->window->pieces(count);
    return low(part) ? low(part)->window->units() : rows(part).parts();
  }

  int64_t arena_size() const { return stride_ * chunk_; }

  int64_t prepared_size() const {
    int64_t bytes = 0;
    for (int p : chain_.products) {
      const LayerWeight::Low* const found = low(chain_.parts[p]);
      if (found) bytes = std::max(bytes, found->window->prepared_bytes(chunk_));
    }
    return rounded(divide_up(bytes, 4)) + kLine;
  }

  // Token t of the chunk.
  float* row(const Chunk& chunk, int r, int64_t t) const {
    const Place& place = places_[r];
    if (place.outside) return place.outside + (chunk.first + t) * place.stride;
    return arena_ + chunk.share * arena_size() + t * stride_ + chain_.offset[r];
  }

  void take(const Pass& pass, const Chunk& chunk, int64_t first, int64_t last) const {
    if (first >= last) return;
    if (pass.what == Pass::tokens) {
      for (int64_t t = first; t < last; ++t) {
        for (size_t p = pass.first; p < pass.last; ++p) finish(chain_.parts[p], chunk, t);
      }
      return;
    }
    const Part& part = chain_.parts[pass.first];
    const float* const x = row(chunk, part.in, 0);
    const int64_t x_stride = places_[part.in].stride, y_stride = places_[part.out].stride;
    float* const y = row(chunk, part.out, 0);
    if (!low(part)) {
      return rows(part).run(first, last, x, x_stride, y, y_stride, chunk.count,
                            layer(part).bias(), part.relu);
    }
    const Window& window = *low(part)->window;
    auto* const prepared =
        reinterpret_cast<uint8_t*>(prepared_ + chunk.share * prepared_size());
    const int from = static_cast<int>(first), to = static_cast<int>(last);
    if (pass.what == Pass::prepare) {
      return window.prepare(from, to, x, x_stride, chunk.count, prepared);
    }
    window.run(from, to, prepared, chunk.count, y, y_stride, layer(part).bias(), part.relu);
  }

  // All of a part but its product, for one token.
  void finish(const Part& part, const Chunk& chunk, int64_t t) const {
    const LineKernels& kernels = plan_.kernels_;
    const int64_t size = part.features;
    if (size == 0) return;
    if (part.stage == Stage::leave && !own_[part.number]) {
      float* const to = job_.outputs[part.number].data + (chunk.first + t) * size;
      std::memcpy(to, row(chunk, part.in, t), size * sizeof(float));
    } else if (part.stage == Stage::norm) {
      const float* const gamma = layer(part).values.data();
      kernels.norm_row(row(chunk, part.in, t), gamma, gamma + size, row(chunk, part.out, t), size,
                       static_cast<float>(plan_.program_.steps[part.step].epsilon));
    }
    for (const Point& point : part.points) apply(point, chunk, t);
  }

  void apply(const Point& point, const Chunk& chunk, int64_t t) const {
    const int64_t size = chain_.features[point.out];
    const float* const a = row(chunk, point.a, t);
    float* const out = row(chunk, point.out, t);
    if (point.op == Op::affine) {
      const float* const scale = plan_.layers_[point.step].values.data();
      return plan_.kernels_.affine_row(a, scale, scale + size, out, size);
    }
    const Step& step = plan_.program_.steps[point.step];
    plan_.kernels_.pointwise(pointwise_of(point.op), a, row(chunk, point.b, t), out, size,
                             static_cast<float>(step.low), static_cast<float>(step.high));
  }

  const LinearChain& plan_;
  const LinearChain::Job& job_;
  const Chain& chain_;
  const int form_;
  const int64_t stride_;       // floats from token to token of the arena, a multiple of 16
  std::vector<Place> places_;  // of registers
  std::vector<bool> own_;      // of outputs: the register lies there, and need not be copied
  std::vector<Pass> passes_;
  int threads_ = 1;
  bool by_chunks_ = false;  // threads take whole chunks; else they share passes
  int64_t chunk_ = 0, chunks_ = 0;
  float *arena_ = nullptr, *prepared_ = nullptr;
};

void LinearChain::run_low(const Job& job) const { LowRun(*this, job).run(); }

}  // namespace rarefy
