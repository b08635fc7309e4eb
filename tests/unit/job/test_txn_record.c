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
    step = clm_plan_add(&record->plan, CLM_STEP_RELOAD);
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

/* Replaces one text by another and makes the first line right again. */
static void forge(struct clm_buf *text, const char *from, const char *to)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);
    const char *json = strchr(clm_buf_str(text), '\n') + 1;
    const char *at = strstr(json, from);

    assert_non_null(at);
    assert_int_equal(clm_buf_add(&body, json, (size_t)(at - json), NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&body, to, NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&body, at + strlen(from), NULL), CLM_OK);
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
    } rows[] = {
        {"\"v\":1", "\"v\":2", "version"},
        {"\"v\":1", "\"v\":1,\"x\":0", "unknown member"},
        {"txn_01", "job_01", "not a transaction id"},
        {"\"/etc/nginx/tls\"", "\"etc/nginx/tls\"", "relative directory"},
        {"\"www.crt\"", "\"../www.crt\"", "a path for a name"},
        {"\"www.crt\"", "\"..\"", "dots"},
        {"\"www.crt\"", "\"\"", "no name"},
        {"\".www.crt.clmbot.0123456789abcdef\"", "\"www.crt\"", "temporary name is the target"},
        {"\".www.crt.clmbot.0123456789abcdef\"", "\".bashrc\"", "somebody else's file"},
        {".clmbot.0123456789abcdef", ".clmbot.fedcba9876543210", "one name for two"},
        {"\"mode\":416", "\"mode\":65535", "mode"},
        {"\"size\":10", "\"size\":-1", "size"},
        {"\"size\":10", "\"size\":1e9", "size"},
        {"\"counted\":true", "\"counted\":1", "type"},
        {"\"new_leaf\":\"b", "\"new_leaf\":\"B", "capital digits"},
        {"\"old_expired\":true", "\"old_expired\":null", "missing"},
        {"\"gid\":33", "\"gid\":4294967296", "gid"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_TXN_RECORD_MAX);
        CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record back = {0};
        struct clm_err err = {0};

        encode(&text);
        forge(&text, rows[i].from, rows[i].to);
        if (clm_txn_record_decode((char *)text.data, text.len, &back, &err) != CLM_E_PARSE) {
            fail_msg("row %zu (%s) was accepted", i, rows[i].why);
        }
        assert_true(err.msg[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_flipped_byte_is_noticed),
        cmocka_unit_test(every_shorter_text_is_refused),
        cmocka_unit_test(right_checksums_do_not_help_wrong_content),
    };

    return cmocka_run_group_tests_name("txn_record", tests, NULL, NULL);
}
