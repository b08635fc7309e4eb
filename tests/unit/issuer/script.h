/* SPDX-License-Identifier: Apache-2.0 */
/* script - a CA made of a list of answers, and an ACME client that talks to it */
#ifndef CLM_TESTS_ISSUER_SCRIPT_H
#define CLM_TESTS_ISSUER_SCRIPT_H

#include <stddef.h>

#include "agent/base/json.h"
#include "agent/issuer/acme.h"

#define BASE "https://ca.example"

struct answer {
    const char *method; /* what the client must ask; NULL: the end of the script */
    const char *url;
    int status;
    const char *type;
    const char *body;
    const char *nonce;
    const char *location;
    uint32_t retry_after_s;
    enum clm_code fails; /* instead of an answer */
};

/* The usual beginning: directory and nonce. */
#define DIRECTORY_BODY                                                                             \
    "{\"newNonce\":\"" BASE "/nonce\",\"newAccount\":\"" BASE "/account\",\"newOrder\":\"" BASE    \
    "/order\",\"revokeCert\":\"" BASE "/revoke\"}"
#define DIRECTORY                                                                                  \
    {                                                                                              \
        .method = "GET", .url = BASE "/dir", .status = 200, .type = "application/json",            \
        .body = DIRECTORY_BODY                                                                     \
    }
#define NONCE(n)                                                                                   \
    {                                                                                              \
        .method = "HEAD", .url = BASE "/nonce", .status = 200, .nonce = (n)                        \
    }

struct script {
    const struct answer *answers;
    size_t at;
    struct clm_acme *acme;
    struct clm_err err;
    struct clm_json *protected_header; /* of the last signed request */
    struct clm_json *payload;          /* NULL: POST-as-GET */
    struct clm_rng *rng;
    struct clm_key *key;
};

/* account_url NULL: not known. */
void script_start(struct script *s, const struct answer *answers, const char *account_url);
void script_start_profile(struct script *s, const struct answer *answers, const char *account_url,
                          const char *profile);
/* Fails unless every answer was asked for. */
void script_end(struct script *s);

#endif
