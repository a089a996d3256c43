#include "slot_linear.h"

#include <algorithm>
#include <cstring>

#include "plan.h"

namespace rarefy {
namespace {

// Lines of the groups that go through a product together: what the second cache holds.
constexpr int64_t kTogetherBytes = 3 << 19;
constexpr int64_t kLeastTogether = 8;
// Floats from a feature's lines to the next one's where groups lie side by side; and features that
// enter so at a time.
constexpr int64_t kApart = kGradientGroups * kLine;
constexpr int64_t kTile = 64;
// Multiply-adds below which a second thread costs more than it brings.
constexpr double kWorkOfThread = 4e5;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

class SlotLinear final : public SlotLayer {
 public:
  SlotLinear(Slots slots, const char* set, const LineKernels& kernels)
      : SlotLayer(std::move(slots), set, kernels) {
    const int64_t most = std::max(slots_.rows, slots_.columns);
    for (int64_t i = 0; i < most; ++i) {
      near_.push_back(static_cast<int32_t>(64 * i));
      apart_.push_back(static_cast<int32_t>(64 * kGradientGroups * i));
    }
    parts_ = std::make_unique<SlotParts>(slots_, set_.c_str(), may_emit_,
                                         LinePlaces{near_.data(), near_.data()},
                                         LinePlaces{apart_.data(), apart_.data()}, false);
  }

  int64_t bytes() const override { return parts_->bytes(); }

  int forward(const float* x, const float* values, const float* bias, float* y,
              const int64_t* sizes, int threads) const override {
    const SlotProduct* const made = parts_->product();
    return made ? multiply({*made, values, bias, x, slots_.columns, y, slots_.rows, sizes[0]},
                           threads)
                : kNoKernel;
  }

  int input_gradient(const float* dy, const float* values, float* dx, const int64_t* sizes,
                     int threads) const override {
    const SlotProduct* const made = parts_->twin();
    return made ? multiply({*made, values, nullptr, dy, slots_.rows, dx, slots_.columns, sizes[0]},
                           threads)
                : kNoKernel;
  }

  int weight_gradient(const float* x, const float* dy, float* dvalues, const int64_t* sizes,
                      int threads) const override {
    const SlotGradient* const made = parts_->gradient();
    if (!made) return kNoKernel;
    std::memset(dvalues, 0, sizeof(float) * slots_.capacity);
    const int64_t groups = divide_up(sizes[0], kLine), blocks = slots_.row_blocks();
    if (groups == 0 || slots_.entries == 0) return kDone;
    threads = useful(sizes[0], threads);
    auto scratch = shelf_.take();
    float* const x_lines = scratch->arena.at_least((slots_.columns + slots_.rows) * kApart);
    float* const y_lines = x_lines + slots_.columns * kApart;
    const auto chunks = static_cast<int>(divide_up(groups, kGradientGroups));
    const int64_t x_tiles = divide_up(slots_.columns, kTile);
    Phases& phases = scratch->phases;
    phases.begin(2 * chunks, threads);
    for (int c = 0; c < chunks; ++c) {
      phases.set(2 * c, x_tiles + divide_up(slots_.rows, kTile), 1, nullptr);
      phases.set(2 * c + 1, blocks, divide_up(blocks, 4 * threads), nullptr);
    }
    auto body = [&](int thread, int) {
      phases.work(
          thread,
          [&](int phase, int64_t first, int64_t last) {
            const int64_t token = phase / 2 * kGradientGroups * kLine;
            if (phase % 2) {
              const int64_t count = divide_up(sizes[0] - token, kLine);
              made->run(static_cast<int>(first), static_cast<int>(last), x_lines, kLine, y_lines,
                        kLine, std::min(kGradientGroups, count), dvalues);
              return;
            }
            for (int64_t i = first; i < last; ++i) {
              if (i < x_tiles) {
                enter_apart(x, slots_.columns, i * kTile, token, sizes[0], x_lines);
              } else {
                enter_apart(dy, slots_.rows, (i - x_tiles) * kTile, token, sizes[0], y_lines);
              }
            }
          },
          [](int) {});
    };
    parallel_optional(threads, body);
    shelf_.put(std::move(scratch));
    return kDone;
  }

