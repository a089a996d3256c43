// Products of low precision in every form and set that runs here, against plain loops over what the
// section says; and sections that someone damaged. Fails if it found nothing to run.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "dispatch.h"
#include "runtime/window.h"

namespace {

using namespace rarefy;

int failures = 0, products = 0;
std::mt19937 generator(7);
const char* const kKinds[] = {"w8a8", "w8a16", "w16a16", "bf16", "f16"};
const char* const kForms[] = {"narrow", "wide", "tiles", "masks", "lists", "code"};

void check(bool right, const std::string& what) {
  if (right) return;
  if (++failures < 40) std::printf("FAILED: %s\n", what.c_str());
}

using Bytes = std::vector<uint8_t>;

struct Case {
  int64_t rows, columns, tokens;
  double density = 0.2;
  int32_t scale = kOwn;
  bool skewed = false, positive = false;
  float size = 1;  // of the activations
};

std::vector<float> weights_of(const Case& c) {
  std::uniform_real_distribution<double> chance(0, 1);
  std::normal_distribution<float> normal;
  std::vector<float> weight(c.rows * c.columns);
  for (int64_t i = 0; i < c.rows * c.columns; ++i) {
    // Every seventh row is empty, and few hold most of it.
    const double skew = c.skewed ? (i / c.columns % 5 ? 0.3 : 3) * (i / c.columns % 7 != 0) : 1;
    if (chance(generator) < c.density * skew) weight[i] = normal(generator);
  }
  return weight;
}

Bytes section_of(const Case& c, const std::vector<float>& weight, int32_t kind) {
  Bytes out(quantized_size(kind, c.rows, c.columns, c.rows * c.columns));
  const float scale = c.scale == kOwn ? 0 : c.scale == kPositive ? 3.0f / 255 : 3.0f / 127;
  const int64_t size = rarefy_quantize(weight.data(), nullptr, c.rows, c.columns, kind, c.scale,
                                       scale, out.data(), static_cast<int64_t>(out.size()));
  check(size > 0, "a weight cannot be quantised");
  out.resize(std::max<int64_t>(size, 0));
  return out;
}

double half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size =
      exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -size : size;
}

// What a weight's stored number stands for, its row's scale not counted.
double stored_value(int32_t kind, int16_t value) {
  const auto bits = static_cast<uint16_t>(value);
  if (kind == kF16) return half_value(bits);
  if (kind != kBf16) return value;
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float number;
  std::memcpy(&number, &wide, 4);
  return number;
}

// The specification of a token: its numbers, and the scale that they are times.
double take(const Quantized& weight, const float* x, std::vector<double>& numbers) {
  const int64_t columns = weight.columns;
  float most = 0;
  bool finite = true;
  for (int64_t k = 0; k < columns; ++k) {
    most = std::max(most, std::fabs(x[k]));
    finite &= std::isfinite(x[k]);
  }
  numbers.assign(columns, 0);
  if (!finite) return std::numeric_limits<double>::quiet_NaN();
  const bool halves = weight.kind == kBf16 || weight.kind == kF16;
  if (!(weight.kind == kBf16) && !weight.scale && most < 1e-30f) return 0;
  if (halves) {
    int exponent = 3;
    if (weight.kind == kF16) std::frexp(most, &exponent);
    for (int64_t k = 0; k < columns; ++k) {  // 8 or 11 bits of the fraction, no finer than 2^-24
      const double value = std::ldexp(static_cast<double>(x[k]), 3 - exponent);
      int own;
      std::frexp(value, &own);
      const int last = weight.kind == kF16 ? std::max(own - 11, -24) : own - 8;
      numbers[k] = std::ldexp(std::nearbyint(std::ldexp(value, -last)), last);
    }
    return std::ldexp(1.0, exponent - 3);
  }
  const TokenRule rule = weight.rule();
  const auto high = static_cast<float>(rule.high);
  const float inverse = weight.scale != 0 ? 1 / weight.scale : high / most;
  for (int64_t k = 0; k < columns; ++k) {
    const float scaled = std::min(std::max(x[k] * inverse, static_cast<float>(rule.low)), high);
    numbers[k] = std::nearbyint(scaled);
  }
  return weight.scale != 0 ? weight.scale : most / high;
}

// y and how far from it an output in floating point may lie.
void reference(const Quantized& weight, const Case& c, const float* x, int64_t x_stride,
               const float* bias, bool relu, std::vector<float>& y, std::vector<double>& slack) {
  std::vector<double> numbers;
  y.resize(c.tokens * c.rows);
  slack.assign(c.tokens * c.rows, 0);
  for (int64_t t = 0; t < c.tokens; ++t) {
    const double scale = take(weight, x + t * x_stride, numbers);
    for (int64_t row = 0; row < c.rows; ++row) {
      double sum = 0, sizes = 0;
      for (int64_t i = weight.start[row]; i < weight.start[row + 1]; ++i) {
        const double term = stored_value(weight.kind, weight.value[i]) * numbers[weight.column[i]];
        sum += term;
        sizes += std::fabs(term);
      }
      const float factor = weight.row_scale[row] * static_cast<float>(scale);
      const float shift = bias ? bias[row] : 0;
      float value = std::fma(static_cast<float>(sum), factor, shift);
      if (relu && value < 0) value = 0;
      y[t * c.rows + row] = value;
      const auto count = static_cast<double>(weight.count(row));
      const double last = 1e-6 * std::fabs(value);
      double& allowed = slack[t * c.rows + row];
      if (weight.kind == kBf16) allowed = 1e-6 * sizes * factor + last;
      if (weight.kind == kF16) allowed = (sizes * 8 / 2048 + count * 6e-8) * factor + last;
    }
  }
}

