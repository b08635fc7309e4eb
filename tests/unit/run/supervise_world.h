/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervise_world - a supervisor of two halves that are the test's
 *
 * The network half is a function here, the host half is the test's program, started again as "clmbot
 * host": real processes both. Each turn of the supervisor begins with a function of the test, and its
 * clock is the test's. Linked with --wrap: see loop_test() in CMakeLists.txt.
 */
#ifndef CLM_TESTS_RUN_SUPERVISE_WORLD_H
#define CLM_TESTS_RUN_SUPERVISE_WORLD_H

#include "tests/support/sabotage.h"
#include "tests/unit/run/world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/user.h"
#include "agent/run/rest.h"
#include "agent/run/run.h"

#define LISTEN_FD 3
#define ONE_S     1000
#define MANY      5000

enum net {
    NET_STAYS,       /* until SIGTERM; tells of SIGHUP */
    NET_FAILS,       /* at once */
    NET_FAILS_LATER, /* at SIGHUP */
    NET_IS_DEAF,     /* to SIGTERM */
};

struct note {
    char what; /* 'N': the network half runs; 'H': it got a SIGHUP */
    pid_t pid;
};

static struct {
    struct home home;
    void (*turn)(void);
    unsigned turns;
    int64_t ahead_ms; /* of the clock */
    int64_t creep_ms; /* and more so with each look at it */
    bool is_kept;     /* a child fails as its parent would */
    uid_t uid;        /* who we are said to be */
    enum clm_code find;
    enum clm_code drop;
    bool chmod_fails;
    enum net net;
    int notes[2];
    int client; /* connection to the host half; -1 */
    int step;
    pid_t left; /* a network half that is not ours to wait for any more */
} f;

/* ---- in place of the world ---- */

void __wrap_clm_rest(void);
void __wrap_clm_rest(void)
{
    if (++f.turns > MANY) {
        abort(); /* a test that does not end */
    }
    f.turn();
}

int64_t __real_clm_clock_mono_ms(void);
int64_t __wrap_clm_clock_mono_ms(void);
int64_t __wrap_clm_clock_mono_ms(void)
{
    f.ahead_ms += f.creep_ms;
    return __real_clm_clock_mono_ms() + f.ahead_ms;
}

uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return f.uid;
}

enum clm_code __wrap_clm_user_find(const char *user, const char *group, struct clm_user *out,
                                   struct clm_err *err);
enum clm_code __wrap_clm_user_find(const char *user, const char *group, struct clm_user *out,
                                   struct clm_err *err)
{
    (void)user;
    (void)group;
    *out = (struct clm_user){.uid = 7, .gid = 8};
    return f.find == CLM_OK ? CLM_OK : clm_err_set(err, f.find, "no such user");
}

enum clm_code __wrap_clm_user_drop(const struct clm_user *user, struct clm_err *err);
enum clm_code __wrap_clm_user_drop(const struct clm_user *user, struct clm_err *err)
{
    assert_int_equal(user->uid, 7);
    return f.drop == CLM_OK ? CLM_OK : clm_err_set(err, f.drop, "it may not be");
}

int __real_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode)
{
    if (f.chmod_fails) {
        errno = EPERM;
        return -1;
    }
    return __real_chmod(path, mode);
}

/* ---- the halves ---- */

static inline void spare_the_child(void)
{
    if (!f.is_kept) {
        (void)clm_sabotage_off();
    }
}

static inline void report(char what)
{
    const struct note note = {.what = what, .pid = getpid()};

    if (write(f.notes[1], &note, sizeof(note)) != (ssize_t)sizeof(note)) {
        _exit(9);
    }
}

