/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlsprobe - which leaf an address, port and name serve right now
 *
 * One fresh TCP connection and one full handshake (no resumption, no ALPN), then closed; nothing is
 * sent inside. No certificate is trusted or refused: the caller compares the leaf. Servers that speak
 * TLS 1.0 or 1.3 only, show an expired or self-signed certificate or ask for a client certificate
 * all give a leaf.
 */
#ifndef CLM_NET_TLSPROBE_H
#define CLM_NET_TLSPROBE_H

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/model/probe.h"

#define CLM_TLSPROBE_TIMEOUT_MS 5000 /* where the endpoint gives none (agent/model/probe.h) */

/*
 * clm_tlsprobe() - one handshake
 *
 * In      endpoint      addr numeric; sni "" sends no server name
 * Out     out           result, tls_version, chain_len, detail, at_ms. What is inside the leaf
 *                       (leaf_sha256, spki_sha256, subject, issuer, not_after_s) is left empty: the
 *                       caller, who has agent/crypto, fills it from out_leaf_der
 *         out_leaf_der  the caller's buffer, emptied first; holds the leaf if and only if the result
 *                       is SERVED
 * Blocks  for endpoint->timeout_ms at most
 * Errors  INVAL addr is not numeric, port 0, or sni is no host name; NOMEM; LIMIT a leaf too long
 *         for out_leaf_der. A peer that refuses, is silent or fails is a result and CLM_OK.
 * Source  reliability.md 4.6
 */
CLM_MUST_USE enum clm_code clm_tlsprobe(const struct clm_endpoint *endpoint,
                                        struct clm_observation *out, struct clm_buf *out_leaf_der,
                                        struct clm_err *err);

#endif
