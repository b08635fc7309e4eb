/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api - requests to the control plane and what may be believed of the answers
 *
 * Adds the headers of protocol.md 6.2, checks those of 6.3, decodes JSON and problem documents. An
 * answer that is not the control plane's (a proxy's page, a redirect, a body that is no JSON, no
 * Clm-Request-Id) is a transient network error, never an empty poll and never a success (6.5).
 */
#ifndef CLM_RUN_API_H
#define CLM_RUN_API_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/model/io.h"
#include "agent/run/identity.h"
#include "config/config.h"

#define CLM_API_RESPONSE_MAX 262144u /* bytes; protocol.md 6.4 */
#define CLM_API_TIMEOUT_MS   30000   /* where a request gives none; protocol.md 18.1 */

/* One exchange; as the member "http" of struct clm_io. Tests lend their own. */
typedef enum clm_code (*clm_http_fn)(void *ctx, const struct clm_http_request *request,
                                     struct clm_http_response *out, struct clm_err *err);

struct clm_api;

/* Everything is copied. */
struct clm_api_opts {
    const struct clm_strs *urls; /* base URLs; the last one that answered is tried first */
    const char *boot_id;         /* "" before enrolment */
    clm_http_fn http;
    void *http_ctx; /* borrowed */
};

/* For tests and for callers with an http of their own. Errors: INVAL no URL; NOMEM. */
CLM_MUST_USE enum clm_code clm_api_new(const struct clm_api_opts *opts, struct clm_api **out,
                                       struct clm_err *err);
/* With the client certificate in identity_dir. Errors: as clm_api_new(), CONFIG. */
CLM_MUST_USE enum clm_code clm_api_open(const struct clm_config *config,
                                        const struct clm_identity *identity, const char *boot_id,
                                        struct clm_api **out, struct clm_err *err);
/* Without one: enrolment and recovery. ca_pem: sole trust anchors. */
CLM_MUST_USE enum clm_code clm_api_open_anonymous(const struct clm_config *config,
                                                  const struct clm_strs *urls, const char *ca_pem,
                                                  struct clm_api **out, struct clm_err *err);
/* Accepts NULL. */
void clm_api_free(struct clm_api *api);
CLM_DEFINE_CLEANUP(struct clm_api, clm_api_free);

/* Zero-initialise it. Everything is borrowed. */
struct clm_api_request {
    const char *method;
    const char *path;            /* "/agent/v1/..." */
    const struct clm_json *body; /* NULL: none */
    const char *idempotency_key; /* NULL: for a POST one made from path and body; "": none */
    const char *header;          /* one more, "Name: value"; may be NULL */
    bool wants_text;             /* the answer is PEM, not JSON */
    uint32_t timeout_ms;         /* 0: CLM_API_TIMEOUT_MS */
    void (*on_idle)(void);       /* as in struct clm_http_request */
};

struct clm_api_response {
    int status;            /* 0: no answer of the control plane */
    struct clm_json *json; /* 200, 201, 202; NULL without a body */
    struct clm_buf text;   /* with wants_text */
    char problem[48];      /* code of the problem document: "stale-fence"; "" without one */
    char detail[256];
    bool retryable; /* as the problem document says, or as its status implies */
    struct clm_json *problem_json;
    char request_id[64];
    char job_state[32]; /* Clm-Job-State; "" not said */
    bool has_next_poll;
    uint32_t next_poll_s;
    uint32_t retry_after_s;
    int64_t date_s; /* 0: not said */
};
void clm_api_response_done(struct clm_api_response *response); /* for CLM_CLEANUP */

/*
 * clm_api_call() - one request, tried at every URL until the control plane answers
 *
 * Out     out  overwritten; for clm_api_response_done() also after an error
 * Errors  NET, TIMEOUT: no answer, or none of the control plane's: try later
 *         AUTH: 401, or one side's certificate was refused
 *         REMOTE: a problem; out->problem, out->retryable and err->remote_status say which
 *         LIMIT: the answer is longer than CLM_API_RESPONSE_MAX; LIMIT, NOMEM: the request
 *         2xx and 304 are CLM_OK.
 */
CLM_MUST_USE enum clm_code clm_api_call(struct clm_api *api, const struct clm_api_request *request,
                                        struct clm_api_response *out, struct clm_err *err);

/* True if the same request may succeed later: transport, 408, 425, 429, 5xx, retryable problems. */
bool clm_api_may_retry(enum clm_code code, const struct clm_api_response *response);

/* The URL that answered last. Valid until the next call. */
const char *clm_api_url(const struct clm_api *api);

/* GET <url>/agent/v1/cacerts from whoever answers: the caller checks pins. Appends PEM. */
CLM_MUST_USE enum clm_code clm_api_fetch_cacerts(const struct clm_config *config, const char *url,
                                                 struct clm_buf *out, struct clm_err *err);

#endif
