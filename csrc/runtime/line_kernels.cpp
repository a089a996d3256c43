#include "line_kernels.h"

#include "../dispatch.h"

namespace rarefy {
namespace {

template <class Function>
bool take(const char* name, const char* set, Function*& function, std::string& error) {
  function = reinterpret_cast<Function*>(rarefy_kernel(name, set));
  if (function) return true;
  error = std::string("the library has no kernel ") + name + " for the set '" + set + "'";
  return false;
}

}  // namespace

bool LineKernels::find(const char* set, LineKernels& kernels, std::string& error) {
  if (!set) {
    error = "no instruction set was named";
    return false;
  }
  return take("pointwise_f32", set, kernels.pointwise, error) &&
         take("affine_lines_f32", set, kernels.affine_lines, error) &&
         take("affine_row_f32", set, kernels.affine_row, error) &&
         take("norm_lines_f32", set, kernels.norm_lines, error) &&
         take("norm_row_f32", set, kernels.norm_row, error) &&
         take("lines_of_tokens_f32", set, kernels.lines_of_tokens, error) &&
         take("tokens_of_lines_f32", set, kernels.tokens_of_lines, error);
}

int32_t pointwise_of(Op op) {
  switch (op) {
    case Op::relu: return kRelu;
    case Op::gelu: return kGelu;
    case Op::gelu_tanh: return kGeluTanh;
    case Op::silu: return kSilu;
    case Op::clamp: return kClamp;
    case Op::add: return kAdd;
    default: return kMul;
  }
}

}  // namespace rarefy
