// From the steps of a program to parts, and from registers to places in the arena.
#include "chain.h"

#include <algorithm>

namespace rarefy {
namespace {

bool is_point(Op op) {
  switch (op) {
    case Op::relu:
    case Op::gelu:
    case Op::gelu_tanh:
    case Op::silu:
    case Op::clamp:
    case Op::add:
    case Op::mul:
    case Op::affine:
      return true;
    default:
      return false;
  }
}

class Lowering {
 public:
  Lowering(const Program& program, Chain& chain) : program_(program), chain_(chain) {
    const size_t count = program.registers.size();
    uses_.resize(count, 0);
    entered_.resize(count, true);
    for (const Step& step : program.steps) {
      for (int i = 0; i < step.input_count; ++i) ++uses_[step.inputs[i]];
    }
    for (int r : program.outputs) ++uses_[r];
    for (int r : program.inputs) entered_[r] = false;
  }

  void run() {
    for (size_t s = 0; s < program_.steps.size(); ++s) add(static_cast<int>(s));
    for (int r : program_.inputs) {
      if (is_output(r)) enter(r, chain_.parts.size());
    }
    leave();
  }

 private:
  int64_t features(int r) const { return chain_.features[r]; }

  bool is_output(int r) const {
    return std::count(program_.outputs.begin(), program_.outputs.end(), r) > 0;
  }

  // An input is brought in just before the first part that reads it.
  void enter(int r, size_t before) {
    if (entered_[r]) return;
    entered_[r] = true;
    Part part;
    part.stage = Stage::enter;
    part.out = r;
    part.features = features(r);
    part.number = static_cast<int>(
        std::find(program_.inputs.begin(), program_.inputs.end(), r) - program_.inputs.begin());
    chain_.parts.insert(chain_.parts.begin() + before, part);
  }

  void add(int s) {
    const Step& step = program_.steps[s];
    if (step.op == Op::relu && fuse_relu(step)) return;
    const bool follows = is_point(step.op) && !chain_.parts.empty() &&
                         chain_.parts.back().features == features(step.out);
    for (int i = 0; i < step.input_count; ++i) {
      enter(step.inputs[i], chain_.parts.size() - (follows ? 1 : 0));
    }
    if (!follows) {
      Part part;
      part.stage = step.op == Op::linear ? Stage::multiply
                   : step.op == Op::norm ? Stage::norm
                                         : Stage::point;
      part.features = features(step.out);
      if (part.stage != Stage::point) {
        part.step = s;
        part.in = step.inputs[0];
        part.out = step.out;
      }
      chain_.parts.push_back(part);
    }
    if (!is_point(step.op)) return;
    const int b = step.input_count == 2 ? step.inputs[1] : step.inputs[0];
    chain_.parts.back().points.push_back({step.op, s, step.inputs[0], b, step.out});
  }

  // A ReLU that alone reads a product is part of it.
  bool fuse_relu(const Step& step) {
    if (chain_.parts.empty()) return false;
    Part& part = chain_.parts.back();
    if (part.stage != Stage::multiply || part.relu || !part.points.empty() ||
        part.out != step.inputs[0] || uses_[part.out] != 1) {
      return false;
    }
    part.relu = true;
    part.out = step.out;
    return true;
  }

  // Every output is written out right after the part that makes it, while it is near.
  void leave() {
    for (size_t o = 0; o < program_.outputs.size(); ++o) {
      Part part;
      part.stage = Stage::leave;
      part.in = program_.outputs[o];
      part.number = static_cast<int>(o);
      part.features = features(part.in);
      size_t place = chain_.parts.size();
      while (place > 0 && !writes(chain_.parts[place - 1], part.in)) --place;
      chain_.parts.insert(chain_.parts.begin() + place, part);
    }
  }

  static bool writes(const Part& part, int r) {
    for (const Point& point : part.points) {
      if (point.out == r) return true;
    }
    return part.stage != Stage::leave && part.out == r;
  }

