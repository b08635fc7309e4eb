/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_PATH */
#include "config/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"

#define CHECK_MODE 07777

/* path_len bytes of path name what fd is. */
static enum clm_code check_owner(int fd, const char *path, size_t path_len, struct clm_err *err)
{
    struct stat st;
    int len = (int)path_len;
    bool is_sticky;

    if (fstat(fd, &st) != 0) {
        return clm_err_sys(err, errno, "look at '%.*s'", len, path);
    }
    if (S_ISLNK(st.st_mode)) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "'%.*s' is a symbolic link, which is not followed; use the real path",
                           len, path);
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        return clm_err_set(
            err, CLM_E_CONFIG,
            "'%.*s' belongs to user %lu (mode %04o), not to root or to user %lu; fix "
            "it with: chown root %.*s",
            len, path, (unsigned long)st.st_uid, (unsigned)st.st_mode & CHECK_MODE,
            (unsigned long)geteuid(), len, path);
    }
    is_sticky = S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0;
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !is_sticky) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "'%.*s' is writable by group or others (mode %04o); fix it with: chmod "
                           "go-w %.*s",
                           len, path, (unsigned)st.st_mode & CHECK_MODE, len, path);
    }
    return CLM_OK;
}

/* Opens the directory that holds the last component, checked from "/" on. */
static enum clm_code open_parent(const char *path, int *out_fd, const char **out_name,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *part = path;
    enum clm_code code;

    if (path[0] != '/') {
        return clm_err_set(err, CLM_E_BUG, "'%s' is not an absolute path", path);
    }
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '/'");
    }
    code = check_owner(fd, "/", 1, err);
    while (code == CLM_OK) {
        char name[NAME_MAX + 1];
        size_t len;
        int next;

        part += strspn(part, "/");
        len = strcspn(part, "/");
        if (part[len + strspn(part + len, "/")] == '\0') {
            break;
        }
        code = clm_str_fmt(name, sizeof(name), err, "%.*s", (int)len, part);
        if (code != CLM_OK) {
            return code;
        }
        next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) {
            return clm_err_sys(err, errno, "open '%.*s'", (int)(part - path + (int)len), path);
        }
        clm_fs_close_p(&fd);
        fd = next;
        part += len;
        code = check_owner(fd, path, (size_t)(part - path), err);
    }
    if (code != CLM_OK) {
        return code;
    }
    *out_name = part;
    *out_fd = fd;
    fd = -1;
    return CLM_OK;
}

static enum clm_code open_checked(const char *path, int flags, int *out_fd, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int parent = -1;
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    const char *name = "";
    enum clm_code code = open_parent(path, &parent, &name, err);

    if (code != CLM_OK) {
        return code;
    }
    fd = openat(parent, name[0] == '\0' ? "." : name,
                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        /* Opened as a link, for the message about it. */
        fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        code = fd < 0 ? clm_err_sys(err, errno, "open '%s'", path)
                      : check_owner(fd, path, strlen(path), err);
        return code != CLM_OK ? code : clm_err_set(err, CLM_E_CONFIG, "'%s' is no directory", path);
    }
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    code = check_owner(fd, path, strlen(path), err);
    if (code == CLM_OK) {
        *out_fd = clm_fs_steal(&fd);
    }
    return code;
}

enum clm_code clm_source_read(const char *path, struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    struct stat st;
    enum clm_code code = open_checked(path, 0, &fd, err);

    if (code != CLM_OK) {
        return code;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return clm_err_set(err, CLM_E_CONFIG, "'%s' is not a regular file", path);
    }
    return clm_fs_read_fd(fd, path, out->max - out->len, out, err);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum clm_code read_names(DIR *dir, const char *path, const char *suffix,
                                struct clm_strs *out, struct clm_err *err)
{
    for (;;) {
        struct dirent *entry;
        enum clm_code code;

        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            return errno == 0 ? CLM_OK : clm_err_sys(err, errno, "read '%s'", path);
        }
        if (entry->d_name[0] == '.' || !clm_str_ends(entry->d_name, suffix)) {
            continue;
        }
        if (out->n == CLM_SOURCE_FILES_MAX) {
            return clm_err_set(err, CLM_E_LIMIT, "'%s' holds more than %d files", path,
                               CLM_SOURCE_FILES_MAX);
        }
        code = clm_strs_add(out, entry->d_name, err);
        if (code != CLM_OK) {
            return code;
        }
    }
}

enum clm_code clm_source_list(const char *dir, const char *suffix, struct clm_strs *out,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    DIR *open_dir;
    enum clm_code code = open_checked(dir, O_DIRECTORY, &fd, err);

    if (code != CLM_OK) {
        return code == CLM_E_NOTFOUND ? CLM_OK : code;
    }
    open_dir = fdopendir(fd);
    if (open_dir == NULL) {
        return clm_err_sys(err, errno, "open '%s'", dir);
    }
    fd = -1;
    code = read_names(open_dir, dir, suffix, out, err);
    (void)closedir(open_dir);
    if (code == CLM_OK && out->n > 1) {
        qsort(out->v, out->n, sizeof(*out->v), by_bytes);
    }
    return code;
}
