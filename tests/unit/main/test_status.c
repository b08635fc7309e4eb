/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot status", "jobs" and "job", for every answer of an agent: whole, old, odd, and none. */
#include "tests/unit/main/stage.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAYS(method, body)                                                                         \
    {                                                                                              \
        {                                                                                          \
            .ask = (method), .reply = (body)                                                       \
        }                                                                                          \
    }
#define REFUSES(method, body)                                                                      \
    {                                                                                              \
        {                                                                                          \
            .ask = (method), .fail = (body)                                                        \
        }                                                                                          \
    }
#define STATUS(body) SAYS("agent:status", body)
#define JOBS(body)   SAYS("agent:jobs", body)
#define JOB(body)    SAYS("agent:job", body)
#define NOBODY                                                                                     \
    {                                                                                              \
        {                                                                                          \
            .ask = NULL                                                                            \
        }                                                                                          \
    }
#define CONNECTED                                                                                  \
    "\"control_plane\":{\"url\":\"https://cp.example\",\"state\":\"connected\","                   \
    "\"message\":\"not shown\",\"last_contact\":\"2027-01-15T07:57:00Z\"}"
#define TARGET(state, more) "{\"target\":\"nginx:a\",\"state\":\"" state "\"" more "}"

static void status_shows_what_is_known(void **state)
{
    static const struct stage_case cases[] = {
        {STATUS("{}"),
         "status",
         CLM_EXIT_ATTENTION,
         {"agent          not enrolled, clmbot ?",
          "control plane  none, unknown, last contact never", "jobs           0 running, 0 waiting",
          "targets        none known; not scanned yet"},
         "spool",
         NULL},
        {STATUS("{\"agent\":{\"id\":\"agt_1\",\"version\":\"0.1.0\"}," CONNECTED
                ",\"identity\":{\"not_after\":\"2027-02-15T08:00:00Z\"},\"spool\":{\"n\":3,"
                "\"dead\":1},"
                "\"jobs\":{\"running\":1,\"waiting\":2},\"scan\":{\"at\":\"2027-01-15T07:00:00Z\"},"
                "\"targets\":[]}"),
         "status",
         CLM_EXIT_GOOD,
         {"agt_1, clmbot 0.1.0\n", "https://cp.example, connected, last contact 3 min ago\n",
          "identity       31 d left, renewed by itself", "spool          3 to send, 1 refused",
          "jobs           1 running, 2 waiting", "none known\n"},
         "not shown",
         NULL},
        {STATUS("{\"control_plane\":{\"state\":\"offline\",\"message\":\"no route\"},"
                "\"spool\":{\"dead\":2}}"),
         "status",
         CLM_EXIT_OFFLINE,
         {"none, offline, last contact never\n", "               no route\n",
          "0 to send, 2 refused"},
         NULL,
         NULL},
        {STATUS("{\"control_plane\":{\"state\":\"pending\",\"message\":\"\"},\"targets\":{}}"),
         "status",
         CLM_EXIT_ATTENTION,
         {"none, pending, last contact never\njobs"},
         NULL,
         NULL},
        {STATUS("{" CONNECTED ",\"targets\":[" TARGET(
             "ok", ",\"not_after\":\"2027-04-15T08:00:00Z\",\"served_sha256\":\"0123456789abcdef\","
                   "\"last_job\":{\"type\":\"deploy\",\"outcome\":\"succeeded\","
                   "\"finished_at\":\"2027-01-15T06:00:00Z\"}") "]}"),
         "status",
         CLM_EXIT_GOOD,
         {"TARGET ", "nginx:a  0123456789ab  90 d  ok     deploy succeeded, 2 h ago\n"},
         NULL,
         NULL},
        {STATUS("{" CONNECTED ",\"targets\":[{},"
                "{\"target\":\"nginx:b\",\"state\":\"new\",\"last_job\":{}},"
                "{\"state\":\"expired\",\"not_after\":\"2027-01-15T07:00:00Z\","
                "\"last_job\":{\"type\":\"renew\",\"state\":\"running\"}}]}"),
         "status",
         CLM_EXIT_ATTENTION,
         {"?        -                unknown  -\n", "nginx:b  -                unknown  ? ?\n",
          "?        -       expired  expired  renew running\n"},
         "ago\nnginx",
         NULL},
        {STATUS("{\"schema\":\"clmbot.other\",\"version\":9,\"agent\":{\"id\":\"x\\u001b[1m\"}}"),
         "status --json",
         CLM_EXIT_ATTENTION,
         {"{\n  \"schema\": \"clmbot.status\",\n  \"version\": 1,\n", "\"agent\": {"},
         "clmbot.other",
         NULL},
        {STATUS("{\"agent\":{\"id\":\"x\\u001b[1m\"}}"),
         "status",
         CLM_EXIT_ATTENTION,
         {"agent          x?[1m, "},
         "\033",
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static void status_ends_with_the_worst_of_it(void **state)
{
    static const struct stage_case cases[] = {
        {STATUS("{\"control_plane\":{\"state\":\"offline\"},\"targets\":[" TARGET(
             "mismatch", "") "," TARGET("expiring", "") "]}"),
         "status",
         CLM_EXIT_DIFFERS,
         {"mismatch", "expiring"},
         NULL,
         NULL},
        {STATUS("{\"control_plane\":{\"state\":\"offline\"},\"targets\":[" TARGET("unreachable",
                                                                                  "") "]}"),
         "status",
         CLM_EXIT_OFFLINE,
         {"unreachable"},
         NULL,
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static void jobs_are_listed_with_their_times_and_reasons(void **state)
{
    static const struct stage_case cases[] = {
        {JOBS("{}"), "jobs", CLM_EXIT_GOOD, {"No job was given to this host yet.\n"}, "JOB", NULL},
        {JOBS("{\"jobs\":[{\"job_id\":\"job_1\",\"type\":\"deploy\",\"target\":\"nginx:a\","
              "\"state\":\"finished\",\"outcome\":\"succeeded\","
              "\"finished_at\":\"2027-01-15T07:59:00Z\"},"
              "{\"job_id\":\"job_2\",\"type\":\"renew\",\"state\":\"finished\",\"outcome\":"
              "\"skipped\"},"
              "{\"job_id\":\"job_3\",\"state\":\"waiting\",\"next_try\":\"2027-01-15T08:00:40Z\","
              "\"why\":\"no answer\"},"
              "{\"job_id\":\"job_4\",\"outcome\":\"failed\",\"next_try\":\"2027-01-15T07:00:40Z\","
              "\"started_at\":\"2027-01-12T08:00:00Z\",\"why\":\"later\","
              "\"error\":{\"message\":\"disk is full\"}},{}]}"),
         "jobs",
         CLM_EXIT_GOOD,
         {"JOB ", "job_1  deploy  nginx:a  succeeded  60 s ago\n",
          "job_2  renew   ?        skipped\n",
          "job_3  ?       ?        waiting    next try in 40 s  no answer\n",
          "job_4  ?       ?        failed     3 d ago           disk is full\n",
          "?      ?       ?        ?\n"},
         "later",
         NULL},
        {JOBS("{\"jobs\":[]}"),
         "jobs --json",
         CLM_EXIT_GOOD,
         {"\"schema\": \"clmbot.jobs\"", "\"jobs\": []"},
         NULL,
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static void one_job_is_told_step_by_step(void **state)
{
    static const struct stage_case cases[] = {
        {JOB("{}"),
         "job job_1",
         CLM_EXIT_GOOD,
         {"job      ?\ndoes     ? ?\nstate    ?\nstarted  not yet\n"},
         "phase",
         NULL},
        {JOB("{\"job\":{\"job_id\":\"job_1\",\"type\":\"deploy\",\"target\":\"nginx:a\","
             "\"state\":\"running\",\"phase\":\"stage\",\"started_at\":\"2027-01-15T07:59:00Z\","
             "\"why\":\"waits for the disk\"}}"),
         "job job_1",
         CLM_EXIT_GOOD,
         {"does     deploy nginx:a\nstate    running\nphase    stage\nstarted  "
          "2027-01-15T07:59:00Z\n"
          "why      waits for the disk\n"},
         "finished",
         NULL},
        {JOB("{\"job\":{\"state\":\"finished\",\"outcome\":\"failed\",\"phase\":\"stage\","
             "\"finished_at\":\"2027-01-15T07:59:00Z\","
             "\"error\":{\"message\":\"disk is full\",\"hint\":\"make room\"},\"result\":{"
             "\"steps\":[{\"name\":\"stage\",\"status\":\"ok\",\"ms\":12,\"detail\":\"two files\"},"
             "{\"name\":\"reload\",\"status\":\"failed\"},{}],"
             "\"effects\":{\"note\":\"the key was kept\",\"ca_changes\":[\"a name\",7],"
             "\"left_out\":[\"o\"]}}}}"),
         "job job_1",
         CLM_EXIT_GOOD,
         {"state    finished, failed\nstarted  not yet\nfinished 2027-01-15T07:59:00Z\n"
          "why      disk is full\n         make room\nnote     the key was kept\n"
          "changed  a name\n         ?\nleft out o\n",
          "  stage   ok      12 ms  two files\n", "  reload  failed   0 ms\n",
          "  ?       ?        0 ms\n"},
         "phase",
         NULL},
        {JOB("{\"job\":{}}"),
         "job job_1 --json",
         CLM_EXIT_GOOD,
         {"\"schema\": \"clmbot.job\"", "\"job\": {}"},
         NULL,
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

/* NOTFOUND is about the socket or about what was asked for: only the former means "not running". */
static void errors_say_whether_the_agent_runs(void **state)
{
    static const struct stage_case cases[] = {
        {NOBODY,
         "status",
         CLM_EXIT_NOT_RUNNING,
         {NULL},
         NULL,
         "the agent does not run: nobody answers on '/tmp/clm-main-"},
        {REFUSES("agent:status", NULL),
         "status",
         CLM_EXIT_NOT_RUNNING,
         {NULL},
         NULL,
         "start it: systemctl start clmbot"},
        {REFUSES("agent:job", STAGE_FAIL("not-found", "no job 'job_9'", "")),
         "job job_9",
         CLM_EXIT_FAILED,
         {NULL},
         NULL,
         "clmbot: no job 'job_9'\n        see what there is: clmbot jobs\n"},
        {REFUSES("agent:jobs", STAGE_FAIL("not-found", "no method 'jobs'", "")),
         "jobs",
         CLM_EXIT_FAILED,
         {NULL},
         NULL,
         "clmbot: no method 'jobs'\n"},
        {REFUSES("agent:jobs", STAGE_FAIL("permission", "not for you", "")),
         "jobs",
         CLM_EXIT_FAILED,
         {NULL},
         NULL,
         "clmbot: not for you\n        run the command as root or as a member of group 'clmbot'\n"},
        {STATUS("[]"), "status", CLM_EXIT_FAILED, {NULL}, NULL, "clmbot: "},
        {NOBODY, "job", CLM_EXIT_USAGE, {NULL}, NULL, "See 'clmbot job --help'"},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static void socket_that_nobody_listens_on_is_an_agent_that_does_not_run(void **state)
{
    static const struct stage_answer runs[] = {{.ask = "agent:status", .reply = "{}"},
                                               {.ask = NULL}};
    struct stage *s = *state;
    char path[128];

    stage_play(s, runs);
    assert_int_equal(stage_run(s, "status"), CLM_EXIT_ATTENTION);
    (void)snprintf(path, sizeof(path), "%s/status.sock", s->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* no socket at all */
    assert_int_equal(stage_run(s, "status"), CLM_EXIT_NOT_RUNNING);
    stage_has(s->err, "does not run");
    assert_int_equal(rmdir(path), 0);
}

static int setup(void **state)
{
    static struct stage s;

    stage_open(&s, "");
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    stage_close(*state);
    return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(status_shows_what_is_known),
        T(status_ends_with_the_worst_of_it),
        T(jobs_are_listed_with_their_times_and_reasons),
        T(one_job_is_told_step_by_step),
        T(errors_say_whether_the_agent_runs),
        T(socket_that_nobody_listens_on_is_an_agent_that_does_not_run),
    };

    return cmocka_run_group_tests_name("main_status", tests, NULL, NULL);
}
