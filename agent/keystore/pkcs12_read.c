/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three values lie inside each other as opaque bytes (file, AuthenticatedSafe, SafeContents). Each
 * may be BER; it is made definite first, and bags then point into that copy. DER is not copied.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/ber.h"
#include "agent/keystore/pkcs12.h"

/* Values in values of a bag in CLM_P12_DEPTH_MAX bags: three for each, and those of the bag. BER is
 * converted to a smaller depth, which is enough for a bag in two others. */
#define DEFINITE_MAX (3 * (CLM_P12_DEPTH_MAX + 1) + 12)

static enum clm_code no_memory(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_NOMEM, "keystore: no memory");
}

static enum clm_code malformed(const char *what, struct clm_err *err)
{
    return clm_err_set(err, CLM_E_PARSE, "PKCS#12: %s is malformed or cut off", what);
}

/* An empty secret buffer that lives as long as the store. */
static struct clm_buf *keep(struct clm_p12 *p12)
{
    struct clm_buf *grown = realloc(p12->kept, (p12->n_kept + 1) * sizeof(*grown));

    if (grown == NULL) {
        return NULL;
    }
    p12->kept = grown;
    grown[p12->n_kept] = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    return &grown[p12->n_kept++];
}

/* True if everything in r is DER as far as structure goes: definite, shortest lengths, OCTET
 * STRINGs in one piece. */
static bool is_definite(struct clm_der_reader r, unsigned depth)
{
    struct clm_tlv tlv = {0};

    while (!clm_der_at_end(&r)) {
        if (!clm_der_next(&r, &tlv) || tlv.tag == (CLM_DER_OCTET_STRING | 0x20)) {
            return false;
        }
        if ((tlv.tag & 0x20u) != 0 &&
            (depth == DEFINITE_MAX || !is_definite(clm_der_enter(&tlv), depth + 1))) {
            return false;
        }
    }
    return true;
}

/* The SEQUENCE at the start of bytes, made definite if it is not. Bytes behind it do not count. */
static enum clm_code take_sequence(struct clm_p12 *p12, const uint8_t *data, size_t len,
                                   const char *what, struct clm_tlv *out, struct clm_err *err)
{
    struct clm_der_reader r = clm_der_reader_of(data, len);
    struct clm_buf *copy;
    size_t used = 0;
    enum clm_code code;

    if (clm_der_take(&r, CLM_DER_SEQUENCE, out) && is_definite(clm_der_enter(out), 1)) {
        return CLM_OK;
    }
    copy = keep(p12);
    if (copy == NULL) {
        return no_memory(err);
    }
    code = clm_ber_to_der(data, len, copy, &used, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "PKCS#12: %s", what);
    }
    r = clm_der_reader_of(copy->data, copy->len);
    return clm_der_take(&r, CLM_DER_SEQUENCE, out) ? CLM_OK : malformed(what, err);
}

/* ---- bags ---- */

static struct clm_p12_bag *add_bag(struct clm_p12 *p12, struct clm_err *err)
{
    if (p12->n_bags == CLM_P12_BAGS_MAX) {
        (void)clm_err_set(err, CLM_E_LIMIT, "PKCS#12: more than %u bags", CLM_P12_BAGS_MAX);
        return NULL;
    }
    if (p12->n_bags == p12->cap_bags) {
        size_t cap = p12->cap_bags + p12->cap_bags / 2 + 8;
        struct clm_p12_bag *grown = realloc(p12->bags, cap * sizeof(*grown));

        if (grown == NULL) {
            (void)no_memory(err);
            return NULL;
        }
        p12->bags = grown;
        p12->cap_bags = cap;
    }
    p12->bags[p12->n_bags] = (struct clm_p12_bag){.kind = CLM_P12_OTHER};
    return &p12->bags[p12->n_bags++];
}

/* The attributes that mean something here; of several of a kind the first. */
static bool read_attrs(struct clm_p12_bag *bag)
{
    struct clm_der_reader all = clm_der_reader_of(bag->attrs.data, bag->attrs.len);

    while (!clm_der_at_end(&all)) {
        struct clm_tlv attr = {0};
        struct clm_tlv oid = {0};
        struct clm_tlv values = {0};
        struct clm_tlv value = {0};
        struct clm_der_reader r;

        if (!clm_der_take(&all, CLM_DER_SEQUENCE, &attr)) {
            return false;
        }
        r = clm_der_enter(&attr);
        if (!clm_der_take(&r, CLM_DER_OID, &oid) || !clm_der_take(&r, CLM_DER_SET, &values)) {
            return false;
        }
        r = clm_der_enter(&values);
        if (clm_der_is(&oid, CLM_OID(OID_P12_JAVA_TRUSTED))) {
            bag->java_trusts = true;
        } else if (clm_der_is(&oid, CLM_OID(OID_P12_FRIENDLY_NAME)) && bag->name.data == NULL &&
                   clm_der_take(&r, 0x1e, &value)) {
            bag->name = clm_span_value(&value);
        } else if (clm_der_is(&oid, CLM_OID(OID_P12_LOCAL_KEY_ID)) && bag->key_id.data == NULL &&
                   clm_der_take(&r, CLM_DER_OCTET_STRING, &value)) {
            bag->key_id = clm_span_value(&value);
        }
    }
    return true;
}

