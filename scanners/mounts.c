/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/mounts.h"

#include <stdio.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "scanners/closed.h"

#define LINKS_MAX 40 /* as the kernel: path_resolution(7) */

/* One line of mountinfo (proc(5)): "36 35 98:0 /root /point rw - ext4 /dev/x rw". */
struct mount {
    char device[32];      /* "98:0" */
    char root[PATH_MAX];  /* of the file system, the directory or file that is mounted */
    char point[PATH_MAX]; /* where */
    char type[32];
};

void clm_mounts_done(struct clm_mounts *mounts)
{
    clm_buf_done(&mounts->theirs);
    clm_buf_done(&mounts->ours);
}

static void read_mountinfo(const struct clm_io *io, const char *path, struct clm_buf *out)
{
    if (io->read_file(io->ctx, path, CLM_MOUNTINFO_MAX, out, NULL) != CLM_OK) {
        clm_buf_reset(out);
    }
}

void clm_mounts_read(const struct clm_io *io, const struct clm_process *process,
                     struct clm_mounts *out)
{
    char path[64];

    *out = (struct clm_mounts){.theirs = CLM_BUF_INIT(CLM_MOUNTINFO_MAX + 1),
                               .ours = CLM_BUF_INIT(CLM_MOUNTINFO_MAX + 1),
                               .io = io,
                               .process = process};
    (void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)process->pid);
    read_mountinfo(io, path, &out->theirs);
    read_mountinfo(io, "/proc/self/mountinfo", &out->ours);
}

void clm_process_path(const struct clm_process *process, const char *path, char *dst, size_t size)
{
    if (process->is_closed) {
        (void)snprintf(dst, size, "%s", path);
        return;
    }
    (void)snprintf(dst, size, "/proc/%d/root%s", (int)process->pid, path);
}

/* ---- mountinfo ---- */

/* Copies one field and undoes "\040". False if it does not fit. */
static bool copy_field(const char *from, size_t len, char *dst, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = from[i];

        if (c == '\\' && i + 3 < len && from[i + 1] >= '0' && from[i + 1] <= '3' &&
            from[i + 2] >= '0' && from[i + 2] <= '7' && from[i + 3] >= '0' && from[i + 3] <= '7') {
            c = (char)((from[i + 1] - '0') * 64 + (from[i + 2] - '0') * 8 + (from[i + 3] - '0'));
            i += 3;
        }
        if (n + 1 >= size) {
            return false;
        }
        dst[n++] = c;
    }
    dst[n] = '\0';
    return true;
}

/* Field number n of a line, from 0; its length in *out_len. */
static const char *field_of(const char *line, size_t line_len, size_t n, size_t *out_len)
{
    const char *end = line + line_len;

    for (; n > 0; n--) {
        const char *blank = memchr(line, ' ', (size_t)(end - line));

        if (blank == NULL) {
            *out_len = 0;
            return end;
        }
        line = blank + 1;
    }
    *out_len = 0;
    while (line + *out_len < end && line[*out_len] != ' ') {
        (*out_len)++;
    }
    return line;
}

static bool parse_mount(const char *line, size_t len, struct mount *out)
{
    size_t n = 0;
    const char *field = field_of(line, len, 2, &n);
    size_t at = 6;

    if (!copy_field(field, n, out->device, sizeof(out->device))) {
        return false;
    }
    field = field_of(line, len, 3, &n);
    if (n == 0 || !copy_field(field, n, out->root, sizeof(out->root))) {
        return false;
    }
    field = field_of(line, len, 4, &n);
    if (n == 0 || !copy_field(field, n, out->point, sizeof(out->point))) {
        return false;
    }
    do { /* optional fields up to "-" */
        field = field_of(line, len, at++, &n);
    } while (n > 0 && !(n == 1 && field[0] == '-'));
    field = field_of(line, len, at, &n);
    return n > 0 && copy_field(field, n, out->type, sizeof(out->type));
}

/* Takes the next line that can be read. False at the end. */
static bool next_mount(const char **io_at, struct mount *out)
{
    while (**io_at != '\0') {
        const char *line = *io_at;
        size_t len = strcspn(line, "\n");

        *io_at = line + len + (line[len] == '\n');
        if (parse_mount(line, len, out)) {
            return true;
        }
    }
    return false;
}

/* What of path lies below dir: "" for dir itself, "/x"; NULL if it does not. */
static const char *below(const char *path, const char *dir)
{
    size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

    if (strncmp(path, dir, len) != 0 || (path[len] != '/' && path[len] != '\0')) {
        return NULL;
    }
    return path + len;
}

