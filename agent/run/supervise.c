/* SPDX-License-Identifier: Apache-2.0 */
/* Both halves without systemd: this process holds the socket and starts them; nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/log.h"
#include "agent/base/str.h"
#include "agent/base/user.h"
#include "agent/run/rest.h"
#include "agent/run/run.h"

/* Both halves bind a socket here. Sticky: a member of the group can neither remove nor replace the
 * socket of another user, so nobody but root can answer root's commands. */
#define RUN_DIR_MODE 01770
#define LISTEN_FD    3
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 60000
#define STABLE_MS    60000 /* ran this long: the next start needs no pause */
#define STOP_MS      70000 /* a little more than the network half gives its jobs */

struct half {
    pid_t pid; /* 0: not running */
    int64_t started_ms;
    int64_t pause_ms;
    int64_t not_before_ms;
};

struct supervisor {
    const struct clm_config *config;
    struct clm_user user;
    struct sockaddr_un addr; /* of the socket */
    int listen_fd;
    int signal_fd;
    struct half net;
    struct half host;
    int64_t stop_deadline_ms; /* 0: not stopping */
};

/* ---- the socket ---- */

static enum clm_code refuse_second(const struct sockaddr_un *addr, struct clm_err *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return clm_err_sys(err, errno, "socket");
    }
    int failed = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
    (void)close(fd);
    if (failed == 0) {
        return clm_err_set(err, CLM_E_EXISTS,
                           "somebody listens on '%s' already; stop clmbot-host.socket or the other "
                           "'clmbot run'",
                           addr->sun_path);
    }
    return CLM_OK;
}

static enum clm_code open_socket(struct supervisor *s, struct clm_err *err)
{
    struct sockaddr_un *addr = &s->addr;

    enum clm_code code = clm_str_fmt(addr->sun_path, sizeof(addr->sun_path), err, "%s/host.sock",
                                     s->config->run_dir);
    if (code == CLM_OK) {
        code = refuse_second(addr, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    (void)unlink(addr->sun_path);
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd < 0) {
        return clm_err_sys(err, errno, "socket");
    }
    mode_t old = umask(0177);
    int failed = bind(s->listen_fd, (const struct sockaddr *)addr, sizeof(*addr));
    int sys = errno;
    (void)umask(old);
    if (failed != 0) {
        return clm_err_sys(err, sys, "socket '%s'", addr->sun_path);
    }
    if (geteuid() == 0 && lchown(addr->sun_path, 0, s->user.gid) != 0) {
        return clm_err_sys(err, errno, "group of '%s'", addr->sun_path);
    }
    if (chmod(addr->sun_path, 0660) != 0 || listen(s->listen_fd, 8) != 0) {
        return clm_err_sys(err, errno, "socket '%s'", addr->sun_path);
    }
    return CLM_OK;
}

/* The directory of the sockets: root's, and the network half may make its own in it. */
static enum clm_code prepare_dirs(const struct supervisor *s, struct clm_err *err)
{
    const struct clm_config *config = s->config;
    char net[PATH_MAX];
    bool is_root = geteuid() == 0;

