/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the transaction does to the targets' directories: stage, swap, undo, sweep. Everything is
 * relative to a directory descriptor, and every name it creates or removes stands in the record.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/crypto/hash.h"
#include "agent/job/txn_int.h"

/* Without one its directory is gone, or something else has its place: clm_txn_preflight() and
 * clm_txn_is_all_new() open all others. */
static bool has_place(const struct clm_txn_file *file)
{
    return file->place.dir_fd >= 0;
}

static enum clm_code open_place(struct clm_txn_file *file, struct clm_err *err)
{
    return clm_fsat_open_real(file->dir, file->name, &file->place, err);
}

static enum clm_code sync_place(const struct clm_txn_file *file, struct clm_err *err)
{
    return clm_fsat_sync(file->place.dir_fd, file->dir, err);
}

/* ---- looking ---- */

/* What the entry holds. A symlink, a directory, a huge file are somebody else's: FOREIGN. */
static enum clm_code see(const struct clm_txn_file *file, const char *name, enum clm_seen *out,
                         struct clm_fsat_stat *out_stat, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
    char sha256[CLM_SHA256_HEX_SIZE];
    enum clm_code code =
        clm_fsat_read(file->place.dir_fd, name, CLM_TXN_FILE_MAX, &data, out_stat, err);

    if (code == CLM_E_NOTFOUND) {
        *out = CLM_SEEN_MISSING;
        return CLM_OK;
    }
    if (code == CLM_E_CONFLICT || code == CLM_E_LIMIT) {
        *out = CLM_SEEN_FOREIGN;
        return CLM_OK;
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_sha256_hex(data.data, data.len, sha256);
    if (strcmp(sha256, file->new_version.sha256) == 0) {
        *out = CLM_SEEN_NEW;
    } else if (!file->old_absent && strcmp(sha256, file->old_version.sha256) == 0) {
        *out = CLM_SEEN_OLD;
    } else {
        *out = CLM_SEEN_FOREIGN;
    }
    return CLM_OK;
}

static enum clm_code see_target(const struct clm_txn_file *file, enum clm_seen *out,
                                struct clm_err *err)
{
    enum clm_code code = see(file, file->name, out, NULL, err);

    if (code == CLM_OK && file->old_absent && *out == CLM_SEEN_MISSING) {
        *out = CLM_SEEN_OLD;
    }
    return code;
}

/* No such directory, or a symlink or a file instead of it, or of one above it. */
static bool is_gone(enum clm_code code, const struct clm_err *err)
{
    return code == CLM_E_NOTFOUND || code == CLM_E_CONFLICT ||
           (code == CLM_E_IO && err->sys_errno == ENOTDIR);
}

enum clm_code clm_txn_is_all_new(struct clm_txn *t, bool *out_all_new, struct clm_err *err)
{
    *out_all_new = t->rec.n_files > 0;
    for (size_t i = 0; i < t->rec.n_files; i++) {
        struct clm_txn_file *file = &t->rec.files[i];
        enum clm_seen seen = CLM_SEEN_MISSING;
        enum clm_code code = open_place(file, err);

        if (is_gone(code, err)) {
            code = CLM_OK;
        } else if (code == CLM_OK) {
            code = see_target(file, &seen, err);
        }
        if (code != CLM_OK) {
            return code;
        }
        *out_all_new = *out_all_new && seen == CLM_SEEN_NEW;
    }
    return CLM_OK;
}

/* ---- stage ---- */

static enum clm_code stage_one(struct clm_txn_file *file, struct clm_err *err)
{
    const struct clm_fsat_new spec = {
        .name = file->temp,
        .data = file->data.data,
        .len = file->data.len,
        .uid = file->new_version.uid,
        .gid = file->new_version.gid,
        .mode = file->new_version.mode,
        .like = file->old_absent ? NULL : file->name,
    };
    enum clm_code code = clm_fsat_create(file->place.dir_fd, &spec, err);

    if (code == CLM_OK) {
        code = sync_place(file, err);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "in '%s'", file->dir);
}

enum clm_code clm_txn_stage(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < t->rec.n_files; i++) {
        code = stage_one(&t->rec.files[i], err);
    }
    return code;
}

/* ---- swap ---- */

static enum clm_code foreign(const struct clm_txn_file *file, struct clm_err *err)
{
    return clm_err_set(err, CLM_E_CONFLICT,
                       "'%s/%s' was changed by someone else meanwhile; the change is kept",
                       file->dir, file->name);
}

/* Is this entry the old version, owner and mode included, as it was when it was read? */
static enum clm_code is_untouched(const struct clm_txn_file *file, const char *name, bool *out,
                                  struct clm_err *err)
{
    struct clm_fsat_stat st = {0};
    enum clm_seen seen = CLM_SEEN_MISSING;
    enum clm_code code = see(file, name, &seen, &st, err);

    *out = code == CLM_OK && seen == CLM_SEEN_OLD && st.mode == file->old_version.mode &&
           st.uid == file->old_version.uid && st.gid == file->old_version.gid;
    return code;
}

