/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One easy handle carries the connection. It is set up anew for every request (curl_easy_reset()
 * keeps connection, TLS session and DNS cache), so that no option of one request reaches the next.
 *
 * Memory decides some of the settings: HTTP/1.1 (a second protocol brings window buffers), small
 * buffers, two connections, no cache of parsed trust anchors between connections.
 */
#include "agent/net/http.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/model/names.h"
#include "agent/net/curl_compat.h"
#include "agent/net/curl_error.h"
#include "agent/net/drive.h"
#include "agent/net/http_header.h"
#include "agent/net/sigpipe.h"

#define PEER_SIZE   300    /* host of 255, brackets, port */
#define BUFFER_SIZE 16384L /* bytes; a TLS record */

struct clm_http {
    char *ca_pem;
    char *cert_path;
    char *key_path;
    char *proxy;
    bool allow_http;
    uint32_t connect_timeout_ms;
    clm_http_socket_fn socket;
    CURL *easy;   /* NULL until the first request */
    CURLM *multi; /* keeps the connections; there when easy is */
};

/* One request under way. */
struct exchange {
    struct clm_http *http;
    const struct clm_http_request *request;
    struct clm_http_response *out;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char peer[PEER_SIZE];
    char reason[CURL_ERROR_SIZE];
    bool unverified; /* the peer's certificate does not matter */
    int ca_fd;       /* of clm_curl_set_ca(); -1 */
    size_t header_bytes;
    enum clm_code code; /* why a callback stopped the transfer */
    struct clm_err err;
};

/* A copy of text, NULL for NULL; *failed is set when there is no memory. */
static char *copy_opt(const char *text, bool *failed)
{
    char *copy = text != NULL ? strdup(text) : NULL;

    *failed = *failed || (text != NULL && copy == NULL);
    return copy;
}

enum clm_code clm_http_new(const struct clm_http_opts *opts, struct clm_http **out_http,
                           struct clm_err *err)
{
    if ((opts->cert_path == NULL) != (opts->key_path == NULL)) {
        return clm_err_set(err, CLM_E_INVAL,
                           "a client certificate needs its key, and a key its "
                           "certificate");
    }
    CLM_CLEANUP(clm_http_free_p) struct clm_http *http = calloc(1, sizeof(*http));
    if (http == NULL) {
        (void)clm_err_set(err, CLM_E_NOMEM, "HTTP session");
        return CLM_E_NOMEM;
    }
    bool failed = false;
    http->ca_pem = copy_opt(opts->ca_pem, &failed);
    http->cert_path = copy_opt(opts->cert_path, &failed);
    http->key_path = copy_opt(opts->key_path, &failed);
    http->proxy = copy_opt(opts->proxy, &failed);
    if (failed) {
        (void)clm_err_set(err, CLM_E_NOMEM, "HTTP session");
        return CLM_E_NOMEM;
    }
    http->allow_http = opts->allow_http;
    http->connect_timeout_ms =
        opts->connect_timeout_ms != 0 ? opts->connect_timeout_ms : CLM_HTTP_CONNECT_TIMEOUT_MS;
    http->socket = opts->socket;
    *out_http = CLM_STEAL(http);
    return CLM_OK;
}

void clm_http_reset(struct clm_http *http)
{
    struct clm_sigpipe hold;

    clm_sigpipe_hold(&hold);
    curl_easy_cleanup(http->easy);
    http->easy = NULL;
    (void)curl_multi_cleanup(http->multi);
    http->multi = NULL;
    clm_sigpipe_release(&hold);
}

void clm_http_free(struct clm_http *http)
{
    if (http == NULL) {
        return;
    }
    clm_http_reset(http);
    free(http->ca_pem);
    free(http->cert_path);
    free(http->key_path);
    free(http->proxy);
    free(http);
}

/* ---- what comes back ---- */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    size_t len = size * count;

    x->code = clm_buf_add(&x->out->body, data, len, &x->err);
    if (x->code == CLM_E_LIMIT) {
        x->code = clm_err_set(&x->err, CLM_E_LIMIT, "the answer of '%s' is longer than %zu bytes",
                              x->peer, x->out->body.max);
    }
    return x->code == CLM_OK ? len : 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    size_t len = size * count;

    x->header_bytes += len;
    if (x->header_bytes > CLM_HTTP_HEADERS_MAX) {
        x->code = clm_err_set(&x->err, CLM_E_LIMIT,
                              "the headers of the answer of '%s' are longer than %zu bytes",
                              x->peer, CLM_HTTP_HEADERS_MAX);
        return 0;
    }
    x->code = clm_http_header_line(x->out, data, len, &x->err);
    if (x->code != CLM_OK) {
        (void)clm_err_wrap(&x->err, x->code, "'%s'", x->peer);
        return 0;
    }
    return len;
}

