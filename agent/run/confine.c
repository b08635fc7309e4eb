/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/confine.h"

#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/base/landlock.h"
#include "agent/base/log.h"
#include "agent/run/files.h"

/* Name resolution, time zones, trust anchors and libraries of any distribution. */
static const struct clm_landlock_path of_system[] = {
    {"/etc", CLM_LANDLOCK_READ},
    {"/usr", CLM_LANDLOCK_READ},
    {"/run", CLM_LANDLOCK_READ},
    {"/proc", CLM_LANDLOCK_READ},
    {"/dev", CLM_LANDLOCK_READ},
    {"/dev/null", CLM_LANDLOCK_WRITE},
    {"/sys/devices/system/cpu", CLM_LANDLOCK_READ},
    {"/var/lib/ca-certificates", CLM_LANDLOCK_READ},
    /* the dynamic loader is executed with every program */
    {"/lib", CLM_LANDLOCK_RUN},
    {"/lib64", CLM_LANDLOCK_RUN},
    {"/usr/lib", CLM_LANDLOCK_RUN},
    {"/usr/lib64", CLM_LANDLOCK_RUN},
};

#define OWN_MAX 4

static void directory_of(const char *path, char *dst)
{
    const char *slash = strrchr(path, '/');

    clm_ignore(
        clm_str_fmt(dst, PATH_MAX, NULL, "%.*s", slash == NULL ? 0 : (int)(slash - path), path));
}

int clm_run_confine(const struct clm_config *config)
{
    struct clm_landlock_path paths[CLM_ARRAY_LEN(of_system) + OWN_MAX];
    char net[PATH_MAX] = "";
    char conf[PATH_MAX] = "";
    char exe[PATH_MAX] = "";
    struct clm_err err = {.code = CLM_OK};
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    int abi = 0;

    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        return 0;
    }
    exe[n < 0 ? 0 : n] = '\0';
    directory_of(config->path, conf);
    clm_ignore(clm_net_path(config, net, NULL, "%s", ""));
    memcpy(paths, of_system, sizeof(of_system));
    paths[CLM_ARRAY_LEN(of_system)] = (struct clm_landlock_path){net, CLM_LANDLOCK_WRITE};
    paths[CLM_ARRAY_LEN(of_system) + 1] =
        (struct clm_landlock_path){config->run_dir, CLM_LANDLOCK_WRITE};
    paths[CLM_ARRAY_LEN(of_system) + 2] = (struct clm_landlock_path){conf, CLM_LANDLOCK_READ};
    paths[CLM_ARRAY_LEN(of_system) + 3] = (struct clm_landlock_path){exe, CLM_LANDLOCK_RUN};
    if (clm_landlock_restrict(paths, CLM_ARRAY_LEN(paths), &abi, &err) != CLM_OK) {
        clm_log_warning("not restricted by Landlock: %s", err.msg);
    }
    return abi;
}
