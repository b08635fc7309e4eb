/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "clmbot certs": every certificate file of this host.
 *
 * Files arrive in pages while the host half searches. What is shown waits in a temporary file: a
 * reader that pauses (a pager) must not hold up the search, and memory must not grow with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/main/cmds.h"
#include "agent/main/hostlink.h"
#include "agent/main/pick.h"
#include "agent/main/show.h"
#include "agent/model/cert_file.h"

#define ROWS_MAX 500 /* of one table: beyond that columns are measured anew */
#define DAY_S    86400

struct filter {
    const char *glob; /* NULL any */
    bool in_use;
    bool problems;
    bool has_expiring;
    int64_t expiring_days;
};

struct certs {
    struct filter filter;
    bool is_json;
    bool is_tty; /* stderr: progress is shown */
    bool has_progress;
    int64_t now_s;
    uint32_t expiring_days;
    struct clm_term term;
    FILE *out;
    struct clm_table *table;
    bool is_begun; /* something was written: titles, or the first member of the list */
    size_t n_shown;
    size_t n_keys; /* files with nothing but keys, which the table leaves out */
    size_t n_attention;
    enum clm_code code; /* first failure; the rest is then passed over */
    struct clm_err err;
};

static const struct clm_table_column columns[] = {
    {.title = "FILE"},
    {.title = "CERTIFICATE"},
    {.title = "LEFT", .is_right = true, .is_fixed = true},
    {.title = "STATUS", .is_fixed = true},
    {.title = "USED BY"},
    {.title = "PROBLEMS"},
};
static const struct clm_table_column more_columns[] = {
    {.title = NULL},
    {.title = NULL},
    {.title = NULL, .is_right = true, .is_fixed = true},
    {.title = NULL, .is_fixed = true},
    {.title = NULL},
    {.title = NULL},
};

static void write_out(struct certs *c, const struct clm_buf *text)
{
    if (fwrite(text->data, 1, text->len, c->out) != text->len) {
        c->code = clm_err_sys(&c->err, errno, "temporary file");
    }
}

/* ---- what is shown ---- */

/* The certificate that a file is there for: the first that is no CA, else the first. */
static const struct clm_found_entry *main_entry(const struct clm_found *found)
{
    const struct clm_found_entry *first = NULL;

    for (size_t i = 0; i < found->n_entries; i++) {
        const struct clm_found_entry *entry = &found->entries[i];

        if (entry->has_certificate && entry->kind != CLM_FOUND_TRUSTED) {
            return entry;
        }
        first = first == NULL && entry->has_certificate ? entry : first;
    }
    return first;
}

static bool expires_by(const struct clm_found *found, int64_t at_s)
{
    for (size_t i = 0; i < found->n_entries; i++) {
        const struct clm_found_entry *entry = &found->entries[i];

        if (entry->has_certificate && entry->kind != CLM_FOUND_TRUSTED &&
            entry->certificate.not_after_s <= at_s) {
            return true;
        }
    }
    return false;
}

static bool has_path(const struct clm_found *found, const char *glob)
{
    for (size_t i = 0; i < found->links.n; i++) {
        if (clm_str_glob(glob, found->links.v[i])) {
            return true;
        }
    }
    return clm_str_glob(glob, found->path);
}

static bool passes(const struct certs *c, const struct clm_found *found)
{
    const struct filter *f = &c->filter;

    return (f->glob == NULL || has_path(found, f->glob)) && (!f->in_use || found->in_use) &&
           (!f->problems || found->problems != 0) &&
           (!f->has_expiring || expires_by(found, c->now_s + f->expiring_days * DAY_S));
}

static void join(const struct clm_strs *list, char *dst, size_t size)
{
    size_t at = 0;

    dst[0] = '\0';
    for (size_t i = 0; i < list->n; i++) {
        (void)snprintf(dst + at, size - at, "%s%s", i > 0 ? ", " : "", list->v[i]);
        at += strlen(dst + at); /* what did not fit is left out */
    }
}

static void join_problems(uint32_t bits, char *dst, size_t size)
{
    size_t at = 0;

    dst[0] = '\0';
    for (unsigned i = 0; i < CLM_FOUND_PROBLEMS; i++) {
        if ((bits & 1u << i) != 0) {
            (void)snprintf(dst + at, size - at, "%s%s", at > 0 ? ", " : "",
                           clm_found_problem_name((enum clm_found_problem)(1u << i)));
            at += strlen(dst + at);
        }
    }
}

