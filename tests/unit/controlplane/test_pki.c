/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/crypto/jws.h"
#include "controlplane/pki.h"
#include "tests/support/pair.h"
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

static void keys_are_made_once_and_kept(void **state)
{
    CLM_CLEANUP(clm_cp_pki_free_p) struct clm_cp_pki *again = NULL;
    char first[CLM_PIN_SIZE];
    char second[CLM_PIN_SIZE];

    (void)state;
    assert_int_equal(clm_cp_pki_open(plane.dir, NOW + 86400LL * 40, &again, NULL), CLM_OK);
    clm_cp_pki_pin(plane.pki, first);
    clm_cp_pki_pin(again, second);
    assert_string_equal(first, second);
    assert_string_equal(again->jobs_kid, "jobs-2026-11");
    assert_true(is_pair(again->agent_ca.cert, 0, plane.pki->agent_ca.key));
}

static void a_certificate_lost_in_a_crash_is_made_again(void **state)
{
    CLM_CLEANUP(clm_cp_pki_free_p) struct clm_cp_pki *again = NULL;
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/agent-ca.pem", plane.dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(clm_cp_pki_open(plane.dir, NOW, &again, NULL), CLM_OK);
    assert_true(is_pair(again->agent_ca.cert, 0, plane.pki->agent_ca.key));
}

static void files_that_do_not_fit_are_refused(void **state)
{
    struct clm_cp_pki *again = NULL;
    struct clm_err err = {0};
    char from[128];
    char to[128];

    (void)state;
    (void)snprintf(from, sizeof(from), "%s/jobs.key", plane.dir);
    (void)snprintf(to, sizeof(to), "%s/agent-ca.key", plane.dir);
    assert_int_equal(clm_fs_rename(from, to, NULL), CLM_OK);
    assert_int_equal(clm_cp_pki_open(plane.dir, NOW, &again, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "agent-ca"));
    assert_int_equal(clm_fs_replace(to, "rubbish", 7, 0600, NULL), CLM_OK);
    assert_int_not_equal(clm_cp_pki_open(plane.dir, NOW, &again, &err), CLM_OK);
    assert_non_null(strstr(err.msg, to));
}

static void the_listeners_certificate_has_the_names(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf cert = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {0};
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_strs_add(&names, "clm.example.net", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&names, "192.0.2.1", NULL), CLM_OK);
    if (clm_cp_pki_server_cert(plane.pki, &names, NOW, &cert, &key, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(clm_cert_chain_from_pem(clm_buf_str(&cert), cert.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_count(chain), 2);
    assert_int_equal(clm_cert_info(chain, 0, &info, NULL), CLM_OK);
    assert_true(clm_strs_has(&info.names.dns, "localhost"));
    assert_true(clm_strs_has(&info.names.dns, "clm.example.net"));
    assert_true(clm_strs_has(&info.names.ip, "192.0.2.1"));
    assert_true(clm_strs_has(&info.names.ip, "::1"));
    assert_int_equal(clm_cert_chain_check(chain, NOW, &err), CLM_OK);
}

static void a_name_that_is_none_is_refused(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf cert = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};

    (void)state;
    assert_int_equal(clm_strs_add(&names, "not a name", NULL), CLM_OK);
    assert_int_equal(clm_cp_pki_server_cert(plane.pki, &names, NOW, &cert, &key, NULL),
                     CLM_E_INVAL);
}

static enum clm_code find_ca(void *ctx, const char *kid, const struct clm_pubkey **out_key,
                             struct clm_err *err)
{
    if (strcmp(kid, "ca") != 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "kid");
    }
    *out_key = ctx;
    return CLM_OK;
}

static void the_trust_document_verifies_against_the_pinned_ca(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jws = clm_json_new_object();
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *ca = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_cp_pki_trust(plane.pki, "acme", TEST_AGENT, NOW, jws, NULL), CLM_OK);
    assert_int_equal(clm_pubkey_from_cert(plane.pki->ca.cert, 0, &ca, NULL), CLM_OK);
    const struct clm_jws_policy policy = {
        .typ = CLM_JWS_TYP_TRUST, .find_key = find_ca, .find_ctx = ca};

    if (clm_jws_verify(jws, &policy, &payload, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_non_null(strstr(clm_buf_str(&payload), plane.pki->jobs_kid));
    assert_non_null(strstr(clm_buf_str(&payload), TEST_AGENT));
}

int main(void)
{
#define PLANE_TEST(f) cmocka_unit_test_setup_teardown(f, open_plane, close_plane)
    const struct CMUnitTest tests[] = {
        PLANE_TEST(keys_are_made_once_and_kept),
        PLANE_TEST(a_certificate_lost_in_a_crash_is_made_again),
        PLANE_TEST(files_that_do_not_fit_are_refused),
        PLANE_TEST(the_listeners_certificate_has_the_names),
        PLANE_TEST(a_name_that_is_none_is_refused),
        PLANE_TEST(the_trust_document_verifies_against_the_pinned_ca),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
