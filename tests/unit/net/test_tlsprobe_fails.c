/* SPDX-License-Identifier: Apache-2.0 */
/* Probes by a libcurl that fails, that has another TLS library, or whose handshakes end as a table
 * says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/net/tls_kind.h"
#include "agent/net/tlsprobe.h"
#include "tests/unit/net/curl_fake.h"
#include "tests/unit/net/peer.h"

#define CALLS_MAX 100
#define HUGE      100000 /* bytes: no certificate is that long */

/* ---- an OpenSSL that takes what is asked of it, or not ---- */

static struct {
    const char *version; /* NULL: the real library */
    bool has_ctrl;
    long ctrl_result;
} openssl;

static const char *version_of_fake(int type)
{
    return type == 0 ? openssl.version : NULL;
}

static long ctrl_of_fake(void *ctx, int cmd, long number, void *pointer)
{
    (void)ctx;
    (void)number;
    assert_int_equal(cmd, 98);
    assert_non_null(strstr(pointer, "SHA256"));
    return openssl.ctrl_result;
}

void *__real_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name)
{
    const char *(*version)(int) = openssl.version[0] != '\0' ? version_of_fake : NULL;
    long (*ctrl)(void *, int, long, void *) = openssl.has_ctrl ? ctrl_of_fake : NULL;
    void *symbol = NULL;

    (void)handle;
    if (strcmp(name, "OpenSSL_version") == 0) {
        memcpy(&symbol, &version, sizeof(symbol));
    } else {
        assert_string_equal(name, "SSL_CTX_ctrl");
        memcpy(&symbol, &ctrl, sizeof(symbol));
    }
    return symbol;
}

/* ---- handshakes ---- */

/* Messages of a server in TLS 1.2: type, length, body. The certificate is aabb. */
#define CERT_12     "\x0b\0\0\x08\0\0\x05\0\0\x02\xaa\xbb"
#define CERT_12_LEN 12
#define REQUEST     "\x0d\0\0\0"
#define DONE        "\x0e\0\0\0"

struct handshake {
    bool sends_leaf;
    bool asks_client;
    bool is_finished;
    CURLcode rc;
    const char *reason;
};

static struct handshake handshake;

static void show(const struct curl_fake_opts *opts, curl_infotype type, const char *message,
                 size_t len)
{
    char copy[32];

    memcpy(copy, message, len);
    assert_int_equal(opts->debug(NULL, type, copy, len, opts->debug_arg), 0);
}

static CURLcode perform(const struct curl_fake_opts *opts)
{
    if (opts->ssl_ctx != NULL) {
        CURLcode rc = opts->ssl_ctx(NULL, &handshake, opts->ssl_ctx_arg);

        if (rc != CURLE_OK) {
            return rc;
        }
    }
    show(opts, CURLINFO_TEXT, "no message", 10);
    show(opts, CURLINFO_SSL_DATA_OUT, DONE, 4);
    if (handshake.sends_leaf) {
        show(opts, CURLINFO_SSL_DATA_IN, CERT_12, CERT_12_LEN);
    }
    if (handshake.asks_client) {
        show(opts, CURLINFO_SSL_DATA_IN, REQUEST, 4);
    }
    if (handshake.is_finished) {
        show(opts, CURLINFO_SSL_DATA_IN, DONE, 4);
    }
    (void)strcpy(opts->reason, handshake.reason != NULL ? handshake.reason : "");
    return handshake.rc;
}

static enum clm_code probe(const char *kind, struct clm_observation *out, struct clm_buf *leaf,
                           struct clm_err *err)
{
    struct clm_endpoint e = {
        .addr = "127.0.0.1", .port = peer_closed_port(), .sni = "a.example", .timeout_ms = 0};

    (void)snprintf(e.key_kind, sizeof(e.key_kind), "%s", kind);
    return clm_tlsprobe(&e, out, leaf, err);
}

static int forget(void **state)
{
    (void)state;
    memset(&handshake, 0, sizeof(handshake));
    curl_fake_set_perform(NULL);
    curl_fake_set_certinfo(NULL, CURLE_OK);
    curl_fake_set_tls("OpenSSL/3.9.9");
    openssl.version = "OpenSSL 3.9.9 1 Jan 2030";
    openssl.has_ctrl = true;
    openssl.ctrl_result = 1;
    return 0;
}

