/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_kind - a handshake that only a key of one kind can answer
 *
 * A server with an RSA and an ECDSA certificate shows the one whose signature the client takes. Up to
 * TLS 1.2 the cipher suite says which; in TLS 1.3 only the signature algorithms do, for which libcurl
 * has an option from 8.14 on. With an older one and OpenSSL, the function of the libssl that libcurl
 * has loaded is called. For agent/net/tlsprobe.c.
 */
#ifndef CLM_NET_TLS_KIND_H
#define CLM_NET_TLS_KIND_H

#include <stdbool.h>

#include <curl/curl.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/model/probe.h"

/* How far a handshake can be limited with the libcurl at hand. */
enum clm_kind_limit {
    CLM_KIND_ALL_VERSIONS, /* cipher suites and signature algorithms */
    CLM_KIND_UP_TO_TLS12,  /* cipher suites alone: TLS 1.3 is not offered */
    CLM_KIND_NONE          /* neither: nothing can be told */
};

/*
 * clm_tls_kind_set() - offer only signatures by keys of this kind
 *
 * In      easy  without a CURLOPT_SSL_CTX_FUNCTION of the caller's
 *         kind  "rsa" or "ec"
 *         old_only  true: by cipher suites alone, as with a libcurl that can do no more. For tests.
 * Out     out_limit  NONE if this libcurl's TLS library cannot do it; easy is as it was then
 * Errors  INVAL another kind; UNSUPPORTED libcurl refused an option; NOMEM
 * Source  CURLOPT_SSL_SIGNATURE_ALGORITHMS(3), SSL_CTX_ctrl(3), openssl-ciphers(1)
 */
CLM_MUST_USE enum clm_code clm_tls_kind_set(CURL *easy, const char *kind, bool old_only,
                                            enum clm_kind_limit *out_limit, struct clm_err *err);

/* clm_tlsprobe(); old_only as above, so that tests see what an old libcurl would. */
CLM_MUST_USE enum clm_code clm_tlsprobe_as(const struct clm_endpoint *endpoint, bool old_only,
                                           struct clm_observation *out,
                                           struct clm_buf *out_leaf_der, struct clm_err *err);

#endif
