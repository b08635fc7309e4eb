/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run/authority.h"

#include <sys/wait.h>

#include "agent/run/enroll.h"

#define A_TOKEN "tok_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define B_TOKEN "tok_01J9ZK3W5V7M2Q8R4T6Y0X1B3D"
#define BOOT    "01J9ZK5D0B2M4N6P8Q0R2S4T6V"

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

static bool same_request(const char *dir, const char *reason, const char *token_id,
                         const struct clm_identity_pending *first)
{
    struct clm_identity_pending again;

    assert_int_equal(clm_identity_begin(dir, reason, token_id, &again, NULL), CLM_OK);
    bool same = again.csr_der.len == first->csr_der.len &&
                memcmp(again.csr_der.data, first->csr_der.data, first->csr_der.len) == 0;
    clm_identity_pending_done(&again);
    return same;
}

static void without_identity_there_is_advice(void **state)
{
    const struct fixture *f = *state;
    struct clm_identity identity;
    struct clm_err err = {0};

    assert_int_equal(clm_identity_load(f->dir, &identity, &err), CLM_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "clmbot enroll"));
}

static void request_stays_the_same_until_it_is_answered(void **state)
{
    const struct fixture *f = *state;
    struct clm_identity_pending first;

    assert_int_equal(clm_identity_begin(f->dir, "enroll", A_TOKEN, &first, NULL), CLM_OK);
    assert_true(same_request(f->dir, "enroll", A_TOKEN, &first));
    assert_true(same_request(f->dir, "enroll", A_TOKEN, &first));
    assert_false(same_request(f->dir, "enroll", B_TOKEN, &first));
    clm_identity_pending_done(&first);
}

static void recovery_takes_over_the_request_of_a_renewal(void **state)
{
    const struct fixture *f = *state;
    struct clm_identity_pending first;

    assert_int_equal(clm_identity_begin(f->dir, "renew", "", &first, NULL), CLM_OK);
    assert_true(same_request(f->dir, "recover", "", &first));
    assert_false(same_request(f->dir, "enroll", A_TOKEN, &first));
    clm_identity_pending_done(&first);
}

static void damaged_request_is_made_anew(void **state)
{
    static const char *const bad[] = {"", "{", "{}", "{\"reason\":\"renew\",\"csr\":\"!\"}"};
    const struct fixture *f = *state;
    char path[PATH_MAX];

    assert_int_equal(clm_identity_path(f->dir, "next.json", path, NULL), CLM_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct clm_identity_pending pending;

        assert_int_equal(clm_fs_replace(path, bad[i], strlen(bad[i]), 0600, NULL), CLM_OK);
        assert_int_equal(clm_identity_begin(f->dir, "renew", "", &pending, NULL), CLM_OK);
        assert_true(same_request(f->dir, "renew", "", &pending));
        clm_identity_pending_done(&pending);
    }
}

#define AGENT_JSON(id, tenant, urls, generation)                                                   \
    "{\"agent_id\":" id ",\"tenant\":" tenant ",\"urls\":" urls ",\"generation\":" generation      \
    ",\"not_after_s\":2,\"renew_after_s\":1,\"enrolled_at_s\":1}"
#define GOOD_URLS "[\"https://cp.example\"]"

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[PATH_MAX];

    assert_int_equal(clm_identity_path(f->dir, name, path, NULL), CLM_OK);
    assert_int_equal(clm_fs_replace(path, text, strlen(text), 0600, NULL), CLM_OK);
}

static void damaged_identity_is_told_member_by_member(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"[]", "no JSON object"},
        {AGENT_JSON("1", "\"acme\"", GOOD_URLS, "1"), "agent_id"},
        {AGENT_JSON("\"a\"", "[]", GOOD_URLS, "1"), "tenant"},
        {AGENT_JSON("\"a\"", "\"acme\"", GOOD_URLS, "[]"), "generation"},
        {AGENT_JSON("\"a\"", "\"acme\"", "{}", "1"), "urls"},
        {AGENT_JSON("\"a\"", "\"acme\"", "[]", "1"), "urls: empty"},
        {AGENT_JSON("\"a\"", "\"acme\"", "[7]", "1"), "urls: not a list of URLs"},
    };
    const struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct clm_identity identity;
        struct clm_err err = {0};

        write_file(f, "agent.json", rows[i].text);
        enum clm_code code = clm_identity_load(f->dir, &identity, &err);
        if (code != CLM_E_PARSE || strstr(err.msg, rows[i].says) == NULL ||
            strstr(err.msg, "/agent.json") == NULL || identity.urls.n != 0) {
            fail_msg("%s: %s: %s", rows[i].text, clm_code_name(code), err.msg);
        }
    }
}

