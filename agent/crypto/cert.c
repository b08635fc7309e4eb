/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/cert.h"
#include "agent/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/armor.h"
#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/internal.h"

#define SERIAL_BYTES_MAX 21 /* what struct clm_cert_info holds */

static void crt_free(mbedtls_x509_crt *crt)
{
    if (crt != NULL) {
        mbedtls_x509_crt_free(crt);
        free(crt);
    }
}
CLM_DEFINE_CLEANUP(mbedtls_x509_crt, crt_free);

/*
 * Mbed TLS refuses a certificate with a critical extension it does not know, e.g. the
 * nameConstraints of many company CAs (2.28: -0x2562). That is right for who decides trust; we
 * only carry certificates to servers whose clients decide, so every extension is let through.
 */
static int accept_extension(void *ctx, mbedtls_x509_crt const *crt, mbedtls_x509_buf const *oid,
                            int critical, const unsigned char *p, const unsigned char *end)
{
    (void)ctx;
    (void)crt;
    (void)oid;
    (void)critical;
    (void)p;
    (void)end;
    return 0;
}

static enum clm_code parse_error(int rc, struct clm_err *err)
{
    switch (clm_mbed_high(rc)) {
    case MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG:
    case MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE:
    case MBEDTLS_ERR_PK_UNKNOWN_PK_ALG:
    case MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE:
    case MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE:
        return clm_mbed_err(err, CLM_E_UNSUPPORTED, rc,
                            "its key or signature algorithm is not supported");
    default:
        return clm_mbed_err(err, CLM_E_PARSE, rc, "it cannot be read");
    }
}

enum clm_code clm_cert_chain_add(struct clm_cert_chain *chain, const uint8_t *der, size_t len,
                                 struct clm_err *err)
{
    CLM_CLEANUP(crt_free_p) mbedtls_x509_crt *crt = NULL;
    int rc;

    if (chain->n == CLM_CERT_CHAIN_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "there are more than %d", CLM_CERT_CHAIN_MAX);
    }
    if (len > CLM_CERT_DER_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "it is longer than %u bytes", CLM_CERT_DER_MAX);
    }
    crt = calloc(1, sizeof(*crt));
    if (crt == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "no memory");
    }
    mbedtls_x509_crt_init(crt);
    rc = mbedtls_x509_crt_parse_der_with_ext_cb(crt, der, len, 1, accept_extension, NULL);
    if (rc != 0) {
        return parse_error(rc, err);
    }
    if (crt->raw.len != len) {
        return clm_err_set(err, CLM_E_PARSE, "there are %zu bytes behind it", len - crt->raw.len);
    }
    chain->crt[chain->n++] = CLM_STEAL(crt);
    return CLM_OK;
}

static enum clm_code add_block(struct clm_cert_chain *chain, const struct clm_armor *block,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CERT_DER_MAX);
    enum clm_code code = clm_armor_decode(block, &der, err);

    if (code == CLM_OK) {
        code = clm_cert_chain_add(chain, der.data, der.len, err);
    }
    return code;
}

enum clm_code clm_cert_chain_from_pem(const void *pem, size_t len,
                                      struct clm_cert_chain **out_chain, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = calloc(1, sizeof(*chain));
    const char *text = pem;
    struct clm_armor block;
    enum clm_code code;

    if (chain == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "certificates: no memory");
    }
    if (len > CLM_CERT_CHAIN_PEM_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "certificates are longer than %u bytes",
                           CLM_CERT_CHAIN_PEM_MAX);
    }
    while ((code = clm_armor_next(&text, &len, &block, err)) == CLM_OK) {
        if (strcmp(block.label, "CERTIFICATE") != 0 &&
            strcmp(block.label, "X509 CERTIFICATE") != 0 &&
            strcmp(block.label, "TRUSTED CERTIFICATE") != 0) {
            continue;
        }
        code = add_block(chain, &block, err);
        if (code != CLM_OK) {
            break;
        }
    }
    if (code != CLM_E_NOTFOUND) {
        (void)clm_err_wrap(err, code, "certificate %zu", chain->n + 1);
        return code;
    }
    if (chain->n == 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "there is no certificate");
    }
    *out_chain = CLM_STEAL(chain);
    return CLM_OK;
}

