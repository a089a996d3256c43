// Sparse matrices and inputs for the C++ tests, and what a plain loop in double makes of them.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/tiles.h"

namespace cases {

inline int failures = 0;

inline void expect(bool good, const std::string& what) {
  if (good) return;
  if (++failures <= 20) std::printf("FAILED %s\n", what.c_str());
}

enum class Shape { even, skewed, holes, column, tall, flat };

// A dense matrix, which of its places are kept, and the section of both.
struct Weight {
  int64_t rows, columns;
  std::vector<float> values;
  std::vector<uint8_t> mask;
  std::vector<int64_t> section;  // 8-byte aligned
  rarefy::Tiles tiles;

  // Kept are about `density` of all places: alike everywhere, with log-normal row counts, with
  // empty rows and columns, or in blocks of 16 x 1, 4 x 1 or 1 x 4. Some kept values are 0.
  Weight(int64_t rows_, int64_t columns_, double density, Shape shape, std::mt19937& random)
      : rows(rows_), columns(columns_), values(rows_ * columns_), mask(rows_ * columns_) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    const int64_t height = shape == Shape::column ? 16 : shape == Shape::tall ? 4 : 1;
    const int64_t width = shape == Shape::flat ? 4 : 1;
    for (int64_t top = 0; top < rows; top += height) {
      double share = density;
      if (shape == Shape::skewed) share = std::fmin(1, density * std::exp(normal(random) - 0.5));
      if (shape == Shape::holes && top % 3 == 1) share = 0;
      for (int64_t left = 0; left < columns; left += width) {
        if (uniform(random) >= share || (shape == Shape::holes && left % 5 == 2)) continue;
        for (int64_t r = top; r < std::min(rows, top + height); ++r) {
          for (int64_t c = left; c < std::min(columns, left + width); ++c) {
            mask[r * columns + c] = 1;
            values[r * columns + c] = random() % 50 ? static_cast<float>(normal(random)) : 0.0f;
          }
        }
      }
    }
    pack();
  }

  void pack() {
    const int32_t tile = 64;
    const int64_t size =
        rarefy_pack_size(values.data(), mask.data(), rows, columns, tile, 1);
    section.assign((size + 7) / 8, 0);
    const auto bytes = reinterpret_cast<uint8_t*>(section.data());
    std::string error;
    expect(!rarefy_pack(values.data(), mask.data(), rows, columns, tile, 1, bytes, size) &&
               rarefy::Tiles::view(bytes, size, tiles, error),
           "packing: " + error);
  }
  Weight(const Weight&) = delete;
};

// Memory of exactly `size` floats that begins at an odd multiple of 4 bytes.
struct Misaligned {
  explicit Misaligned(int64_t size) : memory(new float[size + 1]) {}
  float* data() const { return memory.get() + 1; }
  std::unique_ptr<float[]> memory;
};

enum class Numbers { plain, denormal, broken };

// Ordinary numbers, denormals among them, or a few inf and NaN among them.
inline void fill(float* x, int64_t size, Numbers numbers, std::mt19937& random) {
  std::normal_distribution<float> normal;
  const float infinity = std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < size; ++i) {
    x[i] = normal(random);
    if (numbers == Numbers::denormal && random() % 2) x[i] *= 1e-40f;
    if (numbers != Numbers::broken || random() % 40) continue;
    const float odd[] = {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()};
    x[i] = odd[random() % 3];
  }
}

// Whether `found` is the sum that a plain loop in double makes, up to the rounding of floats.
struct Sum {
  double value = 0, size = 0;
  void add(double weight, double x) {
    value += weight * x;
    size += std::fabs(weight * x);
  }
  bool matches(float found, double bias, bool relu) const {
    double wanted = value + bias;
    if (relu && wanted < 0) wanted = 0;
    if (std::isnan(wanted)) return std::isnan(found);
    if (std::isinf(wanted)) return found == wanted;
    return std::fabs(found - wanted) <= 2e-6 * (size + std::fabs(bias)) + 1e-42;
  }
};

}  // namespace cases
