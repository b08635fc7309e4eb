/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/pkcs7.h"

#include <stdlib.h>
#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/ber.h"
#include "agent/crypto/internal.h"

#define OID_SIGNED_DATA "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
#define OID_DATA        "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define OID_PKCS7       "\x2a\x86\x48\x86\xf7\x0d\x01\x07" /* prefix of all kinds */

/* ---- reading ---- */

static enum clm_code malformed(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_PARSE, "PKCS#7 is malformed");
}

/* The content of SignedData, of a ContentInfo in DER. */
static enum clm_code open_signed(const struct clm_buf *der, struct clm_der_reader *out,
                                 struct clm_err *err)
{
    struct clm_der_reader r = clm_der_reader_of(der->data, der->len);
    struct clm_tlv tlv = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed(err);
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_OID, &tlv)) {
        return malformed(err);
    }
    if (!clm_der_is(&tlv, CLM_OID(OID_SIGNED_DATA))) {
        bool is_kin = tlv.len == sizeof(OID_PKCS7) &&
                      memcmp(tlv.value, OID_PKCS7, sizeof(OID_PKCS7) - 1) == 0;

        return is_kin ? clm_err_set(err, CLM_E_UNSUPPORTED,
                                    "PKCS#7 is no bag of certificates (its content is of type %u)",
                                    (unsigned)tlv.value[tlv.len - 1])
                      : malformed(err);
    }
    if (!clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &tlv)) {
        return malformed(err);
    }
    r = clm_der_enter(&tlv);
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed(err);
    }
    *out = clm_der_enter(&tlv);
    return CLM_OK;
}

static enum clm_code each_in_der(const uint8_t *data, size_t len, clm_pkcs7_fn visit, void *arg,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT((size_t)2 * CLM_PKCS7_MAX);
    struct clm_der_reader r = {NULL, NULL};
    struct clm_tlv tlv = {0};
    size_t used = 0; /* some writers leave a line end behind the value */
    enum clm_code code = clm_ber_to_der(data, len, &der, &used, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "PKCS#7");
    }
    code = open_signed(&der, &r, err);
    if (code != CLM_OK) {
        return code;
    }
    if (!clm_der_take(&r, CLM_DER_INTEGER, &tlv) || !clm_der_take(&r, CLM_DER_SET, &tlv) ||
        !clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return malformed(err);
    }
    if (!clm_der_take(&r, CLM_DER_CONTEXT_CONSTRUCTED(0), &tlv)) {
        return CLM_OK; /* no certificates */
    }
    r = clm_der_enter(&tlv);
    while (clm_der_next(&r, &tlv)) {
        if (tlv.tag == CLM_DER_SEQUENCE) { /* others: attribute certificates */
            code = visit(arg, tlv.raw, tlv.raw_len, err);
            if (code != CLM_OK) {
                return code;
            }
        }
    }
    return clm_der_at_end(&r) ? CLM_OK : malformed(err);
}

static bool is_cert_label(const char *label)
{
    return strcmp(label, "CERTIFICATE") == 0 || strcmp(label, "X509 CERTIFICATE") == 0;
}

static bool is_bag_label(const char *label)
{
    return strcmp(label, "PKCS7") == 0 || strcmp(label, "CMS") == 0 ||
           strcmp(label, "PKCS #7 SIGNED DATA") == 0;
}

/* True if the value begins as PKCS#7 does: a sequence with one of its identifiers. */
static bool is_bag(const uint8_t *data, size_t len)
{
    static const char oid[] = "\x06\x09" OID_PKCS7;
    size_t skip = 2;

    if (len < 2 || data[0] != CLM_DER_SEQUENCE) {
        return false;
    }
    if (data[1] > 0x80) {
        skip += data[1] - 0x80u;
    }
    return len >= skip + sizeof(oid) - 1 && memcmp(data + skip, oid, sizeof(oid) - 1) == 0;
}

/* The first bag of a PEM text. Errors: NOTFOUND. */
static enum clm_code bag_of_pem(const void *pem, size_t len, struct clm_buf *out,
                                struct clm_err *err)
{
    const char *text = pem;
    struct clm_armor block;
    enum clm_code code;

