// A program over a packed container, ready to run.
#pragma once

#include <memory>
#include <string>

#include "image_chain.h"
#include "linear_chain.h"

namespace rarefy {

class Plan {
 public:
  // Null, and one line in `error`, where the program or the container is not valid.
  static std::unique_ptr<Plan> make(const char* program, const uint8_t* packed, int64_t bytes,
                                    const char* set, std::string& error);

  // As rarefy_plan_run. May throw std::bad_alloc.
  int run(const rarefy_tensor* inputs, int count, rarefy_tensor* outputs, int out_count,
          int threads);

 private:
  Floats bytes_;  // the container, at a multiple of 64
  Container container_;
  std::unique_ptr<LinearChain> linear_;  // one of the two
  std::unique_ptr<ImageChain> image_;
};

}  // namespace rarefy
