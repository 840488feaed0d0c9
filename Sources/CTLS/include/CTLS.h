// TLS without sockets over OpenSSL 3, and the few socket calls that Swift cannot import.
// Every function is for one thread at a time per object; contexts may be shared by threads.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Thread-local mark of the event loop that runs on the calling thread.
const void *ctls_current(void);
void ctls_set_current(const void *loop);

// Ignores SIGPIPE for the process: libuv writes with write(2).
void ctls_ignore_sigpipe(void);

// A bound, listening, non-blocking, close-on-exec TCP socket; -errno on failure.
// `ip` is a literal; "::" listens on both families. `reuse_port` is for one socket a loop.
int ctls_listen(const char *ip, int port, int reuse_port, int backlog);
// The same for a unix-domain path; a stale socket file that nobody serves is replaced.
// Mode 0600: only the owner may connect.
int ctls_listen_unix(const char *path, int backlog);
int ctls_bound_port(int fd);
// A close-on-exec copy of a descriptor; -errno on failure.
int ctls_duplicate(int fd);
void ctls_close(int fd);
void ctls_unlink(const char *path);
// Both ends of a close-on-exec unix-domain stream pair; 0 or -errno.
int ctls_pair(int ends[2]);

// Bytes that OpenSSL wants to send.
typedef struct {
  uint8_t *bytes;
  size_t count, capacity;
} ctls_buffer;
void ctls_buffer_free(ctls_buffer *buffer);

typedef struct ctls_context ctls_context;
typedef struct ctls_session ctls_session;

// Which step of making a context failed; the text says why, without secrets.
enum {
  CTLS_OK = 0,
  CTLS_NO_MEMORY = 1,
  CTLS_BAD_CERTIFICATE = 2,
  CTLS_BAD_KEY = 3,
  CTLS_KEY_MISMATCH = 4,
  CTLS_BAD_ROOTS = 5,
  CTLS_BAD_NAME = 6,
};

// Certificates of the other side: not asked for, asked for and reported to the caller, or proven
// by the roots. For servers the last two also say whether a client may come without one.
enum { CTLS_VERIFY_NONE = 0, CTLS_VERIFY_REPORT = 1, CTLS_VERIFY_ROOTS = 2 };

// A context; NULL on failure with `*step` set. PEM texts may be NULL with count 0. Each has ticket
// keys of its own: tickets of another one fall back to a full handshake.
ctls_context *ctls_context_new(
    int is_server, int minimum_is_13, const char *chain, size_t chain_count, const char *key,
    size_t key_count, const char *roots, size_t roots_count, int verify, int required,
    int *step);
void ctls_context_free(ctls_context *context);

// `name`: the server's DNS name or address literal for a client, NULL for a server. `names`: the
// name is checked against the certificate.
ctls_session *ctls_session_new(
    ctls_context *context, const char *name, int is_address, int check_name, ctls_buffer *out);
void ctls_session_free(ctls_session *session);

enum { CTLS_END = 0, CTLS_AGAIN = -1, CTLS_ERROR = -2 };
// Lends ciphertext; it must stay valid until the next call with NULL.
void ctls_input(ctls_session *session, const uint8_t *bytes, size_t count);
// What OpenSSL did not take of it.
size_t ctls_left(ctls_session *session, const uint8_t **bytes);
// Whether a read gives something without further ciphertext: bytes, the end or an error.
int ctls_pending(ctls_session *session);
long ctls_handshake(ctls_session *session);
// The plain bytes of all records that are there, or of as many as fit.
long ctls_read(ctls_session *session, void *bytes, size_t count);
long ctls_write(ctls_session *session, const void *bytes, size_t count);
void ctls_shutdown(ctls_session *session);

// Why the last handshake of this session failed: an X509_V_ERR code (0: not the certificate), and
// OpenSSL's reason number.
long ctls_verify_error(ctls_session *session);
const char *ctls_verify_text(long code);
const char *ctls_last_reason(ctls_session *session);

int ctls_is_13(ctls_session *session);
int ctls_is_resumed(ctls_session *session);
// DER of the peer's certificate; the count, or 0 without one. Free with ctls_free.
size_t ctls_peer_certificate(ctls_session *session, uint8_t **der);
// SHA-256 of the peer's SubjectPublicKeyInfo DER; 0 without a certificate.
int ctls_peer_key_digest(ctls_session *session, uint8_t digest[32]);
// The tls-exporter channel binding, RFC 9266; 0 where it is not defined.
int ctls_exporter(ctls_session *session, uint8_t value[32]);
// The server name that the client asked for, or NULL. Borrowed.
const char *ctls_server_name(ctls_session *session);
void ctls_free(void *memory);

// A P-256 certificate signed by itself for the names (comma-separated, "DNS:a,IP:b"), as PEM.
// Returns a step; the texts are freed with ctls_free.
int ctls_self_signed(
    const char *common_name, const char *names, int days, char **certificate, char **key);
// SHA-256 of the SubjectPublicKeyInfo of the first certificate in a PEM text; 0: none there.
int ctls_pem_key_digest(const char *pem, size_t count, uint8_t digest[32]);
