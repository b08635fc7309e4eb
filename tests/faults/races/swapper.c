/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults_swapper UID COUNT DIR A B [A B]... - an attacker without rights, as fast as the kernel lets him
 *
 * Exchanges A and B below DIR, and the next pair, and so on, until that worked COUNT times, or it is
 * told to stop (SIGTERM); prints how often it did.
 */
#define _GNU_SOURCE /* renameat2 */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static volatile sig_atomic_t is_over;

static void on_term(int number)
{
    (void)number;
    is_over = 1;
}

int main(int argc, char **argv)
{
    unsigned long done = 0;
    int dir = -1;

    if (argc < 6 || argc % 2 != 0) {
        (void)fprintf(stderr, "usage: faults_swapper UID COUNT DIR A B [A B]...\n");
        return 2;
    }
    uid_t uid = (uid_t)strtoul(argv[1], NULL, 10);
    unsigned long count = strtoul(argv[2], NULL, 10);

    dir = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)signal(SIGTERM, on_term);
    if (dir < 0 || setgroups(0, NULL) != 0 || setgid((gid_t)uid) != 0 || setuid(uid) != 0) {
        perror("faults_swapper");
        return 1;
    }
    while (!is_over && done < count) {
        for (int i = 4; i + 1 < argc; i += 2) {
            done += renameat2(dir, argv[i], dir, argv[i + 1], RENAME_EXCHANGE) == 0;
        }
    }
    (void)printf("%lu\n", done);
    return 0;
}
