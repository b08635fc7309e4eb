/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create, syscall */
#include "agent/main/units_run.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/proc.h"
#include "agent/base/rand.h"
#include "agent/base/str.h"
#include "agent/main/bus.h"

#define NAME_SIZE    64
#define GRACE_MS     2000u /* what systemd has beyond the program's own time to stop it */
#define STATUS_EXEC  203   /* of systemd: the program could not be started (systemd.exec(5)) */
#define STATUS_START 200   /* and others of its own from here on */
#define STATUS_LAST  245

static const char *const usual_env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL};

bool clm_units_must_run(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capget, &head, data) != 0) {
        return false;
    }
    return (data[0].effective & (1u << CAP_NET_BIND_SERVICE)) == 0 &&
           access("/run/systemd/system", F_OK) == 0;
}

/* A message as it is written: after the first failure nothing more is added. */
struct writer {
    sd_bus_message *m;
    int r;
};

static void put(struct writer *w, char type, const void *value)
{
    w->r = w->r < 0 ? w->r : sd_bus_message_append_basic(w->m, type, value);
}

static void open_container(struct writer *w, char type, const char *contents)
{
    w->r = w->r < 0 ? w->r : sd_bus_message_open_container(w->m, type, contents);
}

static void close_containers(struct writer *w, int n)
{
    for (int i = 0; i < n; i++) {
        w->r = w->r < 0 ? w->r : sd_bus_message_close_container(w->m);
    }
}

/* A property of the unit, open for its value. */
static void open_property(struct writer *w, const char *name, const char *type)
{
    open_container(w, 'r', "sv");
    put(w, 's', name);
    open_container(w, 'v', type);
}

static void put_property(struct writer *w, const char *name, char type, const void *value)
{
    open_property(w, name, (const char[]){type, '\0'});
    put(w, type, value);
    close_containers(w, 2);
}

/* systemd replaces "$NAME" in arguments; "$$" is a dollar (systemd.service(5)). */
static void put_arg(struct writer *w, const char *arg)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT((size_t)128 * 1024);
    enum clm_code code = CLM_OK;

    for (const char *at = arg; *at != '\0' && code == CLM_OK; at++) {
        code = clm_buf_add(&text, *at == '$' ? "$$" : at, *at == '$' ? 2 : 1, NULL);
    }
    if (code != CLM_OK) {
        w->r = code == CLM_E_NOMEM ? -ENOMEM : -E2BIG;
    }
    put(w, 's', clm_buf_str(&text));
}

/* "ExecStart", a(sasb): the program, its arguments, false: a failure counts. */
static void put_exec(struct writer *w, const char *const *argv)
{
    open_property(w, "ExecStart", "a(sasb)");
    open_container(w, 'a', "(sasb)");
    open_container(w, 'r', "sasb");
    put(w, 's', argv[0]);
    open_container(w, 'a', "s");
    for (size_t i = 0; argv[i] != NULL; i++) {
        put_arg(w, argv[i]);
    }
    close_containers(w, 1);
    put(w, 'b', &(const int){0});
    close_containers(w, 4);
}

static void put_env(struct writer *w, const char *const *env)
{
    open_property(w, "Environment", "as");
    open_container(w, 'a', "s");
    for (size_t i = 0; env[i] != NULL; i++) {
        put(w, 's', env[i]);
    }
    close_containers(w, 3);
}

static void put_properties(struct writer *w, const struct clm_program *program, int output_fd)
{
    uint64_t limit_us = ((uint64_t)program->timeout_ms + GRACE_MS) * 1000u;

    open_container(w, 'a', "(sv)");
    put_property(w, "Description", 's', "Certificate agent, a server's own test or a hook");
    put_property(w, "Type", 's', "oneshot");
    put_property(w, "CollectMode", 's', "inactive-or-failed");
    put_property(w, "AddRef", 'b', &(const int){1});
    put_property(w, "TimeoutStartUSec", 't', &limit_us);
    put_property(w, "StandardOutputFileDescriptor", 'h', &output_fd);
    put_property(w, "StandardErrorFileDescriptor", 'h', &output_fd);
    put_env(w, program->env != NULL ? program->env : usual_env);
    put_exec(w, program->argv);
    close_containers(w, 1);
}

