/* SPDX-License-Identifier: Apache-2.0 */
/* acme_internal - what the files of the ACME client share; not for other folders */
#ifndef CLM_ISSUER_ACME_INTERNAL_H
#define CLM_ISSUER_ACME_INTERNAL_H

#include "agent/base/json.h"
#include "agent/issuer/acme.h"

#define CLM_ACME_HOST_SIZE 256

struct clm_acme {
    struct clm_io io;
    struct clm_rng *rng;
    const struct clm_key *key;
    char *ca_pem;
    bool allow_http;
    uint32_t timeout_ms;
    char profile[65];              /* asked for in new orders; "" the CA's default */
    char host[CLM_ACME_HOST_SIZE]; /* for messages */
    char directory_url[CLM_ISSUER_URL_SIZE];
    char account_url[CLM_ISSUER_URL_SIZE];
    char nonce[CLM_HTTP_HEADER_MAX]; /* "" when there is none to use */
    struct clm_issuer_problem problem;
    /* of the directory; new_nonce "" until it was fetched */
    char new_nonce[CLM_ISSUER_URL_SIZE];
    char new_account[CLM_ISSUER_URL_SIZE];
    char new_order[CLM_ISSUER_URL_SIZE];
    char revoke_cert[CLM_ISSUER_URL_SIZE];
    char terms[CLM_ISSUER_URL_SIZE];
    bool needs_external_account;
};

/* A successful answer. */
struct clm_acme_reply {
    struct clm_http_response http;
    struct clm_json *json; /* NULL unless the body was asked for as JSON */
};
void clm_acme_reply_done(struct clm_acme_reply *reply);

enum clm_acme_body {
    CLM_ACME_JSON,
    CLM_ACME_PEM,
    CLM_ACME_ANY
};

struct clm_acme_post {
    const char *url;
    const struct clm_json *payload; /* NULL: POST-as-GET */
    bool with_jwk;                  /* signed with the key itself, not the account */
    enum clm_acme_body expects;
};

/* Fetches the directory unless it is there. */
CLM_MUST_USE enum clm_code clm_acme_directory(struct clm_acme *acme, struct clm_err *err);
/* Signs and sends, again with a fresh nonce where the CA wants one. Any answer but 2xx of the
 * expected type is an error. reply must be zeroed; it is the caller's to free also on error. */
CLM_MUST_USE enum clm_code clm_acme_post(struct clm_acme *acme, const struct clm_acme_post *post,
                                         struct clm_acme_reply *reply, struct clm_err *err);
/* A plain GET of JSON. */
CLM_MUST_USE enum clm_code clm_acme_get(struct clm_acme *acme, const char *url,
                                        struct clm_acme_reply *reply, struct clm_err *err);
/* A URL the CA named: printable, https (or http where allowed), and not too long. */
CLM_MUST_USE enum clm_code clm_acme_url(const struct clm_acme *acme, const char *what,
                                        const char *url, char dst[CLM_ISSUER_URL_SIZE],
                                        struct clm_err *err);
/* A required and an optional ("" if missing) member that is a URL. */
CLM_MUST_USE enum clm_code clm_acme_json_url(const struct clm_acme *acme,
                                             const struct clm_json *obj, const char *key,
                                             char dst[CLM_ISSUER_URL_SIZE], struct clm_err *err);
CLM_MUST_USE enum clm_code clm_acme_json_url_or_none(const struct clm_acme *acme,
                                                     const struct clm_json *obj, const char *key,
                                                     char dst[CLM_ISSUER_URL_SIZE],
                                                     struct clm_err *err);
/* The member "status". */
CLM_MUST_USE enum clm_code clm_acme_json_status(const struct clm_json *obj,
                                                enum clm_issuer_status *out, struct clm_err *err);

/* ---- acme_problem.c ---- */

/* Reads a problem document; tolerant, as it comes from something that is failing. */
void clm_acme_read_problem(const struct clm_json *obj, struct clm_issuer_problem *out);
/* "urn:ietf:params:acme:error:<name>" */
bool clm_acme_problem_is(const struct clm_issuer_problem *problem, const char *name);
/* Sets err from the problem. */
enum clm_code clm_acme_fail(const struct clm_acme *acme, uint32_t retry_after_s,
                            struct clm_err *err);

#endif
