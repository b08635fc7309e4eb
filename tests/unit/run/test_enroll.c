/* SPDX-License-Identifier: Apache-2.0 */
/* What enrolment decides before and after the conversation; the conversation itself is tested with
 * the reference control plane in tests/e2e. */
#include "tests/unit/run/authority.h"

#include "agent/crypto/token.h"
#include "agent/run/enroll.h"
#include "agent/run/issued.h"

struct fixture {
    struct home home;
    char dir[PATH_MAX];
};

static int setup(void **state)
{
    static struct fixture f;

    home_open(&f.home);
    assert_int_equal(clm_net_path(&f.home.config, f.dir, NULL, "identity"), CLM_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    home_close(&f->home);
    return 0;
}

static void make_token(int64_t exp_s, const char *url, struct clm_buf *out)
{
    struct clm_token token = {.id = "tok_01J9ZK3W5V7M2Q8R4T6Y0X1B3C", .n_pins = 1, .exp_s = exp_s};

    memset(token.secret, 7, sizeof(token.secret));
    assert_int_equal(clm_strs_add(&token.urls, url, NULL), CLM_OK);
    assert_int_equal(clm_token_make(&token, out, NULL), CLM_OK);
    clm_token_done(&token);
}

static enum clm_code enroll(const struct fixture *f, const struct clm_buf *token, bool force,
                            struct clm_err *err)
{
    const struct clm_enroll_opts opts = {
        .token = clm_buf_str(token), .token_len = token->len, .policy_digest = "", .force = force};

    return clm_enroll(&f->home.config, &opts, err);
}

static void token_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"", "clm1.", "clm1.e30", "hello", "clm2.e30"};
    const struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf token = CLM_BUF_INIT(CLM_TOKEN_TEXT_MAX);
        struct clm_err err = {0};

        assert_int_equal(clm_buf_add_str(&token, bad[i], NULL), CLM_OK);
        enum clm_code code = enroll(f, &token, false, &err);
        if (code == CLM_OK || strstr(err.msg, "join token") == NULL) {
            fail_msg("row %zu: %d %s", i, code, err.msg);
        }
    }
}

static void expired_token_is_told_without_asking_anybody(void **state)
{
    const struct fixture *f = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf token = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    struct clm_err err = {0};
    char path[PATH_MAX];

    make_token(1795312800 - 500000000, "https://127.0.0.1:1", &token);
    assert_int_equal(enroll(f, &token, false, &err), CLM_E_AUTH);
    assert_non_null(strstr(err.msg, "expired at 20"));
    assert_non_null(strstr(err.msg, "make a new one"));
    assert_int_equal(clm_identity_path(f->dir, "next.key", path, NULL), CLM_OK);
    assert_int_equal(clm_fs_exists(path), 0);
}

static void unreachable_control_plane_is_a_network_error(void **state)
{
    const struct fixture *f = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf token = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    struct clm_err err = {0};

    make_token(clm_clock_now_s() + 3600, "https://127.0.0.1:1", &token);
    assert_int_equal(enroll(f, &token, false, &err), CLM_E_NET);
    assert_non_null(strstr(err.msg, "https://127.0.0.1:1"));
}

static void enrolled_host_is_not_enrolled_by_accident(void **state)
{
    const struct fixture *f = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf token = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    struct clm_err err = {0};

    become_agent(f->dir, 1);
    make_token(clm_clock_now_s() + 3600, "https://127.0.0.1:1", &token);
    assert_int_equal(enroll(f, &token, false, &err), CLM_E_EXISTS);
    assert_non_null(strstr(err.msg, A_AGENT));
    assert_non_null(strstr(err.msg, "--force"));
    assert_int_equal(enroll(f, &token, true, &err), CLM_E_NET);
    assert_true(pair_fits(f->dir)); /* the old identity is there until the new one is */
}

static void token_without_an_end_does_not_expire(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf token = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    struct clm_err err = {0};

    make_token(0, "https://127.0.0.1:1", &token);
    assert_int_equal(enroll(*state, &token, false, &err), CLM_E_NET);
}

static void damaged_identity_is_replaced_only_on_demand(void **state)
{
    const struct fixture *f = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf token = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    struct clm_err err = {0};
    char path[PATH_MAX];

    assert_int_equal(clm_identity_path(f->dir, "agent.json", path, NULL), CLM_OK);
    assert_int_equal(clm_fs_replace(path, "{}", 2, 0600, NULL), CLM_OK);
    make_token(0, "https://127.0.0.1:1", &token);
    assert_int_equal(enroll(f, &token, false, &err), CLM_E_PARSE);
    assert_non_null(strstr(err.msg, "agent.json"));
    assert_int_equal(enroll(f, &token, true, &err), CLM_E_NET);
}

