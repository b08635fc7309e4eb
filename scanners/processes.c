/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/processes.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/formats/server_args.h"
#include "scanners/closed.h"
#include "scanners/fields.h"
#include "scanners/mounts.h"

#define STAT_MAX       4096u /* bytes of /proc/PID/stat: 52 numbers and a name */
#define STATUS_MAX     ((size_t)16 * 1024)
#define CGROUP_MAX     ((size_t)16 * 1024)
#define FDS_MAX        8192u       /* of one process: servers open their listeners early */
#define PF_KTHREAD     0x00200000u /* include/linux/sched.h */
#define LINK_MAX_BYTES 64u         /* "socket:[18446744073709551615]" */

static const char deleted[] = " (deleted)";

static void process_done(struct clm_process *process)
{
    free(process->exe);
    free(process->net);
    clm_strs_done(&process->argv);
}

void clm_processes_done(struct clm_processes *processes)
{
    for (size_t i = 0; i < processes->n; i++) {
        process_done(&processes->v[i]);
    }
    free(processes->v);
    clm_sockets_done(&processes->sockets);
    *processes = (struct clm_processes){.v = NULL};
}

/* ---- one process ---- */

/* "812 (nginx) S 1 812 812 0 -1 4194560 ...": the name may hold blanks and parentheses. Numbers of
 * words are those of proc(5) less 3: they count from behind the name. */
static bool parse_stat(char *text, struct clm_process *out)
{
    char *open = strchr(text, '(');
    char *close = strrchr(text, ')');
    uint64_t parent = 0;
    uint64_t flags = 0;

    if (open == NULL || close == NULL || close < open) {
        return false;
    }
    *close = '\0';
    (void)snprintf(out->comm, sizeof(out->comm), "%s", open + 1);
    if (close[1] == ' ' && close[2] == 'Z') {
        return false; /* ended; its parent has not looked yet */
    }
    if (!clm_field_number(close + 1, 1, 10, &parent) || parent > INT32_MAX ||
        !clm_field_number(close + 1, 6, 10, &flags) ||
        !clm_field_number(close + 1, 19, 10, &out->start_ticks)) {
        return false;
    }
    out->parent_pid = (int32_t)parent;
    out->is_kernel = (flags & PF_KTHREAD) != 0;
    return true;
}

/* The target of /proc/PID/<name> in new memory, "" if it cannot be read; NULL on no memory.
 * *io_is_closed is set if that is for want of rights. */
static char *read_proc_link(const struct clm_io *io, int32_t pid, const char *name,
                            bool *io_is_closed)
{
    char target[PATH_MAX] = "";
    char path[64];
    enum clm_code code;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    code = io->read_link(io->ctx, path, target, sizeof(target), NULL);
    if (code != CLM_OK) {
        target[0] = '\0';
        *io_is_closed = *io_is_closed || code == CLM_E_PERM;
    }
    return strdup(target);
}

static void cut_deleted(struct clm_process *process)
{
    size_t len = strlen(process->exe);

    if (clm_str_ends(process->exe, deleted)) {
        process->exe[len - strlen(deleted)] = '\0';
        process->is_deleted = true;
    }
}

/* NOTFOUND: it ended. */
static enum clm_code read_process(const struct clm_io *io, struct clm_buf *text,
                                  struct clm_process *out, struct clm_err *err)
{
    char path[64];
    enum clm_code code;

    clm_buf_reset(text);
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)out->pid);
    code = io->read_file(io->ctx, path, STAT_MAX, text, err);
    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? code : CLM_E_NOTFOUND;
    }
    if (text->len == 0 || !parse_stat((char *)text->data, out)) {
        return CLM_E_NOTFOUND;
    }
    out->exe = out->is_kernel ? strdup("") : read_proc_link(io, out->pid, "exe", &out->is_closed);
    out->net = out->is_kernel || out->is_closed
                   ? strdup("")
                   : read_proc_link(io, out->pid, "ns/net", &out->is_closed);
    if (out->is_closed) {
        free(out->exe);
        out->exe = clm_closed_exe(io, out);
    }
    if (out->exe == NULL || out->net == NULL) {
        process_done(out);
        return clm_err_set(err, CLM_E_NOMEM, "process %d", (int)out->pid);
    }
    cut_deleted(out);
    return CLM_OK;
}

