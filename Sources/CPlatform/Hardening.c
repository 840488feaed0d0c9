#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

static int no_core(void) {
  struct rlimit none = {0, 0};
  return setrlimit(RLIMIT_CORE, &none) == 0 ? 0 : -errno;
}

// A language runtime's crash handler prints registers and starts a debugger: neither may happen.
static void no_crash_handlers(void) {
  const int fatal[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGSYS, SIGTRAP};
  for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) signal(fatal[i], SIG_DFL);
}

#if defined(__linux__)

int cplatform_harden_process(void) {
  int code = no_core();
  if (code) return code;
  no_crash_handlers();
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return -errno;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  return 0;
}

int cplatform_die_with_parent(void) {
  return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 ? 0 : -errno;
}

int cplatform_drop_capabilities(void) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  // Fails with EPERM without CAP_SETPCAP: then there is nothing above the sets cleared below.
  for (int capability = 0; capability <= 63; capability++)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) break;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  return syscall(SYS_capset, &header, none) == 0 ? 0 : -errno;
}

int cplatform_has_no_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct held[2];
  if (syscall(SYS_capget, &header, held) != 0) return 0;
  return !(held[0].effective | held[1].effective | held[0].permitted | held[1].permitted);
}

int cplatform_leave_network(void) {
  if (unshare(CLONE_NEWNET) == 0) return 0;
  return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : -errno;
}

int cplatform_can_leave_network(void) {
  pid_t child = fork();
  if (child < 0) return 0;
  if (child == 0) _exit(cplatform_leave_network() == 0 ? 0 : 1);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int cplatform_close_other_descriptors(const int *keep, size_t count) {
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
  unsigned next = 3;
  for (size_t i = 0; i <= count; i++) {
    unsigned last = i < count ? (unsigned)keep[i] - 1 : ~0u;
    if (i < count && keep[i] < 3) continue;
    if (last >= next && syscall(SYS_close_range, next, last, 0) != 0) return -errno;
    if (i < count) next = (unsigned)keep[i] + 1;
  }
  return 0;
}

int cplatform_is_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }
int cplatform_has_no_new_privileges(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }
int cplatform_seccomp_mode(void) { return prctl(PR_GET_SECCOMP, 0, 0, 0, 0); }

int cplatform_is_traced(void) {
  char text[4096];
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  if (count <= 0) return -EIO;
  text[count] = 0;
  const char *line = strstr(text, "TracerPid:");
  return line && atoi(line + sizeof "TracerPid:" - 1) != 0;
}

int cplatform_enter_sandbox(const char *profile) {
  (void)profile;
  return -ENOSYS;
}

#elif defined(__APPLE__)
#include <sandbox.h>
#include <sys/ptrace.h>

int cplatform_harden_process(void) {
  int code = no_core();
  if (code) return code;
  no_crash_handlers();
  return ptrace(PT_DENY_ATTACH, 0, 0, 0) == 0 ? 0 : -errno;
}
// Deprecated for years, and without a public successor for a command-line process.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
int cplatform_enter_sandbox(const char *profile) {
  char *message = NULL;
  if (sandbox_init(profile, 0, &message) == 0) return 0;
  sandbox_free_error(message);
  return -EPERM;
}
#pragma clang diagnostic pop
int cplatform_die_with_parent(void) { return -ENOTSUP; }
int cplatform_drop_capabilities(void) { return -ENOTSUP; }
int cplatform_has_no_capabilities(void) { return geteuid() != 0; }
int cplatform_leave_network(void) { return -ENOTSUP; }
int cplatform_can_leave_network(void) { return 0; }
int cplatform_close_other_descriptors(const int *keep, size_t count) {
  int limit = getdtablesize();
  size_t index = 0;
  for (int fd = 3; fd < limit; fd++) {
    while (index < count && keep[index] < fd) index++;
    if (index == count || keep[index] != fd) close(fd);
  }
  return 0;
}
int cplatform_is_dumpable(void) { return 0; }
int cplatform_has_no_new_privileges(void) { return 0; }
int cplatform_seccomp_mode(void) { return 0; }
int cplatform_is_traced(void) { return 0; }
#endif