static void url_of_the_identity_has_a_limit(void **state)
{
    const struct fixture *f = *state;
    struct clm_identity identity;
    struct clm_err err = {0};
    char urls[CLM_IDENTITY_URL_MAX + 5];
    char text[1024];

    (void)snprintf(urls, sizeof(urls), "[\"%0*d\"]", CLM_IDENTITY_URL_MAX, 7);
    (void)snprintf(text, sizeof(text), AGENT_JSON("\"a\"", "\"acme\"", "%s", "1"), urls);
    write_file(f, "agent.json", text);
    assert_int_equal(clm_identity_load(f->dir, &identity, &err), CLM_E_PARSE);
    assert_non_null(strstr(err.msg, "urls: not a list of URLs"));
}

static void damaged_change_is_not_finished_and_harms_nothing(void **state)
{
    static const char *const bad[] = {"{}", "{\"agent\":{}}",
                                      "{\"agent\":{},\"certificate\":\"x\",\"ca\":[]}"};
    const struct fixture *f = *state;
    struct clm_identity identity;
    char path[PATH_MAX];

    become_agent(f->dir, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct clm_err err = {0};

        write_file(f, "next.done.json", bad[i]);
        assert_int_equal(clm_identity_load(f->dir, &identity, &err), CLM_E_PARSE);
        assert_true(err.msg[0] != '\0');
        assert_true(pair_fits(f->dir));
    }
    assert_int_equal(clm_identity_path(f->dir, "next.done.json", path, NULL), CLM_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    clm_identity_done(&identity);
}

/* Were it cut, it would be another directory's key. */
static void directory_that_is_too_long_is_refused_not_cut(void **state)
{
    struct fixture *f = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf ca = CLM_BUF_INIT(100);
    struct clm_identity_pending pending;
    struct clm_identity identity = {.generation = 1};
    struct clm_key *key = NULL;
    struct clm_err err = {0};
    size_t len = strlen(f->dir);

    memset(f->dir + len, '/', sizeof(f->dir) - 1 - len);
    f->dir[sizeof(f->dir) - 1] = '\0';
    assert_int_not_equal(clm_identity_load(f->dir, &identity, &err), CLM_OK);
    assert_non_null(strstr(err.msg, "File name too long"));
    assert_int_not_equal(clm_identity_begin(f->dir, "renew", "", &pending, NULL), CLM_OK);
    assert_int_not_equal(clm_identity_commit(f->dir, &identity, "", NULL, NULL), CLM_OK);
    assert_int_not_equal(clm_identity_check(f->dir, "", NULL), CLM_OK);
    assert_int_not_equal(clm_identity_device_key(f->dir, &key, NULL), CLM_OK);
    assert_int_not_equal(clm_identity_read_ca(f->dir, &ca, NULL), CLM_OK);
    f->dir[len] = '\0';
    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_E_NOTFOUND);
}

static void keys_are_for_us_alone(void **state)
{
    static const char *const names[] = {"tls.key", "tls.pem", "device.key", "agent.json"};
    const struct fixture *f = *state;
    struct clm_key *device = NULL;
    char path[PATH_MAX];
    struct stat st;

    become_agent(f->dir, 1);
    assert_int_equal(clm_identity_device_key(f->dir, &device, NULL), CLM_OK);
    clm_key_free(device);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(clm_identity_path(f->dir, names[i], path, NULL), CLM_OK);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
}

static void device_key_is_made_once(void **state)
{
    const struct fixture *f = *state;
    char first[65];
    char second[65];
    struct clm_key *key = NULL;

    assert_int_equal(clm_identity_device_key(f->dir, &key, NULL), CLM_OK);
    assert_int_equal(clm_key_spki_sha256_hex(key, first, NULL), CLM_OK);
    clm_key_free(key);
    assert_int_equal(clm_identity_device_key(f->dir, &key, NULL), CLM_OK);
    assert_int_equal(clm_key_spki_sha256_hex(key, second, NULL), CLM_OK);
    clm_key_free(key);
    assert_string_equal(first, second);
}

