/* SPDX-License-Identifier: Apache-2.0 */
/* Keystores in a transaction: one entry gets the new key and chain, all others stay. */
#include <string.h>

#include "agent/job/txn_build.h"
#include "agent/keystore/keystore.h"

#define NEW_ALIAS "server" /* of the only entry of a new store, if nobody named it */

/* A store and the entry that a step speaks of. */
struct opened {
    struct clm_keystore *store;
    struct clm_buf password;     /* of the store */
    struct clm_buf key_password; /* of the entry; empty: the store's */
    bool is_found;
    size_t i; /* of the entry */
};

static void opened_done(struct opened *o)
{
    clm_keystore_free(o->store);
    clm_buf_done(&o->password);
    clm_buf_done(&o->key_password);
}

#define OPENED_INIT                                                                                \
    {                                                                                              \
        .password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX),                                           \
        .key_password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX)                                        \
    }

/* A new store knows none of its own yet, so the entry is always told. */
static const struct clm_buf *entry_password(const struct opened *o)
{
    return o->key_password.len > 0 ? &o->key_password : &o->password;
}

static enum clm_keystore_type type_of(enum clm_file_format format)
{
    static const enum clm_keystore_type types[CLM_FORMAT__COUNT] = {
        [CLM_FORMAT_PKCS12] = CLM_KEYSTORE_PKCS12,
        [CLM_FORMAT_JKS] = CLM_KEYSTORE_JKS,
        [CLM_FORMAT_JCEKS] = CLM_KEYSTORE_JCEKS,
    };

    return types[format];
}

static enum clm_code find_entry(struct opened *o, const struct clm_step *step, struct clm_err *err)
{
    size_t n_keys = 0;

    if (step->alias[0] != '\0') {
        o->is_found = clm_keystore_find(o->store, step->alias, &o->i);
        return CLM_OK;
    }
    for (size_t i = 0; i < clm_keystore_count(o->store); i++) {
        n_keys += clm_keystore_entry(o->store, i)->kind == CLM_ENTRY_KEY;
    }
    o->is_found = clm_keystore_find(o->store, NULL, &o->i);
    /* Java takes the first key of a PKCS#12 file, but asks a hash table in a JKS. */
    if (n_keys > 1 && clm_keystore_type_of(o->store) != CLM_KEYSTORE_PKCS12) {
        return clm_err_set(err, CLM_E_CONFLICT,
                           "the keystore has %zu private keys; say which by its alias", n_keys);
    }
    return CLM_OK;
}

static enum clm_code read_passwords(const struct clm_txn_maker *maker, const struct clm_step *step,
                                    struct opened *o, struct clm_err *err)
{
    enum clm_code code = clm_txn_secret(&maker->secrets, maker->plan->deployer,
                                        step->store_password, &o->password, err);

    return code == CLM_OK ? clm_txn_secret(&maker->secrets, maker->plan->deployer,
                                           step->key_password, &o->key_password, err)
                          : code;
}

static enum clm_code open_bytes(struct opened *o, const struct clm_step *step,
                                const struct clm_buf *data, struct clm_err *err)
{
    enum clm_code code = clm_keystore_open(data->data, data->len, &o->password, &o->store, err);

    if (code == CLM_OK && clm_keystore_type_of(o->store) != type_of(step->format)) {
        code = clm_err_set(err, CLM_E_CONFLICT, "the keystore is of type %s, not %s",
                           clm_keystore_type_name(clm_keystore_type_of(o->store)),
                           clm_file_format_name(step->format));
    }
    return code == CLM_OK ? find_entry(o, step, err) : code;
}

