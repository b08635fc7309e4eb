/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/db.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "agent/base/str.h"
#include "controlplane/schema.h"

#define BUSY_TIMEOUT_MS 5000 /* one writer at a time; a commit takes milliseconds */

struct clm_cp_db {
    sqlite3 *handle;
    int64_t changes;
};

/* The statement is its own handle: SQLite needs nothing beside it. */
struct clm_cp_stmt {
    sqlite3_stmt *handle;
};

static enum clm_code db_err(sqlite3 *handle, int rc, struct clm_err *err, const char *what)
{
    enum clm_code code = CLM_E_IO;

    if (rc == SQLITE_CONSTRAINT) {
        code = CLM_E_EXISTS;
    } else if (rc == SQLITE_NOMEM) {
        code = CLM_E_NOMEM;
    }
    return clm_err_set(err, code, "database: %s: %s", what,
                       handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(rc));
}

static enum clm_code open_main(const char *dir, struct clm_cp_db *db, struct clm_err *err)
{
    char path[PATH_MAX] = ":memory:";

    if (dir[0] != '\0') {
        enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/clmbot.db", dir);

        if (code != CLM_OK) {
            return code;
        }
    }
    int rc = sqlite3_open_v2(
        path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK) {
        return db_err(db->handle, rc, err, path);
    }
    (void)sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    (void)sqlite3_extended_result_codes(db->handle, 0);
    return clm_cp_db_script(db,
                            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                            "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;",
                            err);
}

static enum clm_code attach_seen(const char *dir, struct clm_cp_db *db, struct clm_err *err)
{
    char path[PATH_MAX] = ":memory:";
    enum clm_code code = CLM_OK;

    if (dir[0] != '\0') {
        code = clm_str_fmt(path, sizeof(path), err, "%s/seen.db", dir);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(db, err, "ATTACH DATABASE ?1 AS seen", CLM_SQL(clm_sql_text(path)));
    }
    if (code == CLM_OK) {
        code =
            clm_cp_db_script(db, "PRAGMA seen.journal_mode=WAL; PRAGMA seen.synchronous=OFF;", err);
    }
    return code;
}

enum clm_code clm_cp_db_open(const char *dir, struct clm_cp_db **out_db, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_db_free_p) struct clm_cp_db *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "database");
    }
    enum clm_code code = open_main(dir, db, err);

    if (code == CLM_OK) {
        code = attach_seen(dir, db, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_schema_apply(db, err);
    }
    if (code == CLM_OK) {
        *out_db = CLM_STEAL(db);
    }
    return code;
}

void clm_cp_db_free(struct clm_cp_db *db)
{
    if (db != NULL) {
        (void)sqlite3_close(db->handle);
        free(db);
    }
}

enum clm_code clm_cp_db_script(struct clm_cp_db *db, const char *sql, struct clm_err *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? CLM_OK : db_err(db->handle, rc, err, "schema");
}

enum clm_code clm_cp_db_begin(struct clm_cp_db *db, bool write, struct clm_err *err)
{
    return clm_cp_db_script(db, write ? "BEGIN IMMEDIATE" : "BEGIN", err);
}

enum clm_code clm_cp_db_commit(struct clm_cp_db *db, struct clm_err *err)
{
    return clm_cp_db_script(db, "COMMIT", err);
}

void clm_cp_db_rollback(struct clm_cp_db *db)
{
    if (sqlite3_get_autocommit(db->handle) == 0) {
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
}

static int bind_one(sqlite3_stmt *stmt, int index, const struct clm_sql_value *value)
{
    if (value->kind == CLM_SQL_INT) {
        return sqlite3_bind_int64(stmt, index, value->number);
    }
    if (value->data == NULL) {
        return sqlite3_bind_null(stmt, index);
    }
    if (value->kind == CLM_SQL_TEXT) {
        return sqlite3_bind_text(stmt, index, value->data, -1, SQLITE_STATIC);
    }
    return sqlite3_bind_blob64(stmt, index, value->data, value->len, SQLITE_STATIC);
}

enum clm_code clm_cp_db_query(struct clm_cp_db *db, struct clm_cp_stmt **out_stmt,
                              struct clm_err *err, const char *sql,
                              const struct clm_sql_value *values)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = calloc(1, sizeof(*stmt));

    if (stmt == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "database: statement");
    }
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt->handle, NULL);

    for (int i = 0; rc == SQLITE_OK && values != NULL && values[i].kind != CLM_SQL_END; i++) {
        rc = bind_one(stmt->handle, i + 1, &values[i]);
    }
    if (rc != SQLITE_OK) {
        return db_err(db->handle, rc, err, sql);
    }
    *out_stmt = CLM_STEAL(stmt);
    return CLM_OK;
}