enum clm_code clm_cert_chain_from_der(const uint8_t *der, size_t len,
                                      struct clm_cert_chain **out_chain, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = calloc(1, sizeof(*chain));
    enum clm_code code;

    if (chain == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "certificate: no memory");
    }
    code = clm_cert_chain_add(chain, der, len, err);
    if (code != CLM_OK) {
        (void)clm_err_wrap(err, code, "certificate");
        return code;
    }
    *out_chain = CLM_STEAL(chain);
    return CLM_OK;
}

void clm_cert_chain_free(struct clm_cert_chain *chain)
{
    if (chain == NULL) {
        return;
    }
    for (size_t i = 0; i < chain->n; i++) {
        crt_free(chain->crt[i]);
    }
    free(chain);
}

size_t clm_cert_chain_count(const struct clm_cert_chain *chain)
{
    return chain->n;
}

static const mbedtls_x509_crt *at(const struct clm_cert_chain *chain, size_t i)
{
    if (i >= chain->n) {
        abort(); /* the caller counts wrongly; never data */
    }
    return chain->crt[i];
}

const uint8_t *clm_cert_chain_der(const struct clm_cert_chain *chain, size_t i, size_t *out_len)
{
    const mbedtls_x509_crt *crt = at(chain, i);

    *out_len = crt->raw.len;
    return crt->raw.p;
}

enum clm_code clm_cert_chain_pem(const struct clm_cert_chain *chain, size_t i, struct clm_buf *out,
                                 struct clm_err *err)
{
    const mbedtls_x509_crt *crt = at(chain, i);

    return clm_armor_write("CERTIFICATE", crt->raw.p, crt->raw.len, out, err);
}

/* ---- what stands in it ---- */

int64_t clm_cert_time(const mbedtls_x509_time *t)
{
    return clm_time_days(t->year, t->mon, t->day) * 86400 + (int64_t)t->hour * 3600 +
           (int64_t)t->min * 60 + t->sec;
}

void clm_cert_subject(const mbedtls_x509_crt *crt, char dst[256])
{
    (void)clm_dn_text(crt->subject_raw.p, crt->subject_raw.len, dst);
}

static void serial_hex(const mbedtls_x509_buf *serial, char dst[2 * SERIAL_BYTES_MAX + 1])
{
    const unsigned char *p = serial->p;
    size_t len = serial->len;

    if (len > 1 && p[0] == 0) { /* the sign byte */
        p++;
        len--;
    }
    clm_hex_encode(p, len < SERIAL_BYTES_MAX ? len : SERIAL_BYTES_MAX, dst);
}

/* The names for people: the CN stands in where there is no subject alternative name at all. */
static enum clm_code read_names(const mbedtls_x509_crt *crt, struct clm_names *out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_ext_info_done) struct clm_ext_info ext = {.has_san = false};
    char cn[CLM_DNS_NAME_SIZE];
    enum clm_code code =
        clm_ext_read(crt->v3_ext.p, crt->v3_ext.len, CLM_EXT_NAMES_LENIENT, &ext, err);

    if (code == CLM_E_NOMEM) {
        return code;
    }
    if (!ext.has_san &&
        clm_dn_common_name(crt->subject_raw.p, crt->subject_raw.len, cn, sizeof(cn))) {
        return clm_names_add_dns(out, cn, NULL) == CLM_E_NOMEM
                   ? clm_err_set(err, CLM_E_NOMEM, "certificate: no memory")
                   : CLM_OK;
    }
    *out = ext.names; /* moved */
    ext.names = (struct clm_names){.dns = {NULL, 0}};
    return CLM_OK;
}

enum clm_code clm_cert_info(const struct clm_cert_chain *chain, size_t i, struct clm_cert_info *out,
                            struct clm_err *err)
{
    const mbedtls_x509_crt *crt = at(chain, i);

