/* SPDX-License-Identifier: Apache-2.0 */
/* A host half of one's own: what it is given, what is said if it cannot start, and how it is waited
 * for. */
#include "tests/unit/ipc/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/ipc/link.h"
#include "agent/ipc/spawn.h"
#include "tests/support/sabotage.h"

#define HOST_FD 3

static int64_t leap_ms; /* by which the clock runs ahead each time it is asked */
static int64_t ahead_ms;

int64_t __real_clm_clock_mono_ms(void);
int64_t __wrap_clm_clock_mono_ms(void);

int64_t __wrap_clm_clock_mono_ms(void)
{
    ahead_ms += leap_ms;
    return __real_clm_clock_mono_ms() + ahead_ms;
}

/* This program as the host half: it answers with the number of its arguments. */
static int be_host(int argc)
{
    char text[64];

    if (get(HOST_FD, text, sizeof(text)) != CLM_FRAME_REQUEST) {
        return 1;
    }
    (void)snprintf(text, sizeof(text), "{\"n\":%d}", argc);
    put(HOST_FD, CLM_FRAME_REPLY, 0, text);
    return 0;
}

/* How many arguments a host half that was started like this has; -1: it did not answer. */
static int arguments_of(const char *config_path)
{
    struct clm_link *link = NULL;
    struct clm_json *reply = NULL;
    int64_t n = -1;

    if (clm_link_spawn(NULL, config_path, &link, NULL) != CLM_OK) {
        return -1;
    }
    clm_link_set_silence(link, 5000);
    if (clm_link_call(link, CLM_OP_HELLO, NULL, &reply, NULL, NULL) != CLM_OK ||
        clm_json_int(reply, "n", 0, 99, &n, NULL) != CLM_OK) {
        n = -1;
    }
    clm_json_free(reply);
    clm_link_free(link);
    return (int)n;
}

static void this_executable_is_the_default(void **state)
{
    (void)state;
    assert_int_equal(arguments_of(NULL), 4);
    assert_int_equal(arguments_of(""), 4); /* the host half's own default */
    assert_int_equal(arguments_of("/etc/clmbot/clmbot.yaml"), 6);
}

/* The socket has the right number already: it must not be closed by exec. */
static void socket_may_be_descriptor_three_from_the_start(void **state)
{
    int status = -1;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(STDIN_FILENO);
        (void)close(HOST_FD);
        _exit(arguments_of(NULL) == 4 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void ends_without_a_reply(const char *exe)
{
    struct clm_link *link = NULL;
    struct clm_err err = {0};

    assert_int_equal(clm_link_spawn(exe, NULL, &link, &err), CLM_OK);
    clm_link_set_silence(link, 5000);
    assert_int_equal(clm_link_call(link, CLM_OP_HELLO, NULL, NULL, NULL, &err), CLM_E_NET);
    clm_link_free(link);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void one_that_cannot_start_ends_without_a_reply(void **state)
{
    static const char *const texts[] = {"#!/nonexistent/interpreter\n", "\x01\x02\x03\x04"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(texts); i++) {
        char path[] = "/tmp/clm-spawn-XXXXXX";
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
        assert_int_equal(fchmod(fd, 0700), 0);
        (void)close(fd);
        ends_without_a_reply(path);
        (void)unlink(path);
    }
    clm_sabotage_on("dup2", 1, EBADF); /* in the child, which has a countdown of its own */
    ends_without_a_reply("/bin/true");
    assert_false(clm_sabotage_off());
}

static struct clm_link *link_with_child(pid_t pid)
{
    struct clm_link *link = NULL;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(clm_link_from_fd_take(pair[0], &link, NULL), CLM_OK);
    (void)close(pair[1]);
    clm_link_set_child(link, pid);
    return link;
}

static pid_t child_that_ends_after(int wait_ms)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        clm_clock_sleep_ms(wait_ms);
        _exit(0);
    }
    return pid;
}

static void interrupted_wait_for_the_child_goes_on(void **state)
{
    struct clm_link *link = link_with_child(child_that_ends_after(20));

    (void)state;
    clm_sabotage_on("waitpid", 1, EINTR);
    clm_link_free(link);
    assert_true(clm_sabotage_off());
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void child_that_is_nobodys_any_more_is_not_waited_for(void **state)
{
    pid_t pid = child_that_ends_after(0);
    struct clm_link *link = link_with_child(pid);

    (void)state;
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    clm_link_free(link);
    assert_int_equal(errno, ECHILD);
}

static void stuck_child_is_given_up(void **state)
{
    pid_t pid = child_that_ends_after(600000);
    struct clm_link *link = link_with_child(pid);

    (void)state;
    leap_ms = 2 * CLM_FRAME_TIMEOUT_MS / 3;
    clm_link_free(link);
    leap_ms = 0;
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it is there still */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_executable_is_the_default),
        cmocka_unit_test(socket_may_be_descriptor_three_from_the_start),
        cmocka_unit_test(one_that_cannot_start_ends_without_a_reply),
        cmocka_unit_test(interrupted_wait_for_the_child_goes_on),
        cmocka_unit_test(child_that_is_nobodys_any_more_is_not_waited_for),
        cmocka_unit_test(stuck_child_is_given_up),
    };

    if (argc > 1 && strcmp(argv[1], "host") == 0) {
        return be_host(argc);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
