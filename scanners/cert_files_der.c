/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/cert_files_der.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"

#define WEAK_BITS_MAX    2047 /* RSA, DSA; NIST SP 800-131A */
#define SERIAL_BYTES_MAX 21   /* what struct clm_cert_info holds */
#define OID_DSA          "\x2a\x86\x48\xce\x38\x04\x01"
#define OID_RSA_PSS      "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"

struct oid_name {
    const char *oid;
    size_t len;
    const char *name;
    bool is_weak;
};
#define OID(bytes, name, weak)                                                                     \
    {                                                                                              \
        CLM_OID(bytes), (name), (weak)                                                             \
    }

static const struct oid_name curves[] = {
    OID(CLM_OID_P256, "ec-p256", false),
    OID(CLM_OID_P384, "ec-p384", false),
    OID(CLM_OID_P521, "ec-p521", false),
    OID("\x2b\x81\x04\x00\x21", "ec-p224", false),
    OID("\x2a\x86\x48\xce\x3d\x03\x01\x01", "ec-p192", true),
    OID("\x2b\x81\x04\x00\x0a", "ec-k256", false),
};
static const struct oid_name other_keys[] = {
    OID("\x2b\x65\x70", "ed25519", false),
    OID("\x2b\x65\x71", "ed448", false),
};
/* RFC 3279 2.2; 1.3.14.3.2.29 is an old spelling of sha1WithRSAEncryption. */
static const struct oid_name weak_signatures[] = {
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02", "md2", true),
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x03", "md4", true),
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", "md5", true),
    OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", "sha1", true),
    OID("\x2b\x0e\x03\x02\x1d", "sha1", true),
    OID("\x2a\x86\x48\xce\x38\x04\x03", "sha1", true),
    OID("\x2a\x86\x48\xce\x3d\x04\x01", "sha1", true),
};

static const struct oid_name *oid_find(const struct oid_name *table, size_t n,
                                       const struct clm_tlv *oid)
{
    for (size_t i = 0; i < n; i++) {
        if (clm_der_is(oid, table[i].oid, table[i].len)) {
            return &table[i];
        }
    }
    return NULL;
}

/* ---- parts ---- */

static bool digits(const uint8_t **io_p, size_t n, int64_t *out)
{
    int64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = (*io_p)[i];

        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (c - '0');
    }
    *io_p += n;
    *out = value;
    return true;
}

/* "YYMMDDHHMMSSZ" or "YYYYMMDDHHMMSSZ" (RFC 5280 4.1.2.5). */
static bool read_time(struct clm_der_reader *r, int64_t *out_s)
{
    struct clm_tlv tlv;
    int64_t part[6];
    const uint8_t *p;
    size_t year_digits;

    if (!clm_der_next(r, &tlv)) {
        return false;
    }
    year_digits = tlv.tag == CLM_DER_UTC_TIME ? 2 : tlv.tag == CLM_DER_GENERALIZED_TIME ? 4 : 0;
    if (year_digits == 0 || tlv.len != year_digits + 11 || tlv.value[tlv.len - 1] != 'Z') {
        return false;
    }
    p = tlv.value;
    for (size_t i = 0; i < CLM_ARRAY_LEN(part); i++) {
        if (!digits(&p, i == 0 ? year_digits : 2, &part[i])) {
            return false;
        }
    }
    if (year_digits == 2) {
        part[0] += part[0] >= 50 ? 1900 : 2000;
    }
    if (part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31 || part[3] > 23 ||
        part[4] > 59 || part[5] > 60) {
        return false;
    }
    *out_s =
        clm_time_days(part[0], part[1], part[2]) * 86400 + part[3] * 3600 + part[4] * 60 + part[5];
    return true;
}

/* Of an unsigned INTEGER. */
static size_t int_bits(const struct clm_tlv *tlv)
{
    const uint8_t *p = tlv->value;
    size_t len = tlv->len;
    size_t bits;

    while (len > 0 && *p == 0) {
        p++;
        len--;
    }
    if (len == 0) {
        return 0;
    }
    bits = len * 8;
    for (uint8_t top = *p; (top & 0x80u) == 0; top = (uint8_t)(top << 1)) {
        bits--;
    }
    return bits;
}

static void set_bits(const char *name, const struct clm_tlv *number, struct clm_cert_view *out)
{
    size_t bits = int_bits(number);

    (void)snprintf(out->key_type, sizeof(out->key_type), "%s-%zu", name, bits % 1000000);
    out->is_weak_key = bits <= WEAK_BITS_MAX;
}

/* The content of a BIT STRING without unused bits. */
static bool take_bits(struct clm_der_reader *r, struct clm_tlv *out)
{
    if (!clm_der_take(r, CLM_DER_BIT_STRING, out) || out->len < 2 || out->value[0] != 0) {
        return false;
    }
    out->value++;
    out->len--;
    return true;
}

