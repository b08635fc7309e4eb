/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scanners/closed.h"
#include "scanners/declared.h"
#include "scanners/endpoints.h"
#include "scanners/managers.h"
#include "scanners/processes.h"
#include "scanners/scanner.h"
#include "scanners/target_files.h"
#include "scanners/users.h"

#define UNSEEN_MAX 4    /* sockets without an owner that are named */
#define UNITS_MAX  5000 /* loaded units looked at; a host has some hundreds */

/* Units under which distributions run the servers that have a scanner. */
static const struct {
    const char *kind;
    const char *unit;
} usual_units[] = {
    {"nginx", "nginx.service"},    {"nginx", "openresty.service"}, {"nginx", "angie.service"},
    {"apache", "apache2.service"}, {"apache", "httpd.service"},    {"tomcat", "tomcat.service"},
    {"tomcat", "tomcat9.service"}, {"tomcat", "tomcat10.service"}, {"tomcat", "tomcat11.service"},
};

/* A unit and its main process, as systemd sees it. */
struct unit {
    char name[256];
    int32_t main_pid;
};

struct scan {
    const struct clm_io *io;
    struct clm_processes processes;
    struct clm_users users;
    struct unit *units;
    size_t n_units;
    bool has_units;
    struct clm_inventory *out;
};

static enum clm_code visit_unit(void *arg, const struct clm_unit *unit, struct clm_err *err)
{
    struct scan *scan = arg;

    if (scan->n_units >= UNITS_MAX || unit->state != CLM_UNIT_ACTIVE) {
        return CLM_OK;
    }
    if ((scan->n_units & (scan->n_units - 1)) == 0) { /* grows at each power of two */
        size_t cap = scan->n_units == 0 ? 1 : scan->n_units * 2;
        struct unit *v = realloc(scan->units, cap * sizeof(*v));

        if (v == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "list of units");
        }
        scan->units = v;
    }
    scan->units[scan->n_units].main_pid = unit->main_pid;
    memcpy(scan->units[scan->n_units].name, unit->name, sizeof(unit->name));
    scan->n_units++;
    return CLM_OK;
}

static enum clm_code read_units(struct scan *scan, struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code = scan->io->unit_list(scan->io->ctx, visit_unit, scan, &why);

    scan->has_units = code == CLM_OK;
    if (code == CLM_OK || code == CLM_E_UNSUPPORTED) {
        return CLM_OK;
    }
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg)
                               : clm_remark(&scan->out->errors, err, "systemd: %s", why.msg);
}

/* A server started by hand runs in the unit of the shell's session: to reload that unit would hit
 * something else. So a unit counts only if this process is its main process. */
static enum clm_code set_unit(const struct scan *scan, const struct clm_process *process,
                              struct clm_service *service, struct clm_err *err)
{
    const struct unit *unit = NULL;

    for (size_t i = 0; i < scan->n_units && unit == NULL; i++) {
        if (strcmp(scan->units[i].name, process->unit) == 0) {
            unit = &scan->units[i];
        }
    }
    if (process->unit[0] == '\0' || (unit != NULL && unit->main_pid == process->pid) ||
        !scan->has_units) {
        memcpy(service->unit, process->unit, sizeof(service->unit));
        return CLM_OK;
    }
    return clm_remark(&service->remarks, err,
                      "runs inside unit '%s', but is not its main process: it is reloaded by a "
                      "signal",
                      process->unit);
}

/* jsvc starts Tomcat in a child of its own name, which is what systemd calls the main process's. */
static size_t serving(const struct clm_processes *processes, size_t main)
{
    const struct clm_process *parent = &processes->v[main];

    for (size_t i = 0; i < processes->n && strcmp(parent->comm, "jsvc") == 0; i++) {
        if (processes->v[i].parent == parent && strcmp(processes->v[i].comm, parent->comm) == 0) {
            return i;
        }
    }
    return main;
}

