/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "agent/base/str.h"
#include "agent/crypto/hash.h"

#define SPKI_MAX 1024 /* bytes; RSA 4096 takes 550 */

struct clm_cp_peer_trust {
    gnutls_x509_trust_list_t list;
};

enum clm_code clm_cp_peer_trust_new(const struct clm_cp_pki *pki,
                                    struct clm_cp_peer_trust **out_trust, struct clm_err *err)
{
    struct clm_cp_peer_trust *trust = calloc(1, sizeof(*trust));
    gnutls_datum_t pem = {
        .data = pki->agent_ca.pem.data,
        .size = (unsigned)pki->agent_ca.pem.len,
    };

    if (trust == NULL || gnutls_x509_trust_list_init(&trust->list, 0) != 0) {
        free(trust);
        return clm_err_set(err, CLM_E_NOMEM, "trust list of client certificates");
    }
    if (gnutls_x509_trust_list_add_trust_mem(trust->list, &pem, NULL, GNUTLS_X509_FMT_PEM, 0, 0) !=
        1) {
        clm_cp_peer_trust_free(trust);
        return clm_err_set(err, CLM_E_CRYPTO, "GnuTLS does not accept the agent CA");
    }
    *out_trust = trust;
    return CLM_OK;
}

void clm_cp_peer_trust_free(struct clm_cp_peer_trust *trust)
{
    if (trust != NULL) {
        gnutls_x509_trust_list_deinit(trust->list, 1);
        free(trust);
    }
}

static void invalid(struct clm_cp_peer *out, const char *why)
{
    out->state = CLM_CP_PEER_INVALID;
    (void)snprintf(out->why, sizeof(out->why), "%s", why);
}

static bool read_identity(gnutls_x509_crt_t cert, struct clm_cp_peer *out)
{
    uint8_t spki[SPKI_MAX];
    size_t spki_len = sizeof(spki);
    size_t cn_len = sizeof(out->agent_id);
    gnutls_pubkey_t key = NULL;

    if (gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, out->agent_id,
                                      &cn_len) != 0 ||
        clm_id_is_valid("agt", out->agent_id) == 0 || gnutls_pubkey_init(&key) != 0) {
        return false;
    }
    bool is_read = gnutls_pubkey_import_x509(key, cert, 0) == 0 &&
                   gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, spki, &spki_len) == 0;

    gnutls_pubkey_deinit(key);
    if (is_read) {
        clm_sha256_hex(spki, spki_len, out->spki_sha256);
    }
    return is_read;
}

static void verify(const struct clm_cp_peer_trust *trust, gnutls_x509_crt_t cert,
                   struct clm_cp_peer *out)
{
    unsigned char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_typed_vdata_st wanted = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = purpose};
    unsigned status = 0;

    if (!read_identity(cert, out)) {
        invalid(out, "the client certificate names no agent");
        return;
    }
    if (gnutls_x509_trust_list_verify_crt2(trust->list, &cert, 1, &wanted, 1, 0, &status, NULL) !=
        0) {
        invalid(out, "the client certificate could not be checked");
    } else if (status == 0) {
        out->state = CLM_CP_PEER_OK;
    } else if (status == (GNUTLS_CERT_INVALID | GNUTLS_CERT_EXPIRED)) {
        out->state = CLM_CP_PEER_EXPIRED;
    } else {
        invalid(out, "the client certificate is not one of this control plane");
    }
}

void clm_cp_peer_check(const struct clm_cp_peer_trust *trust, void *session,
                       struct clm_cp_peer *out)
{
    unsigned count = 0;
    gnutls_x509_crt_t cert = NULL;
    const gnutls_datum_t *sent = NULL;

    *out = (struct clm_cp_peer){.state = CLM_CP_PEER_NONE};
    if (session != NULL) {
        sent = gnutls_certificate_get_peers(session, &count);
    }
    if (sent == NULL || count == 0) {
        return;
    }
    if (gnutls_x509_crt_init(&cert) != 0) {
        invalid(out, "no memory");
        return;
    }
    if (gnutls_x509_crt_import(cert, &sent[0], GNUTLS_X509_FMT_DER) != 0) {
        invalid(out, "the client certificate cannot be read");
    } else {
        verify(trust, cert, out);
    }
    gnutls_x509_crt_deinit(cert);
}
