/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the files of a scene: certificates, keystores, lines of a configuration. */
#include "tests/support/scene_int.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/crypto/hash.h"
#include "agent/keystore/keystore.h"

/* ---- what stands in the files ---- */

static void fill(struct clm_buf *out, const struct clm_test_leaf *leaf, enum clm_content content)
{
    static const struct clm_buf none;
    const struct clm_buf *parts[2] = {&none, &none};
    struct clm_err err = {0};

    switch (content) {
    case CLM_CONTENT_LEAF:
        parts[0] = &leaf->leaf_pem;
        break;
    case CLM_CONTENT_CHAIN:
        parts[0] = &leaf->chain_pem;
        break;
    case CLM_CONTENT_FULLCHAIN:
        parts[0] = &leaf->full_pem;
        break;
    case CLM_CONTENT_KEY:
        parts[0] = &leaf->key_pem;
        break;
    case CLM_CONTENT_KEY_FULLCHAIN:
        parts[0] = &leaf->full_pem;
        parts[1] = &leaf->key_pem;
        break;
    case CLM_CONTENT_KEY_FIRST:
        parts[0] = &leaf->key_pem;
        parts[1] = &leaf->full_pem;
        break;
    case CLM_CONTENT_LEAF_KEY:
        parts[0] = &leaf->leaf_pem;
        parts[1] = &leaf->key_pem;
        break;
    case CLM_CONTENT_EDIT:
    case CLM_CONTENT__COUNT:
        break;
    }
    out->max = SCENE_FILE_LIMIT;
    out->secret = true;
    for (size_t i = 0; i < 2; i++) {
        scene_must_ok(clm_buf_add(out, parts[i]->data, parts[i]->len, &err), &err);
    }
}

/* ---- keystores and edits ---- */

#define STORE_ALIAS "shop"
#define STORE_OTHER "somebody else"
#define CONF_OLD    "<Server>\n  <Connector port=\"8443\"/>\n</Server>\n"
#define CONF_NEW    "<Server>\n  <Connector port=\"8443\" alias=\"shop\"/>\n</Server>\n"

static void put_entry(struct clm_keystore *store, struct clm_rng *rng, const char *alias,
                      const struct clm_test_leaf *leaf, const struct clm_buf *password)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_keystore_put put = {.alias = alias, .password = password, .now_ms = 1000};
    struct clm_err err = {0};

    scene_must_ok(clm_key_from_pem(leaf->key_pem.data, leaf->key_pem.len, &key, &err), &err);
    scene_must_ok(clm_cert_chain_from_pem(leaf->full_pem.data, leaf->full_pem.len, &chain, &err),
                  &err);
    put.key = key;
    put.chain = chain;
    scene_must_ok(clm_keystore_put_key(store, rng, &put, &err), &err);
}

/* The old certificate in two entries; only one of them is the target's. In PKCS#12 chains are put
 * together by names, and those of our two CAs are the same: there is only one entry. */
static void fill_store(struct clm_buf *out, enum clm_keystore_type type,
                       const struct clm_test_leaf *leaf)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    struct clm_err err = {0};

    *out = CLM_BUF_SECRET_INIT(SCENE_FILE_LIMIT);
    scene_must_ok(clm_rng_new(&rng, &err), &err);
    scene_must_ok(clm_buf_add_str(&password, "changeit", &err), &err);
    scene_must_ok(clm_keystore_new(type, CLM_KEYSTORE_MODERN, &store, &err), &err);
    if (type != CLM_KEYSTORE_PKCS12) {
        put_entry(store, rng, STORE_OTHER, leaf, &password);
    }
    put_entry(store, rng, STORE_ALIAS, leaf, &password);
    scene_must_ok(clm_keystore_write(store, rng, &password, out, &err), &err);
}

/* The target's entry has the wanted chain, and the other one is still there. */
bool scene_store_holds(const char *path, const struct clm_buf *full_pem)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(SCENE_FILE_LIMIT);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *want = NULL;
    struct clm_err err = {0};
    const uint8_t *have_der;
    const uint8_t *want_der;
    size_t have_len = 0;
    size_t want_len = 0;
    size_t i = 0;

    scene_must_ok(clm_buf_add_str(&password, "changeit", &err), &err);
    scene_must_ok(clm_cert_chain_from_pem(full_pem->data, full_pem->len, &want, &err), &err);
    if (clm_fs_read(path, SCENE_FILE_LIMIT, &data, NULL) != CLM_OK ||
        clm_keystore_open(data.data, data.len, &password, &store, NULL) != CLM_OK ||
        (clm_keystore_type_of(store) != CLM_KEYSTORE_PKCS12 &&
         !clm_keystore_find(store, STORE_OTHER, &i)) ||
        !clm_keystore_find(store, STORE_ALIAS, &i)) {
        return false;
    }
    have_der = clm_keystore_cert_der(store, i, 0, &have_len);
    want_der = clm_cert_chain_der(want, 0, &want_len);
    return have_len == want_len && memcmp(have_der, want_der, want_len) == 0;
}

static void plan_store(struct clm_step *step)
{
    (void)snprintf(step->alias, sizeof(step->alias), "%s", STORE_ALIAS);
    (void)snprintf(step->store_password, sizeof(step->store_password), "known:changeit");
}

static void plan_edit(struct clm_step *step)
{
    const char *at = strstr(CONF_OLD, "/>");
    struct clm_err err = {0};

    clm_sha256_hex(CONF_OLD, strlen(CONF_OLD), step->expect_sha256);
    scene_must_ok(clm_step_add_edit(step, (uint64_t)(at - CONF_OLD), 0, " alias=\"shop\"", &err),
                  &err);
}

