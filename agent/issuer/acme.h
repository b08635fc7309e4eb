/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme - a client of certificate authorities that speak RFC 8555, over clm_io.http alone
 *
 * Each call is at most a few requests and waits for nothing but answers: whoever waits for a
 * validation asks again later, after the retry_after_s of the order or challenge. The object holds
 * directory, nonce and account URL; all three can be fetched again, so it need not be kept.
 *
 * Errors common to all calls: NET, TIMEOUT, AUTH, LIMIT from the transport; PARSE for an answer that is
 * not what RFC 8555 says (a login page with status 200 included); and for a problem the CA reports
 * the code that its type means, with the URN and the CA's text in the message, remote_status and
 * retry_after_s. clm_acme_may_retry() tells what may pass by itself.
 */
#ifndef CLM_ISSUER_ACME_H
#define CLM_ISSUER_ACME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/crypto/key.h"
#include "agent/crypto/rng.h"
#include "agent/issuer/issuer.h"
#include "agent/model/io.h"
#include "agent/model/names.h"

#define CLM_ACME_BODY_MAX    ((size_t)256 * 1024) /* bytes of any answer; design.md 11 */
#define CLM_ACME_NONCE_TRIES 8     /* requests before a CA that refuses every nonce is given up */
#define CLM_ACME_TIMEOUT_MS  60000 /* for one request, where none is given */

/* Strings are copied; io, rng and key are borrowed for the life of the object. */
struct clm_acme_opts {
    const struct clm_io *io;   /* only http is called */
    struct clm_rng *rng;       /* for signatures */
    const struct clm_key *key; /* account key, P-256 */
    const char *directory_url;
    const char *account_url; /* as clm_acme_account_url() gave it; NULL: not known yet */
    const char *ca_pem;      /* sole anchors for the CA's own TLS; NULL: the system's */
    const char *profile; /* one the CA offers, at most 64 bytes (draft-ietf-acme-profiles); NULL */
    bool allow_http;     /* accept http URLs: for tests alone */
    uint32_t timeout_ms; /* 0: CLM_ACME_TIMEOUT_MS */
};

struct clm_acme;

/* Asks nobody yet. Errors: INVAL directory_url, or a key that is not P-256; NOMEM. */
CLM_MUST_USE enum clm_code clm_acme_new(const struct clm_acme_opts *opts,
                                        struct clm_acme **out_acme, struct clm_err *err);
/* Accepts NULL. */
void clm_acme_free(struct clm_acme *acme);
CLM_DEFINE_CLEANUP(struct clm_acme, clm_acme_free);

/* True if the same call may succeed later without anyone changing anything: the network, an
 * overloaded or broken CA (5xx), a rate limit (429). */
bool clm_acme_may_retry(const struct clm_err *err);
/* What the CA said in the last call that failed; type "" if it was not the CA that failed it. */
const struct clm_issuer_problem *clm_acme_problem(const struct clm_acme *acme);

struct clm_acme_account {
    const struct clm_strs *contact; /* "mailto:ops@example.com"; NULL: none */
    bool agree_terms;               /* the operator agrees to the CA's terms of service */
    bool only_existing;             /* find the account of this key, create none */
    const char *eab_kid;            /* external account binding; NULL: none */
    const char *eab_hmac;           /* base64url; a secret */
};
/*
 * clm_acme_account() - finds the account of the key, or creates it
 *
 * Effect  the account is used by all later calls. Nothing is asked if its URL is known already.
 * Errors  CONFIG the CA wants its terms agreed to, an external account, or other contacts: the
 *         message says which; NOTFOUND only_existing and there is none; AUTH it was deactivated
 * Source  RFC 8555 7.3
 */
CLM_MUST_USE enum clm_code clm_acme_account(struct clm_acme *acme,
                                            const struct clm_acme_account *account,
                                            struct clm_err *err);
/* "" before clm_acme_account(). Worth keeping: it saves a request. */
const char *clm_acme_account_url(const struct clm_acme *acme);

/*
 * clm_acme_order_new() - orders a certificate for names
 *
 * Out     out  overwritten; for clm_order_done() also after an error
 * Errors  INVAL no names, too many, or the CA does not issue for one of them
 * Source  RFC 8555 7.4, RFC 8738
 */
CLM_MUST_USE enum clm_code clm_acme_order_new(struct clm_acme *acme, const struct clm_names *names,
                                              struct clm_order *out, struct clm_err *err);
/* The order as it stands now. An INVALID order is CLM_OK; out->problem says why. Errors: NOTFOUND
 * the CA does not know it (any more). */
CLM_MUST_USE enum clm_code clm_acme_order_poll(struct clm_acme *acme, const char *order_url,
                                               struct clm_order *out, struct clm_err *err);

/*
 * clm_acme_challenge_http01() - what to serve to prove control over one name, and how it stands
 *
 * In      authz_url  one of order.authz
 * Errors  UNSUPPORTED the CA offers no http-01 for this name (wildcards)
 *         PARSE also a token that may not become a file name
 */
CLM_MUST_USE enum clm_code clm_acme_challenge_http01(struct clm_acme *acme, const char *authz_url,
                                                     struct clm_challenge *out,
                                                     struct clm_err *err);
/* The file is served: the CA may look. Its verdict comes by clm_acme_challenge_http01(). For a challenge
 * that is PENDING; a CA may refuse it (INVAL) for one that is settled. */
CLM_MUST_USE enum clm_code clm_acme_challenge_ready(struct clm_acme *acme,
                                                    const char *challenge_url, struct clm_err *err);

/*
 * clm_acme_finalize() - hands in the request of an order that is READY
 *
 * In      csr  len bytes of DER
 * Out     io_order  as the CA returned it: PROCESSING or VALID
 * Errors  CONFLICT the order is not READY; INVAL the CA refuses the request
 */
CLM_MUST_USE enum clm_code clm_acme_finalize(struct clm_acme *acme, struct clm_order *io_order,
                                             const uint8_t *csr, size_t len, struct clm_err *err);
/* Appends the chain of a VALID order, leaf first, as the CA gave it. Errors: CONFLICT not VALID. */
CLM_MUST_USE enum clm_code clm_acme_certificate(struct clm_acme *acme,
                                                const struct clm_order *order,
                                                struct clm_buf *out_pem, struct clm_err *err);

/* Revokes by the account that ordered; cert is len bytes of DER, reason as in RFC 5280 5.3.1.
 * Errors: EXISTS it is revoked already. */
CLM_MUST_USE enum clm_code clm_acme_revoke(struct clm_acme *acme, const uint8_t *cert, size_t len,
                                           int reason, struct clm_err *err);

#endif
