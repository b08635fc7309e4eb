/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/dirlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/str.h"

#define RETRY_MS 50

/* Why it failed, with the holder's pid, which that one has written into the file. */
static enum clm_code held(int fd, const char *dir, struct clm_err *err)
{
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    if (pid[0] == '\0') {
        return clm_err_set(err, CLM_E_CONFLICT, "'%s' is in use by another process", dir);
    }
    return clm_err_set(err, CLM_E_CONFLICT, "'%s' is in use by process %s", dir, pid);
}

static enum clm_code wait_for(int fd, const char *dir, uint32_t wait_ms, struct clm_err *err)
{
    int64_t end_ms = clm_clock_mono_ms() + wait_ms;

    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return clm_err_sys(err, errno, "lock '%s'", dir);
        }
        if (clm_clock_mono_ms() >= end_ms) {
            return held(fd, dir, err);
        }
        clm_clock_sleep_ms(RETRY_MS);
    }
    return CLM_OK;
}

enum clm_code clm_dirlock_take(const char *dir, uint32_t wait_ms, int *out_fd, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    char path[PATH_MAX];
    char pid[16];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/lock", dir);

    if (code != CLM_OK) {
        return code;
    }
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    code = wait_for(fd, dir, wait_ms, err);
    if (code != CLM_OK) {
        return code;
    }
    /* The pid is for messages only: a full disk must not keep us from working. */
    (void)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0) {
        (void)!pwrite(fd, pid, strlen(pid), 0);
    }
    *out_fd = clm_fs_steal(&fd);
    return CLM_OK;
}