static void fill_text(struct clm_buf *out, const char *text)
{
    struct clm_err err = {0};

    out->max = SCENE_FILE_LIMIT;
    scene_must_ok(clm_buf_add_str(out, text, &err), &err);
}

void scene_plan_content(struct clm_step *step)
{
    if (clm_format_is_keystore(step->format)) {
        plan_store(step);
    } else if (step->content == CLM_CONTENT_EDIT) {
        plan_edit(step);
    }
}

static void fill_bytes(struct clm_buf *out, const struct clm_buf *from)
{
    struct clm_err err = {0};

    *out = CLM_BUF_SECRET_INIT(SCENE_FILE_LIMIT);
    scene_must_ok(clm_buf_add(out, from->data, from->len, &err), &err);
}

void scene_fill_file(struct scene_file *file, enum scene_kind kind, const struct scene_certs *certs)
{
    if (clm_format_is_keystore(file->format)) {
        fill(&file->new_data, &certs->new_leaf, CLM_CONTENT_FULLCHAIN);
        fill_bytes(&file->old_data, file->format == CLM_FORMAT_JKS ? &certs->jks : &certs->pkcs12);
    } else if (file->content == CLM_CONTENT_EDIT) {
        fill_text(&file->old_data, CONF_OLD);
        fill_text(&file->new_data, CONF_NEW);
    } else {
        fill(&file->new_data, &certs->new_leaf, file->content);
        if (kind != SCENE_FIRST) {
            fill(&file->old_data, &certs->old_leaf, file->content);
        }
    }
}

/* ---- certificates ---- */

void scene_certs_make(struct scene_certs *certs, enum clm_test_fault old_fault)
{
    struct clm_bundle empty = CLM_BUNDLE_INIT;

    memset(certs, 0, sizeof(*certs));
    certs->ca = clm_test_ca_new(FAKE_IO_NOW_S);
    certs->old_ca = clm_test_ca_new(FAKE_IO_NOW_S);
    clm_test_leaf_make(certs->old_ca, "www.example", old_fault, &certs->old_leaf);
    clm_test_leaf_make(certs->ca, "www.example", CLM_TEST_GOOD, &certs->new_leaf);
    certs->old_bundle = empty;
    certs->new_bundle = empty;
    clm_test_leaf_bundle(&certs->old_leaf, &certs->old_bundle);
    clm_test_leaf_bundle(&certs->new_leaf, &certs->new_bundle);
    fill_store(&certs->jks, CLM_KEYSTORE_JKS, &certs->old_leaf);
    fill_store(&certs->pkcs12, CLM_KEYSTORE_PKCS12, &certs->old_leaf);
}

void scene_certs_done(struct scene_certs *certs)
{
    clm_bundle_done(&certs->old_bundle);
    clm_bundle_done(&certs->new_bundle);
    clm_test_leaf_done(&certs->old_leaf);
    clm_test_leaf_done(&certs->new_leaf);
    clm_test_ca_free(certs->ca);
    clm_test_ca_free(certs->old_ca);
    clm_buf_done(&certs->jks);
    clm_buf_done(&certs->pkcs12);
}

/* ---- kept for other processes ---- */

#define KEPT 8

struct kept {
    const char *name;
    struct clm_buf *data;
};

static void list_kept(struct scene_certs *certs, struct kept *list)
{
    const struct kept all[KEPT] = {
        {"old.key", &certs->old_leaf.key_pem},
        {"old.crt", &certs->old_leaf.leaf_pem},
        {"old.chain", &certs->old_leaf.chain_pem},
        {"new.key", &certs->new_leaf.key_pem},
        {"new.crt", &certs->new_leaf.leaf_pem},
        {"new.chain", &certs->new_leaf.chain_pem},
        {"old.jks", &certs->jks},
        {"old.p12", &certs->pkcs12},
    };

    memcpy(list, all, sizeof(all));
}

void scene_certs_save(const struct scene_certs *certs, const char *dir)
{
    struct scene_certs view = *certs;
    struct kept list[KEPT];
    char path[PATH_MAX];

    list_kept(&view, list);
    for (size_t i = 0; i < KEPT; i++) {
        scene_below(path, dir, list[i].name);
        scene_write(path, list[i].data->data, list[i].data->len, 0600);
    }
}

static void join(struct clm_test_leaf *leaf)
{
    struct clm_err err = {0};

    leaf->full_pem = CLM_BUF_INIT(SCENE_FILE_LIMIT);
    scene_must_ok(clm_buf_add(&leaf->full_pem, leaf->leaf_pem.data, leaf->leaf_pem.len, &err),
                  &err);
    scene_must_ok(clm_buf_add_str(&leaf->full_pem, clm_buf_str(&leaf->chain_pem), &err), &err);
}

bool scene_certs_load(struct scene_certs *certs, const char *dir)
{
    struct kept list[KEPT];
    char path[PATH_MAX];

    memset(certs, 0, sizeof(*certs));
    list_kept(certs, list);
    for (size_t i = 0; i < KEPT; i++) {
        *list[i].data = CLM_BUF_SECRET_INIT(SCENE_FILE_LIMIT);
        scene_below(path, dir, list[i].name);
        if (clm_fs_read(path, SCENE_FILE_LIMIT, list[i].data, NULL) != CLM_OK) {
            return false;
        }
    }
    join(&certs->old_leaf);
    join(&certs->new_leaf);
    clm_test_leaf_bundle(&certs->old_leaf, &certs->old_bundle);
    clm_test_leaf_bundle(&certs->new_leaf, &certs->new_bundle);
    return true;
}
