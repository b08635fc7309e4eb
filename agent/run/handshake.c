/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/handshake.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/hash.h"
#include "agent/net/tlsprobe.h"

/* A leaf that agent/crypto cannot read (Ed25519, say) is still told apart by its hash. */
static void read_leaf(const struct clm_buf *der, struct clm_observation *out)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};

    clm_sha256_hex(der->data, der->len, out->leaf_sha256);
    if (clm_cert_chain_from_der(der->data, der->len, &chain, NULL) != CLM_OK ||
        clm_cert_info(chain, 0, &info, NULL) != CLM_OK) {
        return;
    }
    memcpy(out->spki_sha256, info.spki_sha256, sizeof(out->spki_sha256));
    memcpy(out->subject, info.subject, sizeof(out->subject));
    memcpy(out->issuer, info.issuer, sizeof(out->issuer));
    out->not_after_s = info.not_after_s;
}

void clm_handshake(const struct clm_endpoint *endpoint, struct clm_observation *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf leaf = CLM_BUF_INIT(CLM_CERT_DER_MAX);
    struct clm_err err = {.code = CLM_OK};

    *out = (struct clm_observation){.result = CLM_PROBE_TLS_FAILED};
    if (clm_tlsprobe(endpoint, out, &leaf, &err) != CLM_OK) {
        *out =
            (struct clm_observation){.result = CLM_PROBE_TLS_FAILED, .at_ms = clm_clock_now_ms()};
        clm_ignore(clm_str_fmt(out->detail, sizeof(out->detail), NULL, "%.150s", err.msg));
    } else if (out->result == CLM_PROBE_SERVED) {
        read_leaf(&leaf, out);
    }
}

static enum clm_code probe_target(struct clm_target *target, struct clm_err *err)
{
    if (target->n_endpoints == 0) {
        return CLM_OK;
    }
    free(target->served);
    target->served = calloc(target->n_endpoints, sizeof(*target->served));
    if (target->served == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "observations of '%s'", target->id);
    }
    for (size_t i = 0; i < target->n_endpoints; i++) {
        clm_handshake(&target->endpoints[i], &target->served[i]);
    }
    return CLM_OK;
}

enum clm_code clm_handshake_inventory(struct clm_inventory *inventory, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < inventory->n_services; i++) {
        struct clm_service *service = &inventory->services[i];

        for (size_t k = 0; service->running && code == CLM_OK && k < service->n_targets; k++) {
            code = probe_target(&service->targets[k], err);
        }
    }
    return code;
}
