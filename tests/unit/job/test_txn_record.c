/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/crc32c.h"
#include "agent/job/txn_record.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void text_to(char *dst, size_t size, const char *text)
{
    assert_true((size_t)snprintf(dst, size, "%s", text) < size);
}

static void add_file(struct clm_txn_record *record, const char *name, bool old_absent)
{
    struct clm_txn_file *file = clm_txn_record_add(record);

    assert_non_null(file);
    text_to(file->dir, sizeof(file->dir), "/etc/nginx/tls");
    text_to(file->name, sizeof(file->name), name);
    (void)snprintf(file->temp, sizeof(file->temp), ".%.100s.clmbot.0123456789abcdef", name);
    (void)snprintf(file->back, sizeof(file->back), ".%.100s.clmbot.fedcba9876543210", name);
    file->old_absent = old_absent;
    if (!old_absent) {
        file->old_version = (struct clm_txn_version){.size_bytes = 10, .mode = 0640, .gid = 33};
        text_to(file->old_version.sha256, sizeof(file->old_version.sha256), SHA_A);
    }
    file->new_version = (struct clm_txn_version){.size_bytes = 20, .mode = 0600, .uid = 1000};
    text_to(file->new_version.sha256, sizeof(file->new_version.sha256), SHA_B);
}

static void make(struct clm_txn_record *record)
{
    struct clm_step *step;

    memset(record, 0, sizeof(*record));
    text_to(record->txid, sizeof(record->txid), "txn_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    record->created_at_s = 1780000000;
    text_to(record->old_leaf, sizeof(record->old_leaf), SHA_A);
    text_to(record->new_leaf, sizeof(record->new_leaf), SHA_B);
    record->is_old_expired = true;
    text_to(record->plan.target, sizeof(record->plan.target), "nginx:www.example");
    text_to(record->plan.deployer, sizeof(record->plan.deployer), "nginx");
    step = clm_plan_add(&record->plan, CLM_STEP_RELOAD, NULL);
    step->how = CLM_RELOAD_UNIT;
    text_to(step->unit, sizeof(step->unit), "nginx.service");
    add_file(record, "www.crt", false);
    add_file(record, "www.key", true);
    record->endpoints = calloc(1, sizeof(*record->endpoints));
    record->n_endpoints = 1;
    text_to(record->endpoints[0].endpoint.addr, CLM_ADDR_SIZE, "127.0.0.1");
    record->endpoints[0].endpoint.port = 443;
    record->endpoints[0].is_counted = true;
    text_to(record->endpoints[0].before.leaf_sha256, CLM_SHA256_HEX_SIZE, SHA_A);
    record->endpoints[0].before.at_ms = 1;
}

static void encode(struct clm_buf *out)
{
    CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record record;
    struct clm_err err = {0};

    make(&record);
    if (clm_txn_record_encode(&record, out, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static void what_is_written_is_read(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf again = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);
    CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record back = {0};
    struct clm_err err = {0};

    (void)state;
    encode(&text);
    if (clm_txn_record_decode((char *)text.data, text.len, &back, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(back.n_files, 2);
    assert_string_equal(back.files[0].dir, "/etc/nginx/tls");
    assert_false(back.files[0].old_absent);
    assert_int_equal(back.files[0].old_version.mode, 0640);
    assert_int_equal(back.files[0].old_version.gid, 33);
    assert_true(back.files[1].old_absent);
    assert_int_equal(back.files[1].new_version.uid, 1000);
    assert_true(back.is_old_expired);
    assert_true(back.endpoints[0].is_counted);
    assert_string_equal(back.endpoints[0].before.leaf_sha256, SHA_A);
    assert_int_equal(clm_txn_record_encode(&back, &again, &err), CLM_OK);
    assert_int_equal(again.len, text.len);
    assert_memory_equal(again.data, text.data, text.len);
}

static void every_flipped_byte_is_noticed(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);

    (void)state;
    encode(&text);
    for (size_t i = 0; i < text.len; i++) {
        CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record back = {0};

        text.data[i] ^= 0x10;
        assert_int_equal(clm_txn_record_decode((char *)text.data, text.len, &back, NULL),
                         CLM_E_PARSE);
        text.data[i] ^= 0x10;
    }
}

static void every_shorter_text_is_refused(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);

    (void)state;
    encode(&text);
    for (size_t len = 0; len < text.len; len++) {
        CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record back = {0};

        assert_int_equal(clm_txn_record_decode((char *)text.data, len, &back, NULL), CLM_E_PARSE);
    }
}

/* Replaces one text by another, or all from there on, and makes the first line right again. */
static void forge(struct clm_buf *text, const char *from, const char *to, bool is_rest)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);
    const char *json = strchr(clm_buf_str(text), '\n') + 1;
    const char *at = strstr(json, from);

    assert_non_null(at);
    assert_int_equal(clm_buf_add(&body, json, (size_t)(at - json), NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&body, to, NULL), CLM_OK);
    if (!is_rest) {
        assert_int_equal(clm_buf_add_str(&body, at + strlen(from), NULL), CLM_OK);
    }
    clm_buf_reset(text);
    assert_int_equal(clm_buf_addf(text, NULL, "clmbot-txn 1 %08x %08x\n%s", (unsigned)body.len,
                                  (unsigned)clm_crc32c(0, body.data, body.len), clm_buf_str(&body)),
                     CLM_OK);
}

static void right_checksums_do_not_help_wrong_content(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        const char *why;
        bool is_rest;
    } rows[] = {
        {"\"v\":1", "\"v\":2", "version", false},
        {"\"v\":1", "\"v\":1,\"x\":0", "unknown member", false},
        {"txn_01", "job_01", "not a transaction id", false},
        {"\"/etc/nginx/tls\"", "\"etc/nginx/tls\"", "relative directory", false},
        {"\"www.crt\"", "\"../www.crt\"", "a path for a name", false},
        {"\"www.crt\"", "\"..\"", "dots", false},
        {"\"www.crt\"", "\"\"", "no name", false},
        {"\".www.crt.clmbot.0123456789abcdef\"", "\"www.crt\"", "temporary name is the target",
         false},
        {"\".www.crt.clmbot.0123456789abcdef\"", "\".bashrc\"", "somebody else's file", false},
        {".clmbot.0123456789abcdef", ".clmbot.fedcba9876543210", "one name for two", false},
        {"\"mode\":416", "\"mode\":65535", "mode", false},
        {"\"size\":10", "\"size\":-1", "size", false},
        {"\"size\":10", "\"size\":1e9", "size", false},
        {"\"counted\":true", "\"counted\":1", "type", false},
        {"\"new_leaf\":\"b", "\"new_leaf\":\"B", "capital digits", false},
        {"\"old_expired\":true", "\"old_expired\":null", "missing", false},
        {"\"gid\":33", "\"gid\":4294967296", "gid", false},
        {"\"mode\":416", "\"mode\":416,\"x\":0", "unknown member of a version", false},
        {"\"temp\":", "\"x\":0,\"temp\":", "unknown member of a file", false},
        {"\"counted\":", "\"x\":0,\"counted\":", "unknown member of an endpoint", false},
        {"\"endpoint\":{", "\"endpoint\":{\"x\":0,", "unknown member of an address", false},
        {"\"before\":{", "\"before\":{\"x\":0,", "unknown member of an observation", false},
        {"\"new_leaf\":\"" SHA_B "\"", "\"new_leaf\":7", "type of a hash", false},
        {"\"sha256\":\"" SHA_A "\"", "\"sha256\":\"\"", "a version without a hash", false},
        {"\"old_leaf\":\"a", "\"old_leaf\":\"A", "neither empty nor a hash", false},
        {"\"name\":\"www.crt\"", "\"name\":7", "type of a name", false},
        {"\"/etc/nginx/tls\"", "7", "type of a directory", false},
        {".www.crt.clmbot.0123", ".www.crt.backup.0123", "somebody else's copy", false},
        {"\"port\":443", "\"port\":0", "port", false},
        {"\"endpoint\":{", "\"endpoint\":7,\"counted\":true,\"before\":{}}]}", "type", true},
        {"\"endpoints\":[", "\"endpoints\":{}}", "type", true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);
        CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record back = {0};
        struct clm_err err = {0};

        encode(&text);
        forge(&text, rows[i].from, rows[i].to, rows[i].is_rest);
        if (clm_txn_record_decode((char *)text.data, text.len, &back, &err) != CLM_E_PARSE) {
            fail_msg("row %zu (%s) was accepted", i, rows[i].why);
        }
        assert_true(err.msg[0] != '\0');
    }
}

