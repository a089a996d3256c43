// Topologies, and the operations on slots by every kernel and by generated code, against plain
// loops in double.
#include <algorithm>
#include <memory>

#include "dispatch.h"
#include "emit/gradient_code.h"
#include "emit/slot_code.h"
#include "runtime/product.h"
#include "runtime/slot_sweep.h"
#include "runtime/slots_arrange.h"
#include "slots_case.h"
#include "sparse_case.h"

namespace {

using cases::expect;
using cases::Sparse;
using rarefy::LinePlaces;
using rarefy::SlotGradient;
using rarefy::SlotProduct;

std::mt19937 generator(7);

struct Lines {
  std::vector<float> memory;
  float* start;
  explicit Lines(int64_t lines) : memory(16 * lines + 16) {
    start = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64 / 4;
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < 16 * lines; ++i) start[i] = normal(generator);
  }
};

// Places of lines in a scattered order, `apart` lines from one to the next.
std::vector<int32_t> scattered(int64_t count, int64_t apart) {
  std::vector<int32_t> places(count);
  for (int64_t i = 0; i < count; ++i) places[i] = static_cast<int32_t>(64 * apart * i);
  std::shuffle(places.begin(), places.end(), generator);
  return places;
}

struct Layout {
  std::vector<int32_t> columns, rows;
  LinePlaces places() const { return {columns.data(), rows.data()}; }
};

void test_product(const SlotProduct& product, const Sparse& sparse, const Layout& layout,
                  bool turned, bool adds, int groups, const std::string& name) {
  const int64_t read = turned ? sparse.rows : sparse.columns;
  const int64_t written = turned ? sparse.columns : sparse.rows;
  const auto& from_places = turned ? layout.rows : layout.columns;
  const auto& to_places = turned ? layout.columns : layout.rows;
  Lines from(groups * read), to(groups * written + 1);
  const std::vector<float> before = to.memory;
  const float* const old = before.data() + (to.start - to.memory.data());
  std::vector<int64_t> from_at(groups), to_at(groups);
  // Where they add, positions do so to the same lines.
  for (int g = 0; g < groups; ++g) {
    from_at[g] = 16 * read * g;
    to_at[g] = 16 * (adds ? g : written * g);
  }
  std::vector<float> bias(written);
  for (float& each : bias) each = groups > 1 && !adds ? 0.5f : 0;
  const int middle = product.blocks / 2;
  for (const auto& [first, last] : {std::pair(0, middle), std::pair(middle, product.blocks)}) {
    product.run(first, last, sparse.values.data(), from.start, from_at.data(), to.start,
                to_at.data(), groups, groups > 1 ? bias.data() : nullptr);
  }
  std::vector<cases::Sum> sums(to.memory.size());
  std::vector<int64_t> row_of(to.memory.size(), -1);
  for (int g = 0; g < groups; ++g) {
    for (int64_t w = 0; w < written; ++w) {
      for (int lane = 0; lane < 16; ++lane) {
        const int64_t at = to_at[g] + to_places[w] / 4 + lane;
        if (adds && row_of[at] < 0) sums[at].add(1, old[at]);
        row_of[at] = w;
        for (int64_t r = 0; r < read; ++r) {
          const int64_t place = turned ? r * sparse.columns + w : w * sparse.columns + r;
          sums[at].add(sparse.dense[place], from.start[from_at[g] + from_places[r] / 4 + lane]);
        }
      }
    }
  }
  int wrong = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (row_of[i] >= 0) wrong += !sums[i].matches(to.start[i], adds ? 0 : bias[row_of[i]], false);
  }
  expect(!wrong, name + ": a product of slots differs from plain loops");
  expect(to.start[16 * groups * written] == old[16 * groups * written],
         name + ": a product of slots writes past its lines");
}

void test_gradient(const SlotGradient& gradient, const Sparse& sparse, const Layout& layout,
                   int groups, const std::string& name) {
  Lines x(sparse.columns * groups), y(sparse.rows * groups);
  std::vector<float> found(sparse.values.size() + 1, 2.0f);
  const int blocks = sparse.slots.row_blocks(), middle = blocks / 2;
  for (const auto& [first, last] : {std::pair(0, middle), std::pair(middle, blocks)}) {
    gradient.run(first, last, x.start, 16, y.start, 16, groups, found.data());
  }
  int wrong = 0;
  for (size_t s = 0; s < sparse.places.size(); ++s) {
    cases::Sum sum;
    const float* const xs = x.start + layout.columns[sparse.places[s] % sparse.columns] / 4;
    const float* const ys = y.start + layout.rows[sparse.places[s] / sparse.columns] / 4;
    for (int i = 0; i < 16 * groups; ++i) sum.add(xs[i], ys[i]);
    wrong += !sum.matches(found[s], 2, false);
  }
  for (size_t s = sparse.places.size(); s < found.size(); ++s) wrong += found[s] != 2;
  expect(!wrong, name + ": a gradient of slots differs from plain loops");
}

