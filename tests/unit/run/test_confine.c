/* SPDX-License-Identifier: Apache-2.0 */
/* What the network half may still open once it has restricted itself; each case in its own process. */
#include "tests/support/sabotage.h"
#include "tests/unit/run/world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/base/landlock.h"
#include "agent/run/confine.h"

static struct home home;
static struct home other; /* of somebody else */

static int setup(void **state)
{
    (void)state;
    home_open(&home);
    home_open(&other);
    (void)snprintf(home.config.run_dir, sizeof(home.config.run_dir), "%s/net", home.dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_close(&home);
    home_close(&other);
    return 0;
}

static bool can_write(const struct home *h)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/net/file", h->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && close(fd) == 0;
}

static int end_of(pid_t pid)
{
    int status = -1;

    assert_true(pid >= 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void without_its_precondition_nothing_happens(void **state)
{
    (void)state;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0) {
        skip();
    }
    assert_int_equal(clm_run_confine(&home.config), 0);
    assert_true(can_write(&other));
}

static _Noreturn void be_confined(int abi)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || clm_run_confine(&home.config) != abi) {
        _exit(1);
    }
    if (!can_write(&home)) {
        _exit(2);
    }
    _exit(abi == 0 || !can_write(&other) ? 0 : 3);
}

static void only_its_own_is_left_to_write(void **state)
{
    static const char *const paths[] = {"", "/etc/clmbot/clmbot.yaml"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(paths); i++) {
        (void)snprintf(home.config.path, sizeof(home.config.path), "%s", paths[i]);
        pid_t pid = fork();
        if (pid == 0) {
            be_confined(clm_landlock_abi());
        }
        assert_int_equal(end_of(pid), 0);
    }
}

static void where_it_cannot_be_restricted_it_runs_all_the_same(void **state)
{
    static const char *const calls[] = {"open64", "readlink"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(calls); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            int abi = strcmp(calls[i], "readlink") == 0 ? clm_landlock_abi() : 0;

            clm_sabotage_on(calls[i], 1, EIO);
            be_confined(abi);
        }
        assert_int_equal(end_of(pid), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(without_its_precondition_nothing_happens),
        WITH(only_its_own_is_left_to_write),
        WITH(where_it_cannot_be_restricted_it_runs_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
