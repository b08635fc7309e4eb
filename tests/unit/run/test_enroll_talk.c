/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation of an enrolment with a control plane that answers in every way it may. */
#include "tests/unit/run/wire.h"

#include "agent/crypto/token.h"
#include "agent/run/enroll.h"

#define ENROLL_ID "enr_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define NONCE                                                                                      \
    {                                                                                              \
        "GET", "/enroll/nonce", 200, "{\"nonce\":\"9JbU0v3mR1oQ7Yk2\"}", 0                         \
    }
#define CACERTS                                                                                    \
    {                                                                                              \
        "GET", "/cacerts", 200, f.ca_text, 0                                                       \
    }
#define PENDING "{\"enroll_id\":\"" ENROLL_ID "\"}"

static struct {
    struct home home;
    char dir[PATH_MAX];
    char ca_text[CLM_CHAIN_PEM_MAX];
    struct clm_buf token;
    struct clm_enroll_opts opts;
    int64_t slept_ms;
    unsigned n_pending;
    unsigned n_trust;
    enum clm_code trust_code;
} f;

enum clm_code __wrap_clm_http_fetch_unverified(const char *url, const char *proxy,
                                               uint32_t timeout_ms, struct clm_http_response *out,
                                               struct clm_err *err);
enum clm_code __wrap_clm_http_fetch_unverified(const char *url, const char *proxy,
                                               uint32_t timeout_ms, struct clm_http_response *out,
                                               struct clm_err *err)
{
    const struct clm_http_request request = {
        .method = "GET", .url = url, .response_max = CLM_HTTP_UNVERIFIED_MAX};

    (void)proxy;
    (void)timeout_ms;
    return plane_http(&wire, &request, out, err);
}

void __wrap_clm_clock_sleep_ms(int64_t ms);
void __wrap_clm_clock_sleep_ms(int64_t ms)
{
    f.slept_ms += ms;
}

static enum clm_code take_trust(void *arg, const struct clm_json *body, struct clm_err *err)
{
    (void)arg;
    f.n_trust++;
    assert_string_equal(clm_json_text(clm_json_get(body, "agent_id")), A_AGENT);
    assert_string_equal(clm_json_text(clm_json_get(body, "ca_pem")), f.ca_text);
    assert_memory_equal(clm_json_text(clm_json_first(clm_json_get(body, "pins"))), "sha256/", 7);
    return f.trust_code == CLM_OK ? CLM_OK
                                  : clm_err_set(err, f.trust_code, "the host half is away");
}

static void note_pending(void *arg, const char *fingerprint, uint32_t waited_s)
{
    (void)arg;
    (void)waited_s;
    assert_int_equal(strlen(fingerprint), 14);
    f.n_pending++;
}

/* A CA of its own: the control plane's. */
static void make_ca(struct clm_buf *out_pem)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    const struct clm_ca_issue issue = {.common_name = "control plane",
                                       .not_before_s = clm_clock_now_s() - 3600,
                                       .not_after_s = clm_clock_now_s() + 86400,
                                       .is_ca = true};

    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &key, NULL), CLM_OK);
    assert_int_equal(clm_ca_self_signed(rng, key, &issue, out_pem, NULL), CLM_OK);
}

static void make_token(const char *const *urls, size_t n)
{
    struct clm_token token = {
        .id = "tok_01J9ZK3W5V7M2Q8R4T6Y0X1B3C", .n_pins = 1, .exp_s = clm_clock_now_s() + 3600};
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};

    memset(token.secret, 7, sizeof(token.secret));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(clm_strs_add(&token.urls, urls[i], NULL), CLM_OK);
    }
    assert_int_equal(
        clm_cert_chain_from_pem((const uint8_t *)f.ca_text, strlen(f.ca_text), &chain, NULL),
        CLM_OK);
    assert_int_equal(clm_cert_info(chain, 0, &info, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_SHA256_SIZE; i++) {
        unsigned byte = 0;

        assert_int_equal(sscanf(info.spki_sha256 + 2 * i, "%2x", &byte), 1);
        token.pins[0][i] = (uint8_t)byte;
    }
    clm_buf_done(&f.token);
    f.token.max = CLM_TOKEN_TEXT_MAX;
    f.token.secret = true;
    assert_int_equal(clm_token_make(&token, &f.token, NULL), CLM_OK);
    clm_token_done(&token);
}

