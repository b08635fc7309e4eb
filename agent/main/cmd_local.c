/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot plan", "verify", "rollback" and "history": asked of the host half, by root. */
#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/main/cmds.h"
#include "agent/main/hostlink.h"
#include "agent/main/pick.h"
#include "agent/main/show.h"
#include "agent/run/local_api.h"

/* The network half was not asked: what it knows of the target is old now. It may not be running. */
static void tell_agent(const struct clm_config *config)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;

    clm_ignore(clm_status_request(config->run_dir, "scan", NULL, &reply, NULL));
}

/* Asks and shows what went wrong; false: *out_status is the exit status. */
static bool ask(const struct clm_cli_args *args, enum clm_op op, const struct clm_json *body,
                struct clm_json **out_reply, int *out_status)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code;

    if (!clm_cmd_config(args, &config, out_status)) {
        return false;
    }
    const struct clm_hostlink_ask question = {
        .op = op,
        .body = body,
        .progress = !clm_cli_has(args, "json"),
        .lost_hint =
            op == CLM_OP_LOCAL_ROLLBACK
                ? "it may have been done all the same: see 'clmbot history' and 'clmbot verify'"
                : NULL,
    };
    code = clm_hostlink_call(&config, &question, out_reply, &fail, &err);
    if (code != CLM_OK) {
        *out_status = clm_show_error(code, &err, &fail);
        return false;
    }
    if (op == CLM_OP_LOCAL_ROLLBACK) {
        tell_agent(&config);
    }
    return true;
}

/* ---- plan ---- */

static size_t failed_tests(const struct clm_json *reply)
{
    size_t n = 0;

    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "tests")); at != NULL;
         at = clm_json_next(at)) {
        n += clm_pick_int(at, "status") != 0;
    }
    return n;
}

/* What the server's own test says now; without --check, that it was not asked. */
static void show_tests(const struct clm_json *reply, bool was_asked)
{
    const struct clm_json *tests = clm_json_get(reply, "tests");

    if (!was_asked) {
        clm_show_line("No program was run: with --check the configuration is tested as it is now.");
        return;
    }
    if (clm_json_first(tests) == NULL) {
        clm_show_line("The server has no test of its configuration that could be run.");
    }
    for (const struct clm_json *at = clm_json_first(tests); at != NULL; at = clm_json_next(at)) {
        if (clm_pick_int(at, "status") == 0) {
            clm_show_line("'%s' finds the configuration good as it is now.",
                          clm_pick_text(at, "program", "?"));
            continue;
        }
        clm_show_line("'%s' exited with %lld, so a deployment would be refused:",
                      clm_pick_text(at, "program", "?"), (long long)clm_pick_int(at, "status"));
        for (const struct clm_json *line = clm_json_first(clm_json_get(at, "output")); line != NULL;
             line = clm_json_next(line)) {
            clm_show_line("  %s", clm_json_text(line));
        }
    }
}

int clm_cmd_plan(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    int status = CLM_EXIT_GOOD;
    int n = 0;

    (void)ctx;
    clm_json_set_str(body, "target", args->args[0]);
    clm_json_set_bool(body, "check", clm_cli_has(args, "check"));
    if (!ask(args, CLM_OP_LOCAL_PLAN, body, &reply, &status)) {
        return status;
    }
    status = failed_tests(reply) > 0 ? CLM_EXIT_FAILED : status;
    if (clm_cli_has(args, "json")) {
        return clm_show_json("plan", CLM_STEAL(reply), status);
    }
    clm_show_line("A deployment to %s would, and would undo exactly (nothing is changed now):",
                  clm_pick_text(reply, "target", "?"));
    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "lines")); at != NULL;
         at = clm_json_next(at)) {
        clm_show_line("  %d. %s", ++n, clm_json_text(at));
    }
    show_tests(reply, clm_cli_has(args, "check"));
    return status;
}

/* ---- verify ---- */

/* Why a listener showed no certificate, beside the table: on stderr. */
static void show_details(const struct clm_json *reply)
{
    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "targets")); at != NULL;
         at = clm_json_next(at)) {
        for (const struct clm_json *one = clm_json_first(clm_json_get(at, "observations"));
             one != NULL; one = clm_json_next(one)) {
            const char *detail = clm_pick_text(clm_json_get(one, "seen"), "detail", "");

            if (!clm_pick_true(one, "ok") && *detail != '\0') {
                char line[512];

                (void)snprintf(line, sizeof(line), "%s: %s", clm_pick_text(at, "target", "?"),
                               detail);
                clm_str_make_plain(line);
                (void)fprintf(stderr, "clmbot: %s\n", line);
            }
        }
    }
}