/* Issuer and subject as they stand in the certificate (RFC 5280 4.1). False: it is none. */
static bool read_names(struct clm_p12_bag *bag)
{
    struct clm_der_reader r = clm_der_reader_of(bag->value.data, bag->value.len);
    struct clm_tlv tlv = {0};

    for (int i = 0; i < 2; i++) { /* certificate, and what is signed of it */
        if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
            return false;
        }
        r = clm_der_enter(&tlv);
    }
    (void)clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &tlv);
    if (!clm_der_take(&r, CLM_DER_INTEGER, &tlv) || !clm_der_take(&r, CLM_DER_SEQUENCE, &tlv) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    bag->issuer = clm_span_of(&tlv);
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) { /* dates */
        return false;
    }
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    bag->subject = clm_span_of(&tlv);
    return true;
}

/* CertBag: SEQUENCE { OID, [0] OCTET STRING }. What is not X.509 becomes a bag that is only kept. */
static bool read_cert(struct clm_p12_bag *bag, const struct clm_tlv *cert_bag)
{
    struct clm_der_reader r = clm_der_enter(cert_bag);
    struct clm_tlv tlv = {0};

    if (cert_bag->tag != CLM_DER_SEQUENCE || !clm_der_take(&r, CLM_DER_OID, &tlv)) {
        return false;
    }
    if (!clm_der_is(&tlv, CLM_OID(OID_P12_X509))) {
        bag->kind = CLM_P12_OTHER;
        return true;
    }
    if (!clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_OCTET_STRING, &tlv)) {
        return false;
    }
    bag->value = clm_span_value(&tlv);
    return read_names(bag);
}

/* One bag, but not the bags inside it: those are the content of out_value, if its kind is NESTED. */
static enum clm_code read_bag(struct clm_p12 *p12, const struct clm_tlv *raw,
                              struct clm_tlv *out_value, struct clm_err *err)
{
    struct clm_p12_bag *bag = add_bag(p12, err);
    struct clm_der_reader r = clm_der_enter(raw);
    struct clm_tlv oid = {0};
    struct clm_tlv tlv = {0};

    if (bag == NULL) {
        return p12->n_bags == CLM_P12_BAGS_MAX ? CLM_E_LIMIT : CLM_E_NOMEM;
    }
    bag->raw = clm_span_of(raw);
    bag->safe = p12->n_safes;
    bag->end = p12->n_bags;
    if (!clm_der_take(&r, CLM_DER_OID, &oid) ||
        !clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), out_value)) {
        return malformed("a bag", err);
    }
    if (clm_der_take(&r, CLM_DER_SET, &tlv)) {
        bag->attrs = clm_span_value(&tlv);
    }
    if (!clm_der_at_end(&r) || !read_attrs(bag)) {
        return malformed("an attribute of a bag", err);
    }
    r = clm_der_enter(out_value);
    if (!clm_der_next(&r, out_value) || !clm_der_at_end(&r)) {
        return malformed("a bag", err);
    }
    if (oid.len == sizeof(OID_P12_BAG) && memcmp(oid.value, CLM_OID(OID_P12_BAG)) == 0 &&
        oid.value[oid.len - 1] <= CLM_P12_NESTED) {
        bag->kind = (enum clm_p12_kind)oid.value[oid.len - 1];
    }
    bag->value = clm_span_of(out_value);
    if (bag->kind == CLM_P12_CERT && !read_cert(bag, out_value)) {
        return malformed("a certificate", err);
    }
    return CLM_OK;
}

static enum clm_code read_bags(struct clm_p12 *p12, struct clm_der_reader r, unsigned depth,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    if (depth > CLM_P12_DEPTH_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "PKCS#12: bags are nested deeper than %d",
                           CLM_P12_DEPTH_MAX);
    }
    while (code == CLM_OK && !clm_der_at_end(&r)) {
        size_t place = p12->n_bags;
        struct clm_tlv raw = {0};
        struct clm_tlv value = {0};

        if (!clm_der_take(&r, CLM_DER_SEQUENCE, &raw)) {
            return malformed("a bag", err);
        }
        code = read_bag(p12, &raw, &value, err);
        if (code == CLM_OK && p12->bags[place].kind == CLM_P12_NESTED) {
            code = value.tag == CLM_DER_SEQUENCE
                       ? read_bags(p12, clm_der_enter(&value), depth + 1, err)
                       : malformed("a bag of bags", err);
            p12->bags[place].end = p12->n_bags;
        }
    }
    return code;
}

