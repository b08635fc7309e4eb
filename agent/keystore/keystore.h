/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keystore - PKCS#12, JKS and JCEKS files, read and edited entry by entry
 *
 * A store is opened from bytes, changed in memory and written to bytes again; files are the
 * caller's. What is not changed keeps its bytes: alias as it was spelled, date, order, attributes,
 * protection, also of entries this library does not understand. What cannot be kept (a JCEKS with
 * sealed secret keys) opens for reading and refuses to be changed.
 *
 * Passwords are UTF-8 in secret buffers. Nothing here logs, and no message holds password or key.
 * Byte-level facts: targets.md 21; RFC 7292, RFC 9879.
 */
#ifndef CLM_KEYSTORE_KEYSTORE_H
#define CLM_KEYSTORE_KEYSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/crypto/rng.h"

#define CLM_KEYSTORE_MAX            16777216u /* bytes of a file; design.md 11 */
#define CLM_KEYSTORE_ENTRIES_MAX    10000u    /* reliability.md 10 */
#define CLM_KEYSTORE_ALIAS_SIZE     512       /* UTF-8 and a NUL */
#define CLM_KEYSTORE_PASSWORD_MAX   1024u     /* bytes of UTF-8 */
#define CLM_KEYSTORE_ITERATIONS_MAX 5000000u  /* of a password hash; the JDK refuses more, too */

enum clm_keystore_type {
    CLM_KEYSTORE_PKCS12,
    CLM_KEYSTORE_JKS,
    CLM_KEYSTORE_JCEKS,
    CLM_KEYSTORE__COUNT
};

/* How a new PKCS#12 entry is protected; an existing store goes on as it is. */
enum clm_keystore_profile {
    CLM_KEYSTORE_MODERN, /* PBES2 AES-256-CBC, PBKDF2 and MAC with HMAC-SHA-256 */
    CLM_KEYSTORE_LEGACY  /* 3DES and SHA-1 for keys, certificates and MAC: old Windows, Java 7 */
};

enum clm_entry_kind {
    CLM_ENTRY_KEY,     /* private key with its chain, leaf first */
    CLM_ENTRY_TRUSTED, /* one certificate alone */
    CLM_ENTRY_SECRET,  /* symmetric key: kept, never read */
    CLM_ENTRY_OTHER    /* bag of a kind that is only kept */
};

struct clm_keystore_entry {
    char alias[CLM_KEYSTORE_ALIAS_SIZE]; /* as spelled in the file; PKCS#12: friendlyName, or "" */
    enum clm_entry_kind kind;
    int64_t created_ms;  /* unix time; 0: the format does not say */
    char protection[64]; /* "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 10000"; "" unprotected */
    size_t n_certs;      /* chain of a key entry, 1 of a trusted one */
    bool java_trusts; /* PKCS#12: has the attribute without which Java ignores a lone certificate */
};

struct clm_keystore;

/* "pkcs12", "jks", "jceks" */
const char *clm_keystore_type_name(enum clm_keystore_type type);
CLM_MUST_USE enum clm_code
clm_keystore_type_parse(const char *name, enum clm_keystore_type *out_type, struct clm_err *err);
/* By content, never by name: false if these bytes begin no store. Reads the first 64 bytes or so;
 * a PKCS#7 bag, a certificate or a key in DER is no store. */
bool clm_keystore_detect(const uint8_t *data, size_t len, enum clm_keystore_type *out_type);

/*
 * clm_keystore_open() - a store from the bytes of its file
 *
 * In      data      len bytes, copied
 *         password  of the store; NULL: integrity is not checked, and what is encrypted cannot be
 *                   seen (JKS and JCEKS show all but keys, PKCS#12 what is in clear)
 * Out     out_store for clm_keystore_free()
 * Errors  CRYPTO "wrong password, or the file was changed" (cannot be told apart); PARSE with the
 *         offset; LIMIT size, entries, iterations (checked before anything is computed);
 *         UNSUPPORTED algorithm, public-key modes, BKS and its kin, by name; NOMEM
 */
CLM_MUST_USE enum clm_code clm_keystore_open(const uint8_t *data, size_t len,
                                             const struct clm_buf *password,
                                             struct clm_keystore **out_store, struct clm_err *err);
/* An empty one. profile matters for PKCS#12 only. */
CLM_MUST_USE enum clm_code clm_keystore_new(enum clm_keystore_type type,
                                            enum clm_keystore_profile profile,
                                            struct clm_keystore **out_store, struct clm_err *err);
