/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leaf is read from the handshake messages (tls_messages.h), which libcurl shows with OpenSSL. With
 * another TLS library there are none; then CURLINFO_CERTINFO gives the leaf, and the version stays "".
 */
#include "agent/net/tlsprobe.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/model/names.h"
#include "agent/net/curl_error.h"
#include "agent/net/sigpipe.h"
#include "agent/net/tls_kind.h"
#include "agent/net/tls_messages.h"

#define URL_SIZE    (CLM_DNS_NAME_SIZE + 32)
#define BUFFER_SIZE 16384L /* bytes; a TLS record */

struct probe {
    const struct clm_endpoint *endpoint;
    bool old_only; /* see clm_tls_kind_set() */
    CURL *easy;
    struct curl_slist *connect_to;
    struct clm_tls_seen seen;
    enum clm_kind_limit limit; /* of a handshake for one kind of key */
    enum clm_code code;        /* of the callback */
    struct clm_err err;
    char url[URL_SIZE];
    char reason[CURL_ERROR_SIZE];
};

static int on_debug(CURL *easy, curl_infotype type, char *data, size_t len, void *arg)
{
    struct probe *p = arg;

    (void)easy;
    if (type == CURLINFO_SSL_DATA_IN && p->code == CLM_OK) {
        p->code = clm_tls_message(&p->seen, (const uint8_t *)data, len, &p->err);
    }
    return 0;
}

/* The URL names the server as SNI does; CONNECT_TO leads to the address. A numeric host in the URL
 * makes curl send no SNI. */
static enum clm_code set_address(struct probe *p, struct clm_err *err)
{
    const struct clm_endpoint *e = p->endpoint;
    char line[CLM_ADDR_SIZE + 32];
    char name[CLM_DNS_NAME_SIZE] = "";
    uint8_t number[sizeof(struct in6_addr)];
    const bool is_v6 = inet_pton(AF_INET6, e->addr, number) == 1;

    if ((!is_v6 && inet_pton(AF_INET, e->addr, number) != 1) || e->port == 0) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' port %u is no numeric address and port", e->addr,
                           e->port);
    }
    if (e->sni[0] != '\0') { /* also keeps anything but a name out of the URL */
        enum clm_code bad = clm_dns_normalise(e->sni, false, name, err);
        if (bad != CLM_OK) {
            return clm_err_wrap(err, bad, "server name");
        }
    }
    const char *open = is_v6 ? "[" : "";
    const char *close = is_v6 ? "]" : "";
    (void)snprintf(line, sizeof(line), "::%s%s%s:%u", open, e->addr, close, e->port);
    if (name[0] != '\0') {
        (void)snprintf(p->url, sizeof(p->url), "https://%s:%u/", name, e->port);
    } else {
        (void)snprintf(p->url, sizeof(p->url), "https://%s%s%s:%u/", open, e->addr, close, e->port);
    }
    p->connect_to = curl_slist_append(NULL, line);
    return p->connect_to != NULL ? CLM_OK : clm_err_set(err, CLM_E_NOMEM, "TLS probe");
}

static CURLcode set_numbers(CURL *easy, uint32_t timeout_ms)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_CONNECT_ONLY, 1},
        {CURLOPT_FRESH_CONNECT, 1},
        {CURLOPT_FORBID_REUSE, 1},
        {CURLOPT_SSL_SESSIONID_CACHE, 0},
        {CURLOPT_SSL_ENABLE_ALPN, 0},
        {CURLOPT_SSL_VERIFYPEER, 0},
        {CURLOPT_SSL_VERIFYHOST, 0},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_0},
        {CURLOPT_CERTINFO, 1},
        {CURLOPT_VERBOSE, 1}, /* the debug callback gets it all */
        {CURLOPT_BUFFERSIZE, BUFFER_SIZE},
        {CURLOPT_TIMEOUT_MS, (long)timeout_ms},
        {CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms},
    };
    CURLcode rc = CURLE_OK;

    for (size_t i = 0; rc == CURLE_OK && i < CLM_ARRAY_LEN(numbers); i++) {
        rc = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
    }
    return rc;
}

