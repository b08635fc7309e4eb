/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web root may belong to an unprivileged user (a deployment account, www-data), who could swap
 * a directory for a symlink while we walk. So every component below the root is opened with
 * O_NOFOLLOW relative to the one before, and files are made relative to that descriptor. On the way
 * to the root symlinks are followed as far as clm_inroot_open_owned() trusts them.
 */
#include "agent/host/dcv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/inroot.h"

#define ACME_DIR "/.well-known/acme-challenge/"
#define PKI_DIR  "/.well-known/pki-validation/"
#define B64URL   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static const char *const extensions[] = {".txt", ".html", ".htm"};

static enum clm_code check_pki_name(const char *name, struct clm_err *err)
{
    const char *dot = strrchr(name, '.');
    size_t len = strlen(name);

    if (len == 0 || len > 64 || strspn(name, B64URL ".") != len || name[0] == '.' ||
        strstr(name, "..") != NULL) {
        return clm_err_set(err, CLM_E_INVAL, "validation file name '%.80s' is not allowed", name);
    }
    if (dot == NULL) {
        return CLM_OK;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(extensions); i++) {
        if (strcmp(dot, extensions[i]) == 0) {
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_INVAL,
                       "validation file name '%.80s' must end in .txt, .html, .htm or no extension",
                       name);
}

enum clm_code clm_dcv_check(const char *path, const char *content, struct clm_err *err)
{
    size_t len = strlen(content);

    if (clm_str_starts(path, ACME_DIR)) {
        const char *token = path + strlen(ACME_DIR);
        size_t n = strlen(token);

        if (n < 16 || n > 128 || strspn(token, B64URL) != n) {
            return clm_err_set(err, CLM_E_INVAL,
                               "token '%.80s' is not 16 to 128 characters of base64url", token);
        }
    } else if (clm_str_starts(path, PKI_DIR)) {
        enum clm_code code = check_pki_name(path + strlen(PKI_DIR), err);

        if (code != CLM_OK) {
            return code;
        }
    } else {
        return clm_err_set(err, CLM_E_INVAL,
                           "validation path '%.80s' is outside " ACME_DIR " and " PKI_DIR, path);
    }
    if (len == 0 || len > CLM_DCV_CONTENT_MAX) {
        return clm_err_set(err, CLM_E_INVAL, "validation content of %zu bytes; 1 to %d are allowed",
                           len, CLM_DCV_CONTENT_MAX);
    }
    if (!clm_str_is_printable(content) || strpbrk(content, "<%") != NULL) {
        return clm_err_set(err, CLM_E_INVAL,
                           "validation content must be printable ASCII without '<' and '%%'");
    }
    return CLM_OK;
}

/* The web server must be able to enter it, whatever our umask is. Not by a chmod afterwards: under that
 * name somebody may have put another directory by then. False with errno. */
static bool make_dir(int dir, const char *name)
{
    mode_t old = umask(0022);
    bool is_made = clm_fs_point("mkdir", dir, name) == 0 && mkdirat(dir, name, 0755) == 0;
    int sys = errno;

    (void)umask(old);
    errno = sys;
    return is_made;
}

/* Opens dir/name as a directory, making it (0755) if needed. Replaces *io_dir. */
static enum clm_code enter(int *io_dir, const char *name, const char *shown, struct clm_strs *made,
                           struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    bool fresh = make_dir(*io_dir, name);

    if (!fresh && errno != EEXIST) {
        return clm_err_sys(err, errno, "create directory '%s'", shown);
    }
    fd = openat(*io_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOTDIR || errno == ELOOP) {
            return clm_err_set(err, CLM_E_PERM,
                               "'%s' is a symlink or no directory; it is not followed: replace it "
                               "by a directory, or declare its target in policy.webroots",
                               shown);
        }
        return clm_err_sys(err, errno, "open '%s'", shown);
    }
    if (fresh) {
        enum clm_code code = clm_strs_add(made, shown, err);

        if (code != CLM_OK) {
            (void)unlinkat(*io_dir, name, AT_REMOVEDIR);
            return code;
        }
    }
    clm_fs_close_p(io_dir);
    *io_dir = clm_fs_steal(&fd);
    return CLM_OK;
}

/* Is there already a regular file of exactly this content? */
static enum clm_code compare(int dir, const char *name, const char *content, const char *shown,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p)
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    char have[CLM_DCV_CONTENT_MAX + 1];
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return clm_err_set(err, CLM_E_PERM, "'%s' exists and is no regular file; remove it", shown);
    }
    n = read(fd, have, sizeof(have));
    if (n < 0) {
        return clm_err_sys(err, errno, "read '%s'", shown);
    }
    if ((size_t)n != strlen(content) || memcmp(have, content, (size_t)n) != 0) {
        return clm_err_set(err, CLM_E_EXISTS,
                           "'%s' exists with other content and was not made by this order; "
                           "remove it by hand",
                           shown);
    }
    return CLM_OK;
}

static enum clm_code put(int dir, const char *name, const char *content, const char *shown,
                         struct clm_strs *made, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    size_t len = strlen(content);
    enum clm_code code;
    ssize_t n;

    if (clm_fs_point("create", dir, name) == 0) {
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    }
    if (fd < 0 && errno == EEXIST) {
        return compare(dir, name, content, shown, err);
    }
    if (fd < 0) {
        return clm_err_sys(err, errno, "create '%s'", shown);
    }
    n = write(fd, content, len);
    if (n != (ssize_t)len || fchmod(fd, 0644) != 0 || fsync(fd) != 0) {
        code = clm_err_sys(err, n >= 0 && n < (ssize_t)len ? ENOSPC : errno, "write '%s'", shown);
    } else {
        code = clm_strs_add(made, shown, err);
    }
    if (code != CLM_OK) {
        (void)unlinkat(dir, name, 0);
    }
    return code;
}

