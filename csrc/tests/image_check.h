// Runs image programs in every instruction set that is here and compares them with plain loops.
#pragma once
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "dispatch.h"
#include "image_case.h"
#include "runtime/linear_chain.h"

namespace cases {

inline int failures = 0, ran = 0;

inline void expect(bool good, const std::string& what) {
  if (good) return;
  if (++failures <= 20) std::printf("FAILED %s\n", what.c_str());
}

// The caller's memory, at an odd multiple of a float, so that a read or write past it is seen.
struct Held {
  std::vector<std::unique_ptr<float[]>> memory;
  std::vector<rarefy_tensor> tensors;

  Held(const ImageCase& from, const std::vector<int>& registers, bool filled) {
    for (int number : registers) {
      const Numbers& numbers = from.values[number];
      memory.emplace_back(new float[numbers.count() + 1]);
      float* const data = memory.back().get() + 1;
      for (int64_t i = 0; i < numbers.count(); ++i) {
        data[i] = filled ? static_cast<float>(numbers.values[i]) : 777.f;
      }
      rarefy_tensor tensor = {data, static_cast<int64_t>(numbers.size.size()), {}};
      std::copy(numbers.size.begin(), numbers.size.end(), tensor.size);
      tensors.push_back(tensor);
    }
  }
};

inline bool alike(double wanted, float found, double most) {
  if (std::isnan(wanted)) return std::isnan(found);
  if (std::isinf(wanted)) return wanted == found;
  return std::fabs(wanted - found) <= 1e-4 * most;
}

inline void compare(const ImageCase& of, const Held& outputs, const std::string& what) {
  for (size_t o = 0; o < of.outputs.size(); ++o) {
    const Numbers& wanted = of.values[of.outputs[o]];
    double most = 1e-3;
    for (double value : wanted.values) {
      if (std::isfinite(value)) most = std::max(most, std::fabs(value));
    }
    int64_t wrong = 0, first = -1;
    for (int64_t i = 0; i < wanted.count(); ++i) {
      if (alike(wanted.values[i], outputs.tensors[o].data[i], most)) continue;
      if (wrong++ == 0) first = i;
    }
    expect(wrong == 0, what + ": " + std::to_string(wrong) + " of " +
                           std::to_string(wanted.count()) + " wrong, first " +
                           std::to_string(first) + "\n" + of.program());
    if (wrong && failures < 3) {
      std::printf("wanted %g found %g\n", wanted.values[first], outputs.tensors[o].data[first]);
    }
  }
}

inline bool same_bits(const ImageCase& of, const Held& a, const Held& b) {
  bool same = true;
  for (size_t o = 0; o < of.outputs.size(); ++o) {
    const int64_t count = of.values[of.outputs[o]].count();
    same = same && !std::memcmp(a.tensors[o].data, b.tensors[o].data, 4 * count);
  }
  return same;
}

// As in a ResNet: the shortcut is the input, or a projection of it, made before or after the rest.
inline int residual(ImageCase& of, int x, int64_t channels, int64_t stride, bool early) {
  const bool projected = stride > 1 || of.values[x].size[1] != channels;
  const auto project = [&] {
    return of.affine(of.conv(x, channels, ImageCase::window(1, stride, 0), 0.5, false));
  };
  int other = projected && early ? project() : x;
  int t = of.conv(x, channels, ImageCase::window(3, stride, 1), 0.3, false);
  t = of.point("relu", of.affine(t));
  t = of.affine(of.conv(t, channels, ImageCase::window(3, 1, 1), 0.3, false));
  if (projected && !early) other = project();
  return of.point("relu", of.join("add", t, other));
}

// In every set, the best one with generated code where that runs, the others without; on one thread
// and several, which must give the same bits.
inline void check(ImageCase& of, const std::string& what) {
  for (int s = 0; const char* set = rarefy_set(s); ++s) {
    std::string error;
    const auto chain = of.chain(set, error);
    expect(chain != nullptr, what + ": " + error);
    if (!chain) return;
    chain->work_of_thread = 0;
    if (s > 0) chain->interpret();
    Held inputs(of, of.inputs, true);
    std::unique_ptr<Held> before;
    for (int threads : {1, 2, 3, 1}) {
      auto outputs = std::make_unique<Held>(of, of.outputs, false);
      const int status =
          chain->run(inputs.tensors.data(), static_cast<int>(inputs.tensors.size()),
                     outputs->tensors.data(), static_cast<int>(outputs->tensors.size()), threads);
      const std::string where = what + " " + set + " " + std::to_string(threads) + " threads";
      expect(status == 0, where + ": status " + std::to_string(status));
      compare(of, *outputs, where);
      if (before) expect(same_bits(of, *before, *outputs), where + ": other bits");
      before = std::move(outputs);
      ++ran;
    }
  }
}

}  // namespace cases
