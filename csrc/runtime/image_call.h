// One call of an image program: its images in parts, each by a plan, on one thread or several.
#pragma once
#include <memory>
#include <vector>

#include "image_run.h"
#include "phases.h"

namespace rarefy {

// Images [first, first + count) of the call.
struct ImagePart {
  std::shared_ptr<const ImagePlan> plan;
  int64_t first, count;
};

// What a call works in.
struct ImageWorkspace {
  Floats shared;
  std::vector<std::unique_ptr<ImageScratch>> scratch;  // of every thread
  Phases phases;
};

void run_images(const ImageKernels& kernels, const std::vector<ImagePart>& parts,
                const std::vector<const float*>& inputs, const std::vector<float*>& outputs,
                int threads, ImageWorkspace& workspace);

}  // namespace rarefy
