/* SPDX-License-Identifier: Apache-2.0 */
/* Real connections to tests/unit/net/peer.py. */
#define _GNU_SOURCE /* unshare(2) */

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/net/http.h"
#include "tests/unit/net/peer.h"

/* One request with everything around it. */
struct call {
    const struct peer *peer;
    struct clm_http *http;
    struct clm_http_request request;
    struct clm_http_response response;
    struct clm_err err;
    char url[128];
    char connect_to[64];
};

static void call_init(struct call *c, void **state, const struct clm_http_opts *opts)
{
    memset(c, 0, sizeof(*c));
    c->peer = *state;
    assert_int_equal(clm_http_new(opts, &c->http, &c->err), CLM_OK);
    c->request = (struct clm_http_request){
        .method = "GET", .response_max = 65536, .timeout_ms = 10000, .url = c->url};
}

static void call_done(struct call *c)
{
    clm_buf_done(&c->response.body);
    clm_http_free(c->http);
}

static enum clm_code again(struct call *c)
{
    clm_buf_done(&c->response.body);
    return clm_http_do(c->http, &c->request, &c->response, &c->err);
}

static enum clm_code get(struct call *c, const char *path)
{
    (void)snprintf(c->url, sizeof(c->url), "http://127.0.0.1:%u%s", peer_port(c->peer, "http"),
                   path);
    return again(c);
}

/* https to a peer by a name of its certificate. */
static enum clm_code get_tls(struct call *c, const char *peer, const char *host)
{
    (void)snprintf(c->url, sizeof(c->url), "https://%s/connection", host);
    (void)snprintf(c->connect_to, sizeof(c->connect_to), "127.0.0.1:%u", peer_port(c->peer, peer));
    c->request.connect_to = c->connect_to;
    return again(c);
}

static const struct clm_http_opts plain = {.allow_http = true};

static void headers_and_status_arrive(void **state)
{
    struct call c;
    call_init(&c, state, &plain);
    assert_int_equal(get(&c, "/fields"), CLM_OK);
    assert_int_equal(c.response.status, 201);
    assert_string_equal(clm_buf_str(&c.response.body), "{}");
    assert_string_equal(c.response.content_type, "application/json");
    assert_string_equal(c.response.location, "https://a.example/x");
    assert_string_equal(c.response.etag, "\"v1\"");
    assert_string_equal(c.response.request_id, "req_1");
    assert_string_equal(c.response.job_state, "leased");
    assert_string_equal(c.response.replay_nonce, "abc-_");
    assert_string_equal(c.response.link_up, "https://a.example/up");
    assert_true(c.response.has_next_poll);
    assert_int_equal(c.response.next_poll_s, 0);
    assert_int_equal(c.response.retry_after_s, 17);
    assert_int_equal(c.response.date_s, 1795225945);
    call_done(&c);
}

static void request_is_sent_as_given(void **state)
{
    static const char *const headers[] = {"Content-Type: application/jose+json",
                                          "Idempotency-Key: k1", NULL};
    struct call c;
    call_init(&c, state, &plain);
    c.request.method = "POST";
    c.request.headers = headers;
    c.request.body = "{\"a\":1}";
    c.request.body_len = 7;
    assert_int_equal(get(&c, "/echo"), CLM_OK);
    const char *sent = clm_buf_str(&c.response.body);
    assert_non_null(strstr(sent, "POST /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(sent, "User-Agent: clmbot/"));
    assert_non_null(strstr(sent, "Content-Type: application/jose+json\r\n"));
    assert_null(strstr(sent, "x-www-form-urlencoded"));
    assert_non_null(strstr(sent, "Idempotency-Key: k1"));
    assert_null(strstr(sent, "Expect:"));
    assert_null(strstr(sent, "Accept-Encoding:"));
    assert_non_null(strstr(sent, "\n\n{\"a\":1}"));

    c.request.method = "PUT";
    assert_int_equal(again(&c), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&c.response.body), "PUT /echo"));
    assert_non_null(strstr(clm_buf_str(&c.response.body), "\n\n{\"a\":1}"));

    c.request = (struct clm_http_request){.method = "POST", .response_max = 4096, .url = c.url};
    assert_int_equal(again(&c), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&c.response.body), "Content-Length: 0"));
    assert_null(strstr(clm_buf_str(&c.response.body), "Content-Type"));

    c.request.method = "HEAD";
    assert_int_equal(get(&c, "/nothing"), CLM_OK);
    assert_int_equal(c.response.status, 404);

    c.request.method = "GET"; /* nothing of the earlier requests is left */
    assert_int_equal(get(&c, "/echo"), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&c.response.body), "GET /echo"));
    assert_null(strstr(clm_buf_str(&c.response.body), "Idempotency-Key"));
    assert_null(strstr(clm_buf_str(&c.response.body), "{\"a\":1}"));
    call_done(&c);
}