static enum clm_code read_contents(struct clm_p12 *p12, const uint8_t *data, size_t len,
                                   struct clm_err *err)
{
    struct clm_tlv contents = {0};
    enum clm_code code = take_sequence(p12, data, len, "SafeContents", &contents, err);

    return code == CLM_OK ? read_bags(p12, clm_der_enter(&contents), 0, err) : code;
}

/* ---- SafeContents ---- */

/* [0] IMPLICIT OCTET STRING: in one piece, or (BER) a constructed value of pieces. */
static enum clm_code take_implicit(struct clm_p12 *p12, struct clm_der_reader *r,
                                   struct clm_tlv *out, struct clm_err *err)
{
    struct clm_der_reader pieces;
    struct clm_buf *whole;
    struct clm_tlv piece = {0};
    enum clm_code code = CLM_OK;

    if (clm_der_take(r, CLM_DER_CONTEXT(0), out)) {
        return CLM_OK;
    }
    if (!clm_der_take(r, CLM_DER_CONTEXT_CONSTRUCTED(0), out)) {
        return malformed("encrypted content", err);
    }
    whole = keep(p12);
    if (whole == NULL) {
        return no_memory(err);
    }
    pieces = clm_der_enter(out);
    while (code == CLM_OK && !clm_der_at_end(&pieces)) {
        if (!clm_der_take(&pieces, CLM_DER_OCTET_STRING, &piece)) {
            return malformed("encrypted content", err);
        }
        code = clm_buf_add(whole, piece.value, piece.len, err);
    }
    out->value = whole->data;
    out->len = whole->len;
    return code;
}

static enum clm_code decrypt(const struct clm_keystore *store, struct clm_p12 *p12,
                             const struct clm_pbe *pbe, const struct clm_tlv *sealed,
                             struct clm_err *err)
{
    struct clm_buf *plain;
    enum clm_code code = clm_p12_spend(p12, pbe->iterations, err);

    if (code != CLM_OK) {
        return code;
    }
    plain = keep(p12);
    if (plain == NULL) {
        return no_memory(err);
    }
    code = clm_p12_decrypt(p12, pbe, &store->password, sealed, plain, err);
    if (code == CLM_E_CRYPTO && p12->mac.kind != CLM_P12_MAC_NONE) {
        return clm_err_set(err, code,
                           "PKCS#12: content is encrypted with another password than the file");
    }
    return code == CLM_OK ? read_contents(p12, plain->data, plain->len, err) : code;
}

/* EncryptedData: SEQUENCE { INTEGER 0, SEQUENCE { OID data, AlgorithmIdentifier, [0] bytes } } */
static enum clm_code read_encrypted(struct clm_keystore *store, struct clm_p12 *p12,
                                    struct clm_p12_safe *safe, const struct clm_tlv *content,
                                    struct clm_err *err)
{
    struct clm_der_reader r = clm_der_enter(content);
    struct clm_tlv tlv = {0};
    struct clm_tlv alg = {0};
    enum clm_code code;

    safe->is_encrypted = true;
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed("encrypted content", err);
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_INTEGER, &tlv) || !clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed("encrypted content", err);
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_OID, &tlv) || !clm_der_is(&tlv, CLM_OID(OID_P12_DATA)) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &alg)) {
        return malformed("encrypted content", err);
    }
    if (!store->has_password) {
        store->is_locked = true;
        return CLM_OK;
    }
    code = clm_pbe_read(&alg, &safe->pbe, err);
    if (code == CLM_OK) {
        code = take_implicit(p12, &r, &tlv, err);
    }
    return code == CLM_OK ? decrypt(store, p12, &safe->pbe, &tlv, err) : code;
}

/* One ContentInfo: SEQUENCE { OID, [0] content } */
static enum clm_code read_safe(struct clm_keystore *store, struct clm_p12 *p12,
                               const struct clm_tlv *raw, struct clm_err *err)
{
    struct clm_p12_safe *safe = &p12->safes[p12->n_safes];
    struct clm_der_reader r = clm_der_enter(raw);
    struct clm_tlv oid = {0};
    struct clm_tlv content = {0};
    struct clm_tlv octets = {0};
    enum clm_code code;

    *safe = (struct clm_p12_safe){.raw = clm_span_of(raw), .first = p12->n_bags};
    if (!clm_der_take(&r, CLM_DER_OID, &oid) ||
        !clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &content)) {
        return malformed("AuthenticatedSafe", err);
    }
    if (clm_der_is(&oid, CLM_OID(OID_P12_ENVELOPED))) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "PKCS#12: content encrypted for a certificate (public-key privacy mode) "
                           "is not supported");
    }
    if (clm_der_is(&oid, CLM_OID(OID_P12_ENCRYPTED))) {
        code = read_encrypted(store, p12, safe, &content, err);
    } else if (clm_der_is(&oid, CLM_OID(OID_P12_DATA))) {
        r = clm_der_enter(&content);
        code = clm_der_take(&r, CLM_DER_OCTET_STRING, &octets)
                   ? read_contents(p12, octets.value, octets.len, err)
                   : malformed("SafeContents", err);
    } else {
        code = clm_err_set(err, CLM_E_UNSUPPORTED, "PKCS#12: content of an unknown type");
    }
    safe->end = p12->n_bags;
    return code;
}

