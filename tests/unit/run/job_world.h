/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_world - a job between a scripted control plane and a scripted host half
 *
 * The host half is a child process that answers the rows it was given, in their order; the control
 * plane answers the exchanges given to job_world_run(). Every function aborts the test when
 * something fails that the test is not about.
 */
#ifndef CLM_TESTS_JOB_WORLD_H
#define CLM_TESTS_JOB_WORLD_H

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/ipc/server.h"
#include "agent/run/job.h"
#include "agent/run/job_child.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"
#include "tests/unit/run/world.h"

#define ORDER_ID "ord_01J9ZN5Q7W9E1R3T5Y7V9J1K3M"
#define CERT_ID  "crt_01J9ZN5Q7W9E1R3T5Y7V9J1K3M"

struct host_row {
    enum clm_op op;
    const char *body_has; /* may be NULL */
    const char *event;    /* sent before; may be NULL. "stop": SIGTERM to the client instead */
    const char *reply;    /* NULL: a fail; "": hang up */
    const char *problem;
    enum clm_code code;
};

struct fixture {
    struct home home;
    struct script http;
    struct peer {
        int status;
        const char *body;
        enum clm_code code;
    } web; /* the web server on this host */
    pid_t host;
    struct clm_link *link;
    struct clm_api *api;
    int stop_fd;
    char ops[4096];  /* what the host half was asked, in order */
    int events_lost; /* batches of events that do not arrive */
};

#define ACCEPTED(type, spec)                                                                       \
    "{\"job_id\":\"" A_JOB "\",\"type\":\"" type "\",\"target\":\"nginx:www.a.example\","          \
    "\"target_seq\":1,\"timeout_s\":900,\"max_attempts\":3,\"spec\":" spec                         \
    ",\"state\":\"accepted\"}"

#define LEASE                                                                                      \
    {                                                                                              \
        "POST", "/lease", NULL, 200, NULL, "{\"fence\":7,\"attempt\":1,\"state\":\"leased\"}",     \
            NULL, NULL, 0                                                                          \
    }

#define RESULT(has)                                                                                \
    {                                                                                              \
        "POST", "/result", has, 200, NULL, "{\"state\":\"x\"}", NULL, NULL, 0                      \
    }

#define N(list) (sizeof(list) / sizeof((list)[0]))

int job_world_setup(void **state);
int job_world_teardown(void **state);
/* Until it has ended, it notes in the home what it is asked. */
void job_world_end_host(struct fixture *f);
/* In place of the one before it. */
void job_world_host(struct fixture *f, const struct host_row *rows, size_t n);
void job_world_offer(struct fixture *f, const char *type);
int job_world_run(struct fixture *f, const struct exchange *list, size_t n);
const char *job_world_ops(struct fixture *f);
bool job_world_load(struct fixture *f, bool finished, struct clm_record *out);
size_t job_world_spooled(struct fixture *f);

#endif