/* ---- all processes ---- */

struct walk {
    const struct clm_io *io;
    struct clm_processes *out;
    struct clm_buf text;
};

static enum clm_code visit_pid(void *arg, const char *name, struct clm_err *err)
{
    struct walk *walk = arg;
    struct clm_processes *list = walk->out;
    int64_t pid = 0;
    enum clm_code code;

    if (!isdigit((unsigned char)name[0]) ||
        clm_str_to_int(name, 1, INT32_MAX, &pid, NULL) != CLM_OK) {
        return CLM_OK;
    }
    if (list->n >= CLM_PROCESSES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "more than %d processes", CLM_PROCESSES_MAX);
    }
    if ((list->n & (list->n - 1)) == 0) { /* grows at each power of two */
        size_t cap = list->n == 0 ? 1 : list->n * 2;
        struct clm_process *v = realloc(list->v, cap * sizeof(*v));

        if (v == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "list of processes");
        }
        list->v = v;
    }
    list->v[list->n] = (struct clm_process){.pid = (int32_t)pid};
    code = read_process(walk->io, &walk->text, &list->v[list->n], err);
    if (code == CLM_OK) {
        list->n++;
    }
    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

static int by_start(const void *a, const void *b)
{
    const struct clm_process *x = a;
    const struct clm_process *y = b;

    if (x->start_ticks != y->start_ticks) {
        return x->start_ticks < y->start_ticks ? -1 : 1;
    }
    return (x->pid > y->pid) - (x->pid < y->pid);
}

struct pid_index {
    int32_t pid;
    size_t index;
};

static int by_pid(const void *a, const void *b)
{
    const struct pid_index *x = a;
    const struct pid_index *y = b;

    return (x->pid > y->pid) - (x->pid < y->pid);
}

static enum clm_code find_parents(struct clm_processes *list, struct clm_err *err)
{
    struct pid_index *index = calloc(list->n + 1, sizeof(*index));

    if (index == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "index of processes");
    }
    for (size_t i = 0; i < list->n; i++) {
        index[i] = (struct pid_index){.pid = list->v[i].pid, .index = i};
    }
    qsort(index, list->n, sizeof(*index), by_pid);
    for (size_t i = 0; i < list->n; i++) {
        struct pid_index key = {.pid = list->v[i].parent_pid};
        const struct pid_index *hit = bsearch(&key, index, list->n, sizeof(*index), by_pid);

        list->v[i].parent = hit == NULL ? NULL : &list->v[hit->index];
    }
    free(index);
    return CLM_OK;
}

/* ---- sockets and their owners ---- */

/* Once for each network namespace. */
static enum clm_code read_sockets(const struct clm_io *io, struct clm_processes *list,
                                  struct clm_strs *notes, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs done = {0};
    enum clm_code code = CLM_OK;
    bool has_closed = false;

    for (size_t i = 0; i < list->n && code == CLM_OK; i++) {
        const struct clm_process *process = &list->v[i];
        struct clm_err why = {0};

        has_closed = has_closed || process->is_closed;
        if (process->is_kernel || process->net[0] == '\0' || clm_strs_has(&done, process->net)) {
            continue;
        }
        code = clm_sockets_read(io, process->pid, &list->sockets, &why);
        if (code == CLM_OK) {
            code = clm_strs_add(&done, process->net, err);
        } else if (code == CLM_E_NOMEM) {
            (void)clm_err_set(err, code, "%s", why.msg);
        } else {
            code = CLM_OK; /* ended meanwhile: the next one of this namespace will do */
        }
    }
    if (code == CLM_OK && has_closed) {
        code = clm_closed_sockets(io, list, notes, err);
    } else if (code == CLM_OK && done.n == 0) { /* not even our own link could be read: not root */
        struct clm_err why = {0};

        if (clm_sockets_read(io, 0, &list->sockets, &why) != CLM_OK) {
            code = clm_strs_add(notes, why.msg, err);
        }
    }
    clm_sockets_sort(&list->sockets);
    return code;
}

