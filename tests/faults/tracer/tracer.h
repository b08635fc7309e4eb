/* SPDX-License-Identifier: Apache-2.0 */
/* tracer - what the files of the tracer share; what it does is told in tracer.c */
#ifndef CLM_TESTS_FAULTS_TRACER_H
#define CLM_TESTS_FAULTS_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum mode {
    MODE_COUNT,
    MODE_LIST,
    MODE_KILL,
    MODE_FAIL,      /* the call is not made and returns -error */
    MODE_FAIL_FROM, /* and so does every later one of the same name */
    MODE_SHORT,     /* half of the bytes are read or written */
    MODE_SIGNAL,    /* to the first process */
    MODE_CALL,      /* a program is run while the call waits */
    MODE_EACH,      /* the same at every call */
};

/* What is still to be done when a call that was changed on entry returns. */
enum change {
    UNCHANGED,
    FAILED,   /* it returns -error */
    NO_BREAK, /* brk(2) was only asked: it tells of failure by the old break, never by an error */
    HALVED,   /* args[2] is put back */
};

struct task {
    pid_t pid;
    enum change change;
    int error;
    uint64_t arg; /* to be put back */
};

/* A system call that is about to be made. */
struct call {
    uint64_t number;
    uint64_t args[6];
};

struct trace {
    enum mode mode;
    unsigned long n;     /* which call; 0: none */
    const char *name;    /* the first of this name from n on; NULL: whatever it is */
    int value;           /* errno, or number of a signal */
    const char *program; /* of CALL and EACH */
    FILE *out;           /* of LIST */
    bool is_on;          /* between the marks */
    bool is_done;        /* nothing more will be changed */
    unsigned long count;
    uint64_t failing; /* of FAIL_FROM, once it began; UINT64_MAX before */
    pid_t main_pid;
    struct task *tasks;
    unsigned n_tasks;
};

/* ---- calls.c ---- */

/* "openat"; "call_999" for one that is not known (static buffer). */
const char *call_name(uint64_t number);
/* Has it a count of bytes as its third argument, so that it can be short? */
bool call_has_count(uint64_t number);
/* What it is about: a path, or what a descriptor leads to; "" if it has neither. */
void call_subject(pid_t pid, const struct call *call, char *dst, size_t size);

/* ---- act.c ---- */

/* The call stands before its entry. */
void act_on_entry(struct trace *trace, struct task *task, const struct call *call);
/* The call is over. */
void act_on_exit(struct task *task);
/* Ends everything that is traced, and waits until it is gone. */
void act_kill_all(struct trace *trace);

#endif
