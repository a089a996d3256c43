// Matrices whose values stand in slots, for the C++ tests.
#pragma once
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "runtime/slots.h"

namespace cases {

// Rows x columns, about `density` of the places kept; some rows and columns may be empty.
struct Sparse {
  int64_t rows, columns;
  std::vector<float> dense;          // 0 where nothing is kept
  std::vector<int64_t> places;       // flat index of every slot
  std::vector<float> values;         // of every slot, and the padding's
  std::vector<int32_t> words;        // the topology
  rarefy::Slots slots;

  Sparse(int64_t rows_, int64_t columns_, double density, bool holes, std::mt19937& random,
         int64_t spare = 0)
      : rows(rows_), columns(columns_), dense(rows_ * columns_) {
    std::uniform_real_distribution<double> uniform;
    std::vector<uint8_t> kept(rows * columns);
    for (int64_t i = 0; i < rows * columns; ++i) {
      const bool hole = holes && (i / columns % 3 == 1 || i % columns % 5 == 2);
      kept[i] = !hole && uniform(random) < density;
    }
    lay(kept, spare, random);
  }

 private:
  static int64_t blocks(int64_t size) {
    return (size + rarefy::kSlotsBlock - 1) / rarefy::kSlotsBlock;
  }

  void lay(const std::vector<uint8_t>& kept, int64_t spare, std::mt19937& random) {
    const int64_t down = blocks(rows), across = blocks(columns);
    std::vector<int32_t> start{0};
    std::vector<uint16_t> positions;
    std::normal_distribution<float> normal;
    for (int64_t r = 0; r < down; ++r) {
      for (int64_t c = 0; c < across; ++c) {
        const int64_t top = rows * r / down, left = columns * c / across;
        for (int64_t i = top; i < rows * (r + 1) / down; ++i) {
          for (int64_t j = left; j < columns * (c + 1) / across; ++j) {
            if (!kept[i * columns + j]) continue;
            positions.push_back(static_cast<uint16_t>((i - top) * 32 + j - left));
            places.push_back(i * columns + j);
            values.push_back(normal(random));
            dense[places.back()] = values.back();
          }
        }
        start.push_back(static_cast<int32_t>(positions.size()));
      }
    }
    const auto entries = static_cast<int32_t>(positions.size());
    const auto capacity = static_cast<int32_t>(entries + spare);
    values.resize(capacity);
    positions.resize((capacity + 1) / 2 * 2);
    words = {1,        static_cast<int32_t>(rows), static_cast<int32_t>(columns), 30, 30,
             capacity, entries,                    0};
    words.insert(words.end(), start.begin(), start.end());
    const size_t header = words.size();
    words.resize(header + positions.size() / 2);
    if (!positions.empty()) std::memcpy(&words[header], positions.data(), 2 * positions.size());
  }
};

}  // namespace cases