  const Program& program_;
  Chain& chain_;
  std::vector<int> uses_;
  std::vector<bool> entered_;
};

// First fit over the parts; a place is free again after the last part that reads its register. What
// works on each feature alone takes the place of an operand that nobody reads afterwards.
class Placing {
 public:
  explicit Placing(Chain& chain) : chain_(chain), last_(chain.features.size(), -1) {
    chain_.offset.assign(chain.features.size(), -1);
    int now = 0;
    for (const Part& part : chain.parts) {
      if (part.in >= 0) last_[part.in] = now;
      if (part.out >= 0) last_[part.out] = std::max(last_[part.out], now);
      ++now;
      for (const Point& point : part.points) {
        last_[point.a] = last_[point.b] = now;
        last_[point.out] = std::max(last_[point.out], now);
        ++now;
      }
    }
  }

  void run() {
    int now = 0;
    for (const Part& part : chain_.parts) {
      const int begin = now;
      if (part.out >= 0) place(part.out, part.stage == Stage::norm ? part.in : -1, -1, now);
      ++now;
      // While some rows of a product are done, others still read all of its input.
      const int read = part.stage == Stage::multiply ? part.in : -1;
      for (const Point& point : part.points) {
        place(point.out, point.a == read ? -1 : point.a, point.b == read ? -1 : point.b, now);
        ++now;
      }
      release(begin, now);
    }
  }

 private:
  static int64_t rounded(int64_t features) { return (features + 15) / 16 * 16; }

  void place(int r, int a, int b, int now) {
    for (int operand : {a, b}) {
      if (operand < 0 || last_[operand] != now || chain_.features[operand] != chain_.features[r]) {
        continue;
      }
      chain_.offset[r] = chain_.offset[operand];
      last_[operand] = -1;  // its place has a new owner
      owners_.push_back(r);
      return;
    }
    int64_t at = 0;
    const int64_t size = rounded(chain_.features[r]);
    for (bool moved = true; moved;) {
      moved = false;
      for (int owner : owners_) {
        const int64_t begin = chain_.offset[owner];
        const int64_t end = begin + rounded(chain_.features[owner]);
        if (last_[owner] < 0 || at >= end || at + size <= begin) continue;
        at = end;
        moved = true;
      }
    }
    chain_.offset[r] = at;
    chain_.room = std::max(chain_.room, at + size);
    owners_.push_back(r);
  }

  void release(int begin, int end) {
    for (int owner : owners_) {
      if (last_[owner] >= begin && last_[owner] < end) last_[owner] = -1;
    }
    owners_.erase(std::remove_if(owners_.begin(), owners_.end(),
                                 [this](int owner) { return last_[owner] < 0; }),
                  owners_.end());
  }

  Chain& chain_;
  std::vector<int> last_;    // moment of the last use; -1 once the place is free
  std::vector<int> owners_;  // registers that lie in the arena
};

}  // namespace

bool is_linear(const Program& program) {
  for (const Step& step : program.steps) {
    if (step.op == Op::affine && program.registers[step.inputs[0]].rank != 2) return false;
    if (step.op != Op::linear && step.op != Op::norm && !is_point(step.op)) return false;
  }
  return true;
}

bool spread_features(const Program& program, const std::vector<int64_t>& inputs,
                     std::vector<int64_t>& features, std::string& error) {
  features.assign(program.registers.size(), -1);
  for (size_t r = 0; r < features.size(); ++r) features[r] = program.registers[r].features;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const int r = program.inputs[i];
    if (inputs[i] >= 0 && features[r] >= 0 && inputs[i] != features[r]) {
      error = "input " + std::to_string(i) + " has " + std::to_string(inputs[i]) +
              " features, wanted " + std::to_string(features[r]);
      return false;
    }
    if (inputs[i] >= 0) features[r] = inputs[i];
  }
  for (const Step& step : program.steps) {
    if (features[step.out] < 0) features[step.out] = features[step.inputs[0]];
    if (step.input_count == 2 && features[step.inputs[0]] != features[step.inputs[1]]) {
      error = "line " + std::to_string(step.line) + " of the program: " + name_of(step.op) +
              " is given " + std::to_string(features[step.inputs[0]]) + " and " +
              std::to_string(features[step.inputs[1]]) + " features";
      return false;
    }
  }
  return true;
}

Chain lower(const Program& program, std::vector<int64_t> features) {
  Chain chain;
  chain.features = std::move(features);
  Lowering(program, chain).run();
  Placing(chain).run();
  for (size_t p = 0; p < chain.parts.size(); ++p) {
    if (chain.parts[p].stage == Stage::multiply) chain.products.push_back(static_cast<int>(p));
  }
  return chain;
}

}  // namespace rarefy
