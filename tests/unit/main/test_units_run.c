/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that systemd runs for us: what it is asked for, and what it may answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/proc.h"
#include "agent/base/str.h"
#include "agent/main/bus.h"
#include "agent/main/units_run.h"
#include "tests/support/sabotage.h"
#include "tests/unit/main/systemd_peer.h"

/* What this process may, and where it is. */
static struct {
    bool is_absent;
    int capget_errno;
    uint32_t effective;
    int memfd_errno;
    int encode_errno;
} world;

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
    assert_string_equal(path, "/run/systemd/system");
    assert_int_equal(mode, F_OK);
    return world.is_absent ? -1 : 0;
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    const struct __user_cap_header_struct *head;
    struct __user_cap_data_struct *data;
    va_list ap;

    va_start(ap, number);
    head = va_arg(ap, const struct __user_cap_header_struct *);
    data = va_arg(ap, struct __user_cap_data_struct *);
    va_end(ap);
    assert_int_equal(number, SYS_capget);
    assert_int_equal(head->pid, 0);
    data[0].effective = world.effective;
    errno = world.capget_errno;
    return errno == 0 ? 0 : -1;
}

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags)
{
    errno = world.memfd_errno;
    return errno == 0 ? __real_memfd_create(name, flags) : -1;
}

int __real_sd_bus_path_encode(const char *prefix, const char *id, char **out_path);
int __wrap_sd_bus_path_encode(const char *prefix, const char *id, char **out_path);
int __wrap_sd_bus_path_encode(const char *prefix, const char *id, char **out_path)
{
    return world.encode_errno == 0 ? __real_sd_bus_path_encode(prefix, id, out_path)
                                   : -world.encode_errno;
}

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    return 0;
}

static const char *const test_argv[] = {"/usr/sbin/nginx", "-t", "-g", "user $NOBODY$;", NULL};

#define GOOD .after = {{PEER_JOB, "done"}}, .main_code = CLD_EXITED

/* ---- what is asked ---- */

static void test_must_run(void **state)
{
    const uint32_t bind = 1u << CAP_NET_BIND_SERVICE;
    const struct {
        uint32_t effective;
        int capget_errno;
        bool is_absent, must;
    } rows[] = {{0, 0, false, true},
                {bind, 0, false, false},
                {~bind, 0, false, true},
                {0, 0, true, false},
                {0, EPERM, false, false}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        world.effective = rows[i].effective;
        world.capget_errno = rows[i].capget_errno;
        world.is_absent = rows[i].is_absent;
        assert_int_equal(clm_units_must_run(), rows[i].must);
    }
}

static void test_asks(void **state)
{
    static const char *const env[] = {"A=1", "B=$2", NULL};
    static const struct peer_script script = {GOOD, .output = "syntax is ok\n"};
    struct clm_program program = {.argv = test_argv, .timeout_ms = 5000};
    CLM_CLEANUP(clm_buf_done) struct clm_buf output = CLM_BUF_INIT(4096);
    int status = -1;

    (void)state;
    peer_start(&script);
    assert_int_equal(clm_units_run(&program, &status, &output, NULL), CLM_OK);
    assert_int_equal(status, 0);
    assert_string_equal(clm_buf_str(&output), "syntax is ok\n");
    assert_non_null(strstr(peer_heard(), "\nSubscribe  \n"
                                         "StartTransientUnit clmbot-run-... fail\n"
                                         " TimeoutStartUSec 7000000\n"
                                         " StandardOutputFileDescriptor\n"
                                         " StandardErrorFileDescriptor\n"
                                         " environment PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
                                         " environment LANG=C\n"
                                         " program /usr/sbin/nginx\n"
                                         " argument /usr/sbin/nginx\n"
                                         " argument -t\n"
                                         " argument -g\n"
                                         " argument user $$NOBODY$$;\n"));
    assert_null(strstr(peer_heard(), "StopUnit"));
    peer_stop();

    program.env = env;
    peer_start(&script);
    assert_int_equal(clm_units_run(&program, &status, NULL, NULL), CLM_OK);
    assert_non_null(strstr(peer_heard(), "\n environment A=1\n environment B=$2\n program"));
    assert_null(strstr(peer_heard(), "PATH="));
    peer_stop();
}

