// Runs programs on images: convolutions with their normalisation, activation and residual, pooling,
// the mean, and the linear layers behind it.
//
// Images lie in lines whose 16 lanes hold tiles of an image, or of several (lanes.h); so one kind
// of product serves every kernel, stride and batch. Which tiles, is chosen for every size of image
// that a call brings and kept for the next. What a number comes out as does not depend on the
// threads nor on who takes which share.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "abi.h"
#include "image_call.h"
#include "image_products.h"

namespace rarefy {

class ImageChain {
 public:
  // The container's bytes, aligned to 64, must outlive the chain.
  static std::unique_ptr<ImageChain> make(const Program& program, const Container& container,
                                          const char* set, std::string& error);

  int run(const rarefy_tensor* inputs, int count, rarefy_tensor* outputs, int out_count,
          int threads);

  // Multiply-adds of 16 lanes that are worth a further thread; 0: always as many as asked for.
  int64_t work_of_thread = 1 << 14;
  // Before the first run: does without generated code, as on CPUs that cannot run it.
  void interpret() { products_.interpreted = true; }

 private:
  // What is known of one size of the inputs: plans for up to 1, 4 and 16 images at once.
  struct Sized {
    std::vector<ImageShape> shapes;  // of all registers
    std::vector<ImageMaps> maps;
    double work = 0;                 // multiply-adds of an image
    std::vector<std::shared_ptr<const ImagePlan>> plans;
    int64_t used = 0;                // when last, in calls
  };

  explicit ImageChain(const char* set) : products_(set) {}

  int shape_of(const rarefy_tensor* inputs, const rarefy_tensor* outputs,
               std::vector<ImageShape>& shapes, int64_t& images) const;
  std::shared_ptr<Sized> sized(const std::vector<ImageShape>& shapes);
  std::shared_ptr<const ImagePlan> plan(Sized& sized, int which, std::string& error);
  bool divide(Sized& sized, int64_t images, std::vector<ImagePart>& parts, std::string& error);

  ImageGraph graph_;
  ImageKernels kernels_;
  ImageProducts products_;
  ImageLatch latch_;
  std::vector<std::shared_ptr<Sized>> sizes_;
  int64_t calls_ = 0;
  Shelf<ImageWorkspace> shelf_;
};

}  // namespace rarefy
