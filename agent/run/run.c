/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/dirlock.h"
#include "agent/base/fs.h"
#include "agent/base/log.h"
#include "agent/base/user.h"
#include "agent/run/agent.h"
#include "agent/run/confine.h"
#include "agent/run/files.h"
#include "agent/run/local_api.h"
#include "agent/run/notify.h"
#include "agent/run/rest.h"

#define FD_SIGNAL 0
#define FD_POLLER 1
#define FD_LOCAL  2
#define FDS_MAX   (FD_LOCAL + CLM_LOCAL_CLIENTS_MAX + 1)
#define STOP_MS   60000 /* children finish what must not be cut in two; systemd waits 75 s */
#define IDLE_MS   250   /* silence after which memory is given back */

struct loop {
    struct clm_agent agent;
    struct clm_local_api *local;
    int signal_fd;
    int64_t watchdog_ms; /* 0: none */
    int64_t next_watchdog_ms;
    int64_t stop_deadline_ms; /* 0: not stopping */
    bool is_at_rest;          /* nothing has happened since memory was given back */
};

static enum clm_code open_signals(int *out_fd, struct clm_err *err)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    for (size_t i = 0; i < CLM_ARRAY_LEN(signals); i++) {
        (void)sigaddset(&set, signals[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    *out_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *out_fd < 0 ? clm_err_sys(err, errno, "signals") : CLM_OK;
}

static void start_stopping(struct loop *l)
{
    if (l->agent.is_stopping) {
        return;
    }
    clm_log_notice("stopping");
    clm_notify("STOPPING=1");
    l->agent.is_stopping = true;
    l->stop_deadline_ms = clm_clock_mono_ms() + STOP_MS;
    clm_poller_stop(&l->agent.poller);
    clm_children_signal(&l->agent.children, NULL, SIGTERM);
}

static void take_signals(struct loop *l)
{
    struct signalfd_siginfo info;

    while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            start_stopping(l);
        } else if (info.ssi_signo == SIGHUP) {
            (void)clm_agent_poke(&l->agent, clm_clock_mono_ms());
        } else {
            clm_agent_reap(&l->agent);
        }
    }
}

static int64_t feed_watchdog(struct loop *l, int64_t now_ms, int64_t wait_ms)
{
    if (l->watchdog_ms == 0) {
        return wait_ms;
    }
    if (now_ms >= l->next_watchdog_ms) {
        clm_notify("WATCHDOG=1");
        l->next_watchdog_ms = now_ms + l->watchdog_ms;
    }
    int64_t left_ms = l->next_watchdog_ms - now_ms;
    return left_ms < wait_ms ? left_ms : wait_ms;
}

/* One turn: what is due, then a wait, then what came. */
static enum clm_code turn(struct loop *l, struct clm_err *err)
{
    struct pollfd fds[FDS_MAX];
    int64_t now_ms = clm_clock_mono_ms();
    int64_t wait_ms = clm_agent_tick(&l->agent, now_ms, clm_clock_now_s());

    fds[FD_SIGNAL] = (struct pollfd){.fd = l->signal_fd, .events = POLLIN};
    fds[FD_POLLER] = (struct pollfd){.fd = l->agent.poller.fd, .events = POLLIN};
    size_t n = clm_local_api_poll(l->local, fds + FD_LOCAL, now_ms, &wait_ms);
    wait_ms = feed_watchdog(l, now_ms, wait_ms);
    if (l->agent.is_stopping && wait_ms > 1000) {
        wait_ms = 1000;
    }
    bool may_rest =
        !l->is_at_rest && wait_ms > 2L * IDLE_MS && clm_children_all(&l->agent.children) == 0;
    int got = poll(fds, (nfds_t)(FD_LOCAL + n), may_rest ? IDLE_MS : (int)wait_ms);
    if (got < 0 && errno != EINTR) {
        return clm_err_sys(err, errno, "wait for events");
    }
    if (got == 0 && may_rest) {
        clm_rest();
    }
    l->is_at_rest = got == 0 && (may_rest || l->is_at_rest);
    if (fds[FD_SIGNAL].revents != 0) {
        take_signals(l);
    }
    if (fds[FD_POLLER].revents != 0 && l->agent.poller.fd == fds[FD_POLLER].fd) {
        clm_agent_poll_answer(&l->agent);
    }
    clm_local_api_work(l->local, fds + FD_LOCAL, n, clm_clock_mono_ms());
    return CLM_OK;
}

static bool is_over(struct loop *l)
{
    if (!l->agent.is_stopping) {
        return false;
    }
    if (clm_children_all(&l->agent.children) == 0) {
        return true;
    }
    if (clm_clock_mono_ms() >= l->stop_deadline_ms) {
        clm_log_warning("a job did not stop in time; it goes on after the next start");
        return true;
    }
    return false;
}

static enum clm_code become_user(const struct clm_config *config, struct clm_err *err)
{
    struct clm_user user;

    if (geteuid() != 0) {
        return CLM_OK;
    }
    enum clm_code code = clm_user_find(config->user, config->group, &user, err);
    return code == CLM_OK ? clm_user_drop(&user, err) : code;
}

static enum clm_code open_loop(struct loop *l, const struct clm_config *config, struct clm_err *err)
{
    enum clm_code code = open_signals(&l->signal_fd, err);
    if (code == CLM_OK) {
        code = clm_agent_open(&l->agent, config, err);
    }
    if (code == CLM_OK) {
        code = clm_local_api_open(config->run_dir, config->group, clm_status_answer, &l->agent,
                                  &l->local, err);
    }
    return code;
}

enum clm_code clm_run_main(const struct clm_config *config, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int lock_fd = -1;
    struct loop l = {.signal_fd = -1, .agent = {.poller = {.fd = -1}}};
    char net[PATH_MAX];
    int landlock = 0;

    enum clm_code code = become_user(config, err);
    if (code == CLM_OK) {
        code = clm_net_path(config, net, err, "%s", "");
    }
    if (code == CLM_OK) {
        code = clm_fs_mkdir(net, 0700, err);
    }
    if (code == CLM_OK) {
        code = clm_dirlock_take(net, 0, &lock_fd, err);
    }
    if (code == CLM_OK) {
        landlock = clm_run_confine(config);
        code = open_loop(&l, config, err);
        l.agent.landlock = landlock;
    }
    if (code == CLM_OK) {
        l.watchdog_ms = clm_notify_watchdog_ms();
        clm_notify("READY=1\nSTATUS=running");
        clm_log_notice("clmbot %s runs", CLM_VERSION);
    }
    while (code == CLM_OK && !is_over(&l)) {
        code = turn(&l, err);
    }
    clm_local_api_close(l.local);
    clm_agent_close(&l.agent);
    clm_fs_close_p(&l.signal_fd);
    return code;
}
