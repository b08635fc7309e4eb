/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries as Java sees them (JDK 17, PKCS12KeyStore): a key finds its certificate by localKeyId and
 * name, by localKeyId, or by name; the certificate its issuers by their subject, of several the
 * first in the file. A lone certificate counts in Java only with its attribute; it is shown anyway.
 *
 * Files may hold thousands of bags, all alike on purpose. Everything is therefore looked up in
 * sorted lists of hashes, and of equal hashes only the first few are looked at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/keystore/pkcs12.h"

#define LOOK_AT 64 /* bags of equal hash */

struct hashed {
    uint64_t hash;
    size_t bag;
};

/* Certificates, sorted by hash and then by their order in the file. */
struct index {
    struct hashed *v;
    size_t n;
};

struct view {
    struct clm_keystore *store;
    struct clm_p12 *p12;
    struct index by_id;
    struct index by_name;
    struct index by_subject;
    size_t n_keys;
};

int clm_span_compare(const struct clm_span *a, const struct clm_span *b)
{
    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }
    return a->len == 0 ? 0 : memcmp(a->data, b->data, a->len);
}

static bool is_same(const struct clm_span *a, const struct clm_span *b)
{
    return clm_span_compare(a, b) == 0;
}

/* FNV-1a */
static uint64_t hash_byte(uint64_t hash, uint32_t value)
{
    return (hash ^ value) * 0x100000001b3u;
}

static uint64_t hash_span(const struct clm_span *span)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < span->len; i++) {
        hash = hash_byte(hash, span->data[i]);
    }
    return hash;
}

/* One character of UTF-16BE; half a pair of surrogates, and NUL, become U+FFFD. */
static uint32_t take_char(const struct clm_span *name, size_t *i)
{
    const uint8_t *p = name->data + *i;
    uint32_t c = (uint32_t)p[0] << 8 | p[1];
    uint32_t low;

    *i += 2;
    if (c == 0 || (c >= 0xdc00 && c < 0xe000)) {
        return 0xfffd;
    }
    if (c < 0xd800 || c > 0xdfff) {
        return c;
    }
    if (*i + 2 > name->len) {
        return 0xfffd;
    }
    low = (uint32_t)p[2] << 8 | p[3];
    if (low < 0xdc00 || low > 0xdfff) {
        return 0xfffd;
    }
    *i += 2;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* Some writers put a zero at the end. */
static struct clm_span without_end(const struct clm_span *name)
{
    struct clm_span out = *name;

    if (out.len >= 2 && out.data[out.len - 2] == 0 && out.data[out.len - 1] == 0) {
        out.len -= 2;
    }
    return out;
}

enum clm_code clm_p12_alias(const struct clm_p12_bag *bag, char dst[CLM_KEYSTORE_ALIAS_SIZE],
                            struct clm_err *err)
{
    struct clm_span name = without_end(&bag->name);
    size_t used = 0;

    dst[0] = '\0';
    if (name.len % 2 != 0) {
        return clm_err_set(err, CLM_E_PARSE, "PKCS#12: a friendly name is malformed");
    }
    for (size_t i = 0; i < name.len;) {
        uint8_t utf8[4];
        size_t n = clm_utf8_put(take_char(&name, &i), utf8);

        if (used + n >= CLM_KEYSTORE_ALIAS_SIZE) {
            dst[0] = '\0';
            return clm_err_set(err, CLM_E_LIMIT, "PKCS#12: a friendly name is longer than %d bytes",
                               CLM_KEYSTORE_ALIAS_SIZE - 1);
        }
        memcpy(dst + used, utf8, n);
        used += n;
    }
    dst[used] = '\0';
    return CLM_OK;
}

/* Of the name in lower case. */
static uint64_t hash_name(const struct clm_span *raw)
{
    struct clm_span name = without_end(raw);
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i + 1 < name.len;) {
        hash = hash_byte(hash, clm_alias_lower(take_char(&name, &i)));
    }
    return hash;
}

static bool is_same_name(const struct clm_span *raw_a, const struct clm_span *raw_b)
{
    struct clm_span a = without_end(raw_a);
    struct clm_span b = without_end(raw_b);
    size_t i = 0;
    size_t k = 0;

    if (a.len != b.len) {
        return false;
    }
    while (i + 1 < a.len) {
        if (clm_alias_lower(take_char(&a, &i)) != clm_alias_lower(take_char(&b, &k))) {
            return false;
        }
    }
    return true;
}

