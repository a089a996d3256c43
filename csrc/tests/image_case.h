// Image programs for the C++ tests, with what plain loops in double make of them.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/image_chain.h"
#include "runtime/tiles.h"

namespace cases {

struct Numbers {
  std::vector<int64_t> size;
  std::vector<double> values;

  int64_t count() const {
    int64_t product = 1;
    for (int64_t side : size) product *= side;
    return product;
  }
};

// Writes a program step by step and runs each as a plain loop.
class ImageCase {
 public:
  explicit ImageCase(unsigned seed) : random_(seed) {}

  int input(std::vector<int64_t> size) {
    Numbers made;
    made.size = std::move(size);
    made.values.resize(made.count());
    for (double& value : made.values) value = static_cast<float>(draw());
    text_ += "\ninput " + name(static_cast<int>(values.size())) +
             " rank=" + std::to_string(made.size.size());
    inputs.push_back(static_cast<int>(values.size()));
    values.push_back(std::move(made));
    return inputs.back();
  }

  // Square windows.
  static rarefy::ImageWindow window(int64_t size, int64_t stride, int64_t pad) {
    return {{size, size}, {stride, stride}, {pad, pad}};
  }

  int conv(int in, int64_t rows, const rarefy::ImageWindow& of, double density, bool bias = true) {
    const Numbers& x = values[in];
    const int64_t channels = x.size[1], tall = of.size[0], wide = of.size[1];
    const auto weight = weight_of(rows, channels * tall * wide, density);
    const auto shift = bias ? floats(rows) : std::vector<double>(rows);
    const int section = tiles(weight, rows, channels * tall * wide);
    const std::string place = " w=" + std::to_string(section) + ":";
    line("conv", {in}, place + sizes({rows, channels, tall, wide}) +
                           " b=" + (bias ? std::to_string(plain(shift)) : "-") +
                           both("stride", of.stride) + both("pad", of.pad));
    Numbers y;
    y.size = {x.size[0], rows, out(x.size[2], of, 0), out(x.size[3], of, 1)};
    y.values.resize(y.count());
    each(y, [&](int64_t n, int64_t r, int64_t i, int64_t j, double& value) {
      value = shift[r];
      for (int64_t k = 0; k < channels * tall * wide; ++k) {
        const double w = weight[r * channels * tall * wide + k];
        const int64_t h = i * of.stride[0] - of.pad[0] + k / wide % tall;
        const int64_t v = j * of.stride[1] - of.pad[1] + k % wide;
        if (w == 0 || h < 0 || v < 0 || h >= x.size[2] || v >= x.size[3]) continue;
        value += w * at(x, n, k / (tall * wide), h, v);
      }
    });
    return add(std::move(y));
  }

  int linear(int in, int64_t rows, double density) {
    const Numbers& x = values[in];
    const int64_t columns = x.size[1];
    const auto weight = weight_of(rows, columns, density), shift = floats(rows);
    const int section = tiles(weight, rows, columns);
    line("linear", {in}, " w=" + std::to_string(section) + ":" + sizes({rows, columns}) +
                             " b=" + std::to_string(plain(shift)));
    Numbers y;
    y.size = {x.size[0], rows};
    for (int64_t i = 0; i < y.count(); ++i) {
      double sum = shift[i % rows];
      for (int64_t k = 0; k < columns; ++k) {
        const double w = weight[i % rows * columns + k];
        if (w != 0) sum += w * x.values[i / rows * columns + k];
      }
      y.values.push_back(sum);
    }
    return add(std::move(y));
  }

  int affine(int in) {
    Numbers y = values[in];
    const int64_t channels = y.size[1];
    const auto both = floats(2 * channels);
    line("affine", {in}, " s=" + std::to_string(plain(both)) + ":" + std::to_string(channels));
    const int64_t pixels = y.count() / std::max<int64_t>(1, y.size[0] * channels);
    for (int64_t i = 0; i < y.count(); ++i) {
      const int64_t c = i / pixels % channels;
      y.values[i] = y.values[i] * both[c] + both[channels + c];
    }
    return add(std::move(y));
  }

  int point(const std::string& op, int in) {
    Numbers y = values[in];
    line(op, {in}, op == "clamp" ? " lo=-0.5 hi=1.5" : "");
    for (double& v : y.values) {
      if (op == "relu") v = v < 0 ? 0 : v;
      if (op == "clamp") v = v < -0.5 ? -0.5 : v > 1.5 ? 1.5 : v;
      if (op == "silu") v = v / (1 + std::exp(-v));
      if (op == "gelu") v = 0.5 * v * (1 + std::erf(v * std::sqrt(0.5)));
      const double inner = 0.7978845608 * (v + 0.044715 * v * v * v);
      if (op == "gelu_tanh") v = 0.5 * v * (1 + std::tanh(inner));
    }
    return add(std::move(y));
  }

  int join(const std::string& op, int a, int b) {
    Numbers y = values[a];
    line(op, {a, b}, "");
    for (size_t i = 0; i < y.values.size(); ++i) {
      const double other = values[b].values[i];
      y.values[i] = op == "add" ? y.values[i] + other : y.values[i] * other;
    }
    return add(std::move(y));
  }

  int max_pool(int in, const rarefy::ImageWindow& of) {
    const Numbers& x = values[in];
    line("max_pool", {in}, both("size", of.size) + both("stride", of.stride) + both("pad", of.pad));
    Numbers y;
    y.size = {x.size[0], x.size[1], out(x.size[2], of, 0), out(x.size[3], of, 1)};
    y.values.resize(y.count());
    each(y, [&](int64_t n, int64_t c, int64_t i, int64_t j, double& value) {
      value = -INFINITY;
      for (int64_t k = 0; k < of.size[0] * of.size[1]; ++k) {
        const int64_t h = i * of.stride[0] - of.pad[0] + k / of.size[1];
        const int64_t v = j * of.stride[1] - of.pad[1] + k % of.size[1];
        if (h < 0 || v < 0 || h >= x.size[2] || v >= x.size[3]) continue;
        const double found = at(x, n, c, h, v);
        if (found > value || std::isnan(found)) value = found;
      }
    });
    return add(std::move(y));
  }

