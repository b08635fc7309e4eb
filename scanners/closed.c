/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/closed.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/formats/server_args.h"
#include "scanners/endpoints.h"

#define COMM_MAX 15 /* characters of a name that the kernel keeps */

/* ---- programs ---- */

/* The kernel's name of the process is that of the file it was started from. */
static bool is_of(const char *path, const char *comm)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t len = strlen(comm);

    return len > 0 && strncmp(name, comm, len) == 0 && (name[len] == '\0' || len == COMM_MAX);
}

/* A name without a directory: where servers are installed. */
static void find_program(const struct clm_io *io, const char *name, char *dst)
{
    static const char *const dirs[] = {"/usr/sbin", "/usr/local/sbin", "/usr/bin",
                                       "/usr/local/bin"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(dirs); i++) {
        struct clm_stat st = {0};

        if (clm_str_fmt(dst, PATH_MAX, NULL, "%s/%s", dirs[i], name) == CLM_OK &&
            io->stat(io->ctx, dst, true, &st, NULL) == CLM_OK && st.kind == CLM_FILE_REGULAR) {
            return;
        }
    }
    dst[0] = '\0';
}

char *clm_closed_exe(const struct clm_io *io, const struct clm_process *process)
{
    static const char title[] = "nginx: master process ";
    CLM_CLEANUP(clm_strs_done) struct clm_strs argv = {0};
    char path[PATH_MAX] = "";
    const char *first;

    if (clm_cmdline_read(io, process->pid, &argv, NULL) != CLM_OK || argv.n == 0) {
        return strdup("");
    }
    first = argv.v[0];
    if (clm_str_starts(first, title)) {
        first += strlen(title);
        (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(first, " "), first);
    } else {
        clm_ignore(clm_str_copy(path, sizeof(path), first, NULL));
    }
    if (!is_of(path, process->comm)) {
        path[0] = '\0';
    } else if (path[0] != '/') {
        const char *slash = strrchr(path, '/');
        char name[NAME_MAX + 1] = "";

        clm_ignore(clm_str_copy(name, sizeof(name), slash == NULL ? path : slash + 1, NULL));
        find_program(io, name, path);
    }
    return strdup(path);
}

enum clm_code clm_closed_inherit(struct clm_processes *list, struct clm_err *err)
{
    for (size_t i = 0; i < list->n; i++) {
        struct clm_process *process = &list->v[i];
        const struct clm_process *parent = process->parent;
        char *copy;

        if (!process->is_closed || process->exe[0] != '\0' || parent == NULL ||
            strcmp(parent->comm, process->comm) != 0) {
            continue;
        }
        copy = strdup(parent->exe);
        if (copy == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "list of processes");
        }
        free(process->exe);
        process->exe = copy;
    }
    return CLM_OK;
}

/* ---- sockets ---- */

static enum clm_code visit_socket(void *arg, const struct clm_listening *from, struct clm_err *err)
{
    struct clm_socket socket = {
        .inode = from->inode, .cgroup = from->cgroup, .port = from->port, .owner = SIZE_MAX};

    memcpy(socket.addr, from->addr, sizeof(socket.addr));
    return clm_sockets_add(arg, &socket, err);
}

enum clm_code clm_closed_sockets(const struct clm_io *io, struct clm_processes *list,
                                 struct clm_strs *notes, struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code = io->listening == NULL
                             ? clm_err_set(&why, CLM_E_UNSUPPORTED, "the kernel is not asked")
                             : io->listening(io->ctx, visit_socket, &list->sockets, &why);

    if (code == CLM_OK || code == CLM_E_NOMEM) {
        return code == CLM_OK ? code : clm_err_set(err, code, "list of sockets");
    }
    code = clm_remark(
        notes, err, "which service holds which port is not known: %s; " CLM_CLOSED_SWITCH, why.msg);
    if (code == CLM_OK && clm_sockets_read(io, 1, &list->sockets, NULL) == CLM_E_NOMEM) {
        code = clm_err_set(err, CLM_E_NOMEM, "list of sockets");
    }
    return code;
}

/* The directory of a control group of version 2 is the number that the kernel gives its sockets. */
static uint64_t cgroup_id(const struct clm_io *io, const struct clm_process *process)
{
    static const char *const bases[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    char group[PATH_MAX];

    if (!clm_process_cgroup(io, process->pid, "::", group, sizeof(group))) {
        return 0;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(bases); i++) {
        char path[PATH_MAX + 64];
        struct clm_stat st = {0};

        (void)snprintf(path, sizeof(path), "%s%s", bases[i], group);
        if (io->stat(io->ctx, path, true, &st, NULL) == CLM_OK) {
            return st.ino;
        }
    }
    return 0;
}

void clm_closed_own(const struct clm_io *io, struct clm_processes *list, size_t process)
{
    uint64_t id = list->v[process].is_closed ? cgroup_id(io, &list->v[process]) : 0;

    for (size_t i = 0; id != 0 && i < list->sockets.n; i++) {
        struct clm_socket *socket = &list->sockets.v[i];

        if (socket->owner == SIZE_MAX && socket->cgroup == id) {
            socket->owner = process;
        }
    }
}
