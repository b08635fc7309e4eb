/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/landlock.h"

static const char *made(const char *dir, const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static bool can_bind(void)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_bound = bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;

    (void)close(fd);
    return is_bound;
}

/* Bits of what went otherwise than it should. */
static int look(const char *own, const char *other, int abi, pid_t outside)
{
    int wrong = 0;
    int fd = open(made(own, "new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    wrong |= fd < 0 ? 1 : 0;
    wrong |= rename(made(own, "new"), "/nowhere/x") == 0 ? 2 : 0;
    wrong |= unlink(made(own, "new")) != 0 ? 4 : 0;
    wrong |= open(made(other, "file"), O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES ? 8 : 0;
    wrong |= open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? 16 : 0;
    wrong |= open("/etc/passwd", O_WRONLY | O_CLOEXEC) >= 0 ? 32 : 0;
    wrong |= abi >= 4 && can_bind() ? 64 : 0;
    wrong |= abi >= 6 && kill(outside, 0) == 0 ? 128 : 0;
    return wrong;
}

static void a_process_keeps_what_it_named_and_nothing_else(void **state)
{
    char own[] = "/tmp/clm-landlock-a.XXXXXX";
    char other[] = "/tmp/clm-landlock-b.XXXXXX";
    int status = 0;
    pid_t child;

    (void)state;
    if (clm_landlock_abi() == 0) {
        print_message("skipped: this kernel has no Landlock\n");
        return;
    }
    assert_non_null(mkdtemp(own));
    assert_non_null(mkdtemp(other));
    (void)close(open(made(other, "file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    child = fork();
    if (child == 0) {
        const struct clm_landlock_path paths[] = {{own, CLM_LANDLOCK_WRITE},
                                                  {"/etc", CLM_LANDLOCK_READ},
                                                  {"/etc/passwd", CLM_LANDLOCK_RUN},
                                                  {"/not/there", CLM_LANDLOCK_READ}};
        struct clm_err err = {.code = CLM_OK};
        int abi = 0;

        if (clm_landlock_restrict(paths, 4, &abi, &err) != CLM_OK || abi == 0) {
            (void)fprintf(stderr, "%s\n", err.msg);
            _exit(255);
        }
        _exit(look(own, other, abi, getppid()));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)unlink(made(other, "file"));
    (void)rmdir(own);
    (void)rmdir(other);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_keeps_what_it_named_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
