// Layers of slots, for tokens and for images, against plain loops in double.
#include <cmath>
#include <memory>

#include "dispatch.h"
#include "runtime/plan.h"
#include "runtime/slot_layer.h"
#include "slots_case.h"
#include "sparse_case.h"

namespace {

using cases::expect;
using cases::Misaligned;
using cases::Sparse;
using rarefy::SlotLayer;

std::mt19937 generator(3);

// One (input, output, place in the weight) of every multiply-add of a layer.
struct Term {
  int64_t x, y, place;
};

struct Case {
  std::string name;
  int64_t inputs, outputs, bias_of;  // outputs that share a bias stand `bias_of` apart
  std::vector<int64_t> sizes;
  std::vector<Term> terms;
};

void compare(const float* found, const std::vector<cases::Sum>& wanted, const float* bias,
             const Case& test, const std::string& what) {
  int wrong = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double shift = bias ? bias[int64_t(i) / test.bias_of % 1000] : 0;
    wrong += !wanted[i].matches(found[i], shift, false);
  }
  expect(!wrong, test.name + ": " + what + " differs from plain loops");
}

void test_layer(const SlotLayer& layer, const Sparse& sparse, const Case& test, int threads) {
  const Misaligned x(test.inputs), dy(test.outputs), y(test.outputs), dx(test.inputs);
  const auto slots = static_cast<int64_t>(sparse.values.size());
  const Misaligned values(slots), dvalues(slots);
  cases::fill(x.data(), test.inputs, cases::Numbers::plain, generator);
  cases::fill(dy.data(), test.outputs, cases::Numbers::plain, generator);
  std::copy(sparse.values.begin(), sparse.values.end(), values.data());
  expect(layer.forward(x.data(), values.data(), nullptr, y.data(), test.sizes.data(), threads) ==
                 rarefy::kDone &&
             layer.input_gradient(dy.data(), values.data(), dx.data(), test.sizes.data(),
                                  threads) == rarefy::kDone &&
             layer.weight_gradient(x.data(), dy.data(), dvalues.data(), test.sizes.data(),
                                   threads) == rarefy::kDone,
         test.name + " does not run");
  std::vector<cases::Sum> want_y(test.outputs), want_dx(test.inputs);
  std::vector<cases::Sum> by_place(sparse.rows * sparse.columns), want_values(slots);
  for (const Term& term : test.terms) {
    const float weight = sparse.dense[term.place];
    want_y[term.y].add(weight, x.data()[term.x]);
    want_dx[term.x].add(weight, dy.data()[term.y]);
    by_place[term.place].add(x.data()[term.x], dy.data()[term.y]);
  }
  for (size_t s = 0; s < sparse.places.size(); ++s) want_values[s] = by_place[sparse.places[s]];
  compare(y.data(), want_y, nullptr, test, "forward");
  compare(dx.data(), want_dx, nullptr, test, "the input's gradient");
  compare(dvalues.data(), want_values, nullptr, test, "the values' gradient");
  std::vector<float> bias(1000);
  for (int64_t r = 0; r < sparse.rows; ++r) bias[r] = static_cast<float>(r) - 3;
  layer.forward(x.data(), values.data(), bias.data(), y.data(), test.sizes.data(), threads);
  int wrong = 0;
  for (int64_t i = 0; i < test.outputs; ++i) {
    wrong += !want_y[i].matches(y.data()[i], bias[i / test.bias_of % sparse.rows], false);
  }
  expect(!wrong, test.name + ": forward with bias differs from plain loops");
}

std::unique_ptr<SlotLayer> made(const Sparse& sparse, const int64_t* geometry, const char* set) {
  std::string error;
  auto layer = SlotLayer::make(sparse.words.data(), static_cast<int64_t>(sparse.words.size()),
                               geometry, set, error);
  expect(layer != nullptr, error);
  return layer;
}