static int start(sd_bus *bus, const char *name, const struct clm_program *program, int output_fd,
                 sd_bus_message **out_reply, sd_bus_error *error)
{
    CLM_CLEANUP(clm_bus_message_p) sd_bus_message *m = NULL;
    struct writer w = {.r = sd_bus_message_new_method_call(bus, &m, CLM_BUS_NAME, CLM_BUS_PATH,
                                                           CLM_BUS_MANAGER, "StartTransientUnit")};

    w.m = m;
    put(&w, 's', name);
    put(&w, 's', "fail");
    put_properties(&w, program, output_fd);
    open_container(&w, 'a', "(sa(sv))"); /* no units beside it */
    close_containers(&w, 1);
    return w.r < 0 ? w.r : sd_bus_call(bus, m, 0, error, out_reply);
}

static enum clm_code read_status(sd_bus *bus, const char *name, const char *program, int *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    char *path = NULL;
    int32_t how = 0;
    int32_t status = 0;
    int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", name, &path);

    r = r < 0 ? r
              : sd_bus_get_property_trivial(bus, CLM_BUS_NAME, path, CLM_BUS_SERVICE,
                                            "ExecMainCode", &error, 'i', &how);
    r = r < 0 ? r
              : sd_bus_get_property_trivial(bus, CLM_BUS_NAME, path, CLM_BUS_SERVICE,
                                            "ExecMainStatus", &error, 'i', &status);
    free(path);
    if (r < 0) {
        return clm_bus_error(err, &error, r, "end of", name);
    }
    if (how == CLD_EXITED && status == STATUS_EXEC) {
        return clm_err_set(err, CLM_E_NOTFOUND, "systemd could not start '%s'", program);
    }
    if (how == CLD_EXITED && status >= STATUS_START && status <= STATUS_LAST) {
        return clm_err_set(err, CLM_E_IO, "systemd could not start '%s' (%d, see systemd.exec(5))",
                           program, status);
    }
    *out = how == CLD_EXITED ? status : 128 + status;
    return CLM_OK;
}

static enum clm_code read_output(int fd, struct clm_buf *output, struct clm_err *err)
{
    size_t got = 0;

    while (output != NULL && got < CLM_PROC_OUTPUT_MAX) {
        char chunk[4096];
        ssize_t n = pread(fd, chunk, sizeof(chunk), (off_t)got);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        if (clm_buf_add(output, chunk, (size_t)n, NULL) != CLM_OK) {
            return output->len + (size_t)n > output->max
                       ? CLM_OK /* the rest is dropped, as clm_proc_run() does */
                       : clm_err_set(err, CLM_E_NOMEM, "output of a program");
        }
        got += (size_t)n;
    }
    return CLM_OK;
}

static void stop(sd_bus *bus, const char *name)
{
    (void)sd_bus_call_method(bus, CLM_BUS_NAME, CLM_BUS_PATH, CLM_BUS_MANAGER, "StopUnit", NULL,
                             NULL, "ss", name, "replace");
}

static enum clm_code run_unit(sd_bus *bus, const char *name, const struct clm_program *program,
                              int output_fd, int *out_status, struct clm_err *err)
{
    CLM_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    CLM_CLEANUP(clm_bus_slot_p) sd_bus_slot *slot = NULL;
    CLM_CLEANUP(clm_bus_message_p) sd_bus_message *reply = NULL;
    struct clm_bus_job job = {.path = NULL};
    int r = clm_bus_watch_jobs(bus, &job, &slot, &error);
    enum clm_code code;

    if (r >= 0) {
        r = start(bus, name, program, output_fd, &reply, &error);
    }
    if (r >= 0) {
        r = sd_bus_message_read(reply, "o", &job.path);
    }
    if (r < 0) {
        return clm_bus_error(err, &error, r, "run", program->argv[0]);
    }
    code = clm_bus_wait_job(bus, &job, "run", program->argv[0], program->timeout_ms, err);
    if (code != CLM_OK) {
        stop(bus, name);
        return code;
    }
    return read_status(bus, name, program->argv[0], out_status, err);
}

enum clm_code clm_units_run(const struct clm_program *program, int *out_status,
                            struct clm_buf *output, struct clm_err *err)
{
    CLM_CLEANUP(clm_bus_close_p) sd_bus *bus = NULL;
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    char id[CLM_ULID_SIZE];
    char name[NAME_SIZE];
    enum clm_code code = clm_ulid_new(id, err);

    if (code == CLM_OK) {
        code = clm_str_fmt(name, sizeof(name), err, "clmbot-run-%s.service", id);
    }
    if (code == CLM_OK) {
        code = clm_bus_open(&bus, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    fd = memfd_create("output", MFD_CLOEXEC);
    if (fd < 0) {
        return clm_err_sys(err, errno, "memory for the output of '%s'", program->argv[0]);
    }
    code = run_unit(bus, name, program, fd, out_status, err);
    return code == CLM_OK ? read_output(fd, output, err) : code;
}
