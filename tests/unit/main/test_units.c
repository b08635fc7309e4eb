/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of systemd about units, and what it may answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/str.h"
#include "agent/main/bus.h"
#include "agent/main/units.h"
#include "tests/unit/main/systemd_peer.h"

/* Does systemd run here? It always looks so; with one interrupted wait on demand. */
static struct {
    bool is_absent;
    bool is_interrupted;
} world;

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
    assert_string_equal(path, "/run/systemd/system");
    assert_int_equal(mode, F_OK);
    return world.is_absent ? -1 : 0;
}

int __real_sd_bus_wait(sd_bus *bus, uint64_t timeout_usec);
int __wrap_sd_bus_wait(sd_bus *bus, uint64_t timeout_usec);
int __wrap_sd_bus_wait(sd_bus *bus, uint64_t timeout_usec)
{
    if (world.is_interrupted) {
        world.is_interrupted = false;
        return -EINTR;
    }
    return __real_sd_bus_wait(bus, timeout_usec);
}

/* ---- what is done with the answers ---- */

struct seen {
    char text[1024];
    enum clm_code code; /* what the visitor answers */
};

static enum clm_code visit(void *arg, const struct clm_unit *unit, struct clm_err *err)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->text);

    assert_int_equal(clm_str_fmt(seen->text + len, sizeof(seen->text) - len, NULL, "%s %s %d\n",
                                 unit->name, unit->state == CLM_UNIT_ACTIVE ? "active" : "failed",
                                 (int)unit->main_pid),
                     CLM_OK);
    return seen->code == CLM_OK ? CLM_OK : clm_err_set(err, seen->code, "enough");
}

/* One act per call that units.h offers. */
enum act {
    LIST,
    STATE,
    RELOAD,
    RESTART
};

static enum clm_code act_on(enum act act, uint32_t timeout_ms, struct clm_err *err)
{
    struct seen seen = {.code = CLM_OK};
    struct clm_unit unit;

    switch (act) {
    case LIST:
        return clm_units_list(NULL, visit, &seen, err);
    case STATE:
        return clm_units_state(NULL, "nginx.service", &unit, err);
    case RELOAD:
        return clm_units_reload(NULL, "nginx.service", timeout_ms, err);
    case RESTART:
        break;
    }
    return clm_units_restart(NULL, "nginx.service", timeout_ms, err);
}

