/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keystore/keystore.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/armor.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/kdf.h"
#include "agent/keystore/internal.h"
#include "agent/keystore/sniff.h"

static_assert(CLM_KEYSTORE_ITERATIONS_MAX == CLM_KDF_ITERATIONS_MAX, "one limit for all");
static_assert(CLM_KEYSTORE_PASSWORD_MAX == CLM_KDF_PASSWORD_MAX, "one limit for all");

static const struct clm_keystore_ops *const formats[CLM_KEYSTORE__COUNT] = {
    [CLM_KEYSTORE_PKCS12] = &clm_pkcs12_ops,
    [CLM_KEYSTORE_JKS] = &clm_jks_ops,
    [CLM_KEYSTORE_JCEKS] = &clm_jceks_ops,
};

static const char *const type_names[CLM_KEYSTORE__COUNT] = {
    [CLM_KEYSTORE_PKCS12] = "pkcs12",
    [CLM_KEYSTORE_JKS] = "jks",
    [CLM_KEYSTORE_JCEKS] = "jceks",
};

static enum clm_code no_memory(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_NOMEM, "keystore: no memory");
}

const char *clm_keystore_type_name(enum clm_keystore_type type)
{
    return (unsigned)type < CLM_KEYSTORE__COUNT ? type_names[type] : "unknown";
}

enum clm_code clm_keystore_type_parse(const char *name, enum clm_keystore_type *out_type,
                                      struct clm_err *err)
{
    for (size_t i = 0; i < CLM_KEYSTORE__COUNT; i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *out_type = (enum clm_keystore_type)i;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_INVAL, "keystore type '%s' is none of pkcs12, jks, jceks", name);
}

bool clm_keystore_detect(const uint8_t *data, size_t len, enum clm_keystore_type *out_type)
{
    for (size_t i = 0; i < CLM_KEYSTORE__COUNT; i++) {
        if (formats[i]->detect(data, len)) {
            *out_type = (enum clm_keystore_type)i;
            return true;
        }
    }
    return false;
}

/* ---- for the formats ---- */

struct clm_entry *clm_keystore_add_entry(struct clm_keystore *store)
{
    struct clm_entry *entry;

    assert(store->n_entries < CLM_KEYSTORE_ENTRIES_MAX);
    if (store->n_entries == store->cap_entries) {
        size_t cap = store->cap_entries + store->cap_entries / 2 + 8;
        struct clm_entry *grown = realloc(store->entries, cap * sizeof(*grown));

        if (grown == NULL) {
            return NULL;
        }
        store->entries = grown;
        store->cap_entries = cap;
    }
    entry = &store->entries[store->n_entries++];
    memset(entry, 0, sizeof(*entry));
    entry->sealed_key = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    entry->raw = CLM_BUF_INIT(CLM_KEYSTORE_MAX);
    return entry;
}

static enum clm_code add_cert(struct clm_entry *entry, const struct clm_entry_cert *cert,
                              struct clm_err *err)
{
    size_t n = entry->shown.n_certs;
    struct clm_entry_cert *grown;

    grown = realloc(entry->certs, (n + 1) * sizeof(*grown));
    if (grown == NULL) {
        return no_memory(err);
    }
    entry->certs = grown;
    grown[n] = *cert;
    entry->shown.n_certs = n + 1;
    return CLM_OK;
}

enum clm_code clm_entry_lend_cert(struct clm_entry *entry, const uint8_t *der, size_t len,
                                  struct clm_err *err)
{
    const struct clm_entry_cert cert = {.der = der, .len = len};

    return add_cert(entry, &cert, err);
}

enum clm_code clm_entry_add_cert(struct clm_entry *entry, const uint8_t *der, size_t len,
                                 struct clm_err *err)
{
    struct clm_entry_cert cert = {.len = len, .owned = malloc(len)};
    enum clm_code code;