struct fd_walk {
    const struct clm_io *io;
    struct clm_processes *list;
    size_t process;
    size_t *left;
    size_t seen;
};

/* CANCELLED: enough. */
static enum clm_code visit_fd(void *arg, const char *name, struct clm_err *err)
{
    static const char prefix[] = "socket:[";
    struct fd_walk *walk = arg;
    char path[64];
    char target[LINK_MAX_BYTES];
    struct clm_socket *socket;

    (void)err;
    if (*walk->left == 0 || walk->seen++ >= FDS_MAX) {
        return CLM_E_CANCELLED;
    }
    if (strlen(name) > 16) {
        return CLM_OK;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)walk->list->v[walk->process].pid,
                   name);
    if (walk->io->read_link(walk->io->ctx, path, target, sizeof(target), NULL) != CLM_OK ||
        !clm_str_starts(target, prefix)) {
        return CLM_OK;
    }
    socket = clm_sockets_find(&walk->list->sockets, strtoull(target + strlen(prefix), NULL, 10));
    if (socket != NULL && socket->owner == SIZE_MAX) {
        socket->owner = walk->process;
        (*walk->left)--;
    }
    return CLM_OK;
}

/* In the order of their start; process 1 last: systemd keeps the sockets it hands out. */
static enum clm_code find_owners(const struct clm_io *io, struct clm_processes *list,
                                 struct clm_err *err)
{
    size_t left = list->sockets.n;

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < list->n && left > 0; i++) {
            struct fd_walk walk = {.io = io, .list = list, .process = i, .left = &left};
            struct clm_err why = {0};
            char path[64];

            if (list->v[i].is_kernel || list->v[i].is_closed ||
                (list->v[i].pid == 1) != (round == 1)) {
                continue;
            }
            (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)list->v[i].pid);
            if (io->list_dir(io->ctx, path, visit_fd, &walk, &why) == CLM_E_NOMEM) {
                return clm_err_set(err, CLM_E_NOMEM, "%s", why.msg);
            }
        }
    }
    return CLM_OK;
}

enum clm_code clm_processes_read(const struct clm_io *io, struct clm_processes *out,
                                 struct clm_strs *notes, struct clm_err *err)
{
    struct walk walk = {.io = io, .out = out, .text = CLM_BUF_INIT(STAT_MAX + 1)};
    struct clm_err why = {0};
    enum clm_code code = io->list_dir(io->ctx, "/proc", visit_pid, &walk, &why);

    clm_buf_done(&walk.text);
    if (code != CLM_OK) {
        return code == CLM_E_LIMIT || code == CLM_E_NOMEM
                   ? clm_err_set(err, code, "%s", why.msg)
                   : clm_err_set(err, CLM_E_IO, "list the running processes: %s", why.msg);
    }
    if (out->n > 0) {
        qsort(out->v, out->n, sizeof(*out->v), by_start);
    }
    code = find_parents(out, err);
    if (code == CLM_OK) {
        code = clm_closed_inherit(out, err);
    }
    if (code == CLM_OK) {
        code = read_sockets(io, out, notes, err);
    }
    if (code == CLM_OK) {
        code = find_owners(io, out, err);
    }
    return code;
}

/* ---- details ---- */

static void read_uid(const struct clm_io *io, struct clm_process *process)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(STATUS_MAX + 1);
    uint64_t effective = 0;
    const char *line;
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
    if (io->read_file(io->ctx, path, STATUS_MAX, &text, NULL) != CLM_OK) {
        return;
    }
    line = strstr(clm_buf_str(&text), "\nUid:");
    if (line != NULL && clm_field_number(line + 1, 2, 10, &effective)) {
        process->uid = (uint32_t)effective; /* "Uid: real effective saved filesystem" */
    }
}

