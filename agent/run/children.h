/* SPDX-License-Identifier: Apache-2.0 */
/* children - processes "clmbot _job ID": which run, and starting more of them */
#ifndef CLM_RUN_CHILDREN_H
#define CLM_RUN_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/model/target.h"

#define CLM_CHILDREN_MAX     8 /* jobs, scan, courier */
#define CLM_CHILDREN_ID_SIZE 40

struct clm_child {
    pid_t pid; /* 0: free */
    char id[CLM_CHILDREN_ID_SIZE];
    char target[CLM_TARGET_ID_SIZE]; /* "" for what is no job */
};

struct clm_children {
    struct clm_child list[CLM_CHILDREN_MAX];
    const char *exe;         /* NULL: this executable */
    const char *config_path; /* "": the default */
    const char *boot_id;
};

/* Errors: LIMIT no room; IO. */
CLM_MUST_USE enum clm_code clm_children_start(struct clm_children *children, const char *id,
                                              const char *target, struct clm_err *err);
bool clm_children_has(const struct clm_children *children, const char *id);
bool clm_children_has_target(const struct clm_children *children, const char *target);
/* How many of them run jobs; how many run at all. */
unsigned clm_children_jobs(const struct clm_children *children);
unsigned clm_children_all(const struct clm_children *children);
/* Sends signo to that child; to every one if id is NULL. */
void clm_children_signal(const struct clm_children *children, const char *id, int signo);
/* Takes one that has ended out of the list into out; false if none has. status: its exit status, or
 * 128 + signal. Reaps no other process. */
bool clm_children_reap(struct clm_children *children, struct clm_child *out, int *out_status);

#endif
