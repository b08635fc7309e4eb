/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/limits/der.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"

/* The generator of P-256: a point like any other. */
static const uint8_t ec_point[] = {
    0x00, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5,
    0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1,
    0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b,
    0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31,
    0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};
static const char ecdsa_sha256[] = "\x2a\x86\x48\xce\x3d\x04\x03\x02";
static const char rsa_sha256[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
static const char rsa[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
static const char ec[] = "\x2a\x86\x48\xce\x3d\x02\x01";
static const char p256[] = "\x2a\x86\x48\xce\x3d\x03\x01\x07";

#define NEW CLM_BUF_INIT(DER_MAX)

void put_oid(struct clm_buf *out, const char *bytes, size_t len)
{
    put_tlv(out, 0x06, bytes, len);
}

static void put_algorithm(struct clm_buf *out, const struct odd *odd)
{
    struct clm_buf alg = NEW;

    if (odd->key_bytes > 0) {
        PUT_OID(&alg, rsa_sha256);
        put_tlv(&alg, 0x05, "", 0);
    } else {
        PUT_OID(&alg, ecdsa_sha256);
    }
    put_around(out, 0x30, &alg);
    clm_buf_done(&alg);
}

/* A positive odd number of n bytes. */
static void put_number(struct clm_buf *out, int n)
{
    uint8_t bytes[2049];

    for (int i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(0x5b + i * 37);
    }
    bytes[0] = 0x7f;
    bytes[n - 1] |= 1;
    put_tlv(out, 0x02, bytes, (size_t)n);
}

static void put_key(struct clm_buf *out, const struct odd *odd)
{
    struct clm_buf spki = NEW;
    struct clm_buf alg = NEW;
    struct clm_buf key = NEW;
    struct clm_buf bits = NEW;

    if (odd->key_bytes > 0) {
        PUT_OID(&alg, rsa);
        put_tlv(&alg, 0x05, "", 0);
        put_number(&key, odd->key_bytes);
        put_number(&key, odd->has_large_e ? odd->key_bytes : 3);
        put_bytes(&bits, "", 1);
        put_around(&bits, 0x30, &key);
    } else {
        PUT_OID(&alg, ec);
        PUT_OID(&alg, p256);
        put_bytes(&bits, ec_point, sizeof(ec_point));
    }
    put_around(&spki, 0x30, &alg);
    put_around(&spki, 0x03, &bits);
    put_around(out, 0x30, &spki);
    clm_buf_done(&spki);
    clm_buf_done(&alg);
    clm_buf_done(&key);
    clm_buf_done(&bits);
}

static void put_name(struct clm_buf *out, int rdns)
{
    struct clm_buf name = NEW;
    struct clm_buf rdn = NEW;
    struct clm_buf pair = NEW;

    for (int i = 0; i < (rdns > 0 ? rdns : 1); i++) {
        PUT_OID(&pair, "\x55\x04\x0b");
        put_tlv(&pair, 0x0c, "x", 1);
        put_around(&rdn, 0x30, &pair);
        put_around(&name, 0x31, &rdn);
    }
    put_around(out, 0x30, &name);
    clm_buf_done(&name);
    clm_buf_done(&rdn);
    clm_buf_done(&pair);
}

static void put_extension(struct clm_buf *out, const char *oid, size_t oid_len,
                          struct clm_buf *value)
{
    struct clm_buf ext = NEW;

    put_oid(&ext, oid, oid_len);
    put_around(&ext, 0x04, value);
    put_around(out, 0x30, &ext);
    clm_buf_done(&ext);
}

/* The sequence of extensions. */
static void put_extensions(struct clm_buf *out, const struct odd *odd)
{
    struct clm_buf all = NEW;
    struct clm_buf value = NEW;
    struct clm_buf inner = NEW;
    char name[512];

    for (int i = 0; i < odd->sans; i++) {
        int len = snprintf(name, sizeof(name), "%d%0*d.a", i % 7,
                           odd->san_bytes > 5 ? odd->san_bytes - 3 : 2, i);

        put_tlv(&inner, 0x82, name, (size_t)len);
    }
    if (odd->sans > 0) {
        put_around(&value, 0x30, &inner);
        put_extension(&all, "\x55\x1d\x11", 3, &value);
    }
    for (int i = 0; i < odd->extensions; i++) {
        const char oid[] = {0x2a, 0x03, (char)(i / 100 % 100), (char)(i % 100)};

        put_tlv(&value, 0x05, "", 0);
        put_extension(&all, oid, sizeof(oid), &value);
    }
    for (int i = 0; i < odd->depth; i++) {
        put_bytes(&value, inner.data, inner.len);
        inner.len = 0;
        put_around(&inner, 0x30, &value);
    }
    if (odd->depth > 0) {
        put_extension(&all, "\x55\x1d\x11", 3, &inner);
    }
    if (odd->pad_bytes > 0) {
        put_flood(&value, "x", (size_t)odd->pad_bytes);
        put_extension(&all, "\x2a\x03\x04", 3, &value);
    }
    put_around(out, 0x30, &all);
    clm_buf_done(&all);
    clm_buf_done(&value);
    clm_buf_done(&inner);
}

static void put_signature(struct clm_buf *out, const struct odd *odd)
{
    struct clm_buf sig = NEW;

    put_bytes(&sig, "", 1);
    if (odd->key_bytes > 0) {
        put_flood(&sig, "\x11", (size_t)odd->key_bytes + 1);
    } else {
        put_bytes(&sig, "\x30\x06\x02\x01\x01\x02\x01\x01", 8);
    }
    put_around(out, 0x03, &sig);
    clm_buf_done(&sig);
}

void put_cert(struct clm_buf *out, const struct odd *odd)
{
    struct clm_buf tbs = NEW;
    struct clm_buf cert = NEW;
    struct clm_buf extensions = NEW;

    put_bytes(&tbs, "\xa0\x03\x02\x01\x02\x02\x01\x07", 8);
    put_algorithm(&tbs, odd);
    put_name(&tbs, odd->rdns);
    put(&tbs, "\x30\x1e\x17\x0d"
              "260101000000Z"
              "\x17\x0d"
              "360101000000Z");
    put_name(&tbs, odd->rdns);
    put_key(&tbs, odd);
    put_extensions(&extensions, odd);
    put_around(&tbs, 0xa3, &extensions);
    put_around(&cert, 0x30, &tbs);
    put_algorithm(&cert, odd);
    put_signature(&cert, odd);
    put_around(out, 0x30, &cert);
    clm_buf_done(&extensions);
    clm_buf_done(&tbs);
    clm_buf_done(&cert);
}

void put_csr(struct clm_buf *out, const struct odd *odd)
{
    struct clm_buf info = NEW;
    struct clm_buf csr = NEW;
    struct clm_buf attributes = NEW;
    struct clm_buf one = NEW;
    struct clm_buf set = NEW;

    put_bytes(&info, "\x02\x01\x00", 3);
    put_name(&info, odd->rdns);
    put_key(&info, odd);
    for (int i = 0; i < odd->attributes; i++) {
        PUT_OID(&one, "\x2a\x03\x05");
        put_tlv(&set, 0x0c, "x", 1);
        put_around(&one, 0x31, &set);
        put_around(&attributes, 0x30, &one);
    }
    if (odd->sans + odd->extensions + odd->depth > 0) {
        put_extensions(&set, odd);
        PUT_OID(&one, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"); /* extensionRequest */
        put_around(&one, 0x31, &set);
        put_around(&attributes, 0x30, &one);
    }
    put_around(&info, 0xa0, &attributes);
    put_around(&csr, 0x30, &info);
    put_algorithm(&csr, odd);
    put_signature(&csr, odd);
    put_around(out, 0x30, &csr);
    clm_buf_done(&info);
    clm_buf_done(&csr);
    clm_buf_done(&attributes);
    clm_buf_done(&one);
    clm_buf_done(&set);
}

void put_pem(struct clm_buf *out, const char *label, struct clm_buf *inner)
{
    struct clm_buf text = NEW;

    if (clm_b64_encode(inner->data, inner->len, &text, NULL) != CLM_OK) {
        put(out, "no Base64");
    }
    inner->len = 0;
    put(out, "-----BEGIN ");
    put(out, label);
    put(out, "-----\n");
    for (size_t at = 0; at < text.len; at += 64) {
        put_bytes(out, text.data + at, text.len - at < 64 ? text.len - at : 64);
        put(out, "\n");
    }
    put(out, "-----END ");
    put(out, label);
    put(out, "-----\n");
    clm_buf_done(&text);
}
