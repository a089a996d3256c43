// The whole plain C interface of the library.
#pragma once

#if defined(__GNUC__)
#define RAREFY_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define RAREFY_EXPORT extern "C"
#endif

// Changes whenever a signature in kernels/kernels.h or here does.
RAREFY_EXPORT int rarefy_abi();
// The i-th instruction set that this machine runs, best first; null after the last.
RAREFY_EXPORT const char* rarefy_set(int i);
// The i-th kernel of the table, such as "topk_mark_f32"; null after the last.
RAREFY_EXPORT const char* rarefy_kernel_name(int i);
// Address of a kernel compiled for a set; null if there is no such kernel or set.
RAREFY_EXPORT void* rarefy_kernel(const char* name, const char* set);
