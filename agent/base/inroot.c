/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_PATH, syscall(2) */
#include "agent/base/inroot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"

#define PREFIX_SIZE 64

/* include/uapi/linux/openat2.h, which is younger than the oldest headers we build with. */
struct open_how_v0 {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};
#define NO_MAGICLINKS 0x02u
#define IN_ROOT       0x10u
#ifndef SYS_openat2
#    define SYS_openat2 437
#endif

/* The length of "/proc/PID/root"; 0 if path does not begin like that. */
static size_t prefix_len(const char *path)
{
    static const char proc[] = "/proc/";
    static const char root[] = "/root";
    size_t at = sizeof(proc) - 1;
    size_t digits;

    if (!clm_str_starts(path, proc)) {
        return 0;
    }
    digits = strspn(path + at, "0123456789");
    at += digits;
    if (digits == 0 || digits > 10 || !clm_str_starts(path + at, root)) {
        return 0;
    }
    at += sizeof(root) - 1;
    return path[at] == '/' || path[at] == '\0' ? at : 0;
}

bool clm_inroot_is(const char *path)
{
    return prefix_len(path) > 0;
}

static enum clm_code open_root(const char *path, int *out_fd, struct clm_err *err)
{
    char prefix[PREFIX_SIZE];

    (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)prefix_len(path), path);
    *out_fd = open(prefix, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *out_fd < 0 ? clm_err_sys(err, errno, "open '%s'", prefix) : CLM_OK;
}

/* ---- one component at a time ---- */

struct walk {
    int fds[CLM_INROOT_DEPTH_MAX]; /* from the root down to where we are */
    size_t n;
    char rest[PATH_MAX];
    unsigned links;
    bool follow;
    bool is_led;  /* a symlink that is neither root's nor ours was followed */
    bool is_torn; /* several of them, of different users */
    uid_t leader; /* whose it was */
};

static void walk_done(struct walk *w)
{
    while (w->n > 0) {
        clm_fs_close_p(&w->fds[--w->n]);
    }
}

static void go_up_to(struct walk *w, size_t n)
{
    while (w->n > n) {
        clm_fs_close_p(&w->fds[--w->n]);
    }
}

/* The symlink's text takes its place in front of what is still to go. */
static int expand(struct walk *w, int link_fd)
{
    char target[PATH_MAX];
    char joined[PATH_MAX];
    ssize_t len = readlinkat(link_fd, "", target, sizeof(target) - 1);

    if (len < 0) {
        return -1;
    }
    target[len] = '\0';
    if (++w->links > CLM_INROOT_LINKS_MAX) {
        errno = ELOOP;
        return -1;
    }
    if (clm_str_fmt(joined, sizeof(joined), NULL, "%s/%s", target, w->rest) != CLM_OK) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (target[0] == '/') {
        go_up_to(w, 1);
    }
    memcpy(w->rest, joined, strlen(joined) + 1);
    return 0;
}

/* Takes the next name off rest. False at the end. */
static bool next_name(struct walk *w, char name[NAME_MAX + 1])
{
    const char *from = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(from, "/");

    if (len == 0 || len > NAME_MAX) {
        name[0] = '\0';
        errno = ENAMETOOLONG;
        return len > 0;
    }
    memcpy(name, from, len);
    name[len] = '\0';
    from += len;
    from += strspn(from, "/");
    memmove(w->rest, from, strlen(from) + 1);
    return true;
}

static void note_leader(struct walk *w, uid_t uid)
{
    if (uid == 0 || uid == geteuid()) {
        return;
    }
    w->is_torn = w->is_torn || (w->is_led && w->leader != uid);
    w->is_led = true;
    w->leader = uid;
}