/* Where the file system cannot exchange: look, then replace. An edit in between is lost. */
static enum clm_code swap_by_rename(struct clm_txn_file *file, struct clm_err *err)
{
    bool is_same = false;
    enum clm_code code = is_untouched(file, file->name, &is_same, err);

    if (code != CLM_OK) {
        return code;
    }
    if (!is_same) {
        return foreign(file, err);
    }
    return clm_fsat_rename(file->place.dir_fd, file->temp, file->name, err);
}

static enum clm_code swap_existing(struct clm_txn_file *file, struct clm_err *err)
{
    int fd = file->place.dir_fd;
    bool is_same = false;
    enum clm_code code = clm_fsat_exchange(fd, file->temp, file->name, err);

    if (code == CLM_E_UNSUPPORTED) {
        return swap_by_rename(file, err);
    }
    if (code == CLM_E_NOTFOUND) {
        return foreign(file, err);
    }
    if (code == CLM_OK) {
        code = is_untouched(file, file->temp, &is_same, err);
    }
    if (code == CLM_OK && !is_same) { /* what came out is not what was read */
        code = clm_fsat_exchange(fd, file->temp, file->name, err);
        return code != CLM_OK ? code : foreign(file, err);
    }
    return code;
}

static enum clm_code swap_one(struct clm_txn_file *file, struct clm_err *err)
{
    enum clm_code code;

    if (file->old_absent) {
        code = clm_fsat_rename_new(file->place.dir_fd, file->temp, file->name, err);
        if (code == CLM_E_EXISTS) {
            code = foreign(file, err);
        }
    } else {
        code = swap_existing(file, err);
    }
    return code != CLM_OK ? code : sync_place(file, err);
}

enum clm_code clm_txn_swap(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < t->rec.n_files; i++) {
        code = swap_one(&t->rec.files[i], err);
    }
    return code;
}

/* ---- undo ---- */

/* What came out from under the target's name is no file of ours, and could not go back there. */
static enum clm_code kept_aside(const struct clm_txn_file *file, const char *name,
                                struct clm_err *err)
{
    return clm_err_set(err, CLM_E_CONFLICT,
                       "'%s/%s' was changed by someone else meanwhile; the change is in '%s' "
                       "beside it",
                       file->dir, file->name, name);
}

/* Exchanged back; what comes out must be ours, else somebody edited it in this instant. */
static enum clm_code exchange_back(const struct clm_txn_file *file, const char *with,
                                   struct clm_err *err)
{
    int fd = file->place.dir_fd;
    enum clm_seen out_came = CLM_SEEN_MISSING;
    enum clm_code code = clm_fsat_exchange(fd, with, file->name, err);

    if (code == CLM_OK) {
        code = see(file, with, &out_came, NULL, err);
    }
    if (code == CLM_OK && out_came != CLM_SEEN_NEW) { /* not UNSUPPORTED, whatever it says now */
        code = clm_fsat_exchange(fd, with, file->name, err);
        return code != CLM_OK ? kept_aside(file, with, err) : foreign(file, err);
    }
    return code;
}

static enum clm_code put_over(const struct clm_txn_file *file, struct clm_err *err)
{
    enum clm_seen now = CLM_SEEN_MISSING;
    enum clm_code code = exchange_back(file, file->back, err);

    if (code != CLM_E_UNSUPPORTED) {
        return code;
    }
    code = see(file, file->name, &now, NULL, err);
    if (code == CLM_OK && now != CLM_SEEN_NEW) {
        return foreign(file, err);
    }
    return code != CLM_OK ? code : clm_fsat_rename(file->place.dir_fd, file->back, file->name, err);
}