 private:
  // Rows of features `from` and `to`, a token each.
  struct Call {
    const SlotProduct& product;
    const float *values, *bias, *from;
    int64_t read;
    float* to;
    int64_t written, tokens;
  };

  // Chunks of groups, each on one thread from its rows to its rows.
  int multiply(const Call& call, int threads) const {
    const int64_t groups = divide_up(call.tokens, kLine);
    if (groups == 0) return kDone;
    threads = useful(call.tokens, threads);
    auto scratch = shelf_.take();
    const int64_t from_lines = spread_lines(call.read) * kLine;
    const int64_t to_lines = spread_lines(call.written) * kLine;
    const int64_t fit = kTogetherBytes / (4 * (from_lines + to_lines));
    const int64_t most = divide_up(groups, threads);
    const int64_t chunk = divide_up(most, divide_up(most, std::max(kLeastTogether, fit)));
    float* const arena = scratch->arena.at_least(threads * chunk * (from_lines + to_lines));
    scratch->phases.begin(1, threads);
    scratch->phases.set(0, divide_up(groups, chunk), 1, nullptr);
    auto body = [&](int thread, int) {
      float* const from = arena + thread * chunk * (from_lines + to_lines);
      float* const to = from + chunk * from_lines;
      scratch->phases.work(
          thread,
          [&](int, int64_t first, int64_t last) {
            for (int64_t c = first; c < last; ++c) {
              const int64_t start = c * chunk, count = std::min(chunk, groups - start);
              for (int64_t g = 0; g < count; ++g) {
                enter(call.from, call.read, (start + g) * kLine, call.tokens,
                      from + g * from_lines);
              }
              run(call, from, from_lines, to, to_lines, count);
              for (int64_t g = 0; g < count; ++g) {
                const int64_t token = (start + g) * kLine;
                kernels_.tokens_of_lines(to + g * to_lines, std::min(kLine, call.tokens - token),
                                         call.written, call.to + token * call.written,
                                         call.written);
              }
            }
          },
          [](int) {});
    };
    parallel_optional(threads, body);
    shelf_.put(std::move(scratch));
    return kDone;
  }

  static void run(const Call& call, const float* from, int64_t from_lines, float* to,
                  int64_t to_lines, int64_t groups) {
    constexpr int kAtOnce = 64;
    int64_t from_at[kAtOnce], to_at[kAtOnce];
    for (int64_t done = 0; done < groups; done += kAtOnce) {
      const int count = static_cast<int>(std::min<int64_t>(kAtOnce, groups - done));
      for (int g = 0; g < count; ++g) {
        from_at[g] = (done + g) * from_lines;
        to_at[g] = (done + g) * to_lines;
      }
      call.product.run(0, call.product.blocks, call.values, from, from_at, to, to_at, count,
                       call.bias);
    }
  }

  void enter(const float* rows, int64_t features, int64_t token, int64_t tokens,
             float* lines) const {
    kernels_.lines_of_tokens(rows + token * features, features, std::min(kLine, tokens - token),
                             features, lines, kLine);
  }

  // A tile of features of kGradientGroups groups, whose lines of a feature lie side by side.
  void enter_apart(const float* rows, int64_t features, int64_t feature, int64_t token,
                   int64_t tokens, float* lines) const {
    const int64_t end = std::min(tokens, token + kGradientGroups * kLine);
    for (int64_t g = 0; token < end; ++g, token += kLine) {
      kernels_.lines_of_tokens(rows + token * features + feature, features,
                               std::min(kLine, end - token), std::min(kTile, features - feature),
                               lines + feature * kApart + g * kLine, kApart);
    }
  }

  int useful(int64_t tokens, int threads) const {
    const double work = double(slots_.entries + 8 * (slots_.rows + slots_.columns)) *
                        double(divide_up(tokens, kLine) * kLine);
    return std::max(1, std::min(threads, static_cast<int>(work / kWorkOfThread)));
  }

  // Where lines lie: one after the other; and with those of kGradientGroups groups side by side.
  std::vector<int32_t> near_, apart_;
  std::unique_ptr<SlotParts> parts_;
};

}  // namespace

std::unique_ptr<SlotLayer> make_linear(Slots slots, const char* set, const LineKernels& kernels) {
  return std::make_unique<SlotLinear>(std::move(slots), set, kernels);
}

}  // namespace rarefy