/* -1 with errno; 0: go on; 1: *out_fd is the file. */
static int step(struct walk *w, int *out_fd)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    char name[NAME_MAX + 1];
    struct stat st;

    if (!next_name(w, name)) { /* "/proc/PID/root" itself, or a directory with a slash behind it */
        *out_fd = fcntl(w->fds[w->n - 1], F_DUPFD_CLOEXEC, 0);
        return *out_fd < 0 ? -1 : 1;
    }
    if (strcmp(name, ".") == 0) {
        return 0;
    }
    if (strcmp(name, "..") == 0) {
        go_up_to(w, w->n > 1 ? w->n - 1 : 1);
        return 0;
    }
    if (name[0] == '\0') {
        return -1;
    }
    fd = openat(w->fds[w->n - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return -1;
    }
    if (S_ISLNK(st.st_mode) && (w->rest[0] != '\0' || w->follow)) {
        note_leader(w, st.st_uid);
        return expand(w, fd);
    }
    if (w->rest[0] == '\0') {
        *out_fd = clm_fs_steal(&fd);
        return 1;
    }
    if (w->n >= CLM_INROOT_DEPTH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    w->fds[w->n++] = clm_fs_steal(&fd);
    return 0;
}

enum clm_code clm_inroot_walk(const char *path, bool follow, int *out_fd, struct clm_err *err)
{
    CLM_CLEANUP(walk_done) struct walk w = {.follow = follow};
    enum clm_code code = clm_str_copy(w.rest, sizeof(w.rest), path + prefix_len(path), err);
    int r = 0;

    if (code == CLM_OK) {
        code = open_root(path, &w.fds[0], err);
        w.n = code == CLM_OK;
    }
    while (code == CLM_OK && r == 0) {
        r = step(&w, out_fd);
    }
    return code != CLM_OK || r > 0 ? code : clm_err_sys(err, errno, "open '%s'", path);
}

/* ---- directories that others may lead us to ---- */

/* What is made there is then in the hands of whoever made the symlink, and nobody else's. */
static enum clm_code judge(const struct walk *w, int fd, const char *path, struct clm_err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return clm_err_sys(err, errno, "stat '%s'", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return clm_err_sys(err, ENOTDIR, "open '%s'", path);
    }
    if (w->is_torn || (w->is_led && st.st_uid != w->leader)) {
        return clm_err_set(
            err, CLM_E_PERM,
            "'%s' leads through a symlink of uid %u to a directory of uid %u; it is "
            "not followed: use the directory itself, or give one to the other's user",
            path, (unsigned)w->leader, (unsigned)st.st_uid);
    }
    return CLM_OK;
}

enum clm_code clm_inroot_open_owned(const char *path, int *out_fd, struct clm_err *err)
{
    CLM_CLEANUP(walk_done) struct walk w = {.follow = true};
    CLM_CLEANUP(clm_fs_close_p) int found = -1;
    enum clm_code code = clm_str_copy(w.rest, sizeof(w.rest), path, err);
    int r = 0;

    if (code != CLM_OK) {
        return code;
    }
    w.fds[0] = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w.n = w.fds[0] >= 0;
    r = w.n == 1 ? 0 : -1;
    while (r == 0) {
        r = step(&w, &found);
    }
    if (r < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    code = judge(&w, found, path, err);
    if (code == CLM_OK) {
        *out_fd = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        code = *out_fd < 0 ? clm_err_sys(err, errno, "open '%s'", path) : CLM_OK;
    }
    return code;
}

/* ---- both ways ---- */

enum clm_code clm_inroot_find(const char *path, bool follow, int *out_fd, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int root = -1;
    const char *rest = path + prefix_len(path);
    const struct open_how_v0 how = {
        .flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW),
        .resolve = IN_ROOT | NO_MAGICLINKS,
    };
    enum clm_code code = open_root(path, &root, err);
    long fd;

    if (code != CLM_OK) {
        return code;
    }
    fd = syscall(SYS_openat2, root, rest[0] != '\0' ? rest : "/", &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN)) {
        return clm_inroot_walk(path, follow, out_fd, err);
    }
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    *out_fd = (int)fd;
    return CLM_OK;
}

enum clm_code clm_inroot_open(const char *path, int *out_fd, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int found = -1;
    enum clm_code code = clm_inroot_find(path, true, &found, err);
    char self[PREFIX_SIZE];
    struct stat st;

    if (code != CLM_OK) {
        return code;
    }
    if (fstat(found, &st) != 0) {
        return clm_err_sys(err, errno, "stat '%s'", path);
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) { /* to open a device may do something */
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not a regular file", path);
    }
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", found);
    *out_fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return *out_fd < 0 ? clm_err_sys(err, errno, "open '%s'", path) : CLM_OK;
}
