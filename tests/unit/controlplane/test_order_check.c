/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/orders.h"
#include "tests/unit/controlplane/plane.h"

#define NOW 1795225945

static struct plane plane;

static int open_plane(void **state)
{
    (void)state;
    plane_open(&plane, NOW);
    return 0;
}

static int close_plane(void **state)
{
    (void)state;
    plane_close(&plane);
    return 0;
}

/* The request of the rows below: what is asked for, in the certificate's own terms. */
struct row {
    const char *dns[3];
    const char *ip;
    const char *uri;
    const char *cn;
    enum clm_key_type key_type;
    const char *spki;
    const char *faults; /* codes, each followed by a blank */
};

static void fill(const struct row *row, struct clm_csr_info *csr)
{
    for (size_t i = 0; i < 3 && row->dns[i] != NULL; i++) {
        assert_int_equal(clm_names_add_dns(&csr->names, row->dns[i], NULL), CLM_OK);
    }
    if (row->ip != NULL) {
        assert_int_equal(clm_names_add_ip(&csr->names, row->ip, NULL), CLM_OK);
    }
    if (row->uri != NULL) {
        assert_int_equal(clm_strs_add(&csr->uris, row->uri, NULL), CLM_OK);
    }
    (void)snprintf(csr->common_name, sizeof(csr->common_name), "%s", row->cn);
    csr->key_type = row->key_type;
    (void)snprintf(csr->spki_sha256, sizeof(csr->spki_sha256), "%s", row->spki);
}

