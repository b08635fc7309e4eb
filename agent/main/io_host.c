/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* syscall(2) numbers of pidfd_open and pidfd_send_signal */
#include "agent/main/io_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/inroot.h"
#include "agent/base/proc.h"
#include "agent/main/units.h"
#include "agent/main/units_run.h"
#include "agent/model/names.h"
#include "agent/net/http.h"
#include "agent/net/loopback.h"
#include "agent/net/sockdiag.h"

#ifndef SYS_pidfd_open /* headers before 5.3; the numbers are the same on every architecture */
#    define SYS_pidfd_open        434
#    define SYS_pidfd_send_signal 424
#endif

#define READ_CHUNK  65536u
#define STAT_FIELDS 1024u /* bytes of /proc/PID/stat: comm is at most 16 */

static void close_dir_p(DIR **dir)
{
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

/* What lies below another process's root is found as that process would find it. */
static enum clm_code open_path(const char *path, int *out_fd, struct clm_err *err)
{
    if (clm_inroot_is(path)) {
        return clm_inroot_open(path, out_fd, err);
    }
    *out_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return *out_fd < 0 ? clm_err_sys(err, errno, "open '%s'", path) : CLM_OK;
}

static enum clm_code stat_any(const char *path, bool follow, struct stat *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    int r;

    if (clm_inroot_is(path)) {
        enum clm_code code = clm_inroot_find(path, follow, &fd, err);

        if (code != CLM_OK) {
            return code;
        }
        r = fstat(fd, out);
    } else {
        r = follow ? stat(path, out) : lstat(path, out);
    }
    return r == 0 ? CLM_OK : clm_err_sys(err, errno, "stat '%s'", path);
}

/* Sizes in /proc are 0 and other files may grow: read to the end, whatever fstat says. */
static enum clm_code read_file(void *ctx, const char *path, size_t max, struct clm_buf *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    enum clm_code opened = open_path(path, &fd, err);
    struct stat st;
    size_t got = 0;

    (void)ctx;
    if (opened != CLM_OK) {
        return opened;
    }
    if (fstat(fd, &st) != 0) {
        return clm_err_sys(err, errno, "stat '%s'", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not a regular file", path);
    }
    for (;;) {
        char beyond; /* one byte behind the limit tells whether there is more */
        bool is_full = got == max;
        size_t room = max - got < READ_CHUNK ? max - got : READ_CHUNK;
        enum clm_code code = clm_buf_reserve(out, room, err);
        ssize_t n;

        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "read '%s'", path);
        }
        n = is_full ? read(fd, &beyond, 1) : read(fd, out->data + out->len, room);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return clm_err_sys(err, errno, "read '%s'", path);
        }
        if (n == 0) {
            return CLM_OK;
        }
        if (is_full) {
            return clm_err_set(err, CLM_E_LIMIT, "'%s' is larger than %zu bytes", path, max);
        }
        got += (size_t)n;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

static enum clm_code stat_path(void *ctx, const char *path, bool follow, struct clm_stat *out,
                               struct clm_err *err)
{
    struct stat st;
    enum clm_code code = stat_any(path, follow, &st, err);

    (void)ctx;
    if (code != CLM_OK) {
        return code;
    }
    *out = (struct clm_stat){
        .kind = S_ISREG(st.st_mode)   ? CLM_FILE_REGULAR
                : S_ISDIR(st.st_mode) ? CLM_FILE_DIRECTORY
                : S_ISLNK(st.st_mode) ? CLM_FILE_SYMLINK
                                      : CLM_FILE_OTHER,
        .mode = st.st_mode & 07777u,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .size_bytes = (uint64_t)st.st_size,
        .dev = st.st_dev,
        .ino = st.st_ino,
        .nlink = (uint32_t)st.st_nlink,
        .mtime_s = st.st_mtime,
    };
    return CLM_OK;
}

static enum clm_code read_link(void *ctx, const char *path, char *dst, size_t size,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    ssize_t n;

    (void)ctx;
    if (clm_inroot_is(path) && strchr(path + strlen("/proc/"), '/')[strlen("/root")] == '/') {
        enum clm_code code = clm_inroot_find(path, false, &fd, err);

        if (code != CLM_OK) {
            return code;
        }
        n = readlinkat(fd, "", dst, size);
        errno = n < 0 && errno == ENOENT ? EINVAL : errno; /* it is no link */
    } else {
        n = readlink(path, dst, size);
    }
    if (n < 0) {
        return clm_err_sys(err, errno, "read link '%s'", path);
    }
    if ((size_t)n >= size) {
        return clm_err_set(err, CLM_E_LIMIT, "link '%s' is too long", path);
    }
    dst[n] = '\0';
    return CLM_OK;
}

static enum clm_code open_dir(const char *path, DIR **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    enum clm_code code;

    if (!clm_inroot_is(path)) {
        *out = opendir(path);
        return *out == NULL ? clm_err_sys(err, errno, "list '%s'", path) : CLM_OK;
    }
    code = clm_inroot_open(path, &fd, err);
    if (code != CLM_OK) {
        return code;
    }
    *out = fdopendir(fd);
    if (*out == NULL) {
        return clm_err_sys(err, errno, "list '%s'", path);
    }
    (void)clm_fs_steal(&fd); /* closedir(3) closes it */
    return CLM_OK;
}

static enum clm_code list_dir(void *ctx, const char *path, clm_io_dir_fn visit, void *arg,
                              struct clm_err *err)
{
    CLM_CLEANUP(close_dir_p) DIR *dir = NULL;
    const struct dirent *entry;
    enum clm_code opened = open_dir(path, &dir, err);

    (void)ctx;
    if (opened != CLM_OK) {
        return opened;
    }
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        enum clm_code code;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        code = visit(arg, entry->d_name, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    return errno == 0 ? CLM_OK : clm_err_sys(err, errno, "list '%s'", path);
}

static enum clm_code ask(void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
                         struct clm_buf *output, struct clm_err *err)
{
    const struct clm_proc proc = {.argv = argv, .timeout_ms = timeout_ms};

    (void)ctx;
    return clm_proc_run(&proc, out_status, output, err);
}

static enum clm_code run_env(void *ctx, const struct clm_program *program, int *out_status,
                             struct clm_buf *output, struct clm_err *err)
{
    const struct clm_proc proc = {
        .argv = program->argv, .env = program->env, .timeout_ms = program->timeout_ms};

    (void)ctx;
    return clm_units_must_run() ? clm_units_run(program, out_status, output, err)
                                : clm_proc_run(&proc, out_status, output, err);
}

static enum clm_code run(void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
                         struct clm_buf *output, struct clm_err *err)
{
    const struct clm_program program = {.argv = argv, .timeout_ms = timeout_ms};

    return run_env(ctx, &program, out_status, output, err);
}

/* Field 22 of /proc/PID/stat, counted behind the last ')' because comm may hold anything. */
static bool start_ticks(int32_t pid, uint64_t *out)
{
    struct clm_buf text = CLM_BUF_INIT(STAT_FIELDS);
    char path[64];
    const char *at = NULL;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_file(NULL, path, STAT_FIELDS, &text, NULL) == CLM_OK) {
        at = strrchr(clm_buf_str(&text), ')');
    }
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    *out = at != NULL ? strtoull(at + 1, NULL, 10) : 0;
    clm_buf_done(&text);
    return at != NULL;
}

/* Kernels before 5.3 have no pidfd: then the check and kill(2) leave a gap of microseconds. */
static enum clm_code send_signal(void *ctx, int32_t pid, uint64_t ticks, int signo,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    uint64_t now = 0;
    long r;

    (void)ctx;
    if (!start_ticks(pid, &now) || now != ticks) {
        return clm_err_set(err, CLM_E_NOTFOUND, "process %d has ended; scan again", (int)pid);
    }
    r = fd >= 0 ? syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) : kill(pid, signo);
    return r == 0 ? CLM_OK : clm_err_sys(err, errno, "signal %d to process %d", signo, (int)pid);
}