/* ---- how the program ended ---- */

static void test_ends(void **state)
{
    static const struct {
        int how, main_status;
        enum clm_code code;
        int status;
        const char *says;
    } rows[] = {
        {CLD_EXITED, 1, CLM_OK, 1, ""},
        {CLD_EXITED, 199, CLM_OK, 199, ""},
        {CLD_EXITED, 200, CLM_E_IO, -1,
         "systemd could not start '/usr/sbin/nginx' (200, see systemd.exec(5))"},
        {CLD_EXITED, 203, CLM_E_NOTFOUND, -1, "systemd could not start '/usr/sbin/nginx'"},
        {CLD_EXITED, 245, CLM_E_IO, -1,
         "systemd could not start '/usr/sbin/nginx' (245, see systemd.exec(5))"},
        {CLD_EXITED, 246, CLM_OK, 246, ""},
        {CLD_KILLED, 9, CLM_OK, 137, ""},
        {CLD_DUMPED, 6, CLM_OK, 134, ""},
    };
    const struct clm_program program = {.argv = test_argv, .timeout_ms = 5000};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct peer_script script = {.after = {{PEER_JOB, i == 0 ? "done" : "failed"}},
                                           .main_code = rows[i].how,
                                           .main_status = rows[i].main_status};
        struct clm_err err = {.code = CLM_OK};
        int status = -1;

        peer_start(&script);
        assert_int_equal(clm_units_run(&program, &status, NULL, &err), rows[i].code);
        assert_int_equal(status, rows[i].status);
        assert_string_equal(err.msg, rows[i].says);
        peer_stop();
    }
}

static void test_long_output(void **state)
{
    static const struct {
        size_t n, max, len; /* lines of 8 bytes, room, what is kept of them */
    } rows[] = {{3, 4096, 24}, {2000, 65536, 16000}, {2000, 10000, 8192}, {20000, 1u << 20, 65536}};
    const struct clm_program program = {.argv = test_argv, .timeout_ms = 5000};

    (void)state;
    assert_int_equal(CLM_PROC_OUTPUT_MAX, 65536);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct peer_script script = {GOOD, .output = "1234567\n", .n_output = rows[i].n};
        CLM_CLEANUP(clm_buf_done) struct clm_buf output = CLM_BUF_INIT(rows[i].max);
        int status = -1;

        peer_start(&script);
        assert_int_equal(clm_units_run(&program, &status, &output, NULL), CLM_OK);
        assert_int_equal(output.len, rows[i].len);
        assert_memory_equal(clm_buf_str(&output), "1234567\n1234567\n", 16);
        peer_stop();
    }
}

/* ---- what goes wrong ---- */

#define DENIED "org.freedesktop.DBus.Error.AccessDenied"

static void test_errors(void **state)
{
    static const struct {
        struct peer_row row;
        const char *says;
    } rows[] = {
        {{"Subscribe", PEER_ERROR, DENIED, "no"}, "run '/usr/sbin/nginx': no"},
        {{"StartTransientUnit", PEER_ERROR, DENIED, "never"}, "run '/usr/sbin/nginx': never"},
        {{"StartTransientUnit", PEER_WRONG, NULL, NULL},
         "run '/usr/sbin/nginx': No such device or address"},
        {{"Get ExecMainCode", PEER_ERROR, DENIED, "no"}, "end of 'clmbot-run-"},
        {{"Get ExecMainStatus", PEER_WRONG, NULL, NULL}, "end of 'clmbot-run-"},
    };
    const struct clm_program program = {.argv = test_argv, .timeout_ms = 5000};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct peer_row script_rows[] = {rows[i].row, {.call = NULL}};
        const struct peer_script script = {GOOD, .rows = script_rows};
        struct clm_err err = {.code = CLM_OK};
        int status = -1;

        peer_start(&script);
        assert_int_equal(clm_units_run(&program, &status, NULL, &err), CLM_E_IO);
        assert_memory_equal(err.msg, rows[i].says, strlen(rows[i].says));
        assert_int_equal(status, -1);
        peer_stop();
    }
}