/* ---- the answer ---- */

static struct clm_json *answer_with_uri(const struct fixture *f, const char *uri)
{
    struct clm_identity_pending pending;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    struct clm_json *answer = clm_json_new_object();

    assert_int_equal(clm_identity_begin(f->dir, "enroll", "", &pending, NULL), CLM_OK);
    issue_uri_for(&pending.csr_der, A_AGENT, uri, &pem);
    clm_identity_pending_done(&pending);
    clm_json_set_str(answer, "agent_id", A_AGENT);
    clm_json_set_int(answer, "generation", 1);
    clm_json_set_str(answer, "certificate", clm_buf_str(&pem));
    clm_json_set_str(answer, "not_after", "2030-01-01T00:00:00Z");
    return answer;
}

static struct clm_json *answer_with(const struct fixture *f)
{
    return answer_with_uri(f, "clm://acme/agent/" A_AGENT);
}

static enum clm_code keep(const struct fixture *f, const struct clm_json *answer)
{
    struct clm_identity now = {.enrolled_at_s = 1};

    assert_int_equal(clm_strs_add(&now.urls, "https://cp.example", NULL), CLM_OK);
    enum clm_code code = clm_issued_keep(f->dir, answer, &now, "CA", NULL);
    clm_identity_done(&now);
    return code;
}

static void answer_becomes_the_identity(void **state)
{
    const struct fixture *f = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = answer_with(f);
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};

    assert_int_equal(keep(f, answer), CLM_OK);
    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    assert_string_equal(identity.agent_id, A_AGENT);
    assert_string_equal(identity.tenant, "acme"); /* from the certificate */
    /* No renew_after was said: half of the life. */
    assert_in_range(identity.renew_after_s, clm_clock_now_s(), identity.not_after_s);
}

static void answers_with_a_fault_are_refused(void **state)
{
    static const struct {
        const char *key;
        const char *text; /* NULL: removed */
        enum clm_code code;
    } rows[] = {
        {"agent_id", "agt_1", CLM_E_PARSE},   {"agent_id", "../x", CLM_E_PARSE},
        {"agent_id", B_AGENT, CLM_E_CRYPTO},  {"generation", NULL, CLM_E_PARSE},
        {"certificate", NULL, CLM_E_PARSE},   {"certificate", "x", CLM_E_NOTFOUND},
        {"not_after", "soon", CLM_E_PARSE},   {"not_after", NULL, CLM_E_PARSE},
        {"renew_after", "soon", CLM_E_PARSE}, {"agent_id", NULL, CLM_E_PARSE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct fixture *f = *state;
        CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = answer_with(f);
        struct clm_identity identity;

        if (rows[i].text == NULL) {
            clm_json_remove(answer, rows[i].key);
        } else {
            clm_json_set_str(answer, rows[i].key, rows[i].text);
        }
        enum clm_code code = keep(f, answer);
        if (code != rows[i].code) {
            fail_msg("row %zu (%s): %d", i, rows[i].key, code);
        }
        assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_E_NOTFOUND);
    }
}

#define TEN  "xxxxxxxxxx"
#define LONG TEN TEN TEN TEN TEN TEN TEN

static void tenant_stands_in_the_certificate_of_this_agent_alone(void **state)
{
    static const char *const uris[] = {
        "https://acme/agent/" A_AGENT, "clm://acme/agent/" B_AGENT,     "clm:///agent/" A_AGENT,
        "clm://agent/" A_AGENT,        "clm://" LONG "/agent/" A_AGENT,
    };

    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        const struct fixture *f = *state;
        CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = answer_with_uri(f, uris[i]);
        struct clm_identity identity;

        if (keep(f, answer) != CLM_E_CRYPTO) {
            fail_msg("%s was taken", uris[i]);
        }
        assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_E_NOTFOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(token_that_is_none_is_refused),
        WITH(expired_token_is_told_without_asking_anybody),
        WITH(unreachable_control_plane_is_a_network_error),
        WITH(enrolled_host_is_not_enrolled_by_accident),
        WITH(answer_becomes_the_identity),
        WITH(answers_with_a_fault_are_refused),
        WITH(token_without_an_end_does_not_expire),
        WITH(damaged_identity_is_replaced_only_on_demand),
        WITH(tenant_stands_in_the_certificate_of_this_agent_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