/* ---- looking up ---- */

static int by_hash(const void *va, const void *vb)
{
    const struct hashed *a = va;
    const struct hashed *b = vb;

    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return (a->bag > b->bag) - (a->bag < b->bag);
}

static void index_add(struct index *index, uint64_t hash, size_t bag)
{
    index->v[index->n++] = (struct hashed){.hash = hash, .bag = bag};
}

static size_t index_first(const struct index *index, uint64_t hash)
{
    size_t low = 0;
    size_t high = index->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (index->v[mid].hash < hash) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool index_make(struct view *v)
{
    struct index *all[] = {&v->by_id, &v->by_name, &v->by_subject};
    const struct clm_p12 *p12 = v->p12;

    for (size_t i = 0; i < CLM_ARRAY_LEN(all); i++) {
        all[i]->v = calloc(p12->n_bags + 1, sizeof(*all[i]->v));
        if (all[i]->v == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < p12->n_bags; i++) {
        const struct clm_p12_bag *bag = &p12->bags[i];

        v->n_keys += bag->kind == CLM_P12_KEY || bag->kind == CLM_P12_SHROUDED;
        if (bag->kind != CLM_P12_CERT) {
            continue;
        }
        index_add(&v->by_subject, hash_span(&bag->subject), i);
        if (bag->java_trusts) { /* never the certificate of a key */
            continue;
        }
        if (bag->key_id.data != NULL) {
            index_add(&v->by_id, hash_span(&bag->key_id), i);
        }
        if (bag->name.data != NULL) {
            index_add(&v->by_name, hash_name(&bag->name), i);
        }
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(all); i++) {
        qsort(all[i]->v, all[i]->n, sizeof(*all[i]->v), by_hash);
    }
    return true;
}

/* By localKeyId; of several the one that also has the key's name. */
static size_t leaf_by_id(const struct view *v, const struct clm_p12_bag *key)
{
    uint64_t hash = hash_span(&key->key_id);
    size_t first = index_first(&v->by_id, hash);
    size_t found = CLM_P12_NONE;

    for (size_t i = first; i < v->by_id.n && i < first + LOOK_AT && v->by_id.v[i].hash == hash;
         i++) {
        const struct clm_p12_bag *cert = &v->p12->bags[v->by_id.v[i].bag];

        if (!is_same(&cert->key_id, &key->key_id)) {
            continue;
        }
        if (cert->name.data != NULL && key->name.data != NULL &&
            is_same_name(&cert->name, &key->name)) {
            return v->by_id.v[i].bag;
        }
        /* the JDK takes the last one; files with several by accident are not made by anyone */
        found = found == CLM_P12_NONE ? v->by_id.v[i].bag : found;
    }
    return found;
}

static size_t leaf_by_name(const struct view *v, const struct clm_p12_bag *key)
{
    uint64_t hash = hash_name(&key->name);
    size_t first = index_first(&v->by_name, hash);

    for (size_t i = first; i < v->by_name.n && i < first + LOOK_AT && v->by_name.v[i].hash == hash;
         i++) {
        if (is_same_name(&v->p12->bags[v->by_name.v[i].bag].name, &key->name)) {
            return v->by_name.v[i].bag;
        }
    }
    return CLM_P12_NONE;
}

static bool has_issued(const struct view *v, size_t issuer)
{
    const struct clm_p12_bag *bags = v->p12->bags;

    for (size_t i = 0; i < v->p12->n_bags; i++) {
        if (i != issuer && bags[i].kind == CLM_P12_CERT &&
            is_same(&bags[i].issuer, &bags[issuer].subject)) {
            return true;
        }
    }
    return false;
}

/* For the only key of a file without any localKeyId: the first certificate that issued no other. */
static size_t leaf_of_only_key(const struct view *v)
{
    size_t first = CLM_P12_NONE;
    size_t looked = 0;

    for (size_t i = 0; i < v->p12->n_bags && looked < LOOK_AT; i++) {
        const struct clm_p12_bag *bag = &v->p12->bags[i];

        if (bag->kind != CLM_P12_CERT || bag->java_trusts || bag->key_id.data != NULL) {
            continue;
        }
        if (!has_issued(v, i)) {
            return i;
        }
        first = first == CLM_P12_NONE ? i : first;
        looked++;
    }
    return first;
}

static size_t leaf_of(const struct view *v, const struct clm_p12_bag *key)
{
    size_t leaf = key->key_id.data != NULL ? leaf_by_id(v, key) : CLM_P12_NONE;

    if (leaf == CLM_P12_NONE && key->name.data != NULL) {
        leaf = leaf_by_name(v, key);
    }
    if (leaf == CLM_P12_NONE && key->key_id.data == NULL && v->n_keys == 1) {
        leaf = leaf_of_only_key(v);
    }
    return leaf;
}

/* The JDK writes a certificate that is trusted and in a chain twice: then the other one is meant. */
static size_t issuer_of(const struct view *v, const struct clm_p12_bag *cert)
{
    const struct clm_p12_bag *bags = v->p12->bags;
    uint64_t hash = hash_span(&cert->issuer);
    size_t first = index_first(&v->by_subject, hash);
    size_t found = CLM_P12_NONE;

    for (size_t i = first;
         i < v->by_subject.n && i < first + LOOK_AT && v->by_subject.v[i].hash == hash; i++) {
        size_t bag = v->by_subject.v[i].bag;

        if (found != CLM_P12_NONE
                ? !bags[bag].java_trusts && is_same(&bags[bag].value, &bags[found].value)
                : is_same(&bags[bag].subject, &cert->issuer)) {
            found = bag;
            if (!bags[bag].java_trusts) {
                break;
            }
        }
    }
    return found;
}

/* Bags of the chain, leaf first; returns how many. */
static size_t chain_of(const struct view *v, size_t leaf, size_t chain[CLM_ENTRY_CERTS_MAX])
{
    size_t n = 0;

    for (size_t bag = leaf; bag != CLM_P12_NONE && n < CLM_ENTRY_CERTS_MAX;) {
        const struct clm_p12_bag *cert = &v->p12->bags[bag];

        for (size_t i = 0; i < n; i++) {
            if (chain[i] == bag) {
                return n;
            }
        }
        chain[n++] = bag;
        bag = is_same(&cert->subject, &cert->issuer) ? CLM_P12_NONE : issuer_of(v, cert);
    }
    return n;
}

/* ---- entries ---- */

/* "Time 1700000000000", as the JDK writes it. */
static int64_t time_of(const struct clm_span *key_id)
{
    char text[24];
    int64_t ms = 0;

    if (key_id->len < 6 || key_id->len >= sizeof(text) || memcmp(key_id->data, "Time ", 5) != 0) {
        return 0;
    }
    memcpy(text, key_id->data + 5, key_id->len - 5);
    text[key_id->len - 5] = '\0';
    return clm_str_to_int(text, 0, INT64_MAX, &ms, NULL) == CLM_OK ? ms : 0;
}

static void protection_of(const struct view *v, const struct clm_p12_bag *bag, char dst[64])
{
    struct clm_pbe pbe;
    struct clm_tlv alg = {0};
    struct clm_tlv sealed = {0};

    if (bag->kind == CLM_P12_KEY) {
        const struct clm_p12_safe *safe = &v->p12->safes[bag->safe];

        dst[0] = '\0';
        if (safe->is_encrypted) {
            clm_pbe_text(&safe->pbe, dst);
        }
    } else if (!clm_p12_sealed(bag->value.data, bag->value.len, &alg, &sealed)) {
        (void)snprintf(dst, 64, "malformed");
    } else if (clm_pbe_read(&alg, &pbe, NULL) != CLM_OK) {
        (void)snprintf(dst, 64, "not supported");
    } else {
        clm_pbe_text(&pbe, dst);
    }
}

static enum clm_code fill_key(const struct view *v, struct clm_entry *entry, size_t bag_i,
                              struct clm_p12_link *link, struct clm_err *err)
{
    const struct clm_p12_bag *bag = &v->p12->bags[bag_i];
    size_t chain[CLM_ENTRY_CERTS_MAX];
    size_t n;
    enum clm_code code;

    link->leaf = leaf_of(v, bag);
    n = chain_of(v, link->leaf, chain);
    entry->shown.created_ms = time_of(&bag->key_id);
    protection_of(v, bag, entry->shown.protection);
    code = clm_buf_add(&entry->sealed_key, bag->value.data, bag->value.len, err);
    for (size_t i = 0; i < n && code == CLM_OK; i++) {
        const struct clm_span *der = &v->p12->bags[chain[i]].value;

        code = clm_entry_lend_cert(entry, der->data, der->len, err);
    }
    return code;
}

static enum clm_code add_entry(struct view *v, size_t bag_i, enum clm_entry_kind kind,
                               struct clm_err *err)
{
    const struct clm_p12_bag *bag = &v->p12->bags[bag_i];
    struct clm_p12_link *link;
    struct clm_entry *entry;
    enum clm_code code;

    if (v->store->n_entries == CLM_KEYSTORE_ENTRIES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "keystore has more than %u entries",
                           CLM_KEYSTORE_ENTRIES_MAX);
    }
    link = malloc(sizeof(*link));
    entry = link == NULL ? NULL : clm_keystore_add_entry(v->store);
    if (entry == NULL) {
        free(link);
        return clm_err_set(err, CLM_E_NOMEM, "keystore: no memory");
    }
    *link = (struct clm_p12_link){.bag = bag_i, .leaf = CLM_P12_NONE};
    entry->extra = link;
    entry->shown.kind = kind;
    entry->shown.java_trusts = bag->java_trusts;
    code = clm_p12_alias(bag, entry->shown.alias, err);
    if (code == CLM_OK && kind == CLM_ENTRY_KEY) {
        code = fill_key(v, entry, bag_i, link, err);
    } else if (code == CLM_OK && kind == CLM_ENTRY_TRUSTED) {
        code = clm_entry_lend_cert(entry, bag->value.data, bag->value.len, err);
    }
    return code;
}

/* Which certificates are in a chain must be known before the others are shown. */
static void mark_used(struct view *v)
{
    for (size_t i = 0; i < v->p12->n_bags; i++) {
        const struct clm_p12_bag *bag = &v->p12->bags[i];
        size_t chain[CLM_ENTRY_CERTS_MAX];
        size_t n;

        if (bag->kind != CLM_P12_KEY && bag->kind != CLM_P12_SHROUDED) {
            continue;
        }
        n = chain_of(v, leaf_of(v, bag), chain);
        for (size_t k = 0; k < n; k++) {
            v->p12->bags[chain[k]].is_used = true;
        }
    }
}

/* The JDK writes an intermediate once for each key: the copies belong to the chain as well. */
static void mark_copies(struct view *v)
{
    struct clm_p12_bag *bags = v->p12->bags;

    for (size_t i = 0; i < v->p12->n_bags; i++) {
        uint64_t hash;
        size_t first;

        if (bags[i].kind != CLM_P12_CERT || bags[i].is_used || bags[i].java_trusts) {
            continue;
        }
        hash = hash_span(&bags[i].subject);
        first = index_first(&v->by_subject, hash);
        for (size_t k = first;
             k < v->by_subject.n && k < first + LOOK_AT && v->by_subject.v[k].hash == hash; k++) {
            const struct clm_p12_bag *other = &bags[v->by_subject.v[k].bag];

            if (other->is_used && is_same(&other->value, &bags[i].value)) {
                bags[i].is_used = true;
                break;
            }
        }
    }
}

static enum clm_code add_entries(struct view *v, struct clm_err *err)
{
    static const enum clm_entry_kind kinds[] = {
        [CLM_P12_OTHER] = CLM_ENTRY_OTHER,  [CLM_P12_KEY] = CLM_ENTRY_KEY,
        [CLM_P12_SHROUDED] = CLM_ENTRY_KEY, [CLM_P12_CERT] = CLM_ENTRY_TRUSTED,
        [CLM_P12_CRL] = CLM_ENTRY_OTHER,    [CLM_P12_SECRET] = CLM_ENTRY_SECRET,
        [CLM_P12_NESTED] = CLM_ENTRY_OTHER,
    };
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < v->p12->n_bags && code == CLM_OK; i++) {
        const struct clm_p12_bag *bag = &v->p12->bags[i];

        if (bag->kind == CLM_P12_NESTED ||
            (bag->kind == CLM_P12_CERT && bag->is_used && !bag->java_trusts)) {
            continue;
        }
        code = add_entry(v, i, kinds[bag->kind], err);
    }
    return code;
}

enum clm_code clm_p12_view(struct clm_keystore *store, struct clm_err *err)
{
    struct view v = {.store = store, .p12 = store->extra};
    enum clm_code code;

    if (index_make(&v)) {
        mark_used(&v);
        mark_copies(&v);
        code = add_entries(&v, err);
    } else {
        code = clm_err_set(err, CLM_E_NOMEM, "keystore: no memory");
    }
    free(v.by_id.v);
    free(v.by_name.v);
    free(v.by_subject.v);
    return code;
}