/* ---- tests ---- */

static void every_call_that_fails_is_an_error(void **state)
{
    static const struct {
        const char *call;
        int rc;
        enum clm_code code;
    } faults[] = {
        {"curl_easy_setopt", CURLE_OUT_OF_MEMORY, CLM_E_NOMEM},
        {"curl_easy_setopt", CURLE_UNKNOWN_OPTION, CLM_E_UNSUPPORTED},
        {"curl_easy_init", 0, CLM_E_NOMEM},
        {"curl_slist_append", 0, CLM_E_NOMEM},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(faults); i++) {
        bool fell = true;

        for (unsigned n = 1; fell; n++) {
            struct clm_buf leaf = CLM_BUF_INIT(100);
            struct clm_observation seen;
            struct clm_err err = {.code = CLM_OK};

            assert_true(n < CALLS_MAX);
            curl_fake_on(faults[i].call, n, faults[i].rc);
            enum clm_code code = probe("ec", &seen, &leaf, &err);
            fell = curl_fake_off();
            if (code != (fell ? faults[i].code : CLM_OK) || err.code != code) {
                fail_msg("%s %u: %s: %s", faults[i].call, n, clm_code_name(code), err.msg);
            }
            assert_int_equal(fell, err.msg[0] != '\0');
            clm_buf_done(&leaf);
        }
    }
}

static void how_a_handshake_ended_is_judged(void **state)
{
    static const struct {
        struct handshake handshake;
        enum clm_probe_result result;
        const char *detail;
    } rows[] = {
        {{.sends_leaf = true, .is_finished = true}, CLM_PROBE_SERVED, ""},
        {{.sends_leaf = true, .asks_client = true, .is_finished = true, .rc = CURLE_RECV_ERROR},
         CLM_PROBE_SERVED,
         "the server wants a client certificate"},
        {{.sends_leaf = true, .asks_client = true, .rc = CURLE_RECV_ERROR, .reason = "cut"},
         CLM_PROBE_TLS_FAILED,
         "cut"},
        {{.sends_leaf = true, .is_finished = true, .rc = CURLE_RECV_ERROR, .reason = "cut"},
         CLM_PROBE_TLS_FAILED,
         "cut"},
        {{.asks_client = true, .is_finished = true, .rc = CURLE_OPERATION_TIMEDOUT},
         CLM_PROBE_TIMEOUT,
         "Timeout was reached"},
        {{.rc = CURLE_COULDNT_CONNECT}, CLM_PROBE_REFUSED, ""},
        {{.rc = CURLE_OK}, CLM_PROBE_TLS_FAILED, "the server showed no certificate"},
    };

    (void)state;
    curl_fake_set_perform(perform);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_buf leaf = CLM_BUF_INIT(100);
        struct clm_observation seen;

        handshake = rows[i].handshake;
        assert_int_equal(probe("", &seen, &leaf, NULL), CLM_OK);
        if (seen.result != rows[i].result || strstr(seen.detail, rows[i].detail) == NULL) {
            fail_msg("row %zu: %s: %s", i, clm_probe_result_name(seen.result), seen.detail);
        }
        assert_int_equal(leaf.len, seen.result == CLM_PROBE_SERVED ? 2 : 0);
        clm_buf_done(&leaf);
    }
}

static void what_libcurl_says_at_the_end_is_an_error(void **state)
{
    static const struct {
        CURLcode rc;
        enum clm_code code;
        const char *msg;
    } rows[] = {
        {CURLE_URL_MALFORMAT, CLM_E_INVAL, "server name 'a.example' is no host name"},
        {CURLE_OUT_OF_MEMORY, CLM_E_NOMEM, "TLS probe: out of memory"},
    };

    (void)state;
    curl_fake_set_perform(perform);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_buf leaf = CLM_BUF_INIT(100);
        struct clm_observation seen;
        struct clm_err err = {.code = CLM_OK};

        handshake.rc = rows[i].rc;
        assert_int_equal(probe("", &seen, &leaf, &err), rows[i].code);
        assert_string_equal(err.msg, rows[i].msg);
        clm_buf_done(&leaf);
    }
}