/* Walks the components of path below dir and makes the last one. */
static enum clm_code walk(int *io_dir, const char *root, const char *path, const char *content,
                          struct clm_strs *made, struct clm_err *err)
{
    char shown[PATH_MAX];
    const char *at = path + 1;
    enum clm_code code = CLM_OK;

    for (;;) {
        const char *slash = strchr(at, '/');
        char name[NAME_MAX + 1];
        size_t len = slash != NULL ? (size_t)(slash - at) : strlen(at);

        assert(len > 0 && len <= NAME_MAX); /* clm_dcv_check() */
        memcpy(name, at, len);
        name[len] = '\0';
        code = clm_str_fmt(shown, sizeof(shown), err, "%s%.*s", root, (int)(at + len - path), path);
        if (code != CLM_OK) {
            return code;
        }
        if (slash == NULL) {
            return put(*io_dir, name, content, shown, made, err);
        }
        code = enter(io_dir, name, shown, made, err);
        if (code != CLM_OK) {
            return code;
        }
        at = slash + 1;
    }
}

static const char *below(const struct clm_dcv_root *root, const char *path)
{
    return root->is_alias ? strrchr(path, '/') : path;
}

enum clm_code clm_dcv_plan(const struct clm_dcv_root *root, const char *path, struct clm_strs *made,
                           char *file, size_t size, struct clm_err *err)
{
    size_t root_len = strlen(root->dir);
    enum clm_code code = clm_str_fmt(file, size, err, "%s%s", root->dir, below(root, path));
    struct stat st;

    for (char *at = file + root_len + 1; code == CLM_OK; at++) {
        bool is_end = *at == '\0';

        if (!is_end && *at != '/') {
            continue;
        }
        *at = '\0';
        if (lstat(file, &st) != 0 && errno == ENOENT) {
            code = clm_strs_add_once(made, file, err);
        }
        if (is_end) {
            break;
        }
        *at = '/';
    }
    return code;
}

/* Opens the directory that holds path; below root no symlink is followed. */
static enum clm_code open_parent(const char *root, const char *path, int *out_dir,
                                 const char **out_name, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = -1;
    size_t root_len = strlen(root);
    const char *at;
    const char *slash;
    enum clm_code code;

    if (!clm_str_starts(path, root) || path[root_len] != '/') {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not below '%s'", path, root);
    }
    at = path + root_len + 1;
    code = clm_inroot_open_owned(root, &dir, err);
    if (code != CLM_OK) {
        return code;
    }
    while (dir >= 0 && (slash = strchr(at, '/')) != NULL) {
        char name[NAME_MAX + 1];
        size_t len = (size_t)(slash - at);
        int next;

        if (len > NAME_MAX || strncmp(at, "..", len) == 0) { /* "", "." and ".." */
            return clm_err_set(err, CLM_E_INVAL, "path '%s' is malformed", path);
        }
        memcpy(name, at, len);
        name[len] = '\0';
        next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        clm_fs_close_p(&dir);
        dir = next;
        at = slash + 1;
    }
    if (dir < 0) {
        return clm_err_sys(err, errno, "open the directory of '%s'", path);
    }
    *out_dir = clm_fs_steal(&dir);
    *out_name = at;
    return CLM_OK;
}

static enum clm_code remove_one(const char *root, const char *path, size_t *io_files,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = -1;
    const char *name = "";
    struct stat st;
    enum clm_code code = open_parent(root, path, &dir, &name, NULL);

    if (code != CLM_OK || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return CLM_OK; /* gone already */
    }
    if (clm_fs_point("unlink", dir, name) != 0) {
        return clm_err_sys(err, errno, "remove '%s'", path);
    }
    if (S_ISDIR(st.st_mode)) {
        if (unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != EEXIST) {
            return clm_err_sys(err, errno, "remove directory '%s'", path);
        }
    } else if (S_ISREG(st.st_mode)) {
        if (unlinkat(dir, name, 0) != 0) {
            return clm_err_sys(err, errno, "remove '%s'", path);
        }
        (*io_files)++;
    }
    return CLM_OK;
}

enum clm_code clm_dcv_remove(const char *root, const struct clm_strs *made, size_t *out_removed,
                             struct clm_err *err)
{
    enum clm_code worst = CLM_OK;
    size_t files = 0;

    for (size_t i = made->n; i > 0; i--) {
        enum clm_code code = remove_one(root, made->v[i - 1], &files, err);

        if (code != CLM_OK) {
            worst = code; /* go on: remove as much as can be */
        }
    }
    if (out_removed != NULL) {
        *out_removed = files;
    }
    return worst;
}

enum clm_code clm_dcv_write(const struct clm_dcv_root *root, const char *path, const char *content,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int dir = -1;
    CLM_CLEANUP(clm_strs_done) struct clm_strs made = {0};
    enum clm_code code = clm_dcv_check(path, content, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_inroot_open_owned(root->dir, &dir, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "web root");
    }
    code = walk(&dir, root->dir, below(root, path), content, &made, err);
    if (code != CLM_OK) {
        clm_ignore(clm_dcv_remove(root->dir, &made, NULL, NULL));
    }
    return code;
}
