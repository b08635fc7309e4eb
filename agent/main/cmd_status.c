/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot status", "jobs" and "job": asked of the running network half; one screen each. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/main/cmds.h"
#include "agent/main/pick.h"
#include "agent/main/show.h"
#include "agent/run/local_api.h"

/* NOTFOUND of a request is about the socket or about what was asked for. */
static bool has_socket(const struct clm_config *config)
{
    char path[PATH_MAX];

    clm_ignore(clm_str_fmt(path, sizeof(path), NULL, "%s/status.sock", config->run_dir));
    return access(path, F_OK) == 0;
}

/* Asks the agent; false: the error was shown and *out_status is the exit status. */
static bool ask(const struct clm_cli_args *args, const char *method, const struct clm_json *params,
                struct clm_config *config, struct clm_json **out_reply, int *out_status)
{
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code;

    if (!clm_cmd_config(args, config, out_status)) {
        return false;
    }
    code = clm_status_request(config->run_dir, method, params, out_reply, &err);
    if (code == CLM_OK) {
        return true;
    }
    if (code == CLM_E_NET || (code == CLM_E_NOTFOUND && !has_socket(config))) {
        (void)fprintf(stderr,
                      "clmbot: the agent does not run: nobody answers on '%s/status.sock'\n"
                      "        start it: systemctl start clmbot, or: clmbot run --spawn-host\n",
                      config->run_dir);
        *out_status = CLM_EXIT_NOT_RUNNING;
        return false;
    }
    if (code == CLM_E_PERM) {
        clm_ignore(clm_str_fmt(fail.hint, sizeof(fail.hint), NULL,
                               "run the command as root or as a member of group '%.64s'",
                               config->group));
    } else if (params != NULL) {
        clm_ignore(
            clm_str_copy(fail.hint, sizeof(fail.hint), "see what there is: clmbot jobs", NULL));
    }
    *out_status = clm_show_error(code, &err, &fail);
    return false;
}

/* ---- status ---- */

/* What a state of a target means for the exit status and the eye. */
static const struct state {
    const char *name;
    enum clm_color color;
    int status;
} states[] = {
    {"ok", CLM_COLOR_GREEN, CLM_EXIT_GOOD},
    {"expiring", CLM_COLOR_YELLOW, CLM_EXIT_ATTENTION},
    {"expired", CLM_COLOR_RED, CLM_EXIT_ATTENTION},
    {"mismatch", CLM_COLOR_RED, CLM_EXIT_DIFFERS},
    {"unreachable", CLM_COLOR_RED, CLM_EXIT_ATTENTION},
    {"waiting_for_restart", CLM_COLOR_YELLOW, CLM_EXIT_ATTENTION},
    {"unknown", CLM_COLOR_YELLOW, CLM_EXIT_ATTENTION},
};

static const struct state *state_of(const char *name)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(states); i++) {
        if (strcmp(states[i].name, name) == 0) {
            return &states[i];
        }
    }
    return &states[CLM_ARRAY_LEN(states) - 1];
}

/* Worse wins: 3 (differs) over 6 (offline) over 1 (attention) over 0. */
static int worse(int a, int b)
{
    static const int order[] = {CLM_EXIT_DIFFERS, CLM_EXIT_OFFLINE, CLM_EXIT_ATTENTION};

    for (size_t i = 0; i < CLM_ARRAY_LEN(order); i++) {
        if (a == order[i] || b == order[i]) {
            return order[i];
        }
    }
    return CLM_EXIT_GOOD;
}

static int control_plane_status(const char *state)
{
    if (strcmp(state, "connected") == 0) {
        return CLM_EXIT_GOOD;
    }
    return strcmp(state, "offline") == 0 ? CLM_EXIT_OFFLINE : CLM_EXIT_ATTENTION;
}

static int exit_of(const struct clm_json *reply)
{
    int status = control_plane_status(
        clm_pick_text(clm_json_get(reply, "control_plane"), "state", "unknown"));

    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "targets")); at != NULL;
         at = clm_json_next(at)) {
        status = worse(status, state_of(clm_pick_text(at, "state", "unknown"))->status);
    }
    return status;
}

static void print_head(const struct clm_json *reply, int64_t now_s)
{
    const struct clm_json *agent = clm_json_get(reply, "agent");
    const struct clm_json *plane = clm_json_get(reply, "control_plane");
    const struct clm_json *spool = clm_json_get(reply, "spool");
    const char *state = clm_pick_text(plane, "state", "unknown");
    int64_t contact_s = clm_pick_time(plane, "last_contact");
    char ago[32] = "never";
    char left[32];

    clm_show_line("agent          %s, clmbot %s", clm_pick_text(agent, "id", "not enrolled"),
                  clm_pick_text(agent, "version", "?"));
    if (contact_s > 0) {
        clm_show_ago(contact_s, now_s, ago, sizeof(ago));
    }
    clm_show_line("control plane  %s, %s, last contact %s", clm_pick_text(plane, "url", "none"),
                  state, ago);
    if (strcmp(state, "connected") != 0 && *clm_pick_text(plane, "message", "") != '\0') {
        clm_show_line("               %s", clm_pick_text(plane, "message", ""));
    }
    if (clm_pick_time(clm_json_get(reply, "identity"), "not_after") > 0) {
        (void)clm_show_left(clm_pick_time(clm_json_get(reply, "identity"), "not_after"), now_s, 0,
                            left, sizeof(left));
        clm_show_line("identity       %s left, renewed by itself", left);
    }
    if (clm_pick_int(spool, "n") > 0 || clm_pick_int(spool, "dead") > 0) {
        clm_show_line("spool          %lld to send, %lld refused",
                      (long long)clm_pick_int(spool, "n"), (long long)clm_pick_int(spool, "dead"));
    }
    clm_show_line("jobs           %lld running, %lld waiting",
                  (long long)clm_pick_int(clm_json_get(reply, "jobs"), "running"),
                  (long long)clm_pick_int(clm_json_get(reply, "jobs"), "waiting"));
}