  int mean(int in) {
    const Numbers& x = values[in];
    line("mean", {in}, "");
    Numbers y;
    y.size = {x.size[0], x.size[1], 1, 1};
    const int64_t pixels = x.size[2] * x.size[3];
    for (int64_t i = 0; i < y.count(); ++i) {
      double sum = 0;
      for (int64_t k = 0; k < pixels; ++k) sum += x.values[i * pixels + k];
      y.values.push_back(sum / static_cast<double>(pixels));
    }
    return add(std::move(y));
  }

  int flatten(int in) {
    Numbers y = values[in];
    line("flatten", {in}, "");
    y.size = {y.size[0], y.size[0] ? y.count() / y.size[0] : 0};
    return add(std::move(y));
  }

  void output(const std::vector<int>& registers) {
    outputs = registers;
    for (int number : registers) text_ += "\noutput " + name(number);
  }

  std::string program() const { return "rarefy 1" + text_; }

  // The program, and its container over bytes that this case keeps.
  bool parse(rarefy::Program& parsed, rarefy::Container& container, std::string& error) const {
    for (const auto& section : sections_) {
      container.sections.push_back({section.kind,
                                    reinterpret_cast<const uint8_t*>(section.bytes.data()),
                                    section.size});
    }
    return rarefy::Program::parse(program().c_str(), parsed, error);
  }

  std::unique_ptr<rarefy::ImageChain> chain(const char* set, std::string& error) const {
    rarefy::Program parsed;
    rarefy::Container container;
    if (!parse(parsed, container, error)) return nullptr;
    return rarefy::ImageChain::make(parsed, container, set, error);
  }

  std::vector<Numbers> values;  // of every register
  std::vector<int> inputs, outputs;

 private:
  struct Section {
    std::string kind;
    std::vector<int64_t> bytes;
    int64_t size;
  };

  static std::string name(int number) { return "r" + std::to_string(number); }
  static std::string both(const char* key, const int64_t* sides) {
    return std::string(" ") + key + "=" + std::to_string(sides[0]) + "," + std::to_string(sides[1]);
  }
  static std::string sizes(const std::vector<int64_t>& sides) {
    std::string text;
    for (int64_t side : sides) text += (text.empty() ? "" : "x") + std::to_string(side);
    return text;
  }
  static int64_t out(int64_t in, const rarefy::ImageWindow& of, int side) {
    return (in + 2 * of.pad[side] - of.size[side]) / of.stride[side] + 1;
  }
  static double at(const Numbers& x, int64_t n, int64_t c, int64_t h, int64_t v) {
    return x.values[((n * x.size[1] + c) * x.size[2] + h) * x.size[3] + v];
  }
  template <class Visit>
  static void each(Numbers& y, Visit visit) {
    for (int64_t i = 0; i < y.count(); ++i) {
      const int64_t v = i % y.size[3], h = i / y.size[3] % y.size[2];
      const int64_t c = i / (y.size[3] * y.size[2]) % y.size[1];
      visit(i / (y.size[3] * y.size[2] * y.size[1]), c, h, v, y.values[i]);
    }
  }

  double draw() { return std::normal_distribution<double>()(random_); }

  std::vector<double> floats(int64_t count) {
    std::vector<double> made(count);
    for (double& value : made) value = static_cast<float>(draw());
    return made;
  }

  std::vector<double> weight_of(int64_t rows, int64_t columns, double density) {
    std::vector<double> made(rows * columns);
    std::uniform_real_distribution<double> chance;
    const double scale = 1 / std::sqrt(std::max(1.0, density * static_cast<double>(columns)));
    for (double& value : made) {
      if (chance(random_) < density) value = static_cast<float>(scale * draw());
    }
    return made;
  }

  int add(Numbers made) {
    values.push_back(std::move(made));
    return static_cast<int>(values.size() - 1);
  }

  void line(const std::string& op, const std::vector<int>& from, const std::string& options) {
    text_ += "\n" + op + " " + name(static_cast<int>(values.size()));
    for (int number : from) text_ += " " + name(number);
    text_ += options;
  }

  int plain(const std::vector<double>& numbers) {
    Section section{"floats", std::vector<int64_t>((numbers.size() + 1) / 2 + 8),
                    static_cast<int64_t>(4 * numbers.size())};
    const auto to = reinterpret_cast<float*>(section.bytes.data());
    for (size_t i = 0; i < numbers.size(); ++i) to[i] = static_cast<float>(numbers[i]);
    sections_.push_back(std::move(section));
    return static_cast<int>(sections_.size() - 1);
  }

  int tiles(const std::vector<double>& weight, int64_t rows, int64_t columns) {
    const std::vector<float> dense(weight.begin(), weight.end());
    const int64_t size = rarefy_pack_size(dense.data(), nullptr, rows, columns, 64, 1);
    Section section{"tiles", std::vector<int64_t>(size / 8), size};
    rarefy_pack(dense.data(), nullptr, rows, columns, 64, 1,
                reinterpret_cast<uint8_t*>(section.bytes.data()), size);
    sections_.push_back(std::move(section));
    return static_cast<int>(sections_.size() - 1);
  }

  std::mt19937 random_;
  std::string text_;
  std::vector<Section> sections_;
};

}  // namespace cases