void test_tokens(int64_t rows, int64_t columns, double density) {
  Sparse sparse(rows, columns, density, true, generator, 2);
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
    const auto layer = made(sparse, nullptr, set);
    if (!layer) continue;
    for (const int64_t tokens : {1, 16, 37, 290}) {
      Case test{std::to_string(tokens) + " tokens of " + std::to_string(rows) + "x" +
                    std::to_string(columns) + " " + set,
                tokens * columns, tokens * rows, 1, {tokens}, {}};
      for (int64_t t = 0; t < tokens; ++t) {
        for (const int64_t place : sparse.places) {
          test.terms.push_back({t * columns + place % columns, t * rows + place / columns, place});
        }
      }
      test_layer(*layer, sparse, test, 1 + static_cast<int>(tokens % 3));
    }
    expect(layer->bytes() > 0, "a layer holds nothing");
  }
}

struct Image {
  int64_t images, channels, outputs, height, width;
  int64_t geometry[8];
};

void test_images(const Image& image, double density) {
  const int64_t* const g = image.geometry;
  const int64_t taps = g[0] * g[1];
  Sparse sparse(image.outputs, image.channels * taps, density, false, generator);
  const int64_t tall = (image.height + 2 * g[4] - g[6] * (g[0] - 1) - 1) / g[2] + 1;
  const int64_t wide = (image.width + 2 * g[5] - g[7] * (g[1] - 1) - 1) / g[3] + 1;
  Case test{"images", image.images * image.channels * image.height * image.width,
            image.images * image.outputs * tall * wide, tall * wide,
            {image.images, image.height, image.width}, {}};
  for (int64_t n = 0; n < image.images; ++n) {
    for (const int64_t place : sparse.places) {
      const int64_t row = place / sparse.columns, column = place % sparse.columns;
      const int64_t channel = column / taps, i = column % taps / g[1], j = column % g[1];
      for (int64_t y = 0; y < tall; ++y) {
        for (int64_t x = 0; x < wide; ++x) {
          const int64_t v = y * g[2] + i * g[6] - g[4], h = x * g[3] + j * g[7] - g[5];
          if (v < 0 || h < 0 || v >= image.height || h >= image.width) continue;
          test.terms.push_back(
              {((n * image.channels + channel) * image.height + v) * image.width + h,
               ((n * image.outputs + row) * tall + y) * wide + x, place});
        }
      }
    }
  }
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
    const auto layer = made(sparse, g, set);
    if (!layer) continue;
    test_layer(*layer, sparse, test, 2);
    const int64_t small[3] = {1, 1, 0};
    float nothing = 0;
    const bool fits = g[0] == 1 && g[1] == 1 && g[5] == 1;
    expect(fits || layer->forward(&nothing, &nothing, nullptr, &nothing, small, 1) ==
                       rarefy::kWrongShape,
           "a kernel larger than its image runs");
  }
}

void test_refused() {
  Sparse sparse(4, 10, 0.5, false, generator);
  std::string error;
  const auto count = static_cast<int64_t>(sparse.words.size());
  const int64_t taps[8] = {3, 3, 1, 1, 0, 0, 1, 1}, stride[8] = {1, 1, 0, 1, 0, 0, 1, 1};
  for (const int64_t* geometry : {taps, stride}) {
    expect(!SlotLayer::make(sparse.words.data(), count, geometry, rarefy_set(0), error),
           "a geometry that cannot be is accepted");
  }
  expect(!SlotLayer::make(sparse.words.data(), count, nullptr, "no set", error),
         "a set that is not there is accepted");
}

}  // namespace

int main() {
  test_tokens(1, 1, 1);
  test_tokens(45, 100, 0.2);
  test_tokens(70, 33, 0);
  test_tokens(100, 410, 0.1);
  test_images({17, 3, 33, 7, 9, {3, 3, 1, 1, 1, 1, 1, 1}}, 0.3);
  test_images({3, 5, 8, 9, 8, {3, 2, 2, 1, 0, 2, 1, 2}}, 0.5);
  test_images({16, 40, 7, 4, 16, {1, 1, 1, 1, 0, 0, 1, 1}}, 0.2);
  test_images({33, 2, 4, 5, 6, {3, 3, 2, 2, 1, 1, 1, 1}}, 0.0);
  test_refused();
  std::printf("%s\n", cases::failures ? "FAILED" : "passed");
  return cases::failures != 0;
}
