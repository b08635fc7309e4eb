/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/host/host_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/crypto/ca.h"
#include "agent/crypto/jws.h"
#include "agent/model/csr_spec.h"

#define LIFE_S INT64_C(604800)

static enum clm_code no_event(void *arg, const struct clm_json *event, struct clm_err *err)
{
    (void)arg;
    (void)event;
    (void)err;
    return CLM_OK;
}

static void set_time(struct clm_json *obj, const char *key, int64_t at_s)
{
    char text[CLM_TIME_TEXT_SIZE];

    clm_time_format(at_s, text);
    clm_json_set_str(obj, key, text);
}

static void make_ca(struct host_world *world)
{
    const struct clm_ca_issue issue = {
        .common_name = "test control plane",
        .not_before_s = world->now_s - 3600,
        .not_after_s = world->now_s + LIFE_S,
        .is_ca = true,
        .path_len = 1,
    };

    world->ca_pem.max = 16384;
    assert_int_equal(clm_key_generate(world->rng, CLM_KEY_EC_P256, &world->ca_key, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(world->rng, CLM_KEY_EC_P256, &world->jobs_key, NULL), CLM_OK);
    assert_int_equal(
        clm_ca_self_signed(world->rng, world->ca_key, &issue, &world->ca_pem, &world->err), CLM_OK);
}

static struct clm_json *sign(struct host_world *world, const struct clm_key *key,
                             const char *header, const char *payload)
{
    struct clm_buf bytes = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    struct clm_jws jws = CLM_JWS_INIT;
    struct clm_json *obj = clm_json_new_object();

    assert_int_equal(clm_buf_add_str(&bytes, payload, NULL), CLM_OK);
    assert_int_equal(clm_jws_sign_es256(world->rng, key, header, &bytes, &jws, NULL), CLM_OK);
    clm_jws_to_json(&jws, obj);
    clm_jws_done(&jws);
    clm_buf_done(&bytes);
    return obj;
}

struct clm_json *host_world_trust(const struct host_world *world, const char *agent_id)
{
    struct clm_json *doc = clm_json_new_object();
    struct clm_json *key = clm_json_add_object(clm_json_set_array(doc, "keys"));
    struct clm_json *jobs = clm_json_set_object(clm_json_set_object(doc, "roles"), "jobs");
    char x[CLM_JWK_COORD_SIZE];
    char y[CLM_JWK_COORD_SIZE];

    clm_json_set_str(doc, "type", "clm-trust");
    clm_json_set_int(doc, "spec_version", 1);
    clm_json_set_str(doc, "tenant", WORLD_TENANT);
    clm_json_set_str(doc, "agent_id", agent_id);
    set_time(doc, "expires_at", world->now_s + LIFE_S);
    clm_json_set_int(jobs, "threshold", 1);
    clm_json_add_str(clm_json_set_array(jobs, "kids"), WORLD_KID);
    assert_int_equal(clm_key_public_xy(world->jobs_key, x, y, NULL), CLM_OK);
    clm_json_set_str(key, "kid", WORLD_KID);
    clm_json_set_str(key, "alg", "ES256");
    clm_json_set_str(key, "x", x);
    clm_json_set_str(key, "y", y);
    set_time(key, "expires_at", world->now_s + LIFE_S);
    return doc;
}

struct clm_json *host_world_offer(struct host_world *world, const char *agent_id,
                                  struct clm_json *doc)
{
    struct clm_buf text = CLM_BUF_INIT(16384);
    struct clm_json *body = clm_json_new_object();
    struct clm_cert_chain *chain = NULL;
    char pin[CLM_PIN_SIZE];

    assert_int_equal(clm_json_print(doc, false, &text, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(world->ca_pem.data, world->ca_pem.len, &chain, NULL),
                     CLM_OK);
    clm_cert_pin(chain, 0, pin);
    clm_cert_chain_free(chain);
    clm_json_add_str(clm_json_set_array(body, "pins"), pin);
    clm_json_set_str(body, "ca_pem", clm_buf_str(&world->ca_pem));
    clm_json_set_str(body, "agent_id", agent_id);
    clm_json_set_str(body, "tenant", WORLD_TENANT);
    clm_json_set_take(body, "trust",
                      sign(world, world->ca_key,
                           "{\"alg\":\"ES256\",\"kid\":\"ca\",\"typ\":\"clm-trust+jws\"}",
                           clm_buf_str(&text)));
    clm_json_free(doc);
    clm_buf_done(&text);
    return body;
}

enum clm_code host_world_enrol(struct host_world *world, const char *agent_id, struct clm_json *doc)
{
    return host_world_ask(world, CLM_OP_TRUST_PUT, host_world_offer(world, agent_id, doc), NULL);
}

static void enrol(struct host_world *world)
{
    if (host_world_enrol(world, WORLD_AGENT, host_world_trust(world, WORLD_AGENT)) != CLM_OK) {
        fail_msg("enrolment: %s", world->err.msg);
    }
}

static void allow(struct host_world *world)
{
    struct clm_policy *policy = &world->config.policy;
    static const char *const types[] = {"scan",   "order",    "get_dcv",        "dcv_cleanup",
                                        "deploy", "rollback", "recheck_pinning"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        assert_int_equal(clm_strs_add(&policy->job_types, types[i], NULL), CLM_OK);
    }
    assert_int_equal(clm_strs_add(&policy->targets_allow, "nginx:*", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->targets_deny, "nginx:intranet.example.com", NULL),
                     CLM_OK);
    assert_int_equal(clm_strs_add(&policy->names_allow, "*.example.com", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->key_types, "ec-p256", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->key_types, "ec-p384", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->write_roots, "/etc", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&policy->eku, "server", NULL), CLM_OK);
    for (int i = 0; i < CLM_SUBJECT__COUNT; i++) {
        assert_int_equal(clm_strs_add(&policy->subject_fields,
                                      clm_subject_field_name((enum clm_subject_field)i), NULL),
                         CLM_OK);
    }
    policy->webroot_from_scan = true;
    policy->deploys_per_target_per_day = 3;
    policy->orders_per_day = 5;
    policy->retain_max = 10;
    world->config.deploy.deadline_s = 1;
    world->config.deploy.retain = 3;
}

struct host_world *host_world_new(void)
{
    struct host_world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    root_io_temp(world->state_dir);
    root_io_temp(world->tree);
    root_io_init(&world->io, world->tree);
    world->now_s = world->io.io.now_s(world->io.io.ctx);
    (void)snprintf(world->config.state_dir, sizeof(world->config.state_dir), "%s",
                   world->state_dir);
    allow(world);
    assert_int_equal(clm_rng_new(&world->rng, NULL), CLM_OK);
    make_ca(world);
    world->ca = clm_test_ca_new(world->now_s);
    if (clm_host_open(&world->config, &world->io.io, &world->route, &world->host, &world->err) !=
        CLM_OK) {
        fail_msg("open: %s", world->err.msg);
    }
    enrol(world);
    return world;
}

void host_world_restart(struct host_world *world)
{
    clm_host_close(world->host);
    world->host = NULL;
    assert_int_equal(
        clm_host_open(&world->config, &world->io.io, &world->route, &world->host, &world->err),
        CLM_OK);
}

void host_world_free(struct host_world *world)
{
    clm_host_close(world->host);
    clm_policy_done(&world->config.policy);
    clm_test_ca_free(world->ca);
    clm_key_free(world->ca_key);
    clm_key_free(world->jobs_key);
    clm_buf_done(&world->ca_pem);
    clm_rng_free(world->rng);
    root_io_remove(world->state_dir);
    root_io_remove(world->tree);
    free(world);
}

struct clm_json *host_world_job(const struct host_world *world, const char *type,
                                const char *target, int64_t seq, const char *spec)
{
    struct clm_json *job = clm_json_new_object();
    struct clm_json *tree = NULL;
    char job_id[CLM_ID_SIZE];

    assert_int_equal(clm_id_new("job", job_id, NULL), CLM_OK);
    assert_int_equal(clm_json_parse(spec, strlen(spec), CLM_JSON_TEXT_MAX, &tree, NULL), CLM_OK);
    clm_json_set_int(job, "spec_version", 1);
    clm_json_set_str(job, "job_id", job_id);
    clm_json_set_str(job, "tenant", WORLD_TENANT);
    clm_json_set_str(job, "agent_id", WORLD_AGENT);
    clm_json_set_str(job, "type", type);
    clm_json_set_str(job, "target", target);
    clm_json_set_int(job, "target_seq", seq);
    set_time(job, "issued_at", world->now_s - 10);
    set_time(job, "not_before", world->now_s - 10);
    set_time(job, "expires_at", world->now_s + 3600);
    clm_json_set_int(job, "timeout_s", 900);
    clm_json_set_take(job, "spec", tree);
    return job;
}

struct clm_json *host_world_sign_text(struct host_world *world, const char *payload)
{
    struct clm_json *body = clm_json_new_object();

    clm_json_set_take(body, "jws",
                      sign(world, world->jobs_key,
                           "{\"alg\":\"ES256\",\"kid\":\"" WORLD_KID
                           "\",\"typ\":\"clm-job+jws\",\"crit\":[\"clmv\"],\"clmv\":1}",
                           payload));
    return body;
}

struct clm_json *host_world_sign(struct host_world *world, const struct clm_json *payload)
{
    struct clm_buf text = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    struct clm_json *body;

    assert_int_equal(clm_json_print(payload, false, &text, NULL), CLM_OK);
    body = host_world_sign_text(world, clm_buf_str(&text));
    clm_buf_done(&text);
    return body;
}

enum clm_code host_world_ask(struct host_world *world, enum clm_op op, struct clm_json *body,
                             struct clm_json **out_reply)
{
    const struct clm_host_session session = {.is_root_peer = true, .event = no_event};
    const struct clm_host_question question = {op, body};
    struct clm_json *reply = clm_json_new_object();
    enum clm_code code;

    world->err = (struct clm_err){.code = CLM_OK};
    code = clm_host_request(world->host, &session, &question, reply, &world->fail, &world->err);
    clm_json_free(body);
    if (code == CLM_OK && out_reply != NULL) {
        *out_reply = reply;
    } else {
        clm_json_free(reply);
    }
    return code;
}

void host_world_accept(struct host_world *world, const char *type, const char *target, int64_t seq,
                       const char *spec, char job_id[CLM_ID_SIZE])
{
    struct clm_json *job = host_world_job(world, type, target, seq, spec);

    (void)snprintf(job_id, CLM_ID_SIZE, "%s", clm_json_text(clm_json_get(job, "job_id")));
    if (host_world_ask(world, CLM_OP_JOB_ACCEPT, host_world_sign(world, job), NULL) != CLM_OK) {
        fail_msg("accept: %s", world->err.msg);
    }
    clm_json_free(job);
}
