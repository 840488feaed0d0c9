#include "CTLS.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct ctls_context {
  SSL_CTX *ssl;
  int is_server;
};

struct ctls_session {
  SSL *ssl;
  const uint8_t *in;
  size_t in_count;
  ctls_buffer *out;
  unsigned long reason;
  long after;  // what follows the bytes of the last read: CTLS_END, CTLS_ERROR, or CTLS_AGAIN
};

void ctls_buffer_free(ctls_buffer *buffer) {
  free(buffer->bytes);
  buffer->bytes = NULL;
  buffer->count = buffer->capacity = 0;
}

// A BIO that reads lent bytes and appends to the loop's buffer: no copy, no memory BIO.

static int bio_write(BIO *bio, const char *bytes, int count) {
  ctls_buffer *out = ((ctls_session *)BIO_get_data(bio))->out;
  size_t needed = out->count + (size_t)count;
  if (needed > out->capacity) {
    size_t capacity = out->capacity ? out->capacity : 32768;
    while (capacity < needed) capacity *= 2;
    uint8_t *grown = realloc(out->bytes, capacity);
    if (!grown) return -1;
    out->bytes = grown;
    out->capacity = capacity;
  }
  memcpy(out->bytes + out->count, bytes, (size_t)count);
  out->count += (size_t)count;
  return count;
}

static int bio_read(BIO *bio, char *bytes, int count) {
  ctls_session *session = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (session->in_count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t taken = session->in_count < (size_t)count ? session->in_count : (size_t)count;
  memcpy(bytes, session->in, taken);
  session->in += taken;
  session->in_count -= taken;
  return (int)taken;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

static int bio_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

static BIO_METHOD *method;
__attribute__((constructor)) static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "bloom");
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_ctrl(method, bio_control);
  BIO_meth_set_create(method, bio_create);
}

// Contexts.

static BIO *reading(const char *text, size_t count) {
  return BIO_new_mem_buf(text, (int)count);
}

static int use_chain(SSL_CTX *ssl, const char *chain, size_t count) {
  BIO *bio = reading(chain, count);
  X509 *first = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  int isGood = first && SSL_CTX_use_certificate(ssl, first) == 1;
  X509_free(first);
  while (isGood) {
    X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (!next) break;
    if (SSL_CTX_add0_chain_cert(ssl, next) != 1) {
      X509_free(next);
      isGood = 0;
    }
  }
  BIO_free(bio);
  ERR_clear_error();
  return isGood;
}

static int use_roots(SSL_CTX *ssl, const char *roots, size_t count, int is_server) {
  BIO *bio = reading(roots, count);
  X509_STORE *store = SSL_CTX_get_cert_store(ssl);
  int found = 0;
  while (bio) {
    X509 *root = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (!root) break;
    if (X509_STORE_add_cert(store, root) == 1) found++;
    if (is_server) SSL_CTX_add_client_CA(ssl, root);
    X509_free(root);
  }
  BIO_free(bio);
  ERR_clear_error();
  return found > 0;
}

// The caller decides by the key, after the handshake. The verdict is taken back too: it would be
// given as the reason of any later failure.
static int accept_any(int is_good, X509_STORE_CTX *store) {
  (void)is_good;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *count,
                           const unsigned char *offered, unsigned int offered_count, void *data) {
  (void)ssl;
  (void)data;
  static const unsigned char http11[] = "\x08http/1.1";
  if (SSL_select_next_proto((unsigned char **)out, count, http11, 9, offered, offered_count) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301 §3.2
  return SSL_TLSEXT_ERR_OK;
}

static int refuse_password(char *buffer, int size, int writing, void *data) {
  (void)buffer;
  (void)size;
  (void)writing;
  (void)data;
  return 0;  // never ask at the terminal
}

ctls_context *ctls_context_new(
    int is_server, int minimum_is_13, const char *chain, size_t chain_count, const char *key,
    size_t key_count, const char *roots, size_t roots_count, int verify, int required,
    int *step) {
  *step = CTLS_NO_MEMORY;
  ctls_context *context = calloc(1, sizeof *context);
  if (!context) return NULL;
  context->is_server = is_server;
  SSL_CTX *ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
  if (!ssl) {
    free(context);
    return NULL;
  }
  context->ssl = ssl;
  SSL_CTX_set_min_proto_version(ssl, minimum_is_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
  // TLS 1.2: forward secrecy and AEAD only.
  SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set1_groups_list(ssl, "X25519:P-256:P-384");
  if (chain) {
    *step = CTLS_BAD_CERTIFICATE;
    if (!use_chain(ssl, chain, chain_count)) goto failed;
    *step = CTLS_BAD_KEY;
    BIO *bio = reading(key, key_count);
    EVP_PKEY *private = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL) : NULL;
    BIO_free(bio);
    if (!private) goto failed;
    *step = CTLS_KEY_MISMATCH;
    int isUsed = SSL_CTX_use_PrivateKey(ssl, private) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(private);
    if (!isUsed) goto failed;
  }
  if (roots) {
    *step = CTLS_BAD_ROOTS;
    if (!use_roots(ssl, roots, roots_count, is_server)) goto failed;
  } else if (verify == CTLS_VERIFY_ROOTS) {
    SSL_CTX_set_default_verify_paths(ssl);
  }
  if (verify == CTLS_VERIFY_NONE) {
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
  } else {
    int mode = SSL_VERIFY_PEER;
    if (required) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, mode, verify == CTLS_VERIFY_REPORT ? accept_any : NULL);
  }
  if (is_server) {
    SSL_CTX_set_alpn_select_cb(ssl, select_protocol, NULL);
    // Tickets carry the session: no server-side cache. One a handshake is enough.
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, 1);
    SSL_CTX_set_timeout(ssl, 12 * 3600);
    SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"darkbloom", 9);
  } else {
    SSL_CTX_set_alpn_protos(ssl, (const unsigned char *)"\x08http/1.1", 9);
  }
  *step = CTLS_OK;
  return context;
