#include "image_chain.h"

#include <algorithm>

#include "linear_chain.h"

namespace rarefy {
namespace {

// Images that a plan takes at once.
constexpr int64_t kBatches[] = {1, 4, 16};
constexpr int kPlans = 3;
constexpr size_t kMostSizes = 8;

bool is_sane(const rarefy_tensor& tensor, int rank) {
  if (tensor.rank != rank) return false;
  int64_t numbers = 1;
  for (int d = 0; d < rank; ++d) {
    if (tensor.size[d] < 0 || __builtin_mul_overflow(numbers, tensor.size[d], &numbers)) {
      return false;
    }
  }
  return numbers == 0 || tensor.data;
}

bool holds(const rarefy_tensor& tensor, int rank, const ImageShape& shape, int64_t images) {
  if (!is_sane(tensor, rank) || tensor.size[0] != images || tensor.size[1] != shape.channels) {
    return false;
  }
  return rank == 2 || (tensor.size[2] == shape.size[0] && tensor.size[3] == shape.size[1]);
}

// Multiply-adds of an image.
double work_of(const ImageGraph& graph, const std::vector<ImageShape>& shapes) {
  double work = 0;
  for (const ImageNode& node : graph.nodes) {
    work += static_cast<double>(shapes[node.out].numbers());
    if (!node.weight) continue;
    work += static_cast<double>(node.weight->tiles.nonzero) *
            static_cast<double>(shapes[node.out].pixels());
  }
  return work;
}

}  // namespace

std::unique_ptr<ImageChain> ImageChain::make(const Program& program, const Container& container,
                                             const char* set, std::string& error) {
  std::unique_ptr<ImageChain> made(new ImageChain(set ? set : ""));
  if (!ImageKernels::find(set, made->kernels_, error) ||
      !ImageGraph::make(program, container, made->graph_, error)) {
    return nullptr;
  }
  return made;
}

// Shapes of all registers, from those of the inputs; the outputs must fit them.
int ImageChain::shape_of(const rarefy_tensor* inputs, const rarefy_tensor* outputs,
                         std::vector<ImageShape>& shapes, int64_t& images) const {
  shapes.assign(graph_.ranks.size(), {});
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const int number = graph_.inputs[i], rank = graph_.ranks[number];
    if ((rank != 2 && rank != 4) || !is_sane(inputs[i], rank)) return kWrongShape;
    images = inputs[0].size[0];
    if (inputs[i].size[0] != images) return kWrongShape;
    shapes[number].channels = inputs[i].size[1];
    for (int side = 0; rank == 4 && side < 2; ++side) {
      shapes[number].size[side] = inputs[i].size[2 + side];
      if (inputs[i].size[2 + side] < 1) return kWrongShape;
    }
  }
  std::string error;
  if (!spread_shapes(graph_, shapes, error)) return kWrongShape;
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    const int number = graph_.outputs[i];
    if (!holds(outputs[i], graph_.ranks[number], shapes[number], images)) return kWrongShape;
  }
  return kDone;
}

// What is known of these sizes, kept for the next call; the least recently used one makes room.
std::shared_ptr<ImageChain::Sized> ImageChain::sized(const std::vector<ImageShape>& shapes) {
  std::shared_ptr<Sized> found;
  const auto find = [&] {
    ++calls_;
    for (const auto& known : sizes_) {
      if (!found && known->shapes == shapes) {
        known->used = calls_;
        found = known;
      }
    }
  };
  latch_.with(find);
  if (found) return found;
  auto made = std::make_shared<Sized>();
  made->shapes = shapes;
  made->work = work_of(graph_, shapes);
  for (int64_t images : kBatches) made->maps.push_back(choose_maps(graph_, shapes, images));
  made->plans.resize(kPlans);
  latch_.with([&] {
    find();
    if (found) return;
    found = made;
    made->used = calls_;
    if (sizes_.size() < kMostSizes) {
      sizes_.push_back(made);
      return;
    }
    auto oldest = std::min_element(
        sizes_.begin(), sizes_.end(),
        [](const auto& a, const auto& b) { return a->used < b->used; });
    *oldest = made;
  });
  return found ? found : made;
}

std::shared_ptr<const ImagePlan> ImageChain::plan(Sized& sized, int which, std::string& error) {
  std::shared_ptr<const ImagePlan> found;
  latch_.with([&] { found = sized.plans[which]; });
  if (found) return found;
  found = ImagePlan::make(graph_, sized.maps[which], sized.shapes, kBatches[which], products_,
                          error);
  if (!found) return nullptr;
  latch_.with([&] {
    if (sized.plans[which]) {
      found = sized.plans[which];
    } else {
      sized.plans[which] = found;
    }
  });
  return found;
}

// Full sixteens first. For the rest: fours and ones, or lanes of which some stay empty, whatever
// costs least.
bool ImageChain::divide(Sized& sized, int64_t images, std::vector<ImagePart>& parts,
                        std::string& error) {
  const auto cost = [&](int which, int64_t count) {
    return count ? sized.maps[which].cycles(count) : 0.;
  };
  int64_t first = 0;
  const auto add = [&](int which, int64_t count) {
    if (count == 0) return true;
    std::shared_ptr<const ImagePlan> of = plan(sized, which, error);
    parts.push_back({of, first, count});
    first += count;
    return of != nullptr;
  };
  for (; images - first >= kBatches[2];) {
    if (!add(2, kBatches[2])) return false;
  }
  const int64_t rest = images - first;
  const double ones = static_cast<double>(rest % 4) * cost(0, 1);
  const double mixed =
      static_cast<double>(rest / 4) * cost(1, 4) + std::min(ones, cost(1, rest % 4));
  const double alone = static_cast<double>(rest) * cost(0, 1);
  if (rest > 1 && cost(2, rest) <= std::min(mixed, alone)) return add(2, rest);
  bool good = true;
  if (rest > 1 && mixed <= alone) {
    while (good && first < images - rest % 4) good = add(1, 4);
    if (good && cost(1, rest % 4) <= ones) good = add(1, rest % 4);
  }
  while (good && first < images) good = add(0, 1);
  return good;
}

int ImageChain::run(const rarefy_tensor* inputs, int count, rarefy_tensor* outputs, int out_count,
                    int threads) {
  if (count != static_cast<int>(graph_.inputs.size()) ||
      out_count != static_cast<int>(graph_.outputs.size())) {
    return kWrongCount;
  }
  std::vector<ImageShape> shapes;
  int64_t images = 0;
  const int wrong = shape_of(inputs, outputs, shapes, images);
  if (wrong || images == 0) return wrong;
  const std::shared_ptr<Sized> known = sized(shapes);
  std::vector<ImagePart> parts;
  std::string error;
  if (!divide(*known, images, parts, error)) return kNoKernel;
  std::vector<const float*> in;
  std::vector<float*> out;
  for (int i = 0; i < count; ++i) in.push_back(inputs[i].data);
  for (int i = 0; i < out_count; ++i) out.push_back(outputs[i].data);
  const double pieces = known->work * static_cast<double>(images) / kLine;
  if (pieces < static_cast<double>(work_of_thread) * threads) {
    threads = static_cast<int>(pieces / static_cast<double>(work_of_thread));
  }
  std::unique_ptr<ImageWorkspace> workspace = shelf_.take();
  run_images(kernels_, parts, in, out, std::max(1, threads), *workspace);
  shelf_.put(std::move(workspace));
  return kDone;
}

}  // namespace rarefy
