/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file, put together again by the plan. SafeContents of which nothing changed are written as
 * the bytes they were, encrypted ones included; the others keep the bytes of each bag that stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/digest.h"
#include "agent/keystore/pkcs12.h"

#define ATTRS_MAX   64   /* of one bag; more are refused when it is replaced */
#define KEY_ID_SIZE 32   /* bytes of those made here */
#define KEPT_ID_MAX 256  /* bytes of one that is used again */
#define MADE_MAX    4096 /* bytes of all attributes made for a bag: name, id, Java's mark */

struct key_id {
    uint8_t made[KEY_ID_SIZE];
    struct clm_span id; /* of the old bag, or made */
};

struct writer {
    const struct clm_keystore *store;
    const struct clm_p12 *p12; /* of a new store: empty, with the preset's MAC */
    struct clm_rng *rng;
    const struct clm_buf *password;
    bool is_rekeyed; /* under another password than before */
    struct clm_p12_plan plan;
    struct key_id *ids; /* of each changed entry */
    struct clm_err *err;
};

/* ---- localKeyId ---- */

static bool is_time(const struct clm_span *id)
{
    return id->len > 5 && memcmp(id->data, "Time ", 5) == 0;
}

/* By the ids that are there; without any, a store that is new or Java's gets dates, which keytool
 * shows. */
static bool writes_times(const struct clm_p12 *p12)
{
    bool is_javas = p12->n_bags == 0;

    for (size_t i = 0; i < p12->n_bags; i++) {
        if (p12->bags[i].key_id.data != NULL) {
            return is_time(&p12->bags[i].key_id);
        }
        is_javas = is_javas || p12->bags[i].java_trusts;
    }
    return is_javas;
}

