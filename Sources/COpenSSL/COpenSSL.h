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

// EVP_PKEY_PUBLIC_KEY and EVP_PKEY_KEYPAIR are expressions over other macros.
static const int copenssl_public_key = EVP_PKEY_PUBLIC_KEY;
static const int copenssl_key_pair = EVP_PKEY_KEYPAIR;

// An OSSL_PARAM keeps the address of its name, so the names must outlive any Swift string.
static inline const char *copenssl_param_group(void) { return OSSL_PKEY_PARAM_GROUP_NAME; }
static inline const char *copenssl_param_public(void) { return OSSL_PKEY_PARAM_PUB_KEY; }
static inline const char *copenssl_param_private(void) { return OSSL_PKEY_PARAM_PRIV_KEY; }
