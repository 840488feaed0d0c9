// A process that traces its parent so that nobody else can.
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>

#if defined(__linux__)
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

// Resumes every stop until the traced process is gone.
static void watch(pid_t traced) {
  for (;;) {
    int status;
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0) {
      if (errno == EINTR) continue;
      _exit(0);
    }
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread == traced) _exit(0);
      continue;
    }
    if (!WIFSTOPPED(status)) continue;
    int signal = WSTOPSIG(status);
    int event = status >> 16;
    if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
      ptrace(PTRACE_LISTEN, thread, 0, 0); // a group stop: stay stopped until SIGCONT
    else
      ptrace(PTRACE_CONT, thread, 0, event ? 0 : signal);
  }
}

int cplatform_start_guard(void) {
  int ready[2], go[2];
  if (pipe(ready) != 0) return -errno;
  if (pipe(go) != 0) {
    int code = -errno;
    close(ready[0]);
    close(ready[1]);
    return code;
  }
  pid_t parent = getpid();
  pid_t guard = fork();
  if (guard < 0) {
    int code = -errno;
    close(ready[0]);
    close(ready[1]);
    close(go[0]);
    close(go[1]);
    return code;
  }
  if (guard == 0) {
    char answer = 1;
    char wait;
    close(go[1]);
    if (read(go[0], &wait, 1) != 1) _exit(1);
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE;
    if (ptrace(PTRACE_SEIZE, parent, 0, options) != 0) answer = 0;
    ssize_t written = write(ready[1], &answer, 1);
    if (written != 1 || !answer) _exit(1);
    prctl(PR_SET_NAME, "guard", 0, 0, 0);
    // The guard holds no descriptor of the worker's: an end of the channel must be seen as an end.
    syscall(436 /* close_range */, 0, ~0u, 0);
    watch(parent);
  }
  prctl(PR_SET_PTRACER, guard, 0, 0, 0); // only Yama knows it; harmless elsewhere
  char answer = 0;
  close(go[0]);
  close(ready[1]);
  ssize_t count = write(go[1], &answer, 1);
  if (count == 1) {
    do {
      count = read(ready[0], &answer, 1);
    } while (count < 0 && errno == EINTR);
  }
  close(go[1]);
  close(ready[0]);
  if (count == 1 && answer) return 0;
  waitpid(guard, NULL, 0);
  return -EPERM;
}

#else
int cplatform_start_guard(void) { return -ENOTSUP; }
#endif