/* Old servers are looked at, too: nothing secret is sent. Reading the system's trust anchors for a
 * handshake that verifies nothing would cost 15 ms of CPU. */
static CURLcode configure(struct probe *p)
{
    const char *backend = curl_version_info(CURLVERSION_NOW)->ssl_version;
    uint32_t timeout_ms = p->endpoint->timeout_ms;
    CURL *easy = p->easy;
    CURLcode rc = set_numbers(easy, timeout_ms != 0 ? timeout_ms : CLM_TLSPROBE_TIMEOUT_MS);

    if (rc == CURLE_OK && backend != NULL && clm_str_starts(backend, "OpenSSL/")) {
        rc = curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, "DEFAULT:@SECLEVEL=0");
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_URL, p->url);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_CONNECT_TO, p->connect_to);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, p->reason);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_DEBUGDATA, p);
    }
    return rc;
}

/* The Base64 between the BEGIN and END lines of "Cert:-----BEGIN CERTIFICATE-----...". */
static enum clm_code decode_cert_field(const char *field, struct clm_buf *out, struct clm_err *err)
{
    static const char begin_line[] = "-----BEGIN CERTIFICATE-----";
    const char *begin = strstr(field, begin_line);
    const char *end = begin != NULL ? strstr(begin, "-----END") : NULL;

    if (end == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "libcurl gave a certificate that is no PEM");
    }
    begin += sizeof(begin_line) - 1;
    return clm_b64_decode(begin, (size_t)(end - begin), out, err);
}

static enum clm_code leaf_from_certinfo(struct probe *p, struct clm_err *err)
{
    struct curl_certinfo *info = NULL;

    if (curl_easy_getinfo(p->easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL ||
        info->num_of_certs <= 0) {
        return CLM_OK;
    }
    for (const struct curl_slist *s = info->certinfo[0]; s != NULL; s = s->next) {
        if (clm_str_starts(s->data, "Cert:")) {
            p->seen.chain_len = (uint32_t)info->num_of_certs;
            return decode_cert_field(s->data, &p->seen.leaf, err);
        }
    }
    return CLM_OK;
}

/* A leaf counts if the handshake was completed, or if the server said all it has to say and then
 * ended it because it got no client certificate: its signature by the key was checked by then. */
static enum clm_probe_result judge(const struct probe *p, CURLcode rc)
{
    if (p->seen.leaf.len > 0 && (rc == CURLE_OK || (p->seen.asks_client && p->seen.is_finished))) {
        return CLM_PROBE_SERVED;
    }
    if (rc == CURLE_COULDNT_CONNECT) {
        return CLM_PROBE_REFUSED;
    }
    return rc == CURLE_OPERATION_TIMEDOUT ? CLM_PROBE_TIMEOUT : CLM_PROBE_TLS_FAILED;
}

static void describe(const struct probe *p, CURLcode rc, struct clm_observation *out)
{
    long sys = 0;
    const char *reason = p->reason[0] != '\0' ? p->reason : curl_easy_strerror(rc);

    (void)curl_easy_getinfo(p->easy, CURLINFO_OS_ERRNO, &sys);
    if (out->result == CLM_PROBE_REFUSED && sys != 0) {
        reason = strerror((int)sys);
    } else if (out->result == CLM_PROBE_SERVED) {
        reason = rc == CURLE_OK ? "" : "the server wants a client certificate";
    } else if (rc == CURLE_OK) {
        reason = "the server showed no certificate";
    }
    clm_curl_clean(out->detail, sizeof(out->detail), reason);
}

/* Which of two certificates a server would show is asked by what the handshake offers. */
static enum clm_code cannot_tell(const struct probe *p, struct clm_observation *out)
{
    out->result = CLM_PROBE_TLS_FAILED;
    out->at_ms = clm_clock_now_ms();
    (void)snprintf(out->detail, sizeof(out->detail),
                   "cannot be told: this libcurl cannot ask for the %s certificate%s",
                   strcmp(p->endpoint->key_kind, "ec") == 0 ? "ECDSA" : "RSA",
                   p->limit == CLM_KIND_NONE ? "" : " in TLS 1.3, and the server speaks no other");
    return CLM_OK;
}

static enum clm_code handshake(struct probe *p, struct clm_observation *out,
                               struct clm_buf *out_leaf_der, struct clm_err *err)
{
    CURLcode rc = configure(p);

