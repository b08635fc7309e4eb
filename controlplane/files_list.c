/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate files as the operator API lists them: filters, order, and where the next list begins. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/files.h"
#include "controlplane/http.h"

#define CURSOR_MAX ((size_t)PATH_MAX * 2)

/* Parameters 1 to 9; the cursor's are 10 to 12, the limit is 13. */
#define FROM_WHERE                                                                                 \
    " FROM file_set s JOIN file f ON f.agent_id = s.agent_id AND f.scan_id = s.scan_id"            \
    " WHERE (?1 IS NULL OR f.agent_id = ?1) AND (?2 IS NULL OR f.status = ?2)"                     \
    " AND (?3 IS NULL OR f.format = ?3)"                                                           \
    " AND (?4 IS NULL OR (?4 = 'any' AND f.problems <> '')"                                        \
    "  OR instr(f.problems, ' ' || ?4 || ' ') > 0)"                                                \
    " AND (?5 IS NULL OR f.manager = CASE ?5 WHEN 'none' THEN '' ELSE ?5 END)"                     \
    " AND (?6 IS NULL OR f.id IN (SELECT file_id FROM file_cert WHERE sha256 = ?6))"               \
    " AND (?7 IS NULL OR instr(f.search, ?7) > 0)"                                                 \
    " AND (?8 < 0 OR f.in_use = ?8) AND (?9 < 0 OR f.not_after < ?9)"

static const char by_path[] = "SELECT f.agent_id, f.path, f.not_after, f.body, s.at" FROM_WHERE
                              " AND (?11 IS NULL OR (f.path, f.agent_id) > (?11, ?12))"
                              " AND ?10 = ?10 ORDER BY f.path, f.agent_id LIMIT ?13";
static const char by_expiry[] =
    "SELECT f.agent_id, f.path, f.not_after, f.body, s.at" FROM_WHERE
    " AND (?11 IS NULL OR (f.not_after, f.path, f.agent_id) > (?10, ?11, ?12))"
    " ORDER BY f.not_after, f.path, f.agent_id LIMIT ?13";

/* Where a list ended. */
struct place {
    int64_t not_after_s;
    char path[PATH_MAX]; /* "": at the start */
    char agent_id[CLM_ID_SIZE];
};

static enum clm_code read_cursor(const char *text, struct place *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_INIT(CURSOR_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = NULL;
    const char *path = NULL;
    const char *agent_id = NULL;

    enum clm_code code = clm_b64url_decode(text, strlen(text), &plain, NULL);

    if (code == CLM_OK) {
        code = clm_json_parse(clm_buf_str(&plain), plain.len, CURSOR_MAX, &json, NULL);
    }
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "a cursor");
    }
    if (code != CLM_OK ||
        clm_json_int(json, "e", 0, CLM_CP_FILE_NEVER_S, &out->not_after_s, NULL) != CLM_OK ||
        clm_json_str(json, "p", PATH_MAX - 1, &path, NULL) != CLM_OK || path[0] == '\0' ||
        clm_json_str(json, "a", CLM_ID_SIZE - 1, &agent_id, NULL) != CLM_OK) {
        return clm_err_set(err, CLM_E_PARSE, "query parameter 'cursor': is none of ours");
    }
    (void)snprintf(out->path, sizeof(out->path), "%s", path);
    (void)snprintf(out->agent_id, sizeof(out->agent_id), "%s", agent_id);
    return CLM_OK;
}

static enum clm_code set_cursor(struct clm_json *obj, const struct place *place,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_INIT(CURSOR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CURSOR_MAX * 2);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();

    clm_json_set_int(json, "e", place->not_after_s);
    clm_json_set_str(json, "p", place->path);
    clm_json_set_str(json, "a", place->agent_id);
    enum clm_code code = clm_json_print(json, false, &plain, err);

    if (code == CLM_OK) {
        code = clm_b64url_encode(plain.data, plain.len, &text, err);
    }
    clm_json_set_str(obj, "next", clm_buf_str(&text));
    return code;
}

static enum clm_code add_row(struct clm_cp_stmt *stmt, struct clm_json *array, size_t *io_bytes,
                             struct place *out, struct clm_err *err)
{
    struct clm_json *file = NULL;
    const char *body = clm_cp_stmt_text(stmt, 3);
    enum clm_code code = clm_cp_stmt_copy(stmt, 0, out->agent_id, sizeof(out->agent_id), err);