    assert(len > 0);
    if (cert.owned == NULL) {
        return no_memory(err);
    }
    memcpy(cert.owned, der, len);
    cert.der = cert.owned;
    code = add_cert(entry, &cert, err);
    if (code != CLM_OK) {
        free(cert.owned);
    }
    return code;
}

/* ---- opening ---- */

static void drop_certs(struct clm_entry *entry)
{
    for (size_t i = 0; i < entry->shown.n_certs; i++) {
        free(entry->certs[i].owned);
    }
    free(entry->certs);
    entry->certs = NULL;
    entry->shown.n_certs = 0;
}

static void done_entry(const struct clm_keystore *store, struct clm_entry *entry)
{
    store->ops->done_entry(entry);
    drop_certs(entry);
    clm_buf_done(&entry->sealed_key);
    clm_buf_done(&entry->raw);
}

void clm_keystore_free(struct clm_keystore *store)
{
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < store->n_entries; i++) {
        done_entry(store, &store->entries[i]);
    }
    free(store->entries);
    if (store->ops->done != NULL) {
        store->ops->done(store);
    }
    clm_buf_done(&store->original);
    clm_buf_done(&store->password);
    free(store);
}

enum clm_code clm_keystore_new(enum clm_keystore_type type, enum clm_keystore_profile profile,
                               struct clm_keystore **out_store, struct clm_err *err)
{
    struct clm_keystore *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        return no_memory(err);
    }
    store->ops = formats[type];
    store->profile = profile;
    store->original = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    store->password = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_PASSWORD_MAX);
    *out_store = store;
    return CLM_OK;
}

/* What a file is that is no store of ours. */
static enum clm_code no_store(const uint8_t *data, size_t len, struct clm_err *err)
{
    static const char *const what[CLM_CERT_FILE__COUNT] = {
        [CLM_CERT_FILE_PEM] = "PEM text",
        [CLM_CERT_FILE_DER] = "one certificate, key or request in DER",
        [CLM_CERT_FILE_PKCS7] = "a PKCS#7 bag of certificates, which holds no key",
        [CLM_CERT_FILE_OTHER_STORE] =
            "a BKS, UBER or BCFKS of BouncyCastle, which is not supported",
    };
    struct clm_sniff sniff = clm_cert_file_sniff(data, len);

    if (len == 0) {
        return clm_err_set(err, CLM_E_PARSE, "file is empty");
    }
    if (what[sniff.kind] == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "file is no keystore (PKCS#12, JKS or JCEKS)");
    }
    return clm_err_set(err, CLM_E_UNSUPPORTED, "file is no PKCS#12, JKS or JCEKS, but %s",
                       what[sniff.kind]);
}

static enum clm_code check_password(const struct clm_buf *password, struct clm_err *err)
{
    if (password->len > CLM_KEYSTORE_PASSWORD_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "password is longer than %u bytes",
                           CLM_KEYSTORE_PASSWORD_MAX);
    }
    if (password->len > 0 && !clm_str_is_utf8(password->data, password->len)) {
        return clm_err_set(err, CLM_E_INVAL, "password is not UTF-8");
    }
    return CLM_OK;
}

