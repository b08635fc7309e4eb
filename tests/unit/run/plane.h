/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane - a control plane of rows, in whatever order it is asked
 *
 * For tests in which calls fail: it neither minds a request that is missing nor one that comes again.
 * What it does itself never fails.
 */
#ifndef CLM_TESTS_RUN_PLANE_H
#define CLM_TESTS_RUN_PLANE_H

#include "tests/support/sabotage.h"
#include "tests/unit/run/world.h"

struct plane_row {
    const char *method;
    const char *path; /* looked for in the URL */
    int status;       /* 0: no connection */
    const char *body; /* may be NULL */
    unsigned times;   /* it is passed over after so many requests; 0: never */
};

#define PLANE_ROWS_MAX 16

struct plane {
    const struct plane_row *rows;
    size_t n;
    unsigned used[PLANE_ROWS_MAX];
    /* Makes the body of a row that has "MAKE" there; may be NULL. */
    void (*make)(void *arg, const struct clm_http_request *request, struct clm_buf *out);
    void *arg;
    unsigned unknown; /* requests that no row fits */
};

static inline const struct plane_row *plane_find(struct plane *p,
                                                 const struct clm_http_request *request)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct plane_row *row = &p->rows[i];

        if (strcmp(row->method, request->method) == 0 && strstr(request->url, row->path) != NULL &&
            (row->times == 0 || p->used[i] < row->times)) {
            p->used[i]++;
            return row;
        }
    }
    return NULL;
}

static inline enum clm_code plane_answer(struct plane *p, const struct clm_http_request *request,
                                         struct clm_http_response *out, struct clm_err *err)
{
    const struct plane_row *row = plane_find(p, request);

    *out = (struct clm_http_response){.status = row == NULL ? 404 : row->status};
    p->unknown += row == NULL;
    if (out->status == 0) {
        return clm_err_set(err, CLM_E_NET, "connection refused");
    }
    const char *body = row == NULL || row->body == NULL ? "" : row->body;
    const char *type = out->status >= 400                   ? "application/problem+json"
                       : strstr(body, "-----BEGIN") == body ? "application/pem-certificate-chain"
                                                            : "application/json";

    (void)snprintf(out->content_type, sizeof(out->content_type), "%s", type);
    (void)snprintf(out->request_id, sizeof(out->request_id), "%s", A_REQUEST_ID);
    out->body.max = request->response_max;
    if (strcmp(body, "MAKE") == 0) {
        p->make(p->arg, request, &out->body);
        return CLM_OK;
    }
    return clm_buf_add_str(&out->body, body, err);
}

/* A clm_http_fn; ctx is a struct plane. */
static inline enum clm_code plane_http(void *ctx, const struct clm_http_request *request,
                                       struct clm_http_response *out, struct clm_err *err)
{
    bool was_on = clm_sabotage_pause();
    enum clm_code code = plane_answer(ctx, request, out, err);

    clm_sabotage_resume(was_on);
    return code;
}

#endif