static void test_list(void **state)
{
    char long_name[400];
    const struct peer_unit units[] = {
        {"nginx.service", "active"},
        {"ssh.socket", "active"},
        {"httpd.service", "failed"},
        {"once.service", "inactive"},
        {"haproxy.service", "reloading"},
        {"new.service", "activating"},
        {long_name, "active"},
        {NULL, NULL},
    };
    struct peer_script script = {.units = units, .main_pid = 4711};
    struct seen seen = {.code = CLM_OK};
    struct clm_err err;

    (void)state;
    memset(long_name, 'x', sizeof(long_name));
    (void)memcpy(long_name + sizeof(long_name) - 9, ".service", 9);
    peer_start(&script);
    assert_int_equal(clm_units_list(NULL, visit, &seen, &err), CLM_OK);
    assert_string_equal(seen.text, "nginx.service active 4711\nhttpd.service failed 0\n"
                                   "haproxy.service active 4711\n");
    seen.code = CLM_E_LIMIT;
    assert_int_equal(clm_units_list(NULL, visit, &seen, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "enough");
    peer_stop();
}

static void test_state(void **state)
{
    static const struct {
        const char *active;
        enum clm_unit_state state;
    } rows[] = {{"active", CLM_UNIT_ACTIVE},
                {"reloading", CLM_UNIT_ACTIVE},
                {"failed", CLM_UNIT_FAILED},
                {"inactive", CLM_UNIT_INACTIVE},
                {"deactivating", CLM_UNIT_UNKNOWN}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct peer_script script = {
            .active = rows[i].active, .fragment = "/lib/nginx.service", .main_pid = 99};
        struct clm_unit unit;

        peer_start(&script);
        assert_int_equal(clm_units_state(NULL, "nginx.service", &unit, NULL), CLM_OK);
        assert_int_equal(unit.state, rows[i].state);
        assert_string_equal(unit.name, "nginx.service");
        assert_string_equal(unit.fragment_path, "/lib/nginx.service");
        assert_int_equal(unit.main_pid, 99);
        peer_stop();
    }
}

/* What a unit does not have is left out: a socket unit has no main process. */
static void test_state_without_properties(void **state)
{
    static const struct peer_row rows[] = {
        {"Get MainPID", PEER_ERROR, "org.freedesktop.DBus.Error.UnknownProperty", "none"},
        {"Get FragmentPath", PEER_WRONG, NULL, NULL},
        {.call = NULL}};
    const struct peer_script script = {.rows = rows, .active = "active", .fragment = ""};
    struct clm_unit unit;

    (void)state;
    peer_start(&script);
    assert_int_equal(clm_units_state(NULL, "ssh.socket", &unit, NULL), CLM_OK);
    assert_int_equal(unit.state, CLM_UNIT_ACTIVE);
    assert_int_equal(unit.main_pid, 0);
    assert_string_equal(unit.fragment_path, "");
    peer_stop();
}

static void test_name_too_long(void **state)
{
    const struct peer_script script = {.active = "active", .fragment = ""};
    struct clm_unit unit;
    struct clm_err err;
    char name[300];

    (void)state;
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    peer_start(&script);
    assert_int_equal(clm_units_state(NULL, name, &unit, &err), CLM_E_LIMIT);
    peer_stop();
}

/* A job may end before the answer that says it is ours, and others end meanwhile. */
static void test_jobs(void **state)
{
#define OTHER "/org/freedesktop/systemd1/job/6"
    static const struct {
        struct peer_script script;
        enum act act;
        enum clm_code code;
        const char *says, *heard;
    } rows[] = {
        {{.after = {{PEER_JOB, "done"}}}, RELOAD, CLM_OK, "", "\nReloadUnit nginx.service replace"},
        {{.after = {{PEER_JOB, "done"}}, .after_ms = 20},
         RESTART,
         CLM_OK,
         "",
         "\nRestartUnit nginx.service replace"},
        {{.before = {{OTHER, "failed"},
                     {OTHER, "failed"},
                     {OTHER, "failed"},
                     {OTHER, "failed"},
                     {OTHER, "failed"},
                     {PEER_JOB, "done"}}},
         RELOAD,
         CLM_OK,
         "",
         "\nSubscribe"},
        {{.after = {{OTHER, "failed"}, {PEER_JOB, "done"}}, .bad_signal = true},
         RELOAD,
         CLM_OK,
         "",
         "\nSubscribe"},
        {{.before = {{PEER_JOB, "failed"}}},
         RELOAD,
         CLM_E_IO,
         "reload of 'nginx.service' ended with 'failed'; see: journalctl -u nginx.service",
         "\nSubscribe"},
        {{.after = {{OTHER, "done"}}},
         RESTART,
         CLM_E_TIMEOUT,
         "restart of 'nginx.service' took longer than 0 s",
         "\nSubscribe"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};

        peer_start(&rows[i].script);
        world.is_interrupted = i == 1;
        assert_int_equal(act_on(rows[i].act, rows[i].code == CLM_E_TIMEOUT ? 50 : 5000, &err),
                         rows[i].code);
        assert_string_equal(err.msg, rows[i].says);
        assert_false(world.is_interrupted);
        assert_non_null(strstr(peer_heard(), rows[i].heard));
        peer_stop();
    }
#undef OTHER
}

/* systemd that dies while its answer is awaited, and while the end of the job is. */
static void test_gone(void **state)
{
    static const struct peer_row mid[] = {{"ReloadUnit", PEER_HANG_UP, NULL, NULL}, {.call = NULL}};
    static const struct peer_row after[] = {{"Get ActiveState", PEER_HANG_UP, NULL, NULL},
                                            {.call = NULL}};
    struct peer_script script = {.rows = mid};
    struct clm_unit unit;
    struct clm_err err;

    (void)state;
    peer_start(&script);
    assert_int_equal(clm_units_reload(NULL, "nginx.service", 5000, &err), CLM_E_IO);
    assert_string_equal(err.msg, "reload 'nginx.service': Connection reset by peer");
    peer_stop();

    script.rows = after;
    peer_start(&script);
    assert_int_equal(clm_units_state(NULL, "nginx.service", &unit, &err), CLM_OK);
    assert_int_equal(unit.state, CLM_UNIT_UNKNOWN);
    peer_stop();

    script = (struct peer_script){.quits = true};
    peer_start(&script);
    assert_int_equal(clm_units_reload(NULL, "nginx.service", 5000, &err), CLM_E_IO);
    assert_memory_equal(err.msg, "reload of 'nginx.service': lost systemd: ", 41);
    peer_stop();
}

#define NO_UNIT  "org.freedesktop.systemd1.NoSuchUnit"
#define NO_JOB   "org.freedesktop.systemd1.JobTypeNotApplicable"
#define DENIED   "org.freedesktop.DBus.Error.AccessDenied"
#define NO_REPLY "org.freedesktop.DBus.Error.NoReply"

static void test_errors(void **state)
{
    static const struct {
        enum act act;
        struct peer_row row;
        enum clm_code code;
        const char *says;
    } rows[] = {
        {LIST, {"ListUnits", PEER_ERROR, DENIED, "no"}, CLM_E_IO, "list units '*': no"},
        {LIST,
         {"ListUnits", PEER_WRONG, NULL, NULL},
         CLM_E_PARSE,
         "list of units from systemd: No such device or address"},
        {STATE,
         {"GetUnit", PEER_ERROR, NO_UNIT, "Unit nginx.service not loaded."},
         CLM_E_NOTFOUND,
         "state of unit 'nginx.service': no such unit"},
        {STATE,
         {"GetUnit", PEER_WRONG, NULL, NULL},
         CLM_E_PARSE,
         "state of unit 'nginx.service': No such device or address"},
        {RELOAD,
         {"ReloadUnit", PEER_ERROR, NO_JOB, "Job type reload is not applicable"},
         CLM_E_UNSUPPORTED,
         "reload 'nginx.service': the unit has no ExecReload"},
        {RELOAD,
         {"ReloadUnit", PEER_ERROR, NO_REPLY, "slow"},
         CLM_E_TIMEOUT,
         "reload 'nginx.service': slow"},
        {RELOAD,
         {"ReloadUnit", PEER_WRONG, NULL, NULL},
         CLM_E_PARSE,
         "reload of 'nginx.service': No such device or address"},
        {RELOAD, {"Subscribe", PEER_ERROR, DENIED, "no"}, CLM_E_IO, "reload 'nginx.service': no"},
        {RESTART,
         {"AddMatch", PEER_ERROR, DENIED, "no"},
         CLM_E_IO,
         "restart 'nginx.service': Permission denied"},
        {RESTART,
         {"RestartUnit", PEER_ERROR, DENIED, "not yours"},
         CLM_E_IO,
         "restart 'nginx.service': not yours"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct peer_row script_rows[] = {rows[i].row, {.call = NULL}};
        const struct peer_script script = {.rows = script_rows, .after = {{PEER_JOB, "done"}}};
        struct clm_err err = {.code = CLM_OK};

        peer_start(&script);
        assert_int_equal(act_on(rows[i].act, 5000, &err), rows[i].code);
        assert_string_equal(err.msg, rows[i].says);
        peer_stop();
    }
}

static void test_no_systemd(void **state)
{
    (void)state;
    for (enum act act = LIST; act <= RESTART; act++) {
        struct clm_err err = {.code = CLM_OK};

        world.is_absent = true;
        assert_int_equal(act_on(act, 1000, &err), CLM_E_UNSUPPORTED);
        assert_string_equal(err.msg, "systemd does not run here");
        world.is_absent = false;
        assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1), 0);
        assert_int_equal(act_on(act, 1000, &err), CLM_E_UNSUPPORTED);
        assert_string_equal(err.msg,
                            "no connection to systemd over D-Bus: No such file or directory");
        assert_int_equal(unsetenv("DBUS_SYSTEM_BUS_ADDRESS"), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_state_without_properties),
        cmocka_unit_test(test_name_too_long),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_no_systemd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
