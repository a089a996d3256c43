#include "image_plan.h"

#include <algorithm>

#include "image_layouts.h"
#include "image_memory.h"
#include "image_products.h"

namespace rarefy {
namespace {

class Planner {
 public:
  Planner(const ImageGraph& graph, const ImageMaps& maps, ImagePlan& plan, ImageProducts& products,
          std::string& error)
      : graph_(graph),
        plan_(plan),
        products_(products),
        error_(error),
        layouts_(graph, maps, plan.shapes) {}

  bool build() {
    if (!layouts_.arrange()) {
      error_ = "the images are too large for offsets of 31 bits";
      return false;
    }
    plan_.tensors = layouts_.tensors;
    copies_ = place_plains(graph_, layouts_.plain, plan_);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!add(static_cast<int>(i))) return false;
    }
    for (const auto& copy : copies_) {
      segment(0).steps.push_back({nullptr, copy.first, copy.second, nullptr, nullptr});
    }
    place_tensors(plan_);
    return true;
  }

 private:
  ImageSegment& segment(int64_t images) {
    if (plan_.segments.empty() || plan_.segments.back().images != images) {
      plan_.segments.push_back({images, {}, {}});
    }
    return plan_.segments.back();
  }

  // Where an action on so many channels may follow: the last group, or one without a convolution.
  ImageGroup& group(int64_t images, int64_t channels) {
    ImageSegment& at = segment(images);
    if (at.groups.empty() || at.groups.back().channels != channels) add_group(at, channels);
    return at.groups.back();
  }

  void add_group(ImageSegment& at, int64_t channels) {
    at.groups.emplace_back();
    at.groups.back().channels = channels;
    ++groups_;
  }

  // Marks a tensor as used by the present group.
  void touch(int id) {
    ImageTensor& tensor = plan_.tensors[id];
    const int now = static_cast<int>(plan_.segments.size()) - 1;
    if (tensor.segment < 0) {
      tensor.segment = now;
      tensor.first = groups_;
    }
    tensor.shared = tensor.shared || tensor.segment != now;
    tensor.last = groups_;
  }

  // Fills a copy of a register when it is first needed, in lanes of so many images.
  void ready(int number, int id) {
    const ImageTensor& tensor = plan_.tensors[id];
    if (tensor.segment >= 0) return;
    ImageGroup& to = group(tensor.layout.map.images, tensor.layout.channels);
    ImageAction action;
    action.to = id;
    if (layouts_.laned[number]) {
      action.kind = ActionKind::move;
      action.from = layouts_.copies[number][0];
      touch(action.from);
      ImageTensor& source = plan_.tensors[action.from];
      source.slot = source.layout.floats();
      const int64_t most = source.layout.map.images, step = tensor.layout.map.images;
      for (int64_t first = 0; first < std::max<int64_t>(most, 1); first += step) {
        action.moves.push_back(moves_between(source.layout, tensor.layout, source.slot, first));
      }
    } else {
      action.kind = ActionKind::split;
      action.from = number;
      action.strips = strips_to_split(tensor.layout);
    }
    touch(id);
    const bool split = action.kind == ActionKind::split;
    to.actions.push_back(std::move(action));
    if (split && covers(tensor.layout)) add_ring(id, to);
  }

  // The ring around the tiles, and what they hold outside of the image: no window that has no ring
  // reads that.
  void add_ring(int id, ImageGroup& to) {
    const LaneLayout& layout = plan_.tensors[id].layout;
    bool needed = false;
    for (int side = 0; side < 2; ++side) {
      needed = needed || layout.before[side] || layout.after[side];
    }
    if (!needed) return;
    ImageAction action;
    action.kind = ActionKind::move;
    action.from = action.to = id;
    action.moves.push_back(moves_of_ring(layout));
    to.actions.push_back(std::move(action));
  }

  // What follows as soon as a register lies in its lanes: its ring, and its place in torch's order.
  void follow(int number, int id, ImageGroup& to) {
    add_ring(id, to);
    if (plan_.plains[number].kind != ImagePlain::Kind::none) {
      ImageAction action;
      action.kind = ActionKind::join;
      action.from = id;
      action.to = number;
      action.strips = strips_to_join(plan_.tensors[id].layout);
      to.actions.push_back(std::move(action));
    }
  }

