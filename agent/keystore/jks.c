/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container of JKS and JCEKS. Each entry keeps the bytes it was read from (clm_entry.raw) and is
 * written as these, until a change empties them.
 *
 * A secret key in JCEKS is a Java object without a length in front. It ends what can be read:
 * entries before it are shown, the store is never rewritten.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/hash.h"
#include "agent/keystore/jks.h"

#define HEAD_SIZE   12 /* magic, version, number of entries */
#define VERSION_OLD 1  /* certificates without a type */
#define VERSION_NEW 2
#define CHAIN_MAX   100 /* certificates of one entry */

static const uint8_t magics[CLM_KEYSTORE__COUNT][4] = {
    [CLM_KEYSTORE_JKS] = {0xfe, 0xed, 0xfe, 0xed},
    [CLM_KEYSTORE_JCEKS] = {0xce, 0xce, 0xce, 0xce},
};

enum tag {
    TAG_KEY = 1,
    TAG_CERT = 2,
    TAG_SECRET = 3
};

/* The alias as its bytes stand in the file: an entry that is replaced keeps them. */
struct alias_bytes {
    size_t len;
    uint8_t bytes[];
};

static bool detect(enum clm_keystore_type type, const uint8_t *data, size_t len)
{
    return len >= 8 && memcmp(data, magics[type], 4) == 0 && memcmp(data + 4, "\0\0\0", 3) == 0 &&
           (data[7] == VERSION_OLD || data[7] == VERSION_NEW);
}

static bool detect_jks(const uint8_t *data, size_t len)
{
    return detect(CLM_KEYSTORE_JKS, data, len);
}

static bool detect_jceks(const uint8_t *data, size_t len)
{
    return detect(CLM_KEYSTORE_JCEKS, data, len);
}

/* ---- reading ---- */

struct reader {
    const uint8_t *start;
    const uint8_t *p;
    const uint8_t *end;
    uint32_t version;
};

static bool take(struct reader *r, size_t n, const uint8_t **out)
{
    if (n > (size_t)(r->end - r->p)) {
        return false;
    }
    *out = r->p;
    r->p += n;
    return true;
}

/* Big-endian, n bytes. */
static bool take_number(struct reader *r, size_t n, uint64_t *out)
{
    const uint8_t *p = NULL;

    if (!take(r, n, &p)) {
        return false;
    }
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        *out = *out << 8 | p[i];
    }
    return true;
}

/* Bytes behind their length, which takes n_len bytes. */
static bool take_counted(struct reader *r, size_t n_len, const uint8_t **out, size_t *out_len)
{
    uint64_t len = 0;

    if (!take_number(r, n_len, &len) || !take(r, (size_t)len, out)) {
        return false;
    }
    *out_len = (size_t)len;
    return true;
}

static enum clm_code cut_off(const struct reader *r, const char *what, struct clm_err *err)
{
    return clm_err_set(err, CLM_E_PARSE, "%s at offset %zu goes beyond the end of the file", what,
                       (size_t)(r->p - r->start));
}

static enum clm_code no_memory(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_NOMEM, "keystore: no memory");
}

static enum clm_code read_cert(struct reader *r, struct clm_entry *entry, struct clm_err *err)
{
    const uint8_t *bytes = NULL;
    size_t len = 0;

    if (r->version != VERSION_OLD && !take_counted(r, 2, &bytes, &len)) {
        return cut_off(r, "certificate", err);
    }
    if (!take_counted(r, 4, &bytes, &len)) {
        return cut_off(r, "certificate", err);
    }
    if (len == 0) {
        return clm_err_set(err, CLM_E_PARSE, "certificate at offset %zu is empty",
                           (size_t)(r->p - r->start));
    }
    return clm_entry_lend_cert(entry, bytes, len, err);
}

static enum clm_code read_key(struct reader *r, struct clm_entry *entry, struct clm_err *err)
{
    const uint8_t *bytes = NULL;
    size_t len = 0;
    uint64_t n_certs = 0;
    enum clm_code code;

    if (!take_counted(r, 4, &bytes, &len)) {
        return cut_off(r, "private key", err);
    }
    code = clm_buf_add(&entry->sealed_key, bytes, len, err);
    clm_jks_protection(bytes, len, entry->shown.protection);
    if (code == CLM_OK && !take_number(r, 4, &n_certs)) {
        return cut_off(r, "certificate chain", err);
    }
    if (n_certs > CHAIN_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "chain of %llu certificates; at most %d are read",
                           (unsigned long long)n_certs, CHAIN_MAX);
    }
    for (uint64_t i = 0; i < n_certs && code == CLM_OK; i++) {
        code = read_cert(r, entry, err);
    }
    return code;
}

