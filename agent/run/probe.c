/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/probe.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/hash.h"
#include "agent/net/tlsprobe.h"

/* Errors: NOMEM, and then out says only which certificate it is. */
static enum clm_code read_leaf(const struct clm_buf *der, struct clm_observation *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_cert_info info = {.is_ca = false};
    struct clm_err why = {0};

    enum clm_code code = clm_cert_chain_from_der(der->data, der->len, &chain, &why);
    if (code == CLM_OK) {
        code = clm_cert_info(chain, 0, &info, &why);
    }
    if (code != CLM_OK) {
        /* It serves something we cannot read, e.g. Ed25519: the hash alone still compares. */
        clm_sha256_hex(der->data, der->len, out->leaf_sha256);
        (void)snprintf(out->detail, sizeof(out->detail), "leaf: %.140s", why.msg);
    } else {
        (void)snprintf(out->leaf_sha256, sizeof(out->leaf_sha256), "%s", info.sha256);
        (void)snprintf(out->spki_sha256, sizeof(out->spki_sha256), "%s", info.spki_sha256);
        (void)snprintf(out->subject, sizeof(out->subject), "%s", info.subject);
        (void)snprintf(out->issuer, sizeof(out->issuer), "%s", info.issuer);
        out->not_after_s = info.not_after_s;
    }
    clm_cert_info_done(&info);
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg) : CLM_OK;
}

/* Errors: NOMEM, which says nothing about the server. */
static enum clm_code look(const struct clm_endpoint *endpoint, struct clm_observation *out,
                          struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CERT_DER_MAX);
    struct clm_err why = {0};
    enum clm_code code;

    *out = (struct clm_observation){.result = CLM_PROBE_TLS_FAILED};
    code = clm_tlsprobe(endpoint, out, &der, &why);
    if (code == CLM_OK) {
        return out->result == CLM_PROBE_SERVED ? read_leaf(&der, out, err) : CLM_OK;
    }
    *out = (struct clm_observation){.result = CLM_PROBE_TLS_FAILED, .at_ms = clm_clock_now_ms()};
    (void)snprintf(out->detail, sizeof(out->detail), "%.159s", why.msg);
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg) : CLM_OK;
}

void clm_probe(const struct clm_endpoint *endpoint, struct clm_observation *out)
{
    clm_ignore(look(endpoint, out, NULL));
}

static enum clm_code look_at_target(struct clm_target *target, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    if (target->n_endpoints == 0 || target->served != NULL) {
        return CLM_OK;
    }
    target->served = calloc(target->n_endpoints, sizeof(target->served[0]));
    if (target->served == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "observations");
    }
    for (size_t e = 0; e < target->n_endpoints && code == CLM_OK; e++) {
        code = look(&target->endpoints[e], &target->served[e], err);
    }
    return code;
}

enum clm_code clm_probe_inventory(struct clm_inventory *inventory, struct clm_err *err)
{
    for (size_t s = 0; s < inventory->n_services; s++) {
        struct clm_service *service = &inventory->services[s];

        for (size_t t = 0; t < service->n_targets; t++) {
            enum clm_code code = look_at_target(&service->targets[t], err);

            if (code != CLM_OK) {
                return code;
            }
        }
    }
    return CLM_OK;
}
