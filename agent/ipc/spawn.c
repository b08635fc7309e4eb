/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ipc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/fs.h"

#define HOST_FD 3 /* as the host half is told on its command line */

/* Between fork and exec: async-signal-safe calls only. */
static _Noreturn void become_host(const char *exe, const char *config_path, int fd)
{
    const char *argv[] = {"clmbot", "host", "--fd", "3", NULL, NULL, NULL};
    sigset_t none;

    if (config_path != NULL && config_path[0] != '\0') {
        argv[4] = "--config";
        argv[5] = config_path;
    }
    if (fd == HOST_FD) {
        (void)fcntl(fd, F_SETFD, 0); /* it is open: this cannot fail */
    } else if (dup2(fd, HOST_FD) < 0) {
        _exit(127);
    }
    clm_fs_close_from(HOST_FD + 1);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execv(exe, (char *const *)(void *)argv);
    _exit(errno == ENOENT ? 127 : 126);
}

enum clm_code clm_link_spawn(const char *exe, const char *config_path, struct clm_link **out,
                             struct clm_err *err)
{
    int pair[2];
    const char *program = exe == NULL ? "/proc/self/exe" : exe;

    if (access(program, X_OK) != 0) {
        return clm_err_sys(err, errno, "host half '%s'", program);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return clm_err_sys(err, errno, "socket pair for the host half");
    }
    pid_t pid = fork();
    if (pid < 0) {
        int sys = errno;

        (void)close(pair[0]);
        (void)close(pair[1]);
        return clm_err_sys(err, sys, "start of the host half");
    }
    if (pid == 0) {
        become_host(program, config_path, pair[1]);
    }
    (void)close(pair[1]);
    enum clm_code code = clm_link_from_fd_take(pair[0], out, err);
    if (code == CLM_OK) {
        clm_link_set_child(*out, pid);
    }
    return code;
}
