/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot plan", "verify", "rollback" and "history": what is shown of every answer of the host half. */
#include "tests/unit/main/inventory.h"
#include "tests/unit/main/stage.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/ipc/spawn.h"

#define SAYS(op, json)                                                                             \
    {                                                                                              \
        {                                                                                          \
            .ask = (op), .reply = (json)                                                           \
        }                                                                                          \
    }
#define FAILS(op)                                                                                  \
    {                                                                                              \
        {                                                                                          \
            .ask = (op), .fail = STAGE_FAIL("policy", "not a target", "see: clmbot scan")          \
        }                                                                                          \
    }

static void play(const struct stage_case *cases, size_t n)
{
    static struct stage s;

    stage_open(&s, "");
    stage_try(&s, cases, n);
    stage_close(&s);
}

#define PLAN(tests)                                                                                \
    "{\"target\":\"nginx:a\",\"lines\":[\"write /a\",\"reload\"],\"tests\":[" tests "]}"
#define GOOD_TEST "{\"program\":\"/usr/sbin/nginx\",\"status\":0}"
#define BAD_TEST  "{\"program\":\"/usr/sbin/httpd\",\"status\":1,\"output\":[\"line 1\",\"line 2\"]}"

static void plan_shows_steps_and_tests(void **state)
{
    static const struct stage_case cases[] = {
        {SAYS("local_plan", PLAN("")),
         "plan nginx:a",
         CLM_EXIT_GOOD,
         {"A deployment to nginx:a would", "  1. write /a\n  2. reload\n", "No program was run"},
         "no test",
         NULL},
        {SAYS("local_plan", PLAN("")),
         "plan nginx:a --check",
         CLM_EXIT_GOOD,
         {"The server has no test of its configuration that could be run.\n"},
         "No program",
         NULL},
        {SAYS("local_plan", PLAN(GOOD_TEST "," BAD_TEST)),
         "plan nginx:a --check",
         CLM_EXIT_FAILED,
         {"'/usr/sbin/nginx' finds the configuration good as it is now.\n"
          "'/usr/sbin/httpd' exited with 1, so a deployment would be refused:\n"
          "  line 1\n  line 2\n"},
         "No program",
         NULL},
        {SAYS("local_plan", PLAN(BAD_TEST)),
         "plan nginx:a --check --json",
         CLM_EXIT_FAILED,
         {"\"schema\": \"clmbot.plan\"", "\"line 2\""},
         "refused",
         NULL},
        {FAILS("hello"), "plan nginx:a", CLM_EXIT_FAILED, {NULL}, "would", "not a target"},
        {FAILS("local_plan"),
         "plan nginx:a",
         CLM_EXIT_FAILED,
         {NULL},
         "would",
         "clmbot: not a target\n        see: clmbot scan\n"},
    };

    (void)state;
    play(cases, CLM_ARRAY_LEN(cases));
}

#define LISTENER(port, more)                                                                       \
    "{\"addr\":\"127.0.0.1\",\"port\":" port ",\"sni\":\"a.example\"" more "}"
#define TARGETS(ok, list)                                                                          \
    "{\"targets\":[{\"target\":\"nginx:a\",\"ok\":" ok ",\"expect_sha256\":\"" HASH                \
    "\",\"observations\":[" list "]}]}"
#define BAD_LISTENERS                                                                              \
    LISTENER("443", ",\"ok\":true,\"seen\":{\"leaf_sha256\":\"" HASH "\",\"detail\":\"fine\"}")    \
    "," LISTENER("444", ",\"ok\":false,\"seen\":{\"leaf_sha256\":\"" OTHER "\"}") "," LISTENER(    \
        "445",                                                                                     \
        ",\"ok\":false,\"seen\":{\"result\":\"timeout\",\"detail\":\"no \\u001b[1manswer\"}")

static void verify_shows_each_listener(void **state)
{
    static const struct stage_case cases[] = {
        {SAYS("local_verify", TARGETS("true", LISTENER("443", ",\"ok\":true,\"seen\":{"
                                                              "\"leaf_sha256\":\"" HASH "\"}"))),
         "verify",
         CLM_EXIT_GOOD,
         {"TARGET", "nginx:a", "127.0.0.1:443", "a.example", "0123456789ab", "0123456789ab", "ok"},
         "Not every",
         NULL},
        {SAYS("local_verify", TARGETS("false", BAD_LISTENERS)),
         "verify nginx:a",
         CLM_EXIT_DIFFERS,
         {"127.0.0.1:443", "ok\n", "127.0.0.1:444", "fedcba987654", "differs", "127.0.0.1:445",
          "timeout", "no answer", "Not every listener shows the certificate in its file"},
         "fine",
         "clmbot: nginx:a: no ?[1manswer\n"},
        {SAYS("local_verify", TARGETS("false", BAD_LISTENERS)),
         "verify --json",
         CLM_EXIT_DIFFERS,
         {"\"schema\": \"clmbot.verify\"", "\"port\": 445"},
         "Not every",
         NULL},
        {SAYS("local_verify", "{\"targets\":[]}"),
         "verify",
         CLM_EXIT_GOOD,
         {"No running server here has a certificate that a handshake could show.\n"},
         "Not every",
         NULL},
        {FAILS("local_verify"), "verify", CLM_EXIT_FAILED, {NULL}, "TARGET", "not a target"},
    };

    (void)state;
    play(cases, CLM_ARRAY_LEN(cases));
}