static void connection_is_kept_until_reset(void **state)
{
    struct call c;
    char first[16];
    call_init(&c, state, &plain);
    assert_int_equal(get(&c, "/connection"), CLM_OK);
    (void)snprintf(first, sizeof(first), "%s", clm_buf_str(&c.response.body));
    assert_int_equal(again(&c), CLM_OK);
    assert_string_equal(clm_buf_str(&c.response.body), first);
    clm_http_reset(c.http);
    assert_int_equal(again(&c), CLM_OK);
    assert_string_not_equal(clm_buf_str(&c.response.body), first);
    call_done(&c);
}

static void redirect_is_returned_not_followed(void **state)
{
    struct call c;
    call_init(&c, state, &plain);
    assert_int_equal(get(&c, "/redirect"), CLM_OK);
    assert_int_equal(c.response.status, 302);
    assert_string_equal(c.response.location, "http://127.0.0.1:1/elsewhere");
    call_done(&c);
}

static void headers_of_an_interim_answer_do_not_count(void **state)
{
    struct call c;
    call_init(&c, state, &plain);
    assert_int_equal(get(&c, "/continue"), CLM_OK);
    assert_int_equal(c.response.status, 200);
    assert_string_equal(c.response.location, "");
    assert_string_equal(clm_buf_str(&c.response.body), "ok");
    call_done(&c);
}

static void compressed_body_stays_as_it_came(void **state)
{
    struct call c;
    call_init(&c, state, &plain);
    assert_int_equal(get(&c, "/gzip"), CLM_OK);
    assert_int_equal(c.response.body.len, 11);
    assert_memory_equal(c.response.body.data, "\x1f\x8b\x08not gzip", 11);
    call_done(&c);
}

static void what_is_too_long_is_a_limit(void **state)
{
    static const char *const paths[] = {"/endless", "/announced", "/long-location",
                                        "/many-headers"};
    for (size_t i = 0; i < CLM_ARRAY_LEN(paths); i++) {
        struct call c;
        call_init(&c, state, &plain);
        int64_t start = clm_clock_mono_ms();
        assert_int_equal(get(&c, paths[i]), CLM_E_LIMIT);
        assert_in_range(clm_clock_mono_ms() - start, 0, 5000); /* at once, not at the timeout */
        assert_int_equal(c.err.code, CLM_E_LIMIT);
        assert_non_null(strstr(c.err.msg, "127.0.0.1:"));
        assert_null(c.response.body.data);
        call_done(&c);
    }
}

static void body_may_fill_its_limit_exactly(void **state)
{
    struct call c;
    call_init(&c, state, &plain);
    c.request.response_max = 2;
    assert_int_equal(get(&c, "/fields"), CLM_OK);
    c.request.response_max = 1;
    assert_int_equal(again(&c), CLM_E_LIMIT);
    call_done(&c);
}

static void broken_answers_are_errors(void **state)
{
    struct call c;
    call_init(&c, state, &plain);
    assert_int_equal(get(&c, "/cut"), CLM_E_NET);
    assert_int_equal(get(&c, "/no-http"), CLM_E_PARSE);
    call_done(&c);
}

static void silence_is_a_timeout(void **state)
{
    static const char *const paths[] = {"/silence", "/unfinished"};
    for (size_t i = 0; i < CLM_ARRAY_LEN(paths); i++) {
        struct call c;
        call_init(&c, state, &plain);
        c.request.timeout_ms = 200;
        int64_t start = clm_clock_mono_ms();
        assert_int_equal(get(&c, paths[i]), CLM_E_TIMEOUT);
        assert_in_range(clm_clock_mono_ms() - start, 190, 5000);
        assert_non_null(strstr(c.err.msg, "127.0.0.1:"));
        call_done(&c);
    }
}

static unsigned idle_calls;

static void count_idle(void)
{
    idle_calls++;
}