enum clm_code clm_keystore_open(const uint8_t *data, size_t len, const struct clm_buf *password,
                                struct clm_keystore **out_store, struct clm_err *err)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    enum clm_keystore_type type = CLM_KEYSTORE_PKCS12;
    enum clm_code code = CLM_OK;

    if (len > CLM_KEYSTORE_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "keystore is larger than %u bytes", CLM_KEYSTORE_MAX);
    }
    if (!clm_keystore_detect(data, len, &type)) {
        return no_store(data, len, err);
    }
    if (password != NULL) {
        code = check_password(password, err);
    }
    if (code == CLM_OK) {
        code = clm_keystore_new(type, CLM_KEYSTORE_MODERN, &store, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    assert(store != NULL);
    code = clm_buf_add(&store->original, data, len, err);
    if (code == CLM_OK && password != NULL) {
        store->has_password = true;
        code = clm_buf_add(&store->password, password->data, password->len, err);
    }
    if (code == CLM_OK) {
        code = store->ops->read(store, err);
    }
    if (code == CLM_OK) {
        *out_store = CLM_STEAL(store);
    }
    return code;
}

enum clm_keystore_type clm_keystore_type_of(const struct clm_keystore *store)
{
    return store->ops->type;
}

const char *clm_keystore_integrity(const struct clm_keystore *store)
{
    return store->integrity;
}

const char *clm_keystore_read_only(const struct clm_keystore *store)
{
    return store->read_only;
}

bool clm_keystore_is_locked(const struct clm_keystore *store)
{
    return store->is_locked;
}

/* ---- reading ---- */

size_t clm_keystore_count(const struct clm_keystore *store)
{
    return store->n_entries;
}

const struct clm_keystore_entry *clm_keystore_entry(const struct clm_keystore *store, size_t i)
{
    return &store->entries[i].shown;
}

const uint8_t *clm_keystore_cert_der(const struct clm_keystore *store, size_t i, size_t k,
                                     size_t *out_len)
{
    *out_len = store->entries[i].certs[k].len;
    return store->entries[i].certs[k].der;
}

enum clm_code clm_keystore_chain(const struct clm_keystore *store, size_t i,
                                 struct clm_cert_chain **out_chain, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    const struct clm_entry *entry = &store->entries[i];

    if (entry->shown.n_certs == 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "entry '%s' has no certificate",
                           entry->shown.alias);
    }
    for (size_t k = 0; k < entry->shown.n_certs; k++) {
        enum clm_code code =
            clm_armor_write("CERTIFICATE", entry->certs[k].der, entry->certs[k].len, &pem, err);

        if (code != CLM_OK) {
            return code;
        }
    }
    return clm_cert_chain_from_pem(pem.data, pem.len, out_chain, err);
}

enum clm_code clm_keystore_key(const struct clm_keystore *store, size_t i,
                               const struct clm_buf *password, struct clm_key **out_key,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    const struct clm_entry *entry = &store->entries[i];
    enum clm_code code;

    if (entry->shown.kind != CLM_ENTRY_KEY) {
        return clm_err_set(err, CLM_E_INVAL, "entry '%s' is no private key", entry->shown.alias);
    }
    if (password == NULL && !store->has_password && entry->shown.protection[0] != '\0') {
        return clm_err_set(err, CLM_E_CRYPTO, "private key '%s' needs a password",
                           entry->shown.alias);
    }
    code =
        store->ops->unseal(store, entry, password != NULL ? password : &store->password, &der, err);
    if (code == CLM_OK) {
        code = clm_key_from_der(der.data, der.len, out_key, err);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "entry '%s'", entry->shown.alias);
}

/* ---- changing ---- */

static enum clm_code check_changeable(const struct clm_keystore *store, struct clm_err *err)
{
    if (store->read_only[0] != '\0') {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "keystore cannot be changed: %s",
                           store->read_only);
    }
    if (store->is_locked || (!store->has_password && store->integrity[0] != '\0')) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "keystore cannot be changed: it was opened without its password");
    }
    return CLM_OK;
}

static enum clm_code check_alias(const char *alias, struct clm_err *err)
{
    size_t len = strlen(alias);

    if (len >= CLM_KEYSTORE_ALIAS_SIZE) {
        return clm_err_set(err, CLM_E_LIMIT, "alias is longer than %d bytes",
                           CLM_KEYSTORE_ALIAS_SIZE - 1);
    }
    return clm_str_is_utf8(alias, len) ? CLM_OK
                                       : clm_err_set(err, CLM_E_INVAL, "alias is not UTF-8");
}