static const struct clm_table_column status_columns[] = {
    {.title = "TARGET"},
    {.title = "SERVED", .is_fixed = true},
    {.title = "LEFT", .is_right = true, .is_fixed = true},
    {.title = "STATE", .is_fixed = true},
    {.title = "LAST JOB"},
};

static void add_target(struct clm_table *table, const struct clm_json *target, int64_t now_s,
                       uint32_t expiring_days)
{
    const struct clm_json *job = clm_json_get(target, "last_job");
    const struct state *state = state_of(clm_pick_text(target, "state", "unknown"));
    int64_t not_after_s = clm_pick_time(target, "not_after");
    enum clm_color color = CLM_COLOR_NONE;
    char text[32] = "";

    clm_table_add(table, CLM_COLOR_NONE, clm_pick_text(target, "target", "?"));
    clm_show_hash(clm_pick_text(target, "served_sha256", ""), text, sizeof(text));
    clm_table_add(table, CLM_COLOR_NONE, text);
    text[0] = '\0';
    if (not_after_s > 0) {
        color = clm_show_left(not_after_s, now_s, expiring_days, text, sizeof(text));
    }
    clm_table_add(table, color, text);
    clm_table_add(table, state->color, state->name);
    if (job == NULL) {
        clm_table_add(table, CLM_COLOR_DIM, "-");
        return;
    }
    clm_show_ago(clm_pick_time(job, "finished_at"), now_s, text, sizeof(text));
    clm_table_addf(table, CLM_COLOR_NONE, "%s %s%s%s", clm_pick_text(job, "type", "?"),
                   clm_pick_text(job, "outcome", clm_pick_text(job, "state", "?")),
                   clm_pick_time(job, "finished_at") > 0 ? ", " : "",
                   clm_pick_time(job, "finished_at") > 0 ? text : "");
}

int clm_cmd_status(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct clm_table *table;
    int64_t now_s = clm_clock_now_s();
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    if (!ask(args, "status", NULL, &config, &reply, &status)) {
        return status;
    }
    status = exit_of(reply);
    if (clm_cli_has(args, "json")) {
        return clm_show_json("status", CLM_STEAL(reply), status);
    }
    print_head(reply, now_s);
    if (clm_json_len(clm_json_get(reply, "targets")) == 0) {
        clm_show_line("targets        none known%s",
                      clm_json_get(clm_json_get(reply, "scan"), "at") == NULL ? "; not scanned yet"
                                                                              : "");
        return status;
    }
    clm_show_line("%s", "");
    table = clm_table_new(status_columns, CLM_ARRAY_LEN(status_columns));
    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "targets")); at != NULL;
         at = clm_json_next(at)) {
        add_target(table, at, now_s, config.deploy.expiring_days);
    }
    return clm_show_table(table, status);
}

/* ---- jobs ---- */

static const struct clm_table_column job_columns[] = {
    {.title = "JOB", .is_fixed = true},   {.title = "TYPE", .is_fixed = true}, {.title = "TARGET"},
    {.title = "STATE", .is_fixed = true}, {.title = "WHEN", .is_fixed = true}, {.title = "WHY"},
};

static const char *why_of(const struct clm_json *job)
{
    return clm_pick_text(clm_json_get(job, "error"), "message", clm_pick_text(job, "why", ""));
}

static enum clm_color color_of(const char *outcome)
{
    if (strcmp(outcome, "succeeded") == 0 || strcmp(outcome, "skipped") == 0) {
        return CLM_COLOR_GREEN;
    }
    return *outcome == '\0' ? CLM_COLOR_NONE : CLM_COLOR_RED;
}

/* "3 min ago" of its end or start; "in 40 s" of the next try. */
static void add_when(struct clm_table *table, const struct clm_json *job, int64_t now_s)
{
    int64_t next_s = clm_pick_time(job, "next_try");
    int64_t at_s = clm_pick_time(job, "finished_at");
    char text[32] = "";

    if (next_s > now_s) {
        clm_table_addf(table, CLM_COLOR_NONE, "next try in %lld s", (long long)(next_s - now_s));
        return;
    }
    at_s = at_s > 0 ? at_s : clm_pick_time(job, "started_at");
    if (at_s > 0) {
        clm_show_ago(at_s, now_s, text, sizeof(text));
    }
    clm_table_add(table, CLM_COLOR_NONE, text);
}

