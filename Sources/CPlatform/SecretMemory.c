#define _GNU_SOURCE
#include "CPlatform.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static void *map_secret(size_t mapped) {
  int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
  if (fd < 0) return NULL;
  void *memory = MAP_FAILED;
  if (ftruncate(fd, (off_t)mapped) == 0)
    memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  // Whoever could take the descriptor over (pidfd_getfd) could map the memory: none must exist.
  close(fd);
  return memory == MAP_FAILED ? NULL : memory;
}
#endif

void *cplatform_secret_map(size_t count, int allow_secret, size_t *mapped, int *kind) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  *kind = cplatform_memory_failed;
  *mapped = 0;
  if (count == 0 || count > SIZE_MAX - page) return NULL;
  size_t size = (count + page - 1) / page * page;
#if defined(__linux__)
  if (allow_secret) {
    void *secret = map_secret(size);
    if (secret) {
      *mapped = size;
      *kind = cplatform_memory_secret;
      return secret;
    }
  }
#else
  (void)allow_secret;
#endif
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  if (mlock(memory, size) != 0) {
    munmap(memory, size);
    return NULL;
  }
#if defined(__linux__)
  if (madvise(memory, size, MADV_DONTDUMP) != 0 || madvise(memory, size, MADV_WIPEONFORK) != 0) {
    munmap(memory, size);
    return NULL;
  }
#endif
  *mapped = size;
  *kind = cplatform_memory_locked;
  return memory;
}

void cplatform_secret_unmap(void *memory, size_t mapped) {
  if (!memory) return;
  cplatform_wipe(memory, mapped);
  munmap(memory, mapped);
}