static int setup(void **state)
{
    static const char *const urls[] = {"https://one.example", "https://two.example"};
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);

    (void)state;
    memset(&f, 0, sizeof(f));
    home_open(&f.home);
    assert_int_equal(clm_net_path(&f.home.config, f.dir, NULL, "identity"), CLM_OK);
    make_ca(&pem);
    (void)snprintf(f.ca_text, sizeof(f.ca_text), "%s", clm_buf_str(&pem));
    make_token(urls, 2);
    f.opts = (struct clm_enroll_opts){.token = clm_buf_str(&f.token),
                                      .token_len = f.token.len,
                                      .approval_wait_s = 40,
                                      .on_trust = take_trust,
                                      .on_pending = note_pending};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clm_buf_done(&f.token);
    home_close(&f.home);
    return 0;
}

static enum clm_code enroll(const struct plane_row *rows, size_t n, struct clm_err *err)
{
    wire_set(rows, n);
    return clm_enroll(&f.home.config, &f.opts, err);
}

static bool is_enrolled(void)
{
    struct clm_identity identity;
    bool is = clm_identity_load(f.dir, &identity, NULL) == CLM_OK && pair_fits(f.dir);

    clm_identity_done(&identity);
    return is;
}

static void first_answer_may_be_the_identity(void **state)
{
    const struct plane_row rows[] = {CACERTS, NONCE, {"POST", "/enroll", 201, "MAKE", 0}};

    (void)state;
    assert_int_equal(enroll(rows, 3, NULL), CLM_OK);
    assert_true(is_enrolled());
    assert_int_equal(f.n_trust, 1);
    assert_int_equal(f.n_pending, 0);
}

static void operator_may_take_his_time(void **state)
{
    const struct plane_row rows[] = {
        CACERTS,
        NONCE,
        {"POST", "/enroll", 202, PENDING, 0},
        {"GET", "/enroll/" ENROLL_ID, 503, "{\"code\":\"draining\"}", 1},
        {"GET", "/enroll/" ENROLL_ID, 200, "MAKE", 0},
    };

    (void)state;
    assert_int_equal(enroll(rows, 5, NULL), CLM_OK);
    assert_true(is_enrolled());
    assert_int_equal(f.n_pending, 2);
    assert_int_equal(f.slept_ms, 30000);
}

static void url_that_does_not_answer_is_passed_over(void **state)
{
    const struct plane_row rows[] = {{"GET", "one.example/agent/v1/cacerts", 0, NULL, 0},
                                     CACERTS,
                                     {"GET", "one.example", 0, NULL, 0},
                                     {"POST", "one.example", 0, NULL, 0},
                                     NONCE,
                                     {"POST", "/enroll", 201, "MAKE", 0}};

    (void)state;
    f.opts.on_trust = NULL;
    assert_int_equal(enroll(rows, 6, NULL), CLM_OK);
    assert_true(is_enrolled());
}

