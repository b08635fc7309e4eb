/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/run/notify.h"
#include "agent/run/rest.h"

/* A socket as systemd has it; name may be abstract, "@...". */
static int listen_at(const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0 && len < sizeof(addr.sun_path));
    memcpy(addr.sun_path, name, len);
    if (name[0] == '@') {
        addr.sun_path[0] = '\0';
    }
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void state_reaches_both_kinds_of_socket(void **state)
{
    char names[2][64];

    (void)state;
    (void)snprintf(names[0], sizeof(names[0]), "/tmp/clm-notify.%d", (int)getpid());
    (void)snprintf(names[1], sizeof(names[1]), "@clm-notify.%d", (int)getpid());
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        CLM_CLEANUP(clm_fs_close_p) int fd = listen_at(names[i]);
        char got[64] = "";

        clm_notify("READY=1\nSTATUS=running");
        assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), strlen("READY=1\nSTATUS=running"));
        assert_string_equal(got, "READY=1\nSTATUS=running");
    }
    (void)unlink(names[0]);
}

static void nobody_to_tell_is_no_fault(void **state)
{
    static const char *const names[] = {"", "/", "relative", "/nowhere/socket"};
    char too_long[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];

    memset(too_long, 'x', sizeof(too_long));
    too_long[0] = '/';
    too_long[sizeof(too_long) - 1] = '\0';
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        clm_notify("READY=1");
    }
    assert_int_equal(setenv("NOTIFY_SOCKET", too_long, 1), 0);
    clm_notify("READY=1");
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    clm_notify("READY=1");
}

static void watchdog_is_half_of_what_systemd_waits_and_only_for_us(void **state)
{
    char pid[16];
    struct {
        const char *usec;
        const char *pid;
        int64_t ms;
    } const cases[] = {
        {NULL, NULL, 0},
        {"30000000", NULL, 15000},
        {"30000000", pid, 15000},
        {"30000000", "1", 0},
        {"30000000", "x", 0},
        {"0", pid, 0},
        {"-5", pid, 0},
        {"1", pid, 1},
        {"99999999999999999999", pid, 0},
        {"30 seconds", pid, 0},
    };

    (void)state;
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        (void)unsetenv("WATCHDOG_USEC");
        (void)unsetenv("WATCHDOG_PID");
        if (cases[i].usec != NULL) {
            assert_int_equal(setenv("WATCHDOG_USEC", cases[i].usec, 1), 0);
        }
        if (cases[i].pid != NULL) {
            assert_int_equal(setenv("WATCHDOG_PID", cases[i].pid, 1), 0);
        }
        assert_int_equal(clm_notify_watchdog_ms(), cases[i].ms);
    }
}

/* Kilobytes of file pages in our page table. */
static long file_kib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "RssFile:", 8) == 0) {
            kib = strtol(line + 8, NULL, 10);
        }
    }
    (void)fclose(file);
    return kib;
}

static void rest_gives_pages_back_and_breaks_nothing(void **state)
{
    long before = file_kib();

    (void)state;
    assert_true(before > 0);
    clm_rest();
    assert_in_range(file_kib(), 1, before - 1);
    assert_string_equal(strerror(0), "Success"); /* code and constants come back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_reaches_both_kinds_of_socket),
        cmocka_unit_test(nobody_to_tell_is_no_fault),
        cmocka_unit_test(watchdog_is_half_of_what_systemd_waits_and_only_for_us),
        cmocka_unit_test(rest_gives_pages_back_and_breaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