static void a_long_wait_is_told_once_and_wakes_nobody(void **state)
{
    struct rusage before;
    struct rusage after;
    struct call c;
    call_init(&c, state, &plain);
    c.request.on_idle = count_idle;
    idle_calls = 0;
    assert_int_equal(get(&c, "/fields"), CLM_OK);
    assert_int_equal(idle_calls, 0);

    c.request.timeout_ms = 2500;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(get(&c, "/silence"), CLM_E_TIMEOUT);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_int_equal(idle_calls, 1);
    /* connect, the short wait, the long one, and what the scheduler adds; once a second would not do */
    assert_in_range(after.ru_nvcsw - before.ru_nvcsw, 0, 5);
    call_done(&c);
}

static void unreachable_peers_are_net_with_host_and_port(void **state)
{
    struct call c;
    char port[16];
    call_init(&c, state, &plain);
    (void)snprintf(port, sizeof(port), ":%u'", peer_closed_port());
    (void)snprintf(c.url, sizeof(c.url), "https://localhost:%u/secret?token=x", peer_closed_port());
    (void)snprintf(port, sizeof(port), "localhost:");
    assert_int_equal(again(&c), CLM_E_NET);
    assert_int_equal(c.err.code, CLM_E_NET);
    assert_non_null(strstr(c.err.msg, port));
    assert_non_null(strstr(c.err.msg, "Connection refused"));
    assert_null(strstr(c.err.msg, "token"));
    (void)snprintf(c.url, sizeof(c.url), "https://name.invalid:44/");
    assert_int_equal(again(&c), CLM_E_NET);
    assert_non_null(strstr(c.err.msg, "name.invalid:44"));
    call_done(&c);
}

static void a_session_goes_on_after_a_name_that_is_not_found(void **state)
{
    struct call c;
    call_init(&c, state, &plain);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(c.url, sizeof(c.url), "http://nowhere.invalid/");
        assert_int_equal(again(&c), CLM_E_NET);
        assert_non_null(strstr(c.err.msg, "nowhere.invalid"));
        assert_int_equal(get(&c, "/fields"), CLM_OK);
        assert_int_equal(c.response.status, 201);
    }
    call_done(&c);
}

static void bad_requests_are_refused_before_sending(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:1/",
                                       "ftp://127.0.0.1/",
                                       "file:///etc/passwd",
                                       "https://user:pw@127.0.0.1/",
                                       "https://127.0.0.1:99999/",
                                       "https://",
                                       "https://a b/",
                                       ""};
    static const char *const headers[] = {"X: a\r\nInjected: b", NULL};
    static const char *const places[] = {"127.0.0.1", ":80", "127.0.0.1:0", "127.0.0.1:x"};
    const struct clm_http_opts https = {0};
    struct call c;
    call_init(&c, state, &https);
    for (size_t i = 0; i < CLM_ARRAY_LEN(urls); i++) {
        (void)snprintf(c.url, sizeof(c.url), "%s", urls[i]);
        assert_int_equal(again(&c), CLM_E_INVAL);
        assert_null(strstr(c.err.msg, "pw"));
    }
    (void)snprintf(c.url, sizeof(c.url), "https://127.0.0.1:1/");
    c.request.headers = headers;
    assert_int_equal(again(&c), CLM_E_INVAL);
    c.request.headers = NULL;
    for (size_t i = 0; i < CLM_ARRAY_LEN(places); i++) {
        c.request.connect_to = places[i];
        assert_int_equal(again(&c), CLM_E_INVAL);
    }
    call_done(&c);
}

static void connect_to_leads_to_either_address_family(void **state)
{
    struct call c;
    call_init(&c, state, &plain);
    (void)snprintf(c.url, sizeof(c.url), "http://site.example/echo");
    static const char *const forms[] = {"[::1]:%u", "::1:%u"};
    c.request.connect_to = c.connect_to;
    (void)snprintf(c.connect_to, sizeof(c.connect_to), "127.0.0.1:%u", peer_port(c.peer, "http"));
    assert_int_equal(again(&c), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&c.response.body), "Host: site.example\r\n"));
    for (size_t i = 0; i < CLM_ARRAY_LEN(forms); i++) {
        char *end = stpcpy(c.connect_to, i == 0 ? "[::1]:" : "::1:");
        (void)snprintf(end, 16, "%u", peer_port(c.peer, "http6"));
        assert_int_equal(again(&c), CLM_OK);
        assert_int_equal(c.response.status, 200);
    }
    call_done(&c);
}

/* ---- TLS ---- */

