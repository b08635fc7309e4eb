/* SPDX-License-Identifier: Apache-2.0 */
/* The calls themselves: the linker sends the product's here (--wrap, CMakeLists.txt). */
#define _GNU_SOURCE /* RENAME_EXCHANGE */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/faults/model/trace.h"
#include "tests/faults/model/trace_calls.h"

#define INODES_MAX DISK_NODES
#define ACL        "system.posix_acl_access"
#define ACL_MAX    4096

static struct {
    struct trace *trace; /* NULL: nobody records */
    struct disk now;     /* with every event so far */
    uint64_t dev;
    struct {
        uint64_t ino;
        uint32_t node;
    } inodes[INODES_MAX];
    size_t n_inodes;
} rec;

static void stop(const char *what, const char *name)
{
    (void)fprintf(stderr, "model: %s: %s\n", what, name);
    abort();
}

/* ---- which node ---- */

static void seen(void *arg, uint64_t ino, uint32_t node)
{
    (void)arg;
    for (size_t i = 0; i < rec.n_inodes; i++) {
        if (rec.inodes[i].ino == ino) { /* used again by the file system */
            rec.inodes[i].node = node;
            return;
        }
    }
    if (rec.n_inodes == INODES_MAX) {
        stop("too many inodes", "");
    }
    rec.inodes[rec.n_inodes].ino = ino;
    rec.inodes[rec.n_inodes++].node = node;
}

static uint32_t node_of(const struct stat *st)
{
    for (size_t i = 0; i < rec.n_inodes; i++) {
        if (rec.inodes[i].ino == st->st_ino && rec.dev == st->st_dev) {
            return rec.inodes[i].node;
        }
    }
    return DISK_NONE;
}

static uint32_t node_of_fd(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? node_of(&st) : DISK_NONE;
}

/* The directory and the name in it; DISK_NONE where nobody looks. */
static uint32_t place(int dir_fd, const char *path, const char **out_name)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct stat st;

    *out_name = disk_name(slash == NULL ? path : slash + 1);
    if (slash == NULL) {
        return dir_fd == AT_FDCWD ? DISK_NONE : node_of_fd(dir_fd);
    }
    if (slash == path || slash - path >= PATH_MAX) {
        return DISK_NONE;
    }
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    return fstatat(dir_fd, dir, &st, 0) == 0 ? node_of(&st) : DISK_NONE;
}

/* ---- noting ---- */

static void path_of(uint32_t node, char *dst, size_t size)
{
    char below[TRACE_LABEL] = "";

    for (size_t i = 0; i < rec.now.n_entries; i++) {
        const struct disk_entry *entry = &rec.now.entries[i];

        if (entry->child == node && node != DISK_ROOT) {
            char up[TRACE_LABEL];

            path_of(entry->dir, up, sizeof(up));
            (void)snprintf(below, sizeof(below), "%.70s%s%.80s", up, up[0] != '\0' ? "/" : "",
                           entry->name);
            break;
        }
    }
    (void)snprintf(dst, size, "%s", below);
}

static void describe(struct trace_event *event, const char *op, uint32_t node, const char *name)
{
    char path[TRACE_LABEL];

    path_of(node, path, sizeof(path));
    (void)snprintf(event->label, sizeof(event->label), "%.30s %.70s%s%.50s", op, path,
                   name != NULL ? "/" : "", name != NULL ? name : "");
}

static struct trace_event *add(enum trace_kind kind)
{
    struct trace_event *event;

    if (rec.trace->n == TRACE_EVENTS) {
        stop("too many events", "");
    }
    event = &rec.trace->events[rec.trace->n++];
    *event = (struct trace_event){.kind = kind, .flushed_at = SIZE_MAX};
    return event;
}

static void entry_event(const char *op, struct trace_entry one, const struct trace_entry *two)
{
    struct trace_event *event = add(TRACE_ENTRY);

    event->entries[event->n_entries++] = one;
    if (two != NULL) {
        event->entries[event->n_entries++] = *two;
    }
    describe(event, op, one.dir, one.name);
    for (size_t i = 0; i < event->n_entries; i++) {
        disk_set(&rec.now, event->entries[i].dir, event->entries[i].name, event->entries[i].child);
    }
}

