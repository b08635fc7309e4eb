/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/crypto/hash.h"
#include "agent/job/store_int.h"

#define GENERATIONS_MAX 1000
#define NO_VERSION      (-1)

/* target.json */
struct ledger {
    char target[CLM_TARGET_ID_SIZE];
    int64_t next;      /* version of the next new generation */
    int64_t installed; /* NO_VERSION: none */
    int64_t before;    /* installed before that one; NO_VERSION: none */
    struct clm_generations list;
};

void clm_generations_done(struct clm_generations *generations)
{
    free(generations->v);
    generations->v = NULL;
    generations->n = 0;
}

static void ledger_done(struct ledger *ledger)
{
    clm_generations_done(&ledger->list);
}

static void target_path(const struct clm_store *store, const char *target, const char *file,
                        char *dst)
{
    char hash[CLM_SHA256_HEX_SIZE];

    clm_sha256_hex(target, strlen(target), hash);
    clm_store_path(store, "targets", hash, file, dst);
}

/* ---- reading ---- */

static enum clm_code read_generation(const struct clm_json *obj, struct clm_generation *out,
                                     struct clm_err *err)
{
    const char *text = NULL;
    int64_t version = 0;
    enum clm_code code = clm_json_int(obj, "version", 0, UINT32_MAX - 1, &version, err);

    out->version = (uint32_t)version;
    if (code == CLM_OK) {
        code = clm_json_str(obj, "sha256", CLM_SHA256_HEX_SIZE, &text, err);
    }
    if (code == CLM_OK && !clm_store_sha256_is_valid(text)) {
        code = clm_err_set(err, CLM_E_PARSE, "sha256: not a SHA-256");
    }
    if (code == CLM_OK) {
        memcpy(out->sha256, text, sizeof(out->sha256));
        code = clm_json_str(obj, "origin", 16, &text, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    out->origin = strcmp(text, "imported") == 0 ? CLM_GENERATION_IMPORTED : CLM_GENERATION_DEPLOYED;
    return clm_json_int(obj, "at", 0, CLM_JSON_INT_MAX, &out->at_s, err);
}

static enum clm_code read_list(const struct clm_json *root, struct ledger *out, struct clm_err *err)
{
    const struct clm_json *array = NULL;
    enum clm_code code = clm_json_array(root, "generations", GENERATIONS_MAX, &array, err);

    if (code != CLM_OK) {
        return code;
    }
    out->list.v = calloc(clm_json_len(array) + 1, sizeof(*out->list.v));
    if (out->list.v == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "generations");
    }
    for (const struct clm_json *node = clm_json_first(array); code == CLM_OK && node != NULL;
         node = clm_json_next(node)) {
        struct clm_generation *g = &out->list.v[out->list.n++];

        code = read_generation(node, g, err);
        g->is_installed = (int64_t)g->version == out->installed;
    }
    return code;
}

static enum clm_code from_json(const struct clm_json *root, struct ledger *out, struct clm_err *err)
{
    const char *target = NULL;
    int64_t retain = CLM_STORE_RETAIN_MIN;
    int64_t version = 0;
    enum clm_code code = clm_json_int(root, "v", 1, 1, &version, err);

