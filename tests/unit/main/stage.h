/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage - a command line is run here: a configuration of its own, the host half and the running
 * agent played from a table of answers, and what the command printed
 *
 * The clock stands still at stage_now_s: link with --wrap=clm_clock_now_s.
 */
#ifndef CLM_TESTS_MAIN_STAGE_H
#define CLM_TESTS_MAIN_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "agent/main/cmds.h"
#include "agent/main/show.h"

#define STAGE_NOW_S INT64_C(1800000000) /* 2027-01-15T08:00:00Z */

extern int64_t stage_now_s; /* STAGE_NOW_S; a test that changes it puts it back */

/* What is said to one question. Who is asked nothing of this table hangs up; "hello" is known. */
struct stage_answer {
    const char *ask;   /* "scan": of the host half; "agent:status": of the agent; NULL ends */
    const char *reply; /* JSON; NULL: fail is sent; neither: hangs up */
    const char *fail;  /* JSON, docs/ipc.md */
    const char *const *events; /* before it, JSON, NULL-ended; may be NULL */
};

/* The text of a fail. */
#define STAGE_FAIL(code, message, hint)                                                            \
    "{\"code\":\"" code "\",\"problem\":\"E_STATE\",\"message\":\"" message "\",\"hint\":\"" hint  \
    "\",\"retryable\":false}"

struct stage {
    char dir[64];
    pid_t players;      /* 0: nobody listens */
    bool is_tty;        /* stderr is a terminal */
    const char *out_to; /* file that stdout is, NULL: it is read */
    int saved[2];
    int tty;
    char out[1 << 20];
    char err[1 << 14];
};

/* more: lines of clmbot.yaml, e.g. "scan:\n  probe: false\n". The directory is where both sockets are. */
void stage_open(struct stage *s, const char *more);
void stage_close(struct stage *s);

/* From now on these answers are given. The agent runs if the table has one of its. answers must
 * live on. */
void stage_play(struct stage *s, const struct stage_answer *answers);

/* Runs "clmbot LINE --config ...": words are separated by blanks. Returns the exit status; out and
 * err hold what was printed. */
int stage_run(struct stage *s, const char *line);

/* The same in three pieces, for tests in which calls fail only in the second. */
void stage_redirect(struct stage *s);
int stage_command(const struct stage *s, const char *line);
void stage_restore(struct stage *s);

#define STAGE_ANSWERS_MAX 4
#define STAGE_PIECES_MAX  14

/* One command line and what is expected of it. */
struct stage_case {
    struct stage_answer answers[STAGE_ANSWERS_MAX]; /* the last one has no ask */
    const char *line;
    int status;
    const char *out[STAGE_PIECES_MAX]; /* pieces of it, in this order; ends with NULL */
    const char *out_not;               /* no piece of it; NULL: anything may be */
    const char *err;                   /* a piece of it; NULL: nothing is printed there */
};

void stage_try(struct stage *s, const struct stage_case *cases, size_t n);

/* cmocka failures that show the whole text. */
void stage_has(const char *text, const char *piece);
void stage_has_not(const char *text, const char *piece);

#endif
