/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/ca.h"

#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/internal.h"

#define SERIAL_SIZE 16 /* bytes; RFC 5280 4.1.2.2 asks for at most 20 */
#define KEY_ID_SIZE 20

/* Bits of KeyUsage (RFC 5280 4.2.1.3), first byte. */
#define KU_DIGITAL_SIGNATURE 0x80u
#define KU_KEY_ENCIPHERMENT  0x20u
#define KU_CERT_SIGN         0x04u
#define KU_CRL_SIGN          0x02u

struct work {
    const struct clm_ca_issue *issue;
    const struct clm_key *signer;
    enum clm_hash hash;
    struct clm_tlv spki;        /* of the subject */
    const mbedtls_x509_crt *ca; /* NULL: self-signed */
    bool is_rsa;
    uint8_t serial[SERIAL_SIZE];
};

/* RFC 7093 2, method 1: the first 160 bits of SHA-256 over the bits of the public key. */
static bool key_id(const struct clm_tlv *spki, uint8_t dst[KEY_ID_SIZE])
{
    struct clm_der_reader r = clm_der_enter(spki);
    struct clm_tlv alg = {0};
    struct clm_tlv bits = {0};
    uint8_t hash[CLM_SHA256_SIZE];

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &alg) || !clm_der_take(&r, CLM_DER_BIT_STRING, &bits) ||
        bits.len < 2) {
        return false;
    }
    clm_sha256(bits.value + 1, bits.len - 1, hash);
    memcpy(dst, hash, KEY_ID_SIZE);
    return true;
}

/* The issuer's own subject key identifier, so that both sides agree however it was made. */
static void write_aki(struct clm_der *w, const struct work *work)
{
    uint8_t id[KEY_ID_SIZE];
    struct clm_tlv ext = {0};
    struct clm_tlv ski = {0};
    struct clm_tlv spki = work->spki;
    struct clm_der_reader r = {NULL, NULL};

    if (work->ca != NULL) {
        if (clm_ext_find(work->ca->v3_ext.p, work->ca->v3_ext.len, CLM_OID(CLM_OID_SKI), &ext)) {
            r = clm_der_enter(&ext);
        }
        if (!clm_der_take(&r, CLM_DER_OCTET_STRING, &ski)) {
            struct clm_der_reader all = clm_der_reader_of(work->ca->pk_raw.p, work->ca->pk_raw.len);

            (void)clm_der_next(&all, &spki);
        }
    }
    clm_ext_open(w, CLM_OID(CLM_OID_AKI), false);
    clm_der_open(w, CLM_DER_SEQUENCE);
    if (ski.raw != NULL) {
        clm_der_bytes(w, CLM_DER_CONTEXT(0), ski.value, ski.len);
    } else if (key_id(&spki, id)) {
        clm_der_bytes(w, CLM_DER_CONTEXT(0), id, sizeof(id));
    }
    clm_der_close(w);
    clm_ext_close(w);
}

static void write_ski(struct clm_der *w, const struct work *work)
{
    uint8_t id[KEY_ID_SIZE];

    if (!key_id(&work->spki, id)) {
        clm_der_fail(w, clm_err_set(w->err, CLM_E_PARSE, "public key is malformed"));
        return;
    }
    clm_ext_open(w, CLM_OID(CLM_OID_SKI), false);
    clm_der_bytes(w, CLM_DER_OCTET_STRING, id, sizeof(id));
    clm_ext_close(w);
}

static void write_basic(struct clm_der *w, const struct clm_ca_issue *issue)
{
    clm_ext_open(w, CLM_OID(CLM_OID_BASIC), true);
    clm_der_open(w, CLM_DER_SEQUENCE);
    if (issue->is_ca) {
        clm_der_true(w);
        if (issue->path_len >= 0) {
            clm_der_small_int(w, (uint8_t)issue->path_len);
        }
    }
    clm_der_close(w);
    clm_ext_close(w);
}

/* DER wants a bit list without trailing zero bits. */
static void write_key_usage(struct clm_der *w, const struct work *work)
{
    uint8_t usage = work->issue->is_ca ? KU_CERT_SIGN | KU_CRL_SIGN : KU_DIGITAL_SIGNATURE;
    uint8_t unused = 0;
    uint8_t bits[2];

    if (!work->issue->is_ca && work->is_rsa) {
        usage |= KU_KEY_ENCIPHERMENT;
    }
    while ((usage & (1u << unused)) == 0) {
        unused++;
    }
    bits[0] = unused;
    bits[1] = usage;
    clm_ext_open(w, CLM_OID(CLM_OID_KEY_USAGE), true);
    clm_der_bytes(w, CLM_DER_BIT_STRING, bits, sizeof(bits));
    clm_ext_close(w);
}

static bool has_subject(const struct clm_ca_issue *issue)
{
    for (size_t i = 0; issue->subject != NULL && i < CLM_SUBJECT__COUNT; i++) {
        if (issue->subject->field[i].n > 0) {
            return true;
        }
    }
    return (issue->common_name != NULL && issue->common_name[0] != '\0') ||
           (issue->organization != NULL && issue->organization[0] != '\0');
}