// Places in any order give the words that were laid in order.
void test_arrange(const Sparse& sparse) {
  const rarefy::SlotGrid grid{sparse.rows, sparse.columns, 30, 30};
  std::vector<int64_t> places = sparse.places;
  std::shuffle(places.begin(), places.end(), generator);
  const auto count = static_cast<int64_t>(places.size());
  std::vector<int32_t> starts(grid.row_blocks() * grid.column_blocks() + 1);
  std::vector<uint16_t> positions(count);
  std::vector<int64_t> order(count);
  expect(rarefy::arrange_slots(grid, places.data(), count, starts.data(), positions.data(),
                               order.data()),
         "places are not arranged");
  bool right = starts == sparse.slots.start && positions == sparse.slots.positions;
  for (int64_t s = 0; s < count; ++s) right &= places[order[s]] == sparse.places[s];
  expect(right, "places are arranged in another order");
  if (count < 2) return;
  places[0] = places[1];
  expect(!rarefy::arrange_slots(grid, places.data(), count, starts.data(), positions.data(),
                                order.data()),
         "a place that is there twice is accepted");
}

void test_matrix(Sparse& sparse, int groups) {
  const std::string shape = std::to_string(sparse.rows) + "x" + std::to_string(sparse.columns);
  std::string error;
  expect(rarefy::Slots::read(sparse.words.data(), static_cast<int64_t>(sparse.words.size()),
                             sparse.slots, error),
         shape + ": " + error);
  test_arrange(sparse);
  const Layout near{scattered(sparse.columns, 1), scattered(sparse.rows, 1)};
  const Layout apart{scattered(sparse.columns, groups), scattered(sparse.rows, groups)};
  for (const bool turned : {false, true}) {
    for (const bool adds : {false, true}) {
      if (rarefy::can_emit()) {
        const auto code = rarefy::SlotCode::make(sparse.slots, near.places(), turned, adds);
        expect(code != nullptr, "no code");
        if (code) test_product(*code, sparse, near, turned, adds, groups, shape + " code");
      }
      for (int i = 0; const char* set = rarefy_set(i); ++i) {
        const auto swept = rarefy::interpreted_product(sparse.slots, near.places(), turned, adds,
                                                       set, error);
        expect(swept != nullptr, error);
        if (swept) test_product(*swept, sparse, near, turned, adds, groups, shape + " " + set);
      }
    }
  }
  if (rarefy::can_emit() && !std::strncmp(rarefy_set(0), "v4", 2)) {
    const auto code = rarefy::GradientCode::make(sparse.slots, apart.places());
    expect(code != nullptr, "no code");
    if (code) test_gradient(*code, sparse, apart, groups, shape + " code");
  }
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
    const auto made = rarefy::interpreted_gradient(sparse.slots, apart.places(), set, error);
    expect(made != nullptr, error);
    if (made) test_gradient(*made, sparse, apart, groups, shape + " " + set);
  }
}

// Whatever words come: refused, or safe to run.
void test_hostile() {
  Sparse sparse(45, 70, 0.2, false, generator, 3);
  const Layout near{scattered(70, 1), scattered(45, 1)};
  Lines x(70), y(45);
  const int64_t at[1] = {0};
  const auto size = static_cast<int64_t>(sparse.words.size());
  int accepted = 0;
  std::string error;
  for (int i = 0; i < 20000; ++i) {
    auto words = sparse.words;
    for (int c = 0; c < 1 + i % 2; ++c) {
      auto* const bytes = reinterpret_cast<uint8_t*>(words.data());
      bytes[generator() % (i % 3 ? 4 * size : 100)] = static_cast<uint8_t>(generator());
    }
    rarefy::Slots slots;
    if (!rarefy::Slots::read(words.data(), size, slots, error)) continue;
    ++accepted;
    const auto capacity = static_cast<int64_t>(sparse.values.size());
    if (slots.rows != 45 || slots.columns != 70 || slots.capacity != capacity) {
      continue;  // sound, but not what a caller wants
    }
    auto values = sparse.values;
    const char* const set = rarefy_set(0);
    const auto product = SlotProduct::make(slots, near.places(), i % 2, false, true, set, error);
    const auto gradient = SlotGradient::make(slots, near.places(), true, set, error);
    if (i % 2) {
      product->run(0, product->blocks, values.data(), y.start, at, x.start, at, 1, nullptr);
    } else {
      product->run(0, product->blocks, values.data(), x.start, at, y.start, at, 1, nullptr);
    }
    gradient->run(0, slots.row_blocks(), x.start, 0, y.start, 0, 1, values.data());
  }
  expect(accepted > 0, "no mutation was harmless, so none was run");
  rarefy::Slots slots;
  for (int64_t cut = 0; cut < size; ++cut) {
    const std::vector<int32_t> shorter(sparse.words.begin(), sparse.words.begin() + cut);
    expect(!rarefy::Slots::read(shorter.data(), cut, slots, error), "a cut topology is accepted");
  }
}

}  // namespace

int main() {
  for (const int64_t rows : {1, 7, 30, 31, 97}) {
    for (const int64_t columns : {1, 29, 61, 130, 400}) {
      for (const double density : {0.0, 0.05, 0.3, 1.0}) {
        Sparse sparse(rows, columns, density, rows % 2, generator, columns % 3);
        test_matrix(sparse, 1 + static_cast<int>(rows + columns) % 5);
      }
    }
  }
  Sparse wide(40, 1200, 0.1, false, generator), tall(1200, 40, 0.1, false, generator);
  test_matrix(wide, 13);
  test_matrix(tall, 2);
  test_hostile();
  std::printf("%s\n", cases::failures ? "FAILED" : "passed");
  return cases::failures != 0;
}