/* The mount that real lies on: the deepest, and of several on one point the last. */
static bool find_mount(const struct clm_buf *table, const char *real, struct mount *out)
{
    const char *at = clm_buf_str(table);
    struct mount one;
    size_t best = 0;
    bool is_found = false;

    while (next_mount(&at, &one)) {
        size_t len = strlen(one.point);

        if (below(real, one.point) != NULL && (!is_found || len >= best)) {
            *out = one;
            best = len;
            is_found = true;
        }
    }
    return is_found;
}

/* By the tables alone: the same directory or file of the same file system. */
static bool same_place(const struct clm_mounts *mounts, const char *real)
{
    struct mount theirs;
    struct mount ours;
    char a[PATH_MAX];
    char b[PATH_MAX];

    return find_mount(&mounts->theirs, real, &theirs) && find_mount(&mounts->ours, real, &ours) &&
           strcmp(theirs.device, ours.device) == 0 &&
           clm_str_fmt(a, sizeof(a), NULL, "%s%s", strcmp(theirs.root, "/") == 0 ? "" : theirs.root,
                       below(real, theirs.point)) == CLM_OK &&
           clm_str_fmt(b, sizeof(b), NULL, "%s%s", strcmp(ours.root, "/") == 0 ? "" : ours.root,
                       below(real, ours.point)) == CLM_OK &&
           strcmp(a, b) == 0;
}

void clm_mounts_compare(const struct clm_io *io, const struct clm_process *process,
                        bool *out_has_own_mounts, bool *out_has_own_root)
{
    CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};

    clm_mounts_read(io, process, &mounts);
    *out_has_own_mounts = mounts.theirs.len == 0 || mounts.theirs.len != mounts.ours.len ||
                          memcmp(mounts.theirs.data, mounts.ours.data, mounts.ours.len) != 0;
    *out_has_own_root = !same_place(&mounts, "/");
}

/* ---- paths without symlinks, as the process sees them ---- */

struct walk {
    const struct clm_mounts *mounts;
    bool is_apart;       /* of a closed process: a link on the way may be another one for it */
    char done[PATH_MAX]; /* "" is the root */
    char rest[PATH_MAX];
};

static bool read_link(const struct walk *w, const char *path, char *dst)
{
    const struct clm_io *io = w->mounts->io;
    char full[PATH_MAX + 32];

    clm_process_path(w->mounts->process, path, full, sizeof(full));
    return io->read_link(io->ctx, full, dst, PATH_MAX, NULL) == CLM_OK;
}

/* Adds name to what is done, or starts anew with the link it is. False: too long. */
static bool add_name(struct walk *w, const char *name, int *io_links)
{
    char next[PATH_MAX];
    char target[PATH_MAX];
    char joined[PATH_MAX];

    if (clm_str_fmt(next, sizeof(next), NULL, "%s/%s", w->done, name) != CLM_OK) {
        return false;
    }
    if (!read_link(w, next, target)) {
        memcpy(w->done, next, strlen(next) + 1);
        return true;
    }
    w->is_apart = w->is_apart || (w->mounts->process->is_closed && !same_place(w->mounts, next));
    if (++*io_links > LINKS_MAX ||
        clm_str_fmt(joined, sizeof(joined), NULL, "%s/%s", target, w->rest) != CLM_OK) {
        return false;
    }
    if (target[0] == '/') {
        w->done[0] = '\0';
    }
    memcpy(w->rest, joined, strlen(joined) + 1);
    return true;
}

static bool real_path(const struct clm_mounts *mounts, const char *path, char *dst)
{
    struct walk w = {.mounts = mounts};
    int links = 0;

    if (clm_str_copy(w.rest, sizeof(w.rest), path, NULL) != CLM_OK) {
        return false;
    }
    while (w.rest[0] != '\0') {
        char name[PATH_MAX];
        const char *from = w.rest + strspn(w.rest, "/");
        size_t len = strcspn(from, "/");

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, from);
        from += len;
        memmove(w.rest, from, strlen(from) + 1);
        if (name[0] == '\0' || strcmp(name, ".") == 0) {
            continue;
        }
        if (strcmp(name, "..") == 0) {
            char *slash = strrchr(w.done, '/');

            *(slash != NULL ? slash : w.done) = '\0';
        } else if (!add_name(&w, name, &links)) {
            return false;
        }
    }
    memcpy(dst, w.done, sizeof(w.done));
    return !w.is_apart;
}

