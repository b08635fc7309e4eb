/* SPDX-License-Identifier: Apache-2.0 */
/* The trust document of an enrolment: whose it is, how long it is good, and what begins anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/host/trust.h"
#include "tests/unit/host/host_world.h"

#define OTHER "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3D"

static int setup(void **state)
{
    *state = host_world_new();
    return 0;
}

static int teardown(void **state)
{
    host_world_free(*state);
    return 0;
}

static void refused(struct host_world *world, struct clm_json *doc, const char *says)
{
    assert_int_not_equal(host_world_enrol(world, WORLD_AGENT, doc), CLM_OK);
    assert_string_equal(world->fail.problem, "E_SIGNATURE");
    if (strstr(world->err.msg, says) == NULL) {
        fail_msg("'%s' does not say '%s'", world->err.msg, says);
    }
}

static void a_document_of_somebody_else_is_refused(void **state)
{
    struct host_world *world = *state;
    struct clm_json *doc = host_world_trust(world, WORLD_AGENT);

    refused(world, host_world_trust(world, OTHER), "it is for agent '" OTHER "'");
    clm_json_remove(doc, "tenant");
    clm_json_set_str(doc, "tenant", "evil");
    refused(world, doc, "it is of tenant 'evil'");
}

static void a_document_has_an_end(void **state)
{
    struct host_world *world = *state;
    struct clm_json *doc = host_world_trust(world, WORLD_AGENT);

    clm_json_remove(doc, "expires_at");
    refused(world, doc, "expires_at");
    doc = host_world_trust(world, WORLD_AGENT);
    clm_json_remove(doc, "expires_at");
    clm_json_set_str(doc, "expires_at", "2020-01-01T00:00:00Z");
    refused(world, doc, "it expired at 2020-01-01T00:00:00Z");
}

static enum clm_code offer(struct host_world *world, const char *agent_id, int64_t seq)
{
    struct clm_json *job = host_world_job(world, "scan", "host", seq, "{}");

    clm_json_remove(job, "agent_id");
    clm_json_set_str(job, "agent_id", agent_id);
    enum clm_code code =
        host_world_ask(world, CLM_OP_JOB_ACCEPT, host_world_sign(world, job), NULL);

    clm_json_free(job);
    return code;
}

/* The control plane counts from 1 for an agent it does not know yet. */
static void sequences_begin_anew_with_another_agent(void **state)
{
    struct host_world *world = *state;

    assert_int_equal(offer(world, WORLD_AGENT, 7), CLM_OK);
    assert_int_not_equal(offer(world, WORLD_AGENT, 7), CLM_OK);
    assert_string_equal(world->fail.problem, "E_REPLAY");
    assert_int_equal(host_world_enrol(world, OTHER, host_world_trust(world, OTHER)), CLM_OK);
    assert_int_equal(offer(world, OTHER, 1), CLM_OK);
    assert_int_not_equal(offer(world, OTHER, 1), CLM_OK);
    assert_string_equal(world->fail.problem, "E_REPLAY");
    assert_int_not_equal(offer(world, WORLD_AGENT, 8), CLM_OK);
    assert_string_equal(world->fail.problem, "E_AGENT");
}

/* ---- the document that is kept ---- */

/* A text of JSON with the first find replaced by put. */
static void changed(const struct clm_json *doc, const char *find, const char *put,
                    struct clm_buf *out)
{
    struct clm_buf text = CLM_BUF_INIT(65536);
    const char *at;

