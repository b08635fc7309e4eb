/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what must hold of the host once recovery ran to its end. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/faults/subject/host.h"
#include "tests/support/scene_int.h"

/* One violation; always false. */
static bool CLM_PRINTF(1, 2) wrong(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    (void)putchar('\n');
    return false;
}

/* ---- I1, I2: the files ---- */

static bool has_attributes(const char *path, uint32_t mode, const char *like)
{
    uint8_t value[SUBJECT_ACL_SIZE + 1];
    bool is_good = true;

    if (getxattr(like, SUBJECT_XATTR, value, sizeof(value)) == 4 &&
        getxattr(path, SUBJECT_XATTR, value, sizeof(value)) != 4) {
        is_good = wrong("I2: '%s' has lost %s", path, SUBJECT_XATTR);
    }
    if (mode == SUBJECT_ACL_MODE &&
        getxattr(like, SUBJECT_ACL, value, sizeof(value)) == SUBJECT_ACL_SIZE &&
        (getxattr(path, SUBJECT_ACL, value, sizeof(value)) != SUBJECT_ACL_SIZE ||
         memcmp(value, subject_acl, SUBJECT_ACL_SIZE) != 0)) {
        is_good = wrong("I2: '%s' has lost its ACL, or has another", path);
    }
    return is_good;
}

/* An inherited one would open a key to others. */
static bool has_no_acl(const char *path)
{
    return getxattr(path, SUBJECT_ACL, NULL, 0) <= 0 || wrong("I2: '%s' has an ACL now", path);
}

static bool check_file(const struct subject *s, size_t i, char *out_is)
{
    const struct scene_file *file = &s->scene.files[i];
    char like[PATH_MAX];
    struct stat st;

    *out_is = scene_file_is(file);
    if (*out_is == '?') {
        return wrong("I2: '%s' is neither the old nor the new version", file->path);
    }
    if (lstat(file->path, &st) != 0) {
        return true; /* absent before: the oracle of the scene has looked */
    }
    if (st.st_gid != subject_gid(s, i)) {
        return wrong("I2: '%s' has group %u", file->path, (unsigned)st.st_gid);
    }
    if (i != 0 && !has_no_acl(file->path)) {
        return false;
    }
    scene_below(like, s->scene.etc, "unrelated.conf");
    return i != 0 || s->scenario->kind == SCENE_FIRST ||
           has_attributes(file->path, file->mode, like);
}

static bool check_files(const struct subject *s, char *out_state)
{
    bool is_good = true;

    *out_state = '=';
    for (size_t i = 0; i < s->scene.n_files; i++) {
        char is = '?';

        is_good = check_file(s, i, &is) && is_good;
        if (is != '=' && *out_state != '=' && is != *out_state) {
            is_good =
                wrong("I1: '%s' is %c, others are %c", s->scene.files[i].path, is, *out_state);
        }
        *out_state = is != '=' ? is : *out_state;
    }
    return is_good;
}

/* ---- I4, I10: what else is there ---- */

static bool is_file_of(const struct subject *s, const char *path, char state)
{
    for (size_t i = 0; i < s->scene.n_files; i++) {
        const struct scene_file *file = &s->scene.files[i];

        if (strcmp(path, file->path) == 0) {
            return state == 'N' || file->old_data.len > 0;
        }
        if (strcmp(path, file->configured) == 0) {
            return true; /* a link, looked at below */
        }
    }
    return false;
}

static bool check_unrelated(const char *path, const struct stat *st)
{
    struct clm_buf note = {
        .data = (uint8_t[]){SCENE_NOTE}, .len = sizeof(SCENE_NOTE) - 1, .cap = sizeof(SCENE_NOTE)};

    return (scene_holds(path, &note) && st->st_mode == (S_IFREG | 0644) &&
            st->st_mtime == SUBJECT_MTIME_S && has_attributes(path, 0644, path)) ||
           wrong("I10: '%s' was changed", path);
}