static bool is_id_taken(const struct writer *w, const struct clm_span *id, size_t before)
{
    for (size_t i = 0; i < w->p12->n_bags; i++) {
        if (w->plan.fates[i] == CLM_P12_KEEP && w->p12->bags[i].key_id.data != NULL &&
            clm_span_compare(&w->p12->bags[i].key_id, id) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < before; i++) {
        if (w->ids[i].id.data != NULL && clm_span_compare(&w->ids[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

/* As the entry had it: a date of Java, the hash of the certificate as OpenSSL has it, or (Windows)
 * a number, which stays. */
static void make_id(struct writer *w, size_t entry_i)
{
    const struct clm_entry *entry = &w->store->entries[entry_i];
    const struct clm_p12_link *link = entry->extra;
    struct key_id *out = &w->ids[entry_i];
    struct clm_span old = {0};
    int64_t ms = entry->shown.created_ms;

    if (link != NULL) {
        old = w->p12->bags[link->bag].key_id;
    }
    out->id.data = out->made;
    if (old.data != NULL ? is_time(&old) : writes_times(w->p12)) {
        do { /* two entries of one moment must differ */
            out->id.len = (size_t)snprintf((char *)out->made, sizeof(out->made), "Time %lld",
                                           (long long)ms++);
        } while (is_id_taken(w, &out->id, entry_i));
        return;
    }
    if (old.data != NULL && old.len != 20 && old.len <= KEPT_ID_MAX &&
        !is_id_taken(w, &old, entry_i)) {
        out->id = old;
        return;
    }
    clm_digest_of(CLM_DIGEST_SHA1, entry->certs[0].der, entry->certs[0].len, out->made);
    out->id.len = 20;
}

/* ---- bags ---- */

struct attrs {
    struct clm_span v[ATTRS_MAX];
    size_t n;
    struct clm_buf made; /* what the new ones point into */
};

static enum clm_code add_attr(struct attrs *a, const struct clm_span *attr, struct clm_err *err)
{
    if (a->n == ATTRS_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "PKCS#12: a bag has more than %d attributes",
                           ATTRS_MAX);
    }
    a->v[a->n++] = *attr;
    return CLM_OK;
}

/* The old bag's attributes but its localKeyId, which belonged to the old key. */
static enum clm_code take_old_attrs(struct attrs *a, const struct clm_p12_bag *old,
                                    struct clm_err *err)
{
    struct clm_der_reader all = clm_der_reader_of(old->attrs.data, old->attrs.len);
    struct clm_tlv attr = {0};
    enum clm_code code = CLM_OK;

    while (code == CLM_OK && clm_der_next(&all, &attr)) {
        struct clm_der_reader r = clm_der_enter(&attr);
        struct clm_tlv oid = {0};
        struct clm_span span = clm_span_of(&attr);

        (void)clm_der_take(&r, CLM_DER_OID, &oid); /* it was there when the file was read */
        if (!clm_der_is(&oid, CLM_OID(OID_P12_LOCAL_KEY_ID))) {
            code = add_attr(a, &span, err);
        }
    }
    return code;
}

static enum clm_code make_attr(struct attrs *a, const char *oid, size_t oid_len, uint8_t tag,
                               const struct clm_span *value, struct clm_err *err)
{
    size_t start = a->made.len;
    struct clm_span span;
    struct clm_der w;
    enum clm_code code;

    clm_der_init(&w, &a->made, err);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, oid, oid_len);
    clm_der_open(&w, CLM_DER_SET);
    clm_der_bytes(&w, tag, value->data, value->len);
    clm_der_close(&w);
    clm_der_close(&w);
    code = clm_der_done(&w);
    span.data = a->made.data + start; /* made never moves: its room was taken at once */
    span.len = a->made.len - start;
    return code == CLM_OK ? add_attr(a, &span, err) : code;
}

static enum clm_code make_name(struct attrs *a, const char *alias, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf utf16 = CLM_BUF_INIT((size_t)2 * CLM_KEYSTORE_ALIAS_SIZE);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_KEYSTORE_ALIAS_SIZE);
    struct clm_span span;
    enum clm_code code = clm_buf_add_str(&text, alias, err);

    if (code == CLM_OK) {
        code = clm_password_utf16(&text, false, &utf16, err);
    }
    span = (struct clm_span){.data = utf16.data, .len = utf16.len};
    return code == CLM_OK
               ? make_attr(a, CLM_OID(OID_P12_FRIENDLY_NAME), 0x1e /* BMPString */, &span, err)
               : code;
}

/* No value in DER begins with all of another, shorter one: lengths differ in front. */
static int by_bytes(const void *va, const void *vb)
{
    const struct clm_span *a = va;
    const struct clm_span *b = vb;

    return memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
}

/* Attributes of a key, its leaf, or a trusted certificate, sorted as a SET OF is in DER. */
static enum clm_code collect_attrs(const struct writer *w, size_t entry_i,
                                   const struct clm_p12_bag *old, struct attrs *a)
{
    const struct clm_entry *entry = &w->store->entries[entry_i];
    bool is_key = entry->shown.kind == CLM_ENTRY_KEY;
    const struct clm_span any = {.data = (const uint8_t *)"\x55\x1d\x25\x00", .len = 4};
    enum clm_code code = clm_buf_reserve(&a->made, MADE_MAX, w->err);

    if (code == CLM_OK && old != NULL) {
        code = take_old_attrs(a, old, w->err);
    }
    if (code == CLM_OK && (old == NULL || old->name.data == NULL) && entry->shown.alias[0] != 0) {
        code = make_name(a, entry->shown.alias, w->err);
    }
    if (code == CLM_OK && is_key) {
        code = make_attr(a, CLM_OID(OID_P12_LOCAL_KEY_ID), CLM_DER_OCTET_STRING,
                         &w->ids[entry_i].id, w->err);
    } else if (code == CLM_OK && (old == NULL || !old->java_trusts)) {
        code = make_attr(a, CLM_OID(OID_P12_JAVA_TRUSTED), CLM_DER_OID, &any, w->err);
    }
    if (code == CLM_OK) {
        qsort(a->v, a->n, sizeof(a->v[0]), by_bytes);
    }
    return code;
}

/* kind: of the bag; value: what it holds, DER. attrs NULL: none. */
static enum clm_code put_bag(const struct writer *w, enum clm_p12_kind kind,
                             const struct clm_span *value, const struct attrs *attrs,
                             struct clm_buf *out)
{
    char oid[sizeof(OID_P12_BAG)];
    struct clm_der d;

    memcpy(oid, OID_P12_BAG, sizeof(OID_P12_BAG));
    oid[sizeof(oid) - 1] = (char)kind;
    clm_der_init(&d, out, w->err);
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_oid(&d, oid, sizeof(oid));
    clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
    if (kind == CLM_P12_CERT) {
        clm_der_open(&d, CLM_DER_SEQUENCE);
        clm_der_oid(&d, CLM_OID(OID_P12_X509));
        clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
        clm_der_bytes(&d, CLM_DER_OCTET_STRING, value->data, value->len);
        clm_der_close(&d);
        clm_der_close(&d);
    } else {
        clm_der_raw(&d, value->data, value->len);
    }
    clm_der_close(&d);
    if (attrs != NULL && attrs->n > 0) {
        clm_der_open(&d, CLM_DER_SET);
        for (size_t i = 0; i < attrs->n; i++) {
            clm_der_raw(&d, attrs->v[i].data, attrs->v[i].len);
        }
        clm_der_close(&d);
    }
    clm_der_close(&d);
    return clm_der_done(&d);
}

static enum clm_code put_with_attrs(const struct writer *w, enum clm_p12_kind kind,
                                    const struct clm_span *value, size_t entry_i,
                                    const struct clm_p12_bag *old, struct clm_buf *out)
{
    struct attrs attrs = {.made = CLM_BUF_INIT(MADE_MAX)};
    enum clm_code code = collect_attrs(w, entry_i, old, &attrs);

    if (code == CLM_OK) {
        code = put_bag(w, kind, value, &attrs, out);
    }
    clm_buf_done(&attrs.made);
    return code;
}

/* A key under the new password. *io_value stays if it has a password of its own. */
static enum clm_code reseal(const struct writer *w, struct clm_span *io_value,
                            struct clm_buf *again)
{
    const struct clm_p12_reseal how = {
        .p12 = w->p12, .rng = w->rng, .was = &w->store->password, .password = w->password};
    enum clm_code code = clm_p12_reseal(&how, io_value, again, w->err);

    if (again->len > 0) {
        *io_value = (struct clm_span){.data = again->data, .len = again->len};
    }
    return code;
}

/* The key of a changed entry; old: the bag it replaces, or NULL. */
static enum clm_code put_key(const struct writer *w, size_t entry_i, const struct clm_p12_bag *old,
                             struct clm_buf *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf again = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    const struct clm_buf *sealed = &w->store->entries[entry_i].sealed_key;
    struct clm_span value = {.data = sealed->data, .len = sealed->len};
    bool is_plain = clm_p12_is_plain(value.data, value.len);
    enum clm_code code = CLM_OK;

    if (w->is_rekeyed && !is_plain) {
        code = reseal(w, &value, &again);
    }
    return code == CLM_OK ? put_with_attrs(w, is_plain ? CLM_P12_KEY : CLM_P12_SHROUDED, &value,
                                           entry_i, old, out)
                          : code;
}

/* A shrouded key that stays, under the new password: everything but the sealed key is kept. */
static enum clm_code put_resealed(const struct writer *w, const struct clm_p12_bag *bag,
                                  struct clm_buf *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf again = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    struct attrs attrs = {.v = {bag->attrs}, .n = bag->attrs.len > 0};
    struct clm_span value = bag->value;
    enum clm_code code = reseal(w, &value, &again);

    return code == CLM_OK ? put_bag(w, CLM_P12_SHROUDED, &value, &attrs, out) : code;
}

/* A bag of bags of which something changes. inner: its bags as they are now. */
static enum clm_code put_nested(const struct writer *w, const struct clm_p12_bag *bag,
                                const struct clm_buf *inner, struct clm_buf *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf all = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    struct attrs attrs = {.v = {bag->attrs}, .n = bag->attrs.len > 0};
    struct clm_span value;
    struct clm_der d;
    enum clm_code code;

    clm_der_init(&d, &all, w->err);
    clm_der_bytes(&d, CLM_DER_SEQUENCE, inner->data, inner->len);
    code = clm_der_done(&d);
    value = (struct clm_span){.data = all.data, .len = all.len};
    return code == CLM_OK ? put_bag(w, CLM_P12_NESTED, &value, &attrs, out) : code;
}

/* Added certificates that come behind bag after, or (CLM_P12_NONE) at the end. */
static enum clm_code put_added(const struct writer *w, size_t after, struct clm_buf *out)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < w->plan.n_added && code == CLM_OK; i++) {
        const struct clm_p12_new_cert *cert = &w->plan.added[i];

        if (w->plan.after[i] != after) {
            continue;
        }
        code = cert->is_leaf ? put_with_attrs(w, CLM_P12_CERT, &cert->der, cert->entry, NULL, out)
                             : put_bag(w, CLM_P12_CERT, &cert->der, NULL, out);
    }
    return code;
}

static enum clm_code put_new_keys(const struct writer *w, struct clm_buf *out)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < w->store->n_entries && code == CLM_OK; i++) {
        const struct clm_entry *entry = &w->store->entries[i];

