/* SPDX-License-Identifier: Apache-2.0 */
/* The public half of private keys, and the certificates of PKCS#7 bags. */
#include <string.h>

#include "agent/base/buf.h"
#include "scanners/cert_files_der.h"

#define OID_SIGNED_DATA "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"

/* ---- private keys ---- */

/* RSAPrivateKey: version 0, n, e, d ... */
static bool rsa_numbers(struct clm_der_reader r, struct clm_tlv *n, struct clm_tlv *e)
{
    struct clm_tlv version;
    struct clm_tlv d;

    return clm_der_take(&r, CLM_DER_INTEGER, &version) && version.len == 1 &&
           version.value[0] <= 1 && clm_der_take(&r, CLM_DER_INTEGER, n) &&
           clm_der_take(&r, CLM_DER_INTEGER, e) && clm_der_take(&r, CLM_DER_INTEGER, &d) &&
           n->len >= 32;
}

struct ec_key {
    struct clm_tlv curve; /* raw NULL: not in it */
    struct clm_tlv point; /* raw NULL: not in it */
};

/* ECPrivateKey: version 1, private, [0] curve, [1] public. */
static bool ec_parts(struct clm_der_reader r, struct ec_key *out)
{
    struct clm_tlv tlv;
    struct clm_tlv inner;

    memset(out, 0, sizeof(*out));
    if (!clm_der_take(&r, CLM_DER_INTEGER, &tlv) || tlv.len != 1 || tlv.value[0] != 1 ||
        !clm_der_take(&r, CLM_DER_OCTET_STRING, &tlv)) {
        return false;
    }
    while (clm_der_next(&r, &tlv)) {
        struct clm_der_reader content = clm_der_enter(&tlv);

        if (tlv.tag == CLM_DER_CONTEXT_CONSTRUCTED(0) &&
            clm_der_take(&content, CLM_DER_OID, &inner)) {
            out->curve = inner;
        } else if (tlv.tag == CLM_DER_CONTEXT_CONSTRUCTED(1) &&
                   clm_der_take(&content, CLM_DER_BIT_STRING, &inner)) {
            out->point = inner;
        }
    }
    return clm_der_at_end(&r);
}

static bool hash_spki(struct clm_der *w, const struct clm_buf *out, uint8_t dst[CLM_SHA256_SIZE])
{
    if (clm_der_done(w) != CLM_OK) {
        return false;
    }
    clm_sha256(out->data, out->len, dst);
    return true;
}

static bool rsa_spki(const struct clm_tlv *n, const struct clm_tlv *e, uint8_t dst[CLM_SHA256_SIZE])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(16384);
    struct clm_der w;

    clm_der_init(&w, &out, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, CLM_OID(CLM_OID_RSA));
    clm_der_null(&w);
    clm_der_close(&w);
    clm_der_open_bits(&w);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_raw(&w, n->raw, n->raw_len);
    clm_der_raw(&w, e->raw, e->raw_len);
    clm_der_close(&w);
    clm_der_close(&w);
    clm_der_close(&w);
    return hash_spki(&w, &out, dst);
}

static bool ec_spki(const struct ec_key *key, uint8_t dst[CLM_SHA256_SIZE])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(4096);
    struct clm_der w;

    if (key->curve.raw == NULL || key->point.raw == NULL) {
        return false;
    }
    clm_der_init(&w, &out, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, CLM_OID(CLM_OID_EC_PUBLIC_KEY));
    clm_der_raw(&w, key->curve.raw, key->curve.raw_len);
    clm_der_close(&w);
    clm_der_raw(&w, key->point.raw, key->point.raw_len);
    clm_der_close(&w);
    return hash_spki(&w, &out, dst);
}

/* What kind of private key; the parts of the two kinds whose public half can be told. */
enum key_form {
    KEY_NONE,
    KEY_RSA,
    KEY_EC,
    KEY_OTHER
};

struct key_parts {
    enum key_form form;
    struct clm_tlv n;
    struct clm_tlv e;
    struct ec_key ec;
};

/* PrivateKeyInfo: version, algorithm, OCTET STRING. */
static bool pkcs8_parts(struct clm_der_reader r, struct key_parts *out)
{
    struct clm_tlv version;
    struct clm_tlv alg;
    struct clm_tlv oid;
    struct clm_tlv curve;
    struct clm_tlv inner;
    struct clm_tlv key;
    struct clm_der_reader a;
    struct clm_der_reader k;

    if (!clm_der_take(&r, CLM_DER_INTEGER, &version) || version.len != 1 || version.value[0] > 1 ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &alg) ||
        !clm_der_take(&r, CLM_DER_OCTET_STRING, &inner)) {
        return false;
    }
    a = clm_der_enter(&alg);
    if (!clm_der_take(&a, CLM_DER_OID, &oid)) {
        return false;
    }
    out->form = KEY_OTHER;
    k = clm_der_reader_of(inner.value, inner.len);
    if (!clm_der_take(&k, CLM_DER_SEQUENCE, &key)) {
        return true; /* Ed25519: an OCTET STRING */
    }
    if (clm_der_is(&oid, CLM_OID(CLM_OID_RSA)) &&
        rsa_numbers(clm_der_enter(&key), &out->n, &out->e)) {
        out->form = KEY_RSA;
    } else if (clm_der_is(&oid, CLM_OID(CLM_OID_EC_PUBLIC_KEY)) &&
               ec_parts(clm_der_enter(&key), &out->ec)) {
        out->form = KEY_EC;
        if (clm_der_take(&a, CLM_DER_OID, &curve)) {
            out->ec.curve = curve;
        }
    }
    return true;
}

static void read_private(const uint8_t *der, size_t len, struct key_parts *out)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv whole;

    memset(out, 0, sizeof(*out));
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &whole) || !clm_der_at_end(&r)) {
        return;
    }
    if (pkcs8_parts(clm_der_enter(&whole), out)) {
        return;
    }
    if (rsa_numbers(clm_der_enter(&whole), &out->n, &out->e)) {
        out->form = KEY_RSA;
    } else if (ec_parts(clm_der_enter(&whole), &out->ec)) {
        out->form = KEY_EC;
    }
}

bool clm_private_spki(const uint8_t *der, size_t len, uint8_t dst[CLM_SHA256_SIZE])
{
    struct key_parts key;
    bool is_told = false;

    read_private(der, len, &key);
    if (key.form == KEY_RSA) {
        is_told = rsa_spki(&key.n, &key.e, dst);
    } else if (key.form == KEY_EC) {
        is_told = ec_spki(&key.ec, dst);
    }
    return is_told;
}

bool clm_is_private_key(const uint8_t *der, size_t len)
{
    struct key_parts key;

    read_private(der, len, &key);
    return key.form != KEY_NONE;
}

/* ---- PKCS#7 ---- */

bool clm_pkcs7_certs(const uint8_t *der, size_t len, struct clm_der_reader *out)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv tlv;

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_OID, &tlv) || !clm_der_is(&tlv, CLM_OID(OID_SIGNED_DATA)) ||
        !clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_INTEGER, &tlv) || !clm_der_take(&r, CLM_DER_SET, &tlv) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    if (!clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &tlv)) {
        *out = clm_der_reader_of(NULL, 0); /* a bag of revocation lists */
        return true;
    }
    *out = clm_der_enter(&tlv);
    return true;
}