static void new_identity_replaces_the_old_one(void **state)
{
    const struct fixture *f = *state;
    struct clm_identity identity;
    char path[PATH_MAX];
    CLM_CLEANUP(clm_buf_done) struct clm_buf ca = CLM_BUF_INIT(1000);

    become_agent(f->dir, 1);
    become_agent(f->dir, 2);
    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    assert_string_equal(identity.agent_id, A_AGENT);
    assert_string_equal(identity.tenant, "acme");
    assert_string_equal(identity.urls.v[0], "https://cp.example");
    assert_int_equal(identity.generation, 2);
    clm_identity_done(&identity);
    assert_true(pair_fits(f->dir));
    assert_int_equal(clm_identity_read_ca(f->dir, &ca, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&ca), "THE CA");
    assert_int_equal(clm_identity_path(f->dir, "next.key", path, NULL), CLM_OK);
    assert_int_equal(clm_fs_exists(path), 0);
}

static void certificate_for_another_key_is_refused(void **state)
{
    const struct fixture *f = *state;
    struct clm_identity_pending pending;
    struct clm_identity now = {.agent_id = A_AGENT, .generation = 2};
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);

    become_agent(f->dir, 1);
    assert_int_equal(clm_strs_add(&now.urls, "https://cp.example", NULL), CLM_OK);
    assert_int_equal(clm_identity_begin(f->dir, "renew", "", &pending, NULL), CLM_OK);
    issue_for(&pending.csr_der, A_AGENT, &pem);
    clm_identity_pending_done(&pending);
    assert_int_equal(clm_identity_abandon(f->dir, NULL), CLM_OK);
    assert_int_equal(clm_identity_begin(f->dir, "renew", "", &pending, NULL), CLM_OK);
    assert_int_equal(clm_identity_commit(f->dir, &now, clm_buf_str(&pem), NULL, NULL),
                     CLM_E_CRYPTO);
    assert_int_equal(clm_identity_commit(f->dir, &now, "rubbish", NULL, NULL), CLM_E_NOTFOUND);
    assert_true(pair_fits(f->dir));
    clm_identity_pending_done(&pending);
    clm_identity_done(&now);
}

/* ---- renewal ---- */

struct server {
    const char *problem; /* NULL: issues */
    int status;
    const char *agent_id; /* in the certificate */
    int64_t generation;
    unsigned calls;
    char last_body[8192];
};

/* Issues for whatever request is in the body, like a control plane that never says no. */
static enum clm_code serve(void *ctx, const struct clm_http_request *request,
                           struct clm_http_response *out, struct clm_err *err)
{
    struct server *s = ctx;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);

    s->calls++;
    (void)snprintf(s->last_body, sizeof(s->last_body), "%s", (const char *)request->body);
    *out = (struct clm_http_response){.status = 200};
    (void)snprintf(out->request_id, sizeof(out->request_id), "%s", A_REQUEST_ID);
    (void)snprintf(out->content_type, sizeof(out->content_type), "application/json");
    out->body.max = request->response_max;
    assert_int_equal(
        clm_json_parse(request->body, request->body_len, CLM_JSON_TEXT_MAX, &body, NULL), CLM_OK);
    const char *csr = clm_json_text(clm_json_get(body, "csr"));
    bool wants_nonce = strstr(request->url, "/recover") != NULL && csr == NULL;
    if (s->problem != NULL || wants_nonce) {
        (void)snprintf(out->content_type, sizeof(out->content_type), "application/problem+json");
        out->status = wants_nonce ? 401 : s->status;
        clm_json_set_str(answer, "code", wants_nonce ? "nonce-required" : s->problem);
        clm_json_set_str(answer, "nonce", "9JbU0v3mR1oQ7Yk2");
    } else {
        assert_non_null(csr);
        assert_int_equal(clm_b64url_decode(csr, strlen(csr), &der, NULL), CLM_OK);
        issue_for(&der, s->agent_id, &pem);
        clm_json_set_int(answer, "generation", s->generation);
        clm_json_set_str(answer, "certificate", clm_buf_str(&pem));
        clm_json_set_str(answer, "not_after", "2030-01-01T00:00:00Z");
        clm_json_set_str(answer, "renew_after", "2029-01-01T00:00:00Z");
    }
    return clm_json_print(answer, false, &out->body, err);
}

static struct clm_api *server_api(struct server *s)
{
    struct clm_strs urls = {0};
    struct clm_api *api = NULL;

