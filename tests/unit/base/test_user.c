/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* getresuid */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/user.h"

#define OTHER_ID 65534 /* nobody: any account without rights */

static void accounts_are_found_by_name(void **state)
{
    struct clm_user user = {.uid = 77, .gid = 77};
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_user_find("root", "", &user, &err), CLM_OK);
    assert_int_equal(user.uid, 0);
    assert_int_equal(user.gid, 0);
    assert_int_equal(clm_user_find("root", "daemon", &user, &err), CLM_OK);
    assert_int_equal(user.uid, 0);
    assert_int_not_equal(user.gid, 0);
}

static void unknown_accounts_come_with_a_remedy(void **state)
{
    struct clm_user user;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_user_find("no-such-user", "", &user, &err), CLM_E_CONFIG);
    assert_string_equal(err.msg, "user 'no-such-user' does not exist; create it, or set 'user'");
    assert_int_equal(clm_user_find("root", "no-such-group", &user, &err), CLM_E_CONFIG);
    assert_string_equal(err.msg, "group 'no-such-group' does not exist; create it, or set 'group'");
}

/* In a child: 0 if all is given up, else the number of what is not. */
static int check_dropped(void)
{
    const struct clm_user other = {.uid = OTHER_ID, .gid = OTHER_ID};
    uid_t uid_before = geteuid();
    uid_t uids[3];
    gid_t gids[3];
    gid_t groups[2];
    struct rlimit core;

    if (clm_user_drop(&other, NULL) != CLM_OK) {
        return 1;
    }
    if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 ||
        getresgid(&gids[0], &gids[1], &gids[2]) != 0) {
        return 2;
    }
    for (int i = 0; i < 3 && uid_before == 0; i++) {
        if (uids[i] != OTHER_ID || gids[i] != OTHER_ID) {
            return 3;
        }
    }
    if (uid_before == 0 && (getgroups(2, groups) != 1 || groups[0] != OTHER_ID)) {
        return 4;
    }
    if (setuid(0) == 0 || setgid(0) == 0) {
        return 5;
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return 6;
    }
    return getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0 ? 7 : 0;
}

static void there_is_no_way_back(void **state)
{
    int status = -1;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(check_dropped());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accounts_are_found_by_name),
        cmocka_unit_test(unknown_accounts_come_with_a_remedy),
        cmocka_unit_test(there_is_no_way_back),
    };

    return cmocka_run_group_tests_name("user", tests, NULL, NULL);
}
