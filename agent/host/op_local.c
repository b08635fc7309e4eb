/* SPDX-License-Identifier: Apache-2.0 */
/* What only root on this host may ask for: the trust document, a dry run, a local roll-back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/proc.h"
#include "agent/host/internal.h"

#define CA_PEM_MAX 65536u /* protocol.md 7.2 */
#define PINS_MAX   4      /* protocol.md 5.2 */
#define TENANT_MAX 64

#define TEST_TIMEOUT_MS 30000u /* of a server's own configuration test, as in a deployment */
#define TEST_LINES_MAX  20     /* shown of what it says */

enum clm_code clm_host_op_trust_put(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs pins = {0};
    const struct clm_json *list = NULL;
    struct clm_trust_offer offer = {.pins = &pins,
                                    .now_s = call->host->io->now_s(call->host->io->ctx)};
    enum clm_code code = clm_json_array(call->body, "pins", PINS_MAX, &list, err);

    for (const struct clm_json *at = clm_json_first(list); code == CLM_OK && at != NULL;
         at = clm_json_next(at)) {
        const char *pin = clm_json_text(at);

        code = pin == NULL ? clm_err_set(err, CLM_E_PARSE, "pins: not a string")
                           : clm_strs_add(&pins, pin, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(call->body, "ca_pem", CA_PEM_MAX, &offer.ca_pem, err);
    }
    if (code == CLM_OK) {
        code = clm_json_object(call->body, "trust", &offer.jws, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(call->body, "agent_id", CLM_ID_SIZE - 1, &offer.agent_id, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(call->body, "tenant", TENANT_MAX, &offer.tenant, err);
    }
    if (code == CLM_OK) {
        code = clm_trust_install(call->host->dir, &offer, &call->host->trust, err);
    }
    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_SIGNATURE", code);
    }
    clm_json_set_str(call->reply, "agent_id", call->host->trust.agent_id);
    clm_json_set_str(call->reply, "tenant", call->host->trust.tenant);
    return CLM_OK;
}

/* What a program said, line by line. */
static void put_lines(struct clm_json *obj, const struct clm_buf *output)
{
    struct clm_json *lines = clm_json_set_array(obj, "output");
    const char *at = clm_buf_str(output);

    for (int i = 0; i < TEST_LINES_MAX && *at != '\0';) {
        char line[512];
        size_t len = strcspn(at, "\n");

        (void)snprintf(line, sizeof(line), "%.*s", (int)(len < 500 ? len : 500), at);
        for (char *c = line; *c != '\0'; c++) {
            if ((unsigned char)*c < 0x20 || *c == 0x7f) {
                *c = ' ';
            }
        }
        if (len > 0) {
            clm_json_add_str(lines, line);
            i++;
        }
        at += len + (at[len] == '\n');
    }
}

/* Runs the tests that a deployment would run first: they read only. */
static enum clm_code run_test(const struct clm_io *io, const struct clm_strs *words,
                              struct clm_json *tests, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf output = CLM_BUF_INIT(CLM_PROC_OUTPUT_MAX);
    const char **argv = calloc(words->n + 1, sizeof(*argv));
    int status = 0;

    if (argv == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "arguments");
    }
    for (size_t k = 0; k < words->n; k++) {
        argv[k] = words->v[k];
    }
    enum clm_code code = io->run(io->ctx, argv, TEST_TIMEOUT_MS, &status, &output, err);
    free(argv);
    if (code == CLM_OK) {
        struct clm_json *one = clm_json_add_object(tests);

        clm_json_set_str(one, "program", words->v[0]);
        clm_json_set_int(one, "status", status);
        put_lines(one, &output);
    }
    return code;
}

static enum clm_code run_tests(struct clm_host_call *call, const struct clm_plan *plan,
                               struct clm_err *err)
{
    struct clm_json *tests = clm_json_set_array(call->reply, "tests");
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < plan->n_steps && code == CLM_OK; i++) {
        const struct clm_step *step = &plan->steps[i];

        if (step->kind == CLM_STEP_CHECK && step->argv.n > 0) {
            code = run_test(call->host->io, &step->argv, tests, err);
        }
    }
    return code;
}

enum clm_code clm_host_op_local_plan(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_plan_done) struct clm_plan plan = {.n_steps = 0};
    const char *target;
    struct clm_json *lines;
    bool check = false;
    enum clm_code code = clm_json_str(call->body, "target", CLM_TARGET_ID_SIZE - 1, &target, err);

    if (code == CLM_OK) {
        code = clm_json_bool_or(call->body, "check", &check, err);
    }
    if (code == CLM_OK) {
        code = clm_host_plan(call, target, NULL, &plan, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_plan_to_json(&plan, call->reply);
    lines = clm_json_set_array(call->reply, "lines");
    for (size_t i = 0; code == CLM_OK && i < plan.n_steps; i++) {
        char text[2 * PATH_MAX];

        code = clm_step_describe(&plan.steps[i], text, sizeof(text), err);
        clm_json_add_str(lines, text);
    }
    return code == CLM_OK && check ? run_tests(call, &plan, err) : code;
}

enum clm_code clm_host_op_local_rollback(struct clm_host_call *call, struct clm_err *err)
{
    struct clm_rollback rollback = {.job_id = ""};
    int64_t version;
    enum clm_code code =
        clm_json_str(call->body, "target", CLM_TARGET_ID_SIZE - 1, &rollback.target, err);

    if (code == CLM_OK) {
        code = clm_json_int(call->body, "version", -1, UINT32_MAX - 1, &version, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    rollback.version = version < 0 ? CLM_GENERATION_BEFORE : (uint32_t)version;
    return clm_host_roll_back(call, &rollback, err);
}