static enum clm_code add_listeners(const struct scan *scan, const struct clm_process *process,
                                   struct clm_service *service, struct clm_err *err)
{
    for (size_t i = 0; i < scan->processes.sockets.n; i++) {
        const struct clm_socket *socket = &scan->processes.sockets.v[i];
        struct clm_listener *listener;

        if (socket->owner == SIZE_MAX || &scan->processes.v[socket->owner] != process) {
            continue;
        }
        for (size_t k = 0; k < service->n_listeners; k++) {
            if (service->listeners[k].port == socket->port &&
                strcmp(service->listeners[k].addr, socket->addr) == 0) {
                socket = NULL; /* SO_REUSEPORT: one socket for each worker */
                break;
            }
        }
        if (socket == NULL) {
            continue;
        }
        listener = clm_service_add_listener(service);
        if (listener == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "listener");
        }
        listener->port = socket->port;
        memcpy(listener->addr, socket->addr, sizeof(socket->addr));
    }
    return CLM_OK;
}

static int by_port(const void *a, const void *b)
{
    const struct clm_listener *x = a;
    const struct clm_listener *y = b;

    return x->port != y->port ? (x->port > y->port) - (x->port < y->port)
                              : strcmp(x->addr, y->addr);
}

/* What every service has, whatever its kind. */
static enum clm_code new_service(struct scan *scan, struct clm_process *process, const char *kind,
                                 struct clm_service **out, struct clm_err *err)
{
    struct clm_service *service;
    enum clm_code code = clm_process_details(scan->io, process, err);

    if (code != CLM_OK) {
        return code;
    }
    service = clm_inventory_add_service(scan->out);
    if (service == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "service");
    }
    *out = service;
    (void)snprintf(service->kind, sizeof(service->kind), "%s", kind);
    service->running = true;
    service->pid = process->pid;
    service->start_ticks = process->start_ticks;
    service->foreign_namespace = process->has_own_root;
    (void)snprintf(service->exe, sizeof(service->exe), "%s", process->exe);
    clm_users_user(&scan->users, process->uid, service->user, sizeof(service->user));
    code = set_unit(scan, process, service, err);
    if (code == CLM_OK && process->is_deleted) {
        code = clm_remark(&service->remarks, err,
                          "'%s' was replaced while it runs: restart the server to use the new one",
                          process->exe);
    }
    if (code == CLM_OK) {
        code = add_listeners(scan, process, service, err);
    }
    if (code == CLM_OK && process->is_closed && service->unit[0] == '\0' &&
        service->n_listeners == 0) {
        code = clm_remark(&service->remarks, err,
                          "runs as no unit's main process, so its ports cannot be seen and its "
                          "configuration is believed; " CLM_CLOSED_SWITCH);
    }
    if (code == CLM_OK && service->n_listeners > 0) {
        qsort(service->listeners, service->n_listeners, sizeof(*service->listeners), by_port);
    }
    return code;
}

/* Programs that run others: only their arguments say which. */
static bool is_launcher(const struct clm_process *process)
{
    const char *name = clm_process_name(process);

    return strcmp(name, "java") == 0 || strcmp(name, "jsvc") == 0;
}

static enum clm_code offer(struct scan *scan, struct clm_process *process, bool *out_claimed,
                           struct clm_err *err)
{
    const struct clm_scanner_ops *const *ops = clm_scanners_all();

    if (is_launcher(process)) {
        enum clm_code code = clm_process_details(scan->io, process, err);

        if (code != CLM_OK) {
            return code;
        }
    }
    for (size_t i = 0; ops[i] != NULL; i++) {
        struct clm_service *service = NULL;
        enum clm_code code;

        if (!ops[i]->claims(process)) {
            continue;
        }
        *out_claimed = true;
        code = new_service(scan, process, ops[i]->name, &service, err);
        if (code != CLM_OK || service == NULL) {
            return code;
        }
        code = ops[i]->read(scan->io, process, service, err);
        if (code == CLM_OK) {
            code =
                clm_str_fmt(service->id, sizeof(service->id), err, "%s@%s", service->kind,
                            service->config_path[0] != '\0' ? service->config_path : service->exe);
        }
        return code;
    }
    return CLM_OK;
}

