/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults_dcv ROOT put                one validation file into a web root; prints what it may make
 * faults_dcv ROOT remove PATH...     removes what put printed
 *
 * One operation of agent/host/dcv.h between the marks of tests/faults/subject/mark.h, so that the
 * tracer can stop it at every system call. Exit status: 0 done, 1 refused with one line on stderr.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "agent/host/dcv.h"
#include "tests/faults/subject/mark.h"

#define PATH_IN_ROOT "/.well-known/acme-challenge/token-of-20-letters-0"

static int put(const char *dir)
{
    const struct clm_dcv_root root = {dir, false};
    CLM_CLEANUP(clm_strs_done) struct clm_strs made = {0};
    struct clm_err err = {0};
    char file[4096];
    enum clm_code code = clm_dcv_plan(&root, PATH_IN_ROOT, &made, file, sizeof(file), &err);

    for (size_t i = 0; i < made.n; i++) {
        (void)printf("%s\n", made.v[i]);
    }
    (void)fflush(stdout); /* before it is made: a record that outlives us */
    if (code == CLM_OK) {
        code = clm_dcv_write(&root, PATH_IN_ROOT, "token.thumbprint", &err);
    }
    if (code != CLM_OK) {
        (void)fprintf(stderr, "refused: %s\n", err.msg);
    }
    return code != CLM_OK;
}

static int take_away(const char *dir, char **paths, int n)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs made = {0};
    struct clm_err err = {0};
    enum clm_code code = CLM_OK;

    for (int i = 0; i < n && code == CLM_OK; i++) {
        code = clm_strs_add(&made, paths[i], &err);
    }
    if (code == CLM_OK) {
        code = clm_dcv_remove(dir, &made, NULL, &err);
    }
    if (code != CLM_OK) {
        (void)fprintf(stderr, "refused: %s\n", err.msg);
    }
    return code != CLM_OK;
}

int main(int argc, char **argv)
{
    int status = 2;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: faults_dcv ROOT put | ROOT remove PATH...\n");
        return status;
    }
    (void)umask(0077); /* as the host half */
    (void)prctl(SUBJECT_MARK, 1UL, 0UL, 0UL, 0UL);
    if (strcmp(argv[2], "put") == 0) {
        status = put(argv[1]);
    } else if (strcmp(argv[2], "remove") == 0) {
        status = take_away(argv[1], argv + 3, argc - 3);
    }
    (void)prctl(SUBJECT_MARK, 0UL, 0UL, 0UL, 0UL);
    return status;
}