    const bool has_kind = p->endpoint->key_kind[0] != '\0';
    enum clm_code code = CLM_OK;

    if (rc != CURLE_OK) {
        return clm_curl_refused(rc, "TLS probe", err);
    }
    if (has_kind) {
        code = clm_tls_kind_set(p->easy, p->endpoint->key_kind, p->old_only, &p->limit, err);
    }
    if (code != CLM_OK || (has_kind && p->limit == CLM_KIND_NONE)) {
        return code != CLM_OK ? code : cannot_tell(p, out);
    }
    rc = curl_easy_perform(p->easy);
    if (rc == CURLE_URL_MALFORMAT) {
        return clm_err_set(err, CLM_E_INVAL, "server name '%s' is no host name", p->endpoint->sni);
    }
    /* An address is a number, not looked up: libcurl had no memory to read it. */
    if (rc == CURLE_OUT_OF_MEMORY || rc == CURLE_COULDNT_RESOLVE_HOST) {
        return clm_err_set(err, CLM_E_NOMEM, "TLS probe");
    }
    if (p->code != CLM_OK) {
        return clm_err_set(err, p->code, "%s", p->err.msg);
    }
    if (rc == CURLE_OK && p->seen.leaf.len == 0) {
        code = leaf_from_certinfo(p, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    out->result = judge(p, rc);
    out->at_ms = clm_clock_now_ms();
    describe(p, rc, out);
    if (p->limit == CLM_KIND_UP_TO_TLS12 && strstr(out->detail, "protocol version") != NULL) {
        return cannot_tell(p, out);
    }
    if (out->result != CLM_PROBE_SERVED) {
        return CLM_OK;
    }
    out->chain_len = p->seen.chain_len;
    memcpy(out->tls_version, p->seen.version, sizeof(out->tls_version));
    return clm_buf_add(out_leaf_der, p->seen.leaf.data, p->seen.leaf.len, err);
}

enum clm_code clm_tlsprobe_as(const struct clm_endpoint *endpoint, bool old_only,
                              struct clm_observation *out, struct clm_buf *out_leaf_der,
                              struct clm_err *err)
{
    struct probe p = {.endpoint = endpoint, .old_only = old_only, .seen = CLM_TLS_SEEN_INIT};
    struct clm_sigpipe hold;

    clm_sigpipe_hold(&hold);
    *out = (struct clm_observation){.result = CLM_PROBE_TLS_FAILED};
    clm_buf_reset(out_leaf_der);
    enum clm_code code = set_address(&p, err);
    if (code == CLM_OK) {
        p.easy = curl_easy_init();
        code = p.easy != NULL ? handshake(&p, out, out_leaf_der, err)
                              : clm_err_set(err, CLM_E_NOMEM, "TLS probe");
    }
    curl_easy_cleanup(p.easy);
    clm_sigpipe_release(&hold);
    curl_slist_free_all(p.connect_to);
    clm_buf_done(&p.seen.leaf);
    return code;
}

enum clm_code clm_tlsprobe(const struct clm_endpoint *endpoint, struct clm_observation *out,
                           struct clm_buf *out_leaf_der, struct clm_err *err)
{
    return clm_tlsprobe_as(endpoint, false, out, out_leaf_der, err);
}
