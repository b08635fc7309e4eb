/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - one HTTP session: a reusable connection with limits, trust anchors and an identity
 *
 * Requests and responses are the values of agent/model/io.h. Nothing is followed, decoded, cached or
 * kept beside the connection: a redirect is a response with status 3xx, a compressed body stays as
 * it came. A session is for one thread and makes one request at a time.
 */
#ifndef CLM_NET_HTTP_H
#define CLM_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/model/io.h"

#define CLM_HTTP_CONNECT_TIMEOUT_MS 10000               /* protocol.md 18.1 */
#define CLM_HTTP_TIMEOUT_MS         60000               /* where a request gives none */
#define CLM_HTTP_HEADERS_MAX        ((size_t)64 * 1024) /* bytes of all headers of one response */
#define CLM_HTTP_UNVERIFIED_MAX     ((size_t)64 * 1024) /* bytes; protocol.md 5.3 step 1 */
#define CLM_HTTP_IDLE_MAX_S         600 /* an older idle connection is not used again */

/* A TCP socket that is not connected yet from somebody who may make one, the caller's to close. */
typedef enum clm_code (*clm_http_socket_fn)(int family, int *out_fd, struct clm_err *err);

/* Everything is copied. Zero-initialise it. */
struct clm_http_opts {
    const char *ca_pem;    /* sole trust anchors of the session; NULL: the system's */
    const char *cert_path; /* client certificate and chain, PEM; NULL: none */
    const char *key_path;  /* its key, PEM, unencrypted; needed with cert_path */
    const char *proxy; /* "http://host:port"; NULL: from the environment (https_proxy); "": none */
    bool allow_http;   /* plain http URLs, too: for DCV and ACME validation only */
    uint32_t connect_timeout_ms; /* 0: CLM_HTTP_CONNECT_TIMEOUT_MS */
    clm_http_socket_fn socket;   /* NULL: sockets are made here */
};

struct clm_http;

/*
 * clm_http_new() - a session without a connection yet
 *
 * Out     out_http  for clm_http_free()
 * Errors  NOMEM; INVAL only one of cert_path and key_path
 */
CLM_MUST_USE enum clm_code clm_http_new(const struct clm_http_opts *opts,
                                        struct clm_http **out_http, struct clm_err *err);
/* Accepts NULL. Closes the connection. */
void clm_http_free(struct clm_http *http);
CLM_DEFINE_CLEANUP(struct clm_http, clm_http_free);

/*
 * clm_http_reset() - closes idle connections and gives their memory back
 *
 * Needed after the files at cert_path changed (an open connection carries the old certificate), and
 * useful before a long sleep. The next request connects again.
 */
void clm_http_reset(struct clm_http *http);

/*
 * clm_http_do() - one request, one response
 *
 * In      request  ca_pem replaces the session's anchors, NULL keeps them. connect_to is
 *                  "addr:port" or "[addr]:port"; it bypasses any proxy. timeout_ms 0 is
 *                  CLM_HTTP_TIMEOUT_MS
 * Out     out      overwritten; body is the caller's to free with clm_buf_done(), also on error
 * Blocks  for timeout_ms at most
 * Errors  INVAL the URL, its scheme, or a header with control characters
 *         NET no connection, or it broke; TIMEOUT
 *         AUTH the peer's certificate is not trusted, or the peer refused ours (a peer that resets
 *         the connection before its alert is read looks like NET)
 *         LIMIT body beyond response_max, or headers too large; PARSE no HTTP
 *         CONFIG our certificate or key file cannot be used
 *         Every other answer of the peer is CLM_OK and its status.
 * Source  protocol.md 5.8, 6.1, 18.1
 */
CLM_MUST_USE enum clm_code clm_http_do(struct clm_http *http,
                                       const struct clm_http_request *request,
                                       struct clm_http_response *out, struct clm_err *err);

/*
 * clm_http_fetch_unverified() - GET WITHOUT knowing who answers
 *
 * For step 1 of the bootstrap alone: the caller keeps only certificates whose key matches a pin.
 * Sends no client certificate, no cookie, no header of the caller's; one connection, then closed.
 *
 * In      url      https
 *         proxy    as in struct clm_http_opts
 * Out     out      as of clm_http_do(); at most CLM_HTTP_UNVERIFIED_MAX bytes of body
 * Errors  as of clm_http_do()
 * Source  protocol.md 5.3 step 1
 */
CLM_MUST_USE enum clm_code clm_http_fetch_unverified(const char *url, const char *proxy,
                                                     uint32_t timeout_ms,
                                                     struct clm_http_response *out,
                                                     struct clm_err *err);

/*
 * clm_http_do_here() - one request to a server on this host, whoever answers
 *
 * For managers of servers on loopback, which have certificates of their own making. One
 * connection, then closed; no proxy, http and https.
 *
 * In      socket  as in struct clm_http_opts
 * Errors  INVAL unless the URL has an address of this host as a number (clm_url_check_loopback());
 *         else as of clm_http_do()
 */
CLM_MUST_USE enum clm_code clm_http_do_here(const struct clm_http_request *request,
                                            clm_http_socket_fn socket,
                                            struct clm_http_response *out, struct clm_err *err);

#endif