    *io_bytes += strlen(body);
    out->not_after_s = clm_cp_stmt_int(stmt, 2);
    if (code == CLM_OK) {
        code = clm_cp_stmt_copy(stmt, 1, out->path, sizeof(out->path), err);
    }
    if (code == CLM_OK) {
        code = clm_cp_json_stored(body, &file, err);
    }
    if (code == CLM_OK) {
        clm_json_set_str(file, "agent_id", out->agent_id);
        clm_cp_json_time(file, "not_after",
                         out->not_after_s < CLM_CP_FILE_NEVER_S ? out->not_after_s : 0);
        clm_cp_json_time(file, "found_at", clm_cp_stmt_int(stmt, 4));
        clm_json_add_take(array, file);
    }
    return code;
}

static enum clm_code add_managers(struct clm_cp_tx *tx, struct clm_json *array, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = true;
    enum clm_code code = clm_cp_db_query(
        tx->db, &stmt, err,
        "SELECT DISTINCT manager FROM file WHERE manager <> '' ORDER BY 1 LIMIT 50", CLM_SQL_NONE);

    while (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        clm_json_add_str(array, clm_cp_stmt_text(stmt, 0));
    }
    return code;
}

/* What stands above a list: shown once, with its first part. */
static enum clm_code add_head(struct clm_cp_tx *tx, const struct clm_sql_value *values, bool first,
                              struct clm_json *obj, struct clm_err *err)
{
    int64_t total = 0;

    if (!first) {
        clm_json_set_null(obj, "total");
        clm_json_set_null(obj, "managers");
        return CLM_OK;
    }
    enum clm_code code =
        clm_cp_db_get_int(tx->db, 0, &total, err, "SELECT count(*)" FROM_WHERE, values);

    clm_json_set_int(obj, "total", total);
    return code == CLM_OK ? add_managers(tx, clm_json_set_array(obj, "managers"), err) : code;
}

static enum clm_code add_files(struct clm_cp_stmt *stmt, int64_t limit, struct clm_json *obj,
                               struct clm_err *err)
{
    struct clm_json *array = clm_json_set_array(obj, "files");
    struct place place = {0};
    size_t bytes = 0;
    bool row = true;
    enum clm_code code = CLM_OK;

    clm_json_set_null(obj, "next");
    for (int64_t n = 0; code == CLM_OK; n++) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        if (n == limit || bytes > CLM_CP_FILES_LIST_SIZE) {
            return n > 0 ? set_cursor(obj, &place, err) : CLM_OK;
        }
        code = add_row(stmt, array, &bytes, &place, err);
    }
    return code;
}

enum clm_code clm_cp_files_list(struct clm_cp_tx *tx, const struct clm_cp_file_filter *filter,
                                struct clm_json *obj, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(1024);
    struct place from = {0};
    enum clm_code code = CLM_OK;

    if (filter->cursor != NULL) {
        code = read_cursor(filter->cursor, &from, err);
    }
    for (const char *p = filter->text; code == CLM_OK && p != NULL && *p != '\0'; p++) {
        char c = (char)tolower((unsigned char)*p);

        code = clm_buf_add(&text, &c, 1, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    const struct clm_sql_value values[] = {
        clm_sql_text(filter->agent_id),
        clm_sql_text(filter->status),
        clm_sql_text(filter->format),
        clm_sql_text(filter->problem),
        clm_sql_text(filter->manager),
        clm_sql_text(filter->sha256),
        clm_sql_text(text.len > 0 ? clm_buf_str(&text) : NULL),
        clm_sql_int(filter->in_use),
        clm_sql_int(filter->ends_before_s),
        clm_sql_int(from.not_after_s),
        clm_sql_text(from.path[0] != '\0' ? from.path : NULL),
        clm_sql_text(from.agent_id),
        clm_sql_int(filter->limit + 1),
        {.kind = CLM_SQL_END},
    };
    struct clm_sql_value head[10];

    memcpy(head, values, sizeof(head));
    head[9].kind = CLM_SQL_END;
    code = add_head(tx, head, filter->cursor == NULL, obj, err);
    if (code == CLM_OK) {
        code = clm_cp_db_query(tx->db, &stmt, err, filter->by_expiry ? by_expiry : by_path, values);
    }
    return code == CLM_OK ? add_files(stmt, filter->limit, obj, err) : code;
}
