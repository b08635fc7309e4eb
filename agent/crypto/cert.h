/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert - certificates and chains: reading, ordering, and the gate in front of every installation
 *
 * A chain is checked to be consistent; only clm_cert_gate_anchor() asks whether it ends at a CA that
 * somebody trusts.
 * Unknown critical extensions are therefore accepted. Ed25519 and other algorithms that Mbed TLS
 * does not know give UNSUPPORTED.
 */
#ifndef CLM_CRYPTO_CERT_H
#define CLM_CRYPTO_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/key.h"
#include "agent/model/bundle.h"
#include "agent/model/cert_info.h"
#include "agent/model/names.h"

#define CLM_CERT_CHAIN_MAX     10      /* certificates; protocol.md 6.4 */
#define CLM_CERT_DER_MAX       65536u  /* bytes each; reliability.md 10 */
#define CLM_CERT_CHAIN_PEM_MAX 262144u /* bytes of text; reliability.md 10 */
#define CLM_PIN_PREFIX         "sha256/"
#define CLM_PIN_SIZE           52 /* "sha256/", 44 characters of Base64, NUL */

struct clm_cert_chain;

/*
 * clm_cert_chain_from_pem() - all certificates of a PEM text, in its order
 *
 * In      pem  len bytes; keys, parameters and text between blocks are skipped, LF or CRLF
 * Errors  NOTFOUND no certificate; PARSE; LIMIT more than CLM_CERT_CHAIN_MAX, or too large;
 *         UNSUPPORTED algorithm. The message counts certificates from 1.
 */
CLM_MUST_USE enum clm_code clm_cert_chain_from_pem(const void *pem, size_t len,
                                                   struct clm_cert_chain **out_chain,
                                                   struct clm_err *err);
/* A chain of the one certificate in der. Errors: PARSE, LIMIT, UNSUPPORTED. */
CLM_MUST_USE enum clm_code clm_cert_chain_from_der(const uint8_t *der, size_t len,
                                                   struct clm_cert_chain **out_chain,
                                                   struct clm_err *err);
/* Accepts NULL. */
void clm_cert_chain_free(struct clm_cert_chain *chain);
CLM_DEFINE_CLEANUP(struct clm_cert_chain, clm_cert_chain_free);

size_t clm_cert_chain_count(const struct clm_cert_chain *chain);
/* The bytes of certificate i; they live as long as the chain. */
const uint8_t *clm_cert_chain_der(const struct clm_cert_chain *chain, size_t i, size_t *out_len);
/* Appends certificate i as PEM. */
CLM_MUST_USE enum clm_code clm_cert_chain_pem(const struct clm_cert_chain *chain, size_t i,
                                              struct clm_buf *out, struct clm_err *err);
/*
 * clm_cert_info() - what is worth knowing of certificate i
 *
 * Out     out  overwritten; for clm_cert_info_done(). Names that are no host names or addresses,
 *              and those beyond CLM_NAMES_MAX, are left out.
 * Errors  NOMEM
 */
CLM_MUST_USE enum clm_code clm_cert_info(const struct clm_cert_chain *chain, size_t i,
                                         struct clm_cert_info *out, struct clm_err *err);
/* Appends the subject alternative names of kind URI. Errors: NOMEM, PARSE. */
CLM_MUST_USE enum clm_code clm_cert_uris(const struct clm_cert_chain *chain, size_t i,
                                         struct clm_strs *out, struct clm_err *err);
/* "sha256/<Base64>", as pins are written in join tokens (protocol.md 5.2). */
void clm_pin_text(const uint8_t sha256[CLM_SHA256_SIZE], char dst[CLM_PIN_SIZE]);
/* The pin of certificate i: of its SubjectPublicKeyInfo. */
void clm_cert_pin(const struct clm_cert_chain *chain, size_t i, char dst[CLM_PIN_SIZE]);
/* The public key of certificate i. Errors: NOMEM; UNSUPPORTED as in clm_key_from_pem(). */
CLM_MUST_USE enum clm_code clm_pubkey_from_cert(const struct clm_cert_chain *chain, size_t i,
                                                struct clm_pubkey **out_pubkey,
                                                struct clm_err *err);