bool agree(float found, float wanted, double slack) {
  if (std::isnan(wanted)) return std::isnan(found);
  return slack == 0 ? found == wanted : std::fabs(double{found} - wanted) <= slack;
}

std::string name_of(const Case& c, int32_t kind, const char* set, const std::string& form) {
  return std::string(kKinds[kind]) + " " + form + " " + set + " " + std::to_string(c.rows) + "x" +
         std::to_string(c.columns) + " tokens " + std::to_string(c.tokens) + " density " +
         std::to_string(c.density) + " scale " + std::to_string(c.scale);
}

std::vector<float> tokens_of(const Case& c, int64_t stride) {
  std::normal_distribution<float> normal(0, c.size);
  std::vector<float> x(c.tokens * stride);
  for (float& value : x) value = c.positive ? std::fabs(normal(generator)) : normal(generator);
  const float infinity = std::numeric_limits<float>::infinity();
  for (int64_t t = 0; t < c.tokens && c.columns; ++t) {
    if (t % 6 == 3) std::fill_n(x.begin() + t * stride, c.columns, t % 4 ? 0.0f : 1e-38f);
    if (t % 6 == 4) x[t * stride + t % c.columns] = t % 4 ? infinity : std::nanf("");
    if (t % 6 == 5) x[t * stride + t % c.columns] *= 40;  // one that stands out
  }
  return x;
}

// One weight, made ready in one form, over a few calls: odd strides, with and without bias and
// relu, split among threads and by hand.
void test_product(const Case& c, const Bytes& section, const Window& window,
                  const std::string& name) {
  Quantized weight;
  std::string error;
  const auto size = static_cast<int64_t>(section.size());
  check(Quantized::read(section.data(), size, weight, error), error);
  const int64_t x_stride = c.columns + 3, y_stride = c.rows + 5;
  const std::vector<float> x = tokens_of(c, x_stride);
  std::vector<float> bias(c.rows), wanted;
  std::vector<double> slack;
  for (float& value : bias) value = static_cast<float>(generator() % 100) / 10;
  Bytes memory(window.prepared_bytes(c.tokens) + 64, 0xff);
  uint8_t* const prepared = memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 63);
  for (int turn = 0; turn < 3; ++turn) {
    const bool relu = turn == 1;
    const float* const shift = turn == 2 ? nullptr : bias.data();
    reference(weight, c, x.data(), x_stride, shift, relu, wanted, slack);
    std::vector<float> y(c.tokens * y_stride, 123);
    if (turn < 2) {
      window_product(window, x.data(), x_stride, c.tokens, y.data(), y_stride, shift, relu,
                     prepared, 1 + 2 * turn);
    } else {
      for (int p = 0; p < window.pieces(c.tokens); ++p) {
        window.prepare(p, p + 1, x.data(), x_stride, c.tokens, prepared);
      }
      for (int u = window.units(); u-- > 0;) {
        window.run(u, u + 1, prepared, c.tokens, y.data(), y_stride, shift, relu);
      }
    }
    bool right = true, kept = true;
    for (int64_t t = 0; t < c.tokens; ++t) {
      for (int64_t row = 0; row < y_stride; ++row) {
        const float found = y[t * y_stride + row];
        if (row >= c.rows) {
          kept &= found == 123;
        } else {
          right &= agree(found, wanted[t * c.rows + row], slack[t * c.rows + row]);
        }
      }
    }
    check(right, "wrong numbers: " + name);
    check(kept, "wrote past a row: " + name);
    ++products;
  }
}

void test_case(const Case& c) {
  const std::vector<float> weight = weights_of(c);
  for (int32_t kind = 0; kind < kWindowKinds; ++kind) {
    if (c.scale != kOwn && (kind > kW16A16 || (c.scale == kPositive && kind != kW8A8))) continue;
    const Bytes section = section_of(c, weight, kind);
    for (int i = 0; rarefy_set(i); ++i) {
      for (const char* form : kForms) {
        std::string error;
        const auto window = Window::make(section.data(), static_cast<int64_t>(section.size()),
                                         {rarefy_set(i), form, c.tokens}, error);
        if (window) {
          test_product(c, section, *window, name_of(c, kind, rarefy_set(i), form));
        } else {
          check(!error.empty() && std::string(form) != "narrow" && std::string(form) != "wide",
                "no form: " + name_of(c, kind, rarefy_set(i), form) + ": " + error);
        }
      }
    }
  }
}

void test_shapes() {
  for (int64_t rows : {0, 1, 15, 33, 67}) {
    for (int64_t columns : {0, 1, 31, 64, 131, 200}) {
      test_case({rows, columns, 1 + (rows + columns) % 17});
    }
  }
  for (int64_t tokens = 0; tokens <= 18; ++tokens) test_case({37, 97, tokens});
  for (double density : {0.0, 0.02, 0.5, 1.0}) test_case({47, 259, 9, density});
  test_case({130, 300, 35, 0.2, kOwn, true});
  test_case({40, 1300, 70, 0.3, kOwn, true});  // more than one pass and plane of generated code
  for (int32_t scale : {kCalibrated, kPositive}) {
    test_case({33, 100, 8, 0.3, scale, false, scale == kPositive});
    test_case({33, 100, 8, 0.3, scale, false, false, 1e6f});  // far beyond the calibration
  }
  test_case({20, 90, 7, 0.4, kOwn, false, false, 1e30f});
  test_case({20, 90, 7, 0.4, kOwn, false, false, 1e-25f});
}

}  // namespace

int main() {
  test_shapes();
  check(products > 500, "nothing ran");
  std::printf("%d products, %d failures\n", products, failures);
  return failures != 0;
}
