/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/clock.h"
#include "agent/crypto/dn.h"
#include "agent/crypto/internal.h"

/* ---- who signed whom ---- */

static bool same_bytes(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* Clients compare names without regard to case and string type (RFC 5280 7.1). */
static bool is_named_issuer(const mbedtls_x509_crt *child, const mbedtls_x509_crt *issuer)
{
    char want[CLM_DN_TEXT_SIZE];
    char have[CLM_DN_TEXT_SIZE];

    if (same_bytes(&child->issuer_raw, &issuer->subject_raw)) {
        return true;
    }
    return clm_dn_text(child->issuer_raw.p, child->issuer_raw.len, want) &&
           clm_dn_text(issuer->subject_raw.p, issuer->subject_raw.len, have) &&
           strcasecmp(want, have) == 0;
}

enum clm_code clm_cert_signed_by(const mbedtls_x509_crt *child, const mbedtls_x509_crt *issuer)
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(child->CLM_MBED(sig_md));
    mbedtls_pk_context pk =
        issuer->pk; /* a view: Mbed TLS wants it mutable and does not change it */
    unsigned char digest[MBEDTLS_MD_MAX_SIZE];
    int rc;

    if (md == NULL || !is_named_issuer(child, issuer)) {
        return CLM_E_CRYPTO;
    }
    rc = mbedtls_md(md, child->tbs.p, child->tbs.len, digest);
    if (rc == 0) {
        rc = mbedtls_pk_verify_ext(child->CLM_MBED(sig_pk), child->CLM_MBED(sig_opts), &pk,
                                   child->CLM_MBED(sig_md), digest, mbedtls_md_get_size(md),
                                   child->CLM_MBED(sig).p, child->CLM_MBED(sig).len);
    }
    if (rc == 0) {
        return CLM_OK;
    }
    return clm_mbed_is_nomem(rc) ? CLM_E_NOMEM : CLM_E_CRYPTO;
}

/* OK: it signed itself. */
static enum clm_code check_root(const mbedtls_x509_crt *crt)
{
    if (!same_bytes(&crt->subject_raw, &crt->issuer_raw)) {
        return CLM_E_CRYPTO;
    }
    return clm_cert_signed_by(crt, crt);
}

static enum clm_code no_memory(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_NOMEM, "certificate chain: no memory");
}

static enum clm_code broken(const mbedtls_x509_crt *issuer, const mbedtls_x509_crt *child,
                            struct clm_err *err)
{
    char by[CLM_DN_TEXT_SIZE];
    char of[CLM_DN_TEXT_SIZE];

    clm_cert_subject(issuer, by);
    clm_cert_subject(child, of);
    return clm_err_set(err, CLM_E_CRYPTO, "chain is broken: '%.200s' did not sign '%.200s'", by,
                       of);
}

/* ---- order ---- */

static void remove_at(struct clm_cert_chain *chain, size_t i)
{
    mbedtls_x509_crt_free(chain->crt[i]);
    free(chain->crt[i]);
    chain->n--;
    memmove(&chain->crt[i], &chain->crt[i + 1], (chain->n - i) * sizeof(mbedtls_x509_crt *));
}

static void remove_duplicates(struct clm_cert_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        for (size_t k = chain->n; k-- > i + 1;) {
            if (same_bytes(&chain->crt[i]->raw, &chain->crt[k]->raw)) {
                remove_at(chain, k);
            }
        }
    }
}

static void move_to(struct clm_cert_chain *chain, size_t from, size_t to)
{
    mbedtls_x509_crt *crt = chain->crt[from];

    memmove(&chain->crt[to + 1], &chain->crt[to], (from - to) * sizeof(mbedtls_x509_crt *));
    chain->crt[to] = crt;
}

static void leaf_first(struct clm_cert_chain *chain)
{
    if (chain->crt[0]->CLM_MBED(ca_istrue) == 0) {
        return;
    }
    for (size_t i = 1; i < chain->n; i++) {
        if (chain->crt[i]->CLM_MBED(ca_istrue) == 0) {
            move_to(chain, i, 0);
            return;
        }
    }
}

/* The issuer of certificate i among those behind it; a cross-signed one is preferred to the root of
 * the same name, because it leads further. *out_k is chain->n if there is none. Only NOMEM. */
static enum clm_code find_issuer(const struct clm_cert_chain *chain, size_t i, size_t *out_k)
{
    *out_k = chain->n;
    for (size_t k = i + 1; k < chain->n; k++) {
        enum clm_code code = clm_cert_signed_by(chain->crt[i], chain->crt[k]);

        if (code == CLM_OK) {
            *out_k = k;
            code = check_root(chain->crt[k]);
            if (code == CLM_E_CRYPTO) {
                return CLM_OK;
            }
        }
        if (code == CLM_E_NOMEM) {
            return code;
        }
    }
    return CLM_OK;
}

