/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/crypto/hash.h"
#include "agent/job/txn_int.h"

#define PREP       "txn.prep"
#define LIVE       "txn"
#define DONE       "txn.done"
#define QUARANTINE "quarantine"
#define NAMES_MAX  1000 /* journals; there is one, unless disks fail */
/* Bytes of a state directory's path: whatever lies in a journal can be named. A directory is listed
 * with names of up to NAME_MAX bytes. */
#define DIR_MAX (PATH_MAX - 2 * NAME_MAX)

static enum clm_code check_dir(const char *dir, struct clm_err *err)
{
    return strlen(dir) <= DIR_MAX
               ? CLM_OK
               : clm_err_set(err, CLM_E_LIMIT, "the state directory's path is longer than %d bytes",
                             DIR_MAX);
}

/* dst: PATH_MAX bytes. dir has passed check_dir(), or is a journal in one that has. */
static void below(const char *dir, const char *name, char *dst)
{
    int len = snprintf(dst, PATH_MAX, "%s/%s", dir, name);

    assert(len > 0 && len < PATH_MAX);
}

enum clm_code clm_txn_show_endpoints(struct clm_txn *t, struct clm_err *err)
{
    struct clm_txn_outcome *out = t->out;

    if (t->rec.n_endpoints == 0) {
        return CLM_OK;
    }
    free(out->endpoints);
    out->n_endpoints = 0;
    out->endpoints = calloc(t->rec.n_endpoints, sizeof(*out->endpoints));
    if (out->endpoints == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "endpoints");
    }
    memcpy(out->endpoints, t->rec.endpoints, t->rec.n_endpoints * sizeof(*out->endpoints));
    out->n_endpoints = t->rec.n_endpoints;
    return CLM_OK;
}

enum clm_code clm_txn_journal_tidy(const char *dir, struct clm_err *err)
{
    static const char *const swept[] = {PREP, DONE};
    static const char *const kept[] = {LIVE, QUARANTINE};
    char path[PATH_MAX];
    enum clm_code code = check_dir(dir, err);

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(swept); i++) {
        below(dir, swept[i], path);
        code = clm_fs_remove_dir(path, err);
    }
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(kept); i++) {
        below(dir, kept[i], path);
        code = clm_fs_mkdir(path, 0700, err);
    }
    return code;
}

/* ---- publishing ---- */

static void copy_path(const char *journal, size_t i, char *dst)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "old.%zu", i);
    below(journal, name, dst);
}

static enum clm_code read_copy(const char *journal, size_t i, const struct clm_txn_file *file,
                               struct clm_buf *out, struct clm_err *err)
{
    char path[PATH_MAX];
    char sha256[CLM_SHA256_HEX_SIZE];
    enum clm_code code;

    copy_path(journal, i, path);
    code = clm_fs_read(path, CLM_TXN_FILE_MAX, out, err);
    if (code == CLM_E_NOTFOUND || code == CLM_E_LIMIT) {
        return clm_err_set(err, CLM_E_CONFLICT, "the copy of '%s/%s' is lost", file->dir,
                           file->name);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_sha256_hex(out->data, out->len, sha256);
    if (strcmp(sha256, file->old_version.sha256) != 0) {
        return clm_err_set(err, CLM_E_CONFLICT, "the copy of '%s/%s' is damaged", file->dir,
                           file->name);
    }
    return CLM_OK;
}

/* A copy that cannot be read back is found out while nothing has changed yet. */
static enum clm_code write_copy(const char *journal, size_t i, const struct clm_txn_file *file,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf again = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
    char path[PATH_MAX];
    enum clm_code code;

    if (file->old_absent) {
        return CLM_OK;
    }
    copy_path(journal, i, path);
    code = clm_fs_create(path, file->old_data.data, file->old_data.len, 0600, err);
    return code != CLM_OK ? code : read_copy(journal, i, file, &again, err);
}

static enum clm_code write_record(const struct clm_txn *t, const char *journal, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf text = CLM_BUF_INIT(CLM_TXN_RECORD_MAX + 64);
    CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record again = {0};
    char path[PATH_MAX];
    enum clm_code code = clm_txn_record_encode(&t->rec, &text, err);

    if (code == CLM_OK) {
        /* What recovery could not read must not be started. */
        code = clm_txn_record_decode((const char *)text.data, text.len, &again, err);
        if (code == CLM_E_PARSE) {
            (void)clm_err_wrap(err, code, "the plan cannot be journaled");
        }
    }
    below(journal, "plan", path);
    return code != CLM_OK ? code : clm_fs_create(path, text.data, text.len, 0600, err);
}

static enum clm_code fill_prep(struct clm_txn *t, const char *prep, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    char path[PATH_MAX];
    enum clm_code code = clm_fs_mkdir(prep, 0700, err);

    for (size_t i = 0; code == CLM_OK && i < t->rec.n_files; i++) {
        code = write_copy(prep, i, &t->rec.files[i], err);
    }
    if (code == CLM_OK) {
        code = write_record(t, prep, err);
    }
    if (code == CLM_OK) {
        below(prep, "log", path);
        code = clm_txn_log_create(path, t->rec.txid, io->now_s(io->ctx) * 1000, err);
    }
    return code != CLM_OK ? code : clm_fs_sync_dir(prep, err);
}

static enum clm_code open_log(struct clm_txn *t, struct clm_err *err)
{
    char path[PATH_MAX];

    below(t->journal, "log", path);
    return clm_txn_log_open(path, t->rec.txid, &t->log, err);
}

enum clm_code clm_txn_journal_publish(struct clm_txn *t, struct clm_err *err)
{
    char dir[PATH_MAX];
    char prep[PATH_MAX];
    char live[PATH_MAX];
    enum clm_code code = clm_txn_journal_tidy(t->env->dir, err);

