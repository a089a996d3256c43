// Which kernels there are, which instruction sets run here, and where each kernel lies.
#include "dispatch.h"

#include <cstring>

#include "kernels/few.h"
#include "kernels/kernels.h"
#include "kernels/lanes.h"
#include "kernels/lines.h"
#include "kernels/slots.h"
#include "kernels/sweep.h"
#include "kernels/table.inc"
#include "kernels/window.h"

extern "C" {
#define DECLARE(op, element, type, set) rarefy::op<type> op##_##element##_##set;
#define SET(set, runs) RAREFY_KERNELS(DECLARE, set)
#include "kernels/sets.inc"
#undef SET
#undef DECLARE
}

namespace {

struct Set {
  const char* name;
  bool (*runs)();
};

const Set sets[] = {
#define SET(set, runs) {#set, [] { return static_cast<bool>(runs); }},
#include "kernels/sets.inc"
#undef SET
};

struct Kernel {
  const char* name;
  const char* set;
  void* address;
};

const Kernel kernels[] = {
#define LIST(op, element, type, set) \
  {#op "_" #element, #set, reinterpret_cast<void*>(&op##_##element##_##set)},
#define SET(set, runs) RAREFY_KERNELS(LIST, set)
#include "kernels/sets.inc"
#undef SET
#undef LIST
};

const char* const names[] = {
#define NAME(op, element, type, set) #op "_" #element,
    RAREFY_KERNELS(NAME, )
#undef NAME
};

template <class T, int n>
constexpr int length(const T (&)[n]) {
  return n;
}

}  // namespace

int rarefy_abi() { return 4; }

const char* rarefy_set(int i) {
  for (const Set& set : sets) {
    if (set.runs() && i-- == 0) return set.name;
  }
  return nullptr;
}

const char* rarefy_kernel_name(int i) {
  return i >= 0 && i < length(names) ? names[i] : nullptr;
}

void* rarefy_kernel(const char* name, const char* set) {
  for (const Kernel& kernel : kernels) {
    if (!std::strcmp(kernel.name, name) && !std::strcmp(kernel.set, set)) return kernel.address;
  }
  return nullptr;
}
