/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk of clm_fsat_open(): from "/" down, one component at a time, each opened with O_NOFOLLOW
 * and judged by its owner and mode. A symlink that may be followed rewrites the rest of the path
 * and the walk starts again, so ".." in it is taken relative to directories already seen to be real.
 * openat2(2) could do one round in one call, but answers ENOSYS in the sandbox we ship with
 * (RestrictSUIDSGID=yes), so there is only this way.
 */
#define _GNU_SOURCE /* O_PATH */
#include "agent/base/fsat.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"

#define NOBODY_YET UINT32_MAX

struct walk {
    struct clm_place *place;
    char rest[PATH_MAX];  /* still to go, without a leading '/' */
    uint32_t service_uid; /* the one user besides root and us who may own directories */
    unsigned hops;
    bool may_follow;
};

void clm_place_done(struct clm_place *place)
{
    clm_fs_close_p(&place->dir_fd);
}

enum clm_code clm_place_path(const struct clm_place *place, char *dst, size_t size,
                             struct clm_err *err)
{
    return clm_str_fmt(dst, size, err, "%s/%s", strcmp(place->dir, "/") == 0 ? "" : place->dir,
                       place->name);
}

static bool is_trusted(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

/* May others rename or replace what is in this directory? Then it is no place for a key. */
static enum clm_code judge_dir(struct walk *w, const struct stat *st, struct clm_err *err)
{
    const char *dir = w->place->dir;

    if (!is_trusted(st->st_uid)) {
        if (w->service_uid == NOBODY_YET) {
            w->service_uid = st->st_uid;
        }
        if (w->service_uid != st->st_uid) {
            return clm_err_set(err, CLM_E_PERM,
                               "'%s' belongs to uid %u in a directory of uid %u; give it to one "
                               "of them or to root",
                               dir, (unsigned)st->st_uid, (unsigned)w->service_uid);
        }
    }
    if ((st->st_mode & S_ISVTX) != 0) {
        return CLM_OK;
    }
    if ((st->st_mode & S_IWOTH) != 0) {
        return clm_err_set(err, CLM_E_PERM, "everyone may write in '%s'; run: chmod o-w '%s'", dir,
                           dir);
    }
    if ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0) {
        return clm_err_set(err, CLM_E_PERM, "group %u may write in '%s'; run: chmod g-w '%s'",
                           (unsigned)st->st_gid, dir, dir);
    }
    return CLM_OK;
}

static enum clm_code set_dir(struct walk *w, int fd, struct clm_err *err)
{
    struct stat st;

    clm_fs_close_p(&w->place->dir_fd);
    w->place->dir_fd = fd;
    if (fstat(fd, &st) != 0) {
        return clm_err_sys(err, errno, "stat '%s'", w->place->dir);
    }
    w->place->dir_dev = (uint64_t)st.st_dev;
    w->place->dir_ino = (uint64_t)st.st_ino;
    return judge_dir(w, &st, err);
}

static enum clm_code restart(struct walk *w, struct clm_err *err)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return clm_err_sys(err, errno, "open '/'");
    }
    w->service_uid = NOBODY_YET;
    w->place->dir[0] = '/';
    w->place->dir[1] = '\0';
    return set_dir(w, fd, err);
}

/* Splits the first component off w->rest. "" at the end of the path. */
static enum clm_code next_name(struct walk *w, struct clm_err *err)
{
    char *from = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(from, "/");

    if (len >= CLM_FSAT_NAME_SIZE) {
        return clm_err_set(err, CLM_E_LIMIT, "a name on the path is longer than %d bytes",
                           CLM_FSAT_NAME_SIZE - 1);
    }
    memcpy(w->place->name, from, len);
    w->place->name[len] = '\0';
    from += len;
    from += strspn(from, "/");
    memmove(w->rest, from, strlen(from) + 1);
    return CLM_OK;
}

/* The rest of the path becomes head/rest, and the walk starts from the top. */
static enum clm_code go_back_with(struct walk *w, const char *head, struct clm_err *err)
{
    char joined[PATH_MAX];
    enum clm_code code = clm_str_fmt(joined, sizeof(joined), err, "%s/%s", head, w->rest);

    if (code != CLM_OK) {
        return code;
    }
    memcpy(w->rest, joined, strlen(joined) + 1);
    return restart(w, err);
}

static enum clm_code go_up(struct walk *w, struct clm_err *err)
{
    char parent[PATH_MAX];
    char *slash;

    memcpy(parent, w->place->dir, sizeof(parent));
    slash = strrchr(parent, '/');
    *slash = '\0';
    return go_back_with(w, parent, err);
}

static enum clm_code follow(struct walk *w, int link_fd, const struct stat *st, struct clm_err *err)
{
    char target[PATH_MAX];
    char head[PATH_MAX];
    ssize_t n;
    enum clm_code code;