/* The first INTEGER of a SEQUENCE: an RSA modulus, the prime of DSA. */
static void read_bits(struct clm_der_reader *r, const char *name, struct clm_cert_view *out)
{
    struct clm_der_reader inner;
    struct clm_tlv tlv;

    if (clm_der_take(r, CLM_DER_SEQUENCE, &tlv)) {
        inner = clm_der_enter(&tlv);
        if (clm_der_take(&inner, CLM_DER_INTEGER, &tlv)) {
            set_bits(name, &tlv, out);
        }
    }
}

/* key_type and is_weak_key; "other" for what is not known. */
static void read_key_type(struct clm_cert_view *out)
{
    struct clm_der_reader spki = clm_der_enter(&out->spki);
    struct clm_der_reader inner;
    struct clm_tlv alg;
    struct clm_tlv oid;
    struct clm_tlv tlv;
    const struct oid_name *named = NULL;

    (void)snprintf(out->key_type, sizeof(out->key_type), "other");
    if (!clm_der_take(&spki, CLM_DER_SEQUENCE, &alg)) {
        return;
    }
    inner = clm_der_enter(&alg);
    if (!clm_der_take(&inner, CLM_DER_OID, &oid)) {
        return;
    }
    if (clm_der_is(&oid, CLM_OID(CLM_OID_RSA)) || clm_der_is(&oid, CLM_OID(OID_RSA_PSS))) {
        if (take_bits(&spki, &tlv)) {
            struct clm_der_reader key = clm_der_reader_of(tlv.value, tlv.len);

            read_bits(&key, "rsa", out);
        }
    } else if (clm_der_is(&oid, CLM_OID(OID_DSA))) {
        read_bits(&inner, "dsa", out);
    } else if (!clm_der_is(&oid, CLM_OID(CLM_OID_EC_PUBLIC_KEY))) {
        named = oid_find(other_keys, CLM_ARRAY_LEN(other_keys), &oid);
    } else if (clm_der_take(&inner, CLM_DER_OID, &tlv)) {
        named = oid_find(curves, CLM_ARRAY_LEN(curves), &tlv);
    }
    if (named != NULL) {
        (void)snprintf(out->key_type, sizeof(out->key_type), "%s", named->name);
        out->is_weak_key = named->is_weak;
    }
}

static bool is_weak_signature(const struct clm_tlv *alg)
{
    struct clm_der_reader r = clm_der_enter(alg);
    struct clm_tlv oid;
    struct clm_tlv params;
    struct clm_tlv hash;

    if (!clm_der_take(&r, CLM_DER_OID, &oid)) {
        return false;
    }
    if (!clm_der_is(&oid, CLM_OID(OID_RSA_PSS))) {
        return oid_find(weak_signatures, CLM_ARRAY_LEN(weak_signatures), &oid) != NULL;
    }
    /* RFC 4055 3.1: without a hash in its parameters it is SHA-1 */
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &params)) {
        return true;
    }
    r = clm_der_enter(&params);
    return !clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &hash);
}

/* Stands before the content of an extension, or is_seq: inside the SEQUENCE that it must be. */
static bool enter_extension(const struct clm_tlv *extensions, const char *oid, size_t oid_len,
                            bool is_seq, struct clm_der_reader *out)
{
    struct clm_tlv tlv;

    if (extensions->raw == NULL ||
        !clm_ext_find(extensions->raw, extensions->raw_len, oid, oid_len, &tlv)) {
        return false;
    }
    *out = clm_der_reader_of(tlv.value, tlv.len);
    if (is_seq && !clm_der_take(out, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    *out = is_seq ? clm_der_enter(&tlv) : *out;
    return true;
}

static bool read_is_ca(const struct clm_tlv *extensions)
{
    struct clm_der_reader r;
    struct clm_tlv flag;

    return enter_extension(extensions, CLM_OID(CLM_OID_BASIC), true, &r) &&
           clm_der_take(&r, CLM_DER_BOOLEAN, &flag) && flag.len == 1 && flag.value[0] != 0;
}

static bool is_same(const struct clm_tlv *a, const struct clm_tlv *b)
{
    return a->raw_len == b->raw_len && memcmp(a->raw, b->raw, a->raw_len) == 0;
}

/* Version 1 has no extensions: then a self-issued one counts as a CA, as roots of that time were. */
static bool read_tbs(const struct clm_tlv *tbs, struct clm_cert_view *out)
{
    struct clm_der_reader r = clm_der_enter(tbs);
    struct clm_tlv tlv;
    struct clm_tlv validity;
    struct clm_der_reader times;
    bool has_version = clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &tlv);

    if (!clm_der_take(&r, CLM_DER_INTEGER, &out->serial) || out->serial.len == 0 ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &tlv) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &out->issuer) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &validity) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &out->subject) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &out->spki)) {
        return false;
    }
    times = clm_der_enter(&validity);
    if (!read_time(&times, &out->not_before_s) || !read_time(&times, &out->not_after_s)) {
        return false;
    }
    while (clm_der_next(&r, &tlv)) {
        struct clm_der_reader inner = clm_der_enter(&tlv);

        if (tlv.tag == CLM_DER_CONTEXT_CONSTRUCTED(3) &&
            !clm_der_take(&inner, CLM_DER_SEQUENCE, &out->extensions)) {
            return false;
        }
    }
    out->is_self_issued = is_same(&out->subject, &out->issuer);
    out->is_ca = has_version ? read_is_ca(&out->extensions) : out->is_self_issued;
    return clm_der_at_end(&r);
}