void clm_keystore_free(struct clm_keystore *store); /* NULL does nothing; wipes */
CLM_DEFINE_CLEANUP(struct clm_keystore, clm_keystore_free);

enum clm_keystore_type clm_keystore_type_of(const struct clm_keystore *store);
/* One line for a person on how the file itself is protected: "HMAC-SHA-256 10000", "SHA-1 digest". */
const char *clm_keystore_integrity(const struct clm_keystore *store);
/* Why the file's content cannot be written again (secret keys in JCEKS); "" if it can. */
const char *clm_keystore_read_only(const struct clm_keystore *store);
/* True if some content could not be seen because no password was given. */
bool clm_keystore_is_locked(const struct clm_keystore *store);

/* ---- reading ---- */

size_t clm_keystore_count(const struct clm_keystore *store);
/* Entry i of count, in the order of the file; lives until the store is changed. */
const struct clm_keystore_entry *clm_keystore_entry(const struct clm_keystore *store, size_t i);
/* Case-insensitive as in Java. NULL alias: the first key entry. In PKCS#12 "1", "2" ... also find
 * entries without a name, which Java calls so. False if there is none. */
bool clm_keystore_find(const struct clm_keystore *store, const char *alias, size_t *out_i);
/* Certificate k of entry i, leaf first; the bytes live as long as the entry. */
const uint8_t *clm_keystore_cert_der(const struct clm_keystore *store, size_t i, size_t k,
                                     size_t *out_len);
/* The chain of entry i. Errors: NOTFOUND it has none; those of clm_cert_chain_from_der(). */
CLM_MUST_USE enum clm_code clm_keystore_chain(const struct clm_keystore *store, size_t i,
                                              struct clm_cert_chain **out_chain,
                                              struct clm_err *err);
/*
 * clm_keystore_key() - the private key of entry i
 *
 * In      password  of the entry; NULL: that of the store
 * Errors  INVAL no key entry; CRYPTO wrong password; UNSUPPORTED; those of clm_key_from_der()
 */
CLM_MUST_USE enum clm_code clm_keystore_key(const struct clm_keystore *store, size_t i,
                                            const struct clm_buf *password,
                                            struct clm_key **out_key, struct clm_err *err);

/* ---- changing ---- */

struct clm_keystore_put {
    const char *alias; /* UTF-8. An entry of that name is replaced in its place. NULL: the first
                        * key entry, whatever its name; if there is none, one without a name */
    const struct clm_key *key; /* borrowed */
    const struct clm_cert_chain *chain;
    const struct clm_buf *password; /* of the entry; NULL: the store's */
    int64_t now_ms;                 /* creation time, where the format has one */
};

/*
 * clm_keystore_put_key() - replaces or adds one key entry
 *
 * Effect  Replacing keeps alias spelling, place, unknown attributes and the way of protection
 *         (algorithm, iterations). Adding goes to the end. Nothing else changes.
 * Errors  UNSUPPORTED the store cannot be rewritten (is locked, secret entries), or the password
 *         cannot be used (JCEKS and a new modern PKCS#12: not ASCII, which Java refuses); CONFLICT
 *         alias belongs to an entry of another kind, or to several; INVAL key and first
 *         certificate are no pair, no password, bad alias; LIMIT; CRYPTO; NOMEM
 */
CLM_MUST_USE enum clm_code clm_keystore_put_key(struct clm_keystore *store, struct clm_rng *rng,
                                                const struct clm_keystore_put *put,
                                                struct clm_err *err);
/* Adds or replaces a trusted certificate. Errors as above. */
CLM_MUST_USE enum clm_code clm_keystore_put_trusted(struct clm_keystore *store, const char *alias,
                                                    const uint8_t *der, size_t len, int64_t now_ms,
                                                    struct clm_err *err);
/* Errors: NOTFOUND; UNSUPPORTED as above. */
CLM_MUST_USE enum clm_code clm_keystore_remove(struct clm_keystore *store, const char *alias,
                                               struct clm_err *err);

/*
 * clm_keystore_write() - the bytes of the file
 *
 * In      password  protects the file; NULL: the one it was opened with. A new store needs one.
 * Out     out       appended; a secret buffer of max CLM_KEYSTORE_MAX
 * Effect  An unchanged store is written as the very bytes it was opened from.
 */
CLM_MUST_USE enum clm_code clm_keystore_write(const struct clm_keystore *store, struct clm_rng *rng,
                                              const struct clm_buf *password, struct clm_buf *out,
                                              struct clm_err *err);

#endif
