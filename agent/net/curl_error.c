/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/curl_error.h"

#include <errno.h>
#include <string.h>

#include "agent/base/str.h"

static const struct {
    CURLcode curl;
    enum clm_code code;
    const char *what; /* in front of the peer's name */
} MEANINGS[] = {
    {CURLE_COULDNT_CONNECT, CLM_E_NET, "cannot connect to"},
    {CURLE_COULDNT_RESOLVE_HOST, CLM_E_NET, "cannot find the address of"},
    {CURLE_COULDNT_RESOLVE_PROXY, CLM_E_NET, "cannot find the address of the proxy for"},
#if CLM_CURL_NUM >= 0x074900
    {CURLE_PROXY, CLM_E_NET, "the proxy refused the way to"},
#endif
    {CURLE_SEND_ERROR, CLM_E_NET, "connection broke while sending to"},
    {CURLE_RECV_ERROR, CLM_E_NET, "connection broke while waiting for"},
    {CURLE_PARTIAL_FILE, CLM_E_NET, "connection broke in the middle of the answer of"},
    {CURLE_GOT_NOTHING, CLM_E_NET, "empty answer from"},
    {CURLE_SSL_CONNECT_ERROR, CLM_E_NET, "no TLS session with"},
    {CURLE_OPERATION_TIMEDOUT, CLM_E_TIMEOUT, "no complete answer in time from"},
    {CURLE_PEER_FAILED_VERIFICATION, CLM_E_AUTH, "the TLS certificate is not trusted of"},
    {CURLE_SSL_ISSUER_ERROR, CLM_E_AUTH, "the TLS certificate is not trusted of"},
    {CURLE_SSL_CACERT_BADFILE, CLM_E_CONFIG, "the trust anchors cannot be used for"},
    {CURLE_SSL_CERTPROBLEM, CLM_E_CONFIG, "the own certificate or key cannot be used with"},
    {CURLE_FILESIZE_EXCEEDED, CLM_E_LIMIT, "the answer is too long from"},
    {CURLE_WEIRD_SERVER_REPLY, CLM_E_PARSE, "the answer is no HTTP from"},
    {CURLE_UNSUPPORTED_PROTOCOL, CLM_E_PARSE, "the answer is no HTTP this program accepts from"},
    {CURLE_BAD_CONTENT_ENCODING, CLM_E_PARSE, "the answer cannot be decoded from"},
    {CURLE_URL_MALFORMAT, CLM_E_INVAL, "the URL cannot be used for"},
    /* libcurl before 8.6 says so, too, of a header line of more than 100 KB */
    {CURLE_OUT_OF_MEMORY, CLM_E_NOMEM, "no memory for the answer, or too long a header, from"},
#if CLM_CURL_NUM >= 0x080600
    {CURLE_TOO_LARGE, CLM_E_LIMIT, "a header is too long in the answer of"},
#endif
};

/* Alerts by which a peer refuses our certificate, as OpenSSL (all versions) and GnuTLS word them. In
 * TLS 1.3 they arrive after the handshake, so that curl reports a failed read. */
static const char *const REFUSALS[] = {
    "alert bad certificate",     "alert unsupported certificate", "alert certificate revoked",
    "alert certificate expired", "alert certificate unknown",     "alert unknown ca",
    "alert access denied",       "alert certificate required",    "Certificate is bad",
    "Certificate was revoked",   "Certificate has expired",       "CA is unknown",
    "Unknown certificate",       "Certificate is required",       "Access was denied",
};

static bool is_refusal(const struct clm_curl_failure *failure)
{
    if (failure->curl != CURLE_SSL_CONNECT_ERROR && failure->curl != CURLE_RECV_ERROR &&
        failure->curl != CURLE_SEND_ERROR) {
        return false;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(REFUSALS); i++) {
        if (strstr(failure->reason, REFUSALS[i]) != NULL) {
            return true;
        }
    }
    return false;
}

void clm_curl_clean(char *dst, size_t size, const char *text)
{
    size_t n = strnlen(text, size - 1);

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        dst[i] = (char)((c < 0x20 || c == 0x7f) ? '?' : c);
    }
    dst[n] = '\0';
}

enum clm_code clm_curl_refused(CURLcode rc, const char *what, struct clm_err *err)
{
    if (rc == CURLE_OUT_OF_MEMORY) {
        return clm_err_set(err, CLM_E_NOMEM, "%s", what);
    }
    /* not curl_version(), which wakes LDAP and SASL to ask for theirs */
    return clm_err_set(err, CLM_E_UNSUPPORTED,
                       "%s: this libcurl (%s) lacks an option that is needed: %s", what,
                       curl_version_info(CURLVERSION_NOW)->version, curl_easy_strerror(rc));
}

enum clm_code clm_curl_error(const struct clm_curl_failure *failure, struct clm_err *err)
{
    enum clm_code code = CLM_E_NET;
    const char *what = "the exchange failed with";
    char reason[CURL_ERROR_SIZE];

    for (size_t i = 0; i < CLM_ARRAY_LEN(MEANINGS); i++) {
        if (MEANINGS[i].curl == failure->curl) {
            code = MEANINGS[i].code;
            what = MEANINGS[i].what;
        }
    }
    if (is_refusal(failure)) {
        code = CLM_E_AUTH;
        what = "the own certificate was refused by";
    }
    clm_curl_clean(reason, sizeof(reason),
                   failure->reason[0] != '\0' ? failure->reason
                                              : curl_easy_strerror(failure->curl));

    if (failure->curl == CURLE_COULDNT_CONNECT && failure->sys_errno != 0) {
        /* curl's own text names the address but not the reason */
        (void)clm_err_sys(err, failure->sys_errno, "%s '%s'", what, failure->peer);
        code = failure->sys_errno == ETIMEDOUT ? CLM_E_TIMEOUT : CLM_E_NET;
        if (err != NULL) {
            err->code = code; /* a refused connection is transient, whatever errno maps to */
        }
        return code;
    }
    if (code == CLM_E_TIMEOUT) {
        return clm_err_set(err, code, "%s '%s' (limit %u ms): %s", what, failure->peer,
                           failure->timeout_ms, reason);
    }
    return clm_err_set(err, code, "%s '%s': %s", what, failure->peer, reason);
}