    enum clm_code code = clm_fs_mkdir(config->run_dir, RUN_DIR_MODE, err);
    if (code == CLM_OK && is_root &&
        (lchown(config->run_dir, 0, s->user.gid) != 0 ||
         chmod(config->run_dir, RUN_DIR_MODE) != 0)) {
        code = clm_err_sys(err, errno, "owner of '%s'", config->run_dir);
    }
    if (code == CLM_OK) {
        code = clm_fs_mkdir(config->state_dir, 0755, err);
    }
    if (code == CLM_OK) {
        code = clm_str_fmt(net, sizeof(net), err, "%s/net", config->state_dir);
    }
    if (code == CLM_OK) {
        code = clm_fs_mkdir(net, 0700, err);
    }
    if (code == CLM_OK && is_root && lchown(net, s->user.uid, s->user.gid) != 0) {
        code = clm_err_sys(err, errno, "owner of '%s'", net);
    }
    return code;
}

/* ---- the halves ---- */

static void unblock_signals(void)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void be_net(struct supervisor *s)
{
    struct clm_err why = {0};

    (void)close(s->listen_fd);
    (void)close(s->signal_fd);
    unblock_signals();
    clm_log_set_name("run");
    enum clm_code code = geteuid() == 0 ? clm_user_drop(&s->user, &why) : CLM_OK;
    /* After the change of user, which clears it. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (code == CLM_OK) {
        code = clm_run_main(s->config, &why);
    }
    if (code != CLM_OK) {
        clm_log_error("%s", why.msg);
        _exit(1);
    }
    _exit(0);
}

/* As systemd does: the listening socket is descriptor 3. */
static _Noreturn void be_host(const struct supervisor *s)
{
    const char *argv[] = {"clmbot", "host", NULL, NULL, NULL};
    char pid_text[32];
    const char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "LISTEN_FDS=1", pid_text,
                         NULL};
    int flags;

    (void)snprintf(pid_text, sizeof(pid_text), "LISTEN_PID=%d", (int)getpid());
    if (s->config->path[0] != '\0') {
        argv[2] = "--config";
        argv[3] = s->config->path;
    }
    if (s->listen_fd == LISTEN_FD) {
        (void)fcntl(LISTEN_FD, F_SETFD, 0);
    } else if (dup2(s->listen_fd, LISTEN_FD) < 0) {
        _exit(127);
    }
    flags = fcntl(LISTEN_FD, F_GETFL);
    (void)fcntl(LISTEN_FD, F_SETFL, flags & ~O_NONBLOCK);
    clm_fs_close_from(LISTEN_FD + 1);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* it finishes or undoes what is under way */
    unblock_signals();
    (void)execve("/proc/self/exe", (char *const *)(void *)argv, (char *const *)(void *)env);
    _exit(127);
}

static void start_half(struct supervisor *s, struct half *half, int64_t now_ms)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        clm_log_error("a half could not be started: %d", errno);
        half->not_before_ms = now_ms + PAUSE_MAX_MS;
        return;
    }
    if (pid == 0) {
        if (half == &s->net) {
            be_net(s);
        }
        be_host(s);
    }
    half->pid = pid;
    half->started_ms = now_ms;
}

/* A half that ends soon is not started again in a circle. */
static void note_end(struct half *half, int status, bool is_normal, int64_t now_ms)
{
    half->pid = 0;
    if (is_normal || now_ms - half->started_ms >= STABLE_MS) {
        half->pause_ms = 0;
        half->not_before_ms = now_ms;
        return;
    }
    half->pause_ms = half->pause_ms == 0 ? PAUSE_MIN_MS : half->pause_ms * 2;
    half->pause_ms = half->pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : half->pause_ms;
    half->not_before_ms = now_ms + half->pause_ms;
    clm_log_warning("a half of the agent ended early (status %d); started again in %d ms", status,
                    (int)half->pause_ms);
}

static bool has_ended(const struct half *half, int *out_status)
{
    return half->pid > 0 && waitpid(half->pid, out_status, WNOHANG) == half->pid;
}

static void reap(struct supervisor *s, int64_t now_ms)
{
    bool is_stopping = s->stop_deadline_ms != 0;
    int status = 0;

    if (has_ended(&s->net, &status)) {
        note_end(&s->net, status, is_stopping, now_ms);
    }
    if (has_ended(&s->host, &status)) {
        note_end(&s->host, status, status == 0 || is_stopping, now_ms);
    }
}

static void tell(const struct half *half, int signo)
{
    if (half->pid > 0) {
        (void)kill(half->pid, signo);
    }
}

