/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/crc32c.h"
#include "agent/base/fs.h"
#include "agent/job/txn_log.h"

#define TXID "txn_01ARZ3NDEKTSV4RRFFQ69G5FAV"

static char dir[] = "/tmp/clm-log-XXXXXX";
static char path[PATH_MAX];
static uint8_t bytes[CLM_TXN_LOG_SIZE];

/* Where record i begins. */
static size_t at(size_t i)
{
    return i * CLM_TXN_LOG_RECORD;
}

static const enum clm_txn_state good[] = {CLM_TXN_SWAPPING, CLM_TXN_SWAPPED, CLM_TXN_RELOADED,
                                          CLM_TXN_COMMITTED};

/* A log with all records of a good deployment, also in bytes[]. */
static void write_log(void)
{
    CLM_CLEANUP(clm_txn_log_close) struct clm_txn_log log = CLM_TXN_LOG_INIT;
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_INIT(CLM_TXN_LOG_SIZE);
    struct clm_err err = {0};

    (void)unlink(path);
    assert_int_equal(clm_txn_log_create(path, TXID, 1000, &err), CLM_OK);
    assert_int_equal(clm_txn_log_open(path, TXID, &log, &err), CLM_OK);
    assert_int_equal(log.state, CLM_TXN_PREPARED);
    for (size_t i = 0; i < CLM_ARRAY_LEN(good); i++) {
        assert_int_equal(clm_txn_log_append(&log, good[i], 1000, &err), CLM_OK);
    }
    assert_int_equal(clm_fs_read(path, CLM_TXN_LOG_SIZE, &data, &err), CLM_OK);
    assert_int_equal(data.len, CLM_TXN_LOG_SIZE);
    memcpy(bytes, data.data, data.len);
}

static enum clm_code decode(uint32_t *n, enum clm_txn_state *state)
{
    *n = 999;
    *state = CLM_TXN_STATE__COUNT;
    return clm_txn_log_decode(bytes, sizeof(bytes), TXID, n, state, NULL);
}

static void what_was_appended_is_read(void **state)
{
    CLM_CLEANUP(clm_txn_log_close) struct clm_txn_log log = CLM_TXN_LOG_INIT;
    struct clm_err err = {0};

    (void)state;
    write_log();
    assert_int_equal(clm_txn_log_open(path, TXID, &log, &err), CLM_OK);
    assert_int_equal(log.n, 5);
    assert_int_equal(log.state, CLM_TXN_COMMITTED);
}

static void a_torn_last_record_is_ignored(void **state)
{
    (void)state;
    for (size_t keep = 0; keep < CLM_TXN_LOG_RECORD; keep++) {
        enum clm_txn_state last;
        uint32_t n;

        write_log();
        memset(bytes + at(4) + keep, 0, CLM_TXN_LOG_RECORD - keep);
        assert_int_equal(decode(&n, &last), CLM_OK);
        assert_int_equal(n, 4);
        assert_int_equal(last, CLM_TXN_RELOADED);
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    write_log();
    for (size_t bit = 0; bit < at(5) * 8; bit++) {
        enum clm_txn_state last = CLM_TXN_NONE;
        uint32_t n = 0;
        enum clm_code code;

        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        code = decode(&n, &last);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (bit / 8 < at(4)) { /* a good record behind it: damage, not a tear */
            assert_int_equal(code, CLM_E_PARSE);
        } else {
            assert_int_equal(code, CLM_OK);
            assert_int_equal(last, CLM_TXN_RELOADED);
        }
    }
}

static void another_transactions_log_is_empty_of_records(void **state)
{
    enum clm_txn_state last;
    uint32_t n;

    (void)state;
    write_log();
    assert_int_equal(
        clm_txn_log_decode(bytes, sizeof(bytes), "txn_01ARZ3NDEKTSV4RRFFQ69G5FAW", &n, &last, NULL),
        CLM_OK);
    assert_int_equal(n, 0);
    assert_int_equal(last, CLM_TXN_NONE);
}

static void a_log_of_another_length_is_refused(void **state)
{
    static const size_t lengths[] = {0, 1, 32, 4095};
    enum clm_txn_state last;
    uint32_t n;

    (void)state;
    write_log();
    for (size_t i = 0; i < CLM_ARRAY_LEN(lengths); i++) {
        assert_int_equal(clm_txn_log_decode(bytes, lengths[i], TXID, &n, &last, NULL), CLM_E_PARSE);
    }
}

static void states_come_in_their_order(void **state)
{
    CLM_CLEANUP(clm_txn_log_close) struct clm_txn_log log = CLM_TXN_LOG_INIT;
    enum clm_txn_state last;
    struct clm_err err = {0};
    uint32_t n;
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_INIT(CLM_TXN_LOG_SIZE);

    (void)state;
    (void)unlink(path);
    assert_int_equal(clm_txn_log_create(path, TXID, 1000, &err), CLM_OK);
    assert_int_equal(clm_txn_log_open(path, TXID, &log, &err), CLM_OK);
    assert_int_equal(clm_txn_log_append(&log, CLM_TXN_COMMITTED, 1, &err), CLM_E_INVAL);
    assert_string_equal(err.msg, "the journal's log: 'committed' after 'prepared'");
    assert_int_equal(log.n, 1);
    log.state = CLM_TXN_RELOADED; /* nor is it believed when it is read */
    assert_int_equal(clm_txn_log_append(&log, CLM_TXN_COMMITTED, 1, &err), CLM_OK);
    assert_int_equal(clm_fs_read(path, CLM_TXN_LOG_SIZE, &data, &err), CLM_OK);
    assert_int_equal(clm_txn_log_decode(data.data, data.len, TXID, &n, &last, &err), CLM_E_PARSE);
    assert_non_null(strstr(err.msg, "after 'prepared'"));
}

static void a_torn_record_is_written_over(void **state)
{
    CLM_CLEANUP(clm_txn_log_close) struct clm_txn_log log = CLM_TXN_LOG_INIT;
    struct clm_err err = {0};

    (void)state;
    write_log();
    memset(bytes + at(2) + 20, 0, sizeof(bytes) - at(2) - 20);
    (void)unlink(path);
    assert_int_equal(clm_fs_create(path, bytes, sizeof(bytes), 0600, &err), CLM_OK);
    assert_int_equal(clm_txn_log_open(path, TXID, &log, &err), CLM_OK);
    assert_int_equal(log.state, CLM_TXN_SWAPPING);
    assert_int_equal(clm_txn_log_append(&log, CLM_TXN_UNDOING, 1, &err), CLM_OK);
    assert_int_equal(clm_txn_log_append(&log, CLM_TXN_UNDONE, 1, &err), CLM_OK);
    assert_int_equal(clm_txn_log_open(path, TXID, &log, &err), CLM_OK);
    assert_int_equal(log.state, CLM_TXN_UNDONE);
    assert_int_equal(log.n, 4);
}

/* Whole records all of them, with numbers no version has ever written. */
static void a_state_that_does_not_exist_is_refused(void **state)
{
    static const unsigned states[] = {CLM_TXN_NONE, CLM_TXN_STATE__COUNT, 31, 32, 255};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(states); i++) {
        uint8_t *record = bytes + at(4);
        enum clm_txn_state last;
        struct clm_err err = {0};
        uint32_t n;

        write_log();
        record[8] = (uint8_t)states[i];
        uint32_t crc = clm_crc32c(clm_crc32c(0, TXID, strlen(TXID)), record, 28);
        for (unsigned b = 0; b < 4; b++) {
            record[28 + b] = (uint8_t)(crc >> (8 * b));
        }
        assert_int_equal(clm_txn_log_decode(bytes, sizeof(bytes), TXID, &n, &last, &err),
                         CLM_E_PARSE);
        assert_non_null(strstr(err.msg, "log record 5: state"));
    }
    assert_string_equal(clm_txn_state_name(CLM_TXN_KEPT), "kept");
    assert_string_equal(clm_txn_state_name(CLM_TXN_STATE__COUNT), "unknown");
}