    while ((code = clm_armor_next(&text, &len, &block, err)) == CLM_OK) {
        if (!is_bag_label(block.label) && !is_cert_label(block.label)) {
            continue;
        }
        out->len = 0;
        code = clm_armor_decode(&block, out, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "PKCS#7");
        }
        if (is_bag_label(block.label) || is_bag(out->data, out->len)) {
            return CLM_OK;
        }
    }
    return code == CLM_E_NOTFOUND ? clm_err_set(err, code, "there is no PKCS#7 bag") : code;
}

enum clm_code clm_pkcs7_each(const void *data, size_t len, clm_pkcs7_fn visit, void *arg,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf bag = CLM_BUF_INIT(CLM_PKCS7_MAX);
    enum clm_code code;

    if (len > CLM_PKCS7_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "PKCS#7 is longer than %u bytes", CLM_PKCS7_MAX);
    }
    if (len > 0 && *(const uint8_t *)data == CLM_DER_SEQUENCE) {
        return each_in_der(data, len, visit, arg, err);
    }
    code = bag_of_pem(data, len, &bag, err);
    return code == CLM_OK ? each_in_der(bag.data, bag.len, visit, arg, err) : code;
}

static enum clm_code add_to_chain(void *arg, const uint8_t *der, size_t len, struct clm_err *err)
{
    struct clm_cert_chain *chain = arg;
    enum clm_code code = clm_cert_chain_add(chain, der, len, err);

    return code == CLM_OK ? code : clm_err_wrap(err, code, "certificate %zu", chain->n + 1);
}

enum clm_code clm_pkcs7_read(const void *data, size_t len, struct clm_cert_chain **out_chain,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = calloc(1, sizeof(*chain));
    enum clm_code code;

    if (chain == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "certificates: no memory");
    }
    code = clm_pkcs7_each(data, len, add_to_chain, chain, err);
    if (code != CLM_OK) {
        return code;
    }
    if (chain->n == 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "PKCS#7 holds no certificate");
    }
    *out_chain = CLM_STEAL(chain);
    return CLM_OK;
}

enum clm_code clm_cert_chain_from_any(const void *data, size_t len,
                                      struct clm_cert_chain **out_chain, struct clm_err *err)
{
    struct clm_err first = {.code = CLM_OK};
    enum clm_code code;
    enum clm_code bag;

    if (len > 0 && *(const uint8_t *)data == CLM_DER_SEQUENCE) {
        return is_bag(data, len) ? clm_pkcs7_read(data, len, out_chain, err)
                                 : clm_cert_chain_from_der(data, len, out_chain, err);
    }
    code = clm_cert_chain_from_pem(data, len, out_chain, &first);
    if (code == CLM_OK) {
        return code;
    }
    /* none, or one that only claims to be one */
    bag = clm_pkcs7_read(data, len, out_chain, err);
    if (bag == CLM_E_NOTFOUND && err != NULL) {
        *err = first;
        return code;
    }
    return bag == CLM_E_NOTFOUND ? code : bag;
}

/* ---- writing ---- */

enum clm_code clm_pkcs7_to_der(const struct clm_cert_chain *chain, struct clm_buf *out,
                               struct clm_err *err)
{
    struct clm_der w;

    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, CLM_OID(OID_SIGNED_DATA));
    clm_der_open(&w, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_small_int(&w, 1);
    clm_der_bytes(&w, CLM_DER_SET, NULL, 0);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, CLM_OID(OID_DATA));
    clm_der_close(&w);
    clm_der_open(&w, CLM_DER_CONTEXT_CONSTRUCTED(0));
    for (size_t i = 0; i < chain->n; i++) {
        clm_der_raw(&w, chain->crt[i]->raw.p, chain->crt[i]->raw.len);
    }
    clm_der_close(&w);
    clm_der_bytes(&w, CLM_DER_SET, NULL, 0);
    clm_der_close(&w);
    clm_der_close(&w);
    clm_der_close(&w);
    return clm_der_done(&w);
}

enum clm_code clm_pkcs7_to_pem(const struct clm_cert_chain *chain, struct clm_buf *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_PKCS7_MAX);
    enum clm_code code = clm_pkcs7_to_der(chain, &der, err);

    return code == CLM_OK ? clm_armor_write("PKCS7", der.data, der.len, out, err) : code;
}