static enum clm_code add_other(struct scan *scan, struct clm_process *process, struct clm_err *err)
{
    struct clm_service *service = NULL;
    enum clm_code code = new_service(scan, process, "other", &service, err);

    if (code != CLM_OK || service == NULL) {
        return code;
    }
    return clm_str_fmt(service->id, sizeof(service->id), err, "other@%s:%u", process->comm,
                       service->n_listeners > 0 ? service->listeners[0].port : 0);
}

static bool owns_socket(const struct clm_processes *processes, size_t process)
{
    for (size_t i = 0; i < processes->sockets.n; i++) {
        if (processes->sockets.v[i].owner == process) {
            return true;
        }
    }
    return false;
}

static enum clm_code read_services(struct scan *scan, struct clm_err *err)
{
    struct clm_processes *processes = &scan->processes;
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < processes->n && code == CLM_OK; i++) {
        bool claimed = false;

        if (processes->v[i].is_kernel) {
            continue;
        }
        code = offer(scan, &processes->v[i], &claimed, err);
        if (code == CLM_OK && !claimed && owns_socket(processes, i)) {
            code = add_other(scan, &processes->v[i], err);
        }
    }
    return code;
}

/* Servers that are installed as a unit, but do not run. */
static enum clm_code add_stopped(struct scan *scan, struct clm_err *err)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(usual_units); i++) {
        struct clm_unit unit = {.name = ""};
        struct clm_service *service;
        enum clm_code code;

        if (scan->io->unit_state(scan->io->ctx, usual_units[i].unit, &unit, NULL) != CLM_OK ||
            (unit.state != CLM_UNIT_INACTIVE && unit.state != CLM_UNIT_FAILED)) {
            continue;
        }
        service = clm_inventory_add_service(scan->out);
        if (service == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "service");
        }
        (void)snprintf(service->kind, sizeof(service->kind), "%s", usual_units[i].kind);
        (void)snprintf(service->unit, sizeof(service->unit), "%s", usual_units[i].unit);
        (void)snprintf(service->id, sizeof(service->id), "%s@%s", usual_units[i].kind,
                       usual_units[i].unit);
        code = clm_remark(&service->remarks, err,
                          "installed, but %s: 'systemctl start %s' makes its certificates "
                          "manageable",
                          unit.state == CLM_UNIT_FAILED ? "failed" : "not running",
                          usual_units[i].unit);
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

static const struct clm_service *find_service(const struct clm_inventory *out, const char *id)
{
    for (size_t i = 0; i < out->n_services; i++) {
        if (strcmp(out->services[i].id, id) == 0) {
            return &out->services[i];
        }
    }
    return NULL;
}

/* Names of services and targets are unique on the host, also if two instances serve one name. */
static enum clm_code make_unique(struct clm_inventory *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t s = 0; s < out->n_services; s++) {
        struct clm_service *service = &out->services[s];
        char name[sizeof(service->id)];

        memcpy(name, service->id, sizeof(name));
        for (unsigned i = 2; code == CLM_OK && find_service(out, service->id) != service; i++) {
            code = clm_str_fmt(service->id, sizeof(service->id), err, "%s#%u", name, i);
        }
        for (size_t t = 0; t < service->n_targets && code == CLM_OK; t++) {
            struct clm_target *target = &service->targets[t];

            memcpy(name, target->id, sizeof(target->id));
            for (unsigned i = 2;
                 code == CLM_OK && clm_inventory_find(out, target->id, NULL) != target; i++) {
                code = clm_str_fmt(target->id, sizeof(target->id), err, "%s#%u", name, i);
            }
        }
    }
    return code;
}