    if (code != CLM_OK) {
        return code;
    }
    below(t->env->dir, PREP, prep);
    below(t->env->dir, LIVE, dir);
    below(dir, t->rec.txid, live);
    code = fill_prep(t, prep, err);
    if (code == CLM_OK) {
        code = clm_fs_rename(prep, live, err);
    }
    if (code == CLM_OK || clm_fs_exists(live)) { /* renamed; if not flushed, there to be retired */
        memcpy(t->journal, live, sizeof(live));
        return code != CLM_OK ? code : open_log(t, err);
    }
    clm_ignore(clm_fs_remove_dir(prep, NULL)); /* else the next recovery removes it */
    return code;
}

/* ---- reading ---- */

enum clm_code clm_txn_journal_load(struct clm_txn *t, const char *name, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf text = CLM_BUF_INIT(CLM_TXN_RECORD_MAX + 64);
    char path[PATH_MAX];
    enum clm_code code;

    below(t->env->dir, LIVE, path);
    below(path, name, t->journal);
    below(t->journal, "plan", path);
    code = clm_fs_read(path, CLM_TXN_RECORD_MAX + 64, &text, err);
    if (code == CLM_OK) {
        code = clm_txn_record_decode(clm_buf_str(&text), text.len, &t->rec, err);
    }
    if (code == CLM_OK && strcmp(t->rec.txid, name) != 0) {
        code = clm_err_set(err, CLM_E_PARSE, "the plan is of transaction '%s'", t->rec.txid);
    }
    if (code == CLM_OK) {
        code = open_log(t, err);
    }
    if (code == CLM_E_NOTFOUND || code == CLM_E_LIMIT || code == CLM_E_INVAL) {
        code = CLM_E_PARSE; /* a missing or foreign part is damage, not "nothing to do" */
    }
    return code;
}

enum clm_code clm_txn_journal_copy(const struct clm_txn *t, size_t i, struct clm_buf *out,
                                   struct clm_err *err)
{
    return read_copy(t->journal, i, &t->rec.files[i], out, err);
}

static enum clm_code add_name(void *arg, const char *name, struct clm_err *err)
{
    struct clm_strs *names = arg;

    return names->n >= NAMES_MAX ? CLM_OK : clm_strs_add(names, name, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum clm_code clm_txn_journal_names(const char *dir, struct clm_strs *out, struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = check_dir(dir, err);

    if (code == CLM_OK) {
        below(dir, LIVE, path);
        code = clm_fs_list(path, add_name, out, err);
    }
    if (code == CLM_OK && out->n > 1) {
        qsort(out->v, out->n, sizeof(*out->v), by_name); /* ULIDs begin with the time */
    }
    return code;
}

static bool shares_file(const struct clm_txn_record *a, const struct clm_txn_record *b)
{
    for (size_t i = 0; i < a->n_files; i++) {
        for (size_t k = 0; k < b->n_files; k++) {
            if (strcmp(a->files[i].dir, b->files[k].dir) == 0 &&
                strcmp(a->files[i].name, b->files[k].name) == 0) {
                return true;
            }
        }
    }
    return false;
}

enum clm_code clm_txn_journal_is_free(struct clm_txn *t, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    enum clm_code code = clm_txn_journal_names(t->env->dir, &names, err);

    for (size_t i = 0; code == CLM_OK && i < names.n; i++) {
        CLM_CLEANUP(clm_txn_done) struct clm_txn other = {.env = t->env, .log = CLM_TXN_LOG_INIT};

        code = clm_txn_journal_load(&other, names.v[i], err);
        if (code == CLM_E_NOMEM) {
            return code;
        }
        if (code != CLM_OK) {
            return clm_err_set(err, CLM_E_CONFLICT,
                               "journal '%s' of an earlier deployment cannot be read; run: clmbot "
                               "recover",
                               names.v[i]);
        }
        if (strcmp(other.rec.plan.target, t->rec.plan.target) == 0 ||
            shares_file(&other.rec, &t->rec)) {
            return clm_err_set(err, CLM_E_CONFLICT,
                               "an earlier deployment to '%s' is not finished (%s); run: clmbot "
                               "recover",
                               other.rec.plan.target, names.v[i]);
        }
    }
    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

/* ---- ending ---- */

enum clm_code clm_txn_journal_retire(struct clm_txn *t, struct clm_err *err)
{
    char done[PATH_MAX];
    enum clm_code code;

    clm_txn_log_close(&t->log);
    below(t->env->dir, DONE, done);
    code = clm_fs_remove_dir(done, err);
    if (code == CLM_OK) {
        code = clm_fs_rename(t->journal, done, err);
        /* Moved, perhaps not for good: should it be there again, recovery does the same again. */
        if (!clm_fs_exists(t->journal)) {
            t->journal[0] = '\0';
        }
    }
    return code != CLM_OK ? code : clm_fs_remove_dir(done, err);
}

enum clm_code clm_txn_journal_quarantine(struct clm_txn *t, struct clm_err *err)
{
    char dir[PATH_MAX];
    char path[PATH_MAX];
    const char *name = strrchr(t->journal, '/');
    enum clm_code code;

    assert(name != NULL); /* it was published, or loaded */
    clm_txn_log_close(&t->log);
    below(t->env->dir, QUARANTINE, dir);
    below(dir, name + 1, path);
    code = clm_fs_rename(t->journal, path, err);
    /* Moved, perhaps not for good: should it be there again, recovery calls the human again. */
    return clm_fs_exists(t->journal) ? code : CLM_OK;
}
