/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/csr.h"

#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/crypto/dn.h"
#include "agent/crypto/ext.h"
#include "agent/crypto/internal.h"

#define CHALLENGE_MAX 255 /* bytes; RFC 2985 5.4.1 pkcs-9-ub-challengePassword */

static bool has_extensions(const struct clm_csr_request *request)
{
    const struct clm_ext_san san = {request->names, request->emails, request->uris};

    return clm_ext_has_san(&san) || request->must_staple || request->eku_server ||
           request->eku_client;
}

/* RFC 2985 5.4.1: a DirectoryString, PrintableString where that holds it. */
static void write_challenge(struct clm_der *w, const struct clm_buf *password)
{
    static const char printable[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                    " '()+,-./:=?";
    bool is_printable = true;

    if (password->len == 0 || password->len > CHALLENGE_MAX ||
        memchr(password->data, 0, password->len) != NULL ||
        !clm_str_is_utf8(password->data, password->len)) {
        clm_der_fail(w, clm_err_set(w->err, CLM_E_INVAL,
                                    "challenge password: must be 1 to %d bytes of UTF-8",
                                    CHALLENGE_MAX));
        return;
    }
    for (size_t i = 0; i < password->len; i++) {
        is_printable = is_printable && strchr(printable, password->data[i]) != NULL;
    }
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, CLM_OID(CLM_OID_CHALLENGE));
    clm_der_open(w, CLM_DER_SET);
    clm_der_bytes(w, is_printable ? CLM_DER_PRINTABLE : CLM_DER_UTF8, password->data,
                  password->len);
    clm_der_close(w);
    clm_der_close(w);
}

/* attributes [0] { challengePassword, extensionRequest (RFC 2985 5.4.2) }: a SET OF, so the shorter
 * encoding would have to come first; nobody checks it, and openssl writes them in this order, too. */
static void write_attributes(struct clm_der *w, const struct clm_csr_request *request)
{
    const struct clm_ext_san san = {request->names, request->emails, request->uris};

    clm_der_open(w, CLM_DER_CONTEXT_CONSTRUCTED(0));
    if (request->challenge_password != NULL) {
        write_challenge(w, request->challenge_password);
    }
    if (has_extensions(request)) {
        clm_der_open(w, CLM_DER_SEQUENCE);
        clm_der_oid(w, CLM_OID(CLM_OID_EXT_REQUEST));
        clm_der_open(w, CLM_DER_SET);
        clm_der_open(w, CLM_DER_SEQUENCE);
        clm_ext_write_san(w, &san, false);
        clm_ext_write_eku(w, request->eku_server, request->eku_client);
        if (request->must_staple) {
            clm_ext_write_must_staple(w);
        }
        clm_der_close(w);
        clm_der_close(w);
        clm_der_close(w);
    }
    clm_der_close(w);
}

static enum clm_code write_info(const struct clm_key *key, const struct clm_csr_request *request,
                                struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    enum clm_code code = clm_key_public_der(key, &spki, err);
    struct clm_dn subject = {
        .country = request->country,
        .state = request->state,
        .locality = request->locality,
        .organization = request->organization,
        .ous = request->ous,
        .common_name = request->common_name,
        .email = request->email,
    };
    struct clm_der w;

    if (code != CLM_OK) {
        return code;
    }
    if (request->subject != NULL) {
        subject = clm_dn_of(request->subject);
    }
    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_small_int(&w, 0); /* v1 */
    clm_dn_write(&w, &subject);
    clm_der_raw(&w, spki.data, spki.len);
    write_attributes(&w, request);
    clm_der_close(&w);
    return clm_der_done(&w);
}

enum clm_code clm_csr_build(struct clm_rng *rng, const struct clm_key *key,
                            const struct clm_csr_request *request, struct clm_buf *out_der,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf info = CLM_BUF_SECRET_INIT(CLM_CSR_MAX);
    enum clm_code code = write_info(key, request, &info, err);

    if (code == CLM_OK) {
        code = clm_sign_der(rng, key, request->hash, &info, out_der, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "certificate request");
    }
    return CLM_OK;
}

enum clm_code clm_csr_to_pem(const uint8_t *der, size_t len, struct clm_buf *out,
                             struct clm_err *err)
{
    return clm_armor_write("CERTIFICATE REQUEST", der, len, out, err);
}

enum clm_code clm_csr_from_pem(const void *pem, size_t len, struct clm_buf *out_der,
                               struct clm_err *err)
{
    const char *text = pem;
    struct clm_armor block;

    for (;;) {
        enum clm_code code = clm_armor_next(&text, &len, &block, err);

        if (code == CLM_E_NOTFOUND) {
            return clm_err_set(err, code, "there is no certificate request");
        }
        if (code != CLM_OK) {
            return code;
        }
        if (strcmp(block.label, "CERTIFICATE REQUEST") == 0 ||
            strcmp(block.label, "NEW CERTIFICATE REQUEST") == 0) {
            return clm_armor_decode(&block, out_der, err);
        }
    }
}

/* What a block of another kind is called; NULL if it is a request. */
static const char *wrong_block(const char *label)
{
    if (strcmp(label, "CERTIFICATE REQUEST") == 0 ||
        strcmp(label, "NEW CERTIFICATE REQUEST") == 0) {
        return NULL;
    }
    if (strstr(label, "PRIVATE KEY") != NULL) {
        return "a private key, which must never leave its host: replace that key";
    }
    return strstr(label, "CERTIFICATE") != NULL ? "a certificate" : "something else";
}

static enum clm_code find_only_request(const char *pem, struct clm_buf *out_der,
                                       struct clm_err *err)
{
    const char *text = pem;
    size_t len = strlen(pem);
    size_t n = 0;
    enum clm_code code = CLM_OK;

    if (len > CLM_CSR_PEM_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "longer than %u bytes", CLM_CSR_PEM_MAX);
    }
    for (;;) {
        struct clm_armor block;

        code = clm_armor_next(&text, &len, &block, err);
        if (code != CLM_OK) {
            break;
        }
        const char *wrong = wrong_block(block.label);

        if (wrong != NULL) {
            return clm_err_set(err, CLM_E_PARSE, "the text holds %s, not only a request", wrong);
        }
        if (++n > 1) {
            return clm_err_set(err, CLM_E_PARSE, "the text holds more than one request");
        }
        code = clm_armor_decode(&block, out_der, err);
        if (code != CLM_OK) {
            break;
        }
    }
    if (code == CLM_E_NOTFOUND && n == 0) {
        return clm_err_set(err, code, "the text holds no request in PEM");
    }
    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

enum clm_code clm_csr_from_text(const char *pem, struct clm_buf *out_der, struct clm_csr_info *out,
                                struct clm_err *err)
{
    enum clm_code code;

    *out = (struct clm_csr_info){.spki_der = CLM_BUF_INIT(CLM_CSR_MAX)};
    code = find_only_request(pem, out_der, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "certificate request");
    }
    return clm_csr_parse(out_der->data, out_der->len, out, err);
}