#define OUTCOME(outcome, more) "{\"outcome\":\"" outcome "\"" more "}"
#define EFFECTS(proved)        ",\"effects\":{\"after\":{\"sha256\":\"" OTHER "\"},\"proved\":" proved "}"

static void rollback_says_what_is_served_again(void **state)
{
    static const struct stage_case cases[] = {
        {{{.ask = "local_rollback", .reply = OUTCOME("succeeded", EFFECTS("true"))},
          {.ask = "agent:scan", .reply = "{}"}},
         "rollback nginx:a",
         CLM_EXIT_GOOD,
         {"nginx:a serves fedcba987654 again, proved by handshake.\n"},
         NULL,
         NULL},
        {SAYS("local_rollback", OUTCOME("skipped", EFFECTS("false"))),
         "rollback nginx:a --to 3",
         CLM_EXIT_GOOD,
         {"nginx:a serves fedcba987654 again.\n"},
         NULL,
         NULL},
        {SAYS("local_rollback", OUTCOME("failed", ",\"error\":{\"message\":\"disk full\"}")),
         "rollback nginx:a",
         CLM_EXIT_FAILED,
         {"nginx:a: failed: disk full\n"},
         "serves",
         NULL},
        {SAYS("local_rollback", "{}"),
         "rollback nginx:a",
         CLM_EXIT_FAILED,
         {"nginx:a: failed: no reason given\n"},
         NULL,
         NULL},
        {SAYS("local_rollback", OUTCOME("rolled_back", "")),
         "rollback nginx:a --json",
         CLM_EXIT_FAILED,
         {"\"schema\": \"clmbot.rollback\"", "\"outcome\": \"rolled_back\""},
         "serves",
         NULL},
        {FAILS("local_rollback"),
         "rollback nginx:a",
         CLM_EXIT_FAILED,
         {NULL},
         "serves",
         "clmbot: not a target\n"},
        {{{.ask = "local_rollback",
           .fail = STAGE_FAIL("no-memory", "out of memory for an answer", "")}},
         "rollback nginx:a",
         CLM_EXIT_FAILED,
         {NULL},
         NULL,
         "clmbot: out of memory for an answer\n"
         "        it may have been done all the same: see 'clmbot history' and 'clmbot verify'\n"},
        {{{.ask = "local_rollback"}}, /* the answer is lost, which says nothing of the deed */
         "rollback nginx:a",
         CLM_EXIT_FAILED,
         {NULL},
         NULL,
         "ended without a reply\n"
         "        it may have been done all the same: see 'clmbot history' and 'clmbot verify'\n"},
    };

    (void)state;
    play(cases, CLM_ARRAY_LEN(cases));
}

#define LINES(list) "{\"transactions\":[" list "]}"
#define GOOD_LINE                                                                                  \
    "{\"at\":1799999000,\"target\":\"nginx:a\",\"is_rollback\":false,\"version\":3,"               \
    "\"result\":\"succeeded\",\"proved\":true}"
#define MORE_LINES                                                                                 \
    "{\"at\":5,\"target\":\"nginx:b\",\"is_rollback\":true,\"version\":1,\"result\":\"noop\"},"    \
    "{\"at\":6,\"target\":\"nginx:c\",\"result\":\"failed\",\"error\":{\"message\":\"no space\"}}"

static void history_has_a_line_for_each_transaction(void **state)
{
    static const struct stage_case cases[] = {
        {SAYS("history", LINES(GOOD_LINE)),
         "history",
         CLM_EXIT_GOOD,
         {"WHEN", "PROVED\n", "2027-01-15 07:43", "nginx:a", "deploy", "3", "succeeded", "yes"},
         "WHY",
         NULL},
        {SAYS("history", LINES(GOOD_LINE "," MORE_LINES)),
         "history nginx:a",
         CLM_EXIT_GOOD,
         {"PROVED  WHY\n", "nginx:a", "deploy", "yes", "nginx:b", "rollback", "1", "noop", "no",
          "nginx:c", "recovery", "-  failed", "no space"},
         NULL,
         NULL},
        {SAYS("history", LINES(MORE_LINES)),
         "history --json",
         CLM_EXIT_GOOD,
         {"\"schema\": \"clmbot.history\"", "\"version\": 1", "\"at\": \"1970-01-01T00:00:05Z\"",
          "\"no space\""},
         "\"at\": 5",
         NULL},
        {SAYS("history", LINES("")),
         "history",
         CLM_EXIT_GOOD,
         {"No deployment was made here yet.\n"},
         NULL,
         NULL},
        {SAYS("history", LINES("")),
         "history nginx:a",
         CLM_EXIT_GOOD,
         {"No deployment to nginx:a was made here yet.\n"},
         NULL,
         NULL},
        {FAILS("history"), "history", CLM_EXIT_FAILED, {NULL}, "WHEN", "not a target"},
    };

    (void)state;
    play(cases, CLM_ARRAY_LEN(cases));
}

