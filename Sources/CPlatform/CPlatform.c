#define _GNU_SOURCE
#define __STDC_WANT_LIB_EXT1__ 1
#include "CPlatform.h"

#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <errno.h>
#include <sched.h>
#endif

void cplatform_name_thread(const char *name) {
  char cut[16];
  strncpy(cut, name, sizeof cut - 1);
  cut[sizeof cut - 1] = 0;
#if defined(__APPLE__)
  pthread_setname_np(cut);
#else
  pthread_setname_np(pthread_self(), cut);
#endif
}

void cplatform_wipe(void *memory, size_t count) {
#if defined(__APPLE__)
  memset_s(memory, count, 0, count);
#else
  explicit_bzero(memory, count);
#endif
}

int cplatform_processor_count(void) {
#if defined(__linux__)
  // The kernel answers EINVAL until the set holds as many processors as it was built for.
  for (size_t room = 1024; room <= 1 << 16; room *= 2) {
    cpu_set_t *set = CPU_ALLOC(room);
    if (!set) break;
    size_t size = CPU_ALLOC_SIZE(room);
    int code = sched_getaffinity(0, size, set) == 0 ? 0 : errno;
    int count = code == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
    if (code != EINVAL) break;
  }
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (int)online : 1;
}

uintptr_t cplatform_thread_id(void) { return (uintptr_t)pthread_self(); }
