/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_messages - what a server's handshake messages tell: version, certificates, client certificate
 * asked for
 *
 * libcurl hands decrypted handshake messages to its debug callback. They are the only place where
 * the leaf can be seen when the server ends the handshake because it wants a client certificate.
 * Foreign bytes: every length is checked, and what does not fit is ignored.
 */
#ifndef CLM_NET_TLS_MESSAGES_H
#define CLM_NET_TLS_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_TLS_LEAF_MAX ((size_t)64 * 1024) /* bytes of DER; real ones take 1 to 4 KiB */

struct clm_tls_seen {
    char version[16];    /* "1.3"; "" before the ServerHello */
    struct clm_buf leaf; /* DER; empty before the Certificate message */
    uint32_t chain_len;  /* certificates sent, leaf included */
    bool asks_client;    /* CertificateRequest */
    bool is_finished; /* ServerHelloDone (1.2) or Finished (1.3): all that comes from the server */
};
#define CLM_TLS_SEEN_INIT                                                                          \
    {                                                                                              \
        .leaf = CLM_BUF_INIT(CLM_TLS_LEAF_MAX)                                                     \
    }

/*
 * clm_tls_message() - takes note of one message from the server
 *
 * In      data  len bytes: a whole handshake message with its header. Anything else (record
 *               headers, alerts) is ignored
 * Errors  NOMEM, LIMIT
 * Source  RFC 5246 7.4, RFC 8446 4
 */
CLM_MUST_USE enum clm_code clm_tls_message(struct clm_tls_seen *seen, const uint8_t *data,
                                           size_t len, struct clm_err *err);

#endif