    if (!w->may_follow) {
        return clm_err_set(err, CLM_E_CONFLICT, "'%s/%s' has become a symlink", w->place->dir,
                           w->place->name);
    }
    if (!is_trusted(st->st_uid)) {
        return clm_err_set(err, CLM_E_PERM,
                           "symlink '%s/%s' belongs to uid %u, only those of root are followed",
                           w->place->dir, w->place->name, (unsigned)st->st_uid);
    }
    if (++w->hops > CLM_FSAT_HOPS_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "more than %d symlinks on the path",
                           CLM_FSAT_HOPS_MAX);
    }
    n = readlinkat(link_fd, "", target, sizeof(target) - 1);
    if (n <= 0) {
        return clm_err_sys(err, n < 0 ? errno : ENOENT, "read symlink '%s'", w->place->name);
    }
    target[n] = '\0';
    if (target[0] == '/') {
        return go_back_with(w, target, err);
    }
    code = clm_str_fmt(head, sizeof(head), err, "%s/%s", w->place->dir, target);
    return code != CLM_OK ? code : go_back_with(w, head, err);
}

static enum clm_code enter(struct walk *w, int fd, struct clm_err *err)
{
    size_t len = strcmp(w->place->dir, "/") == 0 ? 0 : strlen(w->place->dir);
    size_t add = strlen(w->place->name);

    assert(len + 1 + add < sizeof(w->place->dir)); /* all of it was in w->rest */
    w->place->dir[len] = '/';
    memcpy(w->place->dir + len + 1, w->place->name, add + 1);
    return set_dir(w, fd, err);
}

/* One component. *out_is_done: w->place->name is the file's name, and no symlink. */
static enum clm_code step(struct walk *w, bool *out_is_done, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    struct stat st;
    bool is_last;
    enum clm_code code = next_name(w, err);

    if (code != CLM_OK) {
        return code;
    }
    if (strcmp(w->place->name, ".") == 0) {
        return CLM_OK;
    }
    if (strcmp(w->place->name, "..") == 0) {
        return go_up(w, err);
    }
    is_last = w->rest[0] == '\0';
    if (w->place->name[0] == '\0') {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is a directory", w->place->dir);
    }
    if (is_last && !w->may_follow) { /* whatever lies there now: only the directory is asked for */
        *out_is_done = true;
        return CLM_OK;
    }
    fd = openat(w->place->dir_fd, w->place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && is_last) {
        *out_is_done = true;
        return CLM_OK;
    }
    if (fd < 0 || fstat(fd, &st) != 0) {
        return clm_err_sys(err, errno, "open '%s/%s'", w->place->dir, w->place->name);
    }
    if (S_ISLNK(st.st_mode)) {
        return follow(w, fd, &st, err);
    }
    if (is_last && !S_ISDIR(st.st_mode)) {
        *out_is_done = true;
        return CLM_OK;
    }
    if (!S_ISDIR(st.st_mode)) {
        return clm_err_sys(err, ENOTDIR, "open '%s/%s'", w->place->dir, w->place->name);
    }
    return enter(w, clm_fs_steal(&fd), err);
}

/* What was walked with O_PATH is opened for fsync, and must be the same directory. */
static enum clm_code open_for_use(struct clm_place *place, struct clm_err *err)
{
    struct stat st;
    int fd = openat(place->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0) {
        enum clm_code code = clm_err_sys(err, errno, "open '%s'", place->dir);

        clm_fs_close_p(&fd);
        return code;
    }
    clm_fs_close_p(&place->dir_fd);
    place->dir_fd = fd;
    return CLM_OK;
}

static bool has_dots(const char *path)
{
    for (const char *p = path; *p != '\0'; p += strspn(p, "/")) {
        size_t len = strcspn(p, "/");

        if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.')) {
            return true;
        }
        p += len;
    }
    return false;
}

static enum clm_code walk_path(const char *path, bool may_follow, struct clm_place *out,
                               struct clm_err *err)
{
    struct walk w = {.place = out, .may_follow = may_follow};
    bool is_done = false;
    enum clm_code code;

    if (path[0] != '/' || has_dots(path)) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not an absolute path without '.' and '..'",
                           path);
    }
    code = clm_str_copy(w.rest, sizeof(w.rest), path, err);
    if (code == CLM_OK) {
        code = restart(&w, err);
    }
    while (code == CLM_OK && !is_done) {
        code = step(&w, &is_done, err);
    }
    if (code == CLM_OK && !clm_fsat_name_is_valid(out->name)) {
        code = clm_err_set(err, CLM_E_INVAL, "file name with control characters in '%s'", out->dir);
    }
    if (code == CLM_OK) {
        code = open_for_use(out, err);
    }
    if (code != CLM_OK) {
        clm_place_done(out); /* a directory on the way is not the one that was asked for */
    }
    return code;
}

enum clm_code clm_fsat_open(const char *path, struct clm_place *out, struct clm_err *err)
{
    enum clm_code code = walk_path(path, true, out, err);

    return code == CLM_OK ? code : clm_err_wrap(err, code, "'%s'", path);
}

enum clm_code clm_fsat_open_real(const char *dir, const char *name, struct clm_place *out,
                                 struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code;

    if (!clm_fsat_name_is_valid(name)) {
        return clm_err_set(err, CLM_E_INVAL, "invalid file name in '%s'", dir);
    }
    code = clm_str_fmt(path, sizeof(path), err, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);
    if (code == CLM_OK) {
        code = walk_path(path, false, out, err);
    }
    return code;
}
