/* SPDX-License-Identifier: Apache-2.0 */
/* der - certificates and requests made by hand, as large and as odd as a shape wants them */
#ifndef CLM_TESTS_FAULTS_LIMITS_DER_H
#define CLM_TESTS_FAULTS_LIMITS_DER_H

#include "tests/faults/limits/limits.h"

#define DER_MAX ((size_t)4 * 1024 * 1024)

struct odd {
    int rdns;       /* names in the subject */
    int sans;       /* subject alternative names */
    int san_bytes;  /* of each of them; 0: 5 */
    int extensions; /* unknown ones */
    int depth;      /* values in values in an extension */
    int key_bytes;  /* of an RSA modulus and exponent; 0: an EC key */
    int pad_bytes;  /* of an extension that nobody knows */
    int attributes; /* of a request */
    bool has_large_e;
};

/* Appends a certificate. It is not signed: the signature is a number of the right size. */
void put_cert(struct clm_buf *out, const struct odd *odd);
void put_csr(struct clm_buf *out, const struct odd *odd);
void put_oid(struct clm_buf *out, const char *bytes, size_t len);
/* "-----BEGIN label-----" and Base64 of inner, which is emptied. */
void put_pem(struct clm_buf *out, const char *label, struct clm_buf *inner);

#define PUT_OID(out, bytes) put_oid((out), (bytes), sizeof(bytes) - 1)

#endif
