/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/support/root_io.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

/* Opens path below the root; symbolic links cannot leave it. */
static int open_in(const struct root_io *self, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
    int root = open(self->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;
    int keep;

    if (root < 0) {
        return -1;
    }
    fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    keep = errno;
    (void)close(root);
    errno = keep;
    return fd;
}

/* Asks for room as the real one does: the buffer must hold one byte more than max. */
static enum clm_code read_fd(int fd, size_t max, struct clm_buf *out, struct clm_err *err)
{
    size_t got = 0;

    for (;;) {
        size_t room = max - got < 4096 ? max - got + 1 : 4096;
        enum clm_code code = clm_buf_reserve(out, room, err);
        ssize_t n;

        if (code != CLM_OK) {
            return code;
        }
        n = read(fd, out->data + out->len, room);
        if (n < 0) {
            return clm_err_sys(err, errno, "read");
        }
        got += (size_t)n;
        if (got > max) {
            return clm_err_set(err, CLM_E_LIMIT, "longer than %zu bytes", max);
        }
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (n == 0) {
            return CLM_OK;
        }
    }
}

static enum clm_code io_read_file(void *ctx, const char *path, size_t max, struct clm_buf *out,
                                  struct clm_err *err)
{
    struct root_io *self = ctx;
    int fd = open_in(self, path, O_RDONLY);
    enum clm_code code;

    self->reads++;
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    code = read_fd(fd, max, out, err);
    (void)close(fd);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "'%s'", path);
}

static enum clm_file_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode)) {
        return CLM_FILE_REGULAR;
    }
    if (S_ISDIR(mode)) {
        return CLM_FILE_DIRECTORY;
    }
    return S_ISLNK(mode) ? CLM_FILE_SYMLINK : CLM_FILE_OTHER;
}

static void apply_owner(const struct root_io *self, const char *path, struct clm_stat *out)
{
    for (const struct root_io_owner *o = self->owners; o != NULL && o->path != NULL; o++) {
        if (strcmp(o->path, path) == 0) {
            out->uid = o->uid;
            out->gid = o->gid;
            out->mode = o->mode != 0 ? o->mode : out->mode;
        }
    }
}

static enum clm_code io_stat(void *ctx, const char *path, bool follow, struct clm_stat *out,
                             struct clm_err *err)
{
    struct root_io *self = ctx;
    int fd = open_in(self, path, O_PATH | (follow ? 0 : O_NOFOLLOW));
    struct stat st;

    if (fd < 0) {
        return clm_err_sys(err, errno, "stat '%s'", path);
    }
    if (fstat(fd, &st) != 0) {
        int sys = errno;

        (void)close(fd);
        return clm_err_sys(err, sys, "stat '%s'", path);
    }
    (void)close(fd);
    *out = (struct clm_stat){.kind = kind_of(st.st_mode),
                             .mode = (uint32_t)st.st_mode & 07777u,
                             .size_bytes = (uint64_t)st.st_size,
                             .dev = (uint64_t)st.st_dev,
                             .ino = (uint64_t)st.st_ino,
                             .nlink = (uint32_t)st.st_nlink,
                             .mtime_s = (int64_t)st.st_mtime};
    if (out->kind == CLM_FILE_DIRECTORY) {
        out->mode = 0755; /* whatever umask the tree was checked out with */
    }
    apply_owner(self, path, out);
    return CLM_OK;
}

static bool is_refused(const struct root_io *self, const char *path)
{
    return self->is_closed && strncmp(path, "/proc/", 6) == 0 &&
           isdigit((unsigned char)path[6]) != 0;
}

static enum clm_code io_read_link(void *ctx, const char *path, char *dst, size_t size,
                                  struct clm_err *err)
{
    int fd = open_in(ctx, path, O_PATH | O_NOFOLLOW);
    ssize_t n;
    int sys;

    if (is_refused(ctx, path)) {
        (void)close(fd);
        return clm_err_sys(err, EACCES, "readlink '%s'", path);
    }
    if (fd < 0) {
        return clm_err_sys(err, errno, "readlink '%s'", path);
    }
    n = readlinkat(fd, "", dst, size - 1);
    sys = errno;
    (void)close(fd);
    if (n < 0) {
        return clm_err_sys(err, sys, "readlink '%s'", path);
    }
    dst[n] = '\0';
    return CLM_OK;
}

