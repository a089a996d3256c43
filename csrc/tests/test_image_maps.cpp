// Image programs over maps of lanes drawn at random, size by size: whatever the choice of maps is
// worth, the results must be the same plain loops'. Fails if nothing ran.
#include "image_check.h"

namespace {

using cases::Held;
using cases::ImageCase;
using cases::residual;

std::mt19937 generator(11);

int64_t any(int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(generator);
}

rarefy::LaneMap any_map(const rarefy::ImageShape& shape) {
  rarefy::LaneMap map;
  map.images = int64_t{1} << any(0, 4);
  const int64_t lanes = rarefy::kLine / map.images;
  map.tiles[0] = any(1, std::min(lanes, shape.size[0]));
  map.tiles[1] = any(1, std::min(lanes / map.tiles[0], shape.size[1]));
  for (int side = 0; side < 2; ++side) {
    map.tile[side] = (shape.size[side] + map.tiles[side] - 1) / map.tiles[side];
  }
  return map;
}

int64_t side_of(const cases::Numbers& numbers, size_t side) {
  return side < numbers.size.size() ? numbers.size[side] : 1;
}

void run(const ImageCase& of, int64_t images, const std::string& what) {
  rarefy::Program program;
  rarefy::Container container;
  rarefy::ImageGraph graph;
  rarefy::ImageKernels kernels;
  std::string error;
  const char* const set = rarefy_set(0);
  cases::expect(of.parse(program, container, error) &&
                    rarefy::ImageGraph::make(program, container, graph, error) &&
                    rarefy::ImageKernels::find(set, kernels, error),
                what + ": " + error);
  std::vector<rarefy::ImageShape> shapes(of.values.size());
  rarefy::ImageMaps maps;
  for (size_t r = 0; r < shapes.size(); ++r) {
    shapes[r].channels = of.values[r].size[1];
    for (size_t side = 0; side < 2; ++side) shapes[r].size[side] = side_of(of.values[r], 2 + side);
    maps.of_size.emplace(std::make_pair(shapes[r].size[0], shapes[r].size[1]), any_map(shapes[r]));
  }
  rarefy::ImageProducts products(set);
  std::shared_ptr<const rarefy::ImagePlan> plan =
      rarefy::ImagePlan::make(graph, maps, shapes, 16, products, error);
  cases::expect(plan != nullptr, what + ": " + error);
  Held inputs(of, of.inputs, true);
  for (int threads : {1, 2}) {
    Held outputs(of, of.outputs, false);
    rarefy::ImageWorkspace workspace;
    std::vector<rarefy::ImagePart> parts;
    for (int64_t first = 0; first < images; first += 16) {
      parts.push_back({plan, first, std::min<int64_t>(16, images - first)});
    }
    std::vector<const float*> in;
    std::vector<float*> out;
    for (const rarefy_tensor& tensor : inputs.tensors) in.push_back(tensor.data);
    for (const rarefy_tensor& tensor : outputs.tensors) out.push_back(tensor.data);
    rarefy::run_images(kernels, parts, in, out, threads, workspace);
    cases::compare(of, outputs, what);
    ++cases::ran;
  }
}

}  // namespace

int main() {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const int64_t images = any(1, 18);
    ImageCase of(seed);
    int x = of.input({images, 3, any(9, 24), any(9, 24)});
    x = of.point("relu", of.conv(x, 5, ImageCase::window(any(1, 5), any(1, 2), any(0, 2)), 0.6));
    const int pooled = of.max_pool(x, ImageCase::window(3, 2, 1));
    x = residual(of, pooled, 5, 1, seed % 2);
    x = residual(of, x, 7, 2, seed % 3);
    const int wide = of.conv(x, 4, ImageCase::window(1, 1, any(0, 3)), 0.6);
    of.output({of.conv(wide, 3, ImageCase::window(3, 1, 1), 0.6), of.mean(x), of.flatten(x)});
    run(of, images, "maps " + std::to_string(seed));
  }
  cases::expect(cases::ran > 0, "nothing ran");
  std::printf("%d runs over drawn maps, %d failures\n", cases::ran, cases::failures);
  return cases::failures != 0;
}