static const struct clm_table_column verify_columns[] = {
    {.title = "TARGET"},
    {.title = "ADDRESS", .is_fixed = true},
    {.title = "NAME"},
    {.title = "SERVED", .is_fixed = true},
    {.title = "EXPECTED", .is_fixed = true},
    {.title = "RESULT", .is_fixed = true},
};

static void add_observation(struct clm_table *table, const struct clm_json *target,
                            const struct clm_json *one)
{
    const struct clm_json *seen = clm_json_get(one, "seen");
    const char *leaf = clm_pick_text(seen, "leaf_sha256", "");
    int64_t port = 0;
    bool ok = clm_pick_true(one, "ok");
    const char *word = ok ? "ok" : *leaf != '\0' ? "differs" : "no answer";
    char hash[16];

    clm_ignore(clm_json_int_or(one, "port", 0, 65535, &port, NULL));
    clm_table_add(table, CLM_COLOR_NONE, clm_pick_text(target, "target", "?"));
    clm_table_addf(table, CLM_COLOR_NONE, "%s:%lld", clm_pick_text(one, "addr", "?"),
                   (long long)port);
    clm_table_add(table, CLM_COLOR_NONE, clm_pick_text(one, "sni", ""));
    clm_show_hash(leaf, hash, sizeof(hash));
    clm_table_add(table, CLM_COLOR_NONE, *leaf != '\0' ? hash : clm_pick_text(seen, "result", "?"));
    clm_show_hash(clm_pick_text(target, "expect_sha256", ""), hash, sizeof(hash));
    clm_table_add(table, CLM_COLOR_NONE, hash);
    clm_table_add(table, ok ? CLM_COLOR_GREEN : CLM_COLOR_RED, word);
}

int clm_cmd_verify(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct clm_table *table;
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    clm_json_set_str(body, "target", args->n_args > 0 ? args->args[0] : "");
    if (!ask(args, CLM_OP_LOCAL_VERIFY, body, &reply, &status)) {
        return status;
    }
    table = clm_table_new(verify_columns, CLM_ARRAY_LEN(verify_columns));
    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "targets")); at != NULL;
         at = clm_json_next(at)) {
        status = clm_pick_true(at, "ok") ? status : CLM_EXIT_DIFFERS;
        for (const struct clm_json *one = clm_json_first(clm_json_get(at, "observations"));
             one != NULL; one = clm_json_next(one)) {
            add_observation(table, at, one);
        }
    }
    if (clm_cli_has(args, "json")) {
        clm_table_free(table);
        return clm_show_json("verify", CLM_STEAL(reply), status);
    }
    if (clm_table_rows(table) == 0) {
        clm_show_line("No running server here has a certificate that a handshake could show.");
    }
    status = clm_show_table(table, status);
    show_details(reply);
    if (status == CLM_EXIT_DIFFERS) {
        clm_show_line("Not every listener shows the certificate in its file: reload that server, "
                      "and verify again.");
    }
    return status;
}

/* ---- roll back ---- */

int clm_cmd_rollback(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    const struct clm_json *effects;
    const char *outcome;
    char hash[16];
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    clm_json_set_str(body, "target", args->args[0]);
    clm_json_set_int(body, "version", clm_cli_int(args, "to", -1));
    if (!ask(args, CLM_OP_LOCAL_ROLLBACK, body, &reply, &status)) {
        return status;
    }
    outcome = clm_pick_text(reply, "outcome", "failed");
    effects = clm_json_get(reply, "effects");
    status = strcmp(outcome, "succeeded") == 0 || strcmp(outcome, "skipped") == 0 ? CLM_EXIT_GOOD
                                                                                  : CLM_EXIT_FAILED;
    if (clm_cli_has(args, "json")) {
        return clm_show_json("rollback", CLM_STEAL(reply), status);
    }
    clm_show_hash(clm_pick_text(clm_json_get(effects, "after"), "sha256", ""), hash, sizeof(hash));
    if (status == CLM_EXIT_GOOD) {
        clm_show_line("%s serves %s again%s.", args->args[0], hash,
                      clm_pick_true(effects, "proved") ? ", proved by handshake" : "");
    } else {
        clm_show_line("%s: %s: %s", args->args[0], outcome,
                      clm_pick_text(clm_json_get(reply, "error"), "message", "no reason given"));
    }
    return status;
}