    assert_int_equal(clm_strs_add(&urls, "https://cp.example", NULL), CLM_OK);
    const struct clm_api_opts opts = {.urls = &urls, .boot_id = BOOT, .http = serve, .http_ctx = s};
    assert_int_equal(clm_api_new(&opts, &api, NULL), CLM_OK);
    clm_strs_done(&urls);
    return api;
}

static enum clm_code renew(const struct fixture *f, struct server *s, struct clm_err *err)
{
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = server_api(s);
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};

    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    return clm_identity_renew(f->dir, api, &identity, BOOT, "half-life", err);
}

static int64_t generation_of(const struct fixture *f)
{
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};

    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    return identity.generation;
}

static void renewal_brings_the_next_generation(void **state)
{
    const struct fixture *f = *state;
    struct server s = {.agent_id = A_AGENT, .generation = 2};
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};

    become_agent(f->dir, 1);
    assert_int_equal(renew(f, &s, NULL), CLM_OK);
    assert_non_null(strstr(s.last_body, "\"generation\":1"));
    assert_non_null(strstr(s.last_body, "\"reason\":\"half-life\""));
    assert_null(strstr(s.last_body, "PRIVATE"));
    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    assert_int_equal(identity.generation, 2);
    assert_int_equal(identity.not_after_s, 1893456000);
    assert_int_equal(identity.enrolled_at_s, 1);
    assert_true(pair_fits(f->dir));
}

static void lost_answer_is_asked_for_with_the_same_request(void **state)
{
    const struct fixture *f = *state;
    struct server s = {.problem = "internal", .status = 503, .agent_id = A_AGENT, .generation = 2};
    char first[8192];

    become_agent(f->dir, 1);
    assert_int_equal(renew(f, &s, NULL), CLM_E_REMOTE);
    memcpy(first, s.last_body, sizeof(first));
    s.problem = NULL;
    assert_int_equal(renew(f, &s, NULL), CLM_OK);
    assert_string_equal(first, s.last_body);
    assert_true(pair_fits(f->dir));
}

static void answers_that_are_not_for_us_change_nothing(void **state)
{
    const struct fixture *f = *state;
    struct server other = {.agent_id = B_AGENT, .generation = 2};
    struct server zero = {.agent_id = A_AGENT, .generation = 0};
    struct server clone = {.problem = "clone-suspected", .status = 409};
    struct clm_err err = {0};

    become_agent(f->dir, 1);
    assert_int_equal(renew(f, &other, &err), CLM_E_CRYPTO);
    assert_non_null(strstr(err.msg, A_AGENT));
    assert_int_equal(renew(f, &zero, NULL), CLM_E_LIMIT);
    assert_int_equal(renew(f, &clone, &err), CLM_E_CONFLICT);
    assert_non_null(strstr(err.msg, "cloned"));
    assert_int_equal(generation_of(f), 1);
    assert_true(pair_fits(f->dir));
}

static void recovery_signs_the_nonce_with_the_device_key(void **state)
{
    const struct fixture *f = *state;
    struct server s = {.agent_id = A_AGENT, .generation = 5};
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = server_api(&s);
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};
    struct clm_api_response answer = {0};

    become_agent(f->dir, 1);
    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    assert_int_equal(clm_identity_recover(f->dir, api, &identity, &answer, NULL), CLM_OK);
    clm_api_response_done(&answer);
    assert_int_equal(s.calls, 2);
    assert_non_null(strstr(s.last_body, "\"proof\":{"));
    assert_non_null(strstr(s.last_body, "\"signature\""));
    assert_int_equal(generation_of(f), 5);
    assert_true(pair_fits(f->dir));
}

static void refused_recovery_keeps_everything(void **state)
{
    const struct fixture *f = *state;
    struct server s = {.problem = "recovery-needs-approval", .status = 403};
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = server_api(&s);
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};
    struct clm_api_response answer = {0};

    become_agent(f->dir, 1);
    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    assert_int_equal(clm_identity_recover(f->dir, api, &identity, &answer, NULL), CLM_E_REMOTE);
    assert_string_equal(answer.problem, "recovery-needs-approval");
    clm_api_response_done(&answer);
    assert_int_equal(generation_of(f), 1);
    assert_true(pair_fits(f->dir));
}

static enum clm_code say(void *ctx, const struct clm_http_request *request,
                         struct clm_http_response *out, struct clm_err *err)
{
    const char *body = ctx;

