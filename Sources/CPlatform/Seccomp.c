// The worker's system calls, as a table. What is not in it fails with EPERM, in every thread.
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>

#if defined(__linux__)
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

// Of the kernel's own header, which glibc's <signal.h> cannot stand beside.
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#define HAS_X32 1
enum { call_clone3 = 435, call_rseq = 334 };
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#define HAS_X32 0
enum { call_clone3 = 435, call_rseq = 293 };
#else
#error "no seccomp table for this processor"
#endif

enum test {
  always,
  bits_set,     // all bits of `value` are set in the argument
  bits_clear,   // none is
  equals,       // the argument's low half is `value`
  is_self,      // the argument is this process's id
  missing,      // answer ENOSYS, so that libc takes its older call
  answered,     // our own handler answers in place of the kernel
  device_only,  // only with allow_device
};

struct row {
  uint32_t number;
  uint8_t test;
  uint8_t argument;
  uint32_t value;
};

static const struct row table[] = {
    // Hot first: the program is searched in order.
    {SYS_futex, always, 0, 0},
    {SYS_read, always, 0, 0},
    {SYS_write, always, 0, 0},
    {SYS_sched_yield, always, 0, 0},
    {SYS_clock_gettime, always, 0, 0},
    {SYS_clock_nanosleep, always, 0, 0},
    {SYS_nanosleep, always, 0, 0},
    {SYS_gettimeofday, always, 0, 0},
    {SYS_getrandom, always, 0, 0},
    // Descriptors that are open already; nothing here makes one that reaches outside.
    {SYS_readv, always, 0, 0},
    {SYS_writev, always, 0, 0},
    {SYS_pread64, always, 0, 0},
    {SYS_lseek, always, 0, 0},
    {SYS_close, always, 0, 0},
    {SYS_shutdown, always, 0, 0},
    {SYS_fstat, always, 0, 0},
    {SYS_ppoll, always, 0, 0},
    {SYS_epoll_create1, always, 0, 0},
    {SYS_epoll_ctl, always, 0, 0},
    {SYS_epoll_pwait, always, 0, 0},
    {SYS_eventfd2, always, 0, 0},
    {SYS_pipe2, always, 0, 0},
#ifdef SYS_pipe
    {SYS_pipe, always, 0, 0},
#endif
    {SYS_timerfd_create, always, 0, 0},
    {SYS_timerfd_settime, always, 0, 0},
#ifdef SYS_poll
    {SYS_poll, always, 0, 0},
#endif
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, always, 0, 0},
#endif
#ifdef SYS_time
    {SYS_time, always, 0, 0},
#endif
    // Memory; never executable again once the program is loaded.
    {SYS_mmap, bits_clear, 2, PROT_EXEC},
    {SYS_mprotect, bits_clear, 2, PROT_EXEC},
    {SYS_munmap, always, 0, 0},
    {SYS_mremap, always, 0, 0},
    {SYS_madvise, always, 0, 0},
    {SYS_brk, always, 0, 0},
    {SYS_mlock, always, 0, 0},
    {SYS_munlock, always, 0, 0},
    {SYS_membarrier, always, 0, 0},
    // Threads of this process; clone3 hides its flags from the filter, clone does not.
    {SYS_clone, bits_set, 0, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND},
    {call_clone3, missing, 0, 0},
    {SYS_set_robust_list, always, 0, 0},
    {call_rseq, always, 0, 0},
    {SYS_gettid, always, 0, 0},
    {SYS_getpid, always, 0, 0},
    {SYS_exit, always, 0, 0},
    {SYS_exit_group, always, 0, 0},
    {SYS_tgkill, is_self, 0, 0},
    {SYS_restart_syscall, always, 0, 0},
    {SYS_rt_sigaction, always, 0, 0},
    {SYS_rt_sigprocmask, always, 0, 0},
    {SYS_rt_sigreturn, always, 0, 0},
    {SYS_rt_sigsuspend, always, 0, 0}, // where dispatch_main keeps the first thread
    {SYS_sigaltstack, always, 0, 0},
    {SYS_sched_getaffinity, always, 0, 0},
    {SYS_sched_setaffinity, always, 0, 0},
    {SYS_sched_getparam, always, 0, 0},
    {SYS_sched_getscheduler, always, 0, 0},
    {SYS_sched_setscheduler, always, 0, 0},
    {SYS_getpriority, always, 0, 0},
    {SYS_setpriority, always, 0, 0},
    // Refused, but for one question that libdispatch ends the process over; see below.
    {SYS_openat, answered, 0, 0},
    // Facts about this process and machine.
    {SYS_sysinfo, always, 0, 0},
    {SYS_getrusage, always, 0, 0},
    {SYS_uname, always, 0, 0},
    {SYS_getuid, always, 0, 0},
    {SYS_geteuid, always, 0, 0},
    {SYS_getgid, always, 0, 0},
    {SYS_getegid, always, 0, 0},
    {SYS_getcpu, always, 0, 0},
    {SYS_capget, always, 0, 0},
    {SYS_prlimit64, equals, 2, 0}, // read only: the new limit's address is null
    {SYS_prctl, equals, 0, PR_SET_NAME},
    {SYS_prctl, equals, 0, PR_GET_NAME},
    {SYS_prctl, equals, 0, PR_GET_DUMPABLE},
    {SYS_prctl, equals, 0, PR_GET_SECCOMP},
    {SYS_prctl, equals, 0, PR_GET_NO_NEW_PRIVS},
    {SYS_ioctl, device_only, 0, 0},
};