static bool check_link(const char *path, const char *name)
{
    char to[PATH_MAX] = "";
    char want[PATH_MAX];

    if (strcmp(name, "current") == 0) {
        (void)strcpy(want, "archive");
    } else {
        scene_below(want, "../current", name);
    }
    return (readlink(path, to, sizeof(to) - 1) > 0 && strcmp(to, want) == 0) ||
           wrong("I10: '%s' leads to '%s'", path, to);
}

static bool check_below(const struct subject *s, const char *dir, char state);

static bool check_entry(const struct subject *s, const char *dir, const char *name, char state)
{
    bool has_links = s->scenario->kind == SCENE_LINKED;
    char path[PATH_MAX];
    struct stat st;

    scene_below(path, dir, name);
    if (lstat(path, &st) != 0) {
        return wrong("I10: '%s' cannot be looked at", path);
    }
    if (strcmp(name, "unrelated.conf") == 0) {
        return check_unrelated(path, &st);
    }
    if (S_ISLNK(st.st_mode) && has_links) {
        return check_link(path, name);
    }
    if (S_ISDIR(st.st_mode) && has_links &&
        (strcmp(name, "live") == 0 || strcmp(name, "archive") == 0)) {
        return check_below(s, path, state);
    }
    return is_file_of(s, path, state) || wrong("I4: '%s' was left behind", path);
}

static bool check_below(const struct subject *s, const char *dir, char state)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    struct stat st;
    bool is_good = true;

    if (d == NULL || fstat(dirfd(d), &st) != 0 || st.st_mode != (S_IFDIR | 0755)) {
        is_good = wrong("I10: directory '%s' was changed", dir);
    }
    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            is_good = check_entry(s, dir, entry->d_name, state) && is_good;
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return is_good;
}

static bool check_state_dir(const struct subject *s)
{
    static const char *const must_be_empty[] = {"txn", "quarantine"};
    static const char *const must_be_gone[] = {"txn.prep", "txn.done"};
    char path[PATH_MAX];
    struct stat st;
    bool is_good = true;

    for (size_t i = 0; i < CLM_ARRAY_LEN(must_be_empty); i++) {
        if (scene_count(&s->scene, must_be_empty[i]) != 0) {
            is_good = wrong("I4: '%s/%s' is not empty", s->scene.state, must_be_empty[i]);
        }
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(must_be_gone); i++) {
        scene_below(path, s->scene.state, must_be_gone[i]);
        if (lstat(path, &st) == 0) {
            is_good = wrong("I4: '%s' is there", path);
        }
    }
    return is_good;
}

/* ---- I9: keys ---- */

#define SLICE 24 /* characters of Base64 from the middle of a key */

static bool holds_slice(const struct clm_buf *data, const struct clm_buf *key_pem)
{
    char slice[SLICE + 1];
    const char *body = strchr(clm_buf_str(key_pem), '\n');

    scene_must(body != NULL && strlen(body) > 70 + SLICE, "key");
    memcpy(slice, body + 70, SLICE); /* in the second line: the first is the same for all keys */
    slice[SLICE] = '\0';
    return strstr(clm_buf_str(data), slice) != NULL;
}

static bool check_key(const struct subject *s, const char *path)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(SCENE_FILE_LIMIT);
    struct stat st;

    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) == 0 ||
        clm_fs_read(path, SCENE_FILE_LIMIT, &data, NULL) != CLM_OK) {
        return true;
    }
    if (strstr(clm_buf_str(&data), "PRIVATE KEY") == NULL &&
        !holds_slice(&data, &s->certs.old_leaf.key_pem) &&
        !holds_slice(&data, &s->certs.new_leaf.key_pem)) {
        return true;
    }
    return wrong("I9: '%s' holds a private key and has mode %o", path,
                 (unsigned)st.st_mode & 07777);
}

static bool check_keys_below(const struct subject *s, const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    bool is_good = true;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        char path[PATH_MAX];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        scene_below(path, dir, entry->d_name);
        is_good =
            (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN ? check_keys_below(s, path)
                                                                    : true) &&
            is_good;
        is_good = check_key(s, path) && is_good;
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return is_good;
}

