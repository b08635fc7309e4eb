/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbed_compat - what differs between Mbed TLS 2.28 and 3.6, and nothing else
 *
 * 3.x made most members private, gave its hash functions a result under their old names, and wants
 * a random generator wherever a private key is touched (blinding). Code of this folder is written
 * against the 3.x form; here 2.28 is lifted to it. Builds of 3.x with MBEDTLS_USE_PSA_CRYPTO keep
 * EC keys elsewhere and are not supported.
 */
#ifndef CLM_CRYPTO_MBED_COMPAT_H
#define CLM_CRYPTO_MBED_COMPAT_H

#include <mbedtls/aes.h>
#include <mbedtls/asn1.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/des.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/md5.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#if MBEDTLS_VERSION_NUMBER < 0x021C0000 || MBEDTLS_VERSION_NUMBER >= 0x04000000
#    error "Mbed TLS 2.28 or 3.x is needed"
#endif

struct clm_rng;

/* f_rng callbacks: over a struct clm_rng, and straight from the kernel where none is at hand. */
int clm_rng_mbed(void *ctx, unsigned char *dst, size_t len);
int clm_rng_kernel(void *unused, unsigned char *dst, size_t len);

#if MBEDTLS_VERSION_NUMBER >= 0x03000000

#    define CLM_MBED(member) MBEDTLS_PRIVATE(member)

#    define clm_mbed_sha256_starts(ctx)            mbedtls_sha256_starts((ctx), 0)
#    define clm_mbed_sha256_update(ctx, data, len) mbedtls_sha256_update((ctx), (data), (len))
#    define clm_mbed_sha256_finish(ctx, out)       mbedtls_sha256_finish((ctx), (out))
#    define clm_mbed_sha224_starts(ctx, is224)     mbedtls_sha256_starts((ctx), (is224))
#    define clm_mbed_md5_starts(ctx)               mbedtls_md5_starts(ctx)
#    define clm_mbed_md5_update(ctx, data, len)    mbedtls_md5_update((ctx), (data), (len))
#    define clm_mbed_md5_finish(ctx, out)          mbedtls_md5_finish((ctx), (out))
#    define clm_mbed_sha1_starts(ctx)              mbedtls_sha1_starts(ctx)
#    define clm_mbed_sha1_update(ctx, data, len)   mbedtls_sha1_update((ctx), (data), (len))
#    define clm_mbed_sha1_finish(ctx, out)         mbedtls_sha1_finish((ctx), (out))
#    define clm_mbed_sha512_starts(ctx, is384)     mbedtls_sha512_starts((ctx), (is384))
#    define clm_mbed_sha512_update(ctx, data, len) mbedtls_sha512_update((ctx), (data), (len))
#    define clm_mbed_sha512_finish(ctx, out)       mbedtls_sha512_finish((ctx), (out))

static inline int clm_mbed_parse_key(mbedtls_pk_context *pk, const unsigned char *der, size_t len)
{
    return mbedtls_pk_parse_key(pk, der, len, NULL, 0, clm_rng_kernel, NULL);
}

static inline int clm_mbed_check_pair(const mbedtls_pk_context *pub, const mbedtls_pk_context *prv)
{
    return mbedtls_pk_check_pair(pub, prv, clm_rng_kernel, NULL);
}

/* sig holds MBEDTLS_PK_SIGNATURE_MAX_SIZE bytes. */
static inline int clm_mbed_sign(mbedtls_pk_context *pk, const mbedtls_md_info_t *md,
                                const unsigned char *hash, unsigned char *sig, size_t *sig_len,
                                struct clm_rng *rng)
{
    return mbedtls_pk_sign(pk, mbedtls_md_get_type(md), hash, mbedtls_md_get_size(md), sig,
                           MBEDTLS_PK_SIGNATURE_MAX_SIZE, sig_len, clm_rng_mbed, rng);
}

#else

#    define CLM_MBED(member) member

#    define clm_mbed_sha256_starts(ctx)            mbedtls_sha256_starts_ret((ctx), 0)
#    define clm_mbed_sha256_update(ctx, data, len) mbedtls_sha256_update_ret((ctx), (data), (len))
#    define clm_mbed_sha256_finish(ctx, out)       mbedtls_sha256_finish_ret((ctx), (out))
#    define clm_mbed_sha224_starts(ctx, is224)     mbedtls_sha256_starts_ret((ctx), (is224))
#    define clm_mbed_md5_starts(ctx)               mbedtls_md5_starts_ret(ctx)
#    define clm_mbed_md5_update(ctx, data, len)    mbedtls_md5_update_ret((ctx), (data), (len))
#    define clm_mbed_md5_finish(ctx, out)          mbedtls_md5_finish_ret((ctx), (out))
#    define clm_mbed_sha1_starts(ctx)              mbedtls_sha1_starts_ret(ctx)
#    define clm_mbed_sha1_update(ctx, data, len)   mbedtls_sha1_update_ret((ctx), (data), (len))
#    define clm_mbed_sha1_finish(ctx, out)         mbedtls_sha1_finish_ret((ctx), (out))
#    define clm_mbed_sha512_starts(ctx, is384)     mbedtls_sha512_starts_ret((ctx), (is384))
#    define clm_mbed_sha512_update(ctx, data, len) mbedtls_sha512_update_ret((ctx), (data), (len))
#    define clm_mbed_sha512_finish(ctx, out)       mbedtls_sha512_finish_ret((ctx), (out))

static inline int clm_mbed_parse_key(mbedtls_pk_context *pk, const unsigned char *der, size_t len)
{
    return mbedtls_pk_parse_key(pk, der, len, NULL, 0);
}

static inline int clm_mbed_check_pair(const mbedtls_pk_context *pub, const mbedtls_pk_context *prv)
{
    return mbedtls_pk_check_pair(pub, prv);
}

static inline int clm_mbed_sign(mbedtls_pk_context *pk, const mbedtls_md_info_t *md,
                                const unsigned char *hash, unsigned char *sig, size_t *sig_len,
                                struct clm_rng *rng)
{
    return mbedtls_pk_sign(pk, mbedtls_md_get_type(md), hash, mbedtls_md_get_size(md), sig, sig_len,
                           clm_rng_mbed, rng);
}

#endif
#endif
