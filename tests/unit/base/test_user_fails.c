/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up rights where the system does not let us, or gives them back: nothing is given up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/base/harden.h"
#include "agent/base/user.h"

#define CALLS_SIZE 64

static struct {
    const char *doomed; /* this call fails */
    bool is_root;
    bool can_go_back; /* setuid(0) works afterwards */
    char calls[CALLS_SIZE];
} box;

/* Notes the call by one letter; false if it is to fail. */
static bool call(const char *name, const char *letter)
{
    (void)strcat(box.calls, letter);
    errno = EPERM;
    return box.doomed == NULL || strcmp(box.doomed, name) != 0;
}

uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return box.is_root ? 0 : 1000;
}

int __wrap_setgroups(size_t n, const gid_t *groups);
int __wrap_setgroups(size_t n, const gid_t *groups)
{
    assert_int_equal(n, 1);
    assert_int_equal(groups[0], 78);
    return call("setgroups", "G") ? 0 : -1;
}

int __wrap_setgid(gid_t gid);
int __wrap_setgid(gid_t gid)
{
    assert_int_equal(gid, 78);
    return call("setgid", "g") ? 0 : -1;
}

int __wrap_setuid(uid_t uid);
int __wrap_setuid(uid_t uid)
{
    if (uid == 0 && strchr(box.calls, 'u') != NULL) { /* the attempt to go back */
        return call("back", "b") && box.can_go_back ? 0 : -1;
    }
    return call("setuid", "u") ? 0 : -1;
}

int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
    return option == PR_SET_NO_NEW_PRIVS ? (call("no_new_privs", "n") ? 0 : -1)
                                         : (call("dumpable", "d") ? 0 : -1);
}

int __wrap_setrlimit64(int resource, const struct rlimit *limit);
int __wrap_setrlimit64(int resource, const struct rlimit *limit)
{
    assert_int_equal(resource, RLIMIT_CORE);
    assert_int_equal(limit->rlim_max, 0);
    return call("setrlimit", "c") ? 0 : -1;
}

int __real_getpwnam_r(const char *name, struct passwd *pw, char *text, size_t size,
                      struct passwd **found);
int __wrap_getpwnam_r(const char *name, struct passwd *pw, char *text, size_t size,
                      struct passwd **found);
int __wrap_getpwnam_r(const char *name, struct passwd *pw, char *text, size_t size,
                      struct passwd **found)
{
    return call("getpwnam", "p") ? __real_getpwnam_r(name, pw, text, size, found) : EIO;
}

int __wrap_getgrnam_r(const char *name, struct group *gr, char *text, size_t size,
                      struct group **found);
int __wrap_getgrnam_r(const char *name, struct group *gr, char *text, size_t size,
                      struct group **found)
{
    (void)name;
    (void)gr;
    (void)text;
    (void)size;
    (void)found;
    return call("getgrnam", "r") ? 0 : ERANGE;
}

static void the_order_is_groups_user_and_the_rest(void **state)
{
    static const struct {
        bool is_root;
        bool can_go_back;
        uid_t uid;
        const char *doomed;
        const char *calls;
        const char *msg; /* "" for success */
    } rows[] = {
        {true, false, 77, NULL, "Ggubndc", ""},
        {true, true, 0, NULL, "Ggundc", ""}, /* root stays root: nothing to try */
        {false, false, 77, NULL, "ndc", ""},
        {true, false, 77, "setgroups", "G", "become user 77: Operation not permitted"},
        {true, false, 77, "setgid", "Gg", "become user 77: Operation not permitted"},
        {true, false, 77, "setuid", "Ggu", "become user 77: Operation not permitted"},
        {true, true, 77, NULL, "Ggub", "the rights of root could be taken back"},
        {false, false, 77, "no_new_privs", "n", "give up privileges: Operation not permitted"},
        {false, false, 77, "dumpable", "nd", "give up privileges: Operation not permitted"},
        {false, false, 77, "setrlimit", "ndc", "give up privileges: Operation not permitted"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct clm_user user = {.uid = rows[i].uid, .gid = 78};
        struct clm_err err = {.code = CLM_OK};

        memset(&box, 0, sizeof(box));
        box.doomed = rows[i].doomed;
        box.is_root = rows[i].is_root;
        box.can_go_back = rows[i].can_go_back;
        enum clm_code code = clm_user_drop(&user, &err);
        if (strcmp(box.calls, rows[i].calls) != 0 || strcmp(err.msg, rows[i].msg) != 0) {
            fail_msg("row %zu: %s: '%s'", i, box.calls, err.msg);
        }
        assert_int_equal(code, rows[i].msg[0] == '\0' ? CLM_OK : CLM_E_PERM);
    }
}

static void accounts_that_cannot_be_looked_up_are_no_missing_ones(void **state)
{
    struct clm_user user;
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    memset(&box, 0, sizeof(box));
    box.doomed = "getpwnam";
    assert_int_equal(clm_user_find("root", "", &user, &err), CLM_E_IO);
    assert_string_equal(err.msg, "look up user 'root': Input/output error");
    box.doomed = "getgrnam";
    assert_int_equal(clm_user_find("root", "many", &user, &err), CLM_E_IO);
    assert_string_equal(err.msg, "look up group 'many': Numerical result out of range");
}

static void no_core_is_ever_written(void **state)
{
    (void)state;
    memset(&box, 0, sizeof(box));
    clm_harden();
    assert_string_equal(box.calls, "cd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_groups_user_and_the_rest),
        cmocka_unit_test(accounts_that_cannot_be_looked_up_are_no_missing_ones),
        cmocka_unit_test(no_core_is_ever_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