static void print_table(struct certs *c)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_SHOW_MAX);

    if (c->table == NULL) {
        return;
    }
    c->code = clm_table_print(c->table, &c->term, &text, &c->err);
    if (c->code == CLM_OK) {
        write_out(c, &text);
    }
    clm_table_free(c->table);
    c->table = NULL;
    c->is_begun = true;
}

static void add_certificate(struct certs *c, const struct clm_found *found)
{
    const struct clm_found_entry *entry = main_entry(found);
    char left[32] = "";
    enum clm_color color = CLM_COLOR_NONE;

    if (entry == NULL) {
        clm_table_add(c->table, CLM_COLOR_DIM, found->is_locked ? "locked" : "key");
        clm_table_add(c->table, CLM_COLOR_NONE, "");
        return;
    }
    clm_table_add(c->table, CLM_COLOR_NONE,
                  entry->certificate.subject[0] != '\0' ? entry->certificate.subject
                  : entry->certificate.names.dns.n > 0  ? entry->certificate.names.dns.v[0]
                  : entry->certificate.names.ip.n > 0   ? entry->certificate.names.ip.v[0]
                                                        : "no name");
    color = clm_show_left(entry->certificate.not_after_s, c->now_s, c->expiring_days, left,
                          sizeof(left));
    clm_table_add(c->table, entry->kind == CLM_FOUND_TRUSTED ? CLM_COLOR_DIM : color, left);
}

static void add_row(struct certs *c, const struct clm_found *found)
{
    static const enum clm_color colors[CLM_FOUND_STATUS__COUNT] = {
        [CLM_FOUND_MANAGED] = CLM_COLOR_GREEN, [CLM_FOUND_IGNORED] = CLM_COLOR_DIM};
    char problems[160];
    char used_by[1024];

    if (c->table == NULL) {
        c->table = clm_table_new(c->is_begun ? more_columns : columns, CLM_ARRAY_LEN(columns));
    }
    if (c->table == NULL) {
        c->code = clm_err_set(&c->err, CLM_E_NOMEM, "table");
        return;
    }
    clm_table_add(c->table, CLM_COLOR_NONE, found->path);
    add_certificate(c, found);
    clm_table_add(c->table, colors[found->status],
                  found->manager[0] != '\0' ? found->manager
                                            : clm_found_status_name(found->status));
    join(&found->used_by, used_by, sizeof(used_by));
    clm_table_add(c->table, CLM_COLOR_NONE, used_by);
    join_problems(found->problems, problems, sizeof(problems));
    clm_table_add(c->table, CLM_COLOR_RED, problems);
    if (clm_table_rows(c->table) >= ROWS_MAX) {
        print_table(c);
    }
}

static void add_json(struct certs *c, const struct clm_json *file)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_SHOW_MAX);

    c->code = clm_buf_add_str(&text, c->is_begun ? ",\n    " : "\n    ", &c->err);
    if (c->code == CLM_OK) {
        c->code = clm_json_print(file, false, &text, &c->err);
    }
    if (c->code == CLM_OK) {
        c->is_begun = true;
        write_out(c, &text);
    }
}

static void take(struct certs *c, const struct clm_json *file)
{
    CLM_CLEANUP(clm_found_done) struct clm_found found = {.path = ""};

    c->code = clm_found_from_json(file, &found, &c->err);
    if (c->code != CLM_OK || !passes(c, &found)) {
        return;
    }
    c->n_attention += found.problems != 0 || c->filter.has_expiring ? 1 : 0;
    if (c->is_json) {
        c->n_shown++;
        add_json(c, file);
    } else if (main_entry(&found) == NULL && !found.is_locked && found.problems == 0 &&
               c->filter.glob == NULL) {
        c->n_keys++;
    } else {
        c->n_shown++;
        add_row(c, &found);
    }
}

/* ---- what arrives ---- */

static void on_event(void *arg, const struct clm_json *event)
{
    struct certs *c = arg;
    const char *kind = clm_pick_text(event, "kind", "");

    if (strcmp(kind, "progress") == 0 && c->is_tty) {
        c->has_progress = true;
        (void)fprintf(stderr, "\r  %lld files looked at, %lld found ",
                      (long long)clm_pick_int(event, "files"),
                      (long long)clm_pick_int(event, "found"));
    }
    if (strcmp(kind, "files") != 0) {
        return;
    }
    for (const struct clm_json *at = clm_json_first(clm_json_get(event, "files"));
         at != NULL && c->code == CLM_OK; at = clm_json_next(at)) {
        take(c, at);
    }
}

/* ---- the end ---- */

