/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "agent/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"

#define KILL_AFTER_MS 2000 /* between SIGTERM and SIGKILL; proc.h */
#define TICK_MS       20   /* how often to look for the end where the kernel has no pidfd */
#define REPORT_FD     3    /* in the child: says why exec failed */

/* What the child writes if it cannot become the program. */
struct failure {
    int is_cwd; /* chdir failed, else something else */
    int sys_errno;
};

struct run {
    const struct clm_proc *proc;
    pid_t pid;
    int out_fd;    /* its stdout and stderr; -1 after end of file */
    int report_fd; /* struct failure, or nothing after a good exec */
    int pid_fd;    /* readable when it ended; -1 where the kernel has none */
    struct clm_buf *output;
    size_t room; /* bytes of output still kept */
    bool is_timed_out;
};

static void close_if_open(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

/* ---- in the child: only async-signal-safe calls ---- */

static void reset_signals(void)
{
    struct sigaction act = {.sa_handler = SIG_DFL};
    sigset_t none;

    (void)sigemptyset(&act.sa_mask);
    for (int sig = 1; sig < NSIG; sig++) {
        (void)sigaction(sig, &act, NULL); /* fails for SIGKILL, SIGSTOP and libc's own: fine */
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts the descriptors where they belong; all four are above REPORT_FD on entry. */
static bool place_fds(int null_fd, int out_fd, int report_fd)
{
    return dup2(null_fd, STDIN_FILENO) >= 0 && dup2(out_fd, STDOUT_FILENO) >= 0 &&
           dup2(out_fd, STDERR_FILENO) >= 0 && dup3(report_fd, REPORT_FD, O_CLOEXEC) >= 0;
}

/* execve(2) takes no const for historical reasons only, and changes nothing. */
static char *const *unconst(const char *const *list)
{
    char *const *plain;

    memcpy(&plain, &list, sizeof(list));
    return plain;
}

static _Noreturn void become(const struct clm_proc *proc, int null_fd, int out_fd, int report_fd)
{
    static const char *const default_env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL};
    const char *const *env = proc->env != NULL ? proc->env : default_env;
    struct failure failure = {0};
    int fd = report_fd;

    (void)setpgid(0, 0);
    reset_signals();
    (void)umask(077);
    if (place_fds(null_fd, out_fd, report_fd)) {
        fd = REPORT_FD;
        clm_fs_close_from(REPORT_FD + 1);
        if (chdir(proc->cwd != NULL ? proc->cwd : "/") != 0) {
            failure.is_cwd = 1;
        } else {
            (void)execve(proc->argv[0], unconst(proc->argv), unconst(env));
        }
    }
    failure.sys_errno = errno;
    (void)!write(fd, &failure, sizeof(failure));
    _exit(127);
}

/* ---- in the parent ---- */

/* Moves fd above the numbers the child fills. */
static int raise_fd(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, REPORT_FD + 1);
    int saved_errno = errno;

    (void)close(fd);
    errno = saved_errno;
    return high;
}

static bool open_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return false;
    }
    fds[1] = raise_fd(fds[1]);
    return fds[1] >= 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0;
}

static enum clm_code start(struct run *run, struct clm_err *err)
{
    int out[2] = {-1, -1};
    int report[2] = {-1, -1};
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    enum clm_code code = CLM_OK;

    null_fd = null_fd < 0 ? null_fd : raise_fd(null_fd);
    if (null_fd < 0 || !open_pipe(out) || !open_pipe(report)) {
        code = clm_err_sys(err, errno, "prepare to run '%s'", run->proc->argv[0]);
    } else {
        run->pid = fork();
        if (run->pid == 0) {
            become(run->proc, null_fd, out[1], report[1]);
        }
        if (run->pid < 0) {
            code = clm_err_sys(err, errno, "start a process for '%s'", run->proc->argv[0]);
        } else {
            (void)setpgid(run->pid, run->pid); /* whoever is first: kill(-pid) must work */
        }
    }
    close_if_open(&null_fd);
    close_if_open(&out[1]);
    close_if_open(&report[1]);
    run->out_fd = out[0];
    run->report_fd = report[0];
    return code;
}

/* Before it runs: what it says must not be lost for want of memory. */
static enum clm_code make_room(struct run *run, struct clm_err *err)
{
    size_t max = run->proc->output_max != 0 ? run->proc->output_max : CLM_PROC_OUTPUT_MAX;
    size_t left = run->output == NULL ? 0 : run->output->max - run->output->len;

