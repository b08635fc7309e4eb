/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/main/show.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/str.h"
#include "agent/base/term.h"

#define LINE_MAX_BYTES 16384 /* of one line: three paths and a sentence */

static const int exit_of[CLM_E__COUNT] = {
    [CLM_E_NOMEM] = CLM_EXIT_FAILED,       [CLM_E_INVAL] = CLM_EXIT_FAILED,
    [CLM_E_CONFIG] = CLM_EXIT_CONFIG,      [CLM_E_PARSE] = CLM_EXIT_FAILED,
    [CLM_E_LIMIT] = CLM_EXIT_FAILED,       [CLM_E_NOTFOUND] = CLM_EXIT_FAILED,
    [CLM_E_EXISTS] = CLM_EXIT_FAILED,      [CLM_E_PERM] = CLM_EXIT_FAILED,
    [CLM_E_IO] = CLM_EXIT_FAILED,          [CLM_E_NET] = CLM_EXIT_OFFLINE,
    [CLM_E_TIMEOUT] = CLM_EXIT_OFFLINE,    [CLM_E_REMOTE] = CLM_EXIT_FAILED,
    [CLM_E_AUTH] = CLM_EXIT_FAILED,        [CLM_E_CRYPTO] = CLM_EXIT_FAILED,
    [CLM_E_VERIFY] = CLM_EXIT_DIFFERS,     [CLM_E_CONFLICT] = CLM_EXIT_FAILED,
    [CLM_E_UNSUPPORTED] = CLM_EXIT_FAILED, [CLM_E_CANCELLED] = CLM_EXIT_FAILED,
    [CLM_E_BUG] = CLM_EXIT_FAILED,
};

int clm_show_exit(enum clm_code code)
{
    return exit_of[code];
}

int clm_show_error(enum clm_code code, const struct clm_err *err, const struct clm_fail *fail)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "clmbot: %s\n", err->msg); /* plain already, and needs no memory */
    if (fail != NULL && fail->hint[0] != '\0') {
        (void)fprintf(stderr, "        %s\n", fail->hint);
    } else if (code == CLM_E_PERM && geteuid() != 0) {
        (void)fprintf(stderr, "        run the command as root\n");
    }
    return exit_of[code];
}

int clm_show_text(const struct clm_buf *text, int status)
{
    (void)fwrite(clm_buf_str(text), 1, text->len, stdout);
    return status;
}

int clm_show_json(const char *name, struct clm_json *doc, int status)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *taken = doc;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_SHOW_MAX);
    char schema[64];
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code;

    clm_ignore(clm_str_fmt(schema, sizeof(schema), NULL, "clmbot.%s", name));
    clm_json_set_str(root, "schema", schema);
    clm_json_set_int(root, "version", 1);
    for (const struct clm_json *at = clm_json_first(taken); at != NULL; at = clm_json_next(at)) {
        if (strcmp(clm_json_key(at), "schema") != 0 && strcmp(clm_json_key(at), "version") != 0) {
            clm_json_set_copy(root, clm_json_key(at), at);
        }
    }
    code = clm_json_is_whole(taken) ? clm_json_print(root, true, &text, &err)
                                    : clm_err_set(&err, CLM_E_NOMEM, "answer");
    if (code == CLM_OK) {
        code = clm_buf_add_str(&text, "\n", &err);
    }
    return code == CLM_OK ? clm_show_text(&text, status) : clm_show_error(code, &err, NULL);
}

int clm_show_table(struct clm_table *table, int status)
{
    CLM_CLEANUP(clm_table_free_p) struct clm_table *taken = table;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_SHOW_MAX);
    struct clm_term term = clm_term_probe(STDOUT_FILENO);
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = clm_table_print(taken, &term, &text, &err);

    return code == CLM_OK ? clm_show_text(&text, status) : clm_show_error(code, &err, NULL);
}

void clm_show_line(const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    clm_str_make_plain(text); /* names of files, words of servers: nothing steers the terminal */
    (void)puts(text);
}

#define MINUTE_S INT64_C(60)
#define HOUR_S   INT64_C(3600)
#define DAY_S    INT64_C(86400)

enum clm_color clm_show_left(int64_t not_after_s, int64_t now_s, uint32_t expiring_days, char *dst,
                             size_t size)
{
    int64_t left_s = not_after_s - now_s;

    if (left_s <= 0) {
        clm_ignore(clm_str_fmt(dst, size, NULL, "expired"));
        return CLM_COLOR_RED;
    }
    if (left_s < 2 * DAY_S) {
        clm_ignore(clm_str_fmt(dst, size, NULL, "%lld h", (long long)(left_s / HOUR_S)));
    } else {
        clm_ignore(clm_str_fmt(dst, size, NULL, "%lld d", (long long)(left_s / DAY_S)));
    }
    return left_s < (int64_t)expiring_days * DAY_S ? CLM_COLOR_YELLOW : CLM_COLOR_GREEN;
}

void clm_show_ago(int64_t at_s, int64_t now_s, char *dst, size_t size)
{
    static const struct {
        int64_t below_s;
        int64_t unit_s;
        const char *name;
    } steps[] = {
        {2 * MINUTE_S, 1, "s"},
        {2 * HOUR_S, MINUTE_S, "min"},
        {2 * DAY_S, HOUR_S, "h"},
        {0, DAY_S, "d"}, /* all others */
    };
    int64_t ago_s = now_s > at_s ? now_s - at_s : 0;

    size_t i = 0;

    while (i + 1 < CLM_ARRAY_LEN(steps) && ago_s >= steps[i].below_s) {
        i++;
    }
    clm_ignore(clm_str_fmt(dst, size, NULL, "%lld %s ago", (long long)(ago_s / steps[i].unit_s),
                           steps[i].name));
}

void clm_show_hash(const char *sha256, char *dst, size_t size)
{
    clm_ignore(
        clm_str_fmt(dst, size, NULL, "%.12s", sha256 != NULL && *sha256 != '\0' ? sha256 : "-"));
}
