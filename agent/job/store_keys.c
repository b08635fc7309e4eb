/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting keys that nobody waits for any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/job/store_int.h"

struct waiting_key {
    char key_ref[CLM_KEY_REF_SIZE];
    char *certificate_id; /* NULL: not said */
    struct timespec made;
    bool has_ended; /* its order, without a certificate */
    bool is_used;   /* by a bundle */
};

struct sweep {
    struct clm_store *store;
    clm_store_key_ended_fn has_ended;
    void *arg;
    struct waiting_key *v;
    size_t n;
};

static void sweep_done(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->n; i++) {
        free(sweep->v[i].certificate_id);
    }
    free(sweep->v);
}

/* It is written once: its file is as old as it is. */
static enum clm_code made_at(const char *path, struct timespec *out)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return clm_err_sys(NULL, errno, "key '%s'", path);
    }
    *out = st.st_mtim;
    return CLM_OK;
}

static struct waiting_key *append(struct sweep *sweep)
{
    struct waiting_key *v = realloc(sweep->v, (sweep->n + 1) * sizeof(*v));

    if (v == NULL) {
        return NULL;
    }
    sweep->v = v;
    memset(&v[sweep->n], 0, sizeof(*v));
    return &v[sweep->n++];
}

static enum clm_code visit_key(void *arg, const char *name, struct clm_err *err)
{
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key key = CLM_STORE_KEY_INIT;
    struct sweep *sweep = arg;
    struct waiting_key *one;
    struct timespec made;
    const char *owner;
    enum clm_code code;

    if (name[0] == '.') {
        return CLM_OK; /* being written or deleted */
    }
    code = clm_store_key_get(sweep->store, name, &key, NULL);
    if (code == CLM_OK) {
        code = made_at(key.key_path, &made);
    }
    if (code != CLM_OK) { /* it stays as it is */
        return code == CLM_E_NOMEM ? clm_err_set(err, code, "waiting keys") : CLM_OK;
    }
    one = append(sweep);
    if (one == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "waiting keys");
    }
    owner = clm_json_text(clm_json_get(key.meta, "certificate_id"));
    one->certificate_id = owner != NULL ? strdup(owner) : NULL;
    if (owner != NULL && one->certificate_id == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "waiting keys");
    }
    one->has_ended = sweep->has_ended(sweep->arg, key.meta);
    one->made = made;
    memcpy(one->key_ref, name, strlen(name) + 1); /* it was a key reference to find */
    return CLM_OK;
}

static enum clm_code visit_bundle(void *arg, const char *name, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    struct sweep *sweep = arg;
    const char *key_ref = NULL;
    char path[PATH_MAX];
    enum clm_code code;

    if (name[0] == '.') {
        return CLM_OK;
    }
    clm_store_path(sweep->store, "bundles", name, "meta.json", path);
    code = clm_store_read_json(path, &root, err);
    if (code == CLM_OK) {
        code = clm_json_str(root, "key_ref", CLM_KEY_REF_SIZE - 1, &key_ref, err);
    }
    for (size_t i = 0; code == CLM_OK && i < sweep->n; i++) {
        sweep->v[i].is_used = sweep->v[i].is_used || strcmp(sweep->v[i].key_ref, key_ref) == 0;
    }
    return code;
}

static bool is_later(const struct waiting_key *a, const struct waiting_key *b)
{
    if (a->made.tv_sec != b->made.tv_sec) {
        return a->made.tv_sec > b->made.tv_sec;
    }
    if (a->made.tv_nsec != b->made.tv_nsec) {
        return a->made.tv_nsec > b->made.tv_nsec;
    }
    return strcmp(a->key_ref, b->key_ref) > 0; /* ULIDs grow */
}

/* The newest request of a certificate may be sent again (docs/csr.md). */
static bool is_newest(const struct sweep *sweep, const struct waiting_key *key)
{
    for (size_t i = 0; key->certificate_id != NULL && i < sweep->n; i++) {
        const struct waiting_key *other = &sweep->v[i];

        if (other->certificate_id != NULL &&
            strcmp(other->certificate_id, key->certificate_id) == 0 && is_later(other, key)) {
            return false;
        }
    }
    return true;
}

static bool may_go(const struct sweep *sweep, const struct waiting_key *key, int64_t now_s)
{
    if (key->is_used) {
        return false;
    }
    return now_s - (int64_t)key->made.tv_sec > CLM_STORE_KEY_LIFE_S ||
           (key->has_ended && !is_newest(sweep, key));
}

static enum clm_code visit_all(const struct clm_store *store, const char *kind,
                               clm_fs_list_fn visit, struct sweep *sweep, struct clm_err *err)
{
    char path[PATH_MAX];

    clm_store_path(store, kind, NULL, NULL, path);
    return clm_fs_list(path, visit, sweep, err);
}

enum clm_code clm_store_key_sweep(struct clm_store *store, clm_store_key_ended_fn has_ended,
                                  void *arg, int64_t now_s, struct clm_strs *out_removed,
                                  struct clm_err *err)
{
    CLM_CLEANUP(sweep_done)
    struct sweep sweep = {.store = store, .has_ended = has_ended, .arg = arg};
    enum clm_code code = visit_all(store, "keys", visit_key, &sweep, err);

    if (code == CLM_OK) {
        code = visit_all(store, "bundles", visit_bundle, &sweep, err);
    }
    for (size_t i = 0; code == CLM_OK && i < sweep.n; i++) {
        if (!may_go(&sweep, &sweep.v[i], now_s)) {
            continue;
        }
        code = clm_store_key_remove(store, sweep.v[i].key_ref, err);
        if (code == CLM_OK) {
            code = clm_strs_add(out_removed, sweep.v[i].key_ref, err);
        }
    }
    return code;
}
