/* SPDX-License-Identifier: Apache-2.0 */
/* Real handshakes with tests/unit/net/peer.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/net/tls_kind.h"
#include "agent/net/tlsprobe.h"
#include "tests/unit/net/peer.h"

static struct clm_endpoint endpoint(const char *addr, uint16_t port, const char *sni)
{
    struct clm_endpoint e = {.port = port, .timeout_ms = 10000};

    (void)snprintf(e.addr, sizeof(e.addr), "%s", addr);
    (void)snprintf(e.sni, sizeof(e.sni), "%s", sni);
    return e;
}

static void every_kind_of_server_gives_its_leaf(void **state)
{
    static const struct {
        const char *peer;
        const char *addr;
        const char *sni;
        const char *leaf;
        const char *version;
        uint32_t chain_len;
        const char *detail;
    } cases[] = {
        {"tls", "127.0.0.1", "good.example", "good.der", "1.3", 2, ""},
        {"tls", "127.0.0.1", "", "good.der", "1.3", 2, ""},
        {"tls", "127.0.0.1", "second.example", "second.der", "1.3", 1, ""},
        {"tls", "127.0.0.1", "SECOND.example", "second.der", "1.3", 1, ""},
        {"tls6", "::1", "good.example", "good.der", "1.3", 2, ""},
        {"tls6", "::1", "", "good.der", "1.3", 2, ""},
        {"tls13", "127.0.0.1", "good.example", "good.der", "1.3", 2, ""},
        {"tls12", "127.0.0.1", "good.example", "good.der", "1.2", 2, ""},
        {"tls11", "127.0.0.1", "good.example", "good.der", "1.1", 2, ""},
        {"expired", "127.0.0.1", "expired.example", "expired.der", "1.3", 1, ""},
        {"self", "127.0.0.1", "other.example", "self.der", "1.3", 1, ""},
        {"mutual13", "127.0.0.1", "good.example", "good.der", "1.3", 2, ""},
        {"mutual12", "127.0.0.1", "good.example", "good.der", "1.2", 2,
         "the server wants a client certificate"},
    };
    const struct peer *peer = *state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_endpoint e =
            endpoint(cases[i].addr, peer_port(peer, cases[i].peer), cases[i].sni);
        struct clm_buf leaf = CLM_BUF_INIT(65536);
        struct clm_buf expected = CLM_BUF_INIT(65536);
        struct clm_observation seen;
        struct clm_err err = {0};

        assert_int_equal(clm_tlsprobe(&e, &seen, &leaf, &err), CLM_OK);
        if (seen.result != CLM_PROBE_SERVED) {
            fail_msg("case %zu: %s", i, seen.detail);
        }
        peer_read(peer, cases[i].leaf, &expected);
        assert_int_equal(leaf.len, expected.len);
        assert_memory_equal(leaf.data, expected.data, leaf.len);
        assert_string_equal(seen.tls_version, cases[i].version);
        assert_int_equal(seen.chain_len, cases[i].chain_len);
        assert_string_equal(seen.detail, cases[i].detail);
        assert_in_range(seen.at_ms, clm_clock_now_ms() - 20000, clm_clock_now_ms());
        clm_buf_done(&leaf);
        clm_buf_done(&expected);
    }
}

static void failures_are_results(void **state)
{
    const struct peer *peer = *state;
    const struct {
        uint16_t port;
        enum clm_probe_result expected;
        const char *detail;
    } cases[] = {
        {peer_closed_port(), CLM_PROBE_REFUSED, "Connection refused"},
        {peer_port(peer, "silent"), CLM_PROBE_TIMEOUT, ""},
        {peer_port(peer, "http"), CLM_PROBE_TIMEOUT, ""}, /* waits for more of a request */
        {peer_port(peer, "closing"), CLM_PROBE_TLS_FAILED, ""},
    };
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_endpoint e = endpoint("127.0.0.1", cases[i].port, "good.example");
        struct clm_buf leaf = CLM_BUF_INIT(65536);
        struct clm_observation seen;

        e.timeout_ms = 300;
        assert_int_equal(clm_buf_add_str(&leaf, "stale", NULL), CLM_OK);
        assert_int_equal(clm_tlsprobe(&e, &seen, &leaf, NULL), CLM_OK);
        assert_int_equal(seen.result, cases[i].expected);
        assert_non_null(strstr(seen.detail, cases[i].detail));
        assert_true(seen.detail[0] != '\0');
        assert_int_equal(leaf.len, 0);
        assert_string_equal(seen.leaf_sha256, "");
        clm_buf_done(&leaf);
    }
}

/* Two probes of one server are two connections and two full handshakes. */
static void nothing_is_resumed(void **state)
{
    const struct peer *peer = *state;
    struct clm_endpoint e = endpoint("127.0.0.1", peer_port(peer, "tls12"), "good.example");
    for (int i = 0; i < 3; i++) {
        struct clm_buf leaf = CLM_BUF_INIT(65536);
        struct clm_observation seen;
        assert_int_equal(clm_tlsprobe(&e, &seen, &leaf, NULL), CLM_OK);
        assert_int_equal(seen.result, CLM_PROBE_SERVED); /* a resumed handshake shows no leaf */
        assert_int_equal(seen.chain_len, 2);
        clm_buf_done(&leaf);
    }
}

