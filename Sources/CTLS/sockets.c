#define _GNU_SOURCE
#include "CTLS.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// The loop's identity is asked for many times a request: no call to find the thread's copy.
static _Thread_local const void *current __attribute__((tls_model("initial-exec")));

const void *ctls_current(void) { return current; }
void ctls_set_current(const void *loop) { current = loop; }
void ctls_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

static int make_socket(int family) {
#if defined(__linux__)
  // In one call: a child that another thread starts meanwhile must not inherit it.
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
#else
  int fd = socket(family, SOCK_STREAM, 0);
  if (fd < 0) return -errno;
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
    int code = -errno;
    close(fd);
    return code;
  }
  return fd;
#endif
}

static int bind_and_listen(int fd, const struct sockaddr *address, socklen_t size, int backlog) {
  if (bind(fd, address, size) < 0 || listen(fd, backlog) < 0) {
    int code = -errno;
    close(fd);
    return code;
  }
  return fd;
}

int ctls_listen(const char *ip, int port, int reuse_port, int backlog) {
  struct sockaddr_in6 v6 = {0};
  struct sockaddr_in v4 = {0};
  int is_v6 = inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1;
  if (!is_v6 && inet_pton(AF_INET, ip, &v4.sin_addr) != 1) return -EINVAL;
  int any = is_v6 && memcmp(&v6.sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
  int fd = make_socket(is_v6 ? AF_INET6 : AF_INET);
  if (fd == -EAFNOSUPPORT && any) {  // a machine without IPv6: the other family alone
    is_v6 = 0;
    v4.sin_addr.s_addr = htonl(INADDR_ANY);
    fd = make_socket(AF_INET);
  }
  if (fd < 0) return fd;
  int on = 1, off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &off : &on, sizeof on);
#if defined(__linux__)
  if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
#else
  (void)reuse_port;
#endif
  if (is_v6) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons((uint16_t)port);
    return bind_and_listen(fd, (struct sockaddr *)&v6, sizeof v6, backlog);
  }
  v4.sin_family = AF_INET;
  v4.sin_port = htons((uint16_t)port);
  return bind_and_listen(fd, (struct sockaddr *)&v4, sizeof v4, backlog);
}

int ctls_listen_unix(const char *path, int backlog) {
  struct sockaddr_un address = {0};
  address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  struct stat state;
  if (lstat(path, &state) == 0) {
    if (!S_ISSOCK(state.st_mode)) return -EEXIST;
    int probe = make_socket(AF_UNIX);
    if (probe < 0) return probe;
    int isServed = connect(probe, (struct sockaddr *)&address, sizeof address) == 0 ||
                   errno == EAGAIN || errno == EINPROGRESS;
    close(probe);
    if (isServed) return -EADDRINUSE;
    unlink(path);
  }
  int fd = make_socket(AF_UNIX);
  if (fd < 0) return fd;
  // The mode is set between bind and listen, so nobody can connect before it is.
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0600) < 0 ||
      listen(fd, backlog) < 0) {
    int code = -errno;
    close(fd);
    return code;
  }
  return fd;
}

int ctls_bound_port(int fd) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) return -errno;
  if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
  if (address.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&address)->sin_port);
  return 0;
}

int ctls_duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return copy < 0 ? -errno : copy;
}

void ctls_close(int fd) { close(fd); }

void ctls_unlink(const char *path) { unlink(path); }

int ctls_pair(int ends[2]) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) return -errno;
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  return 0;
}