enum { rows = sizeof table / sizeof table[0], program_max = 16 + 7 * rows };

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define ARGUMENT(i) (offsetof(struct seccomp_data, args) + 8 * (i))
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

// `self` 0 gives the same program in every process, for a digest that can be compared.
static size_t compile(struct sock_filter *out, int allow_device, uint32_t self) {
  size_t n = 0;
#define EMIT(...) out[n++] = (struct sock_filter)__VA_ARGS__
  EMIT(LOAD(offsetof(struct seccomp_data, arch)));
  EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0));
  EMIT(RETURN(SECCOMP_RET_KILL_PROCESS));
  EMIT(LOAD(offsetof(struct seccomp_data, nr)));
#if HAS_X32
  EMIT(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
  EMIT(RETURN(SECCOMP_RET_KILL_PROCESS));
#endif
  for (size_t i = 0; i < rows; i++) {
    const struct row *row = &table[i];
    switch ((enum test)row->test) {
    case device_only:
      if (!allow_device) break;
      // fall through
    case always:
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 1));
      EMIT(RETURN(SECCOMP_RET_ALLOW));
      break;
    case missing:
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 1));
      EMIT(RETURN(SECCOMP_RET_ERRNO | ENOSYS));
      break;
    case answered:
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 1));
      EMIT(RETURN(SECCOMP_RET_TRAP));
      break;
    case bits_set:
      // Masked before compared: BPF's own bit test is true when any bit is set.
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 5));
      EMIT(LOAD(ARGUMENT(row->argument)));
      EMIT(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, row->value));
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->value, 0, 1));
      EMIT(RETURN(SECCOMP_RET_ALLOW));
      EMIT(RETURN(REFUSE));
      break;
    case bits_clear:
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 4));
      EMIT(LOAD(ARGUMENT(row->argument)));
      EMIT(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, row->value, 1, 0));
      EMIT(RETURN(SECCOMP_RET_ALLOW));
      EMIT(RETURN(REFUSE));
      break;
    case equals:
    case is_self:
      // Several rows may name one call, so a mismatch restores the number and goes on. A 64-bit
      // argument (an address) is compared by its low half and its high half.
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->number, 0, 6));
      EMIT(LOAD(ARGUMENT(row->argument)));
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, row->test == equals ? row->value : self, 0, 3));
      EMIT(LOAD(ARGUMENT(row->argument) + 4));
      EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
      EMIT(RETURN(SECCOMP_RET_ALLOW));
      EMIT(LOAD(offsetof(struct seccomp_data, nr)));
      break;
    }
  }
  EMIT(RETURN(REFUSE));
#undef EMIT
  return n;
}

size_t cplatform_seccomp_program(uint64_t *instructions, size_t capacity, int allow_device) {
  struct sock_filter program[program_max];
  size_t count = compile(program, allow_device, 0);
  if (count > capacity) return count;
  for (size_t i = 0; i < count; i++)
    instructions[i] = (uint64_t)program[i].code << 48 | (uint64_t)program[i].jt << 40 |
                      (uint64_t)program[i].jf << 32 | program[i].k;
  return count;
}

// Once a second, while tasks wait, libdispatch reads /proc/THREAD/stat of its workers and traps
// when that file cannot be opened (_dispatch_workq_count_runnable_workers). It gets a descriptor of
// an empty event counter, which it takes for "not running"; every other path is refused as before.
//
// The kernel opens nothing here, so a path that changes while it is compared gains nothing: the
// worst answer is one more event counter, which eventfd2 gives anyway. Only what a signal handler
// may do happens: signal-safety(7). A SIGSYS that no filter sent (si_code) changes no register.
static void answer_open(int signal, siginfo_t *info, void *context) {
  (void)signal;
  if (info->si_code != SYS_SECCOMP) return;
  ucontext_t *machine = context;
#if defined(__x86_64__)
  const char *path = (const char *)machine->uc_mcontext.gregs[REG_RSI];
#define RESULT machine->uc_mcontext.gregs[REG_RAX]
#else
  const char *path = (const char *)machine->uc_mcontext.regs[1];
#define RESULT machine->uc_mcontext.regs[0]
#endif
  if (info->si_syscall != SYS_openat || path == NULL) {
    RESULT = -EPERM;
    return;
  }
  const char *at = path, *parts[] = {"/proc/", "/stat"};
  for (int part = 0; part < 2; part++) {
    for (const char *wanted = parts[part]; *wanted != 0; wanted++, at++) {
      if (*at != *wanted) {
        RESULT = -EPERM;
        return;
      }
    }
    while (part == 0 && *at >= '0' && *at <= '9') at++;
  }
  int saved = errno;
  long opened = *at == 0 ? syscall(SYS_eventfd2, 0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
  RESULT = opened >= 0 ? opened : -EPERM;
  errno = saved;
#undef RESULT
}

int cplatform_seccomp_install(int allow_device) {
  struct sigaction action = {0};
  action.sa_sigaction = answer_open;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGSYS, &action, NULL) != 0) return -errno;
  struct sock_filter program[program_max];
  struct sock_fprog whole = {0, program};
  whole.len = (unsigned short)compile(program, allow_device, (uint32_t)getpid());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  long code = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &whole);
  // A positive result is the thread that could not take the filter over.
  return code == 0 ? 0 : code < 0 ? -errno : -EBUSY;
}

#else
size_t cplatform_seccomp_program(uint64_t *instructions, size_t capacity, int allow_device) {
  (void)instructions;
  (void)capacity;
  (void)allow_device;
  return 0;
}
int cplatform_seccomp_install(int allow_device) {
  (void)allow_device;
  return -ENOSYS;
}
#endif
