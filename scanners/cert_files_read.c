/* SPDX-License-Identifier: Apache-2.0 */
/* What the content of one file holds: entries, whether its certificates form a chain, its key. */
#include <stdio.h>
#include <string.h>

#include "agent/crypto/armor.h"
#include "agent/keystore/keystore.h"
#include "agent/keystore/sniff.h"
#include "scanners/cert_files_der.h"
#include "scanners/cert_files_int.h"

#define BLOCKS_MAX 20000u /* PEM blocks of one file: a MiB holds fewer certificates than that */

/* The file being read. */
struct reader {
    const struct clm_files_rules *rules;
    struct clm_found *found;
    struct clm_files_content *out;
    struct clm_cert_view last; /* certificate before this one; whole.raw NULL: none */
    size_t leaf_at;
    bool has_leaf;
    bool is_broken; /* the certificates behind the leaf do not lead upwards */
    size_t n_above; /* certificates behind the leaf */
};

static uint32_t dates(const struct clm_files_rules *rules, const struct clm_cert_view *view)
{
    int64_t soon_s = rules->now_s + (int64_t)rules->expiring_days * 86400;

    if (view->not_after_s <= rules->now_s) {
        return CLM_FOUND_EXPIRED;
    }
    return (view->not_after_s < soon_s ? CLM_FOUND_EXPIRING : 0u) |
           (view->not_before_s > rules->now_s ? CLM_FOUND_NOT_YET_VALID : 0u);
}

/* Of a CA only the strength counts: a bundle always holds some that have ended. */
static uint32_t faults(const struct clm_files_rules *rules, const struct clm_cert_view *view,
                       bool is_trusted)
{
    uint32_t bits = is_trusted ? 0u : dates(rules, view);

    if (!is_trusted && view->is_weak_key) {
        bits |= CLM_FOUND_WEAK_KEY;
    }
    if (!is_trusted && view->is_weak_signature) {
        bits |= CLM_FOUND_WEAK_SIGNATURE;
    }
    return bits;
}

/* One certificate as an entry of its own. *out_entry NULL: it is only counted. */
static enum clm_code add_cert(struct reader *r, const struct clm_cert_view *view,
                              enum clm_found_kind kind, struct clm_found_entry **out_entry,
                              struct clm_err *err)
{
    bool is_full = false;
    struct clm_found_entry *entry = clm_found_add(r->found, &is_full);
    enum clm_code code;

    r->out->problems |= faults(r->rules, view, kind == CLM_FOUND_TRUSTED);
    *out_entry = entry;
    if (entry == NULL) {
        return is_full ? CLM_OK : clm_err_set(err, CLM_E_NOMEM, "entries of a file");
    }
    entry->kind = kind;
    code = clm_cert_view_info(view, &entry->certificate, err);
    entry->has_certificate = code == CLM_OK;
    return code;
}

/* Certificates in the order of the file: a leaf, and behind it who signed whom. */
static enum clm_code take_cert(struct reader *r, const uint8_t *der, size_t len,
                               struct clm_err *err)
{
    struct clm_cert_view view;
    struct clm_found_entry *entry;
    enum clm_code code;

    if (!clm_cert_view_read(der, len, &view)) {
        return CLM_OK;
    }
    if (view.is_ca) {
        if (r->has_leaf && r->out->n_leafs == 1) {
            r->n_above++;
            r->is_broken = r->is_broken || !clm_cert_view_is_issuer(&view, &r->last);
        }
    } else {
        r->out->n_leafs++;
    }
    r->last = view;
    code = add_cert(r, &view, view.is_ca ? CLM_FOUND_TRUSTED : CLM_FOUND_CERTIFICATE, &entry, err);
    if (code == CLM_OK && entry != NULL && !view.is_ca && !r->has_leaf) {
        r->has_leaf = true;
        r->leaf_at = r->found->n_entries - 1;
    }
    return code;
}

static enum clm_code add_key(struct reader *r, bool is_locked, struct clm_err *err)
{
    bool is_full = false;
    struct clm_found_entry *entry = clm_found_add(r->found, &is_full);

    if (entry == NULL && !is_full) {
        return clm_err_set(err, CLM_E_NOMEM, "entries of a file");
    }
    if (entry != NULL) {
        entry->kind = CLM_FOUND_KEY;
    }
    r->found->is_locked = r->found->is_locked || is_locked;
    r->out->has_key = r->out->has_key || !is_locked;
    return CLM_OK;
}

static enum clm_code take_key(struct reader *r, const uint8_t *der, size_t len, struct clm_err *err)
{
    if (!clm_is_private_key(der, len)) {
        return CLM_OK;
    }
    if (!r->out->has_key_spki) {
        r->out->has_key_spki = clm_private_spki(der, len, r->out->key_spki);
    }
    return add_key(r, false, err);
}