static void only_the_given_anchors_are_trusted(void **state)
{
    struct call c;
    struct clm_buf ca = CLM_BUF_INIT(65536);
    struct clm_buf other = CLM_BUF_INIT(65536);
    peer_read(*state, "ca.pem", &ca);
    peer_read(*state, "other-ca.pem", &other);
    const struct clm_http_opts opts = {.ca_pem = clm_buf_str(&ca)};
    call_init(&c, state, &opts);
    assert_int_equal(get_tls(&c, "tls", "good.example"), CLM_OK);

    c.request.ca_pem = clm_buf_str(&other); /* also where a trusted connection is still open */
    assert_int_equal(get_tls(&c, "tls", "good.example"), CLM_E_AUTH);
    assert_non_null(strstr(c.err.msg, "good.example:443"));
    c.request.ca_pem = NULL;
    assert_int_equal(get_tls(&c, "tls", "good.example"), CLM_OK);

    assert_int_equal(get_tls(&c, "tls", "wrong.example"), CLM_E_AUTH);
    assert_int_equal(get_tls(&c, "expired", "expired.example"), CLM_E_AUTH);
    assert_non_null(strstr(c.err.msg, "expired"));
    assert_int_equal(get_tls(&c, "self", "self.example"), CLM_E_AUTH);
    call_done(&c);

    const struct clm_http_opts system = {0};
    call_init(&c, state, &system);
    assert_int_equal(get_tls(&c, "tls", "good.example"), CLM_E_AUTH);
    call_done(&c);
    clm_buf_done(&ca);
    clm_buf_done(&other);
}

/* What the child below found, as its exit status. */
enum {
    HIDDEN_OK,
    HIDDEN_UNAVAILABLE,
    HIDDEN_CONTROL,
    HIDDEN_TRUSTED
};