static void only_what_was_asked_for_passes(void **state)
{
    static const struct row rows[] = {
        {{"a.example", "b.example"}, "192.0.2.1", NULL, "a.example", CLM_KEY_EC_P256, "new", ""},
        {{"b.example", "a.example"}, "192.0.2.1", NULL, "", CLM_KEY_EC_P256, "new", ""},
        {{"a.example", "b.example"}, "192.0.2.1", NULL, "192.0.2.1", CLM_KEY_EC_P256, "new", ""},
        {{"a.example"}, "192.0.2.1", NULL, "", CLM_KEY_EC_P256, "new", "san-missing "},
        {{"a.example", "b.example"}, NULL, NULL, "", CLM_KEY_EC_P256, "new", "san-missing "},
        {{"a.example", "b.example", "c.example"},
         "192.0.2.1",
         NULL,
         "",
         CLM_KEY_EC_P256,
         "new",
         "san-extra "},
        {{"a.example", "*.example"},
         "192.0.2.1",
         NULL,
         "",
         CLM_KEY_EC_P256,
         "new",
         "san-missing san-extra "},
        {{"a.example", "b.example"},
         "192.0.2.1",
         "urn:x",
         "",
         CLM_KEY_EC_P256,
         "new",
         "san-extra "},
        {{"a.example", "b.example"}, "192.0.2.1", NULL, "c.example", CLM_KEY_EC_P256, "new", "cn "},
        {{"a.example", "b.example"}, "192.0.2.1", NULL, "", CLM_KEY_EC_P384, "new", "key-type "},
        {{"a.example", "b.example"}, "192.0.2.1", NULL, "", CLM_KEY_OTHER, "new", "key-type "},
        {{"a.example", "b.example"}, "192.0.2.1", NULL, "", CLM_KEY_EC_P256, "aa", "key-reuse "},
    };
    CLM_CLEANUP(clm_cp_cert_done) struct clm_cp_cert cert = {.key_type = "ec-p256"};

    (void)state;
    assert_int_equal(clm_names_add_dns(&cert.names, "a.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&cert.names, "b.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_ip(&cert.names, "192.0.2.1", NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {0};
        CLM_CLEANUP(clm_json_free_p) struct clm_json *faults = clm_json_new_array();
        char codes[128] = "";

        fill(&rows[i], &csr);
        assert_int_equal(clm_cp_order_check_csr(&plane.tx, &cert, &csr, faults, NULL), CLM_OK);
        for (const struct clm_json *f = clm_json_first(faults); f != NULL; f = clm_json_next(f)) {
            (void)strcat(strcat(codes, clm_json_text(clm_json_get(f, "code"))), " ");
        }
        if (strcmp(codes, rows[i].faults) != 0) {
            fail_msg("row %zu: '%s' instead of '%s'", i, codes, rows[i].faults);
        }
    }
}

/* Codes of the faults of a request that says subject O, a mail address and purpose client, with a
 * P-384 key that the certificate has had before. */
static void faults_of(const char *csr_json, const char *subject_json, char codes[128])
{
    CLM_CLEANUP(clm_cp_cert_done) struct clm_cp_cert cert = {.id = "crt_a", .key_type = "ec-p256"};
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info csr = {.key_type = CLM_KEY_EC_P384};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *faults = clm_json_new_array();
    struct clm_err err = {.code = CLM_OK};

    assert_int_equal(clm_names_add_dns(&cert.names, "a.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&csr.names, "a.example", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&csr.emails, "a@example.com", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&csr.dn.field[CLM_SUBJECT_O], "Org", NULL), CLM_OK);
    csr.eku_server = csr.eku_client = true;
    (void)snprintf(csr.spki_sha256, sizeof(csr.spki_sha256), "new");
    (void)snprintf(csr.sha256, sizeof(csr.sha256), "other");
    if (csr_json != NULL) {
        assert_int_equal(clm_json_parse(csr_json, strlen(csr_json), 65536, &cert.csr, NULL),
                         CLM_OK);
    }
    if (subject_json != NULL) {
        assert_int_equal(
            clm_json_parse(subject_json, strlen(subject_json), 65536, &cert.subject, NULL), CLM_OK);
    }
    if (clm_cp_order_check_csr(&plane.tx, &cert, &csr, faults, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    codes[0] = '\0';
    for (const struct clm_json *f = clm_json_first(faults); f != NULL; f = clm_json_next(f)) {
        (void)strcat(strcat(codes, clm_json_text(clm_json_get(f, "code"))), " ");
    }
}

static void the_mode_says_what_the_host_may_add(void **state)
{
    static const struct {
        const char *csr;
        const char *subject;
        const char *faults;
    } rows[] = {
        {NULL, NULL, "san-extra subject eku key-type "},
        {NULL, "{\"O\":\"Org\"}", "san-extra eku key-type "},
        {NULL, "{\"O\":[1]}", "san-extra subject eku key-type "}, /* a damaged database */
        {"{\"mode\":\"template\",\"subject\":{\"o\":\"Org\"},\"sans\":{\"email\":"
         "[\"a@example.com\"]},\"eku\":[\"server\",\"client\"]}",
         NULL, "key-type "},
        {"{\"mode\":\"template\",\"template\":\"web\"}", NULL, "san-extra "},
        {"{\"mode\":\"installed\"}", NULL, "san-extra "},
        {"{\"mode\":\"override\",\"subject\":{\"o\":\"Else\"}}", NULL, "san-extra subject "},
        {"{\"mode\":\"override\",\"eku\":[\"server\"],\"key_type\":\"ec-p256\"}", NULL,
         "san-extra eku key-type "},
        {"{\"mode\":\"override\",\"sans\":{\"email\":[\"a@example.com\",\"b@example.com\"]}}", NULL,
         "san-missing "},
        {"{\"mode\":\"reuse_csr\"}", NULL, "san-extra csr-differs "},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char codes[128];

        faults_of(rows[i].csr, rows[i].subject, codes);
        if (strcmp(codes, rows[i].faults) != 0) {
            fail_msg("row %zu: '%s' instead of '%s'", i, codes, rows[i].faults);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_what_was_asked_for_passes, open_plane, close_plane),
        cmocka_unit_test_setup_teardown(the_mode_says_what_the_host_may_add, open_plane,
                                        close_plane),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