static enum clm_code read_alias(struct reader *r, struct clm_entry *entry, struct clm_err *err)
{
    struct alias_bytes *alias;
    const uint8_t *bytes = NULL;
    size_t len = 0;

    if (!take_counted(r, 2, &bytes, &len)) {
        return cut_off(r, "alias", err);
    }
    alias = malloc(sizeof(*alias) + len);
    if (alias == NULL) {
        return no_memory(err);
    }
    alias->len = len;
    memcpy(alias->bytes, bytes, len);
    entry->extra = alias;
    return clm_jks_alias_decode(bytes, len, entry->shown.alias, err);
}

/* out_tag: what it was, so that the caller can stop behind a secret key. */
static enum clm_code read_entry(struct reader *r, struct clm_keystore *store, uint64_t *out_tag,
                                struct clm_err *err)
{
    const uint8_t *start = r->p;
    struct clm_entry *entry = clm_keystore_add_entry(store);
    uint64_t created = 0;
    enum clm_code code;

    if (entry == NULL) {
        return no_memory(err);
    }
    if (!take_number(r, 4, out_tag)) {
        return cut_off(r, "kind", err);
    }
    code = read_alias(r, entry, err);
    if (code == CLM_OK && !take_number(r, 8, &created)) {
        code = cut_off(r, "date", err);
    }
    entry->shown.created_ms = created <= INT64_MAX ? (int64_t)created : 0;
    if (code != CLM_OK) {
        return code;
    }
    if (*out_tag == TAG_KEY) {
        entry->shown.kind = CLM_ENTRY_KEY;
        code = read_key(r, entry, err);
    } else if (*out_tag == TAG_CERT) {
        entry->shown.kind = CLM_ENTRY_TRUSTED;
        code = read_cert(r, entry, err);
    } else if (*out_tag == TAG_SECRET && store->ops->type == CLM_KEYSTORE_JCEKS) {
        entry->shown.kind = CLM_ENTRY_SECRET;
        (void)snprintf(entry->shown.protection, sizeof(entry->shown.protection), "sealed object");
        return CLM_OK;
    } else {
        return clm_err_set(err, CLM_E_PARSE, "kind at offset %zu is %llu, which is none",
                           (size_t)(start - r->start), (unsigned long long)*out_tag);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(&entry->raw, start, (size_t)(r->p - start), err);
    }
    return code;
}

static enum clm_code read_entries(struct reader *r, struct clm_keystore *store, uint64_t count,
                                  struct clm_err *err)
{
    uint64_t tag = 0;

    for (uint64_t i = 0; i < count; i++) {
        enum clm_code code = read_entry(r, store, &tag, err);

        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "entry %llu", (unsigned long long)i + 1);
        }
        if (tag == TAG_SECRET) {
            (void)snprintf(store->read_only, sizeof(store->read_only),
                           "entry %llu of %llu is a secret key, which only Java can read: it and "
                           "what follows it cannot be kept",
                           (unsigned long long)i + 1, (unsigned long long)count);
            return CLM_OK;
        }
    }
    if (r->p != r->end) {
        return clm_err_set(err, CLM_E_PARSE, "there are %zu bytes behind the last entry",
                           (size_t)(r->end - r->p));
    }
    return CLM_OK;
}

static enum clm_code check_digest(const struct clm_keystore *store, struct clm_err *err)
{
    size_t len = store->original.len - CLM_JKS_DIGEST_SIZE;
    uint8_t digest[CLM_JKS_DIGEST_SIZE];
    enum clm_code code = clm_jks_digest(&store->password, store->original.data, len, digest, err);

    if (code == CLM_OK && !clm_ct_equal(digest, store->original.data + len, sizeof(digest))) {
        return clm_err_set(err, CLM_E_CRYPTO, "wrong password, or the file was changed");
    }
    return code;
}

static enum clm_code read_store(struct clm_keystore *store, struct clm_err *err)
{
    const struct clm_buf *file = &store->original;
    struct reader r = {.start = file->data, .p = file->data};
    uint64_t count = 0;
    enum clm_code code;

