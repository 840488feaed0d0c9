// OpenSSL 3's libcrypto for Swift: the headers we use, and macros that do not import.
#pragma once

// The SHA*_Init family is deprecated in favour of EVP, but it alone gives contexts that are plain
// values: a transcript is forked by copying a struct. See docs/decisions.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

// EVP_PKEY_PUBLIC_KEY and EVP_PKEY_KEYPAIR are expressions over other macros.
static const int copenssl_public_key = EVP_PKEY_PUBLIC_KEY;
static const int copenssl_key_pair = EVP_PKEY_KEYPAIR;

// An OSSL_PARAM keeps the address of its name, so the names must outlive any Swift string.
static inline const char *copenssl_param_group(void) { return OSSL_PKEY_PARAM_GROUP_NAME; }
static inline const char *copenssl_param_public(void) { return OSSL_PKEY_PARAM_PUB_KEY; }
static inline const char *copenssl_param_private(void) { return OSSL_PKEY_PARAM_PRIV_KEY; }

// sk_X509_* are macros over generated inline functions.
static inline STACK_OF(X509) *copenssl_certificates_new(void) { return sk_X509_new_null(); }
static inline int copenssl_certificates_push(STACK_OF(X509) *stack, X509 *certificate) {
  return sk_X509_push(stack, certificate);
}
static inline int copenssl_certificates_count(const STACK_OF(X509) *stack) {
  return sk_X509_num(stack);
}
static inline X509 *copenssl_certificates_get(const STACK_OF(X509) *stack, int index) {
  return sk_X509_value(stack, index);
}
static inline void copenssl_certificates_free(STACK_OF(X509) *stack) {
  sk_X509_pop_free(stack, X509_free);
}
