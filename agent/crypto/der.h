/* SPDX-License-Identifier: Apache-2.0 */
/*
 * der - writing and reading DER (X.690), as far as requests and certificates need it
 *
 * Requests and certificates are encoded here and not with the writers of Mbed TLS, whose 2.28 knows
 * neither subject alternative names nor several organizational units. The writer keeps the first
 * error, so that building needs no check at each step; clm_der_done() reports it.
 */
#ifndef CLM_CRYPTO_DER_H
#define CLM_CRYPTO_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_DER_DEPTH_MAX 16

enum {
    CLM_DER_BOOLEAN = 0x01,
    CLM_DER_INTEGER = 0x02,
    CLM_DER_BIT_STRING = 0x03,
    CLM_DER_OCTET_STRING = 0x04,
    CLM_DER_NULL = 0x05,
    CLM_DER_OID = 0x06,
    CLM_DER_UTF8 = 0x0c,
    CLM_DER_PRINTABLE = 0x13,
    CLM_DER_T61 = 0x14,
    CLM_DER_IA5 = 0x16,
    CLM_DER_UTC_TIME = 0x17,
    CLM_DER_GENERALIZED_TIME = 0x18,
    CLM_DER_BMP = 0x1e,
    CLM_DER_SEQUENCE = 0x30,
    CLM_DER_SET = 0x31,
};
#define CLM_DER_CONTEXT(n)             ((uint8_t)(0x80u + (n))) /* primitive */
#define CLM_DER_CONTEXT_CONSTRUCTED(n) ((uint8_t)(0xa0u + (n)))

/* Object identifiers as string literals of their content bytes; CLM_OID() gives pointer, length. */
#define CLM_OID(literal)      (literal), (sizeof(literal) - 1)
#define CLM_OID_CN            "\x55\x04\x03"
#define CLM_OID_COUNTRY       "\x55\x04\x06"
#define CLM_OID_LOCALITY      "\x55\x04\x07"
#define CLM_OID_STATE         "\x55\x04\x08"
#define CLM_OID_ORG           "\x55\x04\x0a"
#define CLM_OID_ORG_UNIT      "\x55\x04\x0b"
#define CLM_OID_EMAIL         "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"
#define CLM_OID_CHALLENGE     "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"
#define CLM_OID_EXT_REQUEST   "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define CLM_OID_SKI           "\x55\x1d\x0e"
#define CLM_OID_KEY_USAGE     "\x55\x1d\x0f"
#define CLM_OID_SAN           "\x55\x1d\x11"
#define CLM_OID_BASIC         "\x55\x1d\x13"
#define CLM_OID_AKI           "\x55\x1d\x23"
#define CLM_OID_EKU           "\x55\x1d\x25"
#define CLM_OID_EKU_SERVER    "\x2b\x06\x01\x05\x05\x07\x03\x01"
#define CLM_OID_EKU_CLIENT    "\x2b\x06\x01\x05\x05\x07\x03\x02"
#define CLM_OID_EKU_ANY       "\x55\x1d\x25\x00"
#define CLM_OID_TLS_FEATURE   "\x2b\x06\x01\x05\x05\x07\x01\x18"
#define CLM_OID_RSA           "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define CLM_OID_EC_PUBLIC_KEY "\x2a\x86\x48\xce\x3d\x02\x01"
#define CLM_OID_P256          "\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define CLM_OID_P384          "\x2b\x81\x04\x00\x22"
#define CLM_OID_P521          "\x2b\x81\x04\x00\x23"

/* ---- writing ---- */

struct clm_der {
    struct clm_buf *out;
    struct clm_err *err;
    enum clm_code code; /* first error */
    size_t depth;
    size_t start[CLM_DER_DEPTH_MAX]; /* where the content of each open value begins */
};

/* Appends to out, which must outlive w. */
void clm_der_init(struct clm_der *w, struct clm_buf *out, struct clm_err *err);
/* A constructed value, or an OCTET STRING around others; closed by clm_der_close(). */
void clm_der_open(struct clm_der *w, uint8_t tag);
/* A BIT STRING around other values or raw bytes, no unused bits. */
void clm_der_open_bits(struct clm_der *w);
void clm_der_close(struct clm_der *w);
void clm_der_bytes(struct clm_der *w, uint8_t tag, const void *data, size_t len);
void clm_der_text(struct clm_der *w, uint8_t tag, const char *text);
/* Bytes that are DER already. */
void clm_der_raw(struct clm_der *w, const void *data, size_t len);
void clm_der_oid(struct clm_der *w, const char *oid, size_t len);
void clm_der_small_int(struct clm_der *w, uint8_t value); /* 0..127 */
/* A positive INTEGER from big-endian bytes: leading zeros removed, a sign byte put in front. */
void clm_der_positive(struct clm_der *w, const uint8_t *data, size_t len);
void clm_der_true(struct clm_der *w);
void clm_der_null(struct clm_der *w);
/* UTCTime up to 2049, else GeneralizedTime (RFC 5280 4.1.2.5). INVAL outside 1970..9999. */
void clm_der_time(struct clm_der *w, int64_t unix_s);
/* Records an error of the caller's own. */
void clm_der_fail(struct clm_der *w, enum clm_code code);
/* The first error. All values must be closed. */
CLM_MUST_USE enum clm_code clm_der_done(struct clm_der *w);

/* ---- reading ---- */

struct clm_tlv {
    uint8_t tag;
    const uint8_t *value; /* len bytes */
    size_t len;
    const uint8_t *raw; /* with tag and length, raw_len bytes */
    size_t raw_len;
};

struct clm_der_reader {
    const uint8_t *p;
    const uint8_t *end;
};

struct clm_der_reader clm_der_reader_of(const uint8_t *data, size_t len);
/* The content of a constructed value. */
struct clm_der_reader clm_der_enter(const struct clm_tlv *tlv);
bool clm_der_at_end(const struct clm_der_reader *r);
/* The next value; false at the end or if it is malformed: definite and minimal lengths only, tags
 * of one byte. */
bool clm_der_next(struct clm_der_reader *r, struct clm_tlv *out);
/* The next value if it has that tag; otherwise false and r stays. */
bool clm_der_take(struct clm_der_reader *r, uint8_t tag, struct clm_tlv *out);
bool clm_der_is(const struct clm_tlv *tlv, const char *content, size_t len);

#endif
