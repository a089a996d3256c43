// The forms of a weight in low precision; only for window*.cpp.
#pragma once
#include "window.h"

namespace rarefy {

// The set that holds the vector kernels of low precision; the others hold plain loops.
constexpr const char* kWindowSet = "v4n";

// Bytes between two tokens' activations: lines, at least the two of a wide window, and no distance
// at which tokens share the same few places of the first cache.
int64_t token_stride(int32_t kind, int64_t columns);

// What windows and tiles share: tokens one after another, each with its scale.
class TokenMajor : public Window {
 public:
  int64_t prepared_bytes(int64_t tokens) const override;
  int pieces(int64_t tokens) const override;
  void prepare(int first, int last, const float* x, int64_t x_stride, int64_t tokens,
               uint8_t* prepared) const override;
  void run(int first, int last, const uint8_t* prepared, int64_t tokens, float* y, int64_t y_stride,
           const float* bias, bool relu) const override;

 protected:
  // `slots`: rows with their padding.
  bool take(const Quantized& weight, const char* set, int64_t slots, std::string& error);
  virtual void multiply(const WindowCall& call) const = 0;
  // Groups that run over some tokens before the next ones do, so that their bytes stay in a cache.
  virtual int64_t groups_at_once(int64_t first, int64_t last, int64_t tokens) const = 0;
  // Bytes that `multiply` works in.
  virtual int64_t space(int64_t) const { return 0; }

  bool fills_up_ = false;  // tokens that are missing in a piece must be there, as zeros
  int64_t stride_ = 0;
  TokenRule rule_{};
  window_take<void>* take_ = nullptr;
  std::vector<float> row_scale_;       // by slot
  std::vector<int32_t> correction_;    // by slot
  std::vector<int32_t> order_;         // row of every slot; empty: the slot itself
};

std::unique_ptr<Window> make_lines(const Quantized& weight, const char* set, int lines,
                                   std::string& error);
std::unique_ptr<Window> make_tiles(const Quantized& weight, const char* set, bool dense,
                                   std::string& error);
std::unique_ptr<Window> make_lists(const Quantized& weight, const char* set, std::string& error);
std::unique_ptr<Window> make_code(const Quantized& weight, const char* set, std::string& error);

// Whether CPU and system let this process multiply tiles; asks the system once.
bool can_use_tiles();
// Whether this CPU calculates in float16.
bool has_half_arithmetic();

// The kernel `name` of a set; null and one line where there is none.
void* window_kernel(const std::string& name, const char* set, std::string& error);

}  // namespace rarefy