/* What does not end in its time is stopped. */
static void test_timeout(void **state)
{
    static const struct peer_script script = {.output = ""};
    const struct clm_program program = {.argv = test_argv, .timeout_ms = 30};
    struct clm_err err = {.code = CLM_OK};
    int status = -1;

    (void)state;
    peer_start(&script);
    assert_int_equal(clm_units_run(&program, &status, NULL, &err), CLM_E_TIMEOUT);
    assert_string_equal(err.msg, "run of '/usr/sbin/nginx' took longer than 0 s");
    assert_non_null(strstr(peer_heard(), "\nStopUnit ... replace\n"));
    peer_stop();
}

/* Nothing is asked with an argument that D-Bus or the kernel would not carry. */
static void test_bad_arguments(void **state)
{
    static char huge[140000];
    const struct {
        const char *arg, *says;
    } rows[] = {{"\xff\xfe", "run '/bin/true': Invalid argument"},
                {huge, "run '/bin/true': Argument list too long"}};
    const struct peer_script script = {GOOD};

    (void)state;
    memset(huge, '$', sizeof(huge) - 1);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const char *const argv[] = {"/bin/true", rows[i].arg, "more", NULL};
        const struct clm_program program = {.argv = argv, .timeout_ms = 5000};
        struct clm_err err = {.code = CLM_OK};
        int status = -1;

        peer_start(&script);
        assert_int_equal(clm_units_run(&program, &status, NULL, &err), CLM_E_IO);
        assert_string_equal(err.msg, rows[i].says);
        assert_null(strstr(peer_heard(), "StartTransientUnit"));
        peer_stop();
    }
}

static void test_failing_calls(void **state)
{
    const struct clm_program program = {.argv = test_argv, .timeout_ms = 5000};
    const struct peer_script script = {GOOD};
    struct clm_err err = {.code = CLM_OK};
    int status = -1;

    (void)state;
    world.is_absent = true;
    assert_int_equal(clm_units_run(&program, &status, NULL, &err), CLM_E_UNSUPPORTED);
    assert_string_equal(err.msg, "systemd does not run here");
    world.is_absent = false;

    peer_start(&script);
    world.memfd_errno = EMFILE;
    assert_int_not_equal(clm_units_run(&program, &status, NULL, &err), CLM_OK);
    assert_memory_equal(err.msg, "memory for the output of '/usr/sbin/nginx': ", 44);
    world.memfd_errno = 0;
    world.encode_errno = ENOMEM;
    assert_int_equal(clm_units_run(&program, &status, NULL, &err), CLM_E_IO);
    assert_memory_equal(err.msg, "end of 'clmbot-run-", 19);
    assert_non_null(strstr(err.msg, ": Cannot allocate memory"));
    peer_stop();
}

/* ---- each call that can fail ---- */

static struct {
    int status;
    struct clm_buf output;
} ran;

static enum clm_code run_it(void *arg, struct clm_err *err)
{
    const struct clm_program program = {.argv = test_argv, .timeout_ms = 5000};

    (void)arg;
    ran.status = -1;
    ran.output = CLM_BUF_INIT(4096);
    return clm_units_run(&program, &ran.status, &ran.output, err);
}

static void check_run(void *arg, enum clm_code code, const char *what)
{
    (void)arg;
    (void)what;
    if (code == CLM_OK) {
        assert_int_equal(ran.status, 4);
        assert_memory_equal("syntax is ok\n", clm_buf_str(&ran.output), ran.output.len);
    }
    clm_buf_done(&ran.output);
}

static void test_each_call_fails(void **state)
{
    static const struct peer_script script = {GOOD, .main_status = 4, .output = "syntax is ok\n"};
    const struct clm_sabotage plan = {.act = run_it, .after = check_run};

    (void)state;
    peer_start(&script);
    assert_true(clm_sabotage_run(&plan, NULL) > 8);
    peer_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_must_run, setup),
        cmocka_unit_test_setup(test_asks, setup),
        cmocka_unit_test_setup(test_ends, setup),
        cmocka_unit_test_setup(test_long_output, setup),
        cmocka_unit_test_setup(test_errors, setup),
        cmocka_unit_test_setup(test_timeout, setup),
        cmocka_unit_test_setup(test_bad_arguments, setup),
        cmocka_unit_test_setup(test_failing_calls, setup),
        cmocka_unit_test_setup(test_each_call_fails, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