static void take_signals(struct supervisor *s, int64_t now_ms)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            reap(s, now_ms);
        } else if (info.ssi_signo == SIGHUP) {
            tell(&s->net, SIGHUP);
        } else {
            if (s->stop_deadline_ms == 0) {
                s->stop_deadline_ms = now_ms + STOP_MS;
            }
            tell(&s->net, SIGTERM);
        }
    }
}

static int64_t until(int64_t when_ms, int64_t now_ms)
{
    return when_ms > now_ms ? when_ms - now_ms : 0;
}

/* Milliseconds to wait; -1: until something happens. */
static int64_t start_what_is_due(struct supervisor *s, int64_t now_ms)
{
    if (s->stop_deadline_ms != 0) {
        return until(s->stop_deadline_ms, now_ms);
    }
    if (s->net.pid == 0 && now_ms >= s->net.not_before_ms) {
        start_half(s, &s->net, now_ms);
    }
    int64_t wait_ms = s->net.pid > 0 ? -1 : until(s->net.not_before_ms, now_ms);
    if (s->host.pid == 0 && now_ms < s->host.not_before_ms) {
        int64_t left_ms = until(s->host.not_before_ms, now_ms);

        wait_ms = wait_ms < 0 || left_ms < wait_ms ? left_ms : wait_ms;
    }
    return wait_ms;
}

/* The host half ends by itself when it has been idle; while it works it is not disturbed. */
static bool is_over(const struct supervisor *s, int64_t now_ms)
{
    return s->stop_deadline_ms != 0 &&
           ((s->net.pid == 0 && s->host.pid == 0) || now_ms >= s->stop_deadline_ms);
}

static enum clm_code turn(struct supervisor *s, struct clm_err *err)
{
    int64_t now_ms = clm_clock_mono_ms();
    int64_t wait_ms = start_what_is_due(s, now_ms);
    /* Also while stopping: a job of the network half may need it to come to its end. */
    bool may_start_host = s->host.pid == 0 && now_ms >= s->host.not_before_ms;
    struct pollfd fds[2] = {
        {.fd = s->signal_fd, .events = POLLIN},
        {.fd = may_start_host ? s->listen_fd : -1, .events = POLLIN},
    };

    clm_rest();
    if (poll(fds, 2, (int)wait_ms) < 0 && errno != EINTR) {
        return clm_err_sys(err, errno, "wait for events");
    }
    now_ms = clm_clock_mono_ms();
    if (fds[0].revents != 0) {
        take_signals(s, now_ms);
    }
    if (fds[1].revents != 0) {
        start_half(s, &s->host, now_ms);
    }
    /* Nobody is left who could ask it for anything. */
    if (s->stop_deadline_ms != 0 && s->net.pid == 0) {
        tell(&s->host, SIGTERM);
    }
    return CLM_OK;
}

static enum clm_code open_signals(struct supervisor *s, struct clm_err *err)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < CLM_ARRAY_LEN(signals); i++) {
        (void)sigaddset(&set, signals[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd < 0 ? clm_err_sys(err, errno, "signals") : CLM_OK;
}

enum clm_code clm_run_supervise(const struct clm_config *config, struct clm_err *err)
{
    struct supervisor s = {
        .config = config, .addr = {.sun_family = AF_UNIX}, .listen_fd = -1, .signal_fd = -1};
    enum clm_code code = CLM_OK;

    if (geteuid() == 0) {
        code = clm_user_find(config->user, config->group, &s.user, err);
    }
    if (code == CLM_OK) {
        code = prepare_dirs(&s, err);
    }
    if (code == CLM_OK) {
        code = open_socket(&s, err);
    }
    if (code == CLM_OK) {
        code = open_signals(&s, err);
    }
    while (code == CLM_OK && !is_over(&s, clm_clock_mono_ms())) {
        code = turn(&s, err);
    }
    if (s.listen_fd >= 0) {
        (void)unlink(s.addr.sun_path);
    }
    clm_fs_close_p(&s.listen_fd);
    clm_fs_close_p(&s.signal_fd);
    return code;
}
