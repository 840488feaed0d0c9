// Landlock through bare system calls: the distribution's header stops at an early ABI.
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>

#if defined(__linux__)
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  create_ruleset = 444,
  add_rule = 445,
  restrict_self = 446,
  version_flag = 1,
  rule_path_beneath = 1,
  right_execute = 1 << 0,
  right_read_file = 1 << 2,
  right_read_dir = 1 << 3,
};

struct ruleset {
  uint64_t files, network, scoped;
};
struct __attribute__((packed)) path_rule {
  uint64_t rights;
  int32_t parent;
};

int cplatform_landlock_abi(void) {
  long abi = syscall(create_ruleset, NULL, 0, version_flag);
  return abi < 0 ? 0 : (int)abi;
}

int cplatform_landlock_restrict(const int *readable, size_t count) {
  int abi = cplatform_landlock_abi();
  if (abi < 1) return -ENOSYS;
  struct ruleset rules = {(1ull << 13) - 1, 0, 0};
  if (abi >= 2) rules.files |= 1ull << 13; // REFER
  if (abi >= 3) rules.files |= 1ull << 14; // TRUNCATE
  if (abi >= 5) rules.files |= 1ull << 15; // IOCTL_DEV
  if (abi >= 4) rules.network = 3;         // TCP bind and connect
  if (abi >= 6) rules.scoped = 3;          // abstract sockets and signals outside the domain
  size_t size = abi < 4 ? 8 : abi < 6 ? 16 : 24;
  int fd = (int)syscall(create_ruleset, &rules, size, 0);
  if (fd < 0) return -errno;
  for (size_t i = 0; i < count; i++) {
    struct stat facts;
    if (fstat(readable[i], &facts) != 0) {
      int code = -errno;
      close(fd);
      return code;
    }
    uint64_t rights = right_read_file;
    if (S_ISDIR(facts.st_mode)) rights |= right_read_dir | right_execute;
    struct path_rule rule = {rights, readable[i]};
    if (syscall(add_rule, fd, rule_path_beneath, &rule, 0) != 0) {
      int code = -errno;
      close(fd);
      return code;
    }
  }
  int code = 0;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) code = -errno;
  else if (syscall(restrict_self, fd, 0) != 0) code = -errno;
  close(fd);
  return code;
}

#else
int cplatform_landlock_abi(void) { return 0; }
int cplatform_landlock_restrict(const int *readable, size_t count) {
  (void)readable;
  (void)count;
  return -ENOSYS;
}
#endif
