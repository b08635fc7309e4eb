/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/model/cert_file.h"

static void fill(struct clm_found *found)
{
    bool is_full = false;
    struct clm_found_entry *entry;

    *found = (struct clm_found){.format = CLM_FOUND_PKCS12,
                                .status = CLM_FOUND_MANAGED,
                                .in_use = true,
                                .is_locked = true,
                                .n_more = 7,
                                .problems = CLM_FOUND_EXPIRED | CLM_FOUND_CHAIN_BROKEN};
    (void)snprintf(found->path, sizeof(found->path), "/srv/a\n\033[2Jb.p12");
    (void)snprintf(found->perm, sizeof(found->perm), "0640 root:ssl-cert");
    (void)snprintf(found->manager, sizeof(found->manager), "certbot");
    assert_int_equal(clm_strs_add(&found->links, "/srv/link", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&found->used_by, "nginx:www.example", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&found->served_by, "apache:www.example", NULL), CLM_OK);
    entry = clm_found_add(found, &is_full);
    assert_non_null(entry);
    entry->kind = CLM_FOUND_KEY;
    entry->has_certificate = true;
    entry->chain_ok = CLM_FOUND_NO;
    (void)snprintf(entry->alias, sizeof(entry->alias), "www");
    memset(entry->certificate.sha256, 'a', 64);
    entry->certificate.not_before_s = 1700000000;
    entry->certificate.not_after_s = 1800000000;
    entry = clm_found_add(found, &is_full);
    assert_non_null(entry);
    entry->kind = CLM_FOUND_OTHER;
    entry->key_matches = CLM_FOUND_YES;
}

static void print(const struct clm_found *found, bool is_upload, struct clm_buf *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();

    clm_found_to_json(found, is_upload, obj);
    assert_int_equal(clm_json_print(obj, false, out, NULL), CLM_OK);
}

static enum clm_code parse(const char *text, struct clm_found *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;

    *out = (struct clm_found){.path = ""};
    assert_int_equal(clm_json_parse(text, strlen(text), CLM_JSON_TEXT_MAX, &obj, NULL), CLM_OK);
    return clm_found_from_json(obj, out, err);
}

static void both_forms_come_back_as_they_went(void **state)
{
    struct clm_found found;

    (void)state;
    fill(&found);
    for (int upload = 0; upload < 2; upload++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf one = CLM_BUF_INIT(65536);
        CLM_CLEANUP(clm_buf_done) struct clm_buf two = CLM_BUF_INIT(65536);
        CLM_CLEANUP(clm_found_done) struct clm_found again = {.path = ""};

        print(&found, upload == 1, &one);
        assert_int_equal(parse(clm_buf_str(&one), &again, NULL), CLM_OK);
        print(&again, upload == 1, &two);
        assert_string_equal(clm_buf_str(&one), clm_buf_str(&two));
        assert_null(strchr(clm_buf_str(&one), '\033'));
        assert_int_equal(strstr(clm_buf_str(&one), "served_by") == NULL, upload == 1);
    }
    clm_found_done(&found);
}

static void what_the_protocol_says_stands_in_an_upload(void **state)
{
    static const char *const parts[] = {
        "\"format\":\"pkcs12\"",
        "\"status\":\"managed\"",
        "\"manager\":\"certbot\"",
        "\"locked\":true",
        "\"in_use\":true",
        "\"used_by\":[\"nginx:www.example\"]",
        "\"alias\":\"www\"",
        "\"kind\":\"key\"",
        "\"chain_ok\":false",
        "\"key_matches\":null",
        "\"certificate\":null",
        "\"problems\":[\"expired\",\"chain_broken\"]",
        "\"perm\":\"0640 root:ssl-cert\"",
    };
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_found found;

    (void)state;
    fill(&found);
    print(&found, true, &text);
    for (size_t i = 0; i < CLM_ARRAY_LEN(parts); i++) {
        if (strstr(clm_buf_str(&text), parts[i]) == NULL) {
            fail_msg("%s is not in %s", parts[i], clm_buf_str(&text));
        }
    }
    clm_found_done(&found);
}

#define HEAD "{\"path\":\"/a\",\"format\":\"pem\",\"status\":\"monitored\","

static void malformed_files_are_refused(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"{}", "path"},
        {"{\"path\":\"/a\"}", "format"},
        {"{\"path\":\"/a\",\"format\":\"pem\"}", "status"},
        {"{\"path\":\"/a\",\"format\":\"gif\",\"status\":\"monitored\"}", "gif"},
        {"{\"path\":\"/a\",\"format\":\"pem\",\"status\":\"lost\"}", "lost"},
        {HEAD "\"problems\":[\"boredom\"]}", "boredom"},
        {HEAD "\"problems\":[1]}", "problems"},
        {HEAD "\"more\":-1}", "more"},
        {HEAD "\"manager\":\"a name of far more than twenty-four bytes\"}", "manager"},
        {HEAD "\"entries\":[1]}", "kind"},
        {HEAD "\"entries\":[{\"kind\":\"wish\"}]}", "wish"},
        {HEAD "\"entries\":[{\"kind\":\"key\",\"chain_ok\":\"yes\"}]}", "chain_ok"},
        {HEAD "\"entries\":[{\"kind\":\"key\",\"certificate\":{\"sha256\":\"x\"}}]}", "sha256"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_found_done) struct clm_found found;
        struct clm_err err = {.code = CLM_OK};

        if (parse(rows[i].text, &found, &err) == CLM_OK || strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu (%s): %s", i, rows[i].why, err.msg);
        }
    }
}

static void entries_beyond_the_limit_are_counted_or_refused(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_found_done) struct clm_found found = {.path = ""};
    struct clm_found again;
    bool is_full = false;

    (void)state;
    for (int i = 0; i < CLM_FOUND_ENTRIES_MAX; i++) {
        assert_non_null(clm_found_add(&found, &is_full));
        assert_false(is_full);
    }
    assert_null(clm_found_add(&found, &is_full));
    assert_true(is_full);
    assert_int_equal(found.n_more, 1);
    assert_int_equal(clm_buf_add_str(&text, HEAD "\"entries\":[", NULL), CLM_OK);
    for (int i = 0; i <= CLM_FOUND_ENTRIES_MAX; i++) {
        assert_int_equal(clm_buf_addf(&text, NULL, "%s{\"kind\":\"key\"}", i > 0 ? "," : ""),
                         CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(&text, "]}", NULL), CLM_OK);
    assert_int_equal(parse(clm_buf_str(&text), &again, NULL), CLM_E_LIMIT);
    clm_found_done(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_come_back_as_they_went),
        cmocka_unit_test(what_the_protocol_says_stands_in_an_upload),
        cmocka_unit_test(malformed_files_are_refused),
        cmocka_unit_test(entries_beyond_the_limit_are_counted_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
