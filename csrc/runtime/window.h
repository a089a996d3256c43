// A sparse weight in low precision, ready to multiply tokens: y = x W^T + bias, token-major.
//
// One stored weight runs in several forms, and which is fastest is measured when it is made:
//   narrow, wide   windows of one and of two cache lines of a token (kernels/window.cpp)
//   tiles, masks   tiles, for CPUs that multiply them (kernels/window_tiles.cpp): as they are
//                  multiplied, or as bits and values
//   lists, code    float16 arithmetic, from lists (kernels/window_lists.cpp) or as generated code
// For the integer kinds every form, set and number of threads gives the same bits.
//
// A product has two halves, each of which may be split among threads: `prepare` makes the tokens
// ready, piece by piece; once all of it is done, `run` multiplies, unit by unit.
//
// A token with an infinite or NaN activation becomes NaN in every output: low precision has no
// place for such a number. One whose activations are all below 1e-30 counts as zero.
#pragma once
#include <memory>

#include "window_section.h"

namespace rarefy {

struct WindowWish {
  const char* set = "";    // of kernels
  const char* form = "";   // a form by name; empty: the fastest here
  int64_t tokens = 32;     // for which it shall be fast; any number runs
};

class Window {
 public:
  virtual ~Window() = default;

  // Null, and one line in `error`, where the section is damaged or the form does not run here.
  static std::unique_ptr<Window> make(const uint8_t* section, int64_t size, const WindowWish& wish,
                                      std::string& error);

  int64_t rows = 0, columns = 0;
  int32_t kind = kW8A8;

  virtual const char* form() const = 0;
  // Bytes held.
  virtual int64_t bytes() const = 0;

  // Bytes that `prepare` fills; the buffer begins at a multiple of 64.
  virtual int64_t prepared_bytes(int64_t tokens) const = 0;
  virtual int pieces(int64_t tokens) const = 0;
  virtual void prepare(int first, int last, const float* x, int64_t x_stride, int64_t tokens,
                       uint8_t* prepared) const = 0;

  // Runs of rows that one thread takes, and what each costs, in any unit.
  virtual int units() const = 0;
  virtual int64_t work(int unit) const = 0;
  // Writes the rows of units [first, last): all of y over all units. Strides are in floats; `bias`
  // has a float a row, or is null; `relu` keeps the positive part, and NaN.
  virtual void run(int first, int last, const uint8_t* prepared, int64_t tokens, float* y,
                   int64_t y_stride, const float* bias, bool relu) const = 0;
};

// The whole product with the library's own threads; `prepared` has prepared_bytes(tokens).
void window_product(const Window& window, const float* x, int64_t x_stride, int64_t tokens,
                    float* y, int64_t y_stride, const float* bias, bool relu, uint8_t* prepared,
                    int threads);

}  // namespace rarefy

// The same for callers without C++: a weight, its form, its product. `form` is empty or a name;
// null and one line in `error` as for Window::make.
RAREFY_EXPORT void* rarefy_window_new(const uint8_t* section, int64_t size, const char* set,
                                      const char* form, int64_t tokens, char* error,
                                      int64_t error_size);
RAREFY_EXPORT const char* rarefy_window_form(const void* window);
RAREFY_EXPORT int64_t rarefy_window_bytes(const void* window);
// x: [tokens][columns], y: [tokens][rows], contiguous. 0, or -1 where there is no memory.
RAREFY_EXPORT int rarefy_window_run(const void* window, const float* x, int64_t tokens, float* y,
                                    const float* bias, int relu, int threads);
RAREFY_EXPORT void rarefy_window_free(void* window);
