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
static struct clm_cp_cert cert; /* what an order needs to know of it */

static int open_plane(void **state)
{
    (void)state;
    plane_open(&plane, NOW);
    cert = (struct clm_cp_cert){.id = "crt_1", .agent_id = TEST_AGENT, .connector = "builtin"};
    assert_int_equal(
        clm_cp_db_exec(plane.db, NULL,
                       "INSERT INTO cert (id, agent_id, target, names, subject, key_type,"
                       " connector, webroot_ref, on_issue, state, created_at, updated_at)"
                       " VALUES (?1, ?2, 'nginx:a', '{\"dns\":[\"a.example\"],\"ip\":[]}', '{}',"
                       " 'ec-p256', 'builtin', '', 'deploy', 'ordering', 0, 0)",
                       CLM_SQL(clm_sql_text(cert.id), clm_sql_text(TEST_AGENT))),
        CLM_OK);
    return 0;
}

static int close_plane(void **state)
{
    (void)state;
    plane_close(&plane);
    return 0;
}

static void make_job(struct clm_cp_job *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *spec = clm_json_new_object();
    char id[CLM_ID_SIZE];
    const struct clm_cp_job_new in = {.agent_id = TEST_AGENT,
                                      .type = "order",
                                      .target = "nginx:a",
                                      .certificate_id = cert.id,
                                      .requested_by = "operator",
                                      .spec = spec};

    assert_int_equal(clm_cp_job_create(&plane.tx, &in, id, NULL), CLM_OK);
    assert_int_equal(clm_cp_job_load(&plane.tx, id, NULL, out, NULL), CLM_OK);
}

static void open_order(const struct clm_cp_job *job, struct clm_cp_order *out)
{
    const struct clm_csr_info info = {.sha256 = "aa", .spki_sha256 = "bb"};
    const struct clm_cp_order_new in = {
        .job = job, .cert = &cert, .csr = "", .info = &info, .key_ref = "key_1"};
    char id[CLM_ID_SIZE];

    assert_int_equal(clm_cp_order_create(&plane.tx, &in, id, NULL), CLM_OK);
    assert_int_equal(clm_cp_order_load(&plane.tx, id, NULL, out, NULL), CLM_OK);
}

static void order_is(const char *id, const char *state, const char *error)
{
    struct clm_cp_order order;

    assert_int_equal(clm_cp_order_load(&plane.tx, id, NULL, &order, NULL), CLM_OK);
    assert_string_equal(order.state, state);
    assert_string_equal(order.error, error);
}

static void cert_is(const char *state)
{
    struct clm_cp_cert now = {.id = ""};

    assert_int_equal(clm_cp_cert_load(&plane.tx, cert.id, &now, NULL), CLM_OK);
    assert_string_equal(now.state, state);
    clm_cp_cert_done(&now);
}

