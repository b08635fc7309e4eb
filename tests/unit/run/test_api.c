/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run/world.h"

#define PROBLEM                                                                                    \
    "{\"type\":\"https://clmbot.dev/problems/stale-fence\",\"title\":\"Lease\",\"status\":409,"    \
    "\"detail\":\"fence 7 is older\",\"code\":\"stale-fence\",\"retryable\":false}"

static enum clm_code call(struct script *s, const struct clm_api_request *request,
                          struct clm_api_response *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = script_api(s);

    return clm_api_call(api, request, out, err);
}

static void headers_say_who_asks_and_what(void **state)
{
    const struct exchange list[] = {
        {"POST", "/agent/v1/x", "\"a\":1", 200, NULL, "{}", NULL, NULL, 0}};
    struct script s = {.list = list, .n = 1};
    struct clm_api_response out;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_api_request request = {
        .method = "POST", .path = "/agent/v1/x", .body = body, .idempotency_key = "K1"};

    (void)state;
    clm_json_set_int(body, "a", 1);
    assert_int_equal(call(&s, &request, &out, NULL), CLM_OK);
    assert_non_null(strstr(s.headers, "Clm-Protocol: 1\n"));
    assert_non_null(strstr(s.headers, "User-Agent: clmbot/"));
    assert_non_null(strstr(s.headers, "Clm-Boot: 01J9ZK5D0B2M4N6P8Q0R2S4T6V\n"));
    assert_non_null(strstr(s.headers, "Idempotency-Key: K1\n"));
    assert_non_null(strstr(s.headers, "Content-Type: application/json; charset=utf-8\n"));
    clm_api_response_done(&out);
}

static void key_of_a_post_follows_from_path_and_body(void **state)
{
    const struct exchange one = {"POST", "/", NULL, 200, NULL, "{}", NULL, NULL, 0};
    const struct exchange list[] = {one, one, one, one};
    struct script s = {.list = list, .n = 4};
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = script_api(&s);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    struct clm_api_request request = {.method = "POST", .path = "/a", .body = body};
    struct clm_api_response out;
    char seen[4][4096];

    (void)state;
    for (int i = 0; i < 4; i++) {
        request.path = i == 2 ? "/b" : "/a";
        if (i == 3) {
            clm_json_set_int(body, "n", 1);
        }
        assert_int_equal(clm_api_call(api, &request, &out, NULL), CLM_OK);
        memcpy(seen[i], s.headers, sizeof(s.headers));
        assert_non_null(strstr(seen[i], "Idempotency-Key: "));
        clm_api_response_done(&out);
    }
    assert_string_equal(seen[0], seen[1]);
    assert_string_not_equal(seen[0], seen[2]);
    assert_string_not_equal(seen[0], seen[3]);
}

static void get_and_poll_have_no_key(void **state)
{
    const struct exchange list[] = {{"GET", "/", NULL, 200, NULL, "{}", NULL, NULL, 0},
                                    {"POST", "/", NULL, 204, "", NULL, NULL, NULL, 0}};
    struct script s = {.list = list, .n = 2};
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = script_api(&s);
    const struct clm_api_request get = {.method = "GET", .path = "/a"};
    const struct clm_api_request poll = {.method = "POST", .path = "/p", .idempotency_key = ""};
    struct clm_api_response out;

    (void)state;
    assert_int_equal(clm_api_call(api, &get, &out, NULL), CLM_OK);
    assert_null(strstr(s.headers, "Idempotency-Key"));
    clm_api_response_done(&out);
    assert_int_equal(clm_api_call(api, &poll, &out, NULL), CLM_OK);
    assert_null(strstr(s.headers, "Idempotency-Key"));
    assert_null(out.json);
    assert_int_equal(out.status, 204);
    clm_api_response_done(&out);
}

