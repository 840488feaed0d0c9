#define _GNU_SOURCE
#define __STDC_WANT_LIB_EXT1__ 1
#include "CPlatform.h"

#include <string.h>

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

uintptr_t cplatform_thread_id(void) { return (uintptr_t)pthread_self(); }