/* ---- history ---- */

/* 80 columns hold all of it for a target of some 20 characters; hashes are in --json. */
static const struct clm_table_column history_columns[] = {
    {.title = "WHEN", .is_fixed = true},
    {.title = "TARGET"},
    {.title = "WHAT", .is_fixed = true},
    {.title = "VER", .is_right = true, .is_fixed = true},
    {.title = "RESULT", .is_fixed = true},
    {.title = "PROVED", .is_fixed = true},
    {.title = "WHY"},
};

static void add_transaction(struct clm_table *table, const struct clm_json *one, bool has_why)
{
    const char *result = clm_pick_text(one, "result", "?");
    bool good = strcmp(result, "succeeded") == 0 || strcmp(result, "noop") == 0;
    char when[CLM_TIME_TEXT_SIZE];

    clm_time_format(clm_pick_int(one, "at"), when);
    clm_table_addf(table, CLM_COLOR_NONE, "%.10s %.5s", when, when + 11);
    clm_table_add(table, CLM_COLOR_NONE, clm_pick_text(one, "target", "?"));
    clm_table_add(table, CLM_COLOR_NONE,
                  clm_json_get(one, "is_rollback") == NULL ? "recovery"
                  : clm_pick_true(one, "is_rollback")      ? "rollback"
                                                           : "deploy");
    if (clm_json_get(one, "version") != NULL) {
        clm_table_addf(table, CLM_COLOR_NONE, "%lld", (long long)clm_pick_int(one, "version"));
    } else {
        clm_table_add(table, CLM_COLOR_DIM, "-");
    }
    clm_table_add(table, good ? CLM_COLOR_GREEN : CLM_COLOR_YELLOW, result);
    clm_table_add(table, CLM_COLOR_NONE, clm_pick_true(one, "proved") ? "yes" : "no");
    if (has_why) {
        clm_table_add(table, CLM_COLOR_NONE,
                      clm_pick_text(clm_json_get(one, "error"), "message", ""));
    }
}

/* True if one of them has something to tell: else the last column is not there. */
static bool has_errors(const struct clm_json *transactions)
{
    for (const struct clm_json *at = clm_json_first(transactions); at != NULL;
         at = clm_json_next(at)) {
        if (clm_pick_text(clm_json_get(at, "error"), "message", "")[0] != '\0') {
            return true;
        }
    }
    return false;
}

/* The stored lines have Unix time; what is printed has the form of all times. */
static struct clm_json *history_doc(const struct clm_json *reply)
{
    struct clm_json *doc = clm_json_new_object();
    struct clm_json *list = clm_json_set_array(doc, "transactions");
    char when[CLM_TIME_TEXT_SIZE];

    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "transactions"));
         at != NULL; at = clm_json_next(at)) {
        struct clm_json *one = clm_json_add_object(list);

        for (const struct clm_json *m = clm_json_first(at); m != NULL; m = clm_json_next(m)) {
            if (strcmp(clm_json_key(m), "at") != 0) {
                clm_json_set_copy(one, clm_json_key(m), m);
            }
        }
        clm_time_format(clm_pick_int(at, "at"), when);
        clm_json_set_str(one, "at", when);
    }
    return doc;
}

int clm_cmd_history(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct clm_table *table;
    int status = CLM_EXIT_GOOD;

    (void)ctx;
    clm_json_set_str(body, "target", args->n_args > 0 ? args->args[0] : "");
    if (!ask(args, CLM_OP_HISTORY, body, &reply, &status)) {
        return status;
    }
    if (clm_cli_has(args, "json")) {
        return clm_show_json("history", history_doc(reply), status);
    }
    bool has_why = has_errors(clm_json_get(reply, "transactions"));

    table = clm_table_new(history_columns, CLM_ARRAY_LEN(history_columns) - (has_why ? 0 : 1));
    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "transactions"));
         at != NULL; at = clm_json_next(at)) {
        add_transaction(table, at, has_why);
    }
    if (clm_table_rows(table) == 0) {
        clm_show_line("No deployment%s%s was made here yet.", args->n_args > 0 ? " to " : "",
                      args->n_args > 0 ? args->args[0] : "");
    }
    return clm_show_table(table, status);
}
