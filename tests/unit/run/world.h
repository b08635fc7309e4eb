/* SPDX-License-Identifier: Apache-2.0 */
/* world - a state directory of its own, and a scripted control plane */
#ifndef CLM_TESTS_RUN_WORLD_H
#define CLM_TESTS_RUN_WORLD_H

#include <fts.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/fs.h"
#include "agent/run/api.h"
#include "agent/run/files.h"
#include "config/config.h"

#define A_JOB        "job_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define B_JOB        "job_01J9ZK3W5V7M2Q8R4T6Y0X1B3D"
#define A_REQUEST_ID "req_01J9ZM0V6Q4T2S8R7P5N3K1H9G"

struct home {
    char dir[64];
    struct clm_config config;
};

static inline void home_open(struct home *h)
{
    struct clm_err err = {0};

    memset(h, 0, sizeof(*h));
    (void)snprintf(h->dir, sizeof(h->dir), "/tmp/clm-run-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    (void)snprintf(h->config.state_dir, sizeof(h->config.state_dir), "%s", h->dir);
    (void)snprintf(h->config.run_dir, sizeof(h->config.run_dir), "%s", h->dir);
    h->config.control_plane.poll_wait_s = 50;
    h->config.control_plane.interval_max_s = 300;
    h->config.scan.interval_s = 86400;
    h->config.deploy.expiring_days = 21;
    if (clm_net_dirs(&h->config, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static inline void home_close(struct home *h)
{
    char *const roots[] = {h->dir, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);

    assert_non_null(tree);
    for (const FTSENT *e = fts_read(tree); e != NULL; e = fts_read(tree)) {
        assert_true(e->fts_info == FTS_D || remove(e->fts_accpath) == 0);
    }
    assert_int_equal(fts_close(tree), 0);
    clm_config_done(&h->config);
}

static inline void spool_path(const struct home *h, char *dst)
{
    assert_int_equal(clm_net_path(&h->config, dst, NULL, "spool"), CLM_OK);
}

/* One expected exchange. path and body_has are looked for in the URL and the body. */
struct exchange {
    const char *method;
    const char *path;
    const char *body_has; /* may be NULL */
    int status;           /* 0: no connection */
    const char *type;     /* NULL: application/json, or problem+json from 400 on */
    const char *body;
    const char *request_id; /* NULL: one is there; "": it is missing */
    const char *job_state;  /* may be NULL */
    uint32_t retry_after_s;
};

struct script {
    const struct exchange *list;
    size_t n;
    size_t at;
    char headers[4096]; /* of the last request, one a line */
    char body[8192];    /* of the last request */
    bool takes_events;  /* batches of events are acknowledged beside the list */
    int events_lost;    /* the first so many of them do not arrive */
    char events[8192];  /* the last batch that arrived */
};

static inline bool exchange_fits(const struct exchange *e, const struct clm_http_request *request)
{
    return strcmp(e->method, request->method) == 0 && strstr(request->url, e->path) != NULL &&
           (e->body_has == NULL ||
            (request->body != NULL && strstr(request->body, e->body_has) != NULL));
}

static inline enum clm_code script_http(void *ctx, const struct clm_http_request *request,
                                        struct clm_http_response *out, struct clm_err *err)
{
    static const struct exchange events = {"POST", "/events", NULL, 200, NULL, "{\"ack_seq\":1}",
                                           NULL,   NULL,      0};
    struct script *s = ctx;
    const struct exchange *e = NULL;

    if (s->takes_events && exchange_fits(&events, request)) {
        if (s->events_lost-- > 0) {
            *out = (struct clm_http_response){0};
            return clm_err_set(err, CLM_E_NET, "connection refused");
        }
        (void)snprintf(s->events, sizeof(s->events), "%s", (const char *)request->body);
        struct script one = {.list = &events, .n = 1};

        return script_http(&one, request, out, err);
    }
    s->headers[0] = '\0';
    for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++) {
        size_t len = strlen(s->headers);

        (void)snprintf(s->headers + len, sizeof(s->headers) - len, "%s\n", request->headers[i]);
    }
    (void)snprintf(s->body, sizeof(s->body), "%s",
                   request->body == NULL ? "" : (const char *)request->body);
    if (s->at < s->n && exchange_fits(&s->list[s->at], request)) {
        e = &s->list[s->at++];
    }
    if (e == NULL) {
        fail_msg("unexpected request %zu: %s %s %s", s->at, request->method, request->url, s->body);
        abort(); /* fail_msg() does not return, but does not say so */
    }
    *out = (struct clm_http_response){.status = e->status};
    if (e->status == 0) {
        return clm_err_set(err, CLM_E_NET, "connection refused");
    }
    const char *type = e->type;
    if (type == NULL) {
        type = e->status >= 400 ? "application/problem+json" : "application/json";
    }
    (void)snprintf(out->content_type, sizeof(out->content_type), "%s", type);
    (void)snprintf(out->request_id, sizeof(out->request_id), "%s",
                   e->request_id == NULL ? A_REQUEST_ID : e->request_id);
    (void)snprintf(out->job_state, sizeof(out->job_state), "%s",
                   e->job_state == NULL ? "" : e->job_state);
    out->retry_after_s = e->retry_after_s;
    out->body.max = request->response_max;
    return clm_buf_add_str(&out->body, e->body == NULL ? "" : e->body, err);
}

static inline struct clm_api *script_api(struct script *s)
{
    struct clm_strs urls = {0};
    struct clm_api *api = NULL;

    assert_int_equal(clm_strs_add(&urls, "https://cp.example", NULL), CLM_OK);
    const struct clm_api_opts opts = {
        .urls = &urls, .boot_id = "01J9ZK5D0B2M4N6P8Q0R2S4T6V", .http = script_http, .http_ctx = s};
    assert_int_equal(clm_api_new(&opts, &api, NULL), CLM_OK);
    clm_strs_done(&urls);
    return api;
}

#endif