static void without_a_configuration_nothing_is_asked(void **state)
{
    static const char *const lines[] = {"plan x", "verify", "rollback x", "history"};
    static struct stage s;

    (void)state;
    stage_open(&s, "nonsense: 1\n");
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        assert_int_equal(stage_run(&s, lines[i]), CLM_EXIT_CONFIG);
        assert_string_equal(s.out, "");
        stage_has(s.err, "nonsense");
    }
    stage_close(&s);
}

/* ---- the way to the host half: hostlink.c ---- */

static const char *const steps[] = {"{\"name\":\"write\",\"status\":\"done\"}",
                                    "{\"name\":\"reload\"}", "{\"status\":\"done\"}", NULL};

/* For somebody who waits in front of a terminal, not for a log and not beside JSON. */
static void steps_are_shown_on_a_terminal(void **state)
{
    static const struct stage_answer answers[] = {
        {.ask = "local_rollback", .reply = OUTCOME("succeeded", EFFECTS("true")), .events = steps},
        {.ask = NULL}};
    static const struct {
        bool is_tty;
        const char *line, *err;
    } rows[] = {{true, "rollback a", "  write            done\r\n"},
                {true, "rollback a --json", ""},
                {false, "rollback a", ""}};
    static struct stage s;

    (void)state;
    stage_open(&s, "");
    stage_play(&s, answers);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        s.is_tty = rows[i].is_tty;
        assert_int_equal(stage_run(&s, rows[i].line), CLM_EXIT_GOOD);
        assert_string_equal(s.err, rows[i].err);
    }
    stage_close(&s);
}

static struct {
    bool is_nobody;
    unsigned n_spawned;
} world;

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
    return world.is_nobody ? 65534 : __real_geteuid();
}

enum clm_code __wrap_clm_link_spawn(const char *exe, const char *config_path, struct clm_link **out,
                                    struct clm_err *err);
enum clm_code __wrap_clm_link_spawn(const char *exe, const char *config_path, struct clm_link **out,
                                    struct clm_err *err)
{
    assert_null(exe);
    stage_has(config_path, "/clmbot.yaml");
    *out = NULL;
    world.n_spawned++;
    return clm_err_set(err, CLM_E_IO, "no process");
}

/* Where no host half listens, root goes on with one of its own; others cannot. */
static void only_root_needs_no_agent(void **state)
{
    static struct stage s;
    static const struct {
        bool is_nobody;
        int status;
        const char *err;
    } rows[] = {{false, CLM_EXIT_FAILED, "clmbot: no process\n"},
                {true, CLM_EXIT_FAILED,
                 "clmbot: the agent does not run and only root may do this without it\n"
                 "        run the command as root\n"}};

    (void)state;
    stage_open(&s, "");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        world.is_nobody = rows[i].is_nobody;
        world.n_spawned = 0;
        assert_int_equal(stage_run(&s, "history"), rows[i].status);
        world.is_nobody = false;
        assert_string_equal(s.err, rows[i].err);
        assert_int_equal(world.n_spawned, rows[i].is_nobody ? 0 : 1);
    }
    stage_close(&s);

    /* a socket nobody listens at any more */
    stage_open(&s, "");
    stage_play(&s, (const struct stage_answer[]){{.ask = NULL}});
    (void)kill(s.players, SIGKILL);
    assert_int_equal(waitpid(s.players, NULL, 0), s.players);
    s.players = 0;
    world.n_spawned = 0;
    assert_int_equal(stage_run(&s, "history"), CLM_EXIT_FAILED);
    assert_int_equal(world.n_spawned, 1);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_shows_steps_and_tests),
        cmocka_unit_test(verify_shows_each_listener),
        cmocka_unit_test(rollback_says_what_is_served_again),
        cmocka_unit_test(history_has_a_line_for_each_transaction),
        cmocka_unit_test(without_a_configuration_nothing_is_asked),
        cmocka_unit_test(steps_are_shown_on_a_terminal),
        cmocka_unit_test(only_root_needs_no_agent),
    };

    return cmocka_run_group_tests_name("main_local", tests, NULL, NULL);
}
