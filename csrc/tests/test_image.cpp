// Image programs in every instruction set that runs here, on one thread and several, against plain
// loops in double: every pixel, borders included, within 1e-4 of the largest. Fails if nothing ran.
#include <functional>
#include <thread>

#include "image_check.h"

namespace {

using cases::check;
using cases::compare;
using cases::expect;
using cases::Held;
using cases::ImageCase;
using cases::ran;
using cases::residual;
using cases::same_bits;

constexpr auto square = ImageCase::window;

void test_windows() {
  const int64_t sizes[][2] = {{1, 1}, {5, 5},   {13, 9}, {17, 31},
                              {7, 7}, {14, 14}, {28, 3}, {2, 40}};
  const int64_t batches[] = {1, 2, 3, 5, 16, 17};
  unsigned seed = 0;
  for (int64_t kernel : {1, 3, 5, 7}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t pad : {0, 1, 2, 3}) {
        const auto& size = sizes[seed++ % 8];
        if (std::min(size[0], size[1]) + 2 * pad < kernel) continue;
        ImageCase of(seed);
        const int64_t batch = batches[seed / 3 % 6], channels = seed % 5 ? 3 : 17;
        const int x = of.input({batch, channels, size[0], size[1]});
        const auto window = square(kernel, stride, pad);
        of.output({of.conv(x, seed % 7 ? 5 : 33, window, 0.3, seed % 2)});
        check(of, "conv " + std::to_string(seed));
      }
    }
  }
}

void test_unlike_sides() {
  const rarefy::ImageWindow windows[] = {
      {{1, 5}, {1, 1}, {0, 2}},
      {{3, 1}, {2, 1}, {1, 0}},
      {{2, 4}, {1, 3}, {1, 1}},
      {{6, 2}, {3, 2}, {0, 1}},
  };
  unsigned seed = 100;
  for (const auto& window : windows) {
    ImageCase of(seed++);
    const int x = of.input({2, 4, 11, 23});
    of.output({of.conv(x, 40, window, 0.5), of.max_pool(x, window)});
    check(of, "unlike sides");
  }
}

void test_densities() {
  unsigned seed = 120;
  for (double density : {0.0, 0.02, 1.0}) {
    ImageCase of(seed++);
    const int x = of.input({3, 40, 9, 9});
    of.output({of.conv(x, 61, square(3, 1, 1), density)});
    check(of, "density");
  }
  ImageCase none(seed);
  const int x = none.input({2, 0, 6, 6});
  none.output({none.conv(x, 3, square(3, 1, 1), 1.0)});
  check(none, "no channels");
}

void test_nets() {
  unsigned seed = 200;
  for (int64_t batch : {1, 2, 4, 5, 16, 19}) {
    for (int64_t size : {32, 45}) {
      if (batch > 5 && size > 40) continue;
      ImageCase of(seed++);
      int x = of.input({batch, 3, size, size + 3});
      x = of.affine(of.conv(x, 8, square(7, 2, 3), 1.0, false));
      x = of.max_pool(of.point("relu", x), square(3, 2, 1));
      x = residual(of, x, 8, 1, true);
      x = residual(of, x, 12, 2, seed % 2);
      x = residual(of, x, 31, 2, true);
      x = residual(of, x, 31, 1, false);
      of.output({of.linear(of.flatten(of.mean(x)), 10, 0.7)});
      check(of, "net of batch " + std::to_string(batch));
    }
  }
}

// Large enough for several shares of positions and of rows, and for results made in parts.
void test_large() {
  ImageCase of(250);
  int x = of.input({1, 3, 100, 120});
  x = of.point("relu", of.conv(x, 70, square(3, 1, 1), 0.3));
  x = of.max_pool(x, square(2, 2, 0));
  of.output({residual(of, x, 70, 1, false)});
  check(of, "large");
}

