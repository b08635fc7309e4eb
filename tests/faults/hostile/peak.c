/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile_peak FILE PROGRAM [ARGUMENT...]: runs PROGRAM, passes SIGTERM on, and writes into FILE the
 * largest resident set (KiB) that any of its processes ever had. The kernel counts from a fork of
 * this small process, so that the harness's own memory is not in the figure.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t child;

static void pass_on(int number)
{
    if (child > 0) {
        (void)kill((pid_t)child, number);
    }
}

int main(int argc, char **argv)
{
    struct sigaction act = {.sa_handler = pass_on};
    struct rusage usage = {0};
    int status = 0;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: hostile_peak FILE PROGRAM [ARGUMENT...]\n");
        return 64;
    }
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        return 1;
    }
    if (pid == 0) {
        (void)execv(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    child = pid;
    (void)sigaction(SIGTERM, &act, NULL);
    while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    FILE *out = fopen(argv[1], "w");
    if (out == NULL || fprintf(out, "%ld\n", usage.ru_maxrss) < 0 || fclose(out) != 0) {
        perror(argv[1]);
        return 1;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
