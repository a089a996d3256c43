#include "image_graph.h"

#include <utility>

namespace rarefy {
namespace {

class Builder {
 public:
  Builder(const Program& program, const Container& container, ImageGraph& graph,
          std::string& error)
      : program_(program), container_(container), graph_(graph), error_(error) {}

  bool build() {
    graph_.inputs = program_.inputs;
    graph_.outputs = program_.outputs;
    for (const Register& found : program_.registers) graph_.ranks.push_back(found.rank);
    uses_.resize(program_.registers.size());
    maker_.resize(program_.registers.size(), -1);
    for (int number : program_.outputs) uses_[number] += 2;  // kept apart, never fused away
    for (const Step& step : program_.steps) {
      for (int i = 0; i < step.input_count; ++i) ++uses_[step.inputs[i]];
    }
    for (const Step& step : program_.steps) {
      if (!add(step)) return false;
    }
    for (ImageNode& node : graph_.nodes) settle(node);
    return true;
  }

 private:
  bool wrong(const Step& step, const std::string& what) {
    error_ = "line " + std::to_string(step.line) + " of the program: " + name_of(step.op) + ": " +
             what;
    return false;
  }

  bool add(const Step& step) {
    for (int i = 0; i < step.input_count; ++i) {
      const int rank = program_.registers[step.inputs[i]].rank;
      if (rank != 2 && rank != 4) return wrong(step, "an image program has ranks 2 and 4 only");
    }
    switch (step.op) {
      case Op::conv: return add_product(step, ImageKind::conv);
      case Op::linear: return add_product(step, ImageKind::linear);
      case Op::affine: return add_affine(step);
      case Op::max_pool: return add_node(step, ImageKind::pool);
      case Op::mean: return add_node(step, ImageKind::mean);
      case Op::flatten: return add_node(step, ImageKind::flatten);
      case Op::norm: return wrong(step, "it is no step of an image program");
      case Op::add: return add_combined(step, LaneCombine::add);
      case Op::mul: return add_combined(step, LaneCombine::multiply);
      default: return add_act(step);
    }
  }

  bool add_node(const Step& step, ImageKind kind) {
    ImageNode node;
    node.kind = kind;
    node.in = step.inputs[0];
    node.out = step.out;
    node.rows = step.rows;
    node.columns = step.columns;
    for (int side = 0; side < 2; ++side) {
      node.window.size[side] = step.kernel[side];
      node.window.stride[side] = step.stride[side];
      node.window.pad[side] = step.pad[side];
    }
    maker_[step.out] = static_cast<int>(graph_.nodes.size());
    graph_.nodes.push_back(std::move(node));
    return true;
  }

  bool add_product(const Step& step, ImageKind kind) {
    if (kind == ImageKind::linear && program_.registers[step.inputs[0]].rank != 2) {
      return wrong(step, "in an image program its input has 2 dimensions");
    }
    auto weight = std::make_shared<ImageWeight>();
    const Section* const section = container_.find(step.section, "tiles", error_);
    if (!section) return false;
    if (!Tiles::view(section->data, section->size, weight->tiles, error_)) return false;
    const int64_t columns = step.columns * step.kernel[0] * step.kernel[1];
    if (weight->tiles.rows != step.rows || weight->tiles.columns != columns) {
      return wrong(step, "its weight has other sizes than the program tells");
    }
    weight->bias.assign(step.rows, 0.f);
    if (step.bias >= 0 && !container_.floats(step.bias, step.rows, weight->bias, error_)) {
      return false;
    }
    add_node(step, kind);
    graph_.nodes.back().weight = weight;
    return true;
  }

  // The node that makes a register nobody else reads, so that what is done next can be part of it.
  ImageNode* open(int number) {
    if (maker_[number] < 0 || uses_[number] != 1) return nullptr;
    ImageNode& node = graph_.nodes[maker_[number]];
    const bool fits = node.kind == ImageKind::conv || node.kind == ImageKind::linear ||
                      node.kind == ImageKind::pointwise;
    return fits ? &node : nullptr;
  }

  // The node that what is done to a register becomes part of: an open one, or one of its own.
  ImageNode& open_or_new(const Step& step, int number) {
    ImageNode* node = open(number);
    if (!node) {
      Step alone = step;
      alone.inputs[0] = number;
      add_node(alone, ImageKind::pointwise);
      return graph_.nodes.back();
    }
    maker_[step.out] = maker_[number];
    node->out = step.out;
    return *node;
  }

  bool add_affine(const Step& step) {
    std::vector<float> both;
    if (!container_.floats(step.section, 2 * step.rows, both, error_)) return false;
    std::vector<float> scale(both.begin(), both.begin() + step.rows);
    std::vector<float> shift(both.begin() + step.rows, both.end());
    ImageNode& node = open_or_new(step, step.inputs[0]);
    if (node.weight && node.passes.empty()) {
      ImageWeight& weight = *node.weight;
      weight.scale.resize(step.rows, 1.f);
      for (int64_t r = 0; r < step.rows; ++r) {
        weight.scale[r] *= scale[r];
        weight.bias[r] = weight.bias[r] * scale[r] + shift[r];
      }
      return true;
    }
    node.passes.emplace_back();
    node.passes.back().scale = std::move(scale);
    node.passes.back().shift = std::move(shift);
    return true;
  }

  bool add_act(const Step& step) {
    ImageNode& node = open_or_new(step, step.inputs[0]);
    if (node.passes.empty() || node.passes.back().acts) node.passes.emplace_back();
    ImagePass& pass = node.passes.back();
    pass.acts = true;
    pass.act = step.op;
    pass.low = static_cast<float>(step.low);
    pass.high = static_cast<float>(step.high);
    return true;
  }

  // Becomes part of the operand that is made last: there the other one is already known.
  bool add_combined(const Step& step, LaneCombine combine) {
    int first = step.inputs[0], second = step.inputs[1];
    if (maker_[second] > maker_[first]) std::swap(first, second);
    if (maker_[first] == maker_[second] || !open(first)) {
      // Neither can take it in, or only the earlier one, for which it would come too early.
      Step alone = step;
      alone.inputs[0] = first;
      add_node(alone, ImageKind::pointwise);
    } else {
      open_or_new(step, first);
    }
    ImageNode& node = graph_.nodes[maker_[step.out]];
    if (node.passes.empty() || node.passes.back().acts ||
        node.passes.back().combine != LaneCombine::none) {
      node.passes.emplace_back();
    }
    node.passes.back().combine = combine;
    node.passes.back().other = second;
    return true;
  }

  // What a product does by itself is no pass.
  static void settle(ImageNode& node) {
    if (!node.weight) return;
    ImageWeight& weight = *node.weight;
    if (!weight.scale.empty()) weight.tiles = weight.tiles.scaled(weight.scale.data());
    if (node.passes.empty()) return;
    const ImagePass& first = node.passes.front();
    if (!first.scale.empty() || first.combine != LaneCombine::none || first.act != Op::relu) return;
    node.relu = true;
    node.passes.erase(node.passes.begin());
  }

  const Program& program_;
  const Container& container_;
  ImageGraph& graph_;
  std::string& error_;
  std::vector<int> uses_, maker_;
};

}  // namespace

bool ImageGraph::make(const Program& program, const Container& container, ImageGraph& graph,
                      std::string& error) {
  return Builder(program, container, graph, error).build();
}

}  // namespace rarefy