bool subject_keys_are_private(const struct subject *s)
{
    return check_keys_below(s, s->scene.root);
}

/* ---- I3, I5, I6, I8: what is served and what was said ---- */

static bool check_served(struct subject *s, char state, enum subject_end reported)
{
    struct fake_io *server = &s->scene.server;
    const char *want = state == 'N' ? s->certs.new_bundle.leaf.sha256 : server->first_sha256;
    char served[CLM_SHA256_HEX_SIZE];
    struct clm_err err = {0};

    fake_io_served(server, served);
    if (strcmp(served, want) != 0 && reported != SUBJECT_HUMAN) {
        return wrong("I8: the server does not serve what is installed");
    }
    if (s->scripted.unit_restart(server, "fake.service", 1000, &err) != CLM_OK) {
        return wrong("I3: the server would not start with these files: %s", err.msg);
    }
    return true;
}

static bool check_reported(const struct subject *s, char state, enum subject_end reported)
{
    if (s->scenario->story != SUBJECT_GOES_WELL && state != 'O') {
        return wrong("I6: nothing ever proved the new files, but they stay");
    }
    if (reported == SUBJECT_OK && state != 'N') {
        return wrong("I5: success was reported, but the files are old");
    }
    if ((reported == SUBJECT_FAILED || reported == SUBJECT_HUMAN) && state != 'O') {
        return wrong("I6: a failure was reported, but the files are new");
    }
    return true;
}

/* ---- I7: recovery once more ---- */

static void snapshot(const char *dir, struct clm_buf *out)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    struct stat st;
    struct clm_err err = {0};

    while (d != NULL && (entry = readdir(d)) != NULL) {
        char path[PATH_MAX];

        scene_below(path, dir, entry->d_name);
        if (strcmp(entry->d_name, "..") == 0 || lstat(path, &st) != 0) {
            continue;
        }
        scene_must_ok(clm_buf_addf(out, &err, "%s %o %lld %lld %lld.%09ld\n", path,
                                   (unsigned)st.st_mode, (long long)st.st_ino,
                                   (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                                   st.st_mtim.tv_nsec),
                      &err);
        if (S_ISDIR(st.st_mode) && strcmp(entry->d_name, ".") != 0) {
            snapshot(path, out);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

static bool check_again(struct subject *s)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes out = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf before = CLM_BUF_INIT(SCENE_FILE_LIMIT);
    CLM_CLEANUP(clm_buf_done) struct clm_buf after = CLM_BUF_INIT(SCENE_FILE_LIMIT);
    struct clm_err err = {0};

    snapshot(s->scene.etc, &before);
    if (clm_txn_recover(&s->scene.env, false, &out, &err) != CLM_OK) {
        return wrong("I7: another recovery fails: %s", err.msg);
    }
    snapshot(s->scene.etc, &after);
    if (out.n != 0) {
        return wrong("I7: another recovery found something to do: %s", out.v[0].err.msg);
    }
    return strcmp(clm_buf_str(&before), clm_buf_str(&after)) == 0 ||
           wrong("I7: another recovery changed something");
}

bool subject_files(const struct subject *s)
{
    bool is_good = true;

    for (size_t i = 0; i < s->scene.n_files; i++) {
        if (scene_file_is(&s->scene.files[i]) == '?') {
            is_good =
                wrong("I2: '%s' is neither the old nor the new version", s->scene.files[i].path);
        }
    }
    return is_good;
}

char subject_check(struct subject *s, enum subject_end reported)
{
    char state = '?';
    bool is_good = check_files(s, &state);

    is_good = check_state_dir(s) && is_good;
    is_good = check_below(s, s->scene.etc, state) && is_good;
    is_good = subject_keys_are_private(s) && is_good;
    is_good = check_again(s) && is_good;
    if (state == 'O' || state == 'N') {
        is_good = check_reported(s, state, reported) && is_good;
        is_good = check_served(s, state, reported) && is_good;
    }
    return is_good ? state : '\0';
}