        if (entry->shown.kind == CLM_ENTRY_KEY && entry->extra == NULL) {
            code = put_key(w, i, NULL, out);
        }
    }
    return code;
}

static enum clm_code put_replaced(const struct writer *w, size_t i, struct clm_buf *out)
{
    const struct clm_p12_bag *bag = &w->p12->bags[i];
    size_t entry_i = w->plan.entries[i];
    const struct clm_entry *entry = &w->store->entries[entry_i];
    struct clm_span leaf = {.data = entry->certs[0].der, .len = entry->certs[0].len};
    enum clm_code code;

    if (bag->kind != CLM_P12_CERT) {
        return put_key(w, entry_i, bag, out);
    }
    code = put_with_attrs(w, CLM_P12_CERT, &leaf, entry_i, bag, out);
    return code == CLM_OK ? put_added(w, i, out) : code;
}

static bool is_touched(const struct writer *w, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (w->plan.fates[i] != CLM_P12_KEEP ||
            (w->is_rekeyed && w->p12->bags[i].kind == CLM_P12_SHROUDED)) {
            return true;
        }
    }
    return false;
}

/* Bags first..end into out. A nested bag is put together again only if something in it changes. */
static enum clm_code put_bags(const struct writer *w, size_t first, size_t end, struct clm_buf *out)
{
    enum clm_code code = CLM_OK;