void clm_cp_stmt_free(struct clm_cp_stmt *stmt)
{
    if (stmt != NULL) {
        (void)sqlite3_finalize(stmt->handle);
        free(stmt);
    }
}

enum clm_code clm_cp_stmt_next(struct clm_cp_stmt *stmt, bool *out_row, struct clm_err *err)
{
    assert(stmt != NULL);
    int rc = sqlite3_step(stmt->handle);

    *out_row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        return CLM_OK;
    }
    return db_err(sqlite3_db_handle(stmt->handle), rc, err, sqlite3_sql(stmt->handle));
}

const char *clm_cp_stmt_text(struct clm_cp_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt->handle, column);

    return text != NULL ? (const char *)text : "";
}

int64_t clm_cp_stmt_int(struct clm_cp_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

bool clm_cp_stmt_is_null(struct clm_cp_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

const void *clm_cp_stmt_bytes(struct clm_cp_stmt *stmt, int column, size_t *out_len)
{
    const void *data = sqlite3_column_blob(stmt->handle, column);

    *out_len = (size_t)sqlite3_column_bytes(stmt->handle, column);
    return data;
}

enum clm_code clm_cp_stmt_copy(struct clm_cp_stmt *stmt, int column, char *dst, size_t size,
                               struct clm_err *err)
{
    return clm_str_copy(dst, size, clm_cp_stmt_text(stmt, column), err);
}

enum clm_code clm_cp_stmt_copy_all(struct clm_cp_stmt *stmt,
                                   const struct clm_cp_text_column *columns, size_t n,
                                   struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < n; i++) {
        code = clm_cp_stmt_copy(stmt, (int)i, columns[i].dst, columns[i].size, err);
    }
    return code;
}

enum clm_code clm_cp_db_query_one(struct clm_cp_db *db, struct clm_cp_stmt **out_stmt,
                                  struct clm_err *err, const char *sql,
                                  const struct clm_sql_value *values)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = false;
    enum clm_code code = clm_cp_db_query(db, &stmt, err, sql, values);

    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
    }
    if (code == CLM_OK && !row) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no such row");
    }
    if (code == CLM_OK) {
        *out_stmt = CLM_STEAL(stmt);
    }
    return code;
}

enum clm_code clm_cp_db_each(struct clm_cp_db *db, const struct clm_cp_each *each,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code = clm_cp_db_query(db, &stmt, err, each->sql, each->values);
    bool row = true;

    while (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        code = each->visit(each->arg, stmt, err);
    }
    return code;
}

enum clm_code clm_cp_row_to_strs(void *strs, struct clm_cp_stmt *stmt, struct clm_err *err)
{
    return clm_strs_add(strs, clm_cp_stmt_text(stmt, 0), err);
}

enum clm_code clm_cp_db_exec(struct clm_cp_db *db, struct clm_err *err, const char *sql,
                             const struct clm_sql_value *values)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code = clm_cp_db_query(db, &stmt, err, sql, values);
    bool row = true;

    while (code == CLM_OK && row) {
        code = clm_cp_stmt_next(stmt, &row, err);
    }
    if (code == CLM_OK) {
        db->changes = sqlite3_changes64(db->handle);
    }
    return code;
}

int64_t clm_cp_db_changes(const struct clm_cp_db *db)
{
    return db->changes;
}

enum clm_code clm_cp_db_get_int(struct clm_cp_db *db, int64_t fallback, int64_t *out_number,
                                struct clm_err *err, const char *sql,
                                const struct clm_sql_value *values)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code = clm_cp_db_query(db, &stmt, err, sql, values);
    bool row = false;

    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
    }
    if (code == CLM_OK) {
        *out_number = row && !clm_cp_stmt_is_null(stmt, 0) ? clm_cp_stmt_int(stmt, 0) : fallback;
    }
    return code;
}

enum clm_code clm_cp_db_get_text(struct clm_cp_db *db, struct clm_buf *out, struct clm_err *err,
                                 const char *sql, const struct clm_sql_value *values)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    enum clm_code code = clm_cp_db_query(db, &stmt, err, sql, values);
    bool row = false;

    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
    }
    if (code == CLM_OK && !row) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no such row");
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(out, clm_cp_stmt_text(stmt, 0), err);
    }
    return code;
}