static void bad_endpoints_are_errors(void **state)
{
    static const struct {
        const char *addr;
        uint16_t port;
        const char *sni;
    } cases[] = {
        {"localhost", 443, ""},
        {"", 443, ""},
        {"127.0.0.1", 0, ""},
        {"1.2.3", 443, ""},
        {"127.0.0.1", 1, "a b"},
        {"127.0.0.1", 1, "a/b@c"},
        {"127.0.0.1", 1, "user@host.example"},
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_endpoint e = endpoint(cases[i].addr, cases[i].port, cases[i].sni);
        struct clm_buf leaf = CLM_BUF_INIT(65536);
        struct clm_observation seen;
        struct clm_err err = {0};
        if (clm_tlsprobe(&e, &seen, &leaf, &err) != CLM_E_INVAL) {
            fail_msg("case %zu was accepted", i);
        }
        assert_int_equal(err.code, CLM_E_INVAL);
    }
}

static void a_leaf_beyond_the_callers_limit_is_an_error(void **state)
{
    const struct peer *peer = *state;
    struct clm_endpoint e = endpoint("127.0.0.1", peer_port(peer, "tls"), "");
    struct clm_buf leaf = CLM_BUF_INIT(10);
    struct clm_observation seen;
    assert_int_equal(clm_tlsprobe(&e, &seen, &leaf, NULL), CLM_E_LIMIT);
    clm_buf_done(&leaf);
}

/* A server with both shows the one that was asked for, whatever the version and whatever signed it. */
static void a_kind_of_key_can_be_asked_for(void **state)
{
    static const struct {
        const char *peer;
        const char *kind;
        bool old_only;
        const char *leaf; /* NULL: none */
        const char *version;
        const char *detail;
    } cases[] = {
        {"both", "rsa", false, "rsa.der", "1.3", ""},
        {"both", "ec", false, "good.der", "1.3", ""},
        {"both13", "rsa", false, "rsa.der", "1.3", ""},
        {"both13", "ec", false, "good.der", "1.3", ""},
        {"both12", "rsa", false, "rsa.der", "1.2", ""},
        {"both12", "ec", false, "good.der", "1.2", ""},
        {"both11", "rsa", false, "rsa.der", "1.1", ""},
        {"both11", "ec", false, "good.der", "1.1", ""},
        {"mixed", "rsa", false, "rsa.der", "1.3", ""},
        {"mixed", "ec", false, "mixed.der", "1.3", ""},
        {"tls", "ec", false, "good.der", "1.3", ""},
        {"tls", "rsa", false, NULL, "", "alert"},
        {"tls12", "rsa", false, NULL, "", "alert"},
        {"both", "rsa", true, "rsa.der", "1.2", ""},
        {"both", "ec", true, "good.der", "1.2", ""},
        {"both12", "rsa", true, "rsa.der", "1.2", ""},
        {"tls", "rsa", true, NULL, "", "alert handshake failure"},
        {"both13", "rsa", true, NULL, "", "cannot be told: this libcurl cannot ask for the RSA"},
        {"both13", "ec", true, NULL, "", "cannot ask for the ECDSA certificate in TLS 1.3"},
    };
    const struct peer *peer = *state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_endpoint e =
            endpoint("127.0.0.1", peer_port(peer, cases[i].peer), "good.example");
        struct clm_buf leaf = CLM_BUF_INIT(65536);
        struct clm_buf expected = CLM_BUF_INIT(65536);
        struct clm_observation seen;
        struct clm_err err = {0};

        (void)snprintf(e.key_kind, sizeof(e.key_kind), "%s", cases[i].kind);
        assert_int_equal(clm_tlsprobe_as(&e, cases[i].old_only, &seen, &leaf, &err), CLM_OK);
        if ((seen.result == CLM_PROBE_SERVED) != (cases[i].leaf != NULL) ||
            strstr(seen.detail, cases[i].detail) == NULL) {
            fail_msg("case %zu: %s: %s", i, clm_probe_result_name(seen.result), seen.detail);
        }
        assert_string_equal(seen.tls_version, cases[i].version);
        assert_true(seen.at_ms > 0);
        if (cases[i].leaf != NULL) {
            peer_read(peer, cases[i].leaf, &expected);
            assert_int_equal(leaf.len, expected.len);
            assert_memory_equal(leaf.data, expected.data, leaf.len);
        } else {
            assert_int_equal(seen.result, CLM_PROBE_TLS_FAILED);
            assert_int_equal(leaf.len, 0);
        }
        clm_buf_done(&leaf);
        clm_buf_done(&expected);
    }
}

static void another_kind_of_key_is_an_error(void **state)
{
    const struct peer *peer = *state;
    struct clm_endpoint e = endpoint("127.0.0.1", peer_port(peer, "tls"), "");
    struct clm_buf leaf = CLM_BUF_INIT(65536);
    struct clm_observation seen;

    (void)snprintf(e.key_kind, sizeof(e.key_kind), "dsa");
    assert_int_equal(clm_tlsprobe(&e, &seen, &leaf, NULL), CLM_E_INVAL);
    clm_buf_done(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_server_gives_its_leaf),
        cmocka_unit_test(failures_are_results),
        cmocka_unit_test(nothing_is_resumed),
        cmocka_unit_test(bad_endpoints_are_errors),
        cmocka_unit_test(a_kind_of_key_can_be_asked_for),
        cmocka_unit_test(another_kind_of_key_is_an_error),
        cmocka_unit_test(a_leaf_beyond_the_callers_limit_is_an_error),
    };
    return cmocka_run_group_tests(tests, peer_start, peer_stop);
}
