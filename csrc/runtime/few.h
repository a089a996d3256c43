// A sparse matrix made ready to multiply a few tokens, in torch's layout on both sides.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "few_lists.h"

namespace rarefy {

struct Few {
  // The kind that suits the matrix, the CPU and calls of about so many tokens; null and an error
  // where `set` has no kernels. What it picks depends on nothing else, so that bits do not.
  static std::unique_ptr<Few> make(const Tiles& tiles, const char* set, std::string& error,
                                   int64_t tokens = 4);
  // That kind; null and an error where it cannot hold this matrix or `set` has no kernel for it.
  static std::unique_ptr<Few> make_as(FewKind kind, const Tiles& tiles, const char* set,
                                      std::string& error);

  int64_t rows = 0, columns = 0;
  // Groups of rows, which threads share by their work.
  int64_t parts = 0;

  FewKind kind() const { return parts_.form.kind; }
  const char* name() const;
  // Multiply-adds a token of a part, empty slots included; and the bytes held.
  int64_t work(int64_t part) const { return parts_.slots(part); }
  int64_t bytes() const { return parts_.bytes(); }

  // y[t * y_stride + r] = bias[r] + sum over k of w[r, k] x[t * x_stride + k] for the rows of
  // parts [first, last) and any number of tokens; no bias where it is null; `relu` keeps the
  // positive part and NaN. Parts write different rows, in no order. Reads x[0 .. columns) of each
  // token only; x, y and bias need no alignment, though x reads faster where it begins a line.
  void run(int64_t first, int64_t last, const float* x, int64_t x_stride, float* y,
           int64_t y_stride, int64_t tokens, const float* bias, bool relu) const;

 private:
  static std::unique_ptr<Few> make_from(FewKind kind, const Lists& lists, const char* set,
                                        std::string& error);

  FewParts parts_;
  few<float>* kernel_ = nullptr;
};

}  // namespace rarefy
