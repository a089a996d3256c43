// Every top-k kernel of the table, in every instruction set that runs here, against a plain loop.
// Fails if it found nothing to run.
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

// The specification, from the value and not from its bits: where it stands among all of its type.
template <class T>
int64_t key_of(T value) {
  if (value == 0) return 0;
  const T size = std::fabs(value);
  int64_t bits = 0;
  std::memcpy(&bits, &size, sizeof size);
  return value > 0 ? bits : -bits - 1;
}

template <class T>
std::vector<T> sample(int kind, int64_t size, std::mt19937& random) {
  const T infinity = std::numeric_limits<T>::infinity();
  const T special[] = {T(0), T(-0.0), infinity, -infinity, std::numeric_limits<T>::denorm_min(),
                       -std::numeric_limits<T>::denorm_min(), T(1), T(-1)};
  std::normal_distribution<double> normal;
  std::vector<T> values(size);
  for (T& value : values) {
    const double drawn = normal(random);
    if (kind == 0) value = T(drawn);
    if (kind == 1) value = T(std::round(drawn));  // heavy ties
    if (kind == 2) value = special[random() % 8];
    if (kind == 3) value = T(0.5);
  }
  return values;
}

// Memory of exactly `size` values that starts at an odd multiple of the value's own alignment,
// so that a read past the end or an assumed vector alignment is seen.
template <class T>
struct Misaligned {
  explicit Misaligned(const std::vector<T>& values) : memory(new T[values.size() + 1]) {
    std::copy(values.begin(), values.end(), memory + 1);
  }
  ~Misaligned() { delete[] memory; }
  const T* data() const { return memory + 1; }
  T* memory;
};

const int64_t kSizes[] = {0, 1, 2, 7, 15, 16, 17, 63, 64, 255, 256, 257, 1000, 5000};

template <class T>
void test_topk_histogram(rarefy::topk_histogram<T>* kernel, const std::string& name) {
  constexpr int bits = 8 * sizeof(T);
  std::mt19937 random(1);
  for (int64_t size : kSizes) {
    for (int kind = 0; kind < 4; ++kind) {
      const std::vector<T> values = sample<T>(kind, size, random);
      const Misaligned<T> given(values);
      int64_t prefix = 0;
      for (int shift = bits - 16; shift >= 0; shift -= 16) {
        std::vector<int64_t> counts(65536, 3), wanted(65536, 3);  // kernels add
        const bool first = shift == bits - 16;
        for (T value : values) {
          const int64_t key = key_of(value);
          if (first) ++wanted[(key >> shift) + 32768];
          if (!first && key >> (shift + 16) == prefix) ++wanted[(key >> shift) & 0xFFFF];
        }
        const int64_t nan = kernel(given.data(), size, shift, prefix, counts.data());
        expect(nan == 0 && counts == wanted, name + " of " + std::to_string(size));
        if (size) prefix = key_of(values[size / 2]) >> shift;
      }
    }
  }
  std::vector<T> broken(777, T(1));
  broken[0] = broken[300] = std::numeric_limits<T>::quiet_NaN();
  broken[776] = -std::numeric_limits<T>::quiet_NaN();
  std::vector<int64_t> counts(65536);
  expect(kernel(broken.data(), 777, bits - 16, 0, counts.data()) == 3, name + " counting NaN");
}

template <class T>
void test_topk_mark(rarefy::topk_mark<T>* kernel, const std::string& name) {
  std::mt19937 random(2);
  for (int64_t size : kSizes) {
    for (int kind = 0; kind < 4; ++kind) {
      const std::vector<T> values = sample<T>(kind, size, random);
      const Misaligned<T> given(values);
      const int64_t threshold = size ? key_of(values[size / 2]) : 0;
      for (int64_t ties : {int64_t(0), int64_t(1), int64_t(3), size / 2, size}) {
        std::vector<uint8_t> kept(size, 7), wanted(size);
        int64_t left = ties;
        for (int64_t i = 0; i < size; ++i) {
          const int64_t key = key_of(values[i]);
          wanted[i] = key > threshold || (key == threshold && left-- > 0);
        }
        const int64_t used = kernel(given.data(), size, threshold, ties, kept.data());
        expect(used == ties - std::max<int64_t>(left, 0), name + " using ties");
        expect(kept == wanted, name + " of " + std::to_string(size));
      }
    }
  }
}

}  // namespace

int main() {
  int ran = 0;
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
#define TEST(op, element, type, unused)                                                          \
  {                                                                                              \
    void* address = rarefy_kernel(#op "_" #element, set);                                        \
    expect(address != nullptr, std::string(#op "_" #element " has no ") + set);                  \
    if (address) {                                                                               \
      test_##op(reinterpret_cast<rarefy::op<type>*>(address), std::string(#op "_" #element "_") + set); \
      ++ran;                                                                                     \
    }                                                                                            \
  }
    RAREFY_TOPK_KERNELS(TEST, )
#undef TEST
  }
  expect(ran > 0, "nothing ran");
  expect(rarefy_kernel("no_such_kernel", "generic") == nullptr, "unknown kernel");
  std::printf("%d kernels ran, %d failures\n", ran, failures);
  return failures != 0;
}