static void a_full_log_refuses(void **state)
{
    CLM_CLEANUP(clm_txn_log_close) struct clm_txn_log log = CLM_TXN_LOG_INIT;
    struct clm_err err = {0};

    (void)state;
    (void)unlink(path);
    assert_int_equal(clm_txn_log_create(path, TXID, 1000, &err), CLM_OK);
    assert_int_equal(clm_txn_log_open(path, TXID, &log, &err), CLM_OK);
    for (uint32_t i = 1; i < CLM_TXN_LOG_RECORDS; i++) {
        assert_int_equal(clm_txn_log_append(&log, CLM_TXN_UNDOING, 1, &err), CLM_OK);
    }
    assert_int_equal(clm_txn_log_append(&log, CLM_TXN_UNDOING, 1, &err), CLM_E_LIMIT);
    assert_int_equal(clm_txn_log_open(path, TXID, &log, &err), CLM_OK);
    assert_int_equal(log.n, CLM_TXN_LOG_RECORDS);
}

#ifdef CLM_TEST_HOOKS
static void after_a_failed_flush_nothing_more_is_written(void **state)
{
    CLM_CLEANUP(clm_txn_log_close) struct clm_txn_log log = CLM_TXN_LOG_INIT;
    struct clm_err err = {0};

    (void)state;
    (void)unlink(path);
    assert_int_equal(clm_txn_log_create(path, TXID, 1000, &err), CLM_OK);
    assert_int_equal(clm_txn_log_open(path, TXID, &log, &err), CLM_OK);
    clm_fs_fail_op("logsync", EIO);
    assert_int_equal(clm_txn_log_append(&log, CLM_TXN_SWAPPING, 1, &err), CLM_E_IO);
    clm_fs_fail_op(NULL, 0);
    assert_int_equal(clm_txn_log_append(&log, CLM_TXN_UNDOING, 1, &err), CLM_E_IO);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_is_read),
        cmocka_unit_test(a_torn_last_record_is_ignored),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(another_transactions_log_is_empty_of_records),
        cmocka_unit_test(a_log_of_another_length_is_refused),
        cmocka_unit_test(states_come_in_their_order),
        cmocka_unit_test(a_torn_record_is_written_over),
        cmocka_unit_test(a_state_that_does_not_exist_is_refused),
        cmocka_unit_test(a_full_log_refuses),
#ifdef CLM_TEST_HOOKS
        cmocka_unit_test(after_a_failed_flush_nothing_more_is_written),
#endif
    };
    int failed;

    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    failed = cmocka_run_group_tests_name("txn_log", tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(dir);
    return failed;
}
