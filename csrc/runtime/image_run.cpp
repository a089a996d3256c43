#include "image_run.h"

#include <algorithm>

#include "../dispatch.h"

namespace rarefy {
namespace {

// Results of some rows of a convolution that stay in the second cache until they are used, beside
// an input of so many bytes.
constexpr int64_t kNearBytes = 512 << 10, kNearInput = 1300 << 10;
constexpr int64_t kStagedRows = 192;

template <class Function>
bool take(const char* name, const char* set, Function*& function, std::string& error) {
  function = reinterpret_cast<Function*>(rarefy_kernel(name, set));
  if (!function) error = std::string("the library has no kernel ") + name + " for this set";
  return function != nullptr;
}

// The end of the blocks from `first` on that have at most so many rows together.
int rows_end(const ImageGroup& group, int first, int last, int64_t rows) {
  int end = first + 1;
  while (end < last && group.first_row(end + 1) - group.first_row(first) <= rows) ++end;
  return end;
}

// Blocks [first, last) of the product at some positions, in even shares.
void multiply(const ImageGroup& group, int first, int last, const float* x, const int64_t* x_at,
              float* y, const int64_t* y_at, int64_t count) {
  const ImageNode& node = *group.conv;
  if (!group.by_rows) first = 0, last = group.product->blocks;
  const int64_t shares = (count + kStagedLines - 1) / kStagedLines;
  for (int64_t share = 0; share < shares; ++share) {
    const int64_t from = count * share / shares, to = count * (share + 1) / shares;
    group.product->run_at(first, last, x, x_at + from, y, y_at + from, static_cast<int>(to - from),
                          node.weight->bias.data(), node.relu);
  }
}

}  // namespace

bool ImageKernels::find(const char* set, ImageKernels& kernels, std::string& error) {
  return LineKernels::find(set, kernels.rows, error) &&
         take("lanes_split_f32", set, kernels.split, error) &&
         take("lanes_join_f32", set, kernels.join, error) &&
         take("lanes_permute_f32", set, kernels.permute, error) &&
         take("lanes_max_pool_f32", set, kernels.max_pool, error) &&
         take("lanes_sum_f32", set, kernels.sum, error) &&
         take("lanes_finish_f32", set, kernels.finish, error);
}

int64_t ImageRun::passes(const ImageSegment& segment) const {
  return segment.images ? (count_ + segment.images - 1) / segment.images : 1;
}

float* ImageRun::tensor(int id, const ImagePlace& place) const {
  const ImageTensor& found = plan_.tensors[id];
  if (found.shared) {
    const int64_t first = place.number * place.images;
    return shared_ + found.offset + first / found.layout.map.images * found.slot;
  }
  return place.lines + found.offset - (id == place.part ? place.skipped : 0);
}

float* ImageRun::plain(int number) const {
  const ImagePlain& found = plan_.plains[number];
  const int64_t skipped = first_ * found.numbers;
  if (found.kind == ImagePlain::Kind::output) return outputs_[found.number] + skipped;
  // Inputs are only read; one pointer type for all keeps the callers simple.
  if (found.kind == ImagePlain::Kind::input) {
    return const_cast<float*>(inputs_[found.number]) + skipped;
  }
  return shared_ + found.offset;
}

// Images of a pass that there are.
int64_t ImageRun::present(const ImagePlace& place) const {
  return std::min(place.images, count_ - place.number * place.images);
}

void ImageRun::pass(const ImageSegment& segment, const ImagePlace& place) const {
  for (const ImageGroup& group : segment.groups) {
    if (!group.conv) {
      act(group, place, 0, group.channels);
      continue;
    }
    // Large results are made a few blocks at a time, so that what follows finds them near; unless
    // the input itself would have to come from afar each time.
    const bool near = !group.actions.empty() && 4 * layout(group.x).floats() <= kNearInput;
    const int64_t bytes = 64 * layout(group.y).map.lines();
    const int64_t rows = near ? kNearBytes / bytes : group.channels;
    const auto at = static_cast<int64_t>(group.x_at.size());
    for (int block = 0, end; block < group.blocks(); block = end) {
      end = rows_end(group, block, group.blocks(), rows);
      ImagePlace here = place;
      if (plan_.passing(group)) {  // each part may lie where the one before lay
        here.part = group.y;
        here.skipped = kLine * layout(group.y).plane * group.first_row(block);
      }
      convolve(group, here, block, end, 0, at);
      act(group, here, group.first_row(block), group.first_row(end));
    }
  }
}

void ImageRun::convolve(const ImageGroup& group, const ImagePlace& place, int first_block,
                        int last_block, int64_t first_at, int64_t last_at) const {
  const float* const x = tensor(group.x, place);
  if (!group.staged) {
    multiply(group, first_block, last_block, x, group.x_at.data() + first_at,
             tensor(group.y, place), group.y_at.data() + first_at, last_at - first_at);
    return;
  }
  int64_t y_at[kStagedLines];
  for (int64_t i = 0; i < kStagedLines; ++i) y_at[i] = kLine * i;
  const int64_t shares = (last_at - first_at + kStagedLines - 1) / kStagedLines;
  for (int block = first_block, end; block < last_block; block = end) {
    end = rows_end(group, block, last_block, kStagedRows);
    for (int64_t share = 0; share < shares; ++share) {
      const int64_t from = first_at + (last_at - first_at) * share / shares;
      const int64_t to = first_at + (last_at - first_at) * (share + 1) / shares;
      multiply(group, block, end, x, group.x_at.data() + from, place.staged, y_at, to - from);
      finish(group, place, block, end, from, to);
    }
  }
}

// Takes staged results through the passes to their place, a part of a row of tiles at a time.
void ImageRun::finish(const ImageGroup& group, const ImagePlace& place, int first_block,
                      int last_block, int64_t first_at, int64_t last_at) const {
  const ImageNode& node = *group.conv;
  const int64_t first = group.first_row(first_block), rows = group.first_row(last_block) - first;
  const int64_t wide = layout(group.y).map.tile[1], pitch = kLine * kStagedPitch;
  const int64_t plane = kLine * layout(group.y).plane;
  float* const y = tensor(group.y, place);
  for (int64_t at = first_at, end; at < last_at; at = end) {
    end = std::min(last_at, (at / wide + 1) * wide);
    float* from = place.staged + first * pitch + (at - first_at) * kLine;
    for (size_t i = 0; i < node.passes.size(); ++i) {
      const ImagePass& pass = node.passes[i];
      LaneFinish what = {};
      if (!pass.scale.empty()) {
        what.scale = pass.scale.data() + first;
        what.shift = pass.shift.data() + first;
        what.scale_step = 1;
      }
      if (pass.other >= 0) {
        const LaneLayout& other = layout(group.others[i]);
        what.other_pitch = kLine * other.plane;
        what.other = tensor(group.others[i], place) + first * what.other_pitch +
                     kLine * other.line(at / wide, at % wide);
      }
      const bool last = i + 1 == node.passes.size();
      float* const to = last ? y + first * plane + group.y_at[at] : from;
      pass_rows(pass, what, from, pitch, to, last ? plane : pitch, rows, kLine * (end - at));
    }
  }
}

// One pass over rows of numbers. What the fused kernel does not know follows in place.
void ImageRun::pass_rows(const ImagePass& pass, LaneFinish what, const float* x, int64_t pitch,
                         float* y, int64_t y_pitch, int64_t rows, int64_t length) const {
  what.combine = pass.combine;
  what.low = pass.low;
  what.high = pass.high;
  if (pass.acts && pass.act == Op::relu) what.act = LaneAct::relu;
  if (pass.acts && pass.act == Op::clamp) what.act = LaneAct::clamp;
  kernels_.finish(x, pitch, y, y_pitch, rows, length, &what);
  if (!pass.acts || what.act != LaneAct::none) return;
  const Pointwise act = pass.act == Op::gelu        ? kGelu
                        : pass.act == Op::gelu_tanh ? kGeluTanh
                                                    : kSilu;
  for (int64_t r = 0; r < rows; ++r) {
    float* const row = y + r * y_pitch;
    kernels_.rows.pointwise(act, row, row, row, length, 0.f, 0.f);
  }
}

}  // namespace rarefy