static enum clm_code take_bag(struct reader *r, const uint8_t *der, size_t len, struct clm_err *err)
{
    struct clm_der_reader certs;
    struct clm_tlv tlv;
    enum clm_code code = CLM_OK;

    if (!clm_pkcs7_certs(der, len, &certs)) {
        return CLM_OK;
    }
    while (code == CLM_OK && clm_der_next(&certs, &tlv)) {
        code = take_cert(r, tlv.raw, tlv.raw_len, err);
    }
    r->n_above = 0; /* a set has no order */
    return code;
}

static bool is_cert_label(const char *label)
{
    return strcmp(label, "CERTIFICATE") == 0 || strcmp(label, "X509 CERTIFICATE") == 0 ||
           strcmp(label, "TRUSTED CERTIFICATE") == 0;
}

static bool is_key_label(const char *label)
{
    return strcmp(label, "PRIVATE KEY") == 0 || strcmp(label, "RSA PRIVATE KEY") == 0 ||
           strcmp(label, "EC PRIVATE KEY") == 0;
}

/* der[2]: the certificate before this one stays readable for the chain. */
static enum clm_code take_block(struct reader *r, const struct clm_armor *block,
                                struct clm_buf *der, struct clm_err *err)
{
    bool is_key = is_key_label(block->label);
    bool is_bag = strcmp(block->label, "PKCS7") == 0 || strcmp(block->label, "CMS") == 0;
    enum clm_code code = CLM_OK;

    if (strcmp(block->label, "ENCRYPTED PRIVATE KEY") == 0 || (is_key && block->is_encrypted)) {
        return add_key(r, true, err);
    }
    if (!is_key && !is_bag && !is_cert_label(block->label)) {
        return CLM_OK;
    }
    clm_buf_reset(der);
    code = clm_armor_decode(block, der, NULL);
    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? clm_err_set(err, code, "certificate") : CLM_OK;
    }
    if (is_bag) {
        r->found->format = CLM_FOUND_PKCS7;
        return take_bag(r, der->data, der->len, err);
    }
    return is_key ? take_key(r, der->data, der->len, err) : take_cert(r, der->data, der->len, err);
}

static enum clm_code parse_pem(struct reader *r, const struct clm_buf *content, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf one = CLM_BUF_SECRET_INIT(CLM_FILES_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf two = CLM_BUF_SECRET_INIT(CLM_FILES_PEM_MAX);
    struct clm_buf *const der[2] = {&one, &two};
    const char *text = clm_buf_str(content);
    size_t len = content->len;
    struct clm_armor block;
    enum clm_code code = CLM_OK;
    unsigned which = 0;

    r->found->format = CLM_FOUND_PEM;
    for (unsigned i = 0; i < BLOCKS_MAX && code == CLM_OK; i++) {
        const struct clm_tlv before = r->last.whole;

        if (clm_armor_next(&text, &len, &block, NULL) != CLM_OK) {
            break;
        }
        code = take_block(r, &block, der[which], err);
        which = r->last.whole.raw == before.raw ? which : 1 - which;
    }
    return code;
}

static enum clm_code parse_der(struct reader *r, const struct clm_buf *content, struct clm_err *err)
{
    struct clm_cert_view view;

    r->found->format = CLM_FOUND_DER;
    if (clm_cert_view_read(content->data, content->len, &view)) {
        return take_cert(r, content->data, content->len, err);
    }
    return take_key(r, content->data, content->len, err);
}

/* ---- keystores ---- */

static enum clm_code take_entry(struct reader *r, const struct clm_keystore *store, size_t i,
                                struct clm_err *err)
{
    const struct clm_keystore_entry *shown = clm_keystore_entry(store, i);
    struct clm_found_entry *entry = NULL;
    struct clm_cert_view leaf = {.is_ca = false};
    struct clm_cert_view view;
    bool is_broken = false;
    size_t len = 0;
    const uint8_t *der = shown->n_certs > 0 ? clm_keystore_cert_der(store, i, 0, &len) : NULL;
    enum clm_found_kind kind = shown->kind == CLM_ENTRY_KEY       ? CLM_FOUND_KEY
                               : shown->kind == CLM_ENTRY_TRUSTED ? CLM_FOUND_TRUSTED
                                                                  : CLM_FOUND_OTHER;
    enum clm_code code;

    if (der != NULL && clm_cert_view_read(der, len, &leaf)) {
        code = add_cert(r, &leaf, kind, &entry, err);
    } else {
        bool is_full = false;

        entry = clm_found_add(r->found, &is_full);
        code =
            entry == NULL && !is_full ? clm_err_set(err, CLM_E_NOMEM, "entries of a file") : CLM_OK;
    }
    if (code != CLM_OK || entry == NULL) {
        return code;
    }
    entry->kind = kind;
    (void)snprintf(entry->alias, sizeof(entry->alias), "%.*s", (int)sizeof(entry->alias) - 1,
                   shown->alias);
    if (kind != CLM_FOUND_KEY || !entry->has_certificate) {
        return CLM_OK;
    }
    for (size_t k = 1; k < shown->n_certs; k++) {
        der = clm_keystore_cert_der(store, i, k, &len);
        is_broken = is_broken || !clm_cert_view_read(der, len, &view) ||
                    !clm_cert_view_is_issuer(&view, &leaf);
        leaf = view;
    }
    if (shown->n_certs > 1) {
        entry->chain_ok = is_broken ? CLM_FOUND_NO : CLM_FOUND_YES;
        r->out->problems |= is_broken ? CLM_FOUND_CHAIN_BROKEN : 0u;
    }
    r->out->n_leafs++;
    return CLM_OK;
}

/* Without a password: what is encrypted stays closed, and nothing is computed. */
static enum clm_code parse_store(struct reader *r, const struct clm_buf *content,
                                 enum clm_found_format format, struct clm_err *err)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    enum clm_code code = clm_keystore_open(content->data, content->len, NULL, &store, NULL);

    r->found->format = format;
    if (code == CLM_E_UNSUPPORTED || code == CLM_E_CRYPTO) {
        r->found->is_locked = true; /* it is a keystore, and more cannot be told */
        return CLM_OK;
    }
    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? clm_err_set(err, code, "keystore") : CLM_OK;
    }
    r->found->is_locked = clm_keystore_is_locked(store);
    for (size_t i = 0; i < clm_keystore_count(store) && code == CLM_OK; i++) {
        code = take_entry(r, store, i, err);
    }
    return code;
}

