/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a port where nobody listens, by a libcurl of which one call fails before it gets there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/net/http.h"
#include "tests/support/sabotage.h"
#include "tests/unit/net/curl_fake.h"
#include "tests/unit/net/peer.h"

#define CALLS_MAX 1000

enum way {
    SESSION, /* clm_http_do() */
    UNVERIFIED,
    HERE
};

static enum clm_code no_socket(int family, int *out_fd, struct clm_err *err)
{
    (void)family;
    (void)out_fd;
    return clm_err_set(err, CLM_E_NET, "not today");
}

/* One request of that kind from a new session, with all that may be set. */
static enum clm_code ask(enum way way, const struct clm_http_request *request, struct clm_err *err)
{
    const struct clm_http_opts opts = {.ca_pem = "none",
                                       .cert_path = "/nowhere/cert.pem",
                                       .key_path = "/nowhere/key.pem",
                                       .proxy = "",
                                       .connect_timeout_ms = 2000};
    CLM_CLEANUP(clm_http_free_p) struct clm_http *http = NULL;
    struct clm_http_response out = {.status = 0};
    enum clm_code code = CLM_OK;

    switch (way) {
    case SESSION:
        code = clm_http_new(&opts, &http, err);
        code = code == CLM_OK ? clm_http_do(http, request, &out, err) : code;
        break;
    case UNVERIFIED:
        code = clm_http_fetch_unverified(request->url, NULL, 2000, &out, err);
        break;
    case HERE:
        code = clm_http_do_here(request, no_socket, &out, err);
        break;
    }
    assert_null(out.body.data);
    return code;
}

static const struct {
    const char *call;
    int rc;
    enum clm_code code;
    const char *msg;
} faults[] = {
    {"curl_easy_setopt", CURLE_OUT_OF_MEMORY, CLM_E_NOMEM, "HTTP request"},
    {"curl_easy_setopt", CURLE_UNKNOWN_OPTION, CLM_E_UNSUPPORTED, "lacks an option that is needed"},
    {"curl_easy_init", 0, CLM_E_NOMEM, "HTTP session"},
    {"curl_multi_init", 0, CLM_E_NOMEM, "HTTP session"},
    {"curl_url", 0, CLM_E_NOMEM, "URL"},
    {"curl_url_set", CURLUE_OUT_OF_MEMORY, CLM_E_NOMEM, "URL"},
    {"curl_url_get", CURLUE_OUT_OF_MEMORY, CLM_E_NOMEM, "URL"},
    {"curl_url_get", CURLUE_NO_HOST, CLM_E_INVAL, "the URL is malformed"},
    {"curl_slist_append", 0, CLM_E_NOMEM, "HTTP request"},
};

/* Fails the call again and again, every time a later one; returns how often. */
static unsigned fail_each(size_t fault, enum way way, const struct clm_http_request *request)
{
    for (unsigned n = 1; n < CALLS_MAX; n++) {
        struct clm_err err = {.code = CLM_OK};

        curl_fake_on(faults[fault].call, n, faults[fault].rc);
        enum clm_code code = ask(way, request, &err);
        if (!curl_fake_off()) {
            assert_true(code == CLM_E_NET || code == CLM_E_CONFIG); /* it got as far as it can */
            return n - 1;
        }
        if (code != faults[fault].code || err.code != code ||
            strstr(err.msg, faults[fault].msg) == NULL) {
            fail_msg("%s %u: %s: %s", faults[fault].call, n, clm_code_name(code), err.msg);
        }
    }
    fail_msg("%s: it does not end", faults[fault].call);
    return 0;
}

static void every_call_that_fails_ends_the_request(void **state)
{
    static const char *const headers[] = {"X-A: b", NULL};
    char url[64];
    char place[32];
    const struct {
        enum way way;
        struct clm_http_request request;
    } rows[] = {
        {SESSION, {.method = "PUT", .headers = headers, .body = "x", .body_len = 1}},
        {SESSION, {.method = "HEAD", .connect_to = place}},
        {SESSION, {.method = "POST"}},
        {UNVERIFIED, {.method = "GET"}},
        {HERE, {.method = "GET"}},
    };

    (void)state;
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", peer_closed_port());
    (void)snprintf(place, sizeof(place), "127.0.0.1:%u", peer_closed_port());
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_http_request request = rows[i].request;

        request.url = url;
        request.response_max = 100;
        for (size_t k = 0; k < CLM_ARRAY_LEN(faults); k++) {
            assert_true(fail_each(k, rows[i].way, &request) > 0);
        }
    }
}

static void why_a_callback_gave_up_need_not_be_asked_for(void **state)
{
    const struct clm_http_request request = {
        .method = "GET", .url = "http://127.0.0.1:9/", .response_max = 100};

    (void)state;
    assert_int_equal(ask(HERE, &request, NULL), CLM_E_NET);
}

static void a_place_to_connect_to_has_a_limit(void **state)
{
    char place[200];
    struct clm_err err = {.code = CLM_OK};
    const struct clm_http_request request = {
        .method = "GET", .url = "https://a.example/", .connect_to = place, .response_max = 100};

    (void)state;
    memset(place, 'a', sizeof(place));
    memcpy(place + sizeof(place) - 4, ":80", 4);
    assert_int_equal(ask(SESSION, &request, &err), CLM_E_LIMIT);
}

static void only_http_is_allowed_beside_https(void **state)
{
    const struct clm_http_opts opts = {.allow_http = true};
    const struct clm_http_request request = {
        .method = "GET", .url = "ftp://127.0.0.1/", .response_max = 100};
    CLM_CLEANUP(clm_http_free_p) struct clm_http *http = NULL;
    struct clm_http_response out;
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    assert_int_equal(clm_http_new(&opts, &http, &err), CLM_OK);
    assert_int_equal(clm_http_do(http, &request, &out, &err), CLM_E_INVAL);
    assert_string_equal(err.msg, "'127.0.0.1' must be an https URL, not ftp");
}

static void without_memory_there_is_no_session(void **state)
{
    static const char *const calls[] = {"calloc", "strdup"};
    const struct clm_http_request request = {
        .method = "GET", .url = "https://127.0.0.1:9/", .response_max = 100};

    (void)state;
    for (int way = SESSION; way <= HERE; way++) {
        for (size_t i = 0; i < CLM_ARRAY_LEN(calls); i++) {
            struct clm_err err = {.code = CLM_OK};

            if (way == UNVERIFIED && i == 1) {
                continue; /* copies nothing */
            }
            clm_sabotage_on(calls[i], 1, ENOMEM);
            assert_int_equal(ask((enum way)way, &request, &err), CLM_E_NOMEM);
            assert_true(clm_sabotage_off());
            assert_string_equal(err.msg, "HTTP session: out of memory");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_that_fails_ends_the_request),
        cmocka_unit_test(why_a_callback_gave_up_need_not_be_asked_for),
        cmocka_unit_test(a_place_to_connect_to_has_a_limit),
        cmocka_unit_test(only_http_is_allowed_beside_https),
        cmocka_unit_test(without_memory_there_is_no_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