    *out = (struct clm_cert_info){.is_ca = crt->CLM_MBED(ca_istrue) != 0};
    clm_sha256_hex(crt->raw.p, crt->raw.len, out->sha256);
    clm_sha256_hex(crt->pk_raw.p, crt->pk_raw.len, out->spki_sha256);
    serial_hex(&crt->serial, out->serial);
    clm_cert_subject(crt, out->subject);
    (void)clm_dn_text(crt->issuer_raw.p, crt->issuer_raw.len, out->issuer);
    out->not_before_s = clm_cert_time(&crt->valid_from);
    out->not_after_s = clm_cert_time(&crt->valid_to);
    clm_pk_type_text(&crt->pk, out->key_type);
    return read_names(crt, &out->names, err);
}

enum clm_code clm_cert_names_strict(const mbedtls_x509_crt *crt, struct clm_names *out,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_ext_info_done) struct clm_ext_info ext = {.has_san = false};
    enum clm_code code =
        clm_ext_read(crt->v3_ext.p, crt->v3_ext.len, CLM_EXT_NAMES_STRICT, &ext, err);

    if (code == CLM_OK) {
        *out = ext.names; /* moved */
        ext.names = (struct clm_names){.dns = {NULL, 0}};
    }
    return code;
}

enum clm_code clm_cert_uris(const struct clm_cert_chain *chain, size_t i, struct clm_strs *out,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_ext_info_done) struct clm_ext_info ext = {.has_san = false};
    const mbedtls_x509_crt *crt = at(chain, i);
    enum clm_code code =
        clm_ext_read(crt->v3_ext.p, crt->v3_ext.len, CLM_EXT_NAMES_LENIENT, &ext, err);

    for (size_t k = 0; k < ext.uris.n && code == CLM_OK; k++) {
        code = clm_strs_add(out, ext.uris.v[k], err);
    }
    return code;
}

void clm_pin_text(const uint8_t sha256[CLM_SHA256_SIZE], char dst[CLM_PIN_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t bytes[CLM_SHA256_SIZE + 1] = {0}; /* one zero byte more: the last group is of two */
    char *to = dst + snprintf(dst, CLM_PIN_SIZE, CLM_PIN_PREFIX);

    memcpy(bytes, sha256, CLM_SHA256_SIZE);
    for (size_t k = 0; k < sizeof(bytes); k += 3) {
        uint32_t group = (uint32_t)bytes[k] << 16 | (uint32_t)bytes[k + 1] << 8 | bytes[k + 2];

        for (unsigned shift = 24; shift > 0; shift -= 6) {
            *to++ = digits[(group >> (shift - 6)) & 0x3f];
        }
    }
    to[-1] = '=';
    *to = '\0';
}

void clm_cert_pin(const struct clm_cert_chain *chain, size_t i, char dst[CLM_PIN_SIZE])
{
    const mbedtls_x509_crt *crt = at(chain, i);
    uint8_t hash[CLM_SHA256_SIZE];

    clm_sha256(crt->pk_raw.p, crt->pk_raw.len, hash);
    clm_pin_text(hash, dst);
}

enum clm_code clm_pubkey_from_cert(const struct clm_cert_chain *chain, size_t i,
                                   struct clm_pubkey **out_pubkey, struct clm_err *err)
{
    const mbedtls_x509_crt *crt = at(chain, i);

    return clm_pubkey_from_spki(crt->pk_raw.p, crt->pk_raw.len, out_pubkey, err);
}

enum clm_code clm_cert_check_key(const mbedtls_x509_crt *crt, const struct clm_key *key)
{
    int rc = clm_mbed_check_pair(&crt->pk, key->pk);

    if (rc == 0) {
        return CLM_OK;
    }
    return clm_mbed_is_nomem(rc) ? CLM_E_NOMEM : CLM_E_CRYPTO;
}

enum clm_code clm_cert_matches_key(const struct clm_cert_chain *chain, size_t i,
                                   const struct clm_key *key, bool *out_matches,
                                   struct clm_err *err)
{
    enum clm_code code = clm_cert_check_key(at(chain, i), key);

    *out_matches = code == CLM_OK;
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "comparison of certificate and key")
                               : CLM_OK;
}