    for (size_t i = first; i < end && code == CLM_OK; i = w->p12->bags[i].end) {
        const struct clm_p12_bag *bag = &w->p12->bags[i];

        if (w->plan.fates[i] == CLM_P12_REPLACE) {
            code = put_replaced(w, i, out);
        } else if (w->plan.fates[i] == CLM_P12_KEEP && !is_touched(w, i, bag->end)) {
            code = clm_buf_add(out, bag->raw.data, bag->raw.len, w->err);
        } else if (w->plan.fates[i] == CLM_P12_KEEP && bag->kind == CLM_P12_SHROUDED) {
            code = put_resealed(w, bag, out);
        } else if (w->plan.fates[i] == CLM_P12_KEEP) {
            CLM_CLEANUP(clm_buf_done) struct clm_buf inner = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);

            code = put_bags(w, i + 1, bag->end, &inner);
            code = code == CLM_OK ? put_nested(w, bag, &inner, out) : code;
        }
    }
    return code;
}

/* ---- SafeContents ---- */

/* content: SafeContents as DER. pbe NULL: in clear. */
static enum clm_code put_safe(const struct writer *w, const struct clm_pbe *pbe,
                              const struct clm_buf *bags, struct clm_buf *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf content = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf sealed = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    struct clm_der d;
    enum clm_code code;

    clm_der_init(&d, &content, w->err);
    clm_der_bytes(&d, CLM_DER_SEQUENCE, bags->data, bags->len);
    code = clm_der_done(&d);
    if (code == CLM_OK && pbe != NULL) {
        code = clm_pbe_encrypt(pbe, w->password, &content, &sealed, w->err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_der_init(&d, out, w->err);
    clm_der_open(&d, CLM_DER_SEQUENCE);
    if (pbe == NULL) {
        clm_der_oid(&d, CLM_OID(OID_P12_DATA));
        clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
        clm_der_bytes(&d, CLM_DER_OCTET_STRING, content.data, content.len);
    } else {
        clm_der_oid(&d, CLM_OID(OID_P12_ENCRYPTED));
        clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
        clm_der_open(&d, CLM_DER_SEQUENCE);
        clm_der_small_int(&d, 0);
        clm_der_open(&d, CLM_DER_SEQUENCE);
        clm_der_oid(&d, CLM_OID(OID_P12_DATA));
        clm_pbe_write(&d, pbe);
        clm_der_bytes(&d, CLM_DER_CONTEXT(0), sealed.data, sealed.len);
        clm_der_close(&d);
        clm_der_close(&d);
    }
    clm_der_close(&d);
    clm_der_close(&d);
    return clm_der_done(&d);
}

/* SafeContents i of the file. What became empty is left out. */
static enum clm_code rewrite_safe(const struct writer *w, size_t i, struct clm_buf *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf bags = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    const struct clm_p12_safe *safe = &w->p12->safes[i];
    bool gets_keys = w->plan.has_new_keys && w->plan.key_safe == i;
    bool gets_certs = w->plan.has_new_certs && w->plan.cert_safe == i;
    struct clm_pbe pbe;
    enum clm_code code;

    if (!gets_keys && !gets_certs && !is_touched(w, safe->first, safe->end) &&
        !(w->is_rekeyed && safe->is_encrypted)) {
        return clm_buf_add(out, safe->raw.data, safe->raw.len, w->err);
    }
    code = put_bags(w, safe->first, safe->end, &bags);
    if (code == CLM_OK && gets_keys) {
        code = put_new_keys(w, &bags);
    }
    if (code == CLM_OK && gets_certs) {
        code = put_added(w, CLM_P12_NONE, &bags);
    }
    if (code != CLM_OK || bags.len == 0) {
        return code;
    }
    if (safe->is_encrypted) {
        code = clm_pbe_renew(&safe->pbe, w->rng, &pbe, w->err);
        pbe.bare_password = w->p12->bare_password;
    }
    return code == CLM_OK ? put_safe(w, safe->is_encrypted ? &pbe : NULL, &bags, out) : code;
}

/* What found no SafeContents of its kind: keys in clear ones, certificates in encrypted ones. */
static enum clm_code new_safes(const struct writer *w, struct clm_buf *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf keys = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf certs = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    bool is_encrypted = w->store->original.len == 0 || w->store->has_password;
    struct clm_pbe pbe;
    enum clm_code code = CLM_OK;

    if (w->plan.has_new_keys && w->plan.key_safe == CLM_P12_NONE) {
        code = put_new_keys(w, &keys);
        code = code == CLM_OK ? put_safe(w, NULL, &keys, out) : code;
    }
    if (code != CLM_OK || !w->plan.has_new_certs || w->plan.cert_safe != CLM_P12_NONE) {
        return code;
    }
    code = put_added(w, CLM_P12_NONE, &certs);
    if (code == CLM_OK && is_encrypted) {
        code = clm_p12_model(w->store, w->rng, w->password, &pbe, w->err);
    }
    return code == CLM_OK ? put_safe(w, is_encrypted ? &pbe : NULL, &certs, out) : code;
}

/* ---- the file ---- */

static enum clm_code put_file(const struct writer *w, const struct clm_buf *content,
                              struct clm_buf *out)
{
    struct clm_der d;
    enum clm_code code = CLM_OK;

    clm_der_init(&d, out, w->err);
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_small_int(&d, 3);
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_oid(&d, CLM_OID(OID_P12_DATA));
    clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_bytes(&d, CLM_DER_OCTET_STRING, content->data, content->len);
    clm_der_close(&d);
    clm_der_close(&d);
    if (w->p12->mac.kind != CLM_P12_MAC_NONE) {
        code = clm_p12_mac_write(&d, w->p12, w->rng, w->password, content, w->err);
    }
    clm_der_close(&d);
    return code == CLM_OK ? clm_der_done(&d) : code;
}

static enum clm_code write_with(struct writer *w, struct clm_buf *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf safes = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf content = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    struct clm_der d;
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < w->store->n_entries; i++) {
        const struct clm_entry *entry = &w->store->entries[i];

        if (entry->is_changed && entry->shown.kind == CLM_ENTRY_KEY) {
            make_id(w, i);
        }
    }
    for (size_t i = 0; i < w->p12->n_safes && code == CLM_OK; i++) {
        code = rewrite_safe(w, i, &safes);
    }
    if (code == CLM_OK) {
        code = new_safes(w, &safes);
    }
    clm_der_init(&d, &content, w->err);
    clm_der_bytes(&d, CLM_DER_SEQUENCE, safes.data, safes.len);
    code = code == CLM_OK ? clm_der_done(&d) : code;
    return code == CLM_OK ? put_file(w, &content, out) : code;
}

enum clm_code clm_p12_write(const struct clm_keystore *store, struct clm_rng *rng,
                            const struct clm_buf *password, struct clm_buf *out,
                            struct clm_err *err)
{
    struct clm_p12 empty = {.n_safes = 0};
    struct writer w = {
        .store = store, .p12 = store->extra, .rng = rng, .password = password, .err = err};
    enum clm_code code;

    if (w.p12 == NULL) {
        clm_p12_mac_preset(store->profile, &empty.mac);
        w.p12 = &empty;
    } else {
        struct clm_span was = {.data = store->password.data, .len = store->password.len};
        struct clm_span now = {.data = password->data, .len = password->len};

        w.is_rekeyed = clm_span_compare(&was, &now) != 0;
    }
    code = clm_p12_plan_make(store, &w.plan, err);
    if (code == CLM_OK) {
        w.ids = calloc(store->n_entries + 1, sizeof(*w.ids));
        code = w.ids == NULL ? clm_err_set(err, CLM_E_NOMEM, "keystore: no memory")
                             : write_with(&w, out);
    }
    free(w.ids);
    clm_p12_plan_done(&w.plan);
    return code;
}