/* This process may have no network: then the socket that is asked comes from elsewhere. */
static enum clm_code listening(void *ctx, clm_io_listening_fn visit, void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    enum clm_code code = CLM_OK;

    (void)ctx;
    if (clm_units_must_run()) {
        code = clm_loopback_diag(&fd, err);
    } else {
        fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        code = fd < 0 ? clm_err_sys(err, errno, "socket for sock_diag(7)") : CLM_OK;
    }
    return code == CLM_OK ? clm_sockdiag_read(fd, visit, arg, err) : code;
}

/* A manager on this very host, which the network half must not talk to: it takes a password. */
static enum clm_code http(void *ctx, const struct clm_http_request *request,
                          struct clm_http_response *out, struct clm_err *err)
{
    (void)ctx;
    *out = (struct clm_http_response){.body = CLM_BUF_INIT(request->response_max)};
    if (clm_url_check_loopback(request->url, NULL) != CLM_OK || request->connect_to != NULL) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "the host half has no network beyond this host: '%s'", request->url);
    }
    return clm_http_do_here(request, clm_units_must_run() ? clm_loopback_tcp : NULL, out, err);
}

static enum clm_code probe(void *ctx, const struct clm_endpoint *endpoint,
                           struct clm_observation *out, struct clm_err *err)
{
    const struct clm_probe_route *route = ctx;

    if (route->probe == NULL) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "nobody is connected who could probe");
    }
    return route->probe(route->arg, endpoint, out, err);
}

static int64_t now_s(void *ctx)
{
    (void)ctx;
    return clm_clock_now_s();
}

static int64_t mono_ms(void *ctx)
{
    (void)ctx;
    return clm_clock_mono_ms();
}

static void sleep_ms(void *ctx, int64_t ms)
{
    (void)ctx;
    clm_clock_sleep_ms(ms);
}

void clm_io_host_init(struct clm_io *out, struct clm_probe_route *route)
{
    *out = (struct clm_io){
        .ctx = route,
        .read_file = read_file,
        .stat = stat_path,
        .read_link = read_link,
        .list_dir = list_dir,
        .ask = ask,
        .run = run,
        .run_env = run_env,
        .signal = send_signal,
        .unit_list = clm_units_list,
        .unit_state = clm_units_state,
        .unit_reload = clm_units_reload,
        .unit_restart = clm_units_restart,
        .listening = listening,
        .http = http,
        .probe = probe,
        .now_s = now_s,
        .mono_ms = mono_ms,
        .sleep_ms = sleep_ms,
    };
}