static enum clm_code restore_copy(const struct clm_txn *t, size_t i, bool is_missing,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
    const struct clm_txn_file *file = &t->rec.files[i];
    struct clm_fsat_new spec = {
        .name = file->back,
        .uid = file->old_version.uid,
        .gid = file->old_version.gid,
        .mode = file->old_version.mode,
        .like = is_missing ? NULL : file->name,
    };
    enum clm_code code = clm_txn_journal_copy(t, i, &data, err);

    if (code == CLM_OK) { /* half of one may lie there from a recovery that died */
        code = clm_fsat_unlink(file->place.dir_fd, file->back, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    spec.data = data.data;
    spec.len = data.len;
    code = clm_fsat_create(file->place.dir_fd, &spec, err);
    if (code != CLM_OK) {
        return code;
    }
    return is_missing ? clm_fsat_rename_new(file->place.dir_fd, file->back, file->name, err)
                      : put_over(file, err);
}

/* There was none before. Moved aside first, so that only what is ours for certain is deleted. */
static enum clm_code remove_new(const struct clm_txn_file *file, struct clm_err *err)
{
    int fd = file->place.dir_fd;
    enum clm_seen seen = CLM_SEEN_MISSING;
    enum clm_code code = clm_fsat_rename(fd, file->name, file->back, err);

    if (code == CLM_OK) {
        code = see(file, file->back, &seen, NULL, err);
    }
    if (code == CLM_OK && seen != CLM_SEEN_NEW) {
        code = clm_fsat_rename_new(fd, file->back, file->name, err);
        return code != CLM_OK ? kept_aside(file, file->back, err) : foreign(file, err);
    }
    return code;
}

static enum clm_code undo_one(const struct clm_txn *t, size_t i, enum clm_undo undo,
                              struct clm_err *err)
{
    const struct clm_txn_file *file = &t->rec.files[i];
    enum clm_seen seen = CLM_SEEN_NEW;
    enum clm_code code = CLM_OK;

    switch (undo) {
    case CLM_UNDO_KEEP:
    case CLM_UNDO_LEAVE:
    case CLM_UNDO_STOP: /* not after decide() */
        return CLM_OK;
    case CLM_UNDO_EXCHANGE:
        code = exchange_back(file, file->temp, err);
        if (code == CLM_E_UNSUPPORTED) {
            code = restore_copy(t, i, false, err);
        }
        break;
    case CLM_UNDO_PUT_BACK:
        code = clm_fsat_rename_new(file->place.dir_fd, file->temp, file->name, err);
        break;
    case CLM_UNDO_COPY:
        code = see(file, file->name, &seen, NULL, err);
        if (code == CLM_OK) {
            code = restore_copy(t, i, seen == CLM_SEEN_MISSING, err);
        }
        break;
    case CLM_UNDO_REMOVE:
        code = remove_new(file, err);
        break;
    }
    return code != CLM_OK ? code : sync_place(file, err);
}

/* What to do with one target, and whether it can be done, before anything is touched. */
static enum clm_code decide(struct clm_txn *t, size_t i, enum clm_undo *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf copy = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
    struct clm_txn_file *file = &t->rec.files[i];
    const char *beside = file->temp;
    enum clm_seen target = CLM_SEEN_MISSING;
    enum clm_seen temp = CLM_SEEN_MISSING;
    enum clm_code code;

    if (!has_place(file)) {
        return clm_err_set(err, CLM_E_CONFLICT,
                           "directory '%s' is gone, or something else has its place", file->dir);
    }
    code = see_target(file, &target, err);
    if (code == CLM_OK) {
        code = see(file, beside, &temp, NULL, err);
    }
    if (code == CLM_OK && target == CLM_SEEN_OLD && temp != CLM_SEEN_FOREIGN) {
        beside = file->back; /* what an undo that was cut short took away may be there as well */
        code = see(file, beside, &temp, NULL, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    *out = clm_txn_undo_rule(file->old_absent, target, temp);
    if (*out == CLM_UNDO_STOP && target == CLM_SEEN_OLD) {
        return kept_aside(file, beside, err);
    }
    if (*out == CLM_UNDO_STOP) {
        return clm_err_set(err, CLM_E_CONFLICT,
                           "'%s/%s' was changed by someone else after the new certificate was put "
                           "there; check that its files belong together",
                           file->dir, file->name);
    }
    return *out == CLM_UNDO_COPY ? clm_txn_journal_copy(t, i, &copy, err) : CLM_OK;
}

static enum clm_code sweep_one(struct clm_txn_file *file, struct clm_err *err)
{
    enum clm_seen temp = CLM_SEEN_MISSING;
    enum clm_seen back = CLM_SEEN_MISSING;
    enum clm_code code;

    if (!has_place(file)) {
        return CLM_OK; /* and what was ours in it */
    }
    code = see(file, file->temp, &temp, NULL, err);
    if (code == CLM_OK) {
        code = see(file, file->back, &back, NULL, err);
    }
    if (code != CLM_OK || (temp == CLM_SEEN_MISSING && back == CLM_SEEN_MISSING)) {
        return code;
    }
    code = clm_fsat_unlink(file->place.dir_fd, file->temp, err);
    if (code == CLM_OK) {
        code = clm_fsat_unlink(file->place.dir_fd, file->back, err);
    }
    return code != CLM_OK ? code : sync_place(file, err);
}

enum clm_code clm_txn_sweep(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code first = CLM_OK;

    for (size_t i = 0; i < t->rec.n_files; i++) { /* all of them, whatever one says */
        enum clm_code code = sweep_one(&t->rec.files[i], first == CLM_OK ? err : NULL);

        first = first != CLM_OK ? first : code;
    }
    return first;
}

enum clm_code clm_txn_undo(struct clm_txn *t, struct clm_err *err)
{
    enum clm_undo undo[CLM_TXN_FILES_MAX] = {CLM_UNDO_KEEP};
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < t->rec.n_files; i++) {
        code = decide(t, i, &undo[i], err);
    }
    for (size_t i = t->rec.n_files; code == CLM_OK && i > 0; i--) {
        code = undo_one(t, i - 1, undo[i - 1], err);
    }
    return code != CLM_OK ? code : clm_txn_sweep(t, err);
}
