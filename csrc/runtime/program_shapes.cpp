// What the text of a program says of shapes: sizes that must be equal are joined, and a size that
// is told twice must be told alike.
#include <numeric>

#include "program.h"

namespace rarefy {
namespace {

class Shapes {
 public:
  Shapes(Program& program, std::string& error) : program_(program), error_(error) {}

  bool infer() {
    const size_t count = program_.registers.size();
    last_.resize(count, -1);
    second_.resize(count, -1);
    for (int number : program_.inputs) give(number, program_.registers[number].rank);
    for (const Step& step : program_.steps) {
      step_ = &step;
      if (!(is_image(step.op) ? image(step) : plain(step))) return false;
    }
    for (size_t r = 0; r < count; ++r) {
      if (program_.registers[r].rank < 0) continue;
      program_.registers[r].features = size_[root(last_[r])];
      program_.registers[r].channels = second_[r] < 0 ? -1 : size_[root(second_[r])];
    }
    return true;
  }

 private:
  static bool is_image(Op op) {
    return op == Op::conv || op == Op::affine || op == Op::max_pool || op == Op::mean ||
           op == Op::flatten;
  }

  bool wrong(const std::string& what) {
    error_ = "line " + std::to_string(step_->line) + " of the program: " + name_of(step_->op) +
             " r" + std::to_string(step_->out) + ": " + what;
    return false;
  }

  int fresh(int64_t size = -1) {
    parent_.push_back(static_cast<int>(parent_.size()));
    size_.push_back(size);
    return parent_.back();
  }

  int root(int dim) {
    while (parent_[dim] != dim) dim = parent_[dim] = parent_[parent_[dim]];
    return dim;
  }

  bool join(int a, int b, const char* what) {
    a = root(a);
    b = root(b);
    if (size_[a] >= 0 && size_[b] >= 0 && size_[a] != size_[b]) {
      return wrong(std::string(what) + " " + std::to_string(size_[a]) + " and " +
                   std::to_string(size_[b]) + " must be equal");
    }
    const int64_t size = size_[a] >= 0 ? size_[a] : size_[b];
    parent_[a] = b;
    size_[b] = size;
    return true;
  }

  bool is(int dim, int64_t size, const char* what) {
    dim = root(dim);
    if (size_[dim] >= 0 && size_[dim] != size) {
      return wrong(std::string(what) + " is " + std::to_string(size_[dim]) + ", wanted " +
                   std::to_string(size));
    }
    size_[dim] = size;
    return true;
  }

  // A register of this rank whose sizes are not known yet.
  void give(int number, int rank) {
    program_.registers[number].rank = rank;
    last_[number] = fresh();
    second_[number] = rank < 2 ? -1 : rank == 2 ? last_[number] : fresh();
  }

  // The output has its input's shape.
  void same(const Step& step) {
    program_.registers[step.out].rank = rank(step, 0);
    last_[step.out] = last_[step.inputs[0]];
    second_[step.out] = second_[step.inputs[0]];
  }

  int rank(const Step& step, int input) const {
    return program_.registers[step.inputs[input]].rank;
  }

  // Linear, norm and what works number by number.
  bool plain(const Step& step) {
    const int in = step.inputs[0];
    if (step.op == Op::linear) {
      if (!is(last_[in], step.columns, "the number of features")) return false;
      give(step.out, rank(step, 0));
      if (rank(step, 0) > 2) second_[step.out] = second_[in];
      return is(last_[step.out], step.rows, "the number of features");
    }
    same(step);
    if (step.op == Op::norm) return is(last_[in], step.rows, "the number of features");
    if (step.input_count == 1) return true;
    const int other = step.inputs[1];
    if (rank(step, 0) != rank(step, 1)) return wrong("its inputs have different ranks");
    return join(last_[in], last_[other], "the last sizes of its inputs,") &&
           (second_[in] < 0 || join(second_[in], second_[other], "the channels of its inputs,"));
  }

  bool image(const Step& step) {
    const int in = step.inputs[0], given = rank(step, 0);
    if (step.op == Op::affine) {
      if (given < 2) return wrong("its input must have a dimension 1");
      same(step);
      return is(second_[in], step.rows, "the number of channels");
    }
    if (step.op == Op::flatten) return flatten(step);
    if (given != 4) return wrong("its input must have 4 dimensions");
    give(step.out, 4);
    if (step.op == Op::conv) {
      return is(second_[in], step.columns, "the number of channels") &&
             is(second_[step.out], step.rows, "the number of channels");
    }
    second_[step.out] = second_[in];
    if (step.op == Op::mean) {
      single_.push_back(step.out);
      return is(last_[step.out], 1, "the width");
    }
    if (2 * step.pad[0] > step.kernel[0] || 2 * step.pad[1] > step.kernel[1]) {
      return wrong("pad must be at most half of size");
    }
    return true;
  }

  bool flatten(const Step& step) {
    const int in = step.inputs[0];
    if (rank(step, 0) < 2) return wrong("its input must have a dimension 1");
    give(step.out, 2);
    bool single = rank(step, 0) == 2;
    for (int number : single_) single = single || number == in;
    if (single) last_[step.out] = second_[step.out] = second_[in];
    return true;
  }

  Program& program_;
  std::string& error_;
  const Step* step_ = nullptr;
  std::vector<int> parent_, last_, second_;
  std::vector<int64_t> size_;
  std::vector<int> single_;  // registers of height and width 1
};

}  // namespace

bool infer_shapes(Program& program, std::string& error) { return Shapes(program, error).infer(); }

}  // namespace rarefy