    if (code == CLM_OK) {
        code = clm_json_str(root, "target", sizeof(out->target) - 1, &target, err);
    }
    if (code == CLM_OK) {
        memcpy(out->target, target, strlen(target) + 1);
        code = clm_json_int(root, "next", 0, UINT32_MAX - 1, &out->next, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(root, "installed", NO_VERSION, UINT32_MAX - 1, &out->installed, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(root, "before", NO_VERSION, UINT32_MAX - 1, &out->before, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(root, "retain", 1, GENERATIONS_MAX, &retain, err);
    }
    out->list.retain = (uint32_t)retain;
    return code != CLM_OK ? code : read_list(root, out, err);
}

static enum clm_code load_path(const char *path, struct ledger *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    enum clm_code code = clm_store_read_json(path, &root, err);

    if (code == CLM_OK) {
        code = from_json(root, out, err);
        code = code == CLM_OK ? code : clm_err_wrap(err, code, "'%s'", path);
    }
    return code;
}

/* A target never heard of gives an empty ledger. */
static enum clm_code load(const struct clm_store *store, const char *target, struct ledger *out,
                          struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code;

    if (!clm_target_id_is_valid(target)) {
        return clm_err_set(err, CLM_E_INVAL, "not a target id");
    }
    *out = (struct ledger){.next = 1, .installed = NO_VERSION, .before = NO_VERSION};
    memcpy(out->target, target, strlen(target));
    target_path(store, target, "target.json", path);
    code = load_path(path, out, err);
    if (code == CLM_E_NOTFOUND) {
        return CLM_OK;
    }
    if (code == CLM_OK && strcmp(out->target, target) != 0) {
        code = clm_err_set(err, CLM_E_PARSE, "'%s' is of target '%s'", path, out->target);
    }
    return code;
}

/* ---- writing ---- */

static enum clm_code save(const struct clm_store *store, const struct ledger *ledger,
                          struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_STORE_META_MAX);
    struct clm_json *array;
    char path[PATH_MAX];
    enum clm_code code;

    clm_json_set_int(root, "v", 1);
    clm_json_set_str(root, "target", ledger->target);
    clm_json_set_int(root, "next", ledger->next);
    clm_json_set_int(root, "installed", ledger->installed);
    clm_json_set_int(root, "before", ledger->before);
    clm_json_set_int(root, "retain", ledger->list.retain);
    array = clm_json_set_array(root, "generations");
    for (size_t i = 0; i < ledger->list.n; i++) {
        const struct clm_generation *g = &ledger->list.v[i];
        struct clm_json *obj = clm_json_add_object(array);

        clm_json_set_int(obj, "version", g->version);
        clm_json_set_str(obj, "sha256", g->sha256);
        clm_json_set_str(obj, "origin",
                         g->origin == CLM_GENERATION_IMPORTED ? "imported" : "deployed");
        clm_json_set_int(obj, "at", g->at_s);
    }
    code = clm_json_print(root, true, &text, err);
    if (code == CLM_OK) {
        target_path(store, ledger->target, NULL, path);
        code = clm_fs_mkdir(path, 0700, err);
    }
    target_path(store, ledger->target, "target.json", path);
    return code != CLM_OK ? code : clm_fs_replace(path, text.data, text.len, 0600, err);
}

static struct clm_generation *find_sha256(const struct ledger *ledger, const char *sha256)
{
    for (size_t i = ledger->list.n; i > 0; i--) {
        if (strcmp(ledger->list.v[i - 1].sha256, sha256) == 0) {
            return &ledger->list.v[i - 1];
        }
    }
    return NULL;
}

static struct clm_generation *append(struct ledger *ledger)
{
    struct clm_generation *v =
        realloc(ledger->list.v, (ledger->list.n + 1) * sizeof(*ledger->list.v));

    if (v == NULL) {
        return NULL;
    }
    ledger->list.v = v;
    memset(&v[ledger->list.n], 0, sizeof(*v));
    return &v[ledger->list.n++];
}

static void install(struct ledger *ledger, uint32_t version)
{
    if (ledger->installed != (int64_t)version) {
        ledger->before = ledger->installed;
        ledger->installed = version;
    }
}

/* Index of the oldest generation that may go; n if none may. */
static size_t find_surplus(const struct ledger *ledger)
{
    const struct clm_generations *list = &ledger->list;
    size_t i = list->n <= list->retain ? list->n : 0;

    while (i < list->n && ((int64_t)list->v[i].version == ledger->installed ||
                           (int64_t)list->v[i].version == ledger->before)) {
        i++;
    }
    return i;
}

static enum clm_code prune(struct ledger *ledger, struct clm_strs *out_dropped, struct clm_err *err)
{
    for (size_t i = find_surplus(ledger); i < ledger->list.n; i = find_surplus(ledger)) {
        enum clm_code code = clm_strs_add_once(out_dropped, ledger->list.v[i].sha256, err);

        if (code != CLM_OK) {
            return code;
        }
        memmove(&ledger->list.v[i], &ledger->list.v[i + 1],
                (ledger->list.n - i - 1) * sizeof(*ledger->list.v));
        ledger->list.n--;
    }
    return CLM_OK;
}

/* ---- who still has a bundle ---- */

struct owner_search {
    const struct clm_store *store;
    const char *sha256;
    bool is_found;
    struct clm_strs *ids; /* or: collects the targets' ids */
};

static enum clm_code visit_target(void *arg, const char *name, struct clm_err *err)
{
    CLM_CLEANUP(ledger_done) struct ledger ledger = {0};
    struct owner_search *search = arg;
    char path[PATH_MAX];
    enum clm_code code;

    if (!clm_store_sha256_is_valid(name)) {
        return CLM_OK; /* nothing of ours */
    }
    clm_store_path(search->store, "targets", name, "target.json", path);
    code = load_path(path, &ledger, err);
    if (code != CLM_OK) { /* NOTFOUND: we died before it was written */
        return code == CLM_E_NOTFOUND ? CLM_OK : code;
    }
    if (search->ids != NULL) {
        return ledger.list.n > 0 ? clm_strs_add(search->ids, ledger.target, err) : CLM_OK;
    }
    if (find_sha256(&ledger, search->sha256) != NULL) {
        search->is_found = true;
    }
    return CLM_OK;
}

static enum clm_code visit_targets(struct owner_search *search, struct clm_err *err)
{
    char path[PATH_MAX];

    clm_store_path(search->store, "targets", NULL, NULL, path);
    return clm_fs_list(path, visit_target, search, err);
}

static enum clm_code drop_bundles(const struct clm_store *store, const struct clm_strs *dropped,
                                  struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < dropped->n; i++) {
        struct owner_search search = {.store = store, .sha256 = dropped->v[i]};

        code = visit_targets(&search, err);
        if (code == CLM_OK && !search.is_found) {
            code = clm_store_withdraw(store, "bundles", dropped->v[i], err);
        }
    }
    return code;
}

/* ---- public ---- */

enum clm_code clm_store_generation_add(struct clm_store *store, const char *target,
                                       const char *sha256, uint32_t retain, int64_t now_s,
                                       struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = NULL;
    CLM_CLEANUP(ledger_done) struct ledger ledger = {0};
    CLM_CLEANUP(clm_strs_done) struct clm_strs dropped = {0};
    struct clm_generation *g;
    enum clm_code code = clm_store_bundle_read(store, sha256, &meta, err);

    if (code == CLM_OK) {
        code = load(store, target, &ledger, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    g = find_sha256(&ledger, sha256);
    if (g == NULL) {
        g = append(&ledger);
        if (g == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "generations");
        }
        g->version = (uint32_t)ledger.next++;
        g->origin = CLM_GENERATION_DEPLOYED;
        memcpy(g->sha256, sha256, sizeof(g->sha256));
    }
    g->at_s = now_s;
    install(&ledger, g->version);
    ledger.list.retain = retain < CLM_STORE_RETAIN_MIN ? CLM_STORE_RETAIN_MIN : retain;
    if (ledger.list.retain > GENERATIONS_MAX) {
        ledger.list.retain = GENERATIONS_MAX;
    }
    code = prune(&ledger, &dropped, err);
    if (code == CLM_OK) {
        code = save(store, &ledger, err);
    }
    return code != CLM_OK ? code : drop_bundles(store, &dropped, err);
}

enum clm_code clm_store_generation_import(struct clm_store *store, const char *target,
                                          const char *sha256, int64_t now_s, struct clm_err *err)
{
    CLM_CLEANUP(ledger_done) struct ledger ledger = {0};
    struct clm_generation *g;
    enum clm_code code = load(store, target, &ledger, err);

    if (code != CLM_OK) {
        return code;
    }
    assert(ledger.list.n == 0);
    g = append(&ledger);
    if (g == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "generations");
    }
    g->origin = CLM_GENERATION_IMPORTED;
    g->at_s = now_s;
    memcpy(g->sha256, sha256, sizeof(g->sha256));
    install(&ledger, 0);
    ledger.list.retain = CLM_STORE_RETAIN_MIN;
    return save(store, &ledger, err);
}

enum clm_code clm_store_generation_list(struct clm_store *store, const char *target,
                                        struct clm_generations *out, struct clm_err *err)
{
    CLM_CLEANUP(ledger_done) struct ledger ledger = {0};
    enum clm_code code = load(store, target, &ledger, err);

