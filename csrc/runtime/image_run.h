// Runs a plan on some of the images of a call.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "image_plan.h"
#include "line_kernels.h"
#include "workspace.h"

namespace rarefy {

struct ImageKernels {
  lanes_split<float>* split = nullptr;
  lanes_join<float>* join = nullptr;
  lanes_permute<float>* permute = nullptr;
  lanes_max_pool<float>* max_pool = nullptr;
  lanes_sum<float>* sum = nullptr;
  lanes_finish<float>* finish = nullptr;
  LineKernels rows;

  // False, and one line, where the library has no such set.
  static bool find(const char* set, ImageKernels& kernels, std::string& error);
};

// Of one thread: tensors of the pass that it runs alone (and lines of a linear layer), results that
// wait for what follows.
struct ImageScratch {
  float* lines = nullptr;
  float* staged = nullptr;
  Floats lines_room, staged_room;
};

// Where a pass works: `images` images, the `number`-th such. `lines` are those of the pass,
// `staged` of the thread. One tensor may be there in part: its first `skipped` floats have none.
struct ImagePlace {
  int64_t images, number;
  float* lines;
  float* staged;
  int part = -1;
  int64_t skipped = 0;
};

class ImageRun {
 public:
  // Images [first, first + count) of the call, at most as many as the plan takes; `inputs` and
  // `outputs` are those of the whole call.
  ImageRun(const ImageKernels& kernels, const ImagePlan& plan, const float* const* inputs,
           float* const* outputs, int64_t first, int64_t count, float* shared)
      : kernels_(kernels),
        plan_(plan),
        inputs_(inputs),
        outputs_(outputs),
        first_(first),
        count_(count),
        shared_(shared) {}

  const ImagePlan& plan() const { return plan_; }
  // Passes of a segment; 1 where it works on plain numbers.
  int64_t passes(const ImageSegment& segment) const;

  // One whole pass, every group's actions close behind its convolution.
  void pass(const ImageSegment& segment, const ImagePlace& place) const;

  // Parts of it: blocks of rows at some positions; actions on some channels.
  void convolve(const ImageGroup& group, const ImagePlace& place, int first_block, int last_block,
                int64_t first_at, int64_t last_at) const;
  void act(const ImageGroup& group, const ImagePlace& place, int64_t first, int64_t last) const;

  // A step on plain numbers, in three parts: what comes before the product, parts of the product
  // (step_parts of them), what comes after it.
  int64_t step_parts(const ImageStep& step) const;
  void before_step(const ImageStep& step, float* lines) const;
  void step(const ImageStep& step, float* lines, int64_t first, int64_t last) const;
  void after_step(const ImageStep& step, float* lines) const;

 private:
  float* tensor(int id, const ImagePlace& place) const;
  const LaneLayout& layout(int id) const { return plan_.tensors[id].layout; }
  float* plain(int number) const;
  int64_t present(const ImagePlace& place) const;

  void finish(const ImageGroup& group, const ImagePlace& place, int first_block, int last_block,
              int64_t first_at, int64_t last_at) const;
  void pass_rows(const ImagePass& pass, LaneFinish what, const float* x, int64_t pitch, float* y,
                 int64_t y_pitch, int64_t rows, int64_t length) const;

  void split(const ImageAction& action, const ImagePlace& place, int64_t first, int64_t last) const;
  void join(const ImageAction& action, const ImagePlace& place, int64_t first, int64_t last) const;
  void move(const ImageAction& action, const ImagePlace& place, int64_t first, int64_t last) const;
  void pool(const ImageAction& action, const ImagePlace& place, int64_t first, int64_t last) const;
  void mean(const ImageAction& action, const ImagePlace& place, int64_t first, int64_t last) const;
  void point(const ImageAction& action, const ImagePlace& place, int64_t first, int64_t last) const;

  void plain_passes(const ImageStep& step) const;
  bool in_lines(const ImageStep& step) const;

  const ImageKernels& kernels_;
  const ImagePlan& plan_;
  const float* const* inputs_;
  float* const* outputs_;
  const int64_t first_, count_;
  float* const shared_;
};

}  // namespace rarefy
