/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/job/store_int.h"

#define NEW_NAME  ".new"  /* being written */
#define GONE_NAME ".gone" /* being deleted */

static const char *const kinds[] = {"keys", "bundles", "targets"};

/* ---- directories ---- */

void clm_store_path(const struct clm_store *store, const char *kind, const char *name,
                    const char *file, char *dst)
{
    const char *const parts[] = {store->dir, kind, name, file};
    size_t len = 0;

    for (size_t i = 0; i < CLM_ARRAY_LEN(parts) && parts[i] != NULL; i++) {
        int n = snprintf(dst + len, PATH_MAX - len, "%s%s", i == 0 ? "" : "/", parts[i]);

        assert(n >= 0 && (size_t)n < PATH_MAX - len);
        len += (size_t)n;
    }
}

enum clm_code clm_store_publish(const struct clm_store *store, const char *kind, const char *name,
                                const struct clm_store_file *files, size_t n, struct clm_err *err)
{
    char fresh[PATH_MAX];
    char final[PATH_MAX];
    char path[PATH_MAX];
    enum clm_code code;

    clm_store_path(store, kind, NEW_NAME, NULL, fresh);
    clm_store_path(store, kind, name, NULL, final);
    if (clm_fs_exists(final)) {
        return clm_err_set(err, CLM_E_EXISTS, "'%s' exists", final);
    }
    code = clm_fs_remove_dir(fresh, err);
    if (code == CLM_OK) {
        code = clm_fs_mkdir(fresh, 0700, err);
    }
    for (size_t i = 0; code == CLM_OK && i < n; i++) {
        clm_store_path(store, kind, NEW_NAME, files[i].name, path);
        code = clm_fs_create(path, clm_buf_str(files[i].data), files[i].data->len, 0600, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_sync_dir(fresh, err);
    }
    return code != CLM_OK ? code : clm_fs_rename(fresh, final, err);
}

enum clm_code clm_store_withdraw(const struct clm_store *store, const char *kind, const char *name,
                                 struct clm_err *err)
{
    char gone[PATH_MAX];
    char path[PATH_MAX];
    enum clm_code code;

    clm_store_path(store, kind, GONE_NAME, NULL, gone);
    clm_store_path(store, kind, name, NULL, path);
    code = clm_fs_remove_dir(gone, err);
    if (code == CLM_OK) {
        code = clm_fs_rename(path, gone, err);
    }
    if (code == CLM_E_NOTFOUND) {
        return CLM_OK;
    }
    return code != CLM_OK ? code : clm_fs_remove_dir(gone, err);
}

static enum clm_code check_dir(const char *dir, struct clm_err *err)
{
    struct stat st;

    if (lstat(dir, &st) != 0) {
        return clm_err_sys(err, errno, "state directory '%s'", dir);
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "state directory '%s' must be a directory of uid %u that nobody else "
                           "may write to; run: chmod 0700 '%s'",
                           dir, (unsigned)geteuid(), dir);
    }
    return CLM_OK;
}

static enum clm_code prepare_kind(const struct clm_store *store, const char *kind,
                                  struct clm_err *err)
{
    static const char *const swept[] = {NEW_NAME, GONE_NAME};
    char path[PATH_MAX];
    enum clm_code code;

    clm_store_path(store, kind, NULL, NULL, path);
    code = clm_fs_mkdir(path, 0700, err);
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(swept); i++) {
        clm_store_path(store, kind, swept[i], NULL, path);
        code = clm_fs_remove_dir(path, err);
    }
    return code;
}

enum clm_code clm_store_open(const char *dir, struct clm_store **out_store, struct clm_err *err)
{
    CLM_CLEANUP(clm_store_close_p) struct clm_store *store = calloc(1, sizeof(*store));
    enum clm_code code;

    if (store == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "store");
    }
    code = clm_str_copy(store->dir, sizeof(store->dir), dir, err);
    if (code == CLM_OK) {
        code = check_dir(dir, err);
    }
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(kinds); i++) {
        code = prepare_kind(store, kinds[i], err);
    }
    if (code == CLM_OK) {
        *out_store = CLM_STEAL(store);
    }
    return code;
}

void clm_store_close(struct clm_store *store)
{
    free(store);
}

enum clm_code clm_store_read_text(const char *path, struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = clm_fs_read(path, out->max, out, err);

    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

enum clm_code clm_store_read_json(const char *path, struct clm_json **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_STORE_META_MAX);
    enum clm_code code = clm_fs_read(path, CLM_STORE_META_MAX, &text, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_json_parse(clm_buf_str(&text), text.len, CLM_STORE_META_MAX, out, err);
    return code == CLM_OK ? code : clm_err_wrap(err, code, "'%s'", path);
}

/* ---- waiting keys ---- */

static enum clm_code check_key_ref(const char *key_ref, struct clm_err *err)
{
    size_t len = strlen(key_ref);

    if (len == 0 || len >= CLM_KEY_REF_SIZE ||
        strspn(key_ref, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") !=
            len) {
        return clm_err_set(err, CLM_E_INVAL, "not a key reference");
    }
    return CLM_OK;
}

void clm_store_key_done(struct clm_store_key *key)
{
    clm_buf_done(&key->csr_der);
    clm_json_free(key->meta);
    key->meta = NULL;
}

enum clm_code clm_store_key_put(struct clm_store *store, const char *key_ref,
                                const struct clm_buf *key_pem, const struct clm_buf *csr_der,
                                const struct clm_json *meta, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_STORE_META_MAX);
    const struct clm_store_file files[] = {
        {"key.pem", key_pem}, {"meta.json", &text}, {"csr.der", csr_der}};
    enum clm_code code = check_key_ref(key_ref, err);

    if (code == CLM_OK) {
        code = meta != NULL ? clm_json_print(meta, true, &text, err)
                            : clm_buf_add_str(&text, "{}", err);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = clm_store_publish(store, "keys", key_ref, files, csr_der != NULL ? 3 : 2, err);
    return code == CLM_OK ? code : clm_err_wrap(err, code, "key '%s'", key_ref);
}

enum clm_code clm_store_key_get(struct clm_store *store, const char *key_ref,
                                struct clm_store_key *out, struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = check_key_ref(key_ref, err);

    if (code != CLM_OK) {
        return code;
    }
    clm_json_free(out->meta);
    out->meta = NULL;
    clm_buf_reset(&out->csr_der);
    clm_store_path(store, "keys", key_ref, "key.pem", out->key_path);
    clm_store_path(store, "keys", key_ref, "meta.json", path);
    code = clm_store_read_json(path, &out->meta, err);
    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, code, "no key '%s' is waiting", key_ref);
    }
    if (code == CLM_OK) {
        clm_store_path(store, "keys", key_ref, "csr.der", path);
        code = clm_store_read_text(path, &out->csr_der, err);
    }
    return code;
}

enum clm_code clm_store_key_remove(struct clm_store *store, const char *key_ref,
                                   struct clm_err *err)
{
    enum clm_code code = check_key_ref(key_ref, err);

    return code != CLM_OK ? code : clm_store_withdraw(store, "keys", key_ref, err);
}