/* In a mount namespace of its own, where the peer's CA is among the system's anchors. */
static int try_with_system_anchors(void **state, const char *other_ca)
{
    const struct peer *peer = *state;
    const struct clm_http_opts system = {0};
    const struct clm_http_opts pinned = {.ca_pem = other_ca};
    char dir[128];
    struct call c;

    (void)snprintf(dir, sizeof(dir), "%s/system", peer->dir);
    if ((unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(dir, "/etc/ssl/certs", NULL, MS_BIND, NULL) != 0) {
        return HIDDEN_UNAVAILABLE;
    }
    call_init(&c, state, &system);
    if (get_tls(&c, "tls", "good.example") != CLM_OK) {
        return HIDDEN_CONTROL;
    }
    call_done(&c);
    call_init(&c, state, &pinned);
    if (get_tls(&c, "tls", "good.example") != CLM_E_AUTH) {
        return HIDDEN_TRUSTED;
    }
    call_done(&c);
    return HIDDEN_OK;
}

static void system_anchors_do_not_count_beside_given_ones(void **state)
{
    struct clm_buf other = CLM_BUF_INIT(65536);
    int status = 0;

    peer_read(*state, "other-ca.pem", &other);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(try_with_system_anchors(state, clm_buf_str(&other)));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    clm_buf_done(&other);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == HIDDEN_UNAVAILABLE) {
        print_message("skipped: this machine gives no mount namespace\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), HIDDEN_OK);
}

static void tls_before_1_2_is_refused(void **state)
{
    struct call c;
    struct clm_buf ca = CLM_BUF_INIT(65536);
    peer_read(*state, "ca.pem", &ca);
    const struct clm_http_opts opts = {.ca_pem = clm_buf_str(&ca)};
    call_init(&c, state, &opts);
    assert_int_equal(get_tls(&c, "tls11", "good.example"), CLM_E_NET);
    assert_int_equal(get_tls(&c, "tls12", "good.example"), CLM_OK);
    assert_int_equal(get_tls(&c, "tls13", "good.example"), CLM_OK);
    call_done(&c);
    clm_buf_done(&ca);
}

static void bad_anchors_are_a_configuration_error(void **state)
{
    const struct clm_http_opts opts = {.ca_pem = "no certificate"};
    struct call c;
    call_init(&c, state, &opts);
    assert_int_equal(get_tls(&c, "tls", "good.example"), CLM_E_CONFIG);
    call_done(&c);
}

static void client_certificate_is_shown_and_a_refusal_is_auth(void **state)
{
    static const struct {
        const char *stem; /* NULL: none */
        enum clm_code expected;
    } cases[] = {{"client", CLM_OK}, {"stranger", CLM_E_AUTH}, {NULL, CLM_E_AUTH}};
    static const char *const peers[] = {"mutual13", "mutual12"};
    const struct peer *peer = *state;
    struct clm_buf ca = CLM_BUF_INIT(65536);
    peer_read(peer, "ca.pem", &ca);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        for (size_t j = 0; j < CLM_ARRAY_LEN(peers); j++) {
            struct call c;
            char cert[128];
            char key[128];
            struct clm_http_opts opts = {.ca_pem = clm_buf_str(&ca)};
            if (cases[i].stem != NULL) {
                (void)snprintf(cert, sizeof(cert), "%s/%s.pem", peer->dir, cases[i].stem);
                (void)snprintf(key, sizeof(key), "%s/%s.key", peer->dir, cases[i].stem);
                opts.cert_path = cert;
                opts.key_path = key;
            }
            call_init(&c, state, &opts);
            enum clm_code code = get_tls(&c, peers[j], "good.example");
            if (code == CLM_E_NET && cases[i].stem == NULL && j == 1) {
                /* TLS 1.2: OpenSSL words a missing certificate as a plain handshake failure */
                assert_non_null(strstr(c.err.msg, "alert handshake failure"));
            } else {
                assert_int_equal(code, cases[i].expected);
            }
            call_done(&c);
        }
    }
    clm_buf_done(&ca);
}

static void missing_client_files_are_a_configuration_error(void **state)
{
    const struct clm_http_opts opts = {.cert_path = "/nowhere/a.pem", .key_path = "/nowhere/a.key"};
    const struct clm_http_opts half = {.cert_path = "/nowhere/a.pem"};
    struct clm_http *http = NULL;
    struct call c;
    call_init(&c, state, &opts);
    assert_int_equal(get_tls(&c, "tls", "good.example"), CLM_E_CONFIG);
    assert_non_null(strstr(c.err.msg, "own certificate"));
    call_done(&c);
    assert_int_equal(clm_http_new(&half, &http, NULL), CLM_E_INVAL);
    assert_null(http);
}

static void unverified_fetch_reads_from_anyone_over_https(void **state)
{
    const struct peer *peer = *state;
    struct clm_http_response r;
    struct clm_err err;
    char url[128];

    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/echo", peer_port(peer, "self"));
    assert_int_equal(clm_http_fetch_unverified(url, "", 5000, &r, &err), CLM_OK);
    assert_int_equal(r.status, 200);
    clm_buf_done(&r.body);

    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/endless", peer_port(peer, "self"));
    assert_int_equal(clm_http_fetch_unverified(url, "", 5000, &r, &err), CLM_E_LIMIT);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", peer_port(peer, "http"));
    assert_int_equal(clm_http_fetch_unverified(url, "", 5000, &r, &err), CLM_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_and_status_arrive),
        cmocka_unit_test(request_is_sent_as_given),
        cmocka_unit_test(connection_is_kept_until_reset),
        cmocka_unit_test(redirect_is_returned_not_followed),
        cmocka_unit_test(headers_of_an_interim_answer_do_not_count),
        cmocka_unit_test(compressed_body_stays_as_it_came),
        cmocka_unit_test(what_is_too_long_is_a_limit),
        cmocka_unit_test(body_may_fill_its_limit_exactly),
        cmocka_unit_test(broken_answers_are_errors),
        cmocka_unit_test(silence_is_a_timeout),
        cmocka_unit_test(a_long_wait_is_told_once_and_wakes_nobody),
        cmocka_unit_test(unreachable_peers_are_net_with_host_and_port),
        cmocka_unit_test(a_session_goes_on_after_a_name_that_is_not_found),
        cmocka_unit_test(bad_requests_are_refused_before_sending),
        cmocka_unit_test(connect_to_leads_to_either_address_family),
        cmocka_unit_test(only_the_given_anchors_are_trusted),
        cmocka_unit_test(system_anchors_do_not_count_beside_given_ones),
        cmocka_unit_test(tls_before_1_2_is_refused),
        cmocka_unit_test(bad_anchors_are_a_configuration_error),
        cmocka_unit_test(client_certificate_is_shown_and_a_refusal_is_auth),
        cmocka_unit_test(missing_client_files_are_a_configuration_error),
        cmocka_unit_test(unverified_fetch_reads_from_anyone_over_https),
    };
    return cmocka_run_group_tests(tests, peer_start, peer_stop);
}
