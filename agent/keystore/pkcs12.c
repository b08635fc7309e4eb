/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keystore/pkcs12.h"

#include <stdlib.h>
#include <string.h>

#include "agent/crypto/hash.h"

#define DETECT_SIZE 64 /* bytes that are looked at */

/* ---- detecting ---- */

struct head {
    const uint8_t *p;
    const uint8_t *end;
};

/* Moves behind tag and length, of any form. */
static bool enter(struct head *h, uint8_t tag)
{
    size_t n;

    if (h->end - h->p < 2 || h->p[0] != tag) {
        return false;
    }
    n = h->p[1] > 0x80 ? h->p[1] - 0x80u : 0;
    h->p += 2;
    if (n > (size_t)(h->end - h->p)) {
        return false;
    }
    h->p += n;
    return true;
}

static bool begins(const struct head *h, const char *bytes, size_t len)
{
    return (size_t)(h->end - h->p) >= len && memcmp(h->p, bytes, len) == 0;
}

/* SEQUENCE { INTEGER 3, SEQUENCE { OID data or signedData: nothing else begins like this. */
static bool detect(const uint8_t *data, size_t len)
{
    struct head h = {.p = data, .end = data};

    if (data == NULL) {
        return false;
    }
    h.end += len < DETECT_SIZE ? len : DETECT_SIZE;
    if (!enter(&h, CLM_DER_SEQUENCE) || !begins(&h, "\x02\x01\x03", 3)) {
        return false;
    }
    h.p += 3;
    return enter(&h, CLM_DER_SEQUENCE) && (begins(&h, CLM_OID("\x06\x09" OID_P12_DATA)) ||
                                           begins(&h, CLM_OID("\x06\x09" OID_P12_SIGNED)));
}

/* ---- keys ---- */

bool clm_p12_is_plain(const uint8_t *der, size_t len)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv tlv = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    return clm_der_take(&r, CLM_DER_INTEGER, &tlv);
}

bool clm_p12_sealed(const uint8_t *der, size_t len, struct clm_tlv *alg, struct clm_tlv *sealed)
{
    struct clm_der_reader r = clm_der_reader_of(der, len);
    struct clm_tlv tlv = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &tlv)) {
        return false;
    }
    r = clm_der_enter(&tlv);
    return clm_der_take(&r, CLM_DER_SEQUENCE, alg) &&
           clm_der_take(&r, CLM_DER_OCTET_STRING, sealed);
}

/* A SEQUENCE as long as the bytes, also in indefinite form: all that is ever encrypted here. With
 * this a wrong password passes once in about 2^24 tries, and not in 2^8. */
static bool is_sequence(const uint8_t *data, size_t len)
{
    struct clm_der_reader r = clm_der_reader_of(data, len);
    struct clm_tlv tlv = {0};

    if (len >= 4 && data[0] == CLM_DER_SEQUENCE && data[1] == 0x80) {
        return data[len - 1] == 0 && data[len - 2] == 0;
    }
    return clm_der_take(&r, CLM_DER_SEQUENCE, &tlv) && clm_der_at_end(&r);
}

enum clm_code clm_p12_decrypt(const struct clm_p12 *p12, const struct clm_pbe *pbe,
                              const struct clm_buf *password, const struct clm_tlv *sealed,
                              struct clm_buf *out, struct clm_err *err)
{
    struct clm_pbe one = *pbe;
    size_t before = out->len;
    unsigned forms = password->len == 0 && pbe->scheme == CLM_PBE_PKCS12 ? 2 : 1;
    enum clm_code code = CLM_OK;

    for (unsigned i = 0; i < forms; i++) {
        one.bare_password = (p12 != NULL && p12->bare_password) != (i == 1);
        code = clm_pbe_decrypt(&one, password, sealed, out, err);
        if (code == CLM_OK && is_sequence(out->data + before, out->len - before)) {
            return CLM_OK;
        }
        if (code == CLM_OK) {
            clm_wipe(out->data + before, out->len - before);
            out->len = before;
        }
        if (code != CLM_OK && code != CLM_E_CRYPTO) {
            return code;
        }
    }
    return clm_err_set(err, CLM_E_CRYPTO, "wrong password, or the content was changed");
}

static enum clm_code unseal_bytes(const struct clm_p12 *p12, const struct clm_span *key,
                                  const struct clm_buf *password, struct clm_pbe *out_pbe,
                                  struct clm_buf *out, struct clm_err *err)
{
    struct clm_tlv alg = {0};
    struct clm_tlv sealed = {0};
    enum clm_code code;

    if (!clm_p12_sealed(key->data, key->len, &alg, &sealed)) {
        return clm_err_set(err, CLM_E_PARSE, "encrypted private key is malformed");
    }
    code = clm_pbe_read(&alg, out_pbe, err);
    return code == CLM_OK ? clm_p12_decrypt(p12, out_pbe, password, &sealed, out, err) : code;
}

static enum clm_code unseal(const struct clm_keystore *store, const struct clm_entry *entry,
                            const struct clm_buf *password, struct clm_buf *out,
                            struct clm_err *err)
{
    const struct clm_span key = {.data = entry->sealed_key.data, .len = entry->sealed_key.len};
    struct clm_pbe pbe;

    if (clm_p12_is_plain(key.data, key.len)) {
        return clm_buf_add(out, key.data, key.len, err);
    }
    return unseal_bytes(store->extra, &key, password, &pbe, out, err);
}