    run->room = max < left ? max : left;
    return run->room == 0 ? CLM_OK : clm_buf_reserve(run->output, run->room, err);
}

static void keep_output(struct run *run, const char *data, size_t len)
{
    size_t n = len < run->room ? len : run->room;

    if (n > 0) {
        clm_ignore(clm_buf_add(run->output, data, n, NULL)); /* there is room: make_room() */
        run->room -= n;
    }
}

/* Reads what is there; at end of file out_fd is closed. */
static void drain(struct run *run)
{
    char data[4096];

    while (run->out_fd >= 0) {
        ssize_t n = read(run->out_fd, data, sizeof(data));

        if (n > 0) {
            keep_output(run, data, (size_t)n);
        } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            close_if_open(&run->out_fd);
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* 1 ended (not yet reaped, so its group cannot be taken by others), 0 runs, -1 not our child. */
static int has_ended(pid_t pid)
{
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        return errno == EINTR ? 0 : -1;
    }
    return info.si_pid == pid;
}

static void wait_for_event(const struct run *run, int64_t ms)
{
    struct pollfd fds[2] = {
        {.fd = run->out_fd, .events = POLLIN},
        {.fd = run->pid_fd, .events = POLLIN},
    };

    if (run->pid_fd < 0 && ms > TICK_MS) {
        ms = TICK_MS;
    }
    (void)poll(fds, 2, (int)(ms < 0 ? 0 : ms));
}

/* Until the program ended. Children it left in the background may keep the pipe: not waited for. */
static void follow(struct run *run)
{
    int64_t deadline_ms = clm_clock_mono_ms() + run->proc->timeout_ms;
    bool is_killed = false;

    while (has_ended(run->pid) == 0) {
        int64_t left_ms = deadline_ms - clm_clock_mono_ms();

        if (left_ms <= 0 && !run->is_timed_out) {
            run->is_timed_out = true;
            (void)kill(-run->pid, SIGTERM);
            deadline_ms += KILL_AFTER_MS;
        } else if (left_ms <= 0 && !is_killed) {
            is_killed = true;
            (void)kill(-run->pid, SIGKILL);
            deadline_ms += KILL_AFTER_MS;
        }
        wait_for_event(run, deadline_ms - clm_clock_mono_ms());
        drain(run);
    }
    if (run->is_timed_out) {
        (void)kill(-run->pid, SIGKILL); /* what its leader left behind */
    }
    drain(run);
}

static enum clm_code outcome(struct run *run, int *out_status, struct clm_err *err)
{
    const char *program = run->proc->argv[0];
    struct failure failure = {0};
    int status = 0;
    pid_t got;

    do {
        got = waitpid(run->pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return clm_err_sys(err, errno, "wait for '%s'", program);
    }
    if (read(run->report_fd, &failure, sizeof(failure)) == (ssize_t)sizeof(failure)) {
        if (failure.is_cwd && run->proc->cwd != NULL) {
            return clm_err_sys(err, failure.sys_errno, "run '%s' in '%s'", program, run->proc->cwd);
        }
        return clm_err_sys(err, failure.sys_errno, "run '%s'", program);
    }
    if (run->is_timed_out) {
        return clm_err_set(err, CLM_E_TIMEOUT, "'%s' did not end within %u ms and was stopped",
                           program, (unsigned)run->proc->timeout_ms);
    }
    *out_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return CLM_OK;
}

enum clm_code clm_proc_run(const struct clm_proc *proc, int *out_status, struct clm_buf *output,
                           struct clm_err *err)
{
    struct run run = {
        .proc = proc,
        .out_fd = -1,
        .report_fd = -1,
        .pid_fd = -1,
        .output = output,
    };
    enum clm_code code;

    if (proc->argv == NULL || proc->argv[0] == NULL || proc->argv[0][0] != '/') {
        return clm_err_set(err, CLM_E_INVAL, "program to run is not an absolute path");
    }
    if (proc->timeout_ms == 0) {
        return clm_err_set(err, CLM_E_INVAL, "no time limit for '%s'", proc->argv[0]);
    }
    code = make_room(&run, err);
    if (code == CLM_OK) {
        code = start(&run, err);
    }
    if (code == CLM_OK) {
#ifdef SYS_pidfd_open
        run.pid_fd = (int)syscall(SYS_pidfd_open, run.pid, 0U);
#endif
        follow(&run);
        code = outcome(&run, out_status, err);
    }
    close_if_open(&run.out_fd);
    close_if_open(&run.report_fd);
    close_if_open(&run.pid_fd);
    return code;
}
