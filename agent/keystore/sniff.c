/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of DER are followed only as far as the bytes reach: a value may go on behind them, so
 * clm_der_next() is of no use here. Indefinite lengths are taken, too.
 */
#define _GNU_SOURCE /* memmem */
#include "agent/keystore/sniff.h"

#include <string.h>

#include "agent/base/attr.h"
#include "agent/crypto/der.h"
#include "agent/keystore/keystore.h"

#define OID_PKCS7_SIGNED "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
#define OID_PKCS5        "\x2a\x86\x48\x86\xf7\x0d\x01\x05"     /* prefix: PBES1, PBES2 */
#define OID_PKCS12_PBE   "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01" /* prefix */

const char *clm_cert_file_name(enum clm_cert_file kind)
{
    static const char *const names[CLM_CERT_FILE__COUNT] = {
        [CLM_CERT_FILE_NONE] = "none",     [CLM_CERT_FILE_PEM] = "pem",
        [CLM_CERT_FILE_DER] = "der",       [CLM_CERT_FILE_PKCS7] = "pkcs7",
        [CLM_CERT_FILE_PKCS12] = "pkcs12", [CLM_CERT_FILE_JKS] = "jks",
        [CLM_CERT_FILE_JCEKS] = "jceks",   [CLM_CERT_FILE_OTHER_STORE] = "other",
    };

    return (unsigned)kind < CLM_CERT_FILE__COUNT ? names[kind] : "none";
}

/* ---- values of BER whose end may not be here ---- */

struct cursor {
    const uint8_t *p;
    const uint8_t *end;
};

static bool next_is(const struct cursor *c, uint8_t tag)
{
    return c->p < c->end && *c->p == tag;
}

/* Moves behind tag and length. out_len SIZE_MAX: indefinite. */
static bool enter_len(struct cursor *c, uint8_t tag, size_t *out_len)
{
    size_t n;

    if (!next_is(c, tag) || c->end - c->p < 2) {
        return false;
    }
    n = c->p[1];
    c->p += 2;
    *out_len = n == 0x80 ? SIZE_MAX : n;
    if (n <= 0x80) {
        return true;
    }
    n -= 0x80;
    if (n > 4 || n > (size_t)(c->end - c->p)) {
        return false;
    }
    *out_len = 0;
    while (n-- > 0) {
        *out_len = *out_len << 8 | *c->p++;
    }
    return true;
}

static bool enter(struct cursor *c, uint8_t tag)
{
    size_t len = 0;

    return enter_len(c, tag, &len);
}

/* Into n sequences, one in the other. */
static bool enter_sequences(struct cursor *c, int n)
{
    while (n > 0 && enter(c, CLM_DER_SEQUENCE)) {
        n--;
    }
    return n == 0;
}

/* Moves behind the value; false if its end is not here. */
static bool skip(struct cursor *c, uint8_t tag)
{
    size_t len = 0;

    if (!enter_len(c, tag, &len) || len > (size_t)(c->end - c->p)) {
        return false;
    }
    c->p += len;
    return true;
}

static bool begins_with(const struct cursor *c, const char *bytes, size_t len)
{
    return (size_t)(c->end - c->p) >= len && memcmp(c->p, bytes, len) == 0;
}

static bool small_int(struct cursor *c, uint8_t value)
{
    const char bytes[3] = {CLM_DER_INTEGER, 1, (char)value};

    return begins_with(c, bytes, sizeof(bytes)) && skip(c, CLM_DER_INTEGER);
}

static bool next_is_time(const struct cursor *c)
{
    return next_is(c, CLM_DER_UTC_TIME) || next_is(c, CLM_DER_GENERALIZED_TIME);
}

/* ---- what a value in DER is; each gets the cursor at its first byte ---- */

/* RFC 5280 4.1: version, serial, algorithm, issuer, and then dates in a sequence */
static bool is_cert(struct cursor c)
{
    if (!enter_sequences(&c, 2) || (next_is(&c, CLM_DER_CONTEXT_CONSTRUCTED(0)) &&
                                    !skip(&c, CLM_DER_CONTEXT_CONSTRUCTED(0)))) {
        return false;
    }
    return skip(&c, CLM_DER_INTEGER) && skip(&c, CLM_DER_SEQUENCE) /* algorithm */ &&
           skip(&c, CLM_DER_SEQUENCE) && enter(&c, CLM_DER_SEQUENCE) && next_is_time(&c);
}

/* RFC 2986 4.1: version, subject, public key, which begins with its algorithm */
static bool is_csr(struct cursor c)
{
    return enter_sequences(&c, 2) && small_int(&c, 0) && skip(&c, CLM_DER_SEQUENCE) &&
           enter_sequences(&c, 2) && next_is(&c, CLM_DER_OID);
}