// Numbers that never enter lanes, but for the mean and the pooling.
void test_plain(int64_t batch) {
  ImageCase plain(350);
  const int a = plain.input({batch, 5, 4, 4}), b = plain.input({batch, 5, 4, 4});
  const int c = plain.input({batch, 900});
  const int sum = plain.point("relu", plain.affine(plain.join("add", a, b)));
  const int pooled = plain.max_pool(sum, square(2, 2, 0));
  plain.output({plain.flatten(a), sum, plain.mean(b), pooled,
                plain.join("mul", plain.linear(c, 900, 0.1), c)});
  check(plain, "no convolution");
}

void test_every_step() {
  unsigned seed = 300;
  for (int64_t batch : {1, 3, 16}) {
    ImageCase of(seed++);
    const int a = of.input({batch, 6, 10, 7}), b = of.input({batch, 6, 10, 7});
    int x = of.join("mul", of.conv(a, 6, square(3, 1, 1), 0.6), b);
    x = of.point("silu", of.join("add", x, a));
    const int early = of.point("gelu", of.conv(x, 6, square(3, 1, 1), 0.6));
    const int pooled = of.max_pool(early, square(2, 1, 1));
    x = of.point("gelu_tanh", of.affine(of.point("clamp", of.affine(early))));
    const int acted = of.point("relu", of.conv(x, 6, square(3, 1, 1), 0.6));
    x = of.join("add", of.join("add", acted, x), x);
    const int both = of.join("add", x, x);
    const int flat = of.flatten(both);
    const int means = of.mean(pooled);
    const int head = of.point("relu", of.affine(of.linear(of.flatten(means), 9, 0.9)));
    const int dense = of.point("silu", of.linear(flat, 4, 0.2));
    of.output({flat, head, both, means, dense, early});
    check(of, "every step of batch " + std::to_string(batch));
  }
  for (int64_t batch : {3, 20}) test_plain(batch);
}

// A shortcut that is taken twice must not be written over the first time.
void test_long_shortcut() {
  ImageCase of(380);
  const int given = of.input({2, 4, 12, 12});
  const int x = of.conv(given, 9, square(3, 1, 1), 0.5);
  const int beside = of.conv(given, 9, square(3, 1, 1), 0.5);
  const int y = of.join("add", of.conv(beside, 9, square(3, 1, 1), 0.5), x);
  const int z = of.join("add", of.conv(y, 9, square(3, 1, 1), 0.5), x);
  of.output({of.join("mul", of.conv(z, 9, square(3, 1, 1), 0.5), y)});
  check(of, "long shortcut");
}

// A tensor that a padded convolution, a pooling and an unpadded one read: different surroundings.
void test_surroundings() {
  for (int64_t batch : {1, 5}) {
    ImageCase of(400);
    const int x = of.input({batch, 5, 15, 11});
    const int t = of.point("relu", of.conv(x, 7, square(3, 1, 1), 0.5));
    const int u = of.conv(x, 7, square(3, 1, 0), 0.5);
    const int negative = of.conv(t, 7, square(1, 1, 0), 1.0);
    of.output({of.conv(t, 4, square(5, 1, 2), 0.5), of.max_pool(negative, square(3, 2, 1)),
               of.conv(negative, 4, square(3, 2, 1), 0.5), of.conv(u, 4, square(3, 1, 0), 0.5),
               of.conv(u, 4, square(1, 3, 3), 0.5), of.max_pool(negative, square(5, 5, 2))});
    check(of, "surroundings");
  }
}

// What is not finite reaches exactly the numbers that use it.
void test_not_finite() {
  for (double special : {double(INFINITY), -double(INFINITY), std::nan("")}) {
    for (int64_t batch : {1, 4, 16}) {
      ImageCase of(500);
      const int x = of.input({batch, 3, 13, 14});
      const int64_t numbers = 3 * 13 * 14;
      for (int64_t i : {int64_t{0}, numbers - 1, int64_t{200}, batch * numbers - 20}) {
        of.values[x].values[i] = special;
      }
      const int t = of.point("relu", of.conv(x, 9, square(3, 1, 1), 0.2));
      const int pooled = of.max_pool(t, square(3, 2, 1));
      of.output({t, of.conv(pooled, 8, square(3, 2, 1), 0.1), of.mean(pooled)});
      check(of, "not finite");
    }
  }
}