    if (file->len < HEAD_SIZE + CLM_JKS_DIGEST_SIZE) {
        return clm_err_set(err, CLM_E_PARSE, "keystore is cut off after %zu bytes", file->len);
    }
    r.end = file->data + file->len - CLM_JKS_DIGEST_SIZE;
    r.version = file->data[7]; /* the bytes in front are 0: detect() */
    r.p += 8;
    (void)take_number(&r, 4, &count); /* HEAD_SIZE bytes are there */
    if (count > CLM_KEYSTORE_ENTRIES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "keystore has %llu entries; at most %u are read",
                           (unsigned long long)count, CLM_KEYSTORE_ENTRIES_MAX);
    }
    (void)snprintf(store->integrity, sizeof(store->integrity), "SHA-1 digest");
    code = read_entries(&r, store, count, err);
    if (code == CLM_OK && store->has_password) {
        code = check_digest(store, err);
    }
    return code;
}

/* ---- writing ---- */

static enum clm_code add_number(struct clm_buf *out, size_t n, uint64_t value, struct clm_err *err)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
    }
    return clm_buf_add(out, bytes, n, err);
}

static enum clm_code add_counted(struct clm_buf *out, size_t n_len, const void *data, size_t len,
                                 struct clm_err *err)
{
    enum clm_code code = add_number(out, n_len, len, err);

    return code == CLM_OK ? clm_buf_add(out, data, len, err) : code;
}

static enum clm_code write_alias(const struct clm_entry *entry, struct clm_buf *out,
                                 struct clm_err *err)
{
    const struct alias_bytes *alias = entry->extra;

    return alias != NULL ? add_counted(out, 2, alias->bytes, alias->len, err)
                         : clm_jks_alias_encode(entry->shown.alias, out, err);
}

static enum clm_code write_cert(const struct clm_entry_cert *cert, uint32_t version,
                                struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    if (version != VERSION_OLD) {
        code = add_counted(out, 2, "X.509", 5, err);
    }
    return code == CLM_OK ? add_counted(out, 4, cert->der, cert->len, err) : code;
}

static enum clm_code write_entry(const struct clm_entry *entry, uint32_t version,
                                 struct clm_buf *out, struct clm_err *err)
{
    bool is_key = entry->shown.kind == CLM_ENTRY_KEY;
    enum clm_code code;

    if (entry->raw.len > 0) {
        return clm_buf_add(out, entry->raw.data, entry->raw.len, err);
    }
    code = add_number(out, 4, is_key ? TAG_KEY : TAG_CERT, err);
    if (code == CLM_OK) {
        code = write_alias(entry, out, err);
    }
    if (code == CLM_OK) {
        code = add_number(out, 8, (uint64_t)entry->shown.created_ms, err);
    }
    if (code == CLM_OK && is_key) {
        code = add_counted(out, 4, entry->sealed_key.data, entry->sealed_key.len, err);
    }
    if (code == CLM_OK && is_key) {
        code = add_number(out, 4, entry->shown.n_certs, err);
    }
    for (size_t i = 0; i < entry->shown.n_certs && code == CLM_OK; i++) {
        code = write_cert(&entry->certs[i], version, out, err);
    }
    return code;
}

static enum clm_code write_store(const struct clm_keystore *store, struct clm_rng *rng,
                                 const struct clm_buf *password, struct clm_buf *out,
                                 struct clm_err *err)
{
    uint32_t version = store->original.len >= 8 ? store->original.data[7] : VERSION_NEW;
    size_t start = out->len;
    uint8_t digest[CLM_JKS_DIGEST_SIZE];
    enum clm_code code = clm_buf_add(out, magics[store->ops->type], 4, err);

    (void)rng; /* the container holds nothing random */
    if (code == CLM_OK) {
        code = add_number(out, 4, version, err);
    }
    if (code == CLM_OK) {
        code = add_number(out, 4, store->n_entries, err);
    }
    for (size_t i = 0; i < store->n_entries && code == CLM_OK; i++) {
        code = write_entry(&store->entries[i], version, out, err);
    }
    if (code == CLM_OK) {
        code = clm_jks_digest(password, out->data + start, out->len - start, digest, err);
    }
    return code == CLM_OK ? clm_buf_add(out, digest, sizeof(digest), err) : code;
}

static void done_entry(struct clm_entry *entry)
{
    free(entry->extra);
    entry->extra = NULL;
}

const struct clm_keystore_ops clm_jks_ops = {
    .type = CLM_KEYSTORE_JKS,
    .detect = detect_jks,
    .read = read_store,
    .seal = clm_jks_seal,
    .unseal = clm_jks_unseal,
    .write = write_store,
    .done_entry = done_entry,
};

const struct clm_keystore_ops clm_jceks_ops = {
    .type = CLM_KEYSTORE_JCEKS,
    .detect = detect_jceks,
    .read = read_store,
    .seal = clm_jks_seal,
    .unseal = clm_jks_unseal,
    .write = write_store,
    .done_entry = done_entry,
};
