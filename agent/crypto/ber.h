/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ber - what Windows, old NSS and BouncyCastle write, as DER
 *
 * der.h reads definite lengths only. Files from elsewhere (PKCS#7, PKCS#12) may hold indefinite
 * lengths, lengths with leading zeros, and OCTET STRINGs in pieces; this makes them definite,
 * shortest, and of one piece. DER comes out as it went in, so signatures stay good.
 */
#ifndef CLM_CRYPTO_BER_H
#define CLM_CRYPTO_BER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_BER_DEPTH_MAX 15 /* values in values */

/*
 * clm_ber_to_der() - the one value at the start of data, in definite form
 *
 * In      data     len bytes; values inside OCTET STRINGs stay as they are
 * Out     out      appended
 *         out_len  bytes of data that the value took; NULL: it must take all
 * Errors  PARSE with the offset; LIMIT deeper than CLM_BER_DEPTH_MAX, or out is full; NOMEM
 * Source  X.690 8.1.3, 8.7.3
 */
CLM_MUST_USE enum clm_code clm_ber_to_der(const uint8_t *data, size_t len, struct clm_buf *out,
                                          size_t *out_len, struct clm_err *err);

#endif