/* OK if certificate k is a root that signed one of the first n. */
static enum clm_code check_used_root(const struct clm_cert_chain *chain, size_t k, size_t n)
{
    enum clm_code code = check_root(chain->crt[k]);

    if (code != CLM_OK) {
        return code;
    }
    for (size_t i = 0; i < n && i < k; i++) {
        code = clm_cert_signed_by(chain->crt[i], chain->crt[k]);
        if (code != CLM_E_CRYPTO) {
            return code;
        }
    }
    return CLM_E_CRYPTO;
}

/* *io_sorted: how many at the front are in order. */
static enum clm_code drop_roots(struct clm_cert_chain *chain, size_t *io_sorted)
{
    for (size_t k = chain->n; k-- > 1;) {
        enum clm_code code = check_used_root(chain, k, *io_sorted);

        if (code == CLM_E_NOMEM) {
            return code;
        }
        if (code == CLM_OK) {
            remove_at(chain, k);
            *io_sorted -= k < *io_sorted;
        }
    }
    return CLM_OK;
}

enum clm_code clm_cert_chain_sort(struct clm_cert_chain *chain, struct clm_err *err)
{
    size_t sorted = 1;

    remove_duplicates(chain);
    leaf_first(chain);
    while (sorted < chain->n) {
        size_t k = chain->n;

        if (find_issuer(chain, sorted - 1, &k) != CLM_OK) {
            return no_memory(err);
        }
        if (k == chain->n) {
            break;
        }
        move_to(chain, k, sorted++);
    }
    if (drop_roots(chain, &sorted) != CLM_OK) {
        return no_memory(err);
    }
    if (sorted < chain->n) {
        return broken(chain->crt[sorted], chain->crt[sorted - 1], err);
    }
    return CLM_OK;
}

/* ---- checks ---- */

enum clm_code clm_cert_check_dates(const mbedtls_x509_crt *crt, const char *what, int64_t now_s,
                                   int64_t skew_s, struct clm_err *err)
{
    int64_t not_before_s = clm_cert_time(&crt->valid_from);
    int64_t not_after_s = clm_cert_time(&crt->valid_to);
    char when[CLM_TIME_TEXT_SIZE];

    if (now_s > not_after_s) {
        clm_time_format(not_after_s, when);
        return clm_err_set(err, CLM_E_CRYPTO, "%s expired on %s", what, when);
    }
    if (now_s + skew_s < not_before_s) {
        clm_time_format(not_before_s, when);
        return clm_err_set(err, CLM_E_CRYPTO, "%s is not valid before %s", what, when);
    }
    return CLM_OK;
}

/* Certificate i signs others: may it? Mbed TLS keeps the path length raised by one, 0 is none. */
static enum clm_code check_ca(const struct clm_cert_chain *chain, size_t i, struct clm_err *err)
{
    const mbedtls_x509_crt *crt = chain->crt[i];
    int path_len = crt->CLM_MBED(max_pathlen);
    char subject[CLM_DN_TEXT_SIZE];

    clm_cert_subject(crt, subject);
    if (crt->CLM_MBED(ca_istrue) == 0 ||
        mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0) {
        return clm_err_set(err, CLM_E_CRYPTO,
                           "chain is broken: '%.200s' is not a CA that may sign certificates",
                           subject);
    }
    if (path_len > 0 && i - 1 > (size_t)(path_len - 1)) {
        return clm_err_set(err, CLM_E_CRYPTO,
                           "chain is broken: '%.200s' allows %d intermediate CAs below, there are "
                           "%zu",
                           subject, path_len - 1, i - 1);
    }
    return CLM_OK;
}

enum clm_code clm_cert_chain_verify(const struct clm_cert_chain *chain, int64_t now_s,
                                    int64_t skew_s, struct clm_err *err)
{
    for (size_t i = 1; i < chain->n; i++) {
        char subject[CLM_DN_TEXT_SIZE];
        char what[CLM_DN_TEXT_SIZE + 32];
        enum clm_code code;

        code = clm_cert_signed_by(chain->crt[i - 1], chain->crt[i]);
        if (code != CLM_OK) {
            return code == CLM_E_NOMEM ? no_memory(err)
                                       : broken(chain->crt[i], chain->crt[i - 1], err);
        }
        code = check_ca(chain, i, err);
        if (code != CLM_OK) {
            return code;
        }
        clm_cert_subject(chain->crt[i], subject);
        (void)snprintf(what, sizeof(what), "CA certificate '%s'", subject);
        code = clm_cert_check_dates(chain->crt[i], what, now_s, skew_s, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

enum clm_code clm_cert_chain_check(struct clm_cert_chain *chain, int64_t now_s, struct clm_err *err)
{
    enum clm_code code = clm_cert_chain_sort(chain, err);

    if (code == CLM_OK) {
        code = clm_cert_check_dates(chain->crt[0], "certificate", now_s, 0, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_verify(chain, now_s, 0, err);
    }
    return code;
}
