/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/job/store_int.h"

bool clm_store_sha256_is_valid(const char *text)
{
    return strlen(text) == CLM_SHA256_HEX_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == CLM_SHA256_HEX_SIZE - 1;
}

static enum clm_code check_sha256(const char *sha256, struct clm_err *err)
{
    return clm_store_sha256_is_valid(sha256)
               ? CLM_OK
               : clm_err_set(err, CLM_E_INVAL, "not a SHA-256 of a certificate");
}

enum clm_code clm_store_bundle_read(const struct clm_store *store, const char *sha256,
                                    struct clm_json **out, struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = check_sha256(sha256, err);

    if (code != CLM_OK) {
        return code;
    }
    clm_store_path(store, "bundles", sha256, "meta.json", path);
    code = clm_store_read_json(path, out, err);
    return code == CLM_E_NOTFOUND
               ? clm_err_set(err, code, "certificate %s is not in the store", sha256)
               : code;
}

/* There already: fine if it is the same key, whatever else. */
static enum clm_code compare_key(struct clm_store *store, const struct clm_store_new_bundle *bundle,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    char path[PATH_MAX];
    enum clm_code code;

    clm_store_path(store, "bundles", bundle->leaf->sha256, "key.pem", path);
    code = clm_fs_read(path, CLM_KEY_PEM_MAX, &key, err);
    if (code == CLM_OK && (key.len != bundle->key_pem->len ||
                           memcmp(key.data, bundle->key_pem->data, key.len) != 0)) {
        code = clm_err_set(err, CLM_E_CONFLICT, "certificate %s is stored with another key",
                           bundle->leaf->sha256);
    }
    return code;
}

enum clm_code clm_store_bundle_write(struct clm_store *store,
                                     const struct clm_store_new_bundle *bundle, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_STORE_META_MAX);
    const struct clm_store_file files[] = {{"leaf.pem", bundle->leaf_pem},
                                           {"chain.pem", bundle->chain_pem},
                                           {"key.pem", bundle->key_pem},
                                           {"meta.json", &text}};
    enum clm_code code = check_sha256(bundle->leaf->sha256, err);

    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_int(root, "v", 1);
    clm_json_set_str(root, "key_ref", bundle->key_ref);
    clm_cert_info_to_json(bundle->leaf, clm_json_set_object(root, "leaf"));
    if (bundle->meta != NULL) {
        clm_json_set_copy(root, "meta", bundle->meta);
    } else {
        (void)clm_json_set_object(root, "meta");
    }
    code = clm_json_print(root, true, &text, err);
    if (code == CLM_OK) {
        code = clm_store_publish(store, "bundles", bundle->leaf->sha256, files,
                                 CLM_ARRAY_LEN(files), err);
    }
    return code == CLM_E_EXISTS ? compare_key(store, bundle, err) : code;
}

static bool is_made_of(struct clm_store *store, const char *sha256, const char *key_ref)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    const char *have = NULL;

    return clm_store_bundle_read(store, sha256, &root, NULL) == CLM_OK &&
           clm_json_str(root, "key_ref", CLM_KEY_REF_SIZE, &have, NULL) == CLM_OK &&
           strcmp(have, key_ref) == 0;
}

enum clm_code clm_store_bundle_put(struct clm_store *store, const char *key_ref,
                                   const struct clm_bundle *bundle, const struct clm_json *meta,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key key = CLM_STORE_KEY_INIT;
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    const struct clm_store_new_bundle fresh = {.key_pem = &key_pem,
                                               .key_ref = key_ref,
                                               .leaf = &bundle->leaf,
                                               .leaf_pem = &bundle->leaf_pem,
                                               .chain_pem = &bundle->chain_pem,
                                               .meta = meta};
    enum clm_code code = clm_store_key_get(store, key_ref, &key, err);

    if (code == CLM_E_NOTFOUND) { /* the same again, after the waiting key was removed */
        return is_made_of(store, bundle->leaf.sha256, key_ref) ? CLM_OK : code;
    }
    if (code == CLM_OK) {
        code = clm_fs_read(key.key_path, CLM_KEY_PEM_MAX, &key_pem, err);
    }
    return code != CLM_OK ? code : clm_store_bundle_write(store, &fresh, err);
}

static enum clm_code read_part(struct clm_store *store, const char *sha256, const char *file,
                               struct clm_buf *out, struct clm_err *err)
{
    char path[PATH_MAX];

    clm_buf_reset(out);
    clm_store_path(store, "bundles", sha256, file, path);
    return clm_fs_read(path, out->max, out, err);
}

enum clm_code clm_store_bundle_get(struct clm_store *store, const char *sha256,
                                   struct clm_bundle *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    const struct clm_json *leaf = NULL;
    enum clm_code code = clm_store_bundle_read(store, sha256, &root, err);

    if (code == CLM_OK) {
        code = clm_json_object(root, "leaf", &leaf, err);
    }
    if (code == CLM_OK) {
        clm_cert_info_done(&out->leaf);
        code = clm_cert_info_from_json(leaf, &out->leaf, err);
    }
    if (code == CLM_OK && strcmp(out->leaf.sha256, sha256) != 0) {
        code =
            clm_err_set(err, CLM_E_PARSE, "stored bundle %s describes another certificate", sha256);
    }
    if (code == CLM_OK) {
        code = read_part(store, sha256, "leaf.pem", &out->leaf_pem, err);
    }
    if (code == CLM_OK) {
        clm_store_path(store, "bundles", sha256, "key.pem", out->key_path);
        code = read_part(store, sha256, "chain.pem", &out->chain_pem, err);
    }
    return code;
}

enum clm_code clm_store_bundle_meta(struct clm_store *store, const char *sha256,
                                    struct clm_json **out_meta, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_STORE_META_MAX);
    const struct clm_json *meta = NULL;
    enum clm_code code = clm_store_bundle_read(store, sha256, &root, err);

    if (code == CLM_OK) {
        code = clm_json_object(root, "meta", &meta, err);
    }
    if (code == CLM_OK) { /* printed and read again: a tree without holes, or NOMEM */
        code = clm_json_print(meta, false, &text, err);
    }
    return code != CLM_OK
               ? code
               : clm_json_parse(clm_buf_str(&text), text.len, CLM_STORE_META_MAX, out_meta, err);
}