/* The last component of a cgroup path that ends in ".service", as in "0::/system.slice/x.service". */
static void unit_of_path(const char *path, size_t len, char *dst, size_t size)
{
    static const char suffix[] = ".service";
    const size_t suffix_len = sizeof(suffix) - 1;
    size_t end = len;

    while (end > 0) {
        size_t from = end;

        while (from > 0 && path[from - 1] != '/') {
            from--;
        }
        if (end - from > suffix_len && end - from < size &&
            memcmp(path + end - suffix_len, suffix, suffix_len) == 0) {
            memcpy(dst, path + from, end - from);
            dst[end - from] = '\0';
            return;
        }
        end = from > 0 ? from - 1 : 0;
    }
}

bool clm_process_cgroup(const struct clm_io *io, int32_t pid, const char *before, char *dst,
                        size_t size)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CGROUP_MAX + 1);
    const char *line;
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (io->read_file(io->ctx, path, CGROUP_MAX, &text, NULL) != CLM_OK) {
        return false;
    }
    line = clm_buf_str(&text);
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        const char *found = memchr(line, ':', len);

        if (found != NULL && clm_str_starts(found, before) && found[strlen(before)] == '/') {
            found += strlen(before);
            return clm_str_fmt(dst, size, NULL, "%.*s", (int)(line + len - found), found) == CLM_OK;
        }
        line += len + (line[len] == '\n');
    }
    return false;
}

/* Of version 2, or of systemd's own hierarchy of version 1. */
static void read_unit(const struct clm_io *io, struct clm_process *process)
{
    static const char *const hierarchies[] = {"::", ":name=systemd:"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(hierarchies) && process->unit[0] == '\0'; i++) {
        char group[PATH_MAX];

        if (clm_process_cgroup(io, process->pid, hierarchies[i], group, sizeof(group))) {
            unit_of_path(group, strlen(group), process->unit, sizeof(process->unit));
        }
    }
}

static bool same_file(const struct clm_io *io, const char *a, const char *b)
{
    struct clm_stat x = {0};
    struct clm_stat y = {0};

    return io->stat(io->ctx, a, true, &x, NULL) == CLM_OK &&
           io->stat(io->ctx, b, true, &y, NULL) == CLM_OK && x.dev == y.dev && x.ino == y.ino;
}

static void read_mounts(const struct clm_io *io, struct clm_process *process)
{
    char ours[LINK_MAX_BYTES] = "";
    char theirs[LINK_MAX_BYTES] = "";
    struct clm_stat st = {0};
    char path[64];

    if (process->is_closed) {
        clm_mounts_compare(io, process, &process->has_own_mounts, &process->has_own_root);
        return;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)process->pid);
    if (io->read_link(io->ctx, path, theirs, sizeof(theirs), NULL) == CLM_OK &&
        io->read_link(io->ctx, "/proc/self/ns/mnt", ours, sizeof(ours), NULL) == CLM_OK) {
        process->has_own_mounts = strcmp(ours, theirs) != 0;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/root/", (int)process->pid);
    if (io->stat(io->ctx, path, true, &st, NULL) == CLM_OK) {
        process->has_own_root = !same_file(io, path, "/");
    }
}

enum clm_code clm_process_details(const struct clm_io *io, struct clm_process *process,
                                  struct clm_err *err)
{
    enum clm_code code;

    if (process->argv.n > 0) {
        return CLM_OK; /* asked before */
    }
    code = clm_cmdline_read(io, process->pid, &process->argv, err);
    if (code == CLM_E_NOMEM) {
        return code;
    }
    read_uid(io, process);
    read_unit(io, process);
    read_mounts(io, process);
    return CLM_OK;
}

const char *clm_process_name(const struct clm_process *process)
{
    const char *slash = strrchr(process->exe, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : process->comm;
}

bool clm_process_shares(const struct clm_io *io, const struct clm_process *process,
                        const char *path)
{
    char theirs[PATH_MAX + 32];

    if (process->has_own_root) {
        return false;
    }
    if (!process->has_own_mounts) {
        return true;
    }
    if (process->is_closed) {
        return clm_mounts_share(io, process, path);
    }
    (void)snprintf(theirs, sizeof(theirs), "/proc/%d/root%s", (int)process->pid, path);
    return same_file(io, theirs, path);
}