static void an_order_ends_however_its_job_ends(void **state)
{
    static const struct {
        const char *job;
        const char *error;
        const char *order;
        const char *says;
    } rows[] = {
        {"failed", "{\"code\":\"E_DCV\",\"message\":\"disk full\"}", "failed", "disk full"},
        {"rejected", "{\"message\":\"not here\"}", "failed", "not here"},
        {"rolled_back", NULL, "failed", "the job ended before a certificate was issued"},
        {"succeeded", NULL, "failed", "the job ended before a certificate was issued"},
        {"skipped", "{\"message\":7}", "failed", "the job ended before a certificate was issued"},
        {"expired", NULL, "failed", "the job expired before a certificate was issued"},
        {"denied", NULL, "failed", "the job was denied"},
        {"canceled", NULL, "canceled", "the order was canceled"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_cp_order order;
        struct clm_cp_job job;

        make_job(&job);
        open_order(&job, &order);
        assert_int_equal(clm_cp_job_set_state(&plane.tx, &job, rows[i].job, rows[i].error, NULL),
                         CLM_OK);
        order_is(order.id, rows[i].order, rows[i].says);
        cert_is("failed");
        assert_int_equal(clm_cp_order_find_open(&plane.tx, cert.id, &order, NULL), CLM_E_NOTFOUND);
    }
}

static void an_order_stays_while_its_job_may_go_on(void **state)
{
    static const char *const states[] = {"leased",    "running", "lost",
                                         "scheduled", "queued",  "canceling"};
    struct clm_cp_order order;
    struct clm_cp_job job;

    (void)state;
    make_job(&job);
    open_order(&job, &order);
    for (size_t i = 0; i < CLM_ARRAY_LEN(states); i++) {
        assert_int_equal(clm_cp_job_set_state(&plane.tx, &job, states[i], NULL, NULL), CLM_OK);
        order_is(order.id, "created", "");
    }
}

static void an_agent_that_is_lost_for_good_ends_its_order(void **state)
{
    struct clm_cp_order order;
    struct clm_cp_job job;

    (void)state;
    make_job(&job);
    open_order(&job, &order);
    assert_int_equal(
        clm_cp_db_exec(plane.db, NULL,
                       "UPDATE job SET state = 'running', lease_until = ?2 WHERE id = ?1",
                       CLM_SQL(clm_sql_text(job.id), clm_sql_int(NOW))),
        CLM_OK);
    plane.tx.now_s = NOW + CLM_CP_LOST_AFTER_S + 1;
    assert_int_equal(clm_cp_jobs_sweep(&plane.tx, NULL), CLM_OK);
    order_is(order.id, "created", "");
    plane.tx.now_s = NOW + CLM_CP_LOST_TIMEOUT_S + 1;
    assert_int_equal(clm_cp_jobs_sweep(&plane.tx, NULL), CLM_OK);
    order_is(order.id, "failed", "the agent did not come back; what happened is not known");
}

static void a_job_that_expires_while_it_waits_for_its_retry_ends_its_order(void **state)
{
    struct clm_cp_order order;
    struct clm_cp_job job;

    (void)state;
    make_job(&job);
    open_order(&job, &order);
    assert_int_equal(clm_cp_job_set_state(&plane.tx, &job, "scheduled", NULL, NULL), CLM_OK);
    plane.tx.now_s = NOW + CLM_CP_JOB_LIFE_S + 1;
    assert_int_equal(clm_cp_jobs_sweep(&plane.tx, NULL), CLM_OK);
    order_is(order.id, "failed", "the job expired before a certificate was issued");
}

static void what_was_issued_stays(void **state)
{
    struct clm_cp_order order;
    struct clm_cp_job job;

    (void)state;
    make_job(&job);
    open_order(&job, &order);
    assert_int_equal(clm_cp_order_set_state(&plane.tx, &order, "issued", NULL, NULL), CLM_OK);
    assert_int_equal(clm_cp_job_set_state(&plane.tx, &job, "failed", NULL, NULL), CLM_OK);
    order_is(order.id, "issued", "");
    cert_is("issued");
}

static void what_a_ca_says_after_the_end_changes_nothing(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(64); /* is not even looked at */
    struct clm_cp_order order;
    struct clm_cp_job job;

    (void)state;
    make_job(&job);
    open_order(&job, &order);
    assert_int_equal(clm_cp_job_set_state(&plane.tx, &job, "canceled", NULL, NULL), CLM_OK);
    assert_int_equal(clm_cp_order_set_state(&plane.tx, &order, "validating", NULL, NULL), CLM_OK);
    assert_int_equal(clm_cp_order_issue(&plane.tx, &order, &pem, NULL), CLM_OK);
    order_is(order.id, "canceled", "the order was canceled");
    cert_is("failed");
}

static void a_certificate_waits_on_for_another_job_that_orders_it(void **state)
{
    struct clm_cp_job first;
    struct clm_cp_job second;

    (void)state;
    make_job(&first);
    make_job(&second);
    assert_int_equal(clm_cp_job_set_state(&plane.tx, &first, "canceled", NULL, NULL), CLM_OK);
    cert_is("ordering");
    assert_int_equal(clm_cp_job_set_state(&plane.tx, &second, "expired", NULL, NULL), CLM_OK);
    cert_is("failed");
}

int main(void)
{
#define PLANE_TEST(f) cmocka_unit_test_setup_teardown(f, open_plane, close_plane)
    const struct CMUnitTest tests[] = {
        PLANE_TEST(an_order_ends_however_its_job_ends),
        PLANE_TEST(an_order_stays_while_its_job_may_go_on),
        PLANE_TEST(an_agent_that_is_lost_for_good_ends_its_order),
        PLANE_TEST(a_job_that_expires_while_it_waits_for_its_retry_ends_its_order),
        PLANE_TEST(what_was_issued_stays),
        PLANE_TEST(what_a_ca_says_after_the_end_changes_nothing),
        PLANE_TEST(a_certificate_waits_on_for_another_job_that_orders_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
