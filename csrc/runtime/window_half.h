// What the two forms with float16 arithmetic share: tokens in lines of 32, and the way back.
#pragma once
#include "window_forms.h"

namespace rarefy {

class Halves : public Window {
 public:
  static constexpr int64_t kTokens = 32, kLine = 64;

  int64_t prepared_bytes(int64_t tokens) const override {
    return pieces(tokens) * (128 + columns * kLine);
  }
  int pieces(int64_t tokens) const override {
    return static_cast<int>((tokens + kTokens - 1) / kTokens);
  }
  void prepare(int first, int last, const float* x, int64_t x_stride, int64_t tokens,
               uint8_t* prepared) const override;

 protected:
  // Entries of a row that are summed in float16 before the sum goes on in float32 (a new "plane"),
  // so that rounding stays near that of bfloat16.
  static constexpr int64_t kPlaneEntries = 128;

  bool take(const Quantized& weight, const char* set, std::string& error);

  // The scales of all groups of tokens come first, then lines [group][column][32 tokens].
  const float* scales_of(const uint8_t* prepared, int64_t group) const {
    return reinterpret_cast<const float*>(prepared + 128 * group);
  }
  const uint8_t* lines_of(const uint8_t* prepared, int64_t tokens, int64_t group) const {
    return prepared + 128 * pieces(tokens) + group * columns * kLine;
  }

  // Where outputs go.
  struct Target {
    int64_t tokens;
    float* y;
    int64_t y_stride;
    const float* bias;
    bool relu;
  };
  // Rows [first, first + count) of a group, from sums [plane][row][32 tokens].
  void finish(const Target& target, const uint8_t* prepared, int64_t group, int64_t first,
              int64_t count, const uint8_t* sums, int64_t plane_stride) const;

  int planes_ = 1;

 private:
  std::vector<float> row_scale_;
  window_turn<void>* turn_ = nullptr;
  window_unturn<void>* unturn_ = nullptr;
};

}  // namespace rarefy