bool clm_mounts_share(const struct clm_io *io, const struct clm_process *process, const char *path)
{
    CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};
    char real[PATH_MAX];

    clm_mounts_read(io, process, &mounts);
    return path[0] == '/' && real_path(&mounts, path, real) && same_place(&mounts, real);
}

/* ---- the same file here ---- */

static bool is_same(const struct clm_mounts *mounts, const char *read, const char *host)
{
    const struct clm_io *io = mounts->io;
    struct clm_stat a = {0};
    struct clm_stat b = {0};

    return io->stat(io->ctx, read, true, &a, NULL) == CLM_OK &&
           io->stat(io->ctx, host, true, &b, NULL) == CLM_OK && a.dev == b.dev && a.ino == b.ino;
}

static bool try_host(const struct clm_mounts *mounts, const char *path, struct clm_located *out)
{
    if (!is_same(mounts, out->read, path)) {
        return false;
    }
    return clm_str_copy(out->host, sizeof(out->host), path, NULL) == CLM_OK;
}

/* A place of ours where the same directory of the same file system is mounted. */
static void find_host(const struct clm_mounts *mounts, const struct mount *theirs, const char *real,
                      struct clm_located *out)
{
    const char *at = clm_buf_str(&mounts->ours);
    char inside[PATH_MAX];
    struct mount ours;

    if (clm_str_fmt(inside, sizeof(inside), NULL, "%s%s",
                    strcmp(theirs->root, "/") == 0 ? "" : theirs->root,
                    below(real, theirs->point)) != CLM_OK) {
        return;
    }
    while (next_mount(&at, &ours)) {
        const char *rest =
            strcmp(ours.device, theirs->device) == 0 ? below(inside, ours.root) : NULL;
        char host[PATH_MAX];

        if (rest != NULL &&
            clm_str_fmt(host, sizeof(host), NULL, "%s%s",
                        strcmp(ours.point, "/") == 0 ? "" : ours.point, rest) == CLM_OK &&
            try_host(mounts, host, out)) {
            return;
        }
    }
}

/* Another root directory without other mounts: chroot. */
static void find_below_root(const struct clm_mounts *mounts, const char *real,
                            struct clm_located *out)
{
    const struct clm_io *io = mounts->io;
    char root[PATH_MAX];
    char host[PATH_MAX];
    char link[64];

    (void)snprintf(link, sizeof(link), "/proc/%d/root", (int)mounts->process->pid);
    if (io->read_link(io->ctx, link, root, sizeof(root), NULL) == CLM_OK &&
        clm_str_fmt(host, sizeof(host), NULL, "%s%s", root, real) == CLM_OK) {
        (void)try_host(mounts, host, out);
    }
}

static bool is_layer(const char *type)
{
    return strcmp(type, "overlay") == 0 || strcmp(type, "aufs") == 0 ||
           strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0;
}

static void locate_closed(const struct clm_mounts *mounts, const char *path, const char *real,
                          struct clm_located *out)
{
    if (same_place(mounts, real)) {
        (void)snprintf(out->host, sizeof(out->host), "%s", path);
        return;
    }
    (void)snprintf(
        out->why, sizeof(out->why),
        "the server sees another '%.200s' than this agent, and where is not visible: put "
        "the file where both see it; " CLM_CLOSED_SWITCH,
        path);
}

static void locate_elsewhere(const struct clm_mounts *mounts, const char *path, const char *real,
                             struct clm_located *out)
{
    struct mount mount;
    bool has_mount = find_mount(&mounts->theirs, real, &mount);

    if (mounts->process->is_closed) {
        locate_closed(mounts, path, real, out);
        return;
    }
    clm_process_path(mounts->process, real, out->read, sizeof(out->read));
    if (mounts->process->has_own_mounts && try_host(mounts, real, out)) {
        return; /* only mounts elsewhere differ: a service's sandbox, its or ours */
    }
    if (has_mount && is_layer(mount.type)) {
        (void)snprintf(out->why, sizeof(out->why),
                       "'%.200s' is in the container's own file system (%.16s), which is lost with "
                       "it: mount a directory of the host there",
                       path, mount.type);
        return;
    }
    if (mounts->process->has_own_mounts) {
        if (has_mount) {
            find_host(mounts, &mount, real, out);
        }
    } else {
        find_below_root(mounts, real, out);
    }
    if (out->host[0] == '\0') {
        (void)snprintf(
            out->why, sizeof(out->why),
            "the server sees another '%.200s' than this agent (it has its own mounts or "
            "root), and no directory of the host is known to hold it: put the file where "
            "both see it",
            path);
    }
}

