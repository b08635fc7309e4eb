/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of which each allocation fails in turn: all of the answer, or a sentence that memory is
 * short. */
#include "tests/unit/main/inventory.h"
#include "tests/unit/main/stage.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/sabotage.h"

static const char *const pages[] = {
    "{\"kind\":\"files\",\"files\":[{\"path\":\"/a\",\"format\":\"pem\",\"status\":\"monitored\","
    "\"used_by\":[\"nginx:a\"],\"problems\":[\"expired\"],\"entries\":[{\"kind\":\"certificate\""
    ",\"certificate\":{\"sha256\":\"" HASH "\",\"sans\":[\"a.example\"],\"not_after\":\"" GONE
    "\"}}]}]}",
    "{\"kind\":\"files\",\"files\":[{\"path\":\"/b\",\"format\":\"pem\",\"status\":\"managed\"}]}",
    NULL};
#define FOUND                                                                                      \
    INVENTORY(SERVICE("nginx", ",\"remarks\":[\"x\"]",                                             \
                      TARGET("nginx:a",                                                            \
                             CERT("", "\"a.example\"", LATER) SHOWS(ENDPOINT, SERVED(HASH)))),     \
              "")

static const struct stage_answer answers[] = {
    {.ask = "certs", .reply = "{\"remarks\":[\"x\"]}", .events = pages},
    {.ask = "scan", .reply = FOUND},
    {.ask = "explain",
     .reply = "{\"inventory\":" FOUND ",\"plan\":{\"ok\":true},\"history\":[{\"at\":1}]}"},
    {.ask = "status", .reply = "{\"agent_id\":\"agt_1\"}"},
    {.ask = "agent:status",
     .reply = "{\"agent\":{\"pid\":1},\"targets\":[{\"target\":\"nginx:a\",\"last_job\":{}}]}"},
    {.ask = "agent:jobs",
     .reply = "{\"jobs\":[{\"job_id\":\"job_1\",\"target\":\"nginx:a\",\"state\":\"waiting\"}]}"},
    {.ask = "agent:job",
     .reply = "{\"job\":{\"job_id\":\"job_1\",\"result\":{\"steps\":[{\"name\":\"stage\"}]}}}"},
    {.ask = NULL}};

struct starved {
    struct stage stage;
    const char *line;
    int status;
    char *out; /* undisturbed */
};

static enum clm_code act(void *arg, struct clm_err *err)
{
    struct starved *w = arg;
    bool was_on = clm_sabotage_pause();
    int status;

    stage_redirect(&w->stage);
    clm_sabotage_resume(was_on);
    status = stage_command(&w->stage, w->line);
    (void)clm_sabotage_pause();
    stage_restore(&w->stage);
    if (status == w->status && strcmp(w->stage.out, w->out) == 0) {
        return CLM_OK;
    }
    /* doctor's findings are its answer, this one too; in the end it fails */
    if ((status == CLM_EXIT_FAILED || status == CLM_EXIT_ATTENTION) &&
        (strstr(w->stage.err, "memory") != NULL || strstr(w->stage.out, "memory") != NULL)) {
        return clm_err_set(err, CLM_E_NOMEM, "'%s'", w->line);
    }
    return CLM_E_BUG; /* without a message: fails the test */
}

static void show(void *arg, enum clm_code code, const char *what)
{
    const struct starved *w = arg;

    if (code == CLM_E_BUG) {
        fail_msg("'%s', %s: %s%s", w->line, what, w->stage.out, w->stage.err);
    }
}

static void answer_is_whole_or_says_that_memory_is_short(void **state)
{
    static const char *const lines[] = {"status",
                                        "status --json",
                                        "jobs",
                                        "job job_1",
                                        "certs",
                                        "certs --json",
                                        "scan --no-probe nginx",
                                        "scan --no-probe --json",
                                        "explain nginx:a --no-probe",
                                        "explain nginx:a --no-probe --json",
                                        "doctor",
                                        "doctor --json",
                                        "config check --json",
                                        "config doc",
                                        "config doc --format mdoc",
                                        "completion",
                                        "_mdoc",
                                        "version --json",
                                        "--help"};
    static struct starved w;
    const struct clm_sabotage plan = {.act = act, .after = show, .arg = &w};

    (void)state;
    stage_open(&w.stage, "");
    stage_play(&w.stage, answers);
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        w.line = lines[i];
        w.status = stage_run(&w.stage, w.line);
        w.out = strdup(w.stage.out);
        assert_non_null(w.out);
        if (w.stage.out[0] == '\0') {
            fail_msg("'%s': %d: %s", w.line, w.status, w.stage.err);
        }
        assert_true(clm_sabotage_run(&plan, "malloc calloc realloc strdup") > 0);
        free(w.out);
    }
    stage_close(&w.stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_is_whole_or_says_that_memory_is_short),
    };

    return cmocka_run_group_tests_name("main_starved", tests, NULL, NULL);
}