static void answers_of_others_are_never_believed(void **state)
{
    static const struct {
        struct exchange e;
        const char *why;
    } rows[] = {
        {{"GET", "/", NULL, 200, "text/html", "<html>login</html>", NULL, NULL, 0}, "portal"},
        {{"GET", "/", NULL, 200, NULL, "{}", "", NULL, 0}, "JSON, but no Clm-Request-Id"},
        {{"GET", "/", NULL, 204, "", NULL, "", NULL, 0}, "204 without Clm-Request-Id"},
        {{"GET", "/", NULL, 200, NULL, "<html>", NULL, NULL, 0}, "JSON by its type only"},
        {{"GET", "/", NULL, 200, NULL, "", NULL, NULL, 0}, "empty"},
        {{"GET", "/", NULL, 200, NULL, "[]", NULL, NULL, 0}, "no object"},
        {{"GET", "/", NULL, 200, NULL, "{\"a\":1,\"a\":2}", NULL, NULL, 0}, "duplicate key"},
        {{"GET", "/", NULL, 200, NULL, "{} ...", NULL, NULL, 0}, "trailing bytes"},
        {{"GET", "/", NULL, 302, "text/html", "", NULL, NULL, 0}, "redirect"},
        {{"GET", "/", NULL, 308, NULL, "{}", NULL, NULL, 0}, "permanent redirect"},
        {{"GET", "/", NULL, 403, "text/html", "<html>WAF</html>", NULL, NULL, 0}, "firewall page"},
        {{"GET", "/", NULL, 404, "application/json", "{}", NULL, NULL, 0}, "no problem document"},
        {{"GET", "/", NULL, 410, NULL, "gone", NULL, NULL, 0}, "undecodable problem"},
        {{"GET", "/", NULL, 410, NULL, PROBLEM, "", NULL, 0}, "problem without Clm-Request-Id"},
        {{"GET", "/", NULL, 410, NULL, "[]", NULL, NULL, 0}, "problem that is no object"},
        {{"GET", "/", NULL, 502, "text/html", "Bad Gateway", "", NULL, 0}, "gateway"},
        {{"GET", "/", NULL, 0, NULL, NULL, NULL, NULL, 0}, "no connection"},
    };
    const struct clm_api_request request = {.method = "GET", .path = "/x"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct script s = {.list = &rows[i].e, .n = 1};
        struct clm_api_response out;
        struct clm_err err = {0};
        enum clm_code code = call(&s, &request, &out, &err);

        if (code != CLM_E_NET || !clm_api_may_retry(code, &out) || out.status != 0 ||
            out.problem[0] != '\0') {
            fail_msg("row %zu (%s): %d %d %s", i, rows[i].why, code, out.status, err.msg);
        }
        clm_api_response_done(&out);
    }
}

static void problems_are_decoded(void **state)
{
    const struct exchange list[] = {{"POST", "/", NULL, 409, NULL, PROBLEM, NULL, "canceling", 17}};
    struct script s = {.list = list, .n = 1};
    const struct clm_api_request request = {.method = "POST", .path = "/x"};
    struct clm_api_response out;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(call(&s, &request, &out, &err), CLM_E_REMOTE);
    assert_int_equal(err.remote_status, 409);
    assert_int_equal(err.retry_after_s, 17);
    assert_string_equal(out.problem, "stale-fence");
    assert_string_equal(out.detail, "fence 7 is older");
    assert_string_equal(out.job_state, "canceling");
    assert_false(clm_api_may_retry(CLM_E_REMOTE, &out));
    assert_non_null(strstr(err.msg, A_REQUEST_ID));
    clm_api_response_done(&out);
}

static void what_may_be_tried_again(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum clm_code code;
        bool retry;
    } rows[] = {
        {400, "{\"code\":\"malformed\"}", CLM_E_REMOTE, false},
        {401, "{\"code\":\"cert-expired\"}", CLM_E_AUTH, false},
        {403, "{\"code\":\"agent-disabled\"}", CLM_E_REMOTE, false},
        {404, "{\"code\":\"job-unknown\"}", CLM_E_REMOTE, false},
        {408, "{}", CLM_E_REMOTE, true},
        {409, "{\"code\":\"idempotency-in-progress\",\"retryable\":true}", CLM_E_REMOTE, true},
        {422, "{\"code\":\"policy\"}", CLM_E_REMOTE, false},
        {425, "{}", CLM_E_REMOTE, true},
        {429, "{\"code\":\"rate-limited\"}", CLM_E_REMOTE, true},
        {500, "{\"code\":\"internal\"}", CLM_E_REMOTE, true},
        {503, "{\"code\":\"draining\",\"retryable\":true}", CLM_E_REMOTE, true},
        {503, "{\"code\":\"x\",\"retryable\":false}", CLM_E_REMOTE, false},
        {500, "{\"retryable\":\"yes\"}", CLM_E_REMOTE, true},
        {422, "{\"code\":7,\"title\":\"x\"}", CLM_E_REMOTE, false},
    };
    const struct clm_api_request request = {.method = "GET", .path = "/x"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct exchange e = {"GET", "/",  NULL, rows[i].status, NULL, rows[i].body,
                                   NULL,  NULL, 0};
        struct script s = {.list = &e, .n = 1};
        struct clm_api_response out;
        enum clm_code code = call(&s, &request, &out, NULL);

        if (code != rows[i].code || clm_api_may_retry(code, &out) != rows[i].retry) {
            fail_msg("row %zu: %d", i, code);
        }
        clm_api_response_done(&out);
    }
}