/* EncryptedPrivateKeyInfo: SEQUENCE { AlgorithmIdentifier, OCTET STRING } */
static enum clm_code seal_bytes(const struct clm_pbe *pbe, const struct clm_buf *plain,
                                const struct clm_buf *password, struct clm_buf *out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf sealed = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    struct clm_der w;
    enum clm_code code = clm_pbe_encrypt(pbe, password, plain, &sealed, err);

    if (code != CLM_OK) {
        return code;
    }
    clm_der_init(&w, out, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_pbe_write(&w, pbe);
    clm_der_bytes(&w, CLM_DER_OCTET_STRING, sealed.data, sealed.len);
    clm_der_close(&w);
    return clm_der_done(&w);
}

enum clm_code clm_p12_reseal(const struct clm_p12_reseal *how, const struct clm_span *sealed,
                             struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    struct clm_pbe old;
    struct clm_pbe pbe;
    enum clm_code code = unseal_bytes(how->p12, sealed, how->was, &old, &plain, NULL);

    if (code == CLM_E_CRYPTO || code == CLM_E_UNSUPPORTED) {
        return CLM_OK;
    }
    if (code == CLM_OK) {
        code = clm_pbe_renew(&old, how->rng, &pbe, NULL);
        pbe.bare_password = how->p12->bare_password;
    }
    if (code == CLM_OK) {
        code = seal_bytes(&pbe, &plain, how->password, out, NULL);
    }
    return code == CLM_OK
               ? CLM_OK
               : clm_err_set(err, code, "a private key cannot be sealed with the new password");
}

static bool read_sealed_pbe(const uint8_t *der, size_t len, struct clm_pbe *out)
{
    struct clm_tlv alg = {0};
    struct clm_tlv sealed = {0};

    return clm_p12_sealed(der, len, &alg, &sealed) && clm_pbe_read(&alg, out, NULL) == CLM_OK;
}

static bool is_ascii(const struct clm_buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] > 0x7e || text->data[i] < 0x20) {
            return false;
        }
    }
    return true;
}

/* An encryption that the store has already. */
static bool find_model(const struct clm_p12 *p12, struct clm_pbe *out)
{
    for (size_t i = 0; p12 != NULL && i < p12->n_bags; i++) {
        const struct clm_p12_bag *bag = &p12->bags[i];

        if (bag->kind == CLM_P12_SHROUDED &&
            read_sealed_pbe(bag->value.data, bag->value.len, out)) {
            return true;
        }
    }
    for (size_t i = 0; p12 != NULL && i < p12->n_safes; i++) {
        if (p12->safes[i].is_encrypted) { /* and open: a locked store is not changed */
            *out = p12->safes[i].pbe;
            return true;
        }
    }
    return false;
}

enum clm_code clm_p12_model(const struct clm_keystore *store, struct clm_rng *rng,
                            const struct clm_buf *password, struct clm_pbe *out,
                            struct clm_err *err)
{
    const struct clm_p12 *p12 = store->extra;
    bool is_modern = store->profile == CLM_KEYSTORE_MODERN;
    struct clm_pbe like;
    enum clm_code code;

    if (find_model(p12, &like)) {
        code = clm_pbe_renew(&like, rng, out, err);
    } else if (is_modern && !is_ascii(password)) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "Java refuses passwords that are not printable ASCII in modern PKCS#12: "
                           "choose another password or the legacy profile");
    } else {
        code = clm_pbe_new(is_modern ? CLM_PBE_MODERN : CLM_PBE_LEGACY, rng, out, err);
    }
    out->bare_password = p12 != NULL && p12->bare_password;
    return code;
}

static enum clm_code seal(const struct clm_keystore *store, const struct clm_seal *how,
                          struct clm_buf *sealed, char protection[64], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    const struct clm_p12 *p12 = store->extra;
    const struct clm_entry *old = how->old;
    struct clm_pbe was;
    struct clm_pbe pbe;
    enum clm_code code = clm_key_to_der(how->key, &plain, err);

    if (code != CLM_OK) {
        return code;
    }
    if (old != NULL && clm_p12_is_plain(old->sealed_key.data, old->sealed_key.len)) {
        memcpy(protection, old->shown.protection, sizeof(old->shown.protection));
        return clm_buf_add(sealed, plain.data, plain.len, err);
    }
    if (old != NULL && read_sealed_pbe(old->sealed_key.data, old->sealed_key.len, &was)) {
        code = clm_pbe_renew(&was, how->rng, &pbe, err);
        pbe.bare_password = p12 != NULL && p12->bare_password;
    } else {
        code = clm_p12_model(store, how->rng, how->password, &pbe, err);
    }
    if (code == CLM_OK) {
        clm_pbe_text(&pbe, protection);
        code = seal_bytes(&pbe, &plain, how->password, sealed, err);
    }
    return code;
}

/* ---- the table ---- */

static void done_entry(struct clm_entry *entry)
{
    free(entry->extra);
    entry->extra = NULL;
}

static void done(struct clm_keystore *store)
{
    struct clm_p12 *p12 = store->extra;

    if (p12 == NULL) {
        return;
    }
    for (size_t i = 0; i < p12->n_kept; i++) {
        clm_buf_done(&p12->kept[i]);
    }
    free(p12->kept);
    free(p12->bags);
    free(p12->safes);
    free(p12);
    store->extra = NULL;
}

const struct clm_keystore_ops clm_pkcs12_ops = {
    .type = CLM_KEYSTORE_PKCS12,
    .detect = detect,
    .read = clm_p12_read,
    .seal = seal,
    .unseal = unseal,
    .write = clm_p12_write,
    .done_entry = done_entry,
    .done = done,
};