/* A new file may take an ACL from its directory. */
static void inherit(int dir_fd, const char *path, struct disk_node *node)
{
    char full[PATH_MAX];
    char value[ACL_MAX];
    struct disk_xattr *acl;
    uint8_t *copy;
    ssize_t n;

    if (path[0] == '/') {
        (void)snprintf(full, sizeof(full), "%s", path);
    } else {
        (void)snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", dir_fd, path);
    }
    n = lgetxattr(full, ACL, value, sizeof(value));
    if (n <= 0) {
        return;
    }
    acl = disk_alloc(&rec.trace->arena, sizeof(*acl));
    copy = disk_alloc(&rec.trace->arena, (size_t)n);
    memcpy(copy, value, (size_t)n);
    *acl = (struct disk_xattr){.name = disk_name(ACL), .data = copy, .len = (size_t)n};
    node->xattrs = acl;
}

static void created(int dir_fd, const char *path, const struct stat *st, const char *op)
{
    const char *name;
    uint32_t dir = place(dir_fd, path, &name);
    struct disk_node node = {.kind = S_ISDIR(st->st_mode) ? DISK_DIR : DISK_FILE,
                             .mode = st->st_mode & 07777,
                             .uid = st->st_uid,
                             .gid = st->st_gid};
    struct trace_entry entry = {.dir = dir, .name = name};

    if (dir == DISK_NONE || disk_find(&rec.now, dir, name) != DISK_NONE) {
        return;
    }
    inherit(dir_fd, path, &node);
    entry.child = disk_add(&rec.now, &node);
    (void)disk_add(&rec.trace->base, &node); /* exists from the start, without a name */
    seen(NULL, st->st_ino, entry.child);
    entry_event(op, entry, NULL);
}

/* Who holds the lock stands in it, for people; nothing depends on it, and every state would come up
 * once for each part of it. */
static bool is_lock(uint32_t node)
{
    uint32_t state = disk_find(&rec.now, DISK_ROOT, "state");

    return disk_find(&rec.now, state, "lock") == node;
}

static void written(int fd, const void *data, size_t len, size_t off)
{
    uint32_t node = node_of_fd(fd);
    struct trace_event *event;
    uint8_t *copy;

    if (node == DISK_NONE || is_lock(node)) {
        return;
    }
    event = add(TRACE_WRITE);
    copy = disk_alloc(&rec.trace->arena, len);
    memcpy(copy, data, len);
    event->node = node;
    event->off = off;
    event->data = copy;
    event->len = len;
    event->grows = off + len > rec.now.nodes[node].len;
    describe(event, "write", node, NULL);
    disk_write(&rec.now, &rec.trace->arena, node, off, data, len);
}

static struct trace_event *of_fd(int fd, enum trace_kind kind, const char *op)
{
    uint32_t node = node_of_fd(fd);
    struct trace_event *event;

    if (node == DISK_NONE || is_lock(node)) {
        return NULL;
    }
    event = add(kind);
    event->node = node;
    describe(event, op, node, NULL);
    return event;
}

static void owned(int fd, uid_t uid, gid_t gid)
{
    struct trace_event *event = of_fd(fd, TRACE_OWNER, "chown");

    if (event != NULL) {
        event->uid = uid;
        event->gid = gid;
    }
}

static void moded(int fd, mode_t mode)
{
    struct trace_event *event = of_fd(fd, TRACE_MODE, "chmod");

    if (event != NULL) {
        event->mode = mode;
    }
}

static void sized(int fd, off_t len)
{
    struct trace_event *event = of_fd(fd, TRACE_SIZE, "cut");

    if (event != NULL) {
        event->len = (size_t)len;
        rec.now.nodes[event->node].len = (size_t)len; /* shorter; longer is not used here */
    }
}

static void attributed(int fd, const char *name, const void *value, size_t size)
{
    struct trace_event *event = of_fd(fd, TRACE_XATTR, "attribute");
    uint8_t *copy;

    if (event != NULL) {
        copy = value == NULL ? NULL : disk_alloc(&rec.trace->arena, size);
        if (copy != NULL) {
            memcpy(copy, value, size);
        }
        event->xattr = (struct disk_xattr){.name = disk_name(name), .data = copy, .len = size};
    }
}