static void foreign_text_cannot_break_lines(void **state)
{
    const struct exchange e = {
        "GET", "/",  NULL, 400, NULL, "{\"code\":\"x\",\"detail\":\"one\\ntwo\\u001b[31m\\u007f\"}",
        NULL,  NULL, 0};
    struct script s = {.list = &e, .n = 1};
    const struct clm_api_request request = {.method = "GET", .path = "/x"};
    struct clm_api_response out;

    (void)state;
    assert_int_equal(call(&s, &request, &out, NULL), CLM_E_REMOTE);
    assert_string_equal(out.detail, "one two [31m ");
    clm_api_response_done(&out);
}

static void pem_is_taken_only_as_pem(void **state)
{
    const struct exchange list[] = {
        {"GET", "/", NULL, 200, "application/pem-certificate-chain", "-----BEGIN", NULL, NULL, 0},
        {"GET", "/", NULL, 200, "text/plain", "-----BEGIN", NULL, NULL, 0}};
    struct script s = {.list = list, .n = 2};
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = script_api(&s);
    const struct clm_api_request request = {.method = "GET", .path = "/c", .wants_text = true};
    struct clm_api_response out;

    (void)state;
    assert_int_equal(clm_api_call(api, &request, &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out.text), "-----BEGIN");
    clm_api_response_done(&out);
    assert_int_equal(clm_api_call(api, &request, &out, NULL), CLM_E_NET);
    clm_api_response_done(&out);
}

static void next_url_is_tried_and_the_good_one_kept(void **state)
{
    const struct exchange list[] = {
        {"GET", "https://a.example/x", NULL, 0, NULL, NULL, NULL, NULL, 0},
        {"GET", "https://b.example/x", NULL, 200, NULL, "{}", NULL, NULL, 0},
        {"GET", "https://b.example/x", NULL, 200, NULL, "{}", NULL, NULL, 0}};
    struct script s = {.list = list, .n = 3};
    struct clm_strs urls = {0};
    struct clm_api *api = NULL;
    struct clm_api_response out;
    const struct clm_api_request request = {.method = "GET", .path = "/x"};

    (void)state;
    assert_int_equal(clm_strs_add(&urls, "https://a.example", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&urls, "https://b.example", NULL), CLM_OK);
    const struct clm_api_opts opts = {
        .urls = &urls, .boot_id = "", .http = script_http, .http_ctx = &s};
    assert_int_equal(clm_api_new(&opts, &api, NULL), CLM_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clm_api_call(api, &request, &out, NULL), CLM_OK);
        clm_api_response_done(&out);
        assert_string_equal(clm_api_url(api), "https://b.example");
    }
    assert_null(strstr(s.headers, "Clm-Boot"));
    clm_api_free(api);
    clm_strs_done(&urls);
    assert_int_equal(clm_api_new(&opts, &api, NULL), CLM_E_INVAL);
}

static void not_modified_has_no_body(void **state)
{
    const struct exchange e = {"GET", "/", NULL, 304, "text/html", "<html>", NULL, NULL, 0};
    struct script s = {.list = &e, .n = 1};
    const struct clm_api_request request = {.method = "GET", .path = "/x"};
    struct clm_api_response out;

    (void)state;
    assert_int_equal(call(&s, &request, &out, NULL), CLM_OK);
    assert_int_equal(out.status, 304);
    assert_null(out.json);
    clm_api_response_done(&out);
}