/* With GnuTLS, say, the messages are not shown: libcurl gives the certificates instead. */
static void without_messages_the_leaf_is_asked_for(void **state)
{
    static char cert[] = "Cert:-----BEGIN CERTIFICATE-----\nqrs=\n-----END CERTIFICATE-----\n";
    static char cut[] = "Cert:-----BEGIN CERTIFICATE-----\nqrs=\n";
    static char odd[] = "Cert:qrs=";
    static char bad[] = "Cert:-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    static char subject[] = "Subject:CN = a.example";
    static const struct {
        char *field; /* the second one; NULL: there is none */
        int chain_len;
        CURLcode rc;
        enum clm_code code;
        const char *detail; /* or message */
    } rows[] = {
        {cert, 2, CURLE_OK, CLM_OK, ""},
        {NULL, 1, CURLE_OK, CLM_OK, "the server showed no certificate"},
        {cert, 0, CURLE_OK, CLM_OK, "the server showed no certificate"},
        {cert, -1, CURLE_OK, CLM_OK, "the server showed no certificate"}, /* no list at all */
        {cert, 2, CURLE_UNKNOWN_OPTION, CLM_OK, "the server showed no certificate"},
        {cut, 1, CURLE_OK, CLM_E_PARSE, "libcurl gave a certificate that is no PEM"},
        {odd, 1, CURLE_OK, CLM_E_PARSE, "libcurl gave a certificate that is no PEM"},
        {bad, 1, CURLE_OK, CLM_E_PARSE, ""},
    };

    (void)state;
    curl_fake_set_tls("GnuTLS/3.7.9");
    curl_fake_set_perform(perform);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct curl_slist second = {.data = rows[i].field};
        struct curl_slist first = {.data = subject, .next = rows[i].field != NULL ? &second : NULL};
        struct curl_slist *chain[] = {&first, &first};
        struct curl_certinfo info = {.num_of_certs = rows[i].chain_len, .certinfo = chain};
        struct clm_buf leaf = CLM_BUF_INIT(100);
        struct clm_observation seen;
        struct clm_err err = {.code = CLM_OK};

        curl_fake_set_certinfo(rows[i].chain_len < 0 ? NULL : &info, rows[i].rc);
        enum clm_code code = probe("", &seen, &leaf, &err);
        if (code != rows[i].code ||
            strstr(code == CLM_OK ? seen.detail : err.msg, rows[i].detail) == NULL) {
            fail_msg("row %zu: %s: %s%s", i, clm_code_name(code), seen.detail, err.msg);
        }
        if (i == 0) {
            assert_int_equal(leaf.len, 2);
            assert_memory_equal(leaf.data, "\xaa\xbb", 2);
            assert_int_equal(seen.chain_len, 2);
            assert_string_equal(seen.tls_version, "");
        } else {
            assert_int_equal(leaf.len, 0);
        }
        clm_buf_done(&leaf);
    }
}

static void another_tls_library_cannot_be_asked_for_a_kind(void **state)
{
    static const char *const names[] = {"GnuTLS/3.7.9", "LibreSSL/3.7.0", ""};

    (void)state;
    curl_fake_set_perform(perform);
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        struct clm_buf leaf = CLM_BUF_INIT(100);
        struct clm_observation seen;

        curl_fake_set_tls(names[i]);
        assert_int_equal(probe("ec", &seen, &leaf, NULL), CLM_OK);
        assert_int_equal(seen.result, CLM_PROBE_TLS_FAILED);
        assert_string_equal(seen.detail, "cannot be told: this libcurl cannot ask for the ECDSA "
                                         "certificate");
        clm_buf_done(&leaf);
    }
}

