// Stored weights of low precision: sums as large as they can be, and sections that someone damaged.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "dispatch.h"
#include "runtime/window.h"

namespace {

using namespace rarefy;

int failures = 0;
std::mt19937 generator(7);
const char* const kKinds[] = {"w8a8", "w8a16", "w16a16", "bf16", "f16"};

void check(bool right, const std::string& what) {
  if (right) return;
  if (++failures < 40) std::printf("FAILED: %s\n", what.c_str());
}

using Bytes = std::vector<uint8_t>;

Bytes section_of(int64_t rows, int64_t columns, const std::vector<float>& weight, int32_t kind) {
  Bytes out(quantized_size(kind, rows, columns, rows * columns));
  const int64_t size = rarefy_quantize(weight.data(), nullptr, rows, columns, kind, kOwn, 0,
                                       out.data(), static_cast<int64_t>(out.size()));
  check(size > 0, "a weight cannot be quantised");
  out.resize(std::max<int64_t>(size, 0));
  return out;
}

// The largest integers there are, on both sides: no sum may leave 32 bits.
void test_overflow() {
  const int64_t columns = 5000;
  std::vector<float> weight(2 * columns, 1.0f);
  for (int64_t i = 0; i < columns; ++i) weight[i] = i % 2 ? -1.0f : 1.0f;
  for (int32_t kind = 0; kind < kWindowKinds; ++kind) {
    const Bytes section = section_of(2, columns, weight, kind);
    std::string error;
    Quantized read;
    const auto size = static_cast<int64_t>(section.size());
    check(Quantized::read(section.data(), size, read, error), error);
    std::vector<float> x(2 * columns, 3.0f), y(4);
    for (int64_t i = 0; i < columns; ++i) x[i] = i % 2 ? -3.0f : 3.0f;
    for (int i = 0; rarefy_set(i); ++i) {
      char problem[200] = "";
      void* window = rarefy_window_new(section.data(), static_cast<int64_t>(section.size()),
                                       rarefy_set(i), "", 2, problem, sizeof problem);
      check(window, problem);
      if (!window) continue;
      rarefy_window_run(window, x.data(), 2, y.data(), nullptr, 0, 1);
      const double wanted = 3.0 * columns;
      const double far = std::fabs(y[0] / wanted - 1) + std::fabs(y[3] / wanted - 1);
      check(far < 0.03, std::string("a large sum is wrong: ") + kKinds[kind] + " " + rarefy_set(i));
      rarefy_window_free(window);
    }
  }
}

// Whatever the bytes: a section is refused, or runs inside its memory (the sanitizers watch).
void test_damaged() {
  std::vector<float> weight(19 * 45);
  for (float& value : weight) value = generator() % 5 ? 0 : static_cast<float>(generator() % 9) - 4;
  int refused = 0, ran = 0;
  for (int32_t kind = 0; kind < kWindowKinds; ++kind) {
    const Bytes good = section_of(19, 45, weight, kind);
    for (int turn = 0; turn < 800; ++turn) {
      Bytes bad = good;
      if (turn % 10 == 0) bad.resize(generator() % (good.size() + 1));
      for (unsigned flips = generator() % 4 + (turn % 10 != 0); flips && !bad.empty(); --flips) {
        const size_t end = turn % 3 ? bad.size() : std::min<size_t>(64, bad.size());
        const size_t at = generator() % end;
        bad[at] = static_cast<uint8_t>(generator());
      }
      const Bytes exact(bad);  // no spare bytes behind
      std::string error;
      const char* const set = rarefy_set(0);
      const auto window = Window::make(exact.data(), static_cast<int64_t>(exact.size()),
                                       {set, turn % 2 ? "narrow" : "wide", 2}, error);
      ++(window ? ran : refused);
      check(window || !error.empty(), "a section is refused without a word");
      if (!window || window->rows > 1000 || window->columns > 1000) continue;
      std::vector<float> x(3 * window->columns, 1), y(3 * window->rows);
      Bytes memory(window->prepared_bytes(3) + 64);
      window_product(*window, x.data(), window->columns, 3, y.data(), window->rows, nullptr, false,
                     memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 63), 1);
    }
  }
  check(refused > 100 && ran > 100, "damaged sections: all refused, or none");
}

void test_arguments() {
  const std::vector<float> weight(12, 1.0f);
  Bytes out(4096);
  const auto size = static_cast<int64_t>(out.size());
  const auto refused = [&](int32_t kind, int32_t tokens, float scale, int64_t room) {
    return -1 == rarefy_quantize(weight.data(), nullptr, 3, 4, kind, tokens, scale, out.data(),
                                 room);
  };
  check(refused(5, kOwn, 0, size), "kind 5");
  check(refused(kBf16, kCalibrated, 1, size), "bf16 has no scale of activations");
  check(refused(kW8A8, kCalibrated, 0, size), "a calibration without a scale");
  check(refused(kW8A8, kOwn, 0, 300), "too little room");
  const Bytes good = section_of(3, 4, weight, kW8A8);
  std::string error;
  const auto says = [&](const WindowWish& wish, const char* what) {
    const auto bytes = static_cast<int64_t>(good.size());
    return !Window::make(good.data(), bytes, wish, error) && error.find(what) != std::string::npos;
  };
  check(says({"generic", "other", 1}, "forms:"), "a form that does not exist");
  check(says({"none", "", 1}, "'none'"), "a set that does not exist");
  // Few bytes may not ask for much memory.
  Bytes wide = good;
  const int64_t columns = 1 << 30;
  std::memcpy(wide.data() + 8, &columns, 8);
  check(!Window::make(wide.data(), static_cast<int64_t>(wide.size()), {"generic", "", 1}, error),
        "a weight of 3 x 2^30 in a few bytes");
  check(!Window::make(nullptr, 0, {"generic", "", 1}, error), "no section");
}

}  // namespace

int main() {
  test_overflow();
  test_damaged();
  test_arguments();
  std::printf("%d failures\n", failures);
  return failures != 0;
}