bool clm_cert_view_read(const uint8_t *der, size_t len, struct clm_cert_view *out)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv tbs;
    struct clm_tlv alg;
    struct clm_tlv signature;

    memset(out, 0, sizeof(*out));
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &out->whole)) {
        return false;
    }
    r = clm_der_enter(&out->whole);
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tbs) || !clm_der_take(&r, CLM_DER_SEQUENCE, &alg) ||
        !clm_der_take(&r, CLM_DER_BIT_STRING, &signature) || !clm_der_at_end(&r) ||
        !read_tbs(&tbs, out)) {
        return false;
    }
    read_key_type(out);
    out->is_weak_signature = !out->is_self_issued && is_weak_signature(&alg);
    return true;
}

/* The CN stands in where there is no subject alternative name at all. */
static enum clm_code read_names(const struct clm_cert_view *view, struct clm_names *out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_ext_info_done) struct clm_ext_info ext = {.has_san = false};
    char cn[CLM_DNS_NAME_SIZE];
    enum clm_code code = CLM_OK;

    if (view->extensions.raw != NULL) {
        code = clm_ext_read(view->extensions.raw, view->extensions.raw_len, CLM_EXT_NAMES_LENIENT,
                            &ext, NULL);
    }
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "certificate");
    }
    if (ext.has_san) {
        *out = ext.names; /* moved */
        ext.names = (struct clm_names){.dns = {NULL, 0}};
        return CLM_OK;
    }
    if (clm_dn_common_name(view->subject.raw, view->subject.raw_len, cn, sizeof(cn)) &&
        clm_names_add_dns(out, cn, NULL) == CLM_E_NOMEM) {
        return clm_err_set(err, CLM_E_NOMEM, "certificate");
    }
    return CLM_OK;
}

enum clm_code clm_cert_view_info(const struct clm_cert_view *view, struct clm_cert_info *out,
                                 struct clm_err *err)
{
    const uint8_t *serial = view->serial.value;
    size_t serial_len = view->serial.len;
    enum clm_code code;

    memset(out, 0, sizeof(*out));
    clm_sha256_hex(view->whole.raw, view->whole.raw_len, out->sha256);
    clm_sha256_hex(view->spki.raw, view->spki.raw_len, out->spki_sha256);
    if (serial_len > 1 && serial[0] == 0) { /* the sign byte */
        serial++;
        serial_len--;
    }
    clm_hex_encode(serial, serial_len < SERIAL_BYTES_MAX ? serial_len : SERIAL_BYTES_MAX,
                   out->serial);
    (void)clm_dn_text(view->subject.raw, view->subject.raw_len, out->subject);
    (void)clm_dn_text(view->issuer.raw, view->issuer.raw_len, out->issuer);
    out->not_before_s = view->not_before_s;
    out->not_after_s = view->not_after_s;
    memcpy(out->key_type, view->key_type, sizeof(out->key_type));
    out->is_ca = view->is_ca;
    code = read_names(view, &out->names, err);
    if (code != CLM_OK) {
        clm_cert_info_done(out);
    }
    return code;
}

bool clm_cert_view_is_issuer(const struct clm_cert_view *upper, const struct clm_cert_view *lower)
{
    struct clm_der_reader r;
    struct clm_tlv own;
    struct clm_tlv wanted;

    if (!is_same(&upper->subject, &lower->issuer) || !upper->is_ca) {
        return false;
    }
    if (enter_extension(&upper->extensions, CLM_OID(CLM_OID_SKI), false, &r) &&
        clm_der_take(&r, CLM_DER_OCTET_STRING, &own) &&
        enter_extension(&lower->extensions, CLM_OID(CLM_OID_AKI), true, &r) &&
        clm_der_take(&r, CLM_DER_CONTEXT(0), &wanted)) {
        return own.len == wanted.len && memcmp(own.value, wanted.value, own.len) == 0;
    }
    return true;
}
