/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkcs7 - bags of certificates (.p7b, .p7c), and certificates in whatever form a file has them
 *
 * A bag is PKCS#7 signed data without a signature. It holds no key, and its order means nothing:
 * clm_cert_chain_sort() finds the leaf and what follows it.
 */
#ifndef CLM_CRYPTO_PKCS7_H
#define CLM_CRYPTO_PKCS7_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/cert.h"

#define CLM_PKCS7_MAX 1048576u /* bytes of a file; design.md 11 */

/* der: one certificate, len bytes, for the call. Anything but CLM_OK ends the walk and is returned. */
typedef enum clm_code (*clm_pkcs7_fn)(void *arg, const uint8_t *der, size_t len,
                                      struct clm_err *err);

/*
 * clm_pkcs7_each() - every certificate of a bag, in the order of the file
 *
 * In      data  len bytes: DER, BER with indefinite lengths, or PEM (label PKCS7, CMS, or
 *               CERTIFICATE where IIS mislabelled it)
 * Errors  PARSE; UNSUPPORTED PKCS#7 of another kind (encrypted, data); LIMIT; NOTFOUND a PEM text
 *         without a bag; and what visit returns
 * Source  RFC 2315 9.1, RFC 5652 5.1; targets.md 21.8
 */
CLM_MUST_USE enum clm_code clm_pkcs7_each(const void *data, size_t len, clm_pkcs7_fn visit,
                                          void *arg, struct clm_err *err);
/* All of them as a chain, unsorted. Errors: as above; NOTFOUND an empty bag; LIMIT more than
 * CLM_CERT_CHAIN_MAX; those of clm_cert_chain_from_der(). */
CLM_MUST_USE enum clm_code clm_pkcs7_read(const void *data, size_t len,
                                          struct clm_cert_chain **out_chain, struct clm_err *err);
/* Appends a bag with the certificates in the order of the chain; _pem: with label PKCS7. */
CLM_MUST_USE enum clm_code clm_pkcs7_to_der(const struct clm_cert_chain *chain, struct clm_buf *out,
                                            struct clm_err *err);
CLM_MUST_USE enum clm_code clm_pkcs7_to_pem(const struct clm_cert_chain *chain, struct clm_buf *out,
                                            struct clm_err *err);

/*
 * clm_cert_chain_from_any() - the certificates of a file that may be PEM, DER or PKCS#7
 *
 * In      data  len bytes; told apart by content. In PEM, certificates win over a bag.
 * Errors  NOTFOUND it is none of these or holds no certificate; as the three readers
 */
CLM_MUST_USE enum clm_code clm_cert_chain_from_any(const void *data, size_t len,
                                                   struct clm_cert_chain **out_chain,
                                                   struct clm_err *err);

#endif
