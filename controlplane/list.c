/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the operator API as tables. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/table.h"
#include "controlplane/client.h"

#define CELL_MAX   4096
#define ROW_MAX    16384 /* a row of its own holds all names of a certificate */
#define OUTPUT_MAX ((size_t)8 * 1024 * 1024)

static const struct clm_json *find(const struct clm_json *obj, const char *path)
{
    char key[64];

    while (obj != NULL) {
        size_t len = strcspn(path, ".");

        assert(len < sizeof(key)); /* paths stand in our tables */
        memcpy(key, path, len);
        key[len] = '\0';
        obj = clm_json_get(obj, key);
        if (path[len] == '\0') {
            return obj;
        }
        path += len + 1;
    }
    return NULL;
}

/* JSON is at most CLM_JSON_DEPTH_MAX deep. */
static enum clm_code add_value(const struct clm_json *value, struct clm_buf *out)
{
    enum clm_code code = CLM_OK;

    if (clm_json_kind(value) == CLM_JSON_STRING) {
        return clm_buf_add_str(out, clm_json_text(value), NULL);
    }
    if (clm_json_kind(value) != CLM_JSON_ARRAY && clm_json_kind(value) != CLM_JSON_OBJECT) {
        return clm_json_print(value, false, out, NULL);
    }
    for (const struct clm_json *m = clm_json_first(value); code == CLM_OK && m != NULL;
         m = clm_json_next(m)) {
        if (out->len > 0 && out->data[out->len - 1] != ' ') {
            code = clm_buf_add_str(out, " ", NULL);
        }
        if (code == CLM_OK) {
            code = add_value(m, out);
        }
    }
    return code;
}

enum clm_code clm_cp_show(const struct clm_json *obj, const char *path, struct clm_buf *out,
                          struct clm_err *err)
{
    const struct clm_json *value = find(obj, path);
    size_t before = out->len;
    enum clm_code code = value != NULL ? add_value(value, out) : CLM_OK;

    while (code == CLM_OK && out->len > before && out->data[out->len - 1] == ' ') {
        out->data[--out->len] = '\0'; /* an empty list was the last member */
    }
    if (code == CLM_OK && out->len == before) {
        code = clm_buf_add_str(out, "-", NULL);
    }
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "what is shown") : CLM_OK;
}

enum clm_code clm_cp_show_rows(const struct clm_json *obj, const char *const rows[][2], size_t n,
                               int width, struct clm_err *err)
{
    for (size_t i = 0; i < n; i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf cell = CLM_BUF_INIT(ROW_MAX);
        enum clm_code code = clm_cp_show(obj, rows[i][1], &cell, err);

        if (code != CLM_OK) {
            return code;
        }
        if (width > 0 || strcmp(clm_buf_str(&cell), "-") != 0) {
            clm_cp_say("%-*s %s", abs(width), rows[i][0], clm_buf_str(&cell));
        }
    }
    return CLM_OK;
}

static enum clm_code build(const struct clm_json *items, const struct clm_cp_column *columns,
                           size_t n, struct clm_buf *out, struct clm_err *err)
{
    struct clm_table_column heads[CLM_TABLE_COLUMNS_MAX];
    struct clm_term term = clm_term_probe(STDOUT_FILENO);

    for (size_t i = 0; i < n; i++) {
        heads[i] =
            (struct clm_table_column){.title = columns[i].title,
                                      .is_right = columns[i].is_number,
                                      .is_fixed = columns[i].is_fixed || columns[i].is_number};
    }
    CLM_CLEANUP(clm_table_free_p) struct clm_table *table = clm_table_new(heads, n);

    for (const struct clm_json *item = clm_json_first(items); item != NULL;
         item = clm_json_next(item)) {
        for (size_t i = 0; i < n; i++) {
            CLM_CLEANUP(clm_buf_done) struct clm_buf cell = CLM_BUF_INIT(CELL_MAX);

            enum clm_code code = clm_cp_show(item, columns[i].path, &cell, err);

            if (code != CLM_OK) {
                return code;
            }
            clm_table_add(table, CLM_COLOR_NONE, clm_buf_str(&cell));
        }
    }
    return clm_table_print(table, &term, out, err);
}

int clm_cp_list(const struct clm_cli_args *args, const char *path, const char *member,
                const struct clm_cp_column *columns, size_t n)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(OUTPUT_MAX);
    const struct clm_cp_call call = {.method = "GET", .path = path};
    struct clm_err err = {0};

    if (clm_cp_call(args, &call, &answer, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    if (clm_cli_has(args, "json")) {
        return clm_cp_print_json(answer);
    }
    const struct clm_json *items = clm_json_get(answer, member);

    if (clm_json_len(items) == 0) {
        (void)printf("no %s\n", member);
        return CLM_CP_EXIT_OK;
    }
    if (build(items, columns, n, &out, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    (void)fputs(clm_buf_str(&out), stdout);
    return CLM_CP_EXIT_OK;
}
