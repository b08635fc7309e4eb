/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* accept4 */
#include "tests/unit/main/systemd_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/main/bus.h"

#define HEARD_MAX ((size_t)256 * 1024)

static struct {
    struct peer_script script;
    char dir[64];
    char *heard; /* shared with the peer */
    pid_t pid;
} peer;

/* ---- in the peer's process ---- */

/* A client that does not wait for its answers is no fault of the peer's. */
static void must_at(int r, int line)
{
    if (r < 0 && r != -ENOTCONN && r != -ECONNRESET && r != -EPIPE) {
        (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, line, strerror(-r));
        _exit(1);
    }
}
#define must(r) must_at((r), __LINE__)

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
    size_t len = strlen(peer.heard);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(peer.heard + len, HEARD_MAX - len, fmt, ap);
    va_end(ap);
}

static void signal_job(sd_bus *bus, const struct peer_job *job)
{
    CLM_CLEANUP(clm_bus_message_p) sd_bus_message *m = NULL;

    must(sd_bus_message_new_signal(bus, &m, CLM_BUS_PATH, CLM_BUS_MANAGER, "JobRemoved"));
    must(sd_bus_message_set_sender(m, CLM_BUS_NAME));
    if (job != NULL) {
        must(sd_bus_message_append(m, "uoss", 7u, job->path, "some.service", job->result));
    } else {
        must(sd_bus_message_append(m, "u", 7u));
    }
    must(sd_bus_send(bus, m, NULL));
}

/* The words of an array of strings, one after the other. */
static void note_strings(sd_bus_message *m, const char *before)
{
    const char *word;

    must(sd_bus_message_enter_container(m, 'a', "s"));
    while (sd_bus_message_read(m, "s", &word) > 0) {
        note("%s%.200s%s\n", before, word, strlen(word) > 200 ? "..." : "");
    }
    must(sd_bus_message_exit_container(m));
}

static void note_exec(sd_bus_message *m)
{
    const char *path;
    int ignored = 1;

    must(sd_bus_message_enter_container(m, 'a', "(sasb)"));
    must(sd_bus_message_enter_container(m, 'r', "sasb"));
    must(sd_bus_message_read(m, "s", &path));
    note(" program %s\n", path);
    note_strings(m, " argument ");
    must(sd_bus_message_read(m, "b", &ignored));
    note(ignored != 0 ? " a failure is ignored\n" : "");
    must(sd_bus_message_exit_container(m));
    must(sd_bus_message_exit_container(m));
}

static void print_to(int fd)
{
    size_t n = peer.script.n_output > 0 ? peer.script.n_output : 1;
    size_t len = peer.script.output != NULL ? strlen(peer.script.output) : 0;

    for (size_t i = 0; i < n && len > 0; i++) {
        must(write(fd, peer.script.output, len) == (ssize_t)len ? 0 : -errno);
    }
}

static void note_property(sd_bus_message *m)
{
    const char *name;
    const char *type;
    uint64_t number = 0;
    int fd = -1;

    must(sd_bus_message_read(m, "s", &name));
    must(sd_bus_message_peek_type(m, NULL, &type));
    must(sd_bus_message_enter_container(m, 'v', type));
    if (strcmp(name, "ExecStart") == 0) {
        note_exec(m);
    } else if (strcmp(name, "Environment") == 0) {
        note_strings(m, " environment ");
    } else if (*type == 't') {
        must(sd_bus_message_read(m, "t", &number));
        note(" %s %llu\n", name, (unsigned long long)number);
    } else if (*type == 'h') {
        must(sd_bus_message_read(m, "h", &fd));
        note(" %s\n", name);
        if (strcmp(name, "StandardOutputFileDescriptor") == 0) {
            print_to(fd);
        }
    } else {
        must(sd_bus_message_skip(m, type));
    }
    must(sd_bus_message_exit_container(m));
}

static void note_transient(sd_bus_message *m)
{
    const char *name;
    const char *mode;

    must(sd_bus_message_read(m, "ss", &name, &mode));
    note("StartTransientUnit %.11s... %s\n", name, mode);
    must(sd_bus_message_enter_container(m, 'a', "(sv)"));
    while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
        note_property(m);
        must(sd_bus_message_exit_container(m));
    }
    must(sd_bus_message_exit_container(m));
}

static void answer_units(sd_bus_message *reply)
{
    must(sd_bus_message_open_container(reply, 'a', "(ssssssouso)"));
    for (const struct peer_unit *at = peer.script.units; at != NULL && at->name != NULL; at++) {
        must(sd_bus_message_append(reply, "(ssssssouso)", at->name, "", "loaded", at->active, "",
                                   "", CLM_BUS_PATH "/unit/one", 0u, "", "/"));
    }
    must(sd_bus_message_close_container(reply));
}

static void answer_property(sd_bus_message *reply, const char *property)
{
    if (strcmp(property, "MainPID") == 0) {
        must(sd_bus_message_append(reply, "v", "u", peer.script.main_pid));
    } else if (strcmp(property, "ExecMainCode") == 0) {
        must(sd_bus_message_append(reply, "v", "i", peer.script.main_code));
    } else if (strcmp(property, "ExecMainStatus") == 0) {
        must(sd_bus_message_append(reply, "v", "i", peer.script.main_status));
    } else if (strcmp(property, "ActiveState") == 0) {
        must(sd_bus_message_append(reply, "v", "s", peer.script.active));
    } else {
        must(sd_bus_message_append(reply, "v", "s", peer.script.fragment));
    }
}

static int hang_up(sd_bus *bus)
{
    (void)shutdown(sd_bus_get_fd(bus), SHUT_RDWR);
    return -ECONNRESET;
}