static void synced(int fd, bool is_data_only)
{
    struct trace_event *event = of_fd(fd, TRACE_SYNC, is_data_only ? "fdatasync" : "fsync");
    void *frames[TRACE_FRAMES + 2];
    int n;

    if (event == NULL) {
        return;
    }
    event->is_data_only = is_data_only;
    n = backtrace(frames, TRACE_FRAMES + 2); /* without synced() and the call itself */
    for (int i = 2; i < n; i++) {
        event->frames[i - 2] = frames[i];
    }
}

static void removed(int dir_fd, const char *path)
{
    const char *name;
    uint32_t dir = place(dir_fd, path, &name);

    if (dir != DISK_NONE) {
        entry_event("remove", (struct trace_entry){.dir = dir, .name = name, .child = DISK_NONE},
                    NULL);
    }
}

/* from_dir and to_dir are asked for before the call: afterwards a path may lead elsewhere. */
struct move {
    uint32_t from_dir;
    uint32_t to_dir;
    const char *from;
    const char *to;
};

static void moved(const struct move *m, bool exchange)
{
    struct trace_entry one = {.dir = m->to_dir, .name = m->to};
    struct trace_entry two = {.dir = m->from_dir, .name = m->from};

    if (m->from_dir == DISK_NONE || m->to_dir == DISK_NONE) {
        return;
    }
    one.child = disk_find(&rec.now, m->from_dir, m->from);
    two.child = exchange ? disk_find(&rec.now, m->to_dir, m->to) : DISK_NONE;
    if (m->from_dir == m->to_dir) {
        entry_event(exchange ? "exchange" : "rename to", one, &two);
        return;
    }
    entry_event("rename to", one, NULL);
    entry_event("rename from", two, NULL);
}

static struct move a_move(int from_fd, const char *from, int to_fd, const char *to)
{
    struct move m = {.from_dir = DISK_NONE};

    if (rec.trace != NULL) {
        m.from_dir = place(from_fd, from, &m.from);
        m.to_dir = place(to_fd, to, &m.to);
    }
    return m;
}

/* ---- start and stop ---- */

void trace_start(struct trace *trace, const char *root, const char *const *dirs)
{
    struct stat st;

    if (stat(root, &st) != 0) {
        stop("no such directory", root);
    }
    rec.dev = st.st_dev;
    rec.n_inodes = 0;
    trace->n = 0;
    trace->arena.len = 0;
    disk_scan(&trace->base, &trace->arena, root, dirs, seen, NULL);
    rec.now = trace->base;
    rec.trace = trace;
}

void trace_stop(void)
{
    rec.trace = NULL;
}

/* ---- the calls ---- */

static int opened(int fd, int dir_fd, const char *path, int flags)
{
    int saved = errno;
    struct stat st;

    if (rec.trace != NULL && fd >= 0 && (flags & O_CREAT) != 0 && fstat(fd, &st) == 0) {
        created(dir_fd, path, &st, "create");
    }
    if (rec.trace != NULL && fd >= 0 && (flags & O_TRUNC) != 0 && node_of_fd(fd) != DISK_NONE) {
        stop("cut to nothing in place", path);
    }
    errno = saved;
    return fd;
}

static mode_t mode_in(int flags, va_list ap)
{
    return (flags & O_CREAT) != 0 ? (mode_t)va_arg(ap, unsigned) : 0;
}

