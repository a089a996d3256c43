// The kernel that measures the FMA peak: the work it tells is the work it was asked for, in whole
// vectors, in every set that runs here.
// Fails if it found nothing to run.
#include <cstdio>
#include <string>

#include "dispatch.h"
#include "kernels/kernels.h"

namespace {

int failures = 0;

void expect(bool good, const std::string& what) {
  if (good) return;
  std::printf("FAILED %s\n", what.c_str());
  ++failures;
}

void test(rarefy::fma_peak<float>* kernel, const std::string& set) {
  expect(kernel(0) == 0 && kernel(-1) == 0, "no work in " + set);
  const int64_t one = kernel(1);
  expect(one > 0 && one % 8 == 0, "whole vectors in " + set);
  for (int64_t iterations : {2, 3, 1000, 99999}) {
    expect(kernel(iterations) == iterations * one, "work grows in " + set);
  }
}

}  // namespace

int main() {
  int ran = 0;
  for (int i = 0; const char* set = rarefy_set(i); ++i, ++ran) {
    void* address = rarefy_kernel("fma_peak_f32", set);
    expect(address != nullptr, std::string("fma_peak_f32 has no ") + set);
    if (address) test(reinterpret_cast<rarefy::fma_peak<float>*>(address), set);
  }
  expect(ran > 0, "nothing ran");
  std::printf("peak: %d sets, %d failures\n", ran, failures);
  return failures != 0;
}