static bool is_same_der(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool has_chain(const struct opened *o, const struct clm_cert_chain *chain)
{
    size_t n = clm_cert_chain_count(chain);
    bool same = clm_keystore_entry(o->store, o->i)->n_certs == n;

    for (size_t k = 0; same && k < n; k++) {
        size_t have_len = 0;
        size_t want_len = 0;
        const uint8_t *have = clm_keystore_cert_der(o->store, o->i, k, &have_len);
        const uint8_t *want = clm_cert_chain_der(chain, k, &want_len);

        same = is_same_der(have, have_len, want, want_len);
    }
    return same;
}

/* Exactly this key and chain, to be opened with exactly these passwords. */
static bool holds(const struct opened *o, const struct clm_txn_maker *maker, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;

    if (!o->is_found || clm_keystore_entry(o->store, o->i)->kind != CLM_ENTRY_KEY ||
        !has_chain(o, maker->chain)) {
        return false;
    }
    return clm_keystore_key(o->store, o->i, entry_password(o), &key, err) == CLM_OK &&
           clm_txn_is_same_key(key, maker->key);
}

/* Entry i of both, as the server will see it: name, kind and chain. */
static bool is_same_entry(const struct clm_keystore *a, const struct clm_keystore *b, size_t i)
{
    const struct clm_keystore_entry *x = clm_keystore_entry(a, i);
    const struct clm_keystore_entry *y = clm_keystore_entry(b, i);
    bool same = strcmp(x->alias, y->alias) == 0 && x->kind == y->kind && x->n_certs == y->n_certs;

    for (size_t k = 0; same && k < x->n_certs; k++) {
        size_t x_len = 0;
        size_t y_len = 0;
        const uint8_t *x_der = clm_keystore_cert_der(a, i, k, &x_len);
        const uint8_t *y_der = clm_keystore_cert_der(b, i, k, &y_len);

        same = is_same_der(x_der, x_len, y_der, y_len);
    }
    return same;
}

/* No entry is lost, and none reads otherwise. A PKCS#12 may show one more at its end: an issuer that
 * another of the same name hides. */
static bool keeps_all(const struct clm_keystore *before, const struct clm_keystore *after)
{
    size_t n = clm_keystore_count(before);
    bool kept = clm_keystore_count(after) >= n;

    for (size_t i = 0; kept && i < n; i++) {
        kept = is_same_entry(before, after, i);
    }
    return kept;
}

/* What was written is opened again, as the server will: nothing else proves that it can be. */
static enum clm_code check_written(const struct clm_txn_maker *maker, const struct clm_step *step,
                                   const struct opened *before, const struct clm_buf *data,
                                   struct clm_err *err)
{
    CLM_CLEANUP(opened_done) struct opened again = OPENED_INIT;
    enum clm_code code =
        clm_buf_add(&again.password, before->password.data, before->password.len, err);

    if (code == CLM_OK) {
        code = clm_buf_add(&again.key_password, before->key_password.data, before->key_password.len,
                           err);
    }
    if (code == CLM_OK) {
        code = open_bytes(&again, step, data, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "the new keystore, opened again");
    }
    if (!holds(&again, maker, NULL) || !keeps_all(before->store, again.store)) {
        /* PKCS#12 finds issuers by name, as Java does: the first of that name wins. */
        return clm_err_set(
            err, CLM_E_CONFLICT,
            "the new keystore, opened again, shows another key or chain than was put "
            "into it or was there: does another entry hold an issuer of the same name?");
    }
    return CLM_OK;
}

static enum clm_code put(const struct clm_txn_maker *maker, const struct clm_step *step,
                         struct opened *o, struct clm_buf *out, struct clm_err *err)
{
    char alias[CLM_KEYSTORE_ALIAS_SIZE];
    const struct clm_keystore_put what = {
        .alias = alias,
        .key = maker->key,
        .chain = maker->chain,
        .password = entry_password(o),
        .now_ms = maker->now_s * 1000,
    };
    const char *name = step->alias[0] != '\0' ? step->alias : NEW_ALIAS;
    enum clm_code code;

    _Static_assert(sizeof(step->alias) <= sizeof(alias), "a step's alias fits");
    if (o->is_found) {
        name = clm_keystore_entry(o->store, o->i)->alias;
    }
    memcpy(alias, name, strlen(name) + 1); /* the entry itself changes meanwhile */
    code = clm_keystore_put_key(o->store, maker->rng, &what, err);
    if (code == CLM_OK) {
        code = clm_keystore_write(o->store, maker->rng, &o->password, out, err);
    }
    return code == CLM_OK ? check_written(maker, step, o, out, err) : code;
}

enum clm_code clm_txn_build_keystore(const struct clm_txn_maker *maker, const struct clm_step *step,
                                     const struct clm_buf *old, struct clm_buf *out,
                                     struct clm_err *err)
{
    CLM_CLEANUP(opened_done) struct opened o = OPENED_INIT;
    enum clm_code code = read_passwords(maker, step, &o, err);

    if (code == CLM_OK && old != NULL) {
        code = open_bytes(&o, step, old, err);
        if (code == CLM_OK && holds(&o, maker, NULL)) {
            return clm_buf_add(out, old->data, old->len, err);
        }
    } else if (code == CLM_OK) {
        code = clm_keystore_new(type_of(step->format), CLM_KEYSTORE_MODERN, &o.store, err);
    }
    return code == CLM_OK ? put(maker, step, &o, out, err) : code;
}

enum clm_code clm_txn_apart_keystore(const struct clm_txn_maker *maker, const struct clm_step *step,
                                     const struct clm_buf *data, bool with_key,
                                     struct clm_txn_parts *out, struct clm_err *err)
{
    CLM_CLEANUP(opened_done) struct opened o = OPENED_INIT;
    enum clm_code code = read_passwords(maker, step, &o, err);

    if (code != CLM_OK) {
        return code;
    }
    code = open_bytes(&o, step, data, err);
    if (code == CLM_E_PARSE || code == CLM_E_UNSUPPORTED) {
        return CLM_OK; /* no keystore, or not one of ours: nothing to take from it */
    }
    if (code != CLM_OK || !o.is_found) {
        return code;
    }
    code = clm_txn_if_there(clm_keystore_chain(o.store, o.i, &out->chain, NULL), err);
    return code != CLM_OK || !with_key
               ? code
               : clm_txn_if_there(
                     clm_keystore_key(o.store, o.i, entry_password(&o), &out->key, NULL), err);
}