    out->len = 0;
    assert_int_equal(clm_json_print(doc, false, &text, NULL), CLM_OK);
    at = strstr(clm_buf_str(&text), find);
    if (at == NULL) {
        fail_msg("no '%s' in %s", find, clm_buf_str(&text));
    }
    assert_int_equal(clm_buf_add(out, text.data, (size_t)(at - clm_buf_str(&text)), NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(out, put, NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(out, at + strlen(find), NULL), CLM_OK);
    clm_buf_done(&text);
}

static enum clm_code load(struct host_world *world, const char *text, struct clm_trust *trust)
{
    char dir[PATH_MAX + 8];

    root_io_text(world->state_dir, "/host/trust.json", text);
    (void)snprintf(dir, sizeof(dir), "%s/host", world->state_dir);
    *trust = (struct clm_trust){.n_keys = 0};
    world->err.msg[0] = '\0';
    return clm_trust_load(dir, trust, &world->err);
}

static void what_is_wrong_with_a_document_is_said(void **state)
{
    static const struct {
        const char *find;
        const char *put;
        const char *says;
    } rows[] = {
        {"{", "[", "trust document: "},
        {"\"type\"", "\"typ\"", "type"},
        {"clm-trust", "clm-job", "'clm-job' is no trust document"},
        {"\"spec_version\":1", "\"spec_version\":2", "spec_version"},
        {"\"tenant\"", "\"ten\"", "tenant"},
        {"\"agent_id\"", "\"agent\"", "agent_id"},
        {"agt_", "job_", "agent id 'job_01J9ZK3W5V7M2Q8R4T6Y0X1B3C' is malformed"},
        {"\"keys\"", "\"key\"", "keys"},
        {"\"kid\"", "\"k\"", "kid"},
        {"\"alg\"", "\"a\"", "alg"},
        {"ES256", "RS256", "key '" WORLD_KID "' is for RS256, not ES256"},
        {"\"x\"", "\"z\"", "x"},
        {"\"y\"", "\"z\"", "y"},
        {"\"y\":\"", "\"y\":\"_", "y"},
        {"\"expires_at\"", "\"end\"", "expires_at"},
        {"\"expires_at\":\"", "\"expires_at\":\"x", "trust document: "},
        {"[\"" WORLD_KID "\"]", "[]", "no key for jobs"},
        {"[\"" WORLD_KID "\"]", "[7,\"other\"]", "no key for jobs"},
    };
    struct host_world *world = *state;
    struct clm_json *doc = host_world_trust(world, WORLD_AGENT);
    struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_trust trust;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        changed(doc, rows[i].find, rows[i].put, &text);
        if (load(world, clm_buf_str(&text), &trust) == CLM_OK || trust.n_keys != 0 ||
            strstr(world->err.msg, rows[i].says) == NULL) {
            fail_msg("row %zu: %s '%s'", i, clm_code_name(world->err.code), world->err.msg);
        }
    }
    clm_buf_done(&text);
    clm_json_free(doc);
}

static void a_key_is_found_by_its_id_until_it_ends(void **state)
{
    struct host_world *world = *state;
    struct clm_json *doc = host_world_trust(world, WORLD_AGENT);
    struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_trust trust;

    changed(doc, "[\"" WORLD_KID "\"]", "[7,\"other\",\"" WORLD_KID "\"]", &text);
    assert_int_equal(load(world, clm_buf_str(&text), &trust), CLM_OK);
    assert_non_null(clm_trust_find(&trust, WORLD_KID, world->now_s));
    assert_null(clm_trust_find(&trust, "other", world->now_s));
    assert_null(clm_trust_find(&trust, WORLD_KID, world->now_s + 604800));
    clm_trust_done(&trust);
    clm_buf_done(&text);
    clm_json_free(doc);
}

static void so_many_keys_for_jobs_and_no_more(void **state)
{
    struct host_world *world = *state;
    struct clm_json *doc = host_world_trust(world, WORLD_AGENT);
    struct clm_json *keys = clm_json_edit(doc, "keys");
    struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_trust trust;

    for (int i = 1; i < CLM_TRUST_KEYS_MAX; i++) {
        clm_json_add_copy(keys, clm_json_first(keys));
    }
    changed(doc, "ES256", "ES256", &text);
    assert_int_equal(load(world, clm_buf_str(&text), &trust), CLM_OK);
    assert_int_equal(trust.n_keys, CLM_TRUST_KEYS_MAX);
    clm_trust_done(&trust);
    clm_json_add_copy(keys, clm_json_first(keys));
    changed(doc, "ES256", "ES256", &text);
    assert_int_equal(load(world, clm_buf_str(&text), &trust), CLM_E_LIMIT);
    assert_non_null(strstr(world->err.msg, "more than 8 job keys"));
    clm_buf_done(&text);
    clm_json_free(doc);
}

/* Whoever can write to the directory of root has won anyway; damage must not look like "not enrolled". */
static void a_host_half_with_a_damaged_document_does_not_start(void **state)
{
    struct host_world *world = *state;

    root_io_text(world->state_dir, "/host/trust.json", "{}");
    clm_host_close(world->host);
    world->host = NULL;
    assert_int_equal(
        clm_host_open(&world->config, &world->io.io, &world->route, &world->host, &world->err),
        CLM_E_PARSE);
    assert_null(world->host);
    assert_non_null(strstr(world->err.msg, "trust document: "));
}

/* ---- the offer ---- */

static void put_refused(struct host_world *world, struct clm_json *body, const char *says)
{
    assert_int_not_equal(host_world_ask(world, CLM_OP_TRUST_PUT, body, NULL), CLM_OK);
    assert_string_equal(world->fail.problem, "E_SIGNATURE");
    if (strstr(world->err.msg, says) == NULL) {
        fail_msg("'%s' does not say '%s'", world->err.msg, says);
    }
}

static void an_offer_is_whole(void **state)
{
    static const char *const members[] = {"pins", "ca_pem", "trust", "agent_id", "tenant"};
    struct host_world *world = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        struct clm_json *body =
            host_world_offer(world, WORLD_AGENT, host_world_trust(world, WORLD_AGENT));

        clm_json_remove(body, members[i]);
        put_refused(world, body, members[i]);
    }
}

