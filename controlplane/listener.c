/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "controlplane/dispatch.h"
#include "controlplane/fault.h"
#include "controlplane/server.h"
#include "controlplane/sock.h"

#define THREADS         4
#define CONNECTIONS_MAX 20000
#define IDLE_TIMEOUT_S  90 /* wait_max_s + 25 at least: protocol.md 7.6 rule 6 */
#define CONNECTION_MEMORY                                                                          \
    ((size_t)32 * 1024) /* a head of 8 KiB is refused by us, not by the library */
#define DROP_MAX     ((size_t)1024 * 1024) /* bytes read beyond a limit before we hang up */
#define STOP_WAIT_MS 3000

struct clm_cp_listener_state {
    struct clm_cp *cp;
    enum clm_cp_listener api;
    struct MHD_Daemon *daemon;
    atomic_int in_flight; /* requests that are not answered yet */
    char url[160];
};

/* One request, from its head to its answer. */
struct exchange {
    struct clm_cp_listener_state *listener;
    struct clm_cp_request req;
    struct clm_cp_answer answer;
    struct clm_cp_waiter waiter;
    struct clm_cp_peer peer;
    struct clm_buf raw;
    enum clm_code kept; /* not OK: the rest of the body is dropped, so that our answer is read */
    size_t dropped;
    bool was_dispatched;
};

void clm_cp_listener_suspend(void *connection)
{
    MHD_suspend_connection(connection);
}

void clm_cp_listener_resume(void *connection)
{
    MHD_resume_connection(connection);
}

CLM_PRINTF(2, 0) static void on_log(void *arg, const char *fmt, va_list args)
{
    char line[256];

    (void)arg;
    (void)vsnprintf(line, sizeof(line), fmt, args);
    line[strcspn(line, "\n")] = '\0';
    clm_log_debug("http: %s", line);
}

static void set_remote(struct exchange *ex, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    if (info != NULL) {
        clm_cp_sock_text(info->client_addr, ex->req.remote, sizeof(ex->req.remote));
    }
}

static void set_peer(struct exchange *ex, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    clm_cp_peer_check(ex->listener->cp->peer_trust, info != NULL ? info->tls_session : NULL,
                      &ex->peer);
}

static bool is_head_too_large(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    return info != NULL && info->header_size > CLM_CP_HEADER_IN_MAX;
}

/* The announced length; 0 if there is none. */
static uint64_t body_length(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    int64_t bytes = 0;

    if (length != NULL && clm_str_to_int(length, 0, INT64_MAX, &bytes, NULL) != CLM_OK) {
        return UINT64_MAX;
    }
    return (uint64_t)bytes;
}

/* What can be refused before the body was read. True if answer is filled. */
static bool refuse_early(struct exchange *ex, struct MHD_Connection *connection)
{
    struct clm_cp_request *req = &ex->req;
    bool other_method = false;

    req->route =
        clm_cp_route_find(ex->listener->api, req->method, req->path, req->param, &other_method);
    if (is_head_too_large(connection)) {
        (void)clm_cp_answer_problem(req, &ex->answer, CLM_CP_HEADERS_TOO_LARGE,
                                    "the limit is %zu bytes", CLM_CP_HEADER_IN_MAX);
        return true;
    }
    if (req->route == NULL) {
        (void)clm_cp_answer_problem(req, &ex->answer,
                                    other_method ? CLM_CP_METHOD : CLM_CP_NOT_FOUND,
                                    "nothing answers to this method and path");
        return true;
    }
    ex->raw.max = req->route->body_max;
    uint64_t length = body_length(connection);

    ex->kept = length > req->route->body_max ? CLM_E_LIMIT : CLM_OK;
    if (length > req->route->body_max + DROP_MAX) {
        (void)clm_cp_answer_problem(req, &ex->answer, CLM_CP_TOO_LARGE, "the limit is %zu bytes",
                                    req->route->body_max);
        return true;
    }
    return false;
}