/* The network half, in a process of its own. */
enum clm_code __wrap_clm_run_main(const struct clm_config *config, struct clm_err *err);
enum clm_code __wrap_clm_run_main(const struct clm_config *config, struct clm_err *err)
{
    sigset_t set;
    int signo = 0;
    int parent_gone = 0;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    if (config != &f.home.config || prctl(PR_GET_PDEATHSIG, &parent_gone, 0, 0, 0) != 0 ||
        parent_gone != SIGTERM) {
        return clm_err_set(err, CLM_E_BUG, "the network half was not started as it should be");
    }
    report('N');
    while (f.net != NET_FAILS) {
        if (sigwait(&set, &signo) != 0) {
            _exit(8);
        }
        if (signo == SIGHUP && f.net == NET_FAILS_LATER) {
            break;
        }
        if (signo == SIGHUP) {
            report('H');
        } else if (f.net != NET_IS_DEAF) {
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_NET, "it went wrong");
}

/* What the host half may rely on; NULL: all is well. */
static inline const char *started_wrongly(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    sigset_t blocked;
    int flags = fcntl(LISTEN_FD, F_GETFL);

    if (pid == NULL || (pid_t)strtol(pid, NULL, 10) != getpid()) {
        return "LISTEN_PID";
    }
    if (fds == NULL || strcmp(fds, "1") != 0) {
        return "LISTEN_FDS";
    }
    if (flags < 0 || (flags & O_NONBLOCK) != 0) {
        return "the socket";
    }
    if (fcntl(LISTEN_FD + 1, F_GETFD) >= 0) {
        return "a descriptor that is not its own";
    }
    if (getenv("HOME") != NULL || getenv("PATH") == NULL) {
        return "the environment";
    }
    if (sigprocmask(SIG_SETMASK, NULL, &blocked) != 0 || sigismember(&blocked, SIGTERM) != 0) {
        return "a signal that is held back";
    }
    return NULL;
}

/* Serves one connection: 'q' to end well, 'f' to fail, 's' to stay. Says what it got. */
static inline int be_host(int argc, char **argv)
{
    const char *wrong = started_wrongly();
    char answer[256];
    char order = '\0';
    int fd = accept(LISTEN_FD, NULL, NULL);

    (void)snprintf(answer, sizeof(answer), "%s", wrong != NULL ? wrong : argc > 3 ? argv[3] : "");
    if (fd < 0 || read(fd, &order, 1) != 1 ||
        write(fd, answer, strlen(answer) + 1) != (ssize_t)strlen(answer) + 1) {
        return 7;
    }
    while (order == 's') {
        (void)pause();
    }
    return order == 'q' ? 0 : 1;
}

/* ---- fixture ---- */

static inline int setup(void **state)
{
    const struct timeval patience = {.tv_sec = 30};

    (void)state;
    memset(&f, 0, sizeof(f));
    home_open(&f.home);
    f.uid = 1000;
    f.client = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f.notes), 0);
    for (size_t i = 0; i < 2; i++) { /* the low numbers are the supervisor's */
        int low = f.notes[i];

        f.notes[i] = fcntl(low, F_DUPFD_CLOEXEC, 20);
        assert_true(f.notes[i] >= 20);
        (void)close(low);
    }
    assert_int_equal(setsockopt(f.notes[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
                     0);
    return 0;
}

/* Those that still wait are dropped. */
static inline void let_signals_in(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    struct sigaction was;
    sigset_t none;

    (void)sigemptyset(&none);
    for (size_t i = 0; i < CLM_ARRAY_LEN(signals); i++) {
        const struct sigaction ignore = {.sa_handler = SIG_IGN};

        assert_int_equal(sigaction(signals[i], &ignore, &was), 0);
        assert_int_equal(sigaction(signals[i], &was, NULL), 0);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static inline void nap(void)
{
    const struct timespec moment = {.tv_nsec = 2000000};

    (void)nanosleep(&moment, NULL);
}

/* Ends and waits for every process that the supervisor left behind; as many as that. */
static inline unsigned clear_away(void)
{
    struct note note;
    unsigned n = 0;

    for (pid_t pid = 0; pid >= 0; pid = waitpid(-1, NULL, WNOHANG)) {
        ssize_t got = recv(f.notes[0], &note, sizeof(note), MSG_DONTWAIT);

        if (got == (ssize_t)sizeof(note) && note.what == 'N' &&
            waitpid(note.pid, NULL, WNOHANG) == 0) {
            assert_int_equal(kill(note.pid, SIGKILL), 0);
            n++;
        }
        nap();
    }
    return n;
}

static inline int teardown(void **state)
{
    (void)state;
    clm_fs_close_p(&f.client);
    (void)clear_away();
    clm_fs_close_p(&f.notes[0]);
    clm_fs_close_p(&f.notes[1]);
    let_signals_in();
    home_close(&f.home);
    return 0;
}

static inline void tell(int signo)
{
    assert_int_equal(kill(getpid(), signo), 0);
}

/* The next turn comes at once, whatever this one would wait for. */
static inline void hurry(void)
{
    tell(SIGCHLD);
}

static inline pid_t await(char what)
{
    struct note note = {0};

    assert_int_equal(recv(f.notes[0], &note, sizeof(note), 0), sizeof(note));
    assert_int_equal(note.what, what);
    return note.pid;
}

static inline bool has_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static inline struct sockaddr_un host_addr(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/host.sock", f.home.dir);
    return addr;
}

static inline void order_host(char order)
{
    const struct sockaddr_un addr = host_addr();

    const struct timeval patience = {.tv_sec = 30};

    clm_fs_close_p(&f.client);
    f.client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f.client >= 0);
    assert_int_equal(setsockopt(f.client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(f.client, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(write(f.client, &order, 1), 1);
}

static inline void assert_host_says(const char *expected)
{
    char text[256] = "";
    size_t len = 0;

    do {
        ssize_t n = read(f.client, text + len, sizeof(text) - len);

        assert_true(n > 0);
        len += (size_t)n;
    } while (text[len - 1] != '\0');
    assert_string_equal(text, expected);
}

/* True if the host half has taken the connection: its answer is there. */
static inline bool host_has_answered(void)
{
    char text[256];

    nap();
    return recv(f.client, text, sizeof(text), MSG_DONTWAIT) > 0;
}

static inline void run_well(void (*turn)(void))
{
    const struct sockaddr_un addr = host_addr();
    struct clm_err err = {0};

    f.turn = turn;
    f.turns = 0;
    f.step = 0;
    if (clm_run_supervise(&f.home.config, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(access(addr.sun_path, F_OK), -1);
    let_signals_in();
}

#endif