static void write_extensions(struct clm_der *w, const struct work *work)
{
    const struct clm_ca_issue *issue = work->issue;
    const struct clm_ext_san san = {issue->names, issue->emails, issue->uris};

    clm_der_open(w, CLM_DER_CONTEXT_CONSTRUCTED(3));
    clm_der_open(w, CLM_DER_SEQUENCE);
    write_basic(w, issue);
    write_key_usage(w, work);
    clm_ext_write_eku(w, issue->eku_server, issue->eku_client);
    /* Critical if there is no other name: RFC 5280 4.2.1.6. */
    clm_ext_write_san(w, &san, !has_subject(issue));
    write_ski(w, work);
    write_aki(w, work);
    if (issue->must_staple) {
        clm_ext_write_must_staple(w);
    }
    clm_der_close(w);
    clm_der_close(w);
}

static enum clm_code write_tbs(const struct work *work, struct clm_buf *out, struct clm_err *err)
{
    const struct clm_ca_issue *issue = work->issue;
    struct clm_dn subject = {.organization = issue->organization,
                             .common_name = issue->common_name};
    struct clm_der w;

    if (issue->subject != NULL) {
        subject = clm_dn_of(issue->subject);
    }

    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_open(&w, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_small_int(&w, 2); /* v3 */
    clm_der_close(&w);
    clm_der_positive(&w, work->serial, sizeof(work->serial));
    clm_sign_alg(&w, work->signer, work->hash);
    if (work->ca != NULL) {
        clm_der_raw(&w, work->ca->subject_raw.p, work->ca->subject_raw.len);
    } else {
        clm_dn_write(&w, &subject);
    }
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_time(&w, issue->not_before_s);
    clm_der_time(&w, issue->not_after_s);
    clm_der_close(&w);
    clm_dn_write(&w, &subject);
    clm_der_raw(&w, work->spki.raw, work->spki.raw_len);
    write_extensions(&w, work);
    clm_der_close(&w);
    return clm_der_done(&w);
}

static enum clm_code check_issue(const struct clm_ca_issue *issue, struct clm_err *err)
{
    const struct clm_ext_san san = {issue->names, issue->emails, issue->uris};

    if (issue->not_after_s <= issue->not_before_s) {
        return clm_err_set(err, CLM_E_INVAL, "it would end before it begins");
    }
    if (issue->path_len > 127) {
        return clm_err_set(err, CLM_E_INVAL, "path length %d is beyond 127", issue->path_len);
    }
    if (!has_subject(issue) && !clm_ext_has_san(&san)) {
        return clm_err_set(err, CLM_E_INVAL, "it would have no name");
    }
    return CLM_OK;
}

static enum clm_code issue_cert(struct clm_rng *rng, struct work *work, const uint8_t *spki,
                                size_t spki_len, struct clm_buf *out_pem, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf tbs = CLM_BUF_INIT(CLM_CERT_DER_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CERT_DER_MAX);
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    struct clm_der_reader r = clm_der_reader_of(spki, spki_len);
    enum clm_code code = check_issue(work->issue, err);

    if (code == CLM_OK) {
        code = clm_pubkey_from_spki(spki, spki_len, &pubkey, err);
    }
    if (code == CLM_OK) {
        code = clm_rng_fill(rng, work->serial, sizeof(work->serial), err);
    }
    if (code != CLM_OK) {
        return code;
    }
    (void)clm_der_next(&r, &work->spki);
    work->is_rsa = mbedtls_pk_get_type(pubkey->pk) == MBEDTLS_PK_RSA;
    work->serial[0] = (uint8_t)((work->serial[0] & 0x7fu) | 0x40u); /* positive, full length */
    work->hash =
        clm_key_type_of(work->signer) == CLM_KEY_EC_P384 ? CLM_HASH_SHA384 : CLM_HASH_SHA256;
    code = write_tbs(work, &tbs, err);
    if (code == CLM_OK) {
        code = clm_sign_der(rng, work->signer, work->hash, &tbs, &der, err);
    }
    if (code == CLM_OK) {
        code = clm_armor_write("CERTIFICATE", der.data, der.len, out_pem, err);
    }
    return code;
}

enum clm_code clm_ca_issue(struct clm_rng *rng, const struct clm_ca_issue *issue,
                           struct clm_buf *out_pem, struct clm_err *err)
{
    struct work work = {.issue = issue, .signer = issue->issuer_key, .ca = issue->issuer->crt[0]};
    bool matches = false;
    enum clm_code code = clm_cert_matches_key(issue->issuer, 0, issue->issuer_key, &matches, err);

    if (code == CLM_OK && work.ca->CLM_MBED(ca_istrue) == 0) {
        code = clm_err_set(err, CLM_E_CRYPTO, "the issuer's certificate is not a CA's");
    } else if (code == CLM_OK && !matches) {
        code = clm_err_set(err, CLM_E_CRYPTO, "the CA's key is not that of its certificate");
    } else if (code == CLM_OK) {
        code = issue_cert(rng, &work, issue->spki, issue->spki_len, out_pem, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "issue a certificate");
}

enum clm_code clm_ca_self_signed(struct clm_rng *rng, const struct clm_key *key,
                                 const struct clm_ca_issue *issue, struct clm_buf *out_pem,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    struct work work = {.issue = issue, .signer = key};
    enum clm_code code = clm_key_public_der(key, &spki, err);

    if (code == CLM_OK) {
        code = issue_cert(rng, &work, spki.data, spki.len, out_pem, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "self-signed certificate");
}