static bool is_directory(const struct clm_mounts *mounts, const char *real)
{
    const struct clm_io *io = mounts->io;
    char path[PATH_MAX + 32];
    struct clm_stat st = {0};

    clm_process_path(mounts->process, real, path, sizeof(path));
    return io->stat(io->ctx, path, true, &st, NULL) == CLM_OK && st.kind == CLM_FILE_DIRECTORY;
}

void clm_locate(const struct clm_mounts *mounts, const char *path, struct clm_located *out)
{
    const struct clm_process *process = mounts->process;
    char real[PATH_MAX];
    struct mount mount;

    *out = (struct clm_located){.read = ""};
    (void)snprintf(out->read, sizeof(out->read), "%s", path);
    if (!process->has_own_mounts && !process->has_own_root) {
        (void)snprintf(out->host, sizeof(out->host), "%s", path);
    }
    if (!real_path(mounts, path, real)) {
        (void)snprintf(
            out->why, sizeof(out->why), "'%.200s': %s", path,
            process->is_closed
                ? "a link on the way may be another one for the server; " CLM_CLOSED_SWITCH
                : "too many links");
        return;
    }
    if (find_mount(&mounts->theirs, real, &mount) && strcmp(mount.point, real) == 0 &&
        !is_directory(mounts, real)) {
        if (out->host[0] == '\0') {
            clm_process_path(process, real, out->read, sizeof(out->read));
        }
        (void)snprintf(out->why, sizeof(out->why),
                       "'%.200s' is a single file mounted there, which a new one cannot replace: "
                       "mount its directory instead",
                       path);
        return;
    }
    if (out->host[0] == '\0') {
        locate_elsewhere(mounts, path, real, out);
    }
}

/* ---- an io of the process ---- */

static enum clm_code inner_path(const struct clm_process_io *self, const char *path, char *dst,
                                struct clm_err *err)
{
    return clm_str_fmt(dst, PATH_MAX + 32, err, "/proc/%d/root%s", (int)self->process->pid, path);
}

static enum clm_code read_file(void *ctx, const char *path, size_t max, struct clm_buf *out,
                               struct clm_err *err)
{
    const struct clm_process_io *self = ctx;
    char full[PATH_MAX + 32];
    enum clm_code code = inner_path(self, path, full, err);

    return code == CLM_OK ? self->inner->read_file(self->inner->ctx, full, max, out, err) : code;
}

static enum clm_code stat_path(void *ctx, const char *path, bool follow, struct clm_stat *out,
                               struct clm_err *err)
{
    const struct clm_process_io *self = ctx;
    char full[PATH_MAX + 32];
    enum clm_code code = inner_path(self, path, full, err);

    return code == CLM_OK ? self->inner->stat(self->inner->ctx, full, follow, out, err) : code;
}

static enum clm_code link_of(void *ctx, const char *path, char *dst, size_t size,
                             struct clm_err *err)
{
    const struct clm_process_io *self = ctx;
    char full[PATH_MAX + 32];
    enum clm_code code = inner_path(self, path, full, err);

    return code == CLM_OK ? self->inner->read_link(self->inner->ctx, full, dst, size, err) : code;
}

static enum clm_code list_dir(void *ctx, const char *path, clm_io_dir_fn visit, void *arg,
                              struct clm_err *err)
{
    const struct clm_process_io *self = ctx;
    char full[PATH_MAX + 32];
    enum clm_code code = inner_path(self, path, full, err);

    return code == CLM_OK ? self->inner->list_dir(self->inner->ctx, full, visit, arg, err) : code;
}

void clm_process_io_init(struct clm_process_io *out, const struct clm_io *inner,
                         const struct clm_process *process)
{
    *out = (struct clm_process_io){
        .io = {.read_file = read_file,
               .stat = stat_path,
               .read_link = link_of,
               .list_dir = list_dir},
        .inner = inner,
        .process = process,
    };
    out->io.ctx = out;
    out->io.policy = inner->policy;
}

bool clm_process_shares_net(const struct clm_io *io, const struct clm_process *process)
{
    /* the host half may have none; handshakes are made by the other half */
    static const char *const links[] = {"/proc/self/ns/net", "/proc/1/ns/net"};
    bool is_known = process->net[0] != '\0';

    for (size_t i = 0; i < CLM_ARRAY_LEN(links) && is_known; i++) {
        char ours[64];

        if (io->read_link(io->ctx, links[i], ours, sizeof(ours), NULL) != CLM_OK) {
            is_known = i > 0; /* the first must be readable, the second need not */
        } else if (strcmp(ours, process->net) == 0) {
            return true;
        }
    }
    return !is_known;
}
