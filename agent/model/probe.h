/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - what a TLS handshake is made with, and what it showed
 *
 * Values only, with a JSON form. The handshake is made in agent/net/tlsprobe.c by the network half.
 */
#ifndef CLM_MODEL_PROBE_H
#define CLM_MODEL_PROBE_H

#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"

#define CLM_SHA256_HEX_SIZE 65  /* 64 digits and a NUL */
#define CLM_ADDR_SIZE       64  /* numeric address, NUL included */
#define CLM_DNS_NAME_SIZE   256 /* 253 characters (RFC 1035), trailing dot, NUL */
#define CLM_CHAIN_SHOWN_MAX 10  /* certificates; protocol.md 6.4 */

struct clm_endpoint {
    char addr[CLM_ADDR_SIZE]; /* to connect to: "127.0.0.1", "::1" */
    uint16_t port;
    char sni[CLM_DNS_NAME_SIZE]; /* "" sends none */
    uint32_t timeout_ms;         /* for connect and handshake together; 0: 5000 */
    char key_kind[8]; /* "rsa" or "ec": offer only signatures by such keys, so that a server with
                         both shows that certificate; "" offers all */
};

enum clm_probe_result {
    CLM_PROBE_SERVED,    /* a leaf was shown: leaf_sha256 holds it */
    CLM_PROBE_REFUSED,   /* connection refused */
    CLM_PROBE_TIMEOUT,   /* no answer in time */
    CLM_PROBE_TLS_FAILED /* connected, but no handshake: detail says why */
};

struct clm_observation {
    enum clm_probe_result result;
    char leaf_sha256[CLM_SHA256_HEX_SIZE]; /* of the DER; "" unless SERVED */
    char spki_sha256[CLM_SHA256_HEX_SIZE];
    int64_t not_after_s;
    char subject[256];
    char issuer[256];
    char tls_version[16]; /* "1.3" */
    uint32_t chain_len;   /* certificates sent, leaf included */
    char detail[160];
    int64_t at_ms; /* unix time of the observation */
};

const char *clm_probe_result_name(enum clm_probe_result result); /* "served", "refused", ... */

/* What they have in JSON, for clm_json_only() where nothing else may be there; ends with NULL. */
extern const char *const clm_endpoint_members[];
extern const char *const clm_observation_members[];

void clm_endpoint_to_json(const struct clm_endpoint *endpoint, struct clm_json *obj);
CLM_MUST_USE enum clm_code clm_endpoint_from_json(const struct clm_json *obj,
                                                  struct clm_endpoint *out, struct clm_err *err);
void clm_observation_to_json(const struct clm_observation *seen, struct clm_json *obj);
CLM_MUST_USE enum clm_code clm_observation_from_json(const struct clm_json *obj,
                                                     struct clm_observation *out,
                                                     struct clm_err *err);

#endif