static void drop_others(struct clm_inventory *out, const struct clm_strs *kinds)
{
    size_t kept = 0;

    if (kinds == NULL || kinds->n == 0) {
        return;
    }
    for (size_t i = 0; i < out->n_services; i++) {
        if (!clm_strs_has(kinds, out->services[i].kind)) {
            clm_service_done(&out->services[i]);
        } else {
            if (kept != i) {
                out->services[kept] = out->services[i];
            }
            kept++;
        }
    }
    out->n_services = kept;
}

/* Process 1 last, as it holds what it listens to for others. */
static void own_sockets(struct scan *scan)
{
    struct clm_processes *processes = &scan->processes;

    for (size_t i = 0; i < processes->n; i++) {
        for (size_t u = 0; u < scan->n_units; u++) {
            if (scan->units[u].main_pid == processes->v[i].pid) {
                clm_closed_own(scan->io, processes, serving(processes, i));
            }
        }
    }
    for (size_t i = 0; i < processes->n; i++) {
        if (processes->v[i].pid == 1) {
            clm_closed_own(scan->io, processes, i);
        }
    }
}

/* What listens and could not be joined with a process. */
static enum clm_code say_unseen(struct scan *scan, struct clm_err *err)
{
    const struct clm_processes *processes = &scan->processes;
    char ports[128] = "";
    size_t n = 0;
    bool has_closed = false;

    for (size_t i = 0; i < processes->n; i++) {
        has_closed = has_closed || processes->v[i].is_closed;
    }
    for (size_t i = 0; i < processes->sockets.n && has_closed; i++) {
        const struct clm_socket *socket = &processes->sockets.v[i];
        size_t len = strlen(ports);

        if (socket->owner == SIZE_MAX && n++ < UNSEEN_MAX) {
            (void)snprintf(ports + len, sizeof(ports) - len, "%s%s:%u", len > 0 ? ", " : "",
                           socket->addr, socket->port);
        }
    }
    return n == 0 ? CLM_OK
                  : clm_remark(&scan->out->errors, err,
                               "nobody could be seen behind %zu listening socket%s (%s%s), as of "
                               "servers in containers or started by hand; " CLM_CLOSED_SWITCH,
                               n, n == 1 ? "" : "s", ports, n > UNSEEN_MAX ? ", ..." : "");
}

static enum clm_code run(struct scan *scan, struct clm_err *err)
{
    enum clm_code code = clm_processes_read(scan->io, &scan->processes, &scan->out->errors, err);

    if (code == CLM_OK) {
        code = clm_users_read(scan->io, &scan->users, err);
    }
    if (code == CLM_OK) {
        code = read_units(scan, err);
    }
    if (code == CLM_OK) {
        own_sockets(scan);
        code = say_unseen(scan, err);
    }
    if (code == CLM_OK) {
        code = read_services(scan, err);
    }
    if (code == CLM_OK) {
        code = add_stopped(scan, err);
    }
    if (code == CLM_OK) {
        code = clm_declared_add(scan->io, scan->out, err);
    }
    if (code == CLM_OK) {
        code = clm_targets_say_where(scan->out, err);
    }
    if (code == CLM_OK) {
        code = make_unique(scan->out, err);
    }
    if (code == CLM_OK) {
        code = clm_targets_check_shared(scan->io, scan->out, err);
    }
    return code == CLM_OK ? clm_managers_mark(scan->io, scan->out, err) : code;
}

enum clm_code clm_scan_host(const struct clm_io *io, const struct clm_strs *kinds,
                            struct clm_inventory *out, struct clm_err *err)
{
    struct scan scan = {.io = io, .out = out};
    int64_t start_ms = io->mono_ms(io->ctx);
    enum clm_code code;

    out->started_at_s = io->now_s(io->ctx);
    code = run(&scan, err);
    drop_others(out, kinds);
    out->duration_ms = (uint32_t)(io->mono_ms(io->ctx) - start_ms);
    clm_processes_done(&scan.processes);
    clm_users_done(&scan.users);
    free(scan.units);
    return code;
}
