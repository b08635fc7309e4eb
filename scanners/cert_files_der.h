/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert_files_der - certificates and private keys read just far enough for an inventory
 *
 * An inventory reads thousands of certificates and trusts none. So no curve point is computed and
 * no signature checked here, and algorithms that Mbed TLS does not know (Ed25519, RSA 1024, DSA) are
 * told of like all others. What is to be installed goes through agent/crypto/cert.h instead.
 */
#ifndef CLM_SCANNERS_CERT_FILES_DER_H
#define CLM_SCANNERS_CERT_FILES_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/crypto/der.h"
#include "agent/crypto/hash.h"
#include "agent/model/cert_info.h"

/* Where the parts of one certificate lie; the pointers lead into the caller's bytes. */
struct clm_cert_view {
    struct clm_tlv whole; /* raw: the bytes that are hashed */
    struct clm_tlv serial;
    struct clm_tlv issuer;
    struct clm_tlv subject;
    struct clm_tlv spki;
    struct clm_tlv extensions; /* SEQUENCE OF; raw NULL: none */
    int64_t not_before_s;
    int64_t not_after_s;
    char key_type[16]; /* as in struct clm_cert_info; also "ed25519", "ed448", "dsa-1024" */
    bool is_ca;
    bool is_self_issued; /* subject and issuer are the same bytes */
    bool is_weak_key;    /* RSA and DSA below 2048 bits, curves below 224 */
    bool
        is_weak_signature; /* MD2, MD4, MD5, SHA-1; never of a self-issued one: nobody checks that */
};

/*
 * clm_cert_view_read() - the first certificate in these bytes
 *
 * In      der  len bytes; what follows the certificate is not looked at (a "TRUSTED CERTIFICATE"
 *              has more behind it)
 * Out     out  overwritten
 * Returns false if they begin no well-formed certificate
 * Source  RFC 5280 4.1
 */
bool clm_cert_view_read(const uint8_t *der, size_t len, struct clm_cert_view *out);

/* What is worth knowing of it. out is overwritten, for clm_cert_info_done(). Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_cert_view_info(const struct clm_cert_view *view,
                                              struct clm_cert_info *out, struct clm_err *err);

/* True if upper may have signed lower, as far as names and key identifiers tell. */
bool clm_cert_view_is_issuer(const struct clm_cert_view *upper, const struct clm_cert_view *lower);

/*
 * clm_private_spki() - what the public half of a private key hashes to
 *
 * In      der  len bytes: PKCS#8, PKCS#1 or SEC1, not encrypted
 * Out     dst  SHA-256 of the SubjectPublicKeyInfo
 * Returns false if these bytes are no such key, or do not hold their public half
 * Source  RFC 5958, RFC 8017 A.1.2, RFC 5915
 */
bool clm_private_spki(const uint8_t *der, size_t len, uint8_t dst[CLM_SHA256_SIZE]);

/* True if these bytes are one private key in clear, its public half in them or not. */
bool clm_is_private_key(const uint8_t *der, size_t len);

/* The certificates of a PKCS#7 bag (SignedData): the content of its set, to be read one after the
 * other with clm_der_next(). False if it is none, or encrypted. Source: RFC 2315 9.1. */
bool clm_pkcs7_certs(const uint8_t *der, size_t len, struct clm_der_reader *out);

#endif