static enum clm_code io_list_dir(void *ctx, const char *path, clm_io_dir_fn visit, void *arg,
                                 struct clm_err *err)
{
    int fd = open_in(ctx, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    enum clm_code code = CLM_OK;
    struct dirent *entry;

    if (dir == NULL) {
        int sys = errno;

        (void)close(fd);
        return clm_err_sys(err, sys, "open '%s'", path);
    }
    while (code == CLM_OK && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            code = visit(arg, entry->d_name, err);
        }
    }
    (void)closedir(dir);
    return code;
}

static enum clm_code io_run(void *ctx, const char *const *argv, uint32_t timeout_ms,
                            int *out_status, struct clm_buf *output, struct clm_err *err)
{
    struct root_io *self = ctx;
    char line[4096] = "";

    (void)timeout_ms;
    self->runs++;
    for (size_t i = 0; argv[i] != NULL; i++) {
        size_t len = strlen(line);

        (void)snprintf(line + len, sizeof(line) - len, "%s%s", i > 0 ? " " : "", argv[i]);
    }
    for (const struct root_io_program *p = self->programs; p != NULL && p->argv != NULL; p++) {
        if (strcmp(p->argv, line) == 0) {
            *out_status = p->status;
            return output == NULL ? CLM_OK : clm_buf_add_str(output, p->output, err);
        }
    }
    return clm_err_set(err, CLM_E_NOTFOUND, "not scripted: %s", line);
}

static enum clm_code io_unit_list(void *ctx, clm_io_unit_fn visit, void *arg, struct clm_err *err)
{
    const struct root_io *self = ctx;
    enum clm_code code = CLM_OK;

    if (!self->has_systemd) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "no systemd");
    }
    for (size_t i = 0; i < self->n_units && code == CLM_OK; i++) {
        code = visit(arg, &self->units[i], err);
    }
    return code;
}

static enum clm_code io_unit_state(void *ctx, const char *name, struct clm_unit *out,
                                   struct clm_err *err)
{
    const struct root_io *self = ctx;

    if (!self->has_systemd) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "no systemd");
    }
    for (size_t i = 0; i < self->n_units; i++) {
        if (strcmp(self->units[i].name, name) == 0) {
            *out = self->units[i];
            return CLM_OK;
        }
    }
    *out = (struct clm_unit){.state = CLM_UNIT_UNKNOWN};
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
    return CLM_OK;
}

static enum clm_code io_listening(void *ctx, clm_io_listening_fn visit, void *arg,
                                  struct clm_err *err)
{
    const struct root_io *self = ctx;
    enum clm_code code = CLM_OK;

    if (self->listening == NULL) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "the kernel does not list sockets");
    }
    for (size_t i = 0; i < self->n_listening && code == CLM_OK; i++) {
        code = visit(arg, &self->listening[i], err);
    }
    return code;
}

static int64_t io_now(void *ctx)
{
    (void)ctx;
    return 1795226400; /* 2026-11-21T02:00:00Z */
}

static int64_t io_mono(void *ctx)
{
    (void)ctx;
    return 0;
}

void root_io_init(struct root_io *self, const char *root)
{
    *self = (struct root_io){.io = {.read_file = io_read_file,
                                    .stat = io_stat,
                                    .read_link = io_read_link,
                                    .list_dir = io_list_dir,
                                    .ask = io_run,
                                    .run = io_run,
                                    .unit_list = io_unit_list,
                                    .unit_state = io_unit_state,
                                    .listening = io_listening,
                                    .now_s = io_now,
                                    .mono_ms = io_mono}};
    self->io.ctx = self;
    if (realpath(root, self->root) == NULL) {
        perror(root);
        abort();
    }
}

void root_io_temp(char *dst)
{
    (void)snprintf(dst, PATH_MAX, "/tmp/clm-test-XXXXXX");
    if (mkdtemp(dst) == NULL) {
        abort();
    }
}

/* The full path, the directories above it made. */
static void place(const char *root, const char *path, char *full)
{
    (void)snprintf(full, PATH_MAX, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            if (mkdir(full, 0755) != 0 && errno != EEXIST) {
                perror(full);
                abort();
            }
            *p = '/';
        }
    }
}

void root_io_write(const char *root, const char *path, const void *data, size_t len)
{
    char full[PATH_MAX];
    FILE *file;

    place(root, path, full);
    file = fopen(full, "we");
    if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        perror(full);
        abort();
    }
}

void root_io_text(const char *root, const char *path, const char *text)
{
    root_io_write(root, path, text, strlen(text));
}

void root_io_link(const char *root, const char *path, const char *to)
{
    char full[PATH_MAX];

    place(root, path, full);
    if (symlink(to, full) != 0) {
        perror(full);
        abort();
    }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void root_io_remove(const char *root)
{
    (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