/* The place that alias names: *out_i is the number of entries for a new one. */
static enum clm_code find_place(const struct clm_keystore *store, const char *alias,
                                enum clm_entry_kind kind, size_t *out_i, struct clm_err *err)
{
    *out_i = store->n_entries;
    if (!clm_keystore_find(store, alias, out_i)) {
        return store->n_entries < CLM_KEYSTORE_ENTRIES_MAX
                   ? CLM_OK
                   : clm_err_set(err, CLM_E_LIMIT, "keystore has %u entries already",
                                 CLM_KEYSTORE_ENTRIES_MAX);
    }
    if (alias == NULL) {
        return CLM_OK;
    }
    if (store->entries[*out_i].shown.kind != kind) {
        return clm_err_set(err, CLM_E_CONFLICT, "alias '%s' belongs to an entry of another kind",
                           alias);
    }
    for (size_t i = *out_i + 1; i < store->n_entries; i++) {
        if (clm_alias_same(store->entries[i].shown.alias, alias)) {
            return clm_err_set(err, CLM_E_CONFLICT, "alias '%s' belongs to several entries", alias);
        }
    }
    return CLM_OK;
}

/* The entry at place i becomes what now says; alias, place and the format's extra stay. */
static enum clm_code place(struct clm_keystore *store, size_t i, const char *alias,
                           struct clm_entry *now, struct clm_err *err)
{
    struct clm_entry *entry;

    if (i == store->n_entries) {
        entry = clm_keystore_add_entry(store);
        if (entry == NULL) {
            return no_memory(err);
        }
        (void)snprintf(entry->shown.alias, sizeof(entry->shown.alias), "%s",
                       alias == NULL ? "" : alias);
    } else {
        entry = &store->entries[i];
    }
    drop_certs(entry);
    clm_buf_done(&entry->sealed_key);
    clm_buf_done(&entry->raw);
    (void)snprintf(now->shown.alias, sizeof(now->shown.alias), "%s", entry->shown.alias);
    entry->shown = now->shown;
    entry->certs = CLM_STEAL(now->certs);
    entry->sealed_key = now->sealed_key;
    entry->is_changed = true;
    now->sealed_key = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    now->shown.n_certs = 0;
    store->is_changed = true;
    return CLM_OK;
}

static enum clm_code check_pair(const struct clm_keystore_put *put, struct clm_err *err)
{
    bool matches = false;
    enum clm_code code = clm_cert_matches_key(put->chain, 0, put->key, &matches, err);

    return code != CLM_OK || matches
               ? code
               : clm_err_set(err, CLM_E_INVAL, "certificate is for another key");
}

/* Everything of the new entry, apart from the store, so that a failure changes nothing. */
static enum clm_code make_entry(const struct clm_keystore *store, struct clm_rng *rng,
                                const struct clm_keystore_put *put, const struct clm_entry *old,
                                struct clm_entry *now, struct clm_err *err)
{
    const struct clm_seal how = {
        .rng = rng,
        .old = old,
        .key = put->key,
        .password = put->password != NULL ? put->password : &store->password,
    };
    enum clm_code code = check_password(how.password, err);

    if (code == CLM_OK) {
        code = store->ops->seal(store, &how, &now->sealed_key, now->shown.protection, err);
    }
    for (size_t k = 0; code == CLM_OK && k < clm_cert_chain_count(put->chain); k++) {
        size_t len = 0;
        const uint8_t *der = clm_cert_chain_der(put->chain, k, &len);

        code = clm_entry_add_cert(now, der, len, err);
    }
    return code;
}

