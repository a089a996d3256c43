// The stored weight and its product with lines of 16 floats, against plain loops in double.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "dispatch.h"
#include "runtime/product.h"
#include "runtime/tiles.h"

namespace {

using rarefy::Product;
using rarefy::Tiles;

int failures = 0;
std::mt19937 generator(1);

void check(bool right, const std::string& what) {
  if (right) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

struct Dense {
  int64_t rows, columns;
  std::vector<float> values;

  Dense(int64_t r, int64_t c, double density) : rows(r), columns(c), values(r * c) {
    std::uniform_real_distribution<double> chance(0, 1);
    std::normal_distribution<float> normal;
    for (float& value : values) value = chance(generator) < density ? normal(generator) : 0;
  }
};

std::vector<uint64_t> pack(const Dense& dense, int32_t tile, int threads, int64_t& size) {
  size = rarefy_pack_size(dense.values.data(), nullptr, dense.rows, dense.columns, tile, threads);
  std::vector<uint64_t> bytes((size + 7) / 8);
  const int status = rarefy_pack(dense.values.data(), nullptr, dense.rows, dense.columns, tile,
                                 threads, reinterpret_cast<uint8_t*>(bytes.data()), size);
  check(status == 0, "rarefy_pack refuses its own size");
  return bytes;
}

Tiles view(const std::vector<uint64_t>& bytes, int64_t size) {
  Tiles tiles;
  std::string error;
  check(Tiles::view(reinterpret_cast<const uint8_t*>(bytes.data()), size, tiles, error), error);
  return tiles;
}

void test_packing(const Dense& dense, int32_t tile) {
  int64_t size = 0, again = 0;
  const auto bytes = pack(dense, tile, 1, size);
  check(bytes == pack(dense, tile, 3, again), "the bytes depend on the threads");
  const Tiles tiles = view(bytes, size);
  std::vector<float> back(dense.values.size());
  for (int64_t block = 0; block < tiles.blocks; ++block) {
    int64_t before = -1;
    tiles.each(block, [&](int row, int64_t column, float value) {
      check(column * 32 + row > before, "entries of a block are out of order");
      before = column * 32 + row;
      back[(tiles.first_row[block] + row) * dense.columns + column] = value;
    });
  }
  check(back == dense.values, "packing loses or moves a weight");
}

// Lines of x and y in a scattered order, so that no layout is taken for granted.
std::vector<int32_t> scattered(int64_t count, bool ordered) {
  std::vector<int32_t> offsets(count);
  for (int64_t i = 0; i < count; ++i) offsets[i] = static_cast<int32_t>(64 * i);
  if (!ordered) std::shuffle(offsets.begin(), offsets.end(), generator);
  return offsets;
}

struct Lines {
  std::vector<float> memory;
  float* start;
  explicit Lines(int64_t lines) : memory(16 * lines + 16) {
    start = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64 / 4;
  }
};

void test_product(const Product& product, const Dense& dense, const std::vector<int32_t>& x_offset,
                  const std::vector<int32_t>& y_offset, int groups, bool relu, bool with_bias) {
  const float inf = std::numeric_limits<float>::infinity();
  std::normal_distribution<float> normal;
  Lines x(groups * dense.columns + 1), y(groups * dense.rows + 1);
  for (int64_t i = 0; i < 16 * groups * dense.columns; ++i) x.start[i] = normal(generator);
  if (dense.columns > 1) x.start[x_offset[1] / 4 + 3] = inf;
  if (dense.columns > 2) x.start[x_offset[2] / 4 + 5] = std::nanf("");
  for (int64_t i = 0; i < 16 * (groups * dense.rows + 1); ++i) y.start[i] = -7;
  std::vector<float> bias(dense.rows);
  for (float& value : bias) value = with_bias ? normal(generator) : 0;
  const int middle = product.blocks / 2;
  for (const auto& [from, to] : {std::pair(0, middle), std::pair(middle, product.blocks)}) {
    product.run(from, to, x.start, 16 * dense.columns, y.start, 16 * dense.rows, groups,
                with_bias ? bias.data() : nullptr, relu);
  }
  int wrong = 0;
  for (int group = 0; group < groups; ++group) {
    for (int64_t row = 0; row < dense.rows; ++row) {
      for (int lane = 0; lane < 16; ++lane) {
        double sum = bias[row], size = std::fabs(bias[row]) + 1e-6;
        for (int64_t column = 0; column < dense.columns; ++column) {
          const float weight = dense.values[row * dense.columns + column];
          if (weight == 0) continue;
          const float in = x.start[16 * dense.columns * group + x_offset[column] / 4 + lane];
          sum += static_cast<double>(weight) * in;
          size += std::fabs(static_cast<double>(weight) * in);
        }
        if (relu && sum < 0) sum = 0;
        const float got = y.start[16 * dense.rows * group + y_offset[row] / 4 + lane];
        const bool right = std::isnan(sum)   ? std::isnan(got)
                           : std::isinf(sum) ? got == static_cast<float>(sum)
                                             : std::fabs(got - sum) <= 1e-5 * size;
        wrong += !right;
      }
    }
  }
  check(wrong == 0, std::string(product.kind()) + " product differs from plain loops: " +
                        std::to_string(dense.rows) + "x" + std::to_string(dense.columns));
  check(y.start[16 * groups * dense.rows] == -7, "a product writes past its lines");
}

void test_products(const Dense& dense, int32_t tile, bool ordered) {
  int64_t size = 0;
  const auto bytes = pack(dense, tile, 1, size);
  const Tiles tiles = view(bytes, size);
  const auto x_offset = scattered(dense.columns, ordered);
  const auto y_offset = scattered(dense.rows, ordered);
  std::vector<std::unique_ptr<Product>> products;
  std::string error;
  products.push_back(Product::make(tiles, rarefy_set(0), x_offset.data(), y_offset.data(), error));
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
    products.push_back(
        Product::interpreted(tiles, set, x_offset.data(), y_offset.data(), error));
  }
  for (const auto& product : products) {
    check(product != nullptr, "no product: " + error);
    if (!product) continue;
    for (int groups : {1, 2, 5, 14}) {
      test_product(*product, dense, x_offset, y_offset, groups, groups % 2 == 0, groups > 1);
    }
  }
}

// Whatever bytes come: refused, or safe to multiply with.
void test_hostile() {
  const Dense dense(45, 70, 0.2);
  int64_t size = 0;
  const auto bytes = pack(dense, 32, 1, size);
  const auto x_offset = scattered(70, true), y_offset = scattered(45, true);
  Lines x(70), y(45);
  std::uniform_int_distribution<int64_t> place(0, size - 1);
  std::uniform_int_distribution<int> value(0, 255);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    auto copy = bytes;
    const int changes = 1 + i % 3;
    for (int c = 0; c < changes; ++c) {
      const int64_t at = i % 2 ? place(generator) : place(generator) % 320;
      reinterpret_cast<uint8_t*>(copy.data())[at] = static_cast<uint8_t>(value(generator));
    }
    Tiles tiles;
    std::string error;
    if (!Tiles::view(reinterpret_cast<const uint8_t*>(copy.data()), size, tiles, error)) continue;
    ++accepted;
    if (tiles.rows != 45 || tiles.columns != 70) continue;  // sound, but not what a caller wants
    auto product = Product::make(tiles, rarefy_set(0), x_offset.data(), y_offset.data(), error);
    if (product) product->run(0, product->blocks, x.start, 0, y.start, 0, 1, nullptr, false);
  }
  check(accepted > 0, "no mutation was harmless, so none was run");
  Tiles tiles;
  std::string error;
  for (int64_t cut = 0; cut < size; cut += 8) {
    check(!Tiles::view(reinterpret_cast<const uint8_t*>(bytes.data()), cut, tiles, error),
          "a cut section is accepted");
  }
}

}  // namespace

int main() {
  for (const int64_t rows : {1, 2, 15, 16, 30, 31, 61, 97}) {
    for (const int64_t columns : {1, 3, 16, 63, 64, 65, 129, 400}) {
      for (const double density : {0.0, 0.01, 0.1, 0.5, 1.0}) {
        const Dense dense(rows, columns, density);
        test_packing(dense, columns % 2 ? 32 : 256);
        if (rows * columns < 13000) test_products(dense, 64, columns % 2 == 0);
      }
    }
  }
  test_products(Dense(300, 1100, 0.05), 512, true);
  test_packing(Dense(0, 5, 0.5), 256);
  test_packing(Dense(5, 0, 0.5), 256);
  test_products(Dense(7, 0, 1), 256, true);
  test_hostile();
  std::printf("%s: generated code %s\n", failures ? "FAILED" : "passed",
              rarefy::can_emit() ? "ran" : "is not possible here");
  return failures != 0;
}
