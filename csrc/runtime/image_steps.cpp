// Steps of an image program on plain numbers: linear layers after the mean, and what follows them.
#include <algorithm>
#include <cstring>

#include "image_run.h"

namespace rarefy {
namespace {

int64_t floats_in(const ImageStep& step) { return kLine * step.node->columns; }

}  // namespace

int64_t step_floats(const ImageStep& step) {
  if (!step.product) return 0;
  return floats_in(step) + kLine * step.node->rows;
}

bool ImageRun::in_lines(const ImageStep& step) const {
  return step.product && count_ > kFewImages;
}

int64_t ImageRun::step_parts(const ImageStep& step) const {
  if (!step.few) return 1;
  return in_lines(step) ? step.product->blocks : std::max<int64_t>(1, step.few->parts);
}

void ImageRun::before_step(const ImageStep& step, float* lines) const {
  if (!in_lines(step)) return;
  const ImageNode& node = *step.node;
  kernels_.rows.lines_of_tokens(plain(step.from), node.columns, count_, node.columns, lines, kLine);
}

void ImageRun::step(const ImageStep& step, float* lines, int64_t first, int64_t last) const {
  if (!step.few) return;
  const ImageNode& node = *step.node;
  const float* const bias = node.weight->bias.data();
  if (in_lines(step)) {
    step.product->run(static_cast<int>(first), static_cast<int>(last), lines, kLine,
                      lines + floats_in(step), kLine, 1, bias, node.relu);
  } else if (step.few->parts) {
    step.few->run(first, last, plain(step.from), node.columns, plain(step.to), node.rows, count_,
                  bias, node.relu);
  }
}

void ImageRun::after_step(const ImageStep& step, float* lines) const {
  if (!step.node) {
    const int64_t numbers = plan_.plains[step.from].numbers;
    std::memcpy(outputs_[step.to] + first_ * numbers, plain(step.from),
                sizeof(float) * numbers * count_);
    return;
  }
  if (in_lines(step)) {
    kernels_.rows.tokens_of_lines(lines + floats_in(step), count_, step.node->rows, plain(step.to),
                                  step.node->rows);
  }
  plain_passes(step);
}

void ImageRun::plain_passes(const ImageStep& step) const {
  const ImageShape& shape = plan_.shapes[step.to];
  float* const to = plain(step.to);
  const float* from = step.few ? to : plain(step.from);
  for (const ImagePass& pass : step.node->passes) {
    for (int64_t image = 0; image < count_; ++image) {
      const int64_t at = image * shape.numbers();
      LaneFinish what = {};
      if (pass.other >= 0) what.other = plain(pass.other) + at;
      if (pass.scale.empty()) {
        pass_rows(pass, what, from + at, 0, to + at, 0, 1, shape.numbers());
        continue;
      }
      what.scale = pass.scale.data();
      what.shift = pass.shift.data();
      what.scale_step = 1;
      what.other_pitch = shape.pixels();
      pass_rows(pass, what, from + at, shape.pixels(), to + at, shape.pixels(), shape.channels,
                shape.pixels());
    }
    from = to;
  }
}

}  // namespace rarefy