/* Whether key is the private half of certificate i. Errors: NOMEM, and then nobody knows. */
CLM_MUST_USE enum clm_code clm_cert_matches_key(const struct clm_cert_chain *chain, size_t i,
                                                const struct clm_key *key, bool *out_matches,
                                                struct clm_err *err);

/*
 * clm_cert_chain_sort() - leaf first, then its issuer, and so on
 *
 * Effect  The leaf is the first certificate, unless that is a CA and another is not. Certificates
 *         that stand there twice are dropped, and so is a self-signed root behind the leaf.
 * Errors  CRYPTO "chain is broken: 'CN=..' did not sign 'CN=..'"
 */
CLM_MUST_USE enum clm_code clm_cert_chain_sort(struct clm_cert_chain *chain, struct clm_err *err);
/*
 * clm_cert_chain_check() - sorts, then checks signatures, CA flags, path lengths and dates
 *
 * Errors  CRYPTO, with what is wrong with which certificate
 */
CLM_MUST_USE enum clm_code clm_cert_chain_check(struct clm_cert_chain *chain, int64_t now_s,
                                                struct clm_err *err);

/*
 * clm_bundle_from_pem() - what a CA returned, as a bundle
 *
 * Out     out  leaf, leaf_pem and chain_pem are overwritten (sorted, re-encoded, without root);
 *              key_path is left alone
 * Errors  as clm_cert_chain_from_pem() and clm_cert_chain_sort()
 */
CLM_MUST_USE enum clm_code clm_bundle_from_pem(const void *pem, size_t len, struct clm_bundle *out,
                                               struct clm_err *err);

/*
 * clm_cert_gate() - may this bundle be installed?
 *
 * In      bundle  leaf_pem and chain_pem; the order must be right, a root at the end is allowed
 *         key     the private key that is to serve it; NULL is not checked (it is elsewhere)
 *         wanted  the names asked for, exactly; NULL for a certificate that is not a server's:
 *                 neither names, purpose nor what clients refuse are checked
 *         skew_s  tolerance for "not valid before"
 * Errors  CRYPTO with one message per fault: "certificate is for another key", "certificate lacks
 *         the name 'x'", "certificate names 'y', which was not asked for", "certificate expired on
 *         ...", "certificate is not valid before ...", "chain is broken: ...", "certificate is not
 *         for servers ...", "clients refuse certificate 'CN=..': ..." (MD5 or SHA-1, a weak CA key,
 *         an unknown critical extension); and those of clm_cert_chain_from_pem()
 * Source  targets.md 0.6
 */
CLM_MUST_USE enum clm_code clm_cert_gate(const struct clm_bundle *bundle, const struct clm_key *key,
                                         const struct clm_names *wanted, int64_t now_s,
                                         int64_t skew_s, struct clm_err *err);

#define CLM_ANCHORS_MAX 4194304u /* bytes of a file of CAs; Debian's has 230 KiB */

/*
 * clm_cert_gate_anchor() - does the chain of a bundle end at a CA that is trusted here?
 *
 * In      bundle   passed clm_cert_gate()
 *         pem      len bytes: certificates of CAs. Those of algorithms we do not know are passed over
 * Errors  CRYPTO "chain does not end at a CA in the file: 'CN=..' was issued by 'CN=..'"; NOTFOUND
 *         pem holds no certificate; PARSE
 */
CLM_MUST_USE enum clm_code clm_cert_gate_anchor(const struct clm_bundle *bundle, const void *pem,
                                                size_t len, int64_t now_s, int64_t skew_s,
                                                struct clm_err *err);

#endif
