// Nets whose steps and weights are drawn, as a program with its sections. Part of test_chain.cpp.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "runtime/abi.h"
#include "runtime/tiles.h"
#include "runtime/window.h"

namespace {

int failures = 0;
std::mt19937 generator(1);

void check(bool right, const std::string& what) {
  if (right) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

float drawn() { return std::normal_distribution<float>()(generator); }
int64_t below(int64_t end) { return static_cast<int64_t>(generator() % end); }

// A program with its sections, dense and packed.
struct Net {
  std::string text = "rarefy 1\n";
  std::vector<std::vector<float>> dense;
  std::vector<std::vector<uint8_t>> packed;
  std::vector<std::string> kinds;
  std::vector<int64_t> features;  // of the registers
  bool low = false;               // most weights are integers of 16 bits

  int floats(int64_t count, float around) {
    std::vector<float> values(count);
    for (float& value : values) value = around + 0.5f * drawn();
    std::vector<uint8_t> bytes(4 * count);
    if (count) std::memcpy(bytes.data(), values.data(), bytes.size());
    return add("floats", values, bytes);
  }

  int weight(int64_t rows, int64_t columns, double density) {
    std::vector<float> values(rows * columns);
    const double size = 1 / std::sqrt(std::max(1.0, density * columns));
    for (float& value : values) value = below(1000) < 1000 * density ? float(size * drawn()) : 0;
    if (low && below(4)) {
      std::vector<uint8_t> bytes(
          rarefy::quantized_size(rarefy::kW16A16, rows, columns, rows * columns));
      const int64_t written =
          rarefy_quantize(values.data(), nullptr, rows, columns, rarefy::kW16A16, rarefy::kOwn, 0,
                          bytes.data(), static_cast<int64_t>(bytes.size()));
      check(written > 0, "a weight is rounded");
      bytes.resize(std::max<int64_t>(written, 0));
      return add("quantized", values, bytes);
    }
    const int64_t size_of = rarefy_pack_size(values.data(), nullptr, rows, columns, 512, 1);
    check(size_of > 0, "a weight has a size");
    std::vector<uint64_t> bytes(size_of / 8 + 1);  // aligned
    auto* const begin = reinterpret_cast<uint8_t*>(bytes.data());
    rarefy_pack(values.data(), nullptr, rows, columns, 512, 1, begin, size_of);
    return add("tiles", values, std::vector<uint8_t>(begin, begin + size_of));
  }

  int add(const char* kind, std::vector<float> values, std::vector<uint8_t> bytes) {
    dense.push_back(std::move(values));
    packed.push_back(std::move(bytes));
    kinds.push_back(kind);
    return static_cast<int>(kinds.size()) - 1;
  }

  // A new register, written by `word` with these operands and options.
  int step(const std::string& word, int64_t size, const std::string& rest) {
    const int out = static_cast<int>(features.size());
    text += word + " r" + std::to_string(out) + " " + rest + "\n";
    features.push_back(size);
    return out;
  }

  int linear(int in, int64_t rows, double density, bool bias) {
    const std::string sizes = std::to_string(rows) + "x" + std::to_string(features[in]);
    const int w = weight(rows, features[in], density);
    const std::string b = bias ? std::to_string(floats(rows, 0)) : "-";
    return step("linear", rows,
                "r" + std::to_string(in) + " w=" + std::to_string(w) + ":" + sizes + " b=" + b);
  }

  std::vector<uint8_t> container() const {
    std::vector<const char*> names;
    std::vector<const uint8_t*> data;
    std::vector<int64_t> lengths;
    for (size_t i = 0; i < kinds.size(); ++i) {
      names.push_back(kinds[i].c_str());
      data.push_back(packed[i].data());
      lengths.push_back(static_cast<int64_t>(packed[i].size()));
    }
    const int64_t count = static_cast<int64_t>(kinds.size());
    std::vector<uint8_t> bytes(rarefy_container_size(lengths.data(), count));
    rarefy_container_write(names.data(), data.data(), lengths.data(), count, bytes.data());
    return bytes;
  }
};

// Some steps in any order, with every register that fits as an operand.
Net random_net(int steps, int rank, bool low) {
  const int64_t sizes[] = {1, 2, 7, 13, 16, 17, 31, 48, 61, 130};
  Net net;
  net.low = low;
  const int inputs = 1 + static_cast<int>(below(2));
  const int64_t first = sizes[below(10)];
  for (int i = 0; i < inputs; ++i) net.step("input", first, "rank=" + std::to_string(rank));
  const std::string words[] = {"relu", "gelu", "gelu_tanh", "silu", "add", "mul", "clamp"};
  const double densities[] = {0, 0.1, 0.5, 1};
  for (int s = 0; s < steps; ++s) {
    const int count = static_cast<int>(net.features.size());
    const int in = below(3) ? count - 1 : static_cast<int>(below(count));
    const std::string a = "r" + std::to_string(in);
    const int64_t size = net.features[in];
    const int64_t choice = below(12);
    if (choice < 4) {
      net.linear(in, sizes[below(10)], densities[below(4)], below(2));
    } else if (choice == 4) {
      const std::string p = std::to_string(net.floats(2 * size, 1));
      net.step("norm", size, a + " p=" + p + ":" + std::to_string(size) + " eps=1e-05");
    } else if (choice == 5 && rank == 2) {
      const std::string p = std::to_string(net.floats(2 * size, 0));
      net.step("affine", size, a + " s=" + p + ":" + std::to_string(size));
    } else {
      const std::string word = words[below(7)];
      std::vector<int> like;
      for (int r = 0; r < count; ++r) {
        if (net.features[r] == size) like.push_back(r);
      }
      std::string rest = a;
      if (word == "add" || word == "mul") rest += " r" + std::to_string(like[below(like.size())]);
      if (word == "clamp") rest += " lo=-0.5 hi=" + std::string(below(2) ? "inf" : "0.75");
      net.step(word, size, rest);
    }
  }
  const int last = static_cast<int>(net.features.size()) - 1;
  net.text += "output r" + std::to_string(last) + "\n";
  if (below(2)) net.text += "output r" + std::to_string(below(last + 1)) + "\n";
  return net;
}

}  // namespace
