// The C interface. Nothing that is thrown below here passes it.
#include "abi.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "borrowed.h"
#include "container.h"
#include "plan.h"
#include "pool.h"
#include "product.h"
#include "program.h"
#include "slot_layer.h"
#include "slots_arrange.h"

namespace {

void tell(const std::string& what, char* error, int64_t error_size) {
  if (!error || error_size <= 0) return;
  const int64_t length = std::min<int64_t>(static_cast<int64_t>(what.size()), error_size - 1);
  std::memcpy(error, what.data(), length);
  error[length] = 0;
}

// What `make` returns, or `failed` with one line.
template <class Answer, class Make>
Answer guarded(Answer failed, char* error, int64_t error_size, Make make) {
  std::string what;
  try {
    const Answer answer = make(what);
    if (answer == failed) tell(what, error, error_size);
    return answer;
  } catch (const std::bad_alloc&) {
    tell("there is not enough memory", error, error_size);
  } catch (const std::exception& problem) {
    tell(problem.what(), error, error_size);
  }
  return failed;
}

template <class Run>
int of_slots(const void* layer, const Run& run) {
  try {
    return run(*static_cast<const rarefy::SlotLayer*>(layer));
  } catch (const std::exception&) {
    return rarefy::kNoMemory;
  }
}

}  // namespace

void* rarefy_plan_new(const char* program, const uint8_t* packed, int64_t bytes, const char* set,
                      char* error, int64_t error_size) {
  return guarded<void*>(nullptr, error, error_size, [&](std::string& what) {
    return static_cast<void*>(rarefy::Plan::make(program, packed, bytes, set, what).release());
  });
}

int rarefy_plan_run(void* plan, const rarefy_tensor* inputs, int count, rarefy_tensor* outputs,
                    int out_count, int threads) {
  try {
    return static_cast<rarefy::Plan*>(plan)->run(inputs, count, outputs, out_count, threads);
  } catch (const std::exception&) {
    return rarefy::kNoMemory;
  }
}

const char* rarefy_plan_problem(int code) {
  switch (code) {
    case rarefy::kDone: return "nothing is wrong";
    case rarefy::kWrongCount: return "the program has another number of inputs or outputs";
    case rarefy::kWrongShape: return "the shapes of the tensors do not fit the program";
    case rarefy::kNoMemory: return "there is not enough memory";
    case rarefy::kNoKernel: return "no kernel could be made for a weight";
    default: return "unknown";
  }
}

void rarefy_plan_free(void* plan) { delete static_cast<rarefy::Plan*>(plan); }

void rarefy_parallel(int threads, rarefy_task task, void* context) {
  rarefy::parallel(threads, task, context);
}

int rarefy_pool_borrow(const char* library) { return rarefy::borrow_threads(library); }

void rarefy_pool_after_fork_child() { rarefy::forget_pool(); }

int64_t rarefy_container_size(const int64_t* lengths, int64_t count) {
  return rarefy::container_size(lengths, count);
}

int rarefy_container_write(const char* const* kinds, const uint8_t* const* data,
                           const int64_t* lengths, int64_t count, uint8_t* bytes) {
  return rarefy::container_write(kinds, data, lengths, count, bytes) ? 0 : -1;
}

int64_t rarefy_container_count(const uint8_t* bytes, int64_t size, char* error,
                               int64_t error_size) {
  return guarded<int64_t>(-1, error, error_size, [&](std::string& what) {
    rarefy::Container container;
    const bool good = rarefy::Container::read(bytes, size, container, what);
    return good ? static_cast<int64_t>(container.sections.size()) : int64_t(-1);
  });
}

int rarefy_container_sections(const uint8_t* bytes, int64_t size, int64_t count, char* kinds,
                              int64_t* offsets, int64_t* lengths) {
  return guarded<int>(-1, nullptr, 0, [&](std::string& what) {
    rarefy::Container container;
    if (!rarefy::Container::read(bytes, size, container, what) ||
        static_cast<int64_t>(container.sections.size()) != count) {
      return -1;
    }
    for (int64_t i = 0; i < count; ++i) {
      const rarefy::Section& section = container.sections[i];
      std::memset(kinds + 16 * i, 0, 16);
      std::memcpy(kinds + 16 * i, section.kind.data(), section.kind.size());
      offsets[i] = section.data - bytes;
      lengths[i] = section.size;
    }
    return 0;
  });
}

int rarefy_program_check(const char* program, char* error, int64_t error_size) {
  return guarded<int>(-1, error, error_size, [&](std::string& what) {
    rarefy::Program parsed;
    return rarefy::Program::parse(program, parsed, what) ? 0 : -1;
  });
}

int rarefy_can_emit() { return rarefy::can_emit(); }

void* rarefy_slots_new(const int32_t* words, int64_t count, const int64_t* geometry,
                       const char* set, char* error, int64_t error_size) {
  return guarded<void*>(nullptr, error, error_size, [&](std::string& what) {
    return static_cast<void*>(
        rarefy::SlotLayer::make(words, count, geometry, set, what).release());
  });
}

int rarefy_slots_forward(const void* layer, const float* x, const float* values, const float* bias,
                         float* y, const int64_t* sizes, int threads) {
  return of_slots(layer, [&](const rarefy::SlotLayer& own) {
    return own.forward(x, values, bias, y, sizes, threads);
  });
}

int rarefy_slots_input_gradient(const void* layer, const float* dy, const float* values, float* dx,
                                const int64_t* sizes, int threads) {
  return of_slots(layer, [&](const rarefy::SlotLayer& own) {
    return own.input_gradient(dy, values, dx, sizes, threads);
  });
}

int rarefy_slots_weight_gradient(const void* layer, const float* x, const float* dy,
                                 float* dvalues, const int64_t* sizes, int threads) {
  return of_slots(layer, [&](const rarefy::SlotLayer& own) {
    return own.weight_gradient(x, dy, dvalues, sizes, threads);
  });
}

int64_t rarefy_slots_bytes(const void* layer) {
  return static_cast<const rarefy::SlotLayer*>(layer)->bytes();
}

void rarefy_slots_free(void* layer) { delete static_cast<rarefy::SlotLayer*>(layer); }

int rarefy_slots_arrange(const int64_t* places, int64_t count, const int64_t* grid,
                         int32_t* starts, uint16_t* positions, int64_t* order) {
  try {
    const rarefy::SlotGrid own{grid[0], grid[1], grid[2], grid[3]};
    return rarefy::arrange_slots(own, places, count, starts, positions, order) ? 0 : 1;
  } catch (const std::exception&) {
    return 2;
  }
}
