// The kernels on lines and rows of one instruction set.
#pragma once

#include <string>

#include "../kernels/lines.h"
#include "program.h"

namespace rarefy {

struct LineKernels {
  rarefy::pointwise<float>* pointwise = nullptr;
  rarefy::affine_lines<float>* affine_lines = nullptr;
  rarefy::affine_row<float>* affine_row = nullptr;
  rarefy::norm_lines<float>* norm_lines = nullptr;
  rarefy::norm_row<float>* norm_row = nullptr;
  rarefy::lines_of_tokens<float>* lines_of_tokens = nullptr;
  rarefy::tokens_of_lines<float>* tokens_of_lines = nullptr;

  // False, and one line, where the library has no such set.
  static bool find(const char* set, LineKernels& kernels, std::string& error);
};

// The operation of the pointwise kernel that a step asks for.
int32_t pointwise_of(Op op);

}  // namespace rarefy