static enum MHD_Result send_answer(struct exchange *ex, struct MHD_Connection *connection)
{
    struct clm_cp_answer *answer = &ex->answer;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, answer->body.data, MHD_RESPMEM_MUST_COPY);

    if (response == NULL) {
        return MHD_NO;
    }
    clm_cp_answer_header(answer, "Clm-Request-Id", ex->req.id);
    if (answer->content_type != NULL) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    }
    bool has_cache_rule = false;

    for (size_t i = 0; i < answer->n_headers; i++) {
        (void)MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
        has_cache_rule |= strcmp(answer->headers[i].name, "Cache-Control") == 0;
    }
    /* Agents wrote parts of what is shown: a browser must take it for what it is said to be. */
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (!has_cache_rule) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    }
    enum MHD_Result result =
        clm_cp_fault_send(ex->listener->cp, ex->req.path, connection, answer->status, response);

    MHD_destroy_response(response);
    return result;
}

/* Holds the request. False if something happened meanwhile: evaluate again. */
static bool park(struct exchange *ex, struct MHD_Connection *connection, uint64_t epoch)
{
    struct clm_cp_hub *hub = ex->listener->cp->hub;
    struct clm_cp_waiter *waiter = &ex->waiter;

    memcpy(waiter->topic, ex->answer.hold_topic, sizeof(waiter->topic));
    memcpy(waiter->owner, ex->answer.hold_owner, sizeof(waiter->owner));
    waiter->deadline_ms = ex->answer.hold_until_ms;
    waiter->connection = connection;
    if (waiter->owner[0] != '\0' && !ex->req.is_again) {
        clm_cp_hub_supersede(hub, waiter->topic, waiter->owner);
    }
    return clm_cp_hub_park(hub, waiter, epoch);
}

static enum MHD_Result evaluate(struct exchange *ex, struct MHD_Connection *connection)
{
    struct clm_cp_hub *hub = ex->listener->cp->hub;

    ex->req.is_last = ex->waiter.superseded || clm_cp_hub_is_closed(hub);
    for (;;) {
        uint64_t epoch = clm_cp_hub_epoch(hub);

        ex->answer.n_headers = 0;
        ex->answer.keep = false;
        clm_buf_reset(&ex->answer.body);
        clm_cp_dispatch(&ex->req, &ex->peer, &ex->answer);
        if (ex->answer.status != 0) {
            return send_answer(ex, connection);
        }
        if (park(ex, connection, epoch)) {
            /* From here on another thread may run this exchange. */
            return MHD_YES;
        }
        ex->req.is_again = true;
        ex->req.is_last = clm_cp_hub_is_closed(hub);
    }
}

static struct exchange *exchange_new(struct clm_cp_listener_state *listener,
                                     struct MHD_Connection *connection, const char *method,
                                     const char *path)
{
    struct exchange *ex = calloc(1, sizeof(*ex));

    if (ex == NULL || clm_id_new("req", ex->req.id, NULL) != CLM_OK) {
        free(ex);
        return NULL;
    }
    ex->listener = listener;
    ex->answer.body.max = CLM_CP_RESPONSE_MAX;
    ex->req.cp = listener->cp;
    ex->req.connection = connection;
    ex->req.method = method;
    ex->req.path = path;
    ex->req.raw = &ex->raw;
    ex->req.started_ms = clm_clock_mono_ms();
    set_remote(ex, connection);
    atomic_fetch_add(&listener->in_flight, 1);
    return ex;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *ex = *slot;

    (void)arg;
    (void)connection;
    (void)code;
    if (ex != NULL) {
        atomic_fetch_sub(&ex->listener->in_flight, 1);
        clm_buf_done(&ex->raw);
        clm_buf_done(&ex->answer.body);
        free(ex);
        *slot = NULL;
    }
}

/* False: so much too much that the connection is closed. */
static bool take_body(struct exchange *ex, const char *data, size_t len)
{
    if (ex->kept == CLM_OK) {
        ex->kept = clm_buf_add(&ex->raw, data, len, NULL);
    }
    if (ex->kept == CLM_OK) {
        return true;
    }
    ex->dropped += len;
    return ex->dropped <= ex->raw.max + DROP_MAX;
}