/* ---- what goes out ---- */

static enum clm_code append(struct curl_slist **list, const char *line, struct clm_err *err)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "HTTP request");
    }
    *list = longer;
    return CLM_OK;
}

/* "Expect:" would cost a second with servers that do not answer it; "Content-Type:" takes away
 * curl's form type where the caller gives none (a caller's own comes later in the list and is sent). */
static enum clm_code set_headers(struct exchange *x, struct clm_err *err)
{
    enum clm_code code = append(&x->headers, "Expect:", err);

    if (code == CLM_OK) {
        code = append(&x->headers, "Content-Type:", err);
    }
    const char *const *header = x->request->headers;
    for (; code == CLM_OK && header != NULL && *header != NULL; header++) {
        if (!clm_str_is_printable(*header)) {
            return clm_err_set(err, CLM_E_INVAL,
                               "a request header for '%s' holds other than "
                               "printable ASCII",
                               x->peer);
        }
        code = append(&x->headers, *header, err);
    }
    return code;
}

static enum clm_code set_connect_to(struct exchange *x, struct clm_err *err)
{
    const char *where = x->request->connect_to;
    char line[128];
    int64_t port = 0;

    if (where == NULL) {
        return CLM_OK;
    }
    const char *colon = strrchr(where, ':');
    if (colon == NULL || colon == where ||
        clm_str_to_int(colon + 1, 1, 65535, &port, NULL) != CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not 'address:port'", where);
    }
    int len = (int)(colon - where);
    bool bare_v6 = where[0] != '[' && memchr(where, ':', (size_t)len) != NULL;
    enum clm_code code = clm_str_fmt(line, sizeof(line), err, bare_v6 ? "::[%.*s]:%d" : "::%.*s:%d",
                                     len, where, (int)port);
    return code == CLM_OK ? append(&x->connect_to, line, err) : code;
}

/* Checks the URL and writes "host:port" of it for messages: never path or query, which may hold a
 * secret. */
static enum clm_code read_url(struct exchange *x, struct clm_err *err)
{
    CURLU *url = curl_url();
    char *scheme = NULL;
    char *host = NULL;
    char *port = NULL;
    enum clm_code code = CLM_OK;

    if (url == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "URL");
    }
    CURLUcode rc = curl_url_set(url, CURLUPART_URL, x->request->url, CURLU_DISALLOW_USER);

    if (rc == CURLUE_OK) {
        rc = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    }
    if (rc == CURLUE_OK) {
        rc = curl_url_get(url, CURLUPART_HOST, &host, 0);
    }
    if (rc == CURLUE_OK) {
        rc = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    }
    if (rc == CURLUE_OUT_OF_MEMORY) {
        code = clm_err_set(err, CLM_E_NOMEM, "URL");
    } else if (rc != CURLUE_OK) {
        code = clm_err_set(err, CLM_E_INVAL, "the URL is malformed or holds a user name");
    } else if (strcmp(scheme, "https") != 0 &&
               !(x->http->allow_http && strcmp(scheme, "http") == 0)) {
        code = clm_err_set(err, CLM_E_INVAL, "'%s' must be an https URL, not %s", host, scheme);
    } else {
        code = clm_str_fmt(x->peer, sizeof(x->peer), err, "%s:%s", host, port);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return code;
}

/* ---- options ---- */

static CURLcode set_limits(CURL *easy, struct exchange *x)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_HTTP_CONTENT_DECODING, 0},
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
        {CURLOPT_DISALLOW_USERNAME_IN_URL, 1},
        {CURLOPT_PATH_AS_IS, 1},
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_HTTPPROXYTUNNEL, 1},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_TCP_KEEPIDLE, 30},  /* protocol.md 18.1 */
        {CURLOPT_TCP_KEEPINTVL, 15}, /* protocol.md 18.1 */
#if CLM_CURL_NUM >= 0x074100
        {CURLOPT_MAXAGE_CONN, CLM_HTTP_IDLE_MAX_S},
#endif
        {CURLOPT_DNS_CACHE_TIMEOUT, 60}, /* protocol.md 18.1 */
        {CURLOPT_MAXCONNECTS, 2},
        {CURLOPT_BUFFERSIZE, BUFFER_SIZE},
#if CLM_CURL_NUM >= 0x073e00
        {CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE},
#endif
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_SSL_VERIFYPEER, x->unverified ? 0 : 1},
        {CURLOPT_SSL_VERIFYHOST, x->unverified ? 0 : 2},