/* The library that answers dlsym() must be the one that libcurl says it uses. */
static void signatures_are_limited_in_the_library_of_libcurl_only(void **state)
{
    static const struct {
        const char *version; /* "": no such function */
        bool has_ctrl;
        enum clm_kind_limit limit;
    } rows[] = {
        {"OpenSSL 3.9.9 1 Jan 2030", true, CLM_KIND_ALL_VERSIONS},
        {"OpenSSL 3.9.9 1 Jan 2030", false, CLM_KIND_UP_TO_TLS12},
        {"OpenSSL 3.9.90 1 Jan 2030", true, CLM_KIND_UP_TO_TLS12},
        {"BoringSSL", true, CLM_KIND_UP_TO_TLS12},
        {"", true, CLM_KIND_UP_TO_TLS12},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CURL *easy = curl_easy_init();
        enum clm_kind_limit limit = CLM_KIND_NONE;

        openssl.version = rows[i].version;
        openssl.has_ctrl = rows[i].has_ctrl;
        assert_int_equal(clm_tls_kind_set(easy, "rsa", false, &limit, NULL), CLM_OK);
        assert_int_equal(limit, rows[i].limit);
        curl_easy_cleanup(easy);
    }
}

static void a_library_that_takes_no_signatures_makes_no_handshake(void **state)
{
    (void)state;
    curl_fake_set_perform(perform);
    handshake = (struct handshake){.sends_leaf = true, .is_finished = true};
    for (openssl.ctrl_result = 0; openssl.ctrl_result < 2; openssl.ctrl_result++) {
        struct clm_buf leaf = CLM_BUF_INIT(100);
        struct clm_observation seen;

        assert_int_equal(probe("rsa", &seen, &leaf, NULL), CLM_OK);
        assert_int_equal(seen.result,
                         openssl.ctrl_result == 1 ? CLM_PROBE_SERVED : CLM_PROBE_TLS_FAILED);
        assert_int_equal(leaf.len, openssl.ctrl_result == 1 ? 2 : 0);
        clm_buf_done(&leaf);
    }
}

/* What comes after it is not read. */
static CURLcode show_too_long_a_leaf(const struct curl_fake_opts *opts)
{
    static char message[4 + 3 + 3 + HUGE] = {0x0b,
                                             (char)((HUGE + 6) >> 16),
                                             (char)((HUGE + 6) >> 8 & 0xff),
                                             (char)((HUGE + 6) & 0xff),
                                             (char)((HUGE + 3) >> 16),
                                             (char)((HUGE + 3) >> 8 & 0xff),
                                             (char)((HUGE + 3) & 0xff),
                                             (char)(HUGE >> 16),
                                             (char)(HUGE >> 8 & 0xff),
                                             (char)(HUGE & 0xff)};

    assert_int_equal(
        opts->debug(NULL, CURLINFO_SSL_DATA_IN, message, sizeof(message), opts->debug_arg), 0);
    show(opts, CURLINFO_SSL_DATA_IN, CERT_12, CERT_12_LEN);
    return CURLE_OK;
}

static void a_leaf_without_end_is_an_error(void **state)
{
    struct clm_buf leaf = CLM_BUF_INIT(100);
    struct clm_observation seen;
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    curl_fake_set_perform(show_too_long_a_leaf);
    assert_int_equal(probe("", &seen, &leaf, &err), CLM_E_LIMIT);
    assert_int_equal(err.code, CLM_E_LIMIT);
    assert_int_equal(leaf.len, 0);
    clm_buf_done(&leaf);
}

static void a_version_too_long_to_be_one_is_none(void **state)
{
    CURL *easy = curl_easy_init();
    enum clm_kind_limit limit = CLM_KIND_NONE;

    (void)state;
    curl_fake_set_tls(
        "OpenSSL/3.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9");
    assert_int_equal(clm_tls_kind_set(easy, "rsa", false, &limit, NULL), CLM_OK);
    assert_int_equal(limit, CLM_KIND_UP_TO_TLS12);
    curl_easy_cleanup(easy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_call_that_fails_is_an_error, forget),
        cmocka_unit_test_setup(how_a_handshake_ended_is_judged, forget),
        cmocka_unit_test_setup(what_libcurl_says_at_the_end_is_an_error, forget),
        cmocka_unit_test_setup(without_messages_the_leaf_is_asked_for, forget),
        cmocka_unit_test_setup(another_tls_library_cannot_be_asked_for_a_kind, forget),
        cmocka_unit_test_setup(signatures_are_limited_in_the_library_of_libcurl_only, forget),
        cmocka_unit_test_setup(a_library_that_takes_no_signatures_makes_no_handshake, forget),
        cmocka_unit_test_setup(a_leaf_without_end_is_an_error, forget),
        cmocka_unit_test_setup(a_version_too_long_to_be_one_is_none, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
