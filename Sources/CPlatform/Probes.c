// Attempts that must fail in a locked-down process. Each is harmless when it does not.
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#endif

static int refused(void) { return errno == EPERM || errno == EACCES; }

static int descriptor(int fd) {
  if (fd < 0) return refused();
  close(fd);
  return 0;
}

static int try_fork(void) {
#if defined(__linux__)
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#else
  pid_t child = fork();
#endif
  if (child < 0) return refused();
  if (child == 0) _exit(0);
  waitpid(child, NULL, 0);
  return 0;
}

#if defined(__linux__)
// The filter answers this name itself (Seccomp.c): a descriptor is no way out if nothing is in it.
static int try_other_process(void) {
  int fd = open("/proc/1/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return refused();
  char bytes[16];
  ssize_t count = read(fd, bytes, sizeof bytes);
  close(fd);
  return count < 0;
}
#endif

static int try_executable_memory(void) {
  void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (memory == MAP_FAILED) return refused();
  munmap(memory, 4096);
  return 0;
}

int cplatform_probe(int attempt) {
  switch (attempt) {
  case cplatform_probe_inet_socket: return descriptor(socket(AF_INET6, SOCK_DGRAM, 0));
  case cplatform_probe_unix_socket: return descriptor(socket(AF_UNIX, SOCK_STREAM, 0));
  case cplatform_probe_open: return descriptor(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  case cplatform_probe_fork: return try_fork();
  case cplatform_probe_executable_memory: return try_executable_memory();
#if defined(__linux__)
  case cplatform_probe_open_own_memory: return descriptor(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  case cplatform_probe_exec:
    // A null path: EFAULT when the call is reached, so nothing can be run by mistake.
    syscall(SYS_execve, (void *)0, (void *)0, (void *)0);
    return refused();
  case cplatform_probe_ptrace:
    // No such process: ESRCH when the call is reached.
    syscall(SYS_ptrace, PTRACE_CONT, 0x7ffffff0, 0, 0);
    return refused();
  case cplatform_probe_read_process:
    syscall(SYS_process_vm_readv, 0x7ffffff0, (void *)0, 0, (void *)0, 0, 0);
    return refused();
  case cplatform_probe_signal_parent: return kill(getppid(), 0) == 0 ? 0 : refused();
  case cplatform_probe_other_process: return try_other_process();
  case cplatform_probe_io_uring:
    // EFAULT when the call is reached.
    syscall(425, 1, (void *)0);
    return refused();
#endif
  default: return -ENOTSUP;
  }
}

int cplatform_try_attach(pid_t process) {
#if defined(__linux__)
  // Seizing does not stop the process; a detach needs it stopped.
  if (ptrace(PTRACE_SEIZE, process, 0, 0) != 0) return -errno;
  if (ptrace(PTRACE_INTERRUPT, process, 0, 0) == 0 && waitpid(process, NULL, __WALL) == process)
    ptrace(PTRACE_DETACH, process, 0, 0);
  return 0;
#else
  (void)process;
  return -ENOTSUP;
#endif
}

ssize_t cplatform_try_read(pid_t process, uint64_t address, void *bytes, size_t count) {
#if defined(__linux__)
  struct iovec local = {bytes, count}, remote = {(void *)(uintptr_t)address, count};
  ssize_t got = process_vm_readv(process, &local, 1, &remote, 1, 0);
  return got < 0 ? -errno : got;
#else
  (void)process, (void)address, (void)bytes, (void)count;
  return -ENOTSUP;
#endif
}