#if CLM_CURL_NUM >= 0x075700
        {CURLOPT_CA_CACHE_TIMEOUT, 0},
#endif
        {CURLOPT_CONNECTTIMEOUT_MS, (long)x->http->connect_timeout_ms},
        {CURLOPT_TIMEOUT_MS, (long)x->request->timeout_ms},
    };
    CURLcode rc = CURLE_OK;

    for (size_t i = 0; rc == CURLE_OK && i < CLM_ARRAY_LEN(numbers); i++) {
        rc = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
    }
#if CLM_CURL_NUM >= 0x075500
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                              x->http->allow_http ? "https,http" : "https");
    }
#else
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
                              x->http->allow_http ? CURLPROTO_HTTPS | CURLPROTO_HTTP
                                                  : CURLPROTO_HTTPS);
    }
#endif
    return rc;
}

/* With anchors of our own the built-in directory must go, too: curl adds it to CAINFO_BLOB. */
static CURLcode set_trust(CURL *easy, struct exchange *x)
{
    const char *ca = x->request->ca_pem != NULL ? x->request->ca_pem : x->http->ca_pem;
    CURLcode rc = CURLE_OK;

    if (ca != NULL || x->unverified) {
        rc = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (rc == CURLE_OK && ca == NULL && x->unverified) {
        rc = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    }
    if (rc == CURLE_OK && ca != NULL) {
        rc = clm_curl_set_ca(easy, ca, &x->ca_fd);
    }
    if (rc == CURLE_OK && x->http->cert_path != NULL) {
        rc = curl_easy_setopt(easy, CURLOPT_SSLCERT, x->http->cert_path);
    }
    if (rc == CURLE_OK && x->http->key_path != NULL) {
        rc = curl_easy_setopt(easy, CURLOPT_SSLKEY, x->http->key_path);
    }
    return rc;
}

static CURLcode set_way(CURL *easy, struct exchange *x)
{
    const char *proxy = x->connect_to != NULL ? "" : x->http->proxy;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, x->request->url);

    if (rc == CURLE_OK && proxy != NULL) {
        rc = curl_easy_setopt(easy, CURLOPT_PROXY, proxy);
    }
    if (rc == CURLE_OK && x->connect_to != NULL) {
        rc = curl_easy_setopt(easy, CURLOPT_CONNECT_TO, x->connect_to);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_USERAGENT, "clmbot/" CLM_VERSION);
    }
    return rc;
}

static CURLcode set_method(CURL *easy, struct exchange *x)
{
    const struct clm_http_request *request = x->request;
    bool has_body = request->body != NULL || strcmp(request->method, "POST") == 0;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, x->headers);

    if (rc == CURLE_OK && has_body) {
        rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    }
    if (rc == CURLE_OK && has_body) {
        rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body != NULL ? request->body : "");
    }
    if (rc == CURLE_OK && strcmp(request->method, "HEAD") == 0) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (rc == CURLE_OK && strcmp(request->method, has_body ? "POST" : "GET") != 0) {
        rc = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
    return rc;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *x = arg;
    int fd = -1;

    (void)purpose;
    x->code = x->http->socket(address->family, &fd, &x->err);
    return x->code == CLM_OK ? fd : CURL_SOCKET_BAD;
}

static CURLcode set_socket(CURL *easy, struct exchange *x)
{
    CURLcode rc = CURLE_OK;

    if (x->http->socket != NULL) {
        rc = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
        if (rc == CURLE_OK) {
            rc = curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, x);
        }
    }
    return rc;
}

static CURLcode set_callbacks(CURL *easy, struct exchange *x)
{
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->reason);

    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    }
    if (rc == CURLE_OK) {
        rc = curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    }
    if (rc == CURLE_OK) { /* refuse what announces itself as too long before it comes */
        rc =
            curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)x->request->response_max);
    }
    return rc;
}

static enum clm_code configure(struct exchange *x, struct clm_err *err)
{
    static CURLcode (*const steps[])(CURL *, struct exchange *) = {set_limits, set_trust, set_way,
                                                                   set_socket, set_method};
    CURL *easy = x->http->easy;

    curl_easy_reset(easy);
    CURLcode rc = set_callbacks(easy, x);
    for (size_t i = 0; rc == CURLE_OK && i < CLM_ARRAY_LEN(steps); i++) {
        rc = steps[i](easy, x);
    }
    return rc == CURLE_OK ? CLM_OK : clm_curl_refused(rc, "HTTP request", err);
}

/* ---- the exchange ---- */