void test_refusals() {
  ImageCase of(600);
  const int x = of.input({2, 3, 8, 8});
  of.output({of.conv(x, 4, square(5, 1, 0), 0.5)});
  std::string error;
  const auto chain = of.chain("generic", error);
  Held in(of, of.inputs, true), out(of, of.outputs, false);
  const auto run = [&](const std::function<void(rarefy_tensor&, rarefy_tensor&)>& change) {
    rarefy_tensor a = in.tensors[0], b = out.tensors[0];
    change(a, b);
    return chain->run(&a, 1, &b, 1, 1);
  };
  using T = rarefy_tensor;
  expect(run([](T&, T&) {}) == rarefy::kDone, "what fits runs");
  expect(run([](T& a, T&) { a.size[1] = 4; }) == rarefy::kWrongShape, "other channels");
  expect(run([](T& a, T&) { a.size[2] = 4; }) == rarefy::kWrongShape, "below the window");
  expect(run([](T& a, T&) { a.rank = 3; }) == rarefy::kWrongShape, "other rank");
  expect(run([](T& a, T&) { a.size[0] = -1; }) == rarefy::kWrongShape, "negative size");
  expect(run([](T&, T& b) { b.size[3] = 5; }) == rarefy::kWrongShape, "other output");
  expect(run([](T& a, T&) { a.data = nullptr; }) == rarefy::kWrongShape, "no data");
  expect(run([](T& a, T& b) { a.size[0] = b.size[0] = 0; }) == rarefy::kDone, "no images");
  const int status = chain->run(in.tensors.data(), 1, out.tensors.data(), 0, 1);
  expect(status == rarefy::kWrongCount, "other count");
  expect(of.chain("no set", error) == nullptr && !error.empty(), "unknown set");
  ran += 10;
}

// Ten sizes through one chain, twice, and several callers at once.
void test_many_callers() {
  ImageCase of(700);
  int x = of.input({5, 3, 24, 20});
  x = of.point("relu", of.conv(x, 16, square(3, 1, 1), 0.3));
  of.output({of.conv(x, 16, square(3, 2, 1), 0.3)});
  std::string error;
  const auto chain = of.chain(rarefy_set(0), error);
  chain->work_of_thread = 0;
  Held in(of, of.inputs, true);
  std::vector<std::unique_ptr<Held>> outputs;
  for (int i = 0; i < 8; ++i) outputs.push_back(std::make_unique<Held>(of, of.outputs, false));
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      rarefy_tensor* const to = outputs[i]->tensors.data();
      for (int k = 0; k < 5; ++k) chain->run(in.tensors.data(), 1, to, 1, 1 + i % 3);
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (int i = 0; i < 8; ++i) {
    compare(of, *outputs[i], "callers");
    expect(same_bits(of, *outputs[0], *outputs[i]), "callers: other bits");
  }
  for (int round = 0; round < 2; ++round) {
    for (int64_t side = 1; side <= 10; ++side) {
      const int64_t half = (side + 1) / 2;
      std::vector<float> image(3 * side * side, 1.f), result(16 * half * half);
      rarefy_tensor a = {image.data(), 4, {1, 3, side, side}};
      rarefy_tensor b = {result.data(), 4, {1, 16, half, half}};
      expect(chain->run(&a, 1, &b, 1, 1) == rarefy::kDone, "many sizes");
    }
  }
  ran += 8;
}

}  // namespace

int main() {
  test_windows();
  test_unlike_sides();
  test_densities();
  test_nets();
  test_large();
  test_every_step();
  test_long_shortcut();
  test_surroundings();
  test_not_finite();
  test_refusals();
  test_many_callers();
  expect(ran > 0, "nothing ran");
  std::printf("%d image runs, %d failures\n", ran, cases::failures);
  return cases::failures != 0;
}
