/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/db.h"
#include "controlplane/schema.h"

static struct clm_cp_db *db;

static int open_db(void **state)
{
    (void)state;
    return clm_cp_db_open("", &db, NULL) == CLM_OK ? 0 : -1;
}

static int close_db(void **state)
{
    (void)state;
    clm_cp_db_free(db);
    return 0;
}

static void values_come_back_as_they_were(void **state)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    static const char hostile[] = "'; DROP TABLE meta; --\"\\%";
    bool row = false;
    size_t len = 0;

    (void)state;
    assert_int_equal(clm_cp_db_query(db, &stmt, NULL, "SELECT ?1, ?2, ?3, ?4",
                                     CLM_SQL(clm_sql_text(hostile), clm_sql_int(-7),
                                             clm_sql_bytes("a\0b", 3), clm_sql_text(NULL))),
                     CLM_OK);
    assert_int_equal(clm_cp_stmt_next(stmt, &row, NULL), CLM_OK);
    assert_true(row);
    assert_string_equal(clm_cp_stmt_text(stmt, 0), hostile);
    assert_int_equal(clm_cp_stmt_int(stmt, 1), -7);
    assert_memory_equal(clm_cp_stmt_bytes(stmt, 2, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_true(clm_cp_stmt_is_null(stmt, 3));
    assert_string_equal(clm_cp_stmt_text(stmt, 3), "");
    assert_int_equal(clm_cp_stmt_next(stmt, &row, NULL), CLM_OK);
    assert_false(row);
}

static void a_text_that_does_not_fit_is_an_error(void **state)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    char small[4];
    bool row = false;

    (void)state;
    assert_int_equal(clm_cp_db_query(db, &stmt, NULL, "SELECT 'abcd', 'abc'", CLM_SQL_NONE),
                     CLM_OK);
    assert_int_equal(clm_cp_stmt_next(stmt, &row, NULL), CLM_OK);
    assert_int_equal(clm_cp_stmt_copy(stmt, 0, small, sizeof(small), NULL), CLM_E_LIMIT);
    assert_int_equal(clm_cp_stmt_copy(stmt, 1, small, sizeof(small), NULL), CLM_OK);
    assert_string_equal(small, "abc");
}

static void a_rollback_undoes_and_a_commit_keeps(void **state)
{
    int64_t n = 0;

    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        assert_int_equal(clm_cp_db_begin(db, true, NULL), CLM_OK);
        assert_int_equal(
            clm_cp_db_exec(db, NULL, "INSERT INTO meta VALUES ('k', 'v')", CLM_SQL_NONE), CLM_OK);
        assert_int_equal(clm_cp_db_changes(db), 1);
        if (keep != 0) {
            assert_int_equal(clm_cp_db_commit(db, NULL), CLM_OK);
        }
        clm_cp_db_rollback(db);
        assert_int_equal(
            clm_cp_db_get_int(db, -1, &n, NULL, "SELECT count(*) FROM meta", CLM_SQL_NONE), CLM_OK);
        assert_int_equal(n, keep);
    }
}

static void a_broken_rule_is_told_from_a_broken_disk(void **state)
{
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_cp_db_exec(db, NULL, "INSERT INTO meta VALUES ('k', 'v')", CLM_SQL_NONE),
                     CLM_OK);
    assert_int_equal(clm_cp_db_exec(db, &err, "INSERT INTO meta VALUES ('k', 'v')", CLM_SQL_NONE),
                     CLM_E_EXISTS);
    assert_int_equal(clm_cp_db_exec(db, &err, "INSERT INTO nowhere VALUES (1)", CLM_SQL_NONE),
                     CLM_E_IO);
    assert_non_null(strstr(err.msg, "nowhere"));
}

static void single_values_have_fallbacks(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(64);
    int64_t n = 0;

    (void)state;
    assert_int_equal(
        clm_cp_db_get_int(db, 5, &n, NULL, "SELECT max(seq) FROM change", CLM_SQL_NONE), CLM_OK);
    assert_int_equal(n, 5);
    assert_int_equal(clm_cp_db_get_text(db, &text, NULL, "SELECT value FROM meta", CLM_SQL_NONE),
                     CLM_E_NOTFOUND);
}

static void one_open_order_for_each_certificate(void **state)
{
    static const char insert[] =
        "INSERT INTO cert_order (id, certificate_id, agent_id, job_id, connector, csr, csr_sha256,"
        " spki_sha256, key_ref, state, next_at, expires_at, created_at)"
        " VALUES (?1, 'c', 'a', ?1, 'x', '', '', '', '', ?2, 0, 0, 0)";

    (void)state;
    assert_int_equal(clm_cp_db_script(db, "PRAGMA foreign_keys=OFF", NULL), CLM_OK);
    assert_int_equal(
        clm_cp_db_exec(db, NULL, insert, CLM_SQL(clm_sql_text("1"), clm_sql_text("failed"))),
        CLM_OK);
    assert_int_equal(
        clm_cp_db_exec(db, NULL, insert, CLM_SQL(clm_sql_text("2"), clm_sql_text("created"))),
        CLM_OK);
    assert_int_equal(
        clm_cp_db_exec(db, NULL, insert, CLM_SQL(clm_sql_text("3"), clm_sql_text("dcv_ready"))),
        CLM_E_EXISTS);
}

static void a_file_of_a_newer_version_is_refused(void **state)
{
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_cp_schema_apply(db, &err), CLM_OK); /* again: nothing to do */
    assert_int_equal(clm_cp_db_script(db, "PRAGMA user_version=99", NULL), CLM_OK);
    assert_int_equal(clm_cp_schema_apply(db, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "99"));
}

int main(void)
{
#define DB_TEST(f) cmocka_unit_test_setup_teardown(f, open_db, close_db)
    const struct CMUnitTest tests[] = {
        DB_TEST(values_come_back_as_they_were),
        DB_TEST(a_text_that_does_not_fit_is_an_error),
        DB_TEST(a_rollback_undoes_and_a_commit_keeps),
        DB_TEST(a_broken_rule_is_told_from_a_broken_disk),
        DB_TEST(single_values_have_fallbacks),
        DB_TEST(one_open_order_for_each_certificate),
        DB_TEST(a_file_of_a_newer_version_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
