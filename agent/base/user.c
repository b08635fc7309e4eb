/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define ENTRY_MAX 65536 /* bytes of one passwd or group entry: a group of thousands of members */

enum clm_code clm_user_find(const char *user, const char *group, struct clm_user *out,
                            struct clm_err *err)
{
    char text[ENTRY_MAX];
    struct passwd pw;
    struct group gr;
    struct passwd *found_user = NULL;
    struct group *found_group = NULL;
    int sys = getpwnam_r(user, &pw, text, sizeof(text), &found_user);

    if (sys != 0) {
        return clm_err_sys(err, sys, "look up user '%s'", user);
    }
    if (found_user == NULL) {
        return clm_err_set(err, CLM_E_CONFIG, "user '%s' does not exist; create it, or set 'user'",
                           user);
    }
    *out = (struct clm_user){.uid = pw.pw_uid, .gid = pw.pw_gid};
    if (group[0] == '\0') {
        return CLM_OK;
    }
    sys = getgrnam_r(group, &gr, text, sizeof(text), &found_group);
    if (sys != 0) {
        return clm_err_sys(err, sys, "look up group '%s'", group);
    }
    if (found_group == NULL) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "group '%s' does not exist; create it, or set 'group'", group);
    }
    out->gid = gr.gr_gid;
    return CLM_OK;
}

enum clm_code clm_user_drop(const struct clm_user *user, struct clm_err *err)
{
    const struct rlimit none = {0, 0};

    if (geteuid() == 0) {
        if (setgroups(1, &user->gid) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0) {
            return clm_err_sys(err, errno, "become user %u", (unsigned)user->uid);
        }
        if (user->uid != 0 && setuid(0) == 0) {
            return clm_err_set(err, CLM_E_PERM, "the rights of root could be taken back");
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0) {
        return clm_err_sys(err, errno, "give up privileges");
    }
    return CLM_OK;
}