  bool add(int number) {
    const ImageNode& node = graph_.nodes[number];
    const ImageUse& use = layouts_.uses[number];
    if (use.images == 0) return add_step(node);
    ready(node.in, use.x);
    for (size_t i = 0; i < use.others.size(); ++i) {
      if (use.others[i] >= 0) ready(node.passes[i].other, use.others[i]);
    }
    if (node.kind == ImageKind::conv) return add_conv(node, use);
    add_action(node, use);
    return true;
  }

  bool add_conv(const ImageNode& node, const ImageUse& use) {
    const ImageTensor &x = plan_.tensors[use.x], &y = plan_.tensors[use.y];
    ImageSegment& at = segment(use.images);
    add_group(at, node.rows);
    touch(use.x);
    for (int id : use.others) {
      if (id >= 0) touch(id);
    }
    touch(use.y);
    ImageGroup& made = at.groups.back();
    made.conv = &node;
    made.x = use.x;
    made.y = use.y;
    made.others = use.others;
    made.staged = !node.passes.empty();
    if (made.staged) plan_.staged_rows = std::max(plan_.staged_rows, node.rows);
    made.product = products_.get(node, x.layout.plane, x.layout.pitch,
                                 made.staged ? kStagedPitch : y.layout.plane, error_);
    if (!made.product) return false;
    made.by_rows = made.product->blocks == node.weight->tiles.blocks;
    const ImageWindow& window = node.window;
    for (int64_t row = 0; row < y.layout.map.tile[0]; ++row) {
      for (int64_t column = 0; column < y.layout.map.tile[1]; ++column) {
        made.x_at.push_back(kLine * x.layout.line(row * window.stride[0] - window.pad[0],
                                                  column * window.stride[1] - window.pad[1]));
        made.y_at.push_back(kLine * y.layout.line(row, column));
      }
    }
    follow(node.out, use.y, made);
    return true;
  }

  void add_action(const ImageNode& node, const ImageUse& use) {
    ImageGroup& to = group(use.images, plan_.shapes[node.in].channels);
    ImageAction action;
    action.from = use.x;
    action.node = &node;
    touch(use.x);
    if (node.kind == ImageKind::mean) {
      action.kind = ActionKind::mean;
      action.to = node.out;
      action.kept = kept_of(plan_.tensors[use.x].layout);
      to.actions.push_back(std::move(action));
      return;
    }
    action.kind = node.kind == ImageKind::pool ? ActionKind::pool : ActionKind::pass;
    action.others = use.others;
    for (int id : use.others) {
      if (id >= 0) touch(id);
    }
    action.to = use.y;
    touch(use.y);
    to.actions.push_back(std::move(action));
    follow(node.out, use.y, to);
  }

  bool add_step(const ImageNode& node) {
    if (node.kind == ImageKind::flatten) return true;  // shares its input's place
    ImageStep step;
    step.node = &node;
    step.from = node.in;
    step.to = node.out;
    if (node.kind == ImageKind::linear) {
      step.few = products_.few(node, error_);
      if (!step.few) return false;
      if (plan_.images > kFewImages) step.product = products_.get(node, 1, 1, 1, error_);
      if (plan_.images > kFewImages && !step.product) return false;
    }
    plan_.scratch_floats = std::max(plan_.scratch_floats, step_floats(step));
    segment(0).steps.push_back(step);
    return true;
  }

  const ImageGraph& graph_;
  ImagePlan& plan_;
  ImageProducts& products_;
  std::string& error_;
  ImageLayouts layouts_;
  std::vector<std::pair<int, int>> copies_;  // register, output
  int groups_ = 0;
};

}  // namespace

std::unique_ptr<ImagePlan> ImagePlan::make(const ImageGraph& graph, const ImageMaps& maps,
                                           std::vector<ImageShape> shapes, int64_t images,
                                           ImageProducts& products, std::string& error) {
  auto plan = std::make_unique<ImagePlan>();
  plan->shapes = std::move(shapes);
  plan->images = images;
  if (!Planner(graph, maps, *plan, products, error).build()) return nullptr;
  return plan;
}

}  // namespace rarefy