static void given_header_and_key_are_sent_as_they_are(void **state)
{
    const struct exchange e = {"POST", "/", NULL, 200, NULL, "{}", NULL, NULL, 0};
    struct script s = {.list = &e, .n = 1};
    const struct clm_api_request request = {
        .method = "POST", .path = "/x", .idempotency_key = "THE-KEY", .header = "Clm-Proof: abc"};
    struct clm_api_response out;

    (void)state;
    assert_int_equal(call(&s, &request, &out, NULL), CLM_OK);
    assert_non_null(strstr(s.headers, "Idempotency-Key: THE-KEY\n"));
    assert_non_null(strstr(s.headers, "Clm-Proof: abc\n"));
    assert_null(strstr(s.headers, "Content-Type"));
    clm_api_response_done(&out);
}

static void path_that_is_too_long_is_sent_to_nobody(void **state)
{
    struct script s = {.list = NULL};
    char path[1100];
    const struct clm_api_request request = {.method = "GET", .path = path};
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(100);
    const struct clm_config config = {.state_dir = ""};
    struct clm_api_response out;

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(call(&s, &request, &out, NULL), CLM_E_LIMIT);
    clm_api_response_done(&out);
    assert_int_equal(clm_api_fetch_cacerts(&config, path, &pem, NULL), CLM_E_LIMIT);
}

static void session_needs_what_it_trusts_and_whom_to_ask(void **state)
{
    struct home h;
    struct clm_strs none = {0};
    struct clm_identity identity = {.generation = 1};
    struct clm_api *api = NULL;
    struct clm_err err = {0};

    (void)state;
    home_open(&h);
    assert_int_equal(clm_api_open(&h.config, &identity, "B", &api, &err), CLM_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "ca.pem"));
    assert_int_not_equal(clm_api_open_anonymous(&h.config, &none, "no PEM", &api, &err), CLM_OK);
    size_t len = strlen(h.config.state_dir);
    for (size_t room = 12; room < 21; room++) { /* for no directory, for no file in it */
        size_t slashes = sizeof(h.config.state_dir) - 1 - room - len;

        memset(h.config.state_dir + len, '/', slashes);
        h.config.state_dir[len + slashes] = '\0';
        assert_int_equal(clm_api_open(&h.config, &identity, "B", &api, &err), CLM_E_LIMIT);
        h.config.state_dir[len] = '\0';
    }
    assert_null(api);
    home_close(&h);
}

static void proxy_of_the_configuration_is_taken(void **state)
{
    struct clm_config config = {.state_dir = ""};
    struct clm_strs urls = {0};
    struct clm_api *api = NULL;
    struct clm_api_response out;
    const struct clm_api_request request = {.method = "GET", .path = "/x", .timeout_ms = 2000};
    struct clm_err err = {0};

    (void)state;
    (void)snprintf(config.control_plane.proxy, sizeof(config.control_plane.proxy),
                   "http://127.0.0.1:1");
    assert_int_equal(clm_api_open_anonymous(&config, &urls, NULL, &api, &err), CLM_E_INVAL);
    assert_int_equal(clm_strs_add(&urls, "https://cp.invalid", NULL), CLM_OK);
    assert_int_equal(clm_api_open_anonymous(&config, &urls, NULL, &api, &err), CLM_OK);
    assert_int_equal(clm_api_call(api, &request, &out, &err), CLM_E_NET);
    assert_non_null(strstr(err.msg, "refused")); /* by the proxy: that name has no address */
    clm_api_response_done(&out);
    clm_api_free(api);
    clm_strs_done(&urls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_say_who_asks_and_what),
        cmocka_unit_test(key_of_a_post_follows_from_path_and_body),
        cmocka_unit_test(get_and_poll_have_no_key),
        cmocka_unit_test(answers_of_others_are_never_believed),
        cmocka_unit_test(problems_are_decoded),
        cmocka_unit_test(what_may_be_tried_again),
        cmocka_unit_test(foreign_text_cannot_break_lines),
        cmocka_unit_test(pem_is_taken_only_as_pem),
        cmocka_unit_test(next_url_is_tried_and_the_good_one_kept),
        cmocka_unit_test(not_modified_has_no_body),
        cmocka_unit_test(given_header_and_key_are_sent_as_they_are),
        cmocka_unit_test(path_that_is_too_long_is_sent_to_nobody),
        cmocka_unit_test(session_needs_what_it_trusts_and_whom_to_ask),
        cmocka_unit_test(proxy_of_the_configuration_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