    if (code == CLM_OK) {
        *out = ledger.list;
        ledger.list = (struct clm_generations){0};
    }
    return code;
}

static enum clm_code find_version(const struct ledger *ledger, int64_t version,
                                  struct clm_generation *out, struct clm_err *err)
{
    for (size_t i = 0; i < ledger->list.n; i++) {
        if ((int64_t)ledger->list.v[i].version == version) {
            *out = ledger->list.v[i];
            return CLM_OK;
        }
    }
    if (version == NO_VERSION) {
        return clm_err_set(err, CLM_E_NOTFOUND, "target '%s' has no such version", ledger->target);
    }
    return clm_err_set(err, CLM_E_NOTFOUND, "target '%s' has no version %lld", ledger->target,
                       (long long)version);
}

enum clm_code clm_store_generation_current(struct clm_store *store, const char *target,
                                           struct clm_generation *out, struct clm_err *err)
{
    CLM_CLEANUP(ledger_done) struct ledger ledger = {0};
    enum clm_code code = load(store, target, &ledger, err);

    return code != CLM_OK ? code : find_version(&ledger, ledger.installed, out, err);
}

enum clm_code clm_store_generation_find(struct clm_store *store, const char *target,
                                        uint32_t version, struct clm_generation *out,
                                        struct clm_err *err)
{
    CLM_CLEANUP(ledger_done) struct ledger ledger = {0};
    enum clm_code code = load(store, target, &ledger, err);

    if (code != CLM_OK) {
        return code;
    }
    return find_version(&ledger, version == CLM_GENERATION_BEFORE ? ledger.before : version, out,
                        err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum clm_code clm_store_target_list(struct clm_store *store, struct clm_strs *out_ids,
                                    struct clm_err *err)
{
    struct owner_search search = {.store = store, .ids = out_ids};
    enum clm_code code = visit_targets(&search, err);

    if (code == CLM_OK && out_ids->n > 1) {
        qsort(out_ids->v, out_ids->n, sizeof(*out_ids->v), by_text);
    }
    return code;
}
