/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/subject/leak.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#define FDS_MAX 256 /* of a program that opens a dozen */

static int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < FDS_MAX; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

/* alloc.c, where it is linked; it cannot be beside a sanitizer's. */
extern long subject_live_blocks __attribute__((weak));

static long count_blocks(void)
{
    return &subject_live_blocks != NULL ? subject_live_blocks : 0;
}

void subject_leak_begin(struct subject_leak *leak)
{
    tzset(); /* libc keeps what it reads here */
    *leak = (struct subject_leak){.fds = count_fds(), .blocks = count_blocks()};
}

bool subject_leak_end(const struct subject_leak *leak)
{
    long blocks = count_blocks() - leak->blocks;
    int fds = count_fds() - leak->fds;
    siginfo_t info = {0};
    bool is_good = true;

    if (fds != 0) {
        (void)printf("leak: %d descriptors\n", fds);
        is_good = false;
    }
    if (blocks != 0) {
        (void)printf("leak: %ld blocks of memory\n", blocks);
        is_good = false;
    }
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD) {
        (void)printf("leak: a child process was not waited for\n");
        is_good = false;
    }
    return is_good;
}
