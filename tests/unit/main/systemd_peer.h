/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd_peer - PID 1 as far as we ask it, by a script: the other end of D-Bus, in a process of its own
 *
 * The bus of this process is then the peer's socket (DBUS_SYSTEM_BUS_ADDRESS). Every call is answered
 * as systemd would, but for those that a row of the script names.
 */
#ifndef CLM_TESTS_MAIN_SYSTEMD_PEER_H
#define CLM_TESTS_MAIN_SYSTEMD_PEER_H

#include <stdbool.h>
#include <stddef.h>

#define PEER_JOB "/org/freedesktop/systemd1/job/7"

enum peer_how {
    PEER_ERROR,  /* with the error of that name, and of that message unless it is NULL */
    PEER_WRONG,  /* with a number where something else belongs */
    PEER_HANG_UP /* no answer, and the connection ends */
};

struct peer_row {
    const char *call; /* a method, or for its property: "Get ActiveState" */
    enum peer_how how;
    const char *error, *message;
};

struct peer_unit {
    const char *name, *active;
};

/* The signal JobRemoved; path NULL ends a list. */
struct peer_job {
    const char *path, *result;
};

struct peer_script {
    const struct peer_row *rows;   /* call NULL ends them; may be NULL */
    const struct peer_unit *units; /* of ListUnits; name NULL ends them; may be NULL */
    struct peer_job before[8];     /* jobs that end before the answer that names ours */
    struct peer_job after[8];      /* and behind it */
    unsigned after_ms;             /* that much later */
    bool bad_signal;               /* one JobRemoved first that holds something else */
    bool quits;                    /* behind the answer that names the job */
    const char *active, *fragment; /* properties of every unit */
    unsigned main_pid;
    int main_code, main_status; /* of the program of a unit that was run */
    const char *output;         /* what that program prints; may be NULL */
    size_t n_output;            /* that often; 0: once */
};

/* For cmocka; also removes what is said about the bus. */
void peer_start(const struct peer_script *script);
void peer_stop(void);
/* What was asked since peer_start(), one line a call: "ReloadUnit nginx.service replace". */
const char *peer_heard(void);

#endif