enum clm_code clm_keystore_put_key(struct clm_keystore *store, struct clm_rng *rng,
                                   const struct clm_keystore_put *put, struct clm_err *err)
{
    struct clm_entry now = {.shown = {.kind = CLM_ENTRY_KEY, .created_ms = put->now_ms},
                            .sealed_key = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX)};
    size_t i = 0;
    enum clm_code code = check_changeable(store, err);

    if (code == CLM_OK && put->alias != NULL) {
        code = check_alias(put->alias, err);
    }
    if (code == CLM_OK) {
        code = find_place(store, put->alias, CLM_ENTRY_KEY, &i, err);
    }
    if (code == CLM_OK) {
        code = check_pair(put, err);
    }
    if (code == CLM_OK && put->password == NULL && store->original.len == 0) {
        code = clm_err_set(err, CLM_E_INVAL, "a key in a new keystore needs a password");
    }
    if (code == CLM_OK) {
        code = make_entry(store, rng, put, i < store->n_entries ? &store->entries[i] : NULL, &now,
                          err);
    }
    if (code == CLM_OK) {
        code = place(store, i, put->alias, &now, err);
    }
    drop_certs(&now);
    clm_buf_done(&now.sealed_key);
    return code;
}

enum clm_code clm_keystore_put_trusted(struct clm_keystore *store, const char *alias,
                                       const uint8_t *der, size_t len, int64_t now_ms,
                                       struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *cert = NULL;
    struct clm_entry now = {
        .shown = {.kind = CLM_ENTRY_TRUSTED, .created_ms = now_ms, .java_trusts = true},
        .sealed_key = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX)};
    size_t i = 0;
    enum clm_code code = check_changeable(store, err);

    if (code == CLM_OK) {
        code = check_alias(alias, err);
    }
    if (code == CLM_OK) {
        code = find_place(store, alias, CLM_ENTRY_TRUSTED, &i, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_from_der(der, len, &cert, err);
    }
    if (code == CLM_OK) {
        code = clm_entry_add_cert(&now, der, len, err);
    }
    if (code == CLM_OK) {
        code = place(store, i, alias, &now, err);
    }
    drop_certs(&now);
    return code;
}

enum clm_code clm_keystore_remove(struct clm_keystore *store, const char *alias,
                                  struct clm_err *err)
{
    size_t i = 0;
    enum clm_code code = check_changeable(store, err);

    if (code != CLM_OK) {
        return code;
    }
    if (!clm_keystore_find(store, alias, &i)) {
        return clm_err_set(err, CLM_E_NOTFOUND, "keystore has no entry '%s'",
                           alias == NULL ? "" : alias);
    }
    code = find_place(store, alias, store->entries[i].shown.kind, &i, err);
    if (code != CLM_OK) {
        return code;
    }
    done_entry(store, &store->entries[i]);
    memmove(&store->entries[i], &store->entries[i + 1],
            (store->n_entries - i - 1) * sizeof(store->entries[0]));
    store->n_entries--;
    store->is_changed = true;
    return CLM_OK;
}

/* ---- writing ---- */

static bool is_as_opened(const struct clm_keystore *store, const struct clm_buf *password)
{
    if (store->is_changed || store->original.len == 0) {
        return false;
    }
    return password == NULL ||
           (store->has_password && password->len == store->password.len &&
            (password->len == 0 ||
             clm_ct_equal(password->data, store->password.data, password->len)));
}

enum clm_code clm_keystore_write(const struct clm_keystore *store, struct clm_rng *rng,
                                 const struct clm_buf *password, struct clm_buf *out,
                                 struct clm_err *err)
{
    size_t before = out->len;
    enum clm_code code;

    if (is_as_opened(store, password)) {
        return clm_buf_add(out, store->original.data, store->original.len, err);
    }
    code = check_changeable(store, err);
    if (code == CLM_OK && password == NULL && store->original.len == 0) {
        code = clm_err_set(err, CLM_E_INVAL, "a new keystore needs a password");
    }
    if (code == CLM_OK && password != NULL) {
        code = check_password(password, err);
    }
    if (code == CLM_OK) {
        code =
            store->ops->write(store, rng, password != NULL ? password : &store->password, out, err);
    }
    if (code != CLM_OK) {
        out->len = before;
    }
    return code;
}
