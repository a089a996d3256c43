// Threads that are not ours: those of the OpenMP runtime that the caller's framework uses already.
//
// They spin after every operation of the framework, on all cores. A pool of our own would have to
// share those cores with them, and lose, wherever its operations and ours take turns.
#pragma once

#include "pool.h"

namespace rarefy {

// Has regions run on the threads of this library (its path or name), which must be loaded and be
// GNU's runtime or compatible with it. False where it is not; then nothing changes.
bool borrow_threads(const char* library);

// Runs the region on borrowed threads; false where there are none, or where they are another
// caller's at present: every calling thread has a team of its own, which would spin beside that one.
bool run_borrowed(int threads, Task task, void* context);

// In a forked child they are gone for good.
void forget_borrowed();

}  // namespace rarefy