static void a_longer_text_than_is_ever_written_is_refused(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(2 * CLM_TXN_RECORD_MAX);
    CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record back = {0};
    struct clm_err err = {0};

    (void)state;
    encode(&text);
    assert_int_equal(clm_buf_reserve(&text, CLM_TXN_RECORD_MAX, NULL), CLM_OK);
    memset(text.data + text.len, ' ', CLM_TXN_RECORD_MAX);
    text.len += CLM_TXN_RECORD_MAX;
    assert_int_equal(clm_txn_record_decode((char *)text.data, text.len, &back, &err), CLM_E_PARSE);
    assert_string_equal(err.msg, "length or checksum is wrong");
}

static void the_longest_deadline_counts(void **state)
{
    static const struct {
        uint32_t deadlines_ms[3];
        uint32_t want_ms;
    } rows[] = {{{10, 30, 20}, 30}, {{7, 0, 0}, 7}, {{0, 0, 0}, 30000}};
    struct clm_plan none = {0};

    (void)state;
    assert_int_equal(clm_txn_deadline_ms(&none), 30000);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_plan_done) struct clm_plan plan = {0};

        for (size_t s = 0; s < 3; s++) {
            clm_plan_add(&plan, CLM_STEP_VERIFY, NULL)->deadline_ms = rows[i].deadlines_ms[s];
        }
        clm_plan_add(&plan, CLM_STEP_RELOAD, NULL)->deadline_ms = 99; /* none of a handshake */
        assert_int_equal(clm_txn_deadline_ms(&plan), rows[i].want_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_flipped_byte_is_noticed),
        cmocka_unit_test(every_shorter_text_is_refused),
        cmocka_unit_test(right_checksums_do_not_help_wrong_content),
        cmocka_unit_test(a_longer_text_than_is_ever_written_is_refused),
        cmocka_unit_test(the_longest_deadline_counts),
    };

    return cmocka_run_group_tests_name("txn_record", tests, NULL, NULL);
}
