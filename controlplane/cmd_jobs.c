/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"
#include "controlplane/client.h"
#include "controlplane/jobs.h"

#define WATCH_WAIT_S 25 /* below the timeout of one call */

int clm_cp_cmd_jobs_list(const struct clm_cli_args *args, void *ctx)
{
    static const struct clm_cp_column columns[] = {
        {"JOB", "id", .is_fixed = true},
        {"TYPE", "type", .is_fixed = true},
        {"TARGET", "target", .is_fixed = false},
        {"STATE", "state", .is_fixed = true},
        {"TRY", "attempt", .is_number = true},
        {"UPDATED", "updated_at", .is_fixed = true},
        {"ERROR", "error.message", .is_fixed = false},
    };
    char path[256];
    struct clm_err err = {0};
    const char *agent = clm_cli_str(args, "agent", NULL);
    const char *state = clm_cli_str(args, "state", NULL);
    enum clm_code code = clm_str_fmt(path, sizeof(path), &err, "/api/v1/jobs?limit=%lld%s%s%s%s",
                                     (long long)clm_cli_int(args, "limit", 50),
                                     agent != NULL ? "&agent_id=" : "", agent != NULL ? agent : "",
                                     state != NULL ? "&state=" : "", state != NULL ? state : "");

    (void)ctx;
    return code == CLM_OK ? clm_cp_list(args, path, "jobs", columns, CLM_ARRAY_LEN(columns))
                          : clm_cp_fail(&err);
}

static enum clm_code call_job(const struct clm_cli_args *args, const char *method,
                              const char *suffix, struct clm_json **out, struct clm_err *err)
{
    char path[160];
    const struct clm_cp_call call = {.method = method, .path = path};
    enum clm_code code =
        clm_str_fmt(path, sizeof(path), err, "/api/v1/jobs/%s%s", args->args[0], suffix);

    return code == CLM_OK ? clm_cp_call(args, &call, out, err) : code;
}

static enum clm_code print_steps(const struct clm_json *job, struct clm_err *err)
{
    const struct clm_json *steps = clm_json_get(clm_json_get(job, "result"), "steps");

    for (const struct clm_json *s = clm_json_first(steps); s != NULL; s = clm_json_next(s)) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf ms = CLM_BUF_INIT(64);

        enum clm_code code = clm_cp_show(s, "ms", &ms, err);

        if (code != CLM_OK) {
            return code;
        }
        const char *detail = clm_json_text(clm_json_get(s, "detail"));

        detail = detail != NULL ? detail : "";
        clm_cp_say("  %-16s %-8s %6s ms%s%s", clm_cp_text(s, "name"), clm_cp_text(s, "status"),
                   clm_buf_str(&ms), *detail != '\0' ? "  " : "", detail);
    }
    return CLM_OK;
}

static int print_job(const struct clm_json *job)
{
    static const char *const rows[][2] = {
        {"job", "id"},
        {"type", "type"},
        {"target", "target"},
        {"agent", "agent_id"},
        {"state", "state"},
        {"attempt", "attempt"},
        {"phase", "phase"},
        {"error", "error.message"},
        {"hint", "error.hint"},
        {"created", "created_at"},
        {"updated", "updated_at"},
        {"next try", "next_try_at"},
    };

    struct clm_err err = {0};
    enum clm_code code = clm_cp_show_rows(job, rows, CLM_ARRAY_LEN(rows), -9, &err);

    if (code == CLM_OK) {
        code = print_steps(job, &err);
    }
    return code == CLM_OK ? CLM_CP_EXIT_OK : clm_cp_fail(&err);
}

static int show(const struct clm_cli_args *args, const struct clm_json *job)
{
    if (clm_cli_has(args, "json")) {
        return clm_cp_print_json(job);
    }
    return print_job(job);
}

int clm_cp_cmd_jobs_show(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *job = NULL;
    struct clm_err err = {0};

    (void)ctx;
    return call_job(args, "GET", "", &job, &err) == CLM_OK ? show(args, job) : clm_cp_fail(&err);
}

int clm_cp_cmd_jobs_cancel(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *job = NULL;
    struct clm_err err = {0};

    (void)ctx;
    return call_job(args, "POST", "/cancel", &job, &err) == CLM_OK ? show(args, job)
                                                                   : clm_cp_fail(&err);
}

/* ---- watch ---- */

/* Waits until anything changes; *io_last is where the list of changes ends. */
static enum clm_code wait_for_change(const struct clm_cli_args *args, int64_t *io_last,
                                     struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    char path[96];
    const struct clm_cp_call call = {
        .method = "GET", .path = path, .timeout_ms = (WATCH_WAIT_S + 15) * 1000u};
    enum clm_code code =
        *io_last < 0 ? clm_str_copy(path, sizeof(path), "/api/v1/events", err)
                     : clm_str_fmt(path, sizeof(path), err, "/api/v1/events?after=%lld&wait=%d",
                                   (long long)*io_last, WATCH_WAIT_S);

    if (code == CLM_OK) {
        code = clm_cp_call(args, &call, &answer, err);
    }
    return code == CLM_OK ? clm_json_int(answer, "last", 0, CLM_JSON_INT_MAX, io_last, err) : code;
}

/* Prints the state and phase of the job if they are not those printed last. */
static void print_progress(const struct clm_json *job, char *last, size_t size)
{
    char line[192];

    (void)snprintf(line, sizeof(line), "%s %s", clm_cp_text(job, "state"),
                   clm_cp_text(job, "phase"));
    if (strcmp(line, last) != 0) {
        clm_cp_say("%-20s %-12s %s", clm_cp_text(job, "updated_at"), clm_cp_text(job, "state"),
                   clm_cp_text(job, "phase"));
        (void)fflush(stdout);
        (void)snprintf(last, size, "%s", line);
    }
}

static int finish(const struct clm_cli_args *args, const struct clm_json *job)
{
    const char *state = clm_cp_text(job, "state");
    int status = show(args, job);

    if (status != CLM_CP_EXIT_OK) {
        return status;
    }
    return strcmp(state, "succeeded") == 0 || strcmp(state, "skipped") == 0 ? CLM_CP_EXIT_OK
                                                                            : CLM_CP_EXIT_FAILED;
}

int clm_cp_cmd_jobs_watch(const struct clm_cli_args *args, void *ctx)
{
    struct clm_err err = {0};
    int64_t last = -1;
    char printed[192] = "";

    (void)ctx;
    for (;;) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *job = NULL;

        /* The end of the list first: what changes after it wakes the next wait. */
        if (wait_for_change(args, &last, &err) != CLM_OK ||
            call_job(args, "GET", "", &job, &err) != CLM_OK) {
            return clm_cp_fail(&err);
        }
        if (!clm_cli_has(args, "json")) {
            print_progress(job, printed, sizeof(printed));
        }
        if (clm_cp_job_state_is_terminal(clm_cp_text(job, "state"))) {
            return finish(args, job);
        }
    }
}