#define OPEN_CALL(name)                                                                            \
    int __wrap_##name(const char *path, int flags, ...)                                            \
    {                                                                                              \
        va_list ap;                                                                                \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(ap, flags);                                                                       \
        mode = mode_in(flags, ap);                                                                 \
        va_end(ap);                                                                                \
        return opened(__real_##name(path, flags, mode), AT_FDCWD, path, flags);                    \
    }
#define OPENAT_CALL(name)                                                                          \
    int __wrap_##name(int dir_fd, const char *path, int flags, ...)                                \
    {                                                                                              \
        va_list ap;                                                                                \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(ap, flags);                                                                       \
        mode = mode_in(flags, ap);                                                                 \
        va_end(ap);                                                                                \
        return opened(__real_##name(dir_fd, path, flags, mode), dir_fd, path, flags);              \
    }
#define PWRITE_CALL(name)                                                                          \
    ssize_t __wrap_##name(int fd, const void *data, size_t len, off_t off)                         \
    {                                                                                              \
        ssize_t n = __real_##name(fd, data, len, off);                                             \
                                                                                                   \
        if (rec.trace != NULL && n > 0) {                                                          \
            written(fd, data, (size_t)n, (size_t)off);                                             \
        }                                                                                          \
        return n;                                                                                  \
    }
OPEN_CALL(open)
OPEN_CALL(open64)
OPENAT_CALL(openat)
OPENAT_CALL(openat64)
PWRITE_CALL(pwrite)
PWRITE_CALL(pwrite64)

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    ssize_t n = __real_write(fd, data, len);

    if (rec.trace != NULL && n > 0 && node_of_fd(fd) != DISK_NONE) {
        written(fd, data, (size_t)n, (size_t)(lseek(fd, 0, SEEK_CUR) - n));
    }
    return n;
}

#define NOTED(call, note)                                                                          \
    int rc = call;                                                                                 \
    int saved = errno;                                                                             \
                                                                                                   \
    if (rec.trace != NULL && rc == 0) {                                                            \
        note;                                                                                      \
    }                                                                                              \
    errno = saved;                                                                                 \
    return rc

int __wrap_fsync(int fd)
{
    NOTED(__real_fsync(fd), synced(fd, false));
}

int __wrap_fdatasync(int fd)
{
    NOTED(__real_fdatasync(fd), synced(fd, true));
}

int __wrap_fchmod(int fd, mode_t mode)
{
    NOTED(__real_fchmod(fd, mode), moded(fd, mode));
}

int __wrap_fchown(int fd, uid_t uid, gid_t gid)
{
    NOTED(__real_fchown(fd, uid, gid), owned(fd, uid, gid));
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    struct stat st;

    NOTED(__real_mkdir(path, mode),
          if (lstat(path, &st) == 0) created(AT_FDCWD, path, &st, "mkdir"));
}

int __wrap_rmdir(const char *path)
{
    NOTED(__real_rmdir(path), removed(AT_FDCWD, path));
}

int __wrap_unlink(const char *path)
{
    NOTED(__real_unlink(path), removed(AT_FDCWD, path));
}

int __wrap_unlinkat(int dir_fd, const char *path, int flags)
{
    NOTED(__real_unlinkat(dir_fd, path, flags), removed(dir_fd, path));
}

int __wrap_rename(const char *from, const char *to)
{
    struct move m = a_move(AT_FDCWD, from, AT_FDCWD, to);

    NOTED(__real_rename(from, to), moved(&m, false));
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    struct move m = a_move(from_fd, from, to_fd, to);

    NOTED(__real_renameat(from_fd, from, to_fd, to), moved(&m, false));
}

int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    struct move m = a_move(from_fd, from, to_fd, to);

    NOTED(__real_renameat2(from_fd, from, to_fd, to, flags), moved(&m, flags == RENAME_EXCHANGE));
}

int __wrap_ftruncate(int fd, off_t len)
{
    NOTED(__real_ftruncate(fd, len), sized(fd, len));
}

int __wrap_ftruncate64(int fd, off_t len)
{
    NOTED(__real_ftruncate64(fd, len), sized(fd, len));
}

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    NOTED(__real_fsetxattr(fd, name, value, size, flags), attributed(fd, name, value, size));
}

int __wrap_fremovexattr(int fd, const char *name)
{
    NOTED(__real_fremovexattr(fd, name), attributed(fd, name, NULL, 0));
}

/* What a deployment does in no scenario: whoever adds it teaches the model. */
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    if (rec.trace != NULL) {
        stop("the model knows no second names", from);
    }
    return __real_linkat(from_fd, from, to_fd, to, flags);
}