    *out = (struct clm_http_response){.status = strstr(body, "code") == NULL ? 200 : 401};
    (void)snprintf(out->request_id, sizeof(out->request_id), "%s", A_REQUEST_ID);
    (void)snprintf(out->content_type, sizeof(out->content_type), "%s",
                   out->status == 200 ? "application/json" : "application/problem+json");
    out->body.max = request->response_max;
    return clm_buf_add_str(&out->body, body, err);
}

static void recovery_without_a_nonce_is_none(void **state)
{
    static const struct {
        const char *body;
        const char *says;
    } rows[] = {
        {"{\"certificate\":\"x\"}", "sent no nonce"},
        {"{\"code\":\"nonce-required\"}", "/nonce: missing"},
    };
    const struct fixture *f = *state;
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};

    become_agent(f->dir, 1);
    assert_int_equal(clm_identity_load(f->dir, &identity, NULL), CLM_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[64];
        const struct clm_api_opts opts = {
            .urls = &identity.urls, .boot_id = BOOT, .http = say, .http_ctx = body};
        CLM_CLEANUP(clm_api_free_p) struct clm_api *api = NULL;
        struct clm_api_response answer = {0};
        struct clm_err err = {0};

        (void)snprintf(body, sizeof(body), "%s", rows[i].body);
        assert_int_equal(clm_api_new(&opts, &api, NULL), CLM_OK);
        assert_int_equal(clm_identity_recover(f->dir, api, &identity, &answer, &err), CLM_E_PARSE);
        assert_non_null(strstr(err.msg, rows[i].says));
        clm_api_response_done(&answer);
    }
    assert_int_equal(generation_of(f), 1);
}

static void half_life_has_a_tenth_of_spread(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        assert_in_range(clm_identity_half_life(1000000, 1000000 + 1000), 1000450, 1000550);
    }
    assert_int_equal(clm_identity_half_life(1000, 1000), 1000);
    assert_int_equal(clm_identity_half_life(1000, 10), 1000);
    /* the year 9999: a tenth of that is more than a random number can say */
    assert_in_range(clm_identity_half_life(0, 253402300799), 253402300799 * 45 / 100,
                    253402300799 * 45 / 100 + INT32_MAX);
}

#ifdef CLM_TEST_HOOKS
/* Ends the process at every durable operation of a renewal. Afterwards either the old or the new
 * identity is in force, key and certificate fit, and the next renewal succeeds. */
static void crash_at_any_point_of_a_renewal_leaves_a_whole_identity(void **state)
{
    const struct fixture *f = *state;
    int64_t generation = 1;

    become_agent(f->dir, 1);
    for (unsigned n = 1; n < 200; n++) {
        struct server s = {.agent_id = A_AGENT, .generation = generation + 1};
        pid_t pid = fork();
        int status = -1;

        assert_true(pid >= 0);
        if (pid == 0) {
            clm_fs_crash_at(n);
            _exit(renew(f, &s, NULL) == CLM_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_not_equal(WEXITSTATUS(status), 1);
        int64_t now = generation_of(f);
        assert_true(now == generation || now == generation + 1);
        assert_true(pair_fits(f->dir));
        if (WEXITSTATUS(status) == 0) {
            assert_int_equal(now, generation + 1);
            assert_true(n > 10);
            return;
        }
        generation = now;
    }
    fail_msg("the renewal never ended");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(without_identity_there_is_advice),
        WITH(request_stays_the_same_until_it_is_answered),
        WITH(recovery_takes_over_the_request_of_a_renewal),
        WITH(damaged_request_is_made_anew),
        WITH(damaged_identity_is_told_member_by_member),
        WITH(url_of_the_identity_has_a_limit),
        WITH(damaged_change_is_not_finished_and_harms_nothing),
        WITH(directory_that_is_too_long_is_refused_not_cut),
        WITH(keys_are_for_us_alone),
        WITH(device_key_is_made_once),
        WITH(new_identity_replaces_the_old_one),
        WITH(certificate_for_another_key_is_refused),
        WITH(renewal_brings_the_next_generation),
        WITH(lost_answer_is_asked_for_with_the_same_request),
        WITH(answers_that_are_not_for_us_change_nothing),
        WITH(recovery_signs_the_nonce_with_the_device_key),
        WITH(refused_recovery_keeps_everything),
        WITH(recovery_without_a_nonce_is_none),
        WITH(half_life_has_a_tenth_of_spread),
#ifdef CLM_TEST_HOOKS
        WITH(crash_at_any_point_of_a_renewal_leaves_a_whole_identity),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
