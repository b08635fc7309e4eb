/* SPDX-License-Identifier: Apache-2.0 */
/* p12_made - PKCS#12 files written down as text: tests/unit/crypto/der_text.h */
#ifndef CLM_TESTS_P12_MADE_H
#define CLM_TESTS_P12_MADE_H

#include "agent/keystore/pkcs12.h"
#include "tests/unit/crypto/der_text.h"
#include "tests/unit/keystore/p12_files.h"

#define DATA "06{2a864886f70d010701}"

/* The file, from its ContentInfos; behind authSafe may stand MacData. */
#define P12_MAC(safes, mac) "30{020103 30{" DATA "a0{04{30{" safes "}}}}" mac "}"
#define P12(safes)          P12_MAC(safes, "")
#define SAFE(bags)          "30{" DATA "a0{04{30{" bags "}}}}"
#define ENCRYPTED_SAFE(alg, sealed)                                                                \
    "30{06{2a864886f70d010706} a0{30{020100 30{" DATA alg sealed "}}}}"
/* kind is 01 to 06 */
#define BAG(kind, value, attrs) "30{06{2a864886f70d010c0a01" kind "} a0{" value "}" attrs "}"
#define ATTR(oid, value)        "30{06{" oid "} 31{" value "}}"
#define NAME(utf16)             ATTR("2a864886f70d010914", "1e{" utf16 "}")
#define ID(bytes)               ATTR("2a864886f70d010915", "04{" bytes "}")
#define JAVA                    ATTR("6086480186f966adca7b0101", "06{551d2500}")
#define ATTRS(attrs)            "31{" attrs "}"
/* What the reader looks at in a certificate. issuer and subject are each the content of a name. */
#define X509(issuer, subject)        "30{30{020101 30{} 30{" issuer "} 30{} 30{" subject "}} 30{} 0300}"
#define CERT_BAG(x509, attrs)        BAG("03", "30{06{2a864886f70d01091601} a0{04{" x509 "}}}", attrs)
#define CERT(issuer, subject, attrs) CERT_BAG(X509(issuer, subject), attrs)
#define KEY(attrs)                   BAG("01", "30{020100}", attrs)
/* 3DES of PKCS#12, one iteration */
#define PBE_OF(iterations)                                                                         \
    "30{06{2a864886f70d010c0103} 30{04{0102030405060708} 02{" iterations "}}}"
#define PBE                     PBE_OF("01")
#define SHROUDED(sealed, attrs) BAG("02", "30{" PBE "04{" sealed "}}", attrs)

/* plain, sealed by PBE with that password, in hex digits; frees plain. */
const char *p12_sealed(struct clm_buf plain, const char *password, char *dst, size_t size);
/* Reads without a look at the first bytes, which clm_keystore_open() takes. password NULL: none. */
enum clm_code p12_read(const struct clm_buf *file, const char *password, struct clm_keystore **out,
                       struct clm_err *err);

#endif