failed:
  ERR_clear_error();
  ctls_context_free(context);
  return NULL;
}

void ctls_context_free(ctls_context *context) {
  if (!context) return;
  SSL_CTX_free(context->ssl);
  free(context);
}

// Sessions.

ctls_session *ctls_session_new(
    ctls_context *context, const char *name, int is_address, int check_name, ctls_buffer *out) {
  ctls_session *session = calloc(1, sizeof *session);
  if (!session) return NULL;
  session->out = out;
  session->after = CTLS_AGAIN;
  session->ssl = SSL_new(context->ssl);
  BIO *bio = session->ssl ? BIO_new(method) : NULL;
  if (!bio) {
    SSL_free(session->ssl);
    free(session);
    return NULL;
  }
  BIO_set_data(bio, session);
  SSL_set_bio(session->ssl, bio, bio);
  if (context->is_server) {
    SSL_set_accept_state(session->ssl);
    return session;
  }
  SSL_set_connect_state(session->ssl);
  int isGood = 1;
  if (name && is_address) {  // RFC 6066 §3: no literal addresses in SNI
    if (check_name)
      isGood = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session->ssl), name) == 1;
  } else if (name) {
    isGood = SSL_set_tlsext_host_name(session->ssl, name) == 1;
    if (check_name) {
      SSL_set_hostflags(session->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      isGood = isGood && SSL_set1_host(session->ssl, name) == 1;
    }
  }
  if (!isGood) {
    ctls_session_free(session);
    return NULL;
  }
  return session;
}

void ctls_session_free(ctls_session *session) {
  if (!session) return;
  SSL_free(session->ssl);
  free(session);
}

void ctls_input(ctls_session *session, const uint8_t *bytes, size_t count) {
  session->in = bytes;
  session->in_count = count;
}

size_t ctls_left(ctls_session *session, const uint8_t **bytes) {
  *bytes = session->in;
  return session->in_count;
}

int ctls_pending(ctls_session *session) {
  return session->after != CTLS_AGAIN || SSL_pending(session->ssl) > 0;
}

static long outcome(ctls_session *session, int result) {
  if (result > 0) return result;
  int code = SSL_get_error(session->ssl, result);
  if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) return CTLS_AGAIN;
  if (code == SSL_ERROR_ZERO_RETURN) return CTLS_END;
  session->reason = ERR_peek_error();
  ERR_clear_error();
  return CTLS_ERROR;
}

long ctls_handshake(ctls_session *session) {
  ERR_clear_error();
  return outcome(session, SSL_do_handshake(session->ssl));
}

long ctls_read(ctls_session *session, void *bytes, size_t count) {
  if (session->after != CTLS_AGAIN) return session->after;
  ERR_clear_error();
  size_t total = 0;
  long step = CTLS_AGAIN;
  while (total < count) {
    int room = (int)(count - total);
    step = outcome(session, SSL_read(session->ssl, (uint8_t *)bytes + total, room));
    if (step <= 0) break;
    total += (size_t)step;
  }
  if (step <= 0) session->after = step;
  return total > 0 ? (long)total : step;
}

long ctls_write(ctls_session *session, const void *bytes, size_t count) {
  ERR_clear_error();
  size_t total = 0;
  while (total < count) {  // a call makes one record; the buffer takes them all
    int rest = (int)(count - total);
    long step = outcome(session, SSL_write(session->ssl, (const uint8_t *)bytes + total, rest));
    if (step <= 0) return total > 0 ? (long)total : step;
    total += (size_t)step;
  }
  return (long)total;
}

