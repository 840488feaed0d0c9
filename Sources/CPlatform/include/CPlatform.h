// What Swift cannot import from libc: macros with casts, variadic and non-portable calls.
#pragma once
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "CPlatformHardening.h"

// Names the calling thread, at most 15 bytes; longer names are cut. pthread_setname_np(3).
void cplatform_name_thread(const char *name);

// Overwrites memory; the compiler may not drop it. explicit_bzero(3), memset_s on Darwin.
void cplatform_wipe(void *memory, size_t count);

// Processors that the calling thread may run on; those online where the system does not say. Always
// at least 1. sched_getaffinity(2).
int cplatform_processor_count(void);

// A number unique to the calling thread among live threads.
uintptr_t cplatform_thread_id(void);