static enum clm_code perform(struct exchange *x, struct clm_err *err)
{
    long value = 0;
    CURLcode rc = clm_drive(x->http->multi, x->http->easy, x->request->on_idle);

    if (x->code != CLM_OK) {
        if (err != NULL) {
            *err = x->err;
        }
        return x->code;
    }
    if (rc != CURLE_OK) {
        (void)curl_easy_getinfo(x->http->easy, CURLINFO_OS_ERRNO, &value);
        const struct clm_curl_failure failure = {
            .curl = rc,
            .reason = x->reason,
            .peer = x->peer,
            .sys_errno = (int)value,
            .timeout_ms = x->request->timeout_ms,
        };
        return clm_curl_error(&failure, err);
    }
    (void)curl_easy_getinfo(x->http->easy, CURLINFO_RESPONSE_CODE, &value);
    x->out->status = (int)value;
    return CLM_OK;
}

static enum clm_code run(struct exchange *x, struct clm_err *err)
{
    enum clm_code code = read_url(x, err);

    if (code == CLM_OK) {
        code = set_headers(x, err);
    }
    if (code == CLM_OK) {
        code = set_connect_to(x, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (x->http->easy == NULL) {
        x->http->easy = curl_easy_init();
    }
    if (x->http->multi == NULL) {
        x->http->multi = curl_multi_init();
    }
    if (x->http->easy == NULL || x->http->multi == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "HTTP session");
    }
    code = configure(x, err);
    if (code == CLM_OK) {
        code = perform(x, err);
    }
    if (code == CLM_OK) {
        curl_easy_reset(x->http->easy); /* it must not keep pointers into x */
    } else { /* after a name that was not found it takes no CURLOPT_BUFFERSIZE any more */
        curl_easy_cleanup(x->http->easy);
        x->http->easy = NULL;
    }
    return code;
}

static enum clm_code exchange(struct clm_http *http, const struct clm_http_request *request,
                              bool unverified, struct clm_http_response *out, struct clm_err *err)
{
    struct clm_http_request with_timeout = *request;
    struct exchange x = {
        .http = http, .request = &with_timeout, .out = out, .unverified = unverified, .ca_fd = -1};

    struct clm_sigpipe hold;

    if (with_timeout.timeout_ms == 0) {
        with_timeout.timeout_ms = CLM_HTTP_TIMEOUT_MS;
    }
    *out = (struct clm_http_response){.body = CLM_BUF_INIT(request->response_max)};
    clm_sigpipe_hold(&hold);
    enum clm_code code = run(&x, err);
    clm_sigpipe_release(&hold);
    clm_fs_close_p(&x.ca_fd);
    curl_slist_free_all(x.headers);
    curl_slist_free_all(x.connect_to);
    if (code != CLM_OK) {
        clm_buf_done(&out->body);
    }
    return code;
}

enum clm_code clm_http_do(struct clm_http *http, const struct clm_http_request *request,
                          struct clm_http_response *out, struct clm_err *err)
{
    return exchange(http, request, false, out, err);
}

enum clm_code clm_http_fetch_unverified(const char *url, const char *proxy, uint32_t timeout_ms,
                                        struct clm_http_response *out, struct clm_err *err)
{
    const struct clm_http_opts opts = {.proxy = proxy};
    const struct clm_http_request request = {
        .method = "GET",
        .url = url,
        .response_max = CLM_HTTP_UNVERIFIED_MAX,
        .timeout_ms = timeout_ms,
    };
    CLM_CLEANUP(clm_http_free_p) struct clm_http *http = NULL;

    *out = (struct clm_http_response){.body = CLM_BUF_INIT(CLM_HTTP_UNVERIFIED_MAX)};
    enum clm_code code = clm_http_new(&opts, &http, err);
    return code == CLM_OK ? exchange(http, &request, true, out, err) : code;
}

enum clm_code clm_http_do_here(const struct clm_http_request *request, clm_http_socket_fn socket,
                               struct clm_http_response *out, struct clm_err *err)
{
    const struct clm_http_opts opts = {.proxy = "", .allow_http = true, .socket = socket};
    CLM_CLEANUP(clm_http_free_p) struct clm_http *http = NULL;
    enum clm_code code = clm_url_check_loopback(request->url, err);

    *out = (struct clm_http_response){.body = CLM_BUF_INIT(request->response_max)};
    if (code == CLM_OK && request->connect_to != NULL) {
        code = clm_err_set(err, CLM_E_INVAL, "connect_to leads elsewhere");
    }
    if (code == CLM_OK) {
        code = clm_http_new(&opts, &http, err);
    }
    return code == CLM_OK ? exchange(http, request, true, out, err) : code;
}