/* RFC 5958 2, RFC 5915 3, RFC 8017 A.1.2 in this order */
static bool is_key(struct cursor c)
{
    struct cursor pkcs8;
    size_t len = 0;
    bool is_one;

    if (!enter(&c, CLM_DER_SEQUENCE)) {
        return false;
    }
    is_one = small_int(&c, 1);
    if (!is_one && !small_int(&c, 0)) {
        return false;
    }
    pkcs8 = c;
    if (enter(&pkcs8, CLM_DER_SEQUENCE)) {
        return next_is(&pkcs8, CLM_DER_OID);
    }
    if (is_one) {
        return skip(&c, CLM_DER_OCTET_STRING) && (next_is(&c, CLM_DER_CONTEXT_CONSTRUCTED(0)) ||
                                                  next_is(&c, CLM_DER_CONTEXT_CONSTRUCTED(1)));
    }
    return enter_len(&c, CLM_DER_INTEGER, &len) && len >= 64;
}

static bool is_password_based(struct cursor c)
{
    return enter(&c, CLM_DER_OID) &&
           (begins_with(&c, CLM_OID(OID_PKCS5)) || begins_with(&c, CLM_OID(OID_PKCS12_PBE)));
}

/* RFC 5958 3: algorithm, octets */
static bool is_encrypted_key(struct cursor c)
{
    struct cursor alg;

    if (!enter(&c, CLM_DER_SEQUENCE)) {
        return false;
    }
    alg = c;
    return enter(&alg, CLM_DER_SEQUENCE) && is_password_based(alg) && skip(&c, CLM_DER_SEQUENCE) &&
           next_is(&c, CLM_DER_OCTET_STRING);
}

static bool is_pkcs7(struct cursor c)
{
    return enter(&c, CLM_DER_SEQUENCE) && enter(&c, CLM_DER_OID) &&
           begins_with(&c, CLM_OID(OID_PKCS7_SIGNED));
}

/* BouncyCastle: BKS and UBER begin with a version and the length of the salt, BCFKS is an encrypted
 * value in a sequence with its check. */
static bool is_other_store(struct cursor c)
{
    return begins_with(&c, "\0\0\0\1\0\0\0\x14", 8) || begins_with(&c, "\0\0\0\2\0\0\0\x14", 8) ||
           (enter_sequences(&c, 3) && is_password_based(c));
}

static const struct {
    bool (*is)(struct cursor c);
    enum clm_cert_file kind;
    uint32_t has;
} binaries[] = {
    {is_pkcs7, CLM_CERT_FILE_PKCS7, CLM_SNIFF_PKCS7},
    {is_cert, CLM_CERT_FILE_DER, CLM_SNIFF_CERT},
    {is_key, CLM_CERT_FILE_DER, CLM_SNIFF_KEY},
    {is_encrypted_key, CLM_CERT_FILE_DER, CLM_SNIFF_ENCRYPTED_KEY},
    {is_csr, CLM_CERT_FILE_DER, CLM_SNIFF_CSR},
    {is_other_store, CLM_CERT_FILE_OTHER_STORE, 0},
};

static struct clm_sniff sniff_binary(const uint8_t *data, size_t len)
{
    static const enum clm_cert_file stores[CLM_KEYSTORE__COUNT] = {
        [CLM_KEYSTORE_PKCS12] = CLM_CERT_FILE_PKCS12,
        [CLM_KEYSTORE_JKS] = CLM_CERT_FILE_JKS,
        [CLM_KEYSTORE_JCEKS] = CLM_CERT_FILE_JCEKS,
    };
    const struct cursor c = {data, data + len};
    enum clm_keystore_type type = CLM_KEYSTORE_PKCS12;

    if (clm_keystore_detect(data, len, &type)) {
        return (struct clm_sniff){.kind = stores[type]};
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(binaries); i++) {
        if (binaries[i].is(c)) {
            return (struct clm_sniff){.kind = binaries[i].kind, .has = binaries[i].has};
        }
    }
    return (struct clm_sniff){.kind = CLM_CERT_FILE_NONE};
}

/* ---- text ---- */

