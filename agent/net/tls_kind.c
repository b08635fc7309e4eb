/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include "agent/net/tls_kind.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/net/curl_error.h"

#define CTRL_SET_SIGALGS_LIST 98 /* SSL_CTRL_SET_SIGALGS_LIST of openssl/ssl.h, since 1.0.2 */
#define OPENSSL               "OpenSSL/"

struct kind {
    const char *name;
    const char *ciphers; /* up to TLS 1.2 */
    const char *sigalgs; /* TLS 1.2 and 1.3 */
};

/* Old servers are looked at, too, so that SHA-1 and small keys are taken: nothing is trusted here. */
static const struct kind kinds[] = {
    {"rsa", "aRSA:!eNULL:@SECLEVEL=0",
     "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512:RSA+SHA1"},
    {"ec", "aECDSA:!eNULL:@SECLEVEL=0", "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ECDSA+SHA1"},
};

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* "OpenSSL/3.0.17"; NULL with another TLS library, also with a fork of OpenSSL. */
static const char *openssl_version(void)
{
    const char *backend = curl_version_info(CURLVERSION_NOW)->ssl_version;

    return backend != NULL && clm_str_starts(backend, OPENSSL) ? backend + strlen(OPENSSL) : NULL;
}

typedef long (*ctrl_fn)(void *ctx, int cmd, long number, void *pointer);
typedef const char *(*version_fn)(int type);

/* ISO C has no conversion from an object's address to a function's: POSIX says that this is one. */
static void find_symbol(const char *name, void *fn, size_t size)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);

    memcpy(fn, &symbol, size);
}

/* SSL_CTX_ctrl() of the very library that libcurl says it uses, which is an OpenSSL; NULL if that
 * is not certain. */
static ctrl_fn find_ctrl(void)
{
    const char *wanted = openssl_version();
    version_fn version = NULL;
    ctrl_fn ctrl = NULL;
    char text[64];

    assert(wanted != NULL);
    find_symbol("OpenSSL_version", &version, sizeof(version));
    find_symbol("SSL_CTX_ctrl", &ctrl, sizeof(ctrl));
    if (version == NULL || ctrl == NULL || /* version(0): "OpenSSL 3.0.17 1 Jul 2025" */
        clm_str_fmt(text, sizeof(text), NULL, "OpenSSL %s ", wanted) != CLM_OK) {
        return NULL;
    }
    return clm_str_starts(version(0), text) ? ctrl : NULL;
}

static CURLcode on_ctx(CURL *easy, void *ssl_ctx, void *arg)
{
    const struct kind *kind = arg;
    ctrl_fn ctrl = find_ctrl();
    char sigalgs[128];

    (void)easy;
    assert(ctrl != NULL); /* limit_sigalgs() found it */
    (void)snprintf(sigalgs, sizeof(sigalgs), "%s", kind->sigalgs);
    /* rather no handshake than one that shows the other certificate */
    return ctrl(ssl_ctx, CTRL_SET_SIGALGS_LIST, 0, sigalgs) == 1 ? CURLE_OK
                                                                 : CURLE_SSL_CONNECT_ERROR;
}

/* CURLE_NOT_BUILT_IN: neither way is open. */
static CURLcode limit_sigalgs(CURL *easy, const struct kind *kind)
{
    const void *arg = kind;
    CURLcode rc;

#if LIBCURL_VERSION_NUM >= 0x080e00
    rc = curl_easy_setopt(easy, CURLOPT_SSL_SIGNATURE_ALGORITHMS, kind->sigalgs);
    if (rc != CURLE_UNKNOWN_OPTION && rc != CURLE_NOT_BUILT_IN) {
        return rc;
    }
#endif
    if (find_ctrl() == NULL) {
        return CURLE_NOT_BUILT_IN;
    }
    rc = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ctx);
    return rc == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, arg) : rc;
}

enum clm_code clm_tls_kind_set(CURL *easy, const char *name, bool old_only,
                               enum clm_kind_limit *out_limit, struct clm_err *err)
{
    const struct kind *kind = find_kind(name);
    CURLcode rc;

    *out_limit = CLM_KIND_NONE;
    if (kind == NULL) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is no kind of key: rsa or ec", name);
    }
    if (openssl_version() == NULL) {
        return CLM_OK; /* the names of ciphers are others in other libraries */
    }
    rc = curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, kind->ciphers);
    if (rc == CURLE_OK) {
        rc = old_only ? CURLE_NOT_BUILT_IN : limit_sigalgs(easy, kind);
        *out_limit = CLM_KIND_ALL_VERSIONS;
    }
    if (rc == CURLE_NOT_BUILT_IN) {
        *out_limit = CLM_KIND_UP_TO_TLS12;
        rc = curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                              (long)CURL_SSLVERSION_TLSv1_0 | (long)CURL_SSLVERSION_MAX_TLSv1_2);
    }
    return rc == CURLE_OK ? CLM_OK : clm_curl_refused(rc, "TLS probe", err);
}