static enum clm_code read_safes(struct clm_keystore *store, const struct clm_span *content,
                                struct clm_err *err)
{
    struct clm_p12 *p12 = store->extra;
    struct clm_tlv all = {0};
    struct clm_tlv raw = {0};
    struct clm_der_reader r;
    size_t n = 0;
    enum clm_code code =
        take_sequence(p12, content->data, content->len, "AuthenticatedSafe", &all, err);

    if (code != CLM_OK) {
        return code;
    }
    for (r = clm_der_enter(&all); clm_der_take(&r, CLM_DER_SEQUENCE, &raw);) {
        n++;
    }
    if (!clm_der_at_end(&r)) {
        return malformed("AuthenticatedSafe", err);
    }
    if (n > CLM_P12_SAFES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "PKCS#12: more than %u SafeContents",
                           CLM_P12_SAFES_MAX);
    }
    p12->safes = calloc(n > 0 ? n : 1, sizeof(*p12->safes));
    if (p12->safes == NULL) {
        return no_memory(err);
    }
    for (r = clm_der_enter(&all); code == CLM_OK && clm_der_take(&r, CLM_DER_SEQUENCE, &raw);) {
        code = read_safe(store, p12, &raw, err);
        p12->n_safes++;
    }
    return code;
}

/* ---- the file ---- */

/* The content of authSafe into out_content, and MacData (raw_len 0: there is none). */
static enum clm_code read_pfx(struct clm_keystore *store, struct clm_span *out_content,
                              struct clm_tlv *out_mac, struct clm_err *err)
{
    struct clm_tlv tlv = {0};
    struct clm_der_reader r;
    struct clm_der_reader info;
    enum clm_code code =
        take_sequence(store->extra, store->original.data, store->original.len, "file", &tlv, err);

    if (code != CLM_OK) {
        return code;
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_INTEGER, &tlv) || !clm_der_is(&tlv, "\x03", 1)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "PKCS#12: version is not 3");
    }
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed("authSafe", err);
    }
    info = clm_der_enter(&tlv);
    if (!clm_der_take(&info, CLM_DER_OID, &tlv)) {
        return malformed("authSafe", err);
    }
    if (clm_der_is(&tlv, CLM_OID(OID_P12_SIGNED))) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "PKCS#12: signed files (public-key integrity mode) are not supported");
    }
    if (!clm_der_is(&tlv, CLM_OID(OID_P12_DATA)) ||
        !clm_der_take(&info, CLM_DER_CONTEXT_CONSTRUCTED(0), &tlv)) {
        return malformed("authSafe", err);
    }
    info = clm_der_enter(&tlv);
    if (!clm_der_take(&info, CLM_DER_OCTET_STRING, &tlv)) {
        return malformed("authSafe", err);
    }
    *out_content = clm_span_value(&tlv);
    *out_mac = (struct clm_tlv){0};
    if (!clm_der_at_end(&r) && !clm_der_take(&r, CLM_DER_SEQUENCE, out_mac)) {
        return malformed("MacData", err);
    }
    return CLM_OK;
}

enum clm_code clm_p12_read(struct clm_keystore *store, struct clm_err *err)
{
    struct clm_p12 *p12 = calloc(1, sizeof(*p12));
    struct clm_span content = {0};
    struct clm_tlv mac = {0};
    enum clm_code code;

    if (p12 == NULL) {
        return no_memory(err);
    }
    store->extra = p12;
    p12->budget = CLM_KEYSTORE_ITERATIONS_MAX;
    code = read_pfx(store, &content, &mac, err);
    if (code == CLM_OK && mac.raw_len > 0) {
        code = clm_p12_mac_read(&mac, &p12->mac, err);
    }
    if (code == CLM_OK && p12->mac.kind != CLM_P12_MAC_NONE) {
        clm_p12_mac_text(&p12->mac, store->integrity);
        if (store->has_password) {
            code = clm_p12_mac_check(p12, &store->password, &content, err);
        }
    }
    if (code == CLM_OK) {
        code = read_safes(store, &content, err);
    }
    return code == CLM_OK ? clm_p12_view(store, err) : code;
}