static const struct {
    const char *label;
    uint32_t has;
} labels[] = {
    {"CERTIFICATE", CLM_SNIFF_CERT},
    {"X509 CERTIFICATE", CLM_SNIFF_CERT},
    {"TRUSTED CERTIFICATE", CLM_SNIFF_CERT},
    {"PRIVATE KEY", CLM_SNIFF_KEY},
    {"RSA PRIVATE KEY", CLM_SNIFF_KEY},
    {"EC PRIVATE KEY", CLM_SNIFF_KEY},
    {"DSA PRIVATE KEY", CLM_SNIFF_KEY},
    {"ENCRYPTED PRIVATE KEY", CLM_SNIFF_ENCRYPTED_KEY},
    {"CERTIFICATE REQUEST", CLM_SNIFF_CSR},
    {"NEW CERTIFICATE REQUEST", CLM_SNIFF_CSR},
    {"PKCS7", CLM_SNIFF_PKCS7},
    {"PKCS #7 SIGNED DATA", CLM_SNIFF_PKCS7},
    {"CMS", CLM_SNIFF_PKCS7},
    {"X509 CRL", CLM_SNIFF_CRL},
};

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at == NULL ? -1 : (int)(at - digits);
}

/* The first bytes of a block's content; how many there are. */
static size_t decode_head(const char *p, const char *end, uint8_t dst[24])
{
    uint32_t bits = 0;
    size_t n_bits = 0;
    size_t n = 0;

    for (; p < end && n < 24; p++) {
        int digit = digit_of(*p);

        if (digit < 0) {
            if (*p == '\n' || *p == '\r' || *p == ' ') {
                continue;
            }
            break;
        }
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            dst[n++] = (uint8_t)(bits >> n_bits);
        }
    }
    return n;
}

/* What a block is, from its label and, where labels lie, from its content behind it. */
static uint32_t block_has(const char *label, size_t len, const char *body, const char *end)
{
    static const char proc_type[] = "Proc-Type: 4,ENCRYPTED";
    uint8_t head[24];
    uint32_t has = CLM_SNIFF_OTHER;

    for (size_t i = 0; i < CLM_ARRAY_LEN(labels); i++) {
        if (strlen(labels[i].label) == len && memcmp(labels[i].label, label, len) == 0) {
            has = labels[i].has;
        }
    }
    if (has == CLM_SNIFF_KEY) {
        size_t n = (size_t)(end - body) < 64 ? (size_t)(end - body) : 64;

        return memmem(body, n, proc_type, sizeof(proc_type) - 1) != NULL ? CLM_SNIFF_ENCRYPTED_KEY
                                                                         : has;
    }
    if (has == CLM_SNIFF_CERT) {
        size_t n = decode_head(body, end, head);

        return is_pkcs7((struct cursor){head, head + n}) ? CLM_SNIFF_PKCS7 : has;
    }
    return has;
}

/* All blocks that begin in the text. */
static uint32_t blocks_of(const char *text, size_t len)
{
    static const char begin[] = "-----BEGIN ";
    const char *end = text + len;
    const char *p = text;
    uint32_t has = 0;

    while ((p = memmem(p, (size_t)(end - p), begin, sizeof(begin) - 1)) != NULL) {
        bool is_line = p == text || p[-1] == '\n' || p[-1] == '\r';
        const char *label = p + sizeof(begin) - 1;
        const char *close = memmem(label, (size_t)(end - label), "-----", 5);

        p = label;
        if (close == NULL) {
            break;
        }
        if (is_line && memchr(label, '\n', (size_t)(close - label)) == NULL) {
            has |= block_has(label, (size_t)(close - label), close + 5, end);
            p = close + 5;
        }
    }
    return has;
}

static bool is_preface(const char *text, size_t len)
{
    static const char *const beginnings[] = {
        "Certificate:", "Bag Attributes", "subject=", "issuer=", "#", " ", "\n",
        "\r",           "-----BEGIN "};

    for (size_t i = 0; i < CLM_ARRAY_LEN(beginnings); i++) {
        size_t n = strlen(beginnings[i]);

        if (n <= len && memcmp(text, beginnings[i], n) == 0) {
            return true;
        }
    }
    return false;
}

struct clm_sniff clm_cert_file_sniff(const uint8_t *data, size_t len)
{
    struct clm_sniff sniff = {.kind = CLM_CERT_FILE_NONE};

    if (len == 0) {
        return sniff;
    }
    if (memchr(data, 0, len) != NULL) {
        return sniff_binary(data, len);
    }
    sniff.has = blocks_of((const char *)data, len);
    if (sniff.has == 0) {
        /* no text, or a short value in DER without a single zero byte */
        sniff = sniff_binary(data, len);
    } else {
        sniff.kind = CLM_CERT_FILE_PEM;
    }
    sniff.wants_more = len >= CLM_SNIFF_SIZE &&
                       (sniff.kind == CLM_CERT_FILE_PEM ||
                        (sniff.kind == CLM_CERT_FILE_NONE && is_preface((const char *)data, len)));
    return sniff;
}