static void refuse_body(struct exchange *ex)
{
    if (ex->kept == CLM_E_LIMIT) {
        (void)clm_cp_answer_problem(&ex->req, &ex->answer, CLM_CP_TOO_LARGE,
                                    "the limit is %zu bytes", ex->raw.max);
    } else { /* the lack of memory is never the client's fault */
        clm_log_error("a request's body: no memory");
        (void)clm_cp_answer_problem(&ex->req, &ex->answer, CLM_CP_INTERNAL,
                                    "no memory for the body");
    }
}

/* Called for the head, for each piece of the body, at its end, and again after a hold. */
/* NOLINTNEXTLINE(readability-function-size): the library's signature */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **slot)
{
    struct exchange *ex = *slot;

    (void)version;
    if (ex == NULL) {
        ex = exchange_new(arg, connection, method, url);
        *slot = ex;
        if (ex == NULL) {
            return MHD_NO;
        }
        return refuse_early(ex, connection) ? send_answer(ex, connection) : MHD_YES;
    }
    if (*upload_len > 0) {
        bool go_on = take_body(ex, upload, *upload_len);

        *upload_len = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    if (ex->kept != CLM_OK) {
        refuse_body(ex);
        return send_answer(ex, connection);
    }
    if (!ex->was_dispatched) {
        set_peer(ex, connection);
        ex->was_dispatched = true;
    } else {
        ex->req.is_again = true;
    }
    return evaluate(ex, connection);
}

static struct MHD_Daemon *start_daemon(struct clm_cp_listener_state *listener,
                                       const struct clm_cp_listen *listen, int fd)
{
    char versions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    bool asks = listen->client_ca_pem != NULL;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, listen->cert_pem},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, listen->key_pem},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, versions},
        {asks ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, listen->client_ca_pem},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_ITC;

    if (listen->cert_pem != NULL) {
        flags |= MHD_USE_TLS;
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_ARRAY,
        listen->cert_pem != NULL ? tls : none, MHD_OPTION_END);
}

enum clm_code clm_cp_listener_start(struct clm_cp *cp, const struct clm_cp_listen *listen,
                                    struct clm_cp_listener_state **out_listener,
                                    struct clm_err *err)
{
    char bound[96];
    int fd = -1;
    enum clm_code code = clm_cp_sock_listen(listen->address, &fd, bound, sizeof(bound), err);

    if (code != CLM_OK) {
        return code;
    }
    struct clm_cp_listener_state *listener = calloc(1, sizeof(*listener));

    if (listener == NULL) {
        (void)close(fd);
        return clm_err_set(err, CLM_E_NOMEM, "listener");
    }
    listener->cp = cp;
    listener->api = listen->api;
    (void)snprintf(listener->url, sizeof(listener->url), "%s://%s",
                   listen->cert_pem != NULL ? "https" : "http", bound);
    listener->daemon = start_daemon(listener, listen, fd);
    if (listener->daemon == NULL) {
        (void)close(fd);
        free(listener);
        return clm_err_set(err, CLM_E_IO, "the HTTP server on '%s' did not start", bound);
    }
    *out_listener = listener;
    return CLM_OK;
}

const char *clm_cp_listener_url(const struct clm_cp_listener_state *listener)
{
    return listener->url;
}

void clm_cp_listener_stop(struct clm_cp_listener_state *listener)
{
    if (listener == NULL) {
        return;
    }
    MHD_socket fd = MHD_quiesce_daemon(listener->daemon);

    for (int waited_ms = 0; atomic_load(&listener->in_flight) > 0 && waited_ms < STOP_WAIT_MS;
         waited_ms += 10) {
        clm_clock_sleep_ms(10);
    }
    MHD_stop_daemon(listener->daemon);
    if (fd != MHD_INVALID_SOCKET) {
        (void)close(fd);
    }
    free(listener);
}
