/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sniff - what a file is, told by its first bytes and never by its name
 *
 * For whoever walks over files: cheap, allocates nothing, and cannot fail. An answer says what is
 * worth opening as what; only opening it says whether it is sound. Facts: targets.md 21.
 */
#ifndef CLM_KEYSTORE_SNIFF_H
#define CLM_KEYSTORE_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a file's beginning that are enough, but for PEM behind a long text: see wants_more. */
#define CLM_SNIFF_SIZE 4096u

enum clm_cert_file {
    CLM_CERT_FILE_NONE,
    CLM_CERT_FILE_PEM, /* text with blocks: see has */
    CLM_CERT_FILE_DER, /* one certificate, key or request: see has */
    CLM_CERT_FILE_PKCS7,
    CLM_CERT_FILE_PKCS12,
    CLM_CERT_FILE_JKS,
    CLM_CERT_FILE_JCEKS,
    CLM_CERT_FILE_OTHER_STORE, /* of BouncyCastle: BKS, UBER, BCFKS; not supported */
    CLM_CERT_FILE__COUNT
};

/* Bits of clm_sniff.has. */
enum clm_sniff_has {
    CLM_SNIFF_CERT = 1u << 0,
    CLM_SNIFF_KEY = 1u << 1,           /* private key in clear */
    CLM_SNIFF_ENCRYPTED_KEY = 1u << 2, /* private key behind a password */
    CLM_SNIFF_CSR = 1u << 3,
    CLM_SNIFF_PKCS7 = 1u << 4, /* PEM with a bag in it, whatever its label says */
    CLM_SNIFF_CRL = 1u << 5,
    CLM_SNIFF_OTHER = 1u << 6 /* parameters, public keys, keys of SSH ... */
};

struct clm_sniff {
    enum clm_cert_file kind;
    uint32_t has; /* of PEM: what begins within len; of DER: what it is */
    /* Text that can hold blocks behind len (the output of "openssl x509 -text", bag attributes, a
     * bundle that is cut off here): give more of the file if there is more. */
    bool wants_more;
};

/* "none", "pem", "der", "pkcs7", "pkcs12", "jks", "jceks", "other" */
const char *clm_cert_file_name(enum clm_cert_file kind);

/* data: the first len bytes of a file, CLM_SNIFF_SIZE or more unless it is shorter. */
struct clm_sniff clm_cert_file_sniff(const uint8_t *data, size_t len);

#endif
