#include "plan.h"

#include <cstring>

namespace rarefy {

std::unique_ptr<Plan> Plan::make(const char* program, const uint8_t* packed, int64_t bytes,
                                 const char* set, std::string& error) {
  Program parsed;
  if (!Program::parse(program, parsed, error)) return nullptr;
  if (!packed || bytes < 0) {
    error = "there is no packed container";
    return nullptr;
  }
  auto plan = std::make_unique<Plan>();
  auto* const copy = reinterpret_cast<uint8_t*>(plan->bytes_.at_least(bytes / 4 + 1));
  std::memcpy(copy, packed, bytes);
  if (!Container::read(copy, bytes, plan->container_, error)) return nullptr;
  if (is_linear(parsed)) {
    plan->linear_ = LinearChain::make(parsed, plan->container_, set, error);
  } else {
    plan->image_ = ImageChain::make(parsed, plan->container_, set, error);
  }
  if (!plan->linear_ && !plan->image_) return nullptr;
  return plan;
}

int Plan::run(const rarefy_tensor* inputs, int count, rarefy_tensor* outputs, int out_count,
              int threads) {
  return linear_ ? linear_->run(inputs, count, outputs, out_count, threads)
                 : image_->run(inputs, count, outputs, out_count, threads);
}

}  // namespace rarefy
