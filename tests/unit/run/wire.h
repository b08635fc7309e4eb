/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire - a plane in place of the network: what is above libcurl believes that it talks to it
 *
 * Linked with -Wl,--wrap=clm_http_do,--wrap=clm_http_fetch_unverified: see CMakeLists.txt.
 */
#ifndef CLM_TESTS_RUN_WIRE_H
#define CLM_TESTS_RUN_WIRE_H

#include "agent/net/http.h"
#include "tests/unit/run/authority.h"
#include "tests/unit/run/plane.h"

static struct plane wire;   /* who answers */
static char wire_csr[4096]; /* of the last request that had one */

static inline void wire_note_csr(const struct clm_http_request *request)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
    bool was_on = clm_sabotage_pause();

    if (request->body != NULL && clm_json_parse((const char *)request->body, request->body_len,
                                                CLM_JSON_TEXT_MAX, &body, NULL) == CLM_OK) {
        const char *csr = clm_json_text(clm_json_get(body, "csr"));

        if (csr != NULL) {
            (void)snprintf(wire_csr, sizeof(wire_csr), "%s", csr);
        }
    }
    clm_sabotage_resume(was_on);
}

enum clm_code __wrap_clm_http_do(struct clm_http *http, const struct clm_http_request *request,
                                 struct clm_http_response *out, struct clm_err *err);
enum clm_code __wrap_clm_http_do(struct clm_http *http, const struct clm_http_request *request,
                                 struct clm_http_response *out, struct clm_err *err)
{
    assert_non_null(http);
    wire_note_csr(request);
    return plane_http(&wire, request, out, err);
}

/* The answer to a request with a CSR: an identity of the next generation, and whom to trust. */
static inline void make_identity(void *arg, const struct clm_http_request *request,
                                 struct clm_buf *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);

    (void)arg;
    (void)request;
    assert_int_equal(clm_b64url_decode(wire_csr, strlen(wire_csr), &der, NULL), CLM_OK);
    issue_for(&der, A_AGENT, &pem);
    clm_json_set_str(answer, "agent_id", A_AGENT);
    clm_json_set_int(answer, "generation", 2);
    clm_json_set_str(answer, "certificate", clm_buf_str(&pem));
    clm_json_set_str(answer, "not_after", "2030-01-01T00:00:00Z");
    (void)clm_json_set_object(answer, "trust");
    assert_int_equal(clm_json_print(answer, false, out, NULL), CLM_OK);
}

static inline void wire_set(const struct plane_row *rows, size_t n)
{
    wire = (struct plane){.rows = rows, .n = n, .make = make_identity};
}

#endif