static void whatever_goes_wrong_is_told_and_leaves_no_identity(void **state)
{
    static char other_ca[CLM_CHAIN_PEM_MAX];
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    const struct {
        struct plane_row rows[5];
        enum clm_code code;
        const char *message;
    } cases[] = {
        {{{"GET", "/cacerts", 404, "", 0}}, CLM_E_NET, "no CA certificates"},
        {{{"GET", "/cacerts", 200, "hello", 0}}, CLM_E_NOTFOUND, "CA certificates of https://one"},
        {{{"GET", "/cacerts", 200, other_ca, 0}}, CLM_E_CRYPTO, "matches the pin in the token"},
        {{{"GET", "/cacerts", 0, NULL, 0}}, CLM_E_NET, "connection refused"},
        {{CACERTS, {"GET", "/nonce", 200, "{}", 0}}, CLM_E_PARSE, "nonce"},
        {{CACERTS, {"GET", "/nonce", 0, NULL, 0}}, CLM_E_NET, "connection refused"},
        {{CACERTS, NONCE, {"POST", "/enroll", 403, "{\"code\":\"enroll-denied\"}", 0}},
         CLM_E_AUTH,
         "an operator denied this enrolment (" A_REQUEST_ID ")"},
        {{CACERTS, NONCE, {"POST", "/enroll", 403, "{\"code\":\"x\"}", 0}},
         CLM_E_AUTH,
         "does not accept this join token"},
        {{CACERTS, NONCE, {"POST", "/enroll", 401, "{\"code\":\"x\"}", 0}},
         CLM_E_AUTH,
         "does not accept this join token"},
        {{CACERTS, NONCE, {"POST", "/enroll", 500, "{\"code\":\"bug\"}", 0}}, CLM_E_REMOTE, "bug"},
        {{CACERTS, NONCE, {"POST", "/enroll", 201, "{}", 0}}, CLM_E_PARSE, "trust"},
        {{CACERTS, NONCE, {"POST", "/enroll", 201, "{\"trust\":{}}", 0}}, CLM_E_PARSE, "identity"},
        {{CACERTS, NONCE, {"POST", "/enroll", 202, "{}", 0}}, CLM_E_PARSE, "enroll_id"},
        {{CACERTS,
          NONCE,
          {"POST", "/enroll", 202, PENDING, 0},
          {"GET", "/enroll/" ENROLL_ID, 403, "{\"code\":\"enroll-denied\"}", 0}},
         CLM_E_AUTH,
         "an operator denied"},
        {{CACERTS,
          NONCE,
          {"POST", "/enroll", 202, PENDING, 0},
          {"GET", "/enroll/" ENROLL_ID, 202, PENDING, 0}},
         CLM_E_TIMEOUT,
         "approve it there, then run the same command again"},
    };

    (void)state;
    make_ca(&pem);
    (void)snprintf(other_ca, sizeof(other_ca), "%s", clm_buf_str(&pem));
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_err err = {0};
        size_t n = 0;

        while (n < 5 && cases[i].rows[n].method != NULL) {
            n++;
        }
        f.slept_ms = 0;
        enum clm_code code = enroll(cases[i].rows, n, &err);
        if (code != cases[i].code || strstr(err.msg, cases[i].message) == NULL) {
            fail_msg("row %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
        assert_false(is_enrolled());
        assert_int_equal(f.n_trust, 0);
        assert_true(f.slept_ms <= 40000);
    }
}

static void host_half_that_does_not_take_the_trust_keeps_the_host_out(void **state)
{
    const struct plane_row rows[] = {CACERTS, NONCE, {"POST", "/enroll", 201, "MAKE", 0}};
    struct clm_err err = {0};

    (void)state;
    f.trust_code = CLM_E_NET;
    assert_int_equal(enroll(rows, 3, &err), CLM_E_NET);
    assert_string_equal(err.msg, "the host half is away");
    assert_false(is_enrolled());
    f.trust_code = CLM_OK;
    assert_int_equal(enroll(rows, 3, NULL), CLM_OK);
    assert_true(is_enrolled());
}

/* ---- while calls of libc fail ---- */

static enum clm_code enroll_anew(void *arg, struct clm_err *err)
{
    const struct plane_row rows[] = {
        CACERTS,
        NONCE,
        {"POST", "/enroll", 202, PENDING, 0},
        {"GET", "/enroll/" ENROLL_ID, 200, "MAKE", 0},
    };

    (void)arg;
    return enroll(rows, 4, err);
}

static void identity_is_whole_or_none(void *arg, enum clm_code code, const char *what)
{
    struct clm_identity identity;
    enum clm_code loaded = clm_identity_load(f.dir, &identity, NULL);

    (void)arg;
    clm_identity_done(&identity);
    if ((loaded != CLM_OK && (loaded != CLM_E_NOTFOUND || code == CLM_OK)) ||
        (loaded == CLM_OK && !pair_fits(f.dir))) {
        fail_msg("%s: %s, and the identity: %s", what == NULL ? "undisturbed" : what,
                 clm_code_name(code), clm_code_name(loaded));
    }
}

static void the_same_call_goes_on_after_any_failure(void **state)
{
    const struct clm_sabotage plan = {.act = enroll_anew, .after = identity_is_whole_or_none};

    (void)state;
    f.opts.force = true; /* it succeeds now and then */
    assert_true(clm_sabotage_run(&plan, NULL) > 100);
    assert_true(is_enrolled());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(first_answer_may_be_the_identity),
        WITH(operator_may_take_his_time),
        WITH(url_that_does_not_answer_is_passed_over),
        WITH(whatever_goes_wrong_is_told_and_leaves_no_identity),
        WITH(host_half_that_does_not_take_the_trust_keeps_the_host_out),
        WITH(the_same_call_goes_on_after_any_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
