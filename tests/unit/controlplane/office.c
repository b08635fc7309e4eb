/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controlplane/office.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "controlplane/jobs.h"
#include "controlplane/worker.h"

#define TURNS_MAX 12 /* of an order that nothing goes wrong with any more */

static void hold_nothing(void *connection)
{
    (void)connection;
}

static void load_conf(struct office *office)
{
    static const char text[] =
        "{\"connectors\":[{\"name\":\"none\",\"type\":\"builtin\",\"dcv\":\"none\"},"
        "{\"name\":\"proved\",\"type\":\"builtin\",\"dcv\":\"http-01\",\"resolve\":\"::1\"},"
        "{\"name\":\"acme\",\"type\":\"acme\",\"directory\":\"" CA_BASE "/dir\","
        "\"contact\":[\"mailto:ops@example.com\"]}],\"default_connector\":\"none\"}";
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/conf.json", office->plane.dir);
    assert_int_equal(clm_fs_replace(path, text, sizeof(text) - 1, 0600, NULL), CLM_OK);
    assert_int_equal(clm_cp_conf_load(&office->plane.conf, path, NULL), CLM_OK);
}

void office_open(struct office *office)
{
    memset(office, 0, sizeof(*office));
    plane_open_on_disk(&office->plane, clm_clock_now_s());
    load_conf(office);
    assert_int_equal(clm_cp_hub_new(hold_nothing, hold_nothing, &office->hub, NULL), CLM_OK);
    ca_script_start(&office->ca, office->plane.pki);
}

void office_close(struct office *office)
{
    ca_script_stop(&office->ca);
    clm_cp_hub_free(office->hub);
    plane_close(&office->plane);
}

static void make_csr(struct office *office, const struct office_order *in, struct clm_buf *der,
                     struct clm_csr_info *info)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_names_done) struct clm_names names = {0};
    CLM_CLEANUP(clm_strs_done) struct clm_strs emails = {0};
    struct clm_rng *rng = office->plane.pki->rng;
    CLM_CLEANUP(clm_strs_done) struct clm_strs uris = {0};
    const struct clm_csr_request request = {
        .common_name = "a.example", .names = &names, .emails = &emails, .uris = &uris};

    assert_int_equal(clm_names_add_dns(&names, "a.example", NULL), CLM_OK);
    if (in->email != NULL) {
        assert_int_equal(clm_strs_add(&emails, in->email, NULL), CLM_OK);
    }
    if (in->uri != NULL) {
        assert_int_equal(clm_strs_add(&uris, in->uri, NULL), CLM_OK);
    }
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &key, NULL), CLM_OK);
    assert_int_equal(clm_csr_build(rng, key, &request, der, NULL), CLM_OK);
    assert_int_equal(clm_csr_parse(der->data, der->len, info, NULL), CLM_OK);
}

static void make_job(struct clm_cp_tx *tx, const char *cert_id, struct clm_cp_job *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *spec = clm_json_new_object();
    char id[CLM_ID_SIZE];
    const struct clm_cp_job_new in = {.agent_id = TEST_AGENT,
                                      .type = "order",
                                      .target = cert_id,
                                      .certificate_id = cert_id,
                                      .requested_by = "operator",
                                      .spec = spec};

    assert_int_equal(clm_cp_job_create(tx, &in, id, NULL), CLM_OK);
    assert_int_equal(clm_cp_job_load(tx, id, NULL, out, NULL), CLM_OK);
}

void office_order(struct office *office, const struct office_order *in, char id[CLM_ID_SIZE])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT((size_t)2 * CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    struct clm_cp_tx *tx = &office->plane.tx;
    struct clm_cp_cert cert = {.agent_id = TEST_AGENT};
    struct clm_cp_job job;

    make_csr(office, in, &der, &info);
    assert_int_equal(clm_b64url_encode(der.data, der.len, &text, NULL), CLM_OK);
    (void)snprintf(cert.id, sizeof(cert.id), "crt_%u", ++office->certs);
    (void)snprintf(cert.connector, sizeof(cert.connector), "%s", in->connector);
    assert_int_equal(clm_cp_tx_begin(tx, true, NULL), CLM_OK);
    assert_int_equal(
        clm_cp_db_exec(
            tx->db, NULL,
            "INSERT INTO cert (id, agent_id, target, names, subject, key_type,"
            " connector, webroot_ref, on_issue, state, created_at, updated_at)"
            " VALUES (?1, ?2, ?1, ?3, '{}', 'ec-p256', ?4, '', 'deploy', 'ordering',"
            " 0, 0)",
            CLM_SQL(
                clm_sql_text(cert.id), clm_sql_text(TEST_AGENT),
                clm_sql_text(in->names != NULL ? in->names : "{\"dns\":[\"a.example\"],\"ip\":[]}"),
                clm_sql_text(in->connector))),
        CLM_OK);
    make_job(tx, cert.id, &job);
    const struct clm_cp_order_new order = {
        .job = &job, .cert = &cert, .csr = clm_buf_str(&text), .info = &info, .key_ref = "key_1"};

    assert_int_equal(clm_cp_order_create(tx, &order, id, NULL), CLM_OK);
    assert_int_equal(clm_cp_tx_commit(tx, NULL), CLM_OK);
}

void office_load(struct office *office, const char *id, struct clm_cp_order *out)
{
    assert_int_equal(clm_cp_order_load(&office->plane.tx, id, NULL, out, NULL), CLM_OK);
}

void office_sql(struct office *office, const char *sql, const char *id)
{
    struct clm_err err = {0};

    if (clm_cp_db_exec(office->plane.db, &err, sql, CLM_SQL(clm_sql_text(id))) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

enum clm_code office_turn(struct office *office, struct clm_err *err)
{
    struct clm_cp_worker *worker = NULL;
    enum clm_code code =
        clm_cp_worker_start(office->plane.dir, &office->plane.conf, office->hub, &worker, err);

    clm_cp_worker_stop(worker); /* which waits for the turn */
    return code;
}

static enum clm_code serve(void *arg, const struct clm_cp_challenge *challenge, struct clm_err *err)
{
    struct ca_script *ca = arg;
    size_t len = strlen(ca->served);

    (void)err;
    (void)snprintf(ca->served + len, sizeof(ca->served) - len, "%s\r\n", challenge->content);
    return CLM_OK;
}

void office_advance(struct office *office, const char *id)
{
    struct clm_cp_tx *tx = &office->plane.tx;
    struct clm_cp_order order;
    struct clm_err err = {0};

    office_sql(office, "UPDATE cert_order SET next_at = 0 WHERE id = ?1", id);
    if (office_turn(office, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    office_load(office, id, &order);
    if (strcmp(order.state, "dcv_pending") == 0) {
        assert_int_equal(clm_cp_tx_begin(tx, true, NULL), CLM_OK);
        office->ca.served[0] = '\0';
        assert_int_equal(clm_cp_challenge_each(tx, id, serve, &office->ca, NULL), CLM_OK);
        assert_int_equal(clm_cp_order_dcv_ready(tx, &order, NULL), CLM_OK);
        assert_int_equal(clm_cp_tx_commit(tx, NULL), CLM_OK);
    }
}

void office_finish(struct office *office, const char *id, const char *state)
{
    struct clm_cp_order order;

    for (int i = 0; i < TURNS_MAX; i++) {
        office_load(office, id, &order);
        if (clm_cp_order_state_is_final(order.state)) {
            break;
        }
        office_advance(office, id);
    }
    if (strcmp(order.state, state) != 0) {
        fail_msg("the order is '%s' (%s), not '%s'", order.state, order.error, state);
    }
}
