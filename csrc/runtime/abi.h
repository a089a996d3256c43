// The plain C interface of the runtime: plans, the pool, the packed container.
#pragma once

#include <cstdint>

#include "../dispatch.h"

extern "C" {

// Contiguous float32; sizes beyond `rank` mean nothing.
typedef struct {
  float* data;
  int64_t rank;
  int64_t size[6];
} rarefy_tensor;

typedef void (*rarefy_task)(void* context, int thread, int threads);

}  // extern "C"

// A plan for a program over the sections of a packed container; null, and one line in `error`
// (error_size bytes), where one of them is not valid. Copies what it needs.
RAREFY_EXPORT void* rarefy_plan_new(const char* program, const uint8_t* packed, int64_t bytes,
                                    const char* set, char* error, int64_t error_size);
// Runs it on at most `threads` threads. Outputs are the caller's memory, their sizes filled in;
// they must not overlap the inputs. May be called from several threads at once. 0, or the code of
// what is wrong: then nothing was computed.
RAREFY_EXPORT int rarefy_plan_run(void* plan, const rarefy_tensor* inputs, int count,
                                  rarefy_tensor* outputs, int out_count, int threads);
// What a code of rarefy_plan_run means, in one line.
RAREFY_EXPORT const char* rarefy_plan_problem(int code);
RAREFY_EXPORT void rarefy_plan_free(void* plan);

// task(context, t, n) for each t < n, at once; n is `threads`, or fewer where the pool is busy.
RAREFY_EXPORT void rarefy_parallel(int threads, rarefy_task task, void* context);
// Has regions run on the threads of a loaded OpenMP library, told by its path: 1, or 0 where that
// cannot be; then the library's own threads are used, as without this call.
RAREFY_EXPORT int rarefy_pool_borrow(const char* library);
// What a forked child calls before anything else here: it starts without a pool.
RAREFY_EXPORT void rarefy_pool_after_fork_child();

// Bytes of a container for sections of these lengths; -1 where there is none.
RAREFY_EXPORT int64_t rarefy_container_size(const int64_t* lengths, int64_t count);
// Writes it; 0, or -1 where a kind is no name of [a-z0-9_], 1 to 15 letters.
RAREFY_EXPORT int rarefy_container_write(const char* const* kinds, const uint8_t* const* data,
                                         const int64_t* lengths, int64_t count, uint8_t* bytes);
// Its number of sections, or -1 and one line in `error` where it is not valid.
RAREFY_EXPORT int64_t rarefy_container_count(const uint8_t* bytes, int64_t size, char* error,
                                             int64_t error_size);
// Kind (16 bytes, zero-padded), offset and length of all sections of a valid container, which has
// `count` of them; 0, or -1 where it is not valid.
RAREFY_EXPORT int rarefy_container_sections(const uint8_t* bytes, int64_t size, int64_t count,
                                            char* kinds, int64_t* offsets, int64_t* lengths);
// 0 where the text is a valid program, else -1 and one line in `error`.
RAREFY_EXPORT int rarefy_program_check(const char* program, char* error, int64_t error_size);
// 1 where this CPU and system run generated code, else 0.
RAREFY_EXPORT int rarefy_can_emit();

// A layer whose values stand in slots (slots.h), for tokens where `geometry` is null, else for
// images (slot_image.h); null, and one line in `error`, where something does not fit. Copies what
// it needs.
RAREFY_EXPORT void* rarefy_slots_new(const int32_t* words, int64_t count, const int64_t* geometry,
                                     const char* set, char* error, int64_t error_size);
// What slot_layer.h says of them. May be called from several threads at once. 0, or the code of
// what is wrong.
RAREFY_EXPORT int rarefy_slots_forward(const void* layer, const float* x, const float* values,
                                       const float* bias, float* y, const int64_t* sizes,
                                       int threads);
RAREFY_EXPORT int rarefy_slots_input_gradient(const void* layer, const float* dy,
                                              const float* values, float* dx,
                                              const int64_t* sizes, int threads);
RAREFY_EXPORT int rarefy_slots_weight_gradient(const void* layer, const float* x, const float* dy,
                                               float* dvalues, const int64_t* sizes, int threads);
// Bytes held now.
RAREFY_EXPORT int64_t rarefy_slots_bytes(const void* layer);
RAREFY_EXPORT void rarefy_slots_free(void* layer);
// Slots from `count` places in a matrix (slots_arrange.h): 0; 1 where one is there twice; 2 where
// memory is short.
RAREFY_EXPORT int rarefy_slots_arrange(const int64_t* places, int64_t count, const int64_t* grid,
                                       int32_t* starts, uint16_t* positions, int64_t* order);
