/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issuer - an order at a certificate authority as values that outlive the process
 *
 * An order is known by its URL alone: whoever kept account key, order URL and request can go on after
 * a restart (clm_acme_order_poll() gives everything else back). Filled by agent/issuer/acme.h.
 */
#ifndef CLM_ISSUER_ISSUER_H
#define CLM_ISSUER_ISSUER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/io.h"
#include "agent/model/names.h"

#define CLM_ISSUER_URL_SIZE   CLM_HTTP_HEADER_MAX /* bytes, NUL included */
#define CLM_ISSUER_TOKEN_SIZE 129                 /* protocol.md 8.3: base64url, 16 to 128 */
#define CLM_ISSUER_AUTH_SIZE  (CLM_ISSUER_TOKEN_SIZE + 44) /* token, '.', thumbprint of 43 */

/* Of orders, authorizations and challenges alike (RFC 8555 7.1.6); not every one fits each. */
enum clm_issuer_status {
    CLM_ISSUER_PENDING,    /* order: authorizations are missing */
    CLM_ISSUER_READY,      /* order: waits for the request (CSR) */
    CLM_ISSUER_PROCESSING, /* the CA works on it: ask again after retry_after_s */
    CLM_ISSUER_VALID,      /* order: the certificate can be fetched */
    CLM_ISSUER_INVALID,    /* failed for good: problem says why */
    CLM_ISSUER_DEACTIVATED,
    CLM_ISSUER_EXPIRED,
    CLM_ISSUER_REVOKED,
    CLM_ISSUER__COUNT
};

const char *clm_issuer_status_name(enum clm_issuer_status status); /* "pending", ... */

/* What the CA said about a failure (RFC 7807, RFC 8555 6.7). */
struct clm_issuer_problem {
    char type[128];   /* "urn:ietf:params:acme:error:unauthorized"; "" if there is no problem */
    char detail[400]; /* one line, for a person; with the first sub-problem's name, cut off */
    int http_status;  /* 0: not said */
};

struct clm_order {
    char url[CLM_ISSUER_URL_SIZE]; /* its identity: keep it */
    enum clm_issuer_status status;
    struct clm_strs authz; /* URLs, one for each name */
    char finalize_url[CLM_ISSUER_URL_SIZE];
    char certificate_url[CLM_ISSUER_URL_SIZE]; /* "" until VALID */
    struct clm_issuer_problem problem;         /* when INVALID */
    uint32_t retry_after_s;                    /* 0: the CA did not say */
};
void clm_order_done(struct clm_order *order); /* for CLM_CLEANUP */

/* Proof of control over one name by a file (http-01, RFC 8555 8.3). */
struct clm_challenge {
    char domain[CLM_DNS_NAME_SIZE]; /* or an IP address; to be compared with what was ordered */
    enum clm_issuer_status authz_status; /* VALID: nothing to do for this name */
    enum clm_issuer_status status;
    char url[CLM_ISSUER_URL_SIZE]; /* "" when the authorization is valid and shows no challenge */
    char token[CLM_ISSUER_TOKEN_SIZE];            /* file name under /.well-known/acme-challenge/ */
    char key_authorization[CLM_ISSUER_AUTH_SIZE]; /* the file's content, no line break */
    struct clm_issuer_problem problem;            /* when INVALID: why the CA could not see it */
    uint32_t retry_after_s;
};

#endif
