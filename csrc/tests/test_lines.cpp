// The kernels on lines and rows, in every instruction set that runs here, against plain loops in
// double. Fails if it found nothing to run.
#include "kernels/lines.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "dispatch.h"
#include "kernels/kernels.h"
#include "kernels/table.inc"

namespace {

int failures = 0;

void expect(bool good, const std::string& what) {
  if (good) return;
  std::printf("FAILED %s\n", what.c_str());
  ++failures;
}

// Memory of exactly these values, one value away from any alignment.
template <class T>
struct Misaligned {
  explicit Misaligned(const std::vector<T>& values) : memory(new T[values.size() + 1]) {
    std::copy(values.begin(), values.end(), memory + 1);
  }
  Misaligned(const Misaligned&) = delete;
  ~Misaligned() { delete[] memory; }
  const T* data() const { return memory + 1; }
  T* memory;
};

const int64_t kFeatures[] = {0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 97};

std::vector<float> numbers(int64_t size, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

// Equal, or both NaN, or as near as `share` of the wanted size and `least` say.
bool near(double found, double wanted, double share, double least = 1e-30) {
  if (std::isnan(wanted) || std::isinf(wanted)) {
    return std::isnan(wanted) ? std::isnan(found) : found == wanted;
  }
  return std::fabs(found - wanted) <= share * std::fabs(wanted) + least;
}

double pointwise_wanted(int op, double a, double b, double low, double high) {
  const double cubic = 1.5957691216057308 * (a + 0.044715 * a * a * a);
  switch (op) {
    case rarefy::kRelu: return a < 0 ? 0 : a;
    case rarefy::kGelu: return a * (0.5 * std::erfc(-a / std::sqrt(2.0)));
    case rarefy::kGeluTanh: return a / (1 + std::exp(-cubic));
    case rarefy::kSilu: return a / (1 + std::exp(-a));
    case rarefy::kClamp: return a < low ? low : a > high ? high : a;
    case rarefy::kAdd: return a + b;
    default: return a * b;
  }
}

template <class T>
void test_pointwise(rarefy::pointwise<T>* kernel, const std::string& name) {
  std::mt19937 random(3);
  const float infinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.0f, -0.0f, 1e-38f, -1e-38f, 1e-45f, 3e38f, -3e38f, infinity, -infinity,
                           std::nanf(""), 5.6f, -5.6f, 5.61f, -5.61f, 88.0f, -88.0f, 88.7f, -88.7f,
                           90.0f, -90.0f, 1e20f, -1e20f};
  for (int op = 0; op < rarefy::kPointwiseCount; ++op) {
    for (int64_t size : {0, 1, 3, 4, 15, 16, 17, 22, 70, 4001}) {
      std::vector<float> a = numbers(size, random), b = numbers(size, random);
      if (size == 22) std::copy(special, special + 22, a.begin());
      if (size == 4001) {
        for (int64_t i = 0; i < size; ++i) a[i] = static_cast<float>(i - 2000) * 0.004f;
      }
      const Misaligned<float> x(a), z(b);
      std::vector<float> y(size + 1, 7);
      kernel(op, x.data(), z.data(), y.data(), size, -1.5f, 2.5f);
      for (int64_t i = 0; i < size; ++i) {
        // Where a tail is tiny, the rounding of its exponent shows; below -5.6 that of gelu is 0.
        const float wanted = static_cast<float>(pointwise_wanted(op, a[i], b[i], -1.5, 2.5));
        const double share = op == rarefy::kGelu ? 5e-6 : op == rarefy::kGeluTanh ? 1e-5 : 1e-6;
        const double least = op == rarefy::kGelu ? 2e-7 * std::fabs(double(a[i])) : 1e-36;
        expect(near(y[i], wanted, share, std::isfinite(least) ? least : 0),
               name + " " + std::to_string(op) + " of " + std::to_string(a[i]) + ": " +
                   std::to_string(y[i]) + ", wanted " + std::to_string(wanted));
      }
      expect(y[size] == 7, name + " stays in bounds");
      std::vector<float> inside = a;
      kernel(op, inside.data(), b.data(), inside.data(), size, -1.5f, 2.5f);
      y.pop_back();
      expect(size == 0 || !std::memcmp(inside.data(), y.data(), 4 * size), name + " in place");
    }
  }
}

// Lines of 16 tokens and the same numbers as rows.
struct Sixteen {
  std::vector<float> lines, scale, shift;
  Sixteen(int64_t features, std::mt19937& random)
      : lines(numbers(16 * features, random)),
        scale(numbers(features, random)),
        shift(numbers(features, random)) {}
  std::vector<double> row(int64_t token) const {
    std::vector<double> values;
    for (size_t i = token; i < lines.size(); i += 16) values.push_back(lines[i]);
    return values;
  }
};

template <class T>
void test_affine_lines(rarefy::affine_lines<T>* kernel, const std::string& name) {
  std::mt19937 random(4);
  for (int64_t features : kFeatures) {
    Sixteen given(features, random);
    std::vector<float> y(16 * features + 1, 7);
    kernel(given.lines.data(), given.scale.data(), given.shift.data(), y.data(), features);
    for (int64_t i = 0; i < 16 * features; ++i) {
      const double wanted = double(given.lines[i]) * given.scale[i / 16] + given.shift[i / 16];
      expect(near(y[i], wanted, 1e-6, 1e-5), name + " of " + std::to_string(features));
    }
    expect(y.back() == 7, name + " stays in bounds");
  }
}

template <class T>
void test_affine_row(rarefy::affine_row<T>* kernel, const std::string& name) {
  std::mt19937 random(5);
  for (int64_t features : kFeatures) {
    const std::vector<float> x = numbers(features, random), scale = numbers(features, random);
    const Misaligned<float> shift(numbers(features, random));
    std::vector<float> y(features + 1, 7);
    kernel(x.data(), scale.data(), shift.data(), y.data(), features);
    for (int64_t i = 0; i < features; ++i) {
      expect(near(y[i], double(x[i]) * scale[i] + shift.data()[i], 1e-6, 1e-5), name);
    }
    expect(y.back() == 7, name + " stays in bounds");
  }
}

std::vector<double> norm_wanted(const std::vector<double>& row, const Sixteen& given) {
  double mean = 0, variance = 0;
  for (double x : row) mean += x / row.size();
  for (double x : row) variance += (x - mean) * (x - mean) / row.size();
  std::vector<double> wanted;
  for (size_t f = 0; f < row.size(); ++f) {
    const double normal = (row[f] - mean) / std::sqrt(variance + 1e-3);
    wanted.push_back(normal * given.scale[f] + given.shift[f]);
  }
  return wanted;
}

template <class T>
void test_norm_lines(rarefy::norm_lines<T>* kernel, const std::string& name) {
  std::mt19937 random(6);
  for (int64_t features : kFeatures) {
    Sixteen given(features, random);
    if (features > 2) given.lines[16 * 2 + 5] = std::nanf("");  // token 5
    std::vector<float> y = given.lines;
    kernel(y.data(), given.scale.data(), given.shift.data(), y.data(), features, 1e-3f);
    for (int64_t t = 0; t < 16; ++t) {
      const std::vector<double> wanted = norm_wanted(given.row(t), given);
      for (int64_t f = 0; f < features; ++f) {
        expect(near(y[16 * f + t], wanted[f], 1e-5, 1e-4),
               name + " of " + std::to_string(features));
      }
    }
  }
}

template <class T>
void test_norm_row(rarefy::norm_row<T>* kernel, const std::string& name) {
  std::mt19937 random(7);
  for (int64_t features : kFeatures) {
    const Sixteen given(features, random);
    for (int64_t t = 0; t < 16; ++t) {
      const std::vector<double> row = given.row(t), wanted = norm_wanted(row, given);
      std::vector<float> y(row.begin(), row.end());
      y.push_back(7);
      kernel(y.data(), given.scale.data(), given.shift.data(), y.data(), features, 1e-3f);
      for (int64_t f = 0; f < features; ++f) {
        expect(near(y[f], wanted[f], 1e-5, 1e-4), name + " of " + std::to_string(features));
      }
      expect(y.back() == 7, name + " stays in bounds");
    }
  }
}

template <class T>
void test_lines_of_tokens(rarefy::lines_of_tokens<T>* kernel, const std::string& name) {
  std::mt19937 random(8);
  for (int64_t features : kFeatures) {
    for (int64_t tokens : {0, 1, 7, 15, 16}) {
      const int64_t stride = features + 3, apart = tokens % 2 ? 16 : 48;
      // The last row ends where the memory ends.
      const int64_t size = tokens ? (tokens - 1) * stride + features : 0;
      const Misaligned<float> x(numbers(size, random));
      std::vector<float> lines(apart * features + 1, 7);
      kernel(x.data(), stride, tokens, features, lines.data(), apart);
      bool right = lines.back() == 7;
      for (int64_t i = 0; i < apart * features; ++i) {
        const int64_t t = i % apart, f = i / apart;
        const float wanted = t < tokens ? x.data()[t * stride + f] : 0.0f;
        right = right && lines[i] == (t < 16 ? wanted : 7.0f);
      }
      expect(right, name + " of " + std::to_string(tokens) + " x " + std::to_string(features));
    }
  }
}

template <class T>
void test_tokens_of_lines(rarefy::tokens_of_lines<T>* kernel, const std::string& name) {
  std::mt19937 random(9);
  for (int64_t features : kFeatures) {
    for (int64_t tokens : {0, 1, 7, 15, 16}) {
      const int64_t stride = features + 3;
      const std::vector<float> lines = numbers(16 * features, random);
      Misaligned<float> y(std::vector<float>(tokens * stride, 7.0f));
      kernel(lines.data(), tokens, features, y.memory + 1, stride);
      bool right = true;
      for (int64_t i = 0; i < tokens * stride; ++i) {
        const int64_t t = i / stride, f = i % stride;
        right = right && y.data()[i] == (f < features ? lines[16 * f + t] : 7.0f);
      }
      expect(right, name + " of " + std::to_string(tokens) + " x " + std::to_string(features));
    }
  }
}

}  // namespace

int main() {
  int ran = 0;
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
#define TEST(op, element, type, unused)                                                \
  if (void* address = rarefy_kernel(#op "_" #element, set)) {                          \
    test_##op(reinterpret_cast<rarefy::op<type>*>(address), std::string(#op "_") + set); \
    ++ran;                                                                             \
  } else {                                                                             \
    expect(false, std::string(#op " has no ") + set);                                  \
  }
    RAREFY_LINE_KERNELS(TEST, )
#undef TEST
  }
  expect(ran > 0, "nothing ran");
  std::printf("%d kernels ran, %d failures\n", ran, failures);
  return failures != 0;
}