/* Whether it arrived on stdout is asked once, at the very end: clm_cli_main(). */
static void copy_out(struct certs *c)
{
    char bytes[16384];
    size_t n;

    while ((n = fread(bytes, 1, sizeof(bytes), c->out)) > 0) {
        (void)fwrite(bytes, 1, n, stdout);
    }
    if (ferror(c->out) != 0) {
        c->code = clm_err_sys(&c->err, errno, "temporary file");
    }
}

/* Back to its beginning, with all of it written. */
static void rewind_out(struct certs *c)
{
    if (c->code == CLM_OK && fseek(c->out, 0, SEEK_SET) != 0) {
        c->code = clm_err_sys(&c->err, errno, "temporary file");
    }
}

static void print_json(struct certs *c, const struct clm_json *reply)
{
    static const char *const members[] = {"counts", "managers", "remarks", "duration_ms"};
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_SHOW_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *rest = clm_json_new_object();

    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        clm_json_set_copy(rest, members[i], clm_json_get(reply, members[i]));
    }
    c->code = clm_json_print(rest, false, &text, &c->err);
    rewind_out(c);
    if (c->code != CLM_OK) {
        return;
    }
    (void)fputs("{\n  \"schema\": \"clmbot.certs\",\n  \"version\": 1,\n  \"files\": [", stdout);
    copy_out(c);
    (void)printf("%s],\n  %s\n", c->is_begun ? "\n  " : "", clm_buf_str(&text) + 1);
}

static void print_text(struct certs *c, const struct clm_json *reply)
{
    const struct clm_json *counts = clm_json_get(reply, "counts");

    print_table(c);
    rewind_out(c);
    if (c->code != CLM_OK) {
        return;
    }
    copy_out(c);
    if (c->n_shown == 0) {
        clm_show_line(clm_pick_int(counts, "found") == 0 ? "No certificate files were found."
                                                         : "No file of this kind was found.");
    }
    for (const struct clm_json *at = clm_json_first(clm_json_get(reply, "remarks")); at != NULL;
         at = clm_json_next(at)) {
        clm_show_line("  note: %s", clm_pick_node(at, "?"));
    }
    clm_show_line("%zu shown, %zu key %s not; %lld files looked at in %lld ms", c->n_shown,
                  c->n_keys, c->n_keys == 1 ? "file" : "files",
                  (long long)clm_pick_int(counts, "files"),
                  (long long)clm_pick_int(reply, "duration_ms"));
}

static void read_options(const struct clm_cli_args *args, struct certs *c)
{
    c->is_json = clm_cli_has(args, "json");
    c->is_tty = !c->is_json && isatty(STDERR_FILENO) != 0;
    c->filter.glob = clm_cli_str(args, "path", NULL);
    c->filter.in_use = clm_cli_has(args, "in-use");
    c->filter.problems = clm_cli_has(args, "problems");
    c->filter.has_expiring = clm_cli_has(args, "expiring");
    c->filter.expiring_days = clm_cli_int(args, "expiring", 0);
}

static int finish(struct certs *c, enum clm_code code, const struct clm_json *reply,
                  const struct clm_fail *fail, const struct clm_err *err)
{
    if (c->has_progress) {
        (void)fputs("\r\033[K", stderr);
    }
    if (code != CLM_OK) {
        return clm_show_error(code, err, fail);
    }
    if (c->code == CLM_OK) {
        (c->is_json ? print_json : print_text)(c, reply);
    }
    if (c->code != CLM_OK) {
        return clm_show_error(c->code, &c->err, NULL);
    }
    return c->n_attention > 0 ? CLM_EXIT_ATTENTION : CLM_EXIT_GOOD;
}

int clm_cmd_certs(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = NULL;
    struct certs c = {.now_s = clm_clock_now_s(), .term = clm_term_probe(STDOUT_FILENO)};
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_err err = {.code = CLM_OK};
    int status = CLM_EXIT_GOOD;
    enum clm_code code;

    (void)ctx;
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    read_options(args, &c);
    c.expiring_days = config.deploy.expiring_days;
    c.out = tmpfile();
    if (c.out == NULL) {
        code = clm_err_sys(&err, errno, "temporary file");
        return clm_show_error(code, &err, NULL);
    }
    code = clm_hostlink_call(
        &config,
        &(const struct clm_hostlink_ask){.op = CLM_OP_CERTS, .on_event = on_event, .arg = &c},
        &reply, &fail, &err);
    status = finish(&c, code, reply, &fail, &err);
    clm_table_free(c.table);
    (void)fclose(c.out);
    return status;
}