void ctls_shutdown(ctls_session *session) {
  ERR_clear_error();
  SSL_shutdown(session->ssl);
  ERR_clear_error();
}

long ctls_verify_error(ctls_session *session) { return SSL_get_verify_result(session->ssl); }
const char *ctls_verify_text(long code) { return X509_verify_cert_error_string(code); }

const char *ctls_last_reason(ctls_session *session) {
  const char *text = session->reason ? ERR_reason_error_string(session->reason) : NULL;
  return text ? text : "the connection ended";
}

int ctls_is_13(ctls_session *session) { return SSL_version(session->ssl) == TLS1_3_VERSION; }
int ctls_is_resumed(ctls_session *session) { return SSL_session_reused(session->ssl); }

size_t ctls_peer_certificate(ctls_session *session, uint8_t **der) {
  X509 *peer = SSL_get0_peer_certificate(session->ssl);
  *der = NULL;
  int count = peer ? i2d_X509(peer, der) : 0;
  return count > 0 ? (size_t)count : 0;
}

static int key_digest(X509 *certificate, uint8_t digest[32]) {
  unsigned char *der = NULL;
  int count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (count <= 0) return 0;
  int isDone = EVP_Digest(der, (size_t)count, digest, NULL, EVP_sha256(), NULL) == 1;
  OPENSSL_free(der);
  return isDone;
}

int ctls_peer_key_digest(ctls_session *session, uint8_t digest[32]) {
  X509 *peer = SSL_get0_peer_certificate(session->ssl);
  return peer ? key_digest(peer, digest) : 0;
}

int ctls_pem_key_digest(const char *pem, size_t count, uint8_t digest[32]) {
  BIO *bio = reading(pem, count);
  X509 *first = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  int isDone = first ? key_digest(first, digest) : 0;
  X509_free(first);
  ERR_clear_error();
  return isDone;
}

int ctls_exporter(ctls_session *session, uint8_t value[32]) {
  static const char label[] = "EXPORTER-Channel-Binding";
  // RFC 9266 §4.2: below TLS 1.3 only with the extended master secret (RFC 7627).
  if (!ctls_is_13(session) && SSL_get_extms_support(session->ssl) != 1) return 0;
  return SSL_export_keying_material(session->ssl, value, 32, label, sizeof label - 1,
                                    (const unsigned char *)"", 0, 1) == 1;
}

const char *ctls_server_name(ctls_session *session) {
  return SSL_get_servername(session->ssl, TLSEXT_NAMETYPE_host_name);
}

void ctls_free(void *memory) { OPENSSL_free(memory); }

// Self-signed identities.

static char *text_of(BIO *bio) {
  char *bytes = NULL;
  long count = BIO_get_mem_data(bio, &bytes);
  char *copy = count > 0 ? OPENSSL_malloc((size_t)count + 1) : NULL;
  if (copy) {
    memcpy(copy, bytes, (size_t)count);
    copy[count] = 0;
  }
  return copy;
}

static int add_extension(X509 *certificate, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  int isAdded = extension && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return isAdded;
}

int ctls_self_signed(
    const char *common_name, const char *names, int days, char **certificate, char **key) {
  *certificate = *key = NULL;
  int step = CTLS_NO_MEMORY;
  EVP_PKEY *pair = EVP_EC_gen("P-256");
  X509 *made = X509_new();
  BIO *certificate_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_mem());
  uint64_t serial = 0;
  if (!pair || !made || !certificate_text || !key_text ||
      RAND_bytes((unsigned char *)&serial, sizeof serial) != 1)
    goto done;
  step = CTLS_BAD_NAME;
  X509_set_version(made, X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(made), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made), (long)days * 86400);
  X509_set_pubkey(made, pair);
  X509_NAME *subject = X509_get_subject_name(made);
  if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 (const unsigned char *)common_name, -1, -1, 0) != 1 ||
      X509_set_issuer_name(made, subject) != 1 ||
      !add_extension(made, NID_subject_alt_name, names) ||
      !add_extension(made, NID_basic_constraints, "critical,CA:TRUE") ||
      X509_sign(made, pair, EVP_sha256()) == 0)
    goto done;
  step = CTLS_NO_MEMORY;
  if (PEM_write_bio_X509(certificate_text, made) != 1 ||
      PEM_write_bio_PrivateKey(key_text, pair, NULL, NULL, 0, NULL, NULL) != 1)
    goto done;
  *certificate = text_of(certificate_text);
  *key = text_of(key_text);
  if (*certificate && *key) step = CTLS_OK;
done:
  ERR_clear_error();
  BIO_free(certificate_text);
  BIO_free(key_text);
  X509_free(made);
  EVP_PKEY_free(pair);
  return step;
}