/* ---- all of it ---- */

enum clm_code clm_files_parse(struct clm_files_scan *scan, struct clm_found *found,
                              struct clm_files_content *out, struct clm_err *err)
{
    struct reader r = {.rules = scan->rules, .found = found, .out = out};
    const struct clm_buf *content = &scan->content;
    enum clm_code code = CLM_OK;

    memset(out, 0, sizeof(*out));
    switch (clm_cert_file_sniff(content->data, content->len).kind) {
    case CLM_CERT_FILE_PEM:
        code = parse_pem(&r, content, err);
        break;
    case CLM_CERT_FILE_DER:
        code = parse_der(&r, content, err);
        break;
    case CLM_CERT_FILE_PKCS7:
        found->format = CLM_FOUND_PKCS7;
        code = take_bag(&r, content->data, content->len, err);
        break;
    case CLM_CERT_FILE_PKCS12:
        code = parse_store(&r, content, CLM_FOUND_PKCS12, err);
        break;
    case CLM_CERT_FILE_JKS:
        code = parse_store(&r, content, CLM_FOUND_JKS, err);
        break;
    case CLM_CERT_FILE_JCEKS:
        code = parse_store(&r, content, CLM_FOUND_JCEKS, err);
        break;
    case CLM_CERT_FILE_NONE:
    case CLM_CERT_FILE_OTHER_STORE:
    case CLM_CERT_FILE__COUNT:
        break;
    }
    if (code == CLM_OK && r.has_leaf && out->n_leafs == 1 && r.n_above > 0) {
        found->entries[r.leaf_at].chain_ok = r.is_broken ? CLM_FOUND_NO : CLM_FOUND_YES;
        out->problems |= r.is_broken ? CLM_FOUND_CHAIN_BROKEN : 0u;
    }
    return code;
}

bool clm_files_key(const struct clm_files_scan *scan, uint8_t dst[CLM_SHA256_SIZE])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(CLM_FILES_PEM_MAX);
    const struct clm_buf *content = &scan->content;
    struct clm_sniff sniff = clm_cert_file_sniff(content->data, content->len);
    const char *text = clm_buf_str(content);
    size_t len = content->len;
    struct clm_armor block;

    if ((sniff.has & CLM_SNIFF_KEY) == 0) {
        return false;
    }
    if (sniff.kind == CLM_CERT_FILE_DER) {
        return clm_private_spki(content->data, content->len, dst);
    }
    while (clm_armor_next(&text, &len, &block, NULL) == CLM_OK) {
        if (is_key_label(block.label) && !block.is_encrypted) {
            clm_buf_reset(&der);
            return clm_armor_decode(&block, &der, NULL) == CLM_OK &&
                   clm_private_spki(der.data, der.len, dst);
        }
    }
    return false;
}
