/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db - one connection to the control plane's SQLite file; with schema.c the only user of SQLite
 *
 * The file is in WAL mode with synchronous=FULL: what was committed survives a power cut. A second
 * file, seen.db, is attached as "seen": it holds what may be lost (last contact), without fsync.
 * A connection belongs to one thread at a time. Values are bound, never pasted into SQL.
 */
#ifndef CLM_CONTROLPLANE_DB_H
#define CLM_CONTROLPLANE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

struct clm_cp_db;
struct clm_cp_stmt;

enum clm_sql_kind {
    CLM_SQL_END,
    CLM_SQL_TEXT,
    CLM_SQL_INT,
    CLM_SQL_BYTES
};

struct clm_sql_value {
    enum clm_sql_kind kind;
    const void *data; /* TEXT, BYTES; NULL binds NULL */
    size_t len;
    int64_t number;
};

/* Borrowed until the call returns (clm_cp_db_exec) or the statement ends (clm_cp_db_query). */
static inline struct clm_sql_value clm_sql_text(const char *text)
{
    return (struct clm_sql_value){.kind = CLM_SQL_TEXT, .data = text};
}

static inline struct clm_sql_value clm_sql_int(int64_t number)
{
    return (struct clm_sql_value){.kind = CLM_SQL_INT, .number = number};
}

static inline struct clm_sql_value clm_sql_bytes(const void *data, size_t len)
{
    return (struct clm_sql_value){.kind = CLM_SQL_BYTES, .data = data, .len = len};
}

/* Parameters ?1, ?2 ... in order. */
#define CLM_SQL(...) ((const struct clm_sql_value[]){__VA_ARGS__, {.kind = CLM_SQL_END}})
#define CLM_SQL_NONE NULL

/*
 * clm_cp_db_open() - opens DIR/clmbot.db and DIR/seen.db, makes or upgrades the tables
 *
 * In      dir     an existing directory, absolute or relative; "" opens databases in memory
 * Errors  IO; CONFIG if the file was written by a newer version
 */
CLM_MUST_USE enum clm_code clm_cp_db_open(const char *dir, struct clm_cp_db **out_db,
                                          struct clm_err *err);
/* Accepts NULL. */
void clm_cp_db_free(struct clm_cp_db *db);
CLM_DEFINE_CLEANUP(struct clm_cp_db, clm_cp_db_free);

/* Starts a transaction; write takes the writer's lock at once (at most 5 s). Errors: IO. */
CLM_MUST_USE enum clm_code clm_cp_db_begin(struct clm_cp_db *db, bool write, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_cp_db_commit(struct clm_cp_db *db, struct clm_err *err);
/* Harmless without a transaction. */
void clm_cp_db_rollback(struct clm_cp_db *db);

/* One statement without rows. Errors: EXISTS on a broken uniqueness rule; IO. */
CLM_MUST_USE enum clm_code clm_cp_db_exec(struct clm_cp_db *db, struct clm_err *err,
                                          const char *sql, const struct clm_sql_value *values);
/* Rows changed by the last clm_cp_db_exec(). */
int64_t clm_cp_db_changes(const struct clm_cp_db *db);
/* Several statements, without parameters, for the schema. Errors: IO. */
CLM_MUST_USE enum clm_code clm_cp_db_script(struct clm_cp_db *db, const char *sql,
                                            struct clm_err *err);

/* A statement with rows, before its first one. values must live until the statement is freed. */
CLM_MUST_USE enum clm_code clm_cp_db_query(struct clm_cp_db *db, struct clm_cp_stmt **out_stmt,
                                           struct clm_err *err, const char *sql,
                                           const struct clm_sql_value *values);
void clm_cp_stmt_free(struct clm_cp_stmt *stmt);
CLM_DEFINE_CLEANUP(struct clm_cp_stmt, clm_cp_stmt_free);
/* The next row. *out_row is false at the end. Errors: IO, EXISTS. */
CLM_MUST_USE enum clm_code clm_cp_stmt_next(struct clm_cp_stmt *stmt, bool *out_row,
                                            struct clm_err *err);
/* Columns of the current row, from 0. Text is "" for NULL; valid until the next row. */
const char *clm_cp_stmt_text(struct clm_cp_stmt *stmt, int column);
int64_t clm_cp_stmt_int(struct clm_cp_stmt *stmt, int column);
bool clm_cp_stmt_is_null(struct clm_cp_stmt *stmt, int column);
/* Bytes of a column; *out_len is 0 for NULL. */
const void *clm_cp_stmt_bytes(struct clm_cp_stmt *stmt, int column, size_t *out_len);
/* Copies a text column into dst; a longer one is LIMIT. */
CLM_MUST_USE enum clm_code clm_cp_stmt_copy(struct clm_cp_stmt *stmt, int column, char *dst,
                                            size_t size, struct clm_err *err);

/* A statement at its only row. Errors: NOTFOUND without a message; IO. */
CLM_MUST_USE enum clm_code clm_cp_db_query_one(struct clm_cp_db *db, struct clm_cp_stmt **out_stmt,
                                               struct clm_err *err, const char *sql,
                                               const struct clm_sql_value *values);
/* Called at each row; anything but CLM_OK ends the walk. */
typedef enum clm_code (*clm_cp_row_fn)(void *arg, struct clm_cp_stmt *stmt, struct clm_err *err);
struct clm_cp_each {
    const char *sql;
    const struct clm_sql_value *values;
    clm_cp_row_fn visit;
    void *arg;
};
CLM_MUST_USE enum clm_code clm_cp_db_each(struct clm_cp_db *db, const struct clm_cp_each *each,
                                          struct clm_err *err);
/* For clm_cp_db_each(): the first column as a string more in a struct clm_strs. */
enum clm_code clm_cp_row_to_strs(void *strs, struct clm_cp_stmt *stmt, struct clm_err *err);

struct clm_cp_text_column {
    char *dst;
    size_t size;
};
/* The first n columns, in this order. */
CLM_MUST_USE enum clm_code clm_cp_stmt_copy_all(struct clm_cp_stmt *stmt,
                                                const struct clm_cp_text_column *columns, size_t n,
                                                struct clm_err *err);

/* The first column of the first row as a number; fallback without a row or with NULL. */
CLM_MUST_USE enum clm_code clm_cp_db_get_int(struct clm_cp_db *db, int64_t fallback,
                                             int64_t *out_number, struct clm_err *err,
                                             const char *sql, const struct clm_sql_value *values);
/* The first column of the first row as text, appended to out. Errors: NOTFOUND without a row. */
CLM_MUST_USE enum clm_code clm_cp_db_get_text(struct clm_cp_db *db, struct clm_buf *out,
                                              struct clm_err *err, const char *sql,
                                              const struct clm_sql_value *values);

#endif
