// A chain of layers as text, one step a line, parsed and checked. See program.cpp for the grammar.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rarefy {

enum class Op {
  linear, conv, affine, relu, gelu, gelu_tanh, silu, clamp, add, mul, norm, max_pool, mean, flatten
};

const char* name_of(Op op);

// One step. What an op does not have keeps its default.
struct Step {
  Op op = Op::relu;
  int line = 0;            // in the text, from 1
  int out = -1;            // register written
  int inputs[2] = {-1, -1};
  int input_count = 0;
  int section = -1;        // the weight; affine: scale and shift; norm: gamma and beta
  int bias = -1;           // section of the bias; -1: none
  int64_t rows = 0;        // outputs (linear, conv); channels (affine); features (norm)
  int64_t columns = 0;     // inputs (linear, conv: channels, without the kernel)
  int64_t kernel[2] = {1, 1};  // conv: kh, kw; max_pool: size
  int64_t stride[2] = {1, 1};
  int64_t pad[2] = {0, 0};
  double low = 0, high = 0;  // clamp
  double epsilon = 0;        // norm
};

// What the text alone says of a register's shape; -1 where only the inputs can tell.
struct Register {
  int rank = -1;              // -1: there is no such register
  int64_t features = -1;      // size of the last dimension
  int64_t channels = -1;      // size of dimension 1
};

struct Program {
  std::vector<int> inputs;    // registers, in the order of the call
  std::vector<Step> steps;    // in the order of the text; inputs and outputs are no steps
  std::vector<int> outputs;   // registers, in the order of the answer
  std::vector<Register> registers;

  bool has(Op op) const;
  // False, and one line in `error`, where the text is no valid program: an unknown word, a register
  // that is used before it is written or written twice, shapes that contradict each other.
  static bool parse(const char* text, Program& program, std::string& error);
};

// The part of parse that looks at shapes: fills `registers` from the steps, or finds a conflict.
bool infer_shapes(Program& program, std::string& error);

}  // namespace rarefy
