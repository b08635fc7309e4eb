/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush - lets a process that ends with _exit() or becomes another program leave what it counted
 *
 * gcc's runtime writes at exit(); a child that was forked, a test that dies on purpose, and a host
 * half that is told to stop while it waits end otherwise. Linked into every program of a coverage
 * build by --wrap: see coverage.cmake. A process that is killed with SIGKILL leaves nothing.
 *
 * Writing allocates. tests/faults/alloc preloads clm_alloc_rest(), after which no allocation of this
 * thread is counted or fails until it is called with false.
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

void __gcov_dump(void);
void __gcov_reset(void);
void clm_alloc_rest(bool is_resting) __attribute__((weak));
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
int __real_execv(const char *path, char *const argv[]);
int __wrap_execv(const char *path, char *const argv[]);
int __real_execve(const char *path, char *const argv[], char *const env[]);
int __wrap_execve(const char *path, char *const argv[], char *const env[]);

static void dump(void)
{
    if (clm_alloc_rest != NULL) {
        clm_alloc_rest(true);
    }
    __gcov_dump();
    if (clm_alloc_rest != NULL) {
        clm_alloc_rest(false);
    }
}

void __wrap__exit(int status)
{
    dump();
    __real__exit(status);
}

static void flush(void)
{
    dump();
    __gcov_reset(); /* it may come back */
}

int __wrap_execv(const char *path, char *const argv[])
{
    flush();
    return __real_execv(path, argv);
}

int __wrap_execve(const char *path, char *const argv[], char *const env[])
{
    flush();
    return __real_execve(path, argv, env);
}

/* As the default: the process ends by this signal. */
static void flush_and_end(int sig)
{
    dump();
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

__attribute__((constructor)) static void flush_on_sigterm(void)
{
    struct sigaction act = {.sa_handler = flush_and_end, .sa_flags = (int)SA_RESETHAND};
    struct sigaction was;

    if (sigaction(SIGTERM, NULL, &was) == 0 && was.sa_handler == SIG_DFL) {
        (void)sigaction(SIGTERM, &act, NULL);
    }
}