static void the_ca_is_the_pinned_one(void **state)
{
    struct host_world *world = *state;
    struct clm_json *body =
        host_world_offer(world, WORLD_AGENT, host_world_trust(world, WORLD_AGENT));

    clm_json_remove(body, "pins");
    clm_json_add_int(clm_json_set_array(body, "pins"), 7);
    put_refused(world, body, "pins: not a string");
    body = host_world_offer(world, WORLD_AGENT, host_world_trust(world, WORLD_AGENT));
    clm_json_remove(body, "pins");
    clm_json_add_str(clm_json_set_array(body, "pins"),
                     "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    put_refused(world, body, "no CA certificate matches the pin in the token");
    body = host_world_offer(world, WORLD_AGENT, host_world_trust(world, WORLD_AGENT));
    clm_json_remove(body, "ca_pem");
    clm_json_set_str(body, "ca_pem", "none");
    put_refused(world, body, "CA certificate of the control plane: ");
}

static void only_the_ca_signs(void **state)
{
    static const char header[] =
        "{\"alg\":\"ES256\",\"kid\":\"" WORLD_KID "\",\"typ\":\"clm-trust+jws\"}";
    struct host_world *world = *state;
    struct clm_json *body =
        host_world_offer(world, WORLD_AGENT, host_world_trust(world, WORLD_AGENT));
    struct clm_buf b64 = CLM_BUF_INIT(1024);
    struct clm_json *jws = clm_json_edit(body, "trust");
    struct clm_json *list = clm_json_new_array();
    struct clm_json *one = clm_json_add_object(list);

    assert_int_equal(clm_b64url_encode(header, strlen(header), &b64, NULL), CLM_OK);
    clm_json_set_str(one, "protected", clm_buf_str(&b64));
    clm_json_set_copy(one, "signature",
                      clm_json_get(clm_json_first(clm_json_get(jws, "signatures")), "signature"));
    clm_json_remove(jws, "signatures");
    clm_json_set_take(jws, "signatures", list);
    put_refused(world, body, "signing key '" WORLD_KID "' is not trusted for this");
    clm_buf_done(&b64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_document_of_somebody_else_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_document_has_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_with_a_document_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_is_found_by_its_id_until_it_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(so_many_keys_for_jobs_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_half_with_a_damaged_document_does_not_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_offer_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(the_ca_is_the_pinned_one, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_ca_signs, setup, teardown),
        cmocka_unit_test_setup_teardown(sequences_begin_anew_with_another_agent, setup, teardown),
    };

    return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