int clm_cmd_jobs(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct clm_table *table;
    int64_t now_s = clm_clock_now_s();
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    if (!ask(args, "jobs", NULL, &config, &reply, &status)) {
        return status;
    }
    if (clm_cli_has(args, "json")) {
        return clm_show_json("jobs", CLM_STEAL(reply), status);
    }
    table = clm_table_new(job_columns, CLM_ARRAY_LEN(job_columns));
    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "jobs")); at != NULL;
         at = clm_json_next(at)) {
        const char *outcome = clm_pick_text(at, "outcome", "");

        clm_table_add(table, CLM_COLOR_NONE, clm_pick_text(at, "job_id", "?"));
        clm_table_add(table, CLM_COLOR_NONE, clm_pick_text(at, "type", "?"));
        clm_table_add(table, CLM_COLOR_NONE, clm_pick_text(at, "target", "?"));
        clm_table_add(table, color_of(outcome),
                      *outcome != '\0' ? outcome : clm_pick_text(at, "state", "?"));
        add_when(table, at, now_s);
        clm_table_add(table, CLM_COLOR_NONE, why_of(at));
    }
    if (clm_table_rows(table) == 0) {
        clm_show_line("No job was given to this host yet.");
    }
    return clm_show_table(table, status);
}

/* ---- one job ---- */

static const struct clm_table_column step_columns[] = {
    {.title = NULL, .is_fixed = true},
    {.title = NULL, .is_fixed = true},
    {.title = NULL, .is_right = true, .is_fixed = true},
    {.title = NULL},
};

static void print_job(const struct clm_json *job)
{
    clm_show_line("job      %s", clm_pick_text(job, "job_id", "?"));
    clm_show_line("does     %s %s", clm_pick_text(job, "type", "?"),
                  clm_pick_text(job, "target", "?"));
    clm_show_line("state    %s%s%s", clm_pick_text(job, "state", "?"),
                  *clm_pick_text(job, "outcome", "") != '\0' ? ", " : "",
                  clm_pick_text(job, "outcome", ""));
    if (*clm_pick_text(job, "phase", "") != '\0' && *clm_pick_text(job, "outcome", "") == '\0') {
        clm_show_line("phase    %s", clm_pick_text(job, "phase", ""));
    }
    clm_show_line("started  %s", clm_pick_text(job, "started_at", "not yet"));
    if (clm_pick_time(job, "finished_at") > 0) {
        clm_show_line("finished %s", clm_pick_text(job, "finished_at", ""));
    }
    if (*why_of(job) != '\0') {
        clm_show_line("why      %s", why_of(job));
        if (*clm_pick_text(clm_json_get(job, "error"), "hint", "") != '\0') {
            clm_show_line("         %s", clm_pick_text(clm_json_get(job, "error"), "hint", ""));
        }
    }
}

static void print_list(const struct clm_json *effects, const char *member, const char *title)
{
    for (const struct clm_json *at = clm_json_first(clm_json_get(effects, member)); at != NULL;
         at = clm_json_next(at)) {
        clm_show_line("%-8s %s", title, clm_pick_node(at, "?"));
        title = "";
    }
}

/* What is worth knowing of a job that nevertheless went well. */
static void print_remarks(const struct clm_json *job)
{
    const struct clm_json *effects = clm_json_get(clm_json_get(job, "result"), "effects");

    if (*clm_pick_text(effects, "note", "") != '\0') {
        clm_show_line("note     %s", clm_pick_text(effects, "note", ""));
    }
    print_list(effects, "ca_changes", "changed");
    print_list(effects, "left_out", "left out");
}

int clm_cmd_job(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *params = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    const struct clm_json *job;
    struct clm_table *table;
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    clm_json_set_str(params, "job_id", args->args[0]);
    if (!ask(args, "job", params, &config, &reply, &status)) {
        return status;
    }
    if (clm_cli_has(args, "json")) {
        return clm_show_json("job", CLM_STEAL(reply), status);
    }
    job = clm_json_get(reply, "job");
    print_job(job);
    print_remarks(job);
    table = clm_table_new(step_columns, CLM_ARRAY_LEN(step_columns));
    for (const struct clm_json *at =
             clm_json_first(clm_json_get(clm_json_get(job, "result"), "steps"));
         at != NULL; at = clm_json_next(at)) {
        const char *word = clm_pick_text(at, "status", "?");

        clm_table_addf(table, CLM_COLOR_NONE, "  %s", clm_pick_text(at, "name", "?"));
        clm_table_add(table, strcmp(word, "failed") == 0 ? CLM_COLOR_RED : CLM_COLOR_NONE, word);
        clm_table_addf(table, CLM_COLOR_NONE, "%lld ms", (long long)clm_pick_int(at, "ms"));
        clm_table_add(table, CLM_COLOR_NONE, clm_pick_text(at, "detail", ""));
    }
    return clm_show_table(table, status);
}
