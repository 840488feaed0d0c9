// Process hardening and memory for secrets: system calls that libc does not wrap, and probes.
// Every function returns 0 or a count on success and -errno on failure, unless it says otherwise.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// How a block of memory for secrets is kept.
enum {
  cplatform_memory_failed = 0,
  cplatform_memory_locked = 1, // mlock(2), outside core dumps, wiped in a forked child
  cplatform_memory_secret = 2, // memfd_secret(2): also unreadable through the kernel, root included
};

// Maps zeroed memory for secrets and sets *kind; NULL with *kind 0 when none can be locked.
// `count` is rounded up to whole pages in *mapped. With allow_secret 0 memfd_secret is not tried.
void *cplatform_secret_map(size_t count, int allow_secret, size_t *mapped, int *kind);

// Wipes and unmaps what cplatform_secret_map gave.
void cplatform_secret_unmap(void *memory, size_t mapped);

// No core dumps or crash handlers, not traceable by the same user, no new privileges.
int cplatform_harden_process(void);

// The kernel kills this process when its parent dies. prctl(2) PR_SET_PDEATHSIG.
int cplatform_die_with_parent(void);

// Drops every capability, ambient, bounding and effective. capabilities(7).
int cplatform_drop_capabilities(void);

// Enters an empty network namespace, through a user namespace if the caller is not privileged.
// Only while the process has one thread. unshare(2).
int cplatform_leave_network(void);

// 1 when this user may do so: a forked child tries it and ends, so that the caller stays as it is.
int cplatform_can_leave_network(void);

// The Landlock ABI of the kernel; 0 when it has none. landlock(7).
int cplatform_landlock_abi(void);

// Forbids all file access and TCP, except reading below (or of) the open descriptors given.
// Binds the calling thread and the threads and children it makes later: call it with one thread.
int cplatform_landlock_restrict(const int *readable, size_t count);

// The seccomp program of the worker, as an array of 8-byte instructions; returns their number, or
// the number needed when `capacity` is too small. With allow_device 1 ioctl(2) stays (GPU drivers).
size_t cplatform_seccomp_program(uint64_t *instructions, size_t capacity, int allow_device);

// Installs that program for all threads of the process. seccomp(2) with TSYNC.
int cplatform_seccomp_install(int allow_device);

// Enters the sandbox of macOS by a profile's text; it cannot be left. sandbox_init(3).
int cplatform_enter_sandbox(const char *profile);

// Closes every descriptor above 2 that is not in the ascending list. close_range(2).
int cplatform_close_other_descriptors(const int *keep, size_t count);

// Starts a guard: a forked process that traces this one, so that nobody else can attach, root
// included; when the guard dies the kernel kills this process. Only with one thread, before
// cplatform_harden_process. ptrace(2) PTRACE_O_EXITKILL.
int cplatform_start_guard(void);

// Which attempt a probe makes.
enum {
  cplatform_probe_inet_socket = 0,
  cplatform_probe_unix_socket,
  cplatform_probe_open,
  cplatform_probe_open_own_memory,
  cplatform_probe_fork,
  cplatform_probe_exec,
  cplatform_probe_ptrace,
  cplatform_probe_read_process,
  cplatform_probe_executable_memory,
  cplatform_probe_signal_parent,
  cplatform_probe_io_uring,
  cplatform_probe_other_process,  // reading /proc/1/stat, whose name the filter answers
  cplatform_probe_count,
};

// Really tries something a locked-down process must not be able to do. Returns 1 when it was
// refused for lack of permission, 0 when it worked or failed for another reason, and -errno when
// the platform has no such thing. Leaves nothing behind.
int cplatform_probe(int attempt);

// 1 when the kernel says that the process is dumpable. prctl(2) PR_GET_DUMPABLE.
int cplatform_is_dumpable(void);

// 1 when a tracer is attached: TracerPid of /proc/self/status. Needs file access.
int cplatform_is_traced(void);

// 1 when privileges can no longer grow. prctl(2) PR_GET_NO_NEW_PRIVS.
int cplatform_has_no_new_privileges(void);

// The seccomp mode in force: 2 is a filter. prctl(2) PR_GET_SECCOMP.
int cplatform_seccomp_mode(void);

// 1 when the effective capability set is empty. capget(2).
int cplatform_has_no_capabilities(void);

// Attaches to another process as a tracer and lets it go again; the attack of the tests.
int cplatform_try_attach(pid_t process);

// Reads another process's memory by process_vm_readv(2); the attack of the tests.
ssize_t cplatform_try_read(pid_t process, uint64_t address, void *bytes, size_t count);