/* As a filter of sd-bus does: what is below 0 ends the connection. */
static int answer(sd_bus *bus, sd_bus_message *call, const char *member, const char *property)
{
    CLM_CLEANUP(clm_bus_message_p) sd_bus_message *reply = NULL;
    bool is_job = strcmp(member, "ReloadUnit") == 0 || strcmp(member, "RestartUnit") == 0 ||
                  strcmp(member, "StartTransientUnit") == 0;

    must(sd_bus_message_new_method_return(call, &reply));
    if (strcmp(member, "Hello") == 0) {
        must(sd_bus_message_append(reply, "s", ":1.7"));
    } else if (strcmp(member, "ListUnits") == 0) {
        answer_units(reply);
    } else if (strcmp(member, "Get") == 0) {
        answer_property(reply, property);
    } else if (strcmp(member, "GetUnit") == 0) {
        must(sd_bus_message_append(reply, "o", CLM_BUS_PATH "/unit/one"));
    } else if (is_job || strcmp(member, "StopUnit") == 0) {
        must(sd_bus_message_append(reply, "o", PEER_JOB));
    }
    for (const struct peer_job *at = peer.script.before; is_job && at->path != NULL; at++) {
        signal_job(bus, at);
    }
    must(sd_bus_send(bus, reply, NULL));
    if (is_job && peer.script.bad_signal) {
        signal_job(bus, NULL);
    }
    must(sd_bus_flush(bus));
    if (is_job) {
        clm_clock_sleep_ms(peer.script.after_ms);
    }
    for (const struct peer_job *at = peer.script.after; is_job && at->path != NULL; at++) {
        signal_job(bus, at);
    }
    return is_job && peer.script.quits ? hang_up(bus) : 1;
}

static const struct peer_row *row_of(const char *member, const char *property)
{
    for (const struct peer_row *at = peer.script.rows; at != NULL && at->call != NULL; at++) {
        size_t len = strcspn(at->call, " ");

        if (strlen(member) == len && strncmp(member, at->call, len) == 0 &&
            (at->call[len] == '\0' || strcmp(property, at->call + len + 1) == 0)) {
            return at;
        }
    }
    return NULL;
}

static int on_call(sd_bus_message *call, void *arg, sd_bus_error *error)
{
    const char *member = sd_bus_message_get_member(call);
    const char *first = "";
    const char *second = "";
    sd_bus *bus = sd_bus_message_get_bus(call);
    const struct peer_row *row;

    (void)arg;
    (void)error;
    if (!sd_bus_message_is_method_call(call, NULL, NULL)) {
        return 0; /* sd-bus tells itself that the client is gone */
    }
    if (strcmp(member, "StartTransientUnit") == 0) {
        note_transient(call);
    } else {
        if (sd_bus_message_has_signature(call, "ss")) {
            must(sd_bus_message_read(call, "ss", &first, &second));
        } else if (sd_bus_message_has_signature(call, "s")) {
            must(sd_bus_message_read(call, "s", &first));
        }
        note("%s %s %s\n", member, strcmp(member, "StopUnit") == 0 ? "..." : first, second);
    }
    row = row_of(member, second);
    if (row == NULL) {
        return answer(bus, call, member, second);
    }
    if (row->how == PEER_ERROR) {
        must(sd_bus_reply_method_errorf(call, row->error, "%s", row->message));
    } else if (row->how == PEER_WRONG) {
        must(sd_bus_reply_method_return(call, "u", 1u));
    } else {
        return hang_up(bus);
    }
    return 1;
}

/* One client, to its end. */
static void serve(int fd)
{
    sd_bus *bus = NULL;
    sd_id128_t id;
    int r;

    must(sd_id128_randomize(&id));
    must(sd_bus_new(&bus));
    must(sd_bus_set_fd(bus, fd, fd));
    must(sd_bus_set_server(bus, 1, id));
    must(sd_bus_negotiate_fds(bus, 1));
    must(sd_bus_add_filter(bus, NULL, on_call, NULL));
    must(sd_bus_start(bus));
    while ((r = sd_bus_process(bus, NULL)) >= 0) {
        if (r == 0) {
            (void)sd_bus_wait(bus, UINT64_MAX);
        }
    }
    sd_bus_close(bus);
    sd_bus_unref(bus);
}

static _Noreturn void serve_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        must(fd < 0 ? -errno : 0);
        serve(fd);
    }
}

/* ---- in the test's ---- */

void peer_start(const struct peer_script *script)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char address[128];
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    peer.script = *script;
    (void)snprintf(peer.dir, sizeof(peer.dir), "/tmp/clm_systemd_XXXXXX");
    assert_non_null(mkdtemp(peer.dir));
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/bus", peer.dir);
    (void)snprintf(address, sizeof(address), "unix:path=%s", at.sun_path);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 8), 0);
    peer.heard = mmap(NULL, HEARD_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(peer.heard, MAP_FAILED);
    (void)fflush(NULL);
    peer.pid = fork();
    assert_true(peer.pid >= 0);
    if (peer.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_all(listener);
    }
    (void)close(listener);
    assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1), 0);
}

void peer_stop(void)
{
    char path[128];
    int status = 0;

    (void)kill(peer.pid, SIGKILL);
    assert_int_equal(waitpid(peer.pid, &status, 0), peer.pid);
    assert_true(WIFSIGNALED(status)); /* it had nothing to complain about */
    assert_int_equal(munmap(peer.heard, HEARD_MAX), 0);
    (void)snprintf(path, sizeof(path), "%s/bus", peer.dir);
    (void)unlink(path);
    assert_int_equal(rmdir(peer.dir), 0);
    (void)unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

const char *peer_heard(void)
{
    return peer.heard;
}
