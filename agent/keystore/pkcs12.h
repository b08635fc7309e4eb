/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkcs12 - a PKCS#12 file in memory: its SafeContents, their bags, its MAC
 *
 * For this folder only. pkcs12_read.c takes the file apart, pkcs12_view.c makes entries of bags,
 * pkcs12_plan.c decides what becomes of each bag, pkcs12_write.c puts the file together. Bags
 * point into store->original or into clm_p12.kept and are never changed. RFC 7292; targets.md 21.
 */
#ifndef CLM_KEYSTORE_PKCS12_H
#define CLM_KEYSTORE_PKCS12_H

#include "agent/crypto/der.h"
#include "agent/crypto/pbe.h"
#include "agent/keystore/internal.h"

#define CLM_P12_BAGS_MAX  20000u /* in one file */
#define CLM_P12_SAFES_MAX 1000u
#define CLM_P12_DEPTH_MAX 8 /* bags inside bags; reliability.md 10 */
#define CLM_P12_NONE      SIZE_MAX

#define OID_P12_DATA          "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define OID_P12_SIGNED        "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
#define OID_P12_ENVELOPED     "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
#define OID_P12_ENCRYPTED     "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06"
#define OID_P12_BAG           "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01" /* and the kind's number */
#define OID_P12_X509          "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01"
#define OID_P12_FRIENDLY_NAME "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14"
#define OID_P12_LOCAL_KEY_ID  "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15"
#define OID_P12_JAVA_TRUSTED  "\x60\x86\x48\x01\x86\xf9\x66\xad\xca\x7b\x01\x01"

struct clm_span {
    const uint8_t *data;
    size_t len;
};

/* The numbers of RFC 7292 4.2. */
enum clm_p12_kind {
    CLM_P12_OTHER = 0,
    CLM_P12_KEY = 1,
    CLM_P12_SHROUDED = 2,
    CLM_P12_CERT = 3,
    CLM_P12_CRL = 4,
    CLM_P12_SECRET = 5,
    CLM_P12_NESTED = 6
};

struct clm_p12_bag {
    enum clm_p12_kind kind;
    size_t safe;            /* its place in safes */
    size_t end;             /* behind the bags inside a nested one; otherwise the next */
    struct clm_span raw;    /* the SafeBag */
    struct clm_span value;  /* certificate, PrivateKeyInfo or EncryptedPrivateKeyInfo, as DER */
    struct clm_span attrs;  /* content of the SET */
    struct clm_span name;   /* UTF-16BE; data NULL: none */
    struct clm_span key_id; /* data NULL: none */
    struct clm_span subject;
    struct clm_span issuer;
    bool java_trusts;
    bool is_used; /* a certificate in the chain of a key entry, as leaf or behind it */
};

struct clm_p12_safe {
    bool is_encrypted;
    struct clm_span raw; /* the ContentInfo */
    struct clm_pbe pbe;
    size_t first; /* bags first..end */
    size_t end;
};

enum clm_p12_mac_kind {
    CLM_P12_MAC_NONE,
    CLM_P12_MAC_CLASSIC, /* RFC 7292 appendix B */
    CLM_P12_PBMAC1       /* RFC 9879 */
};

struct clm_p12_mac {
    enum clm_p12_mac_kind kind;
    struct clm_pbe kdf;     /* salt, iterations, digest */
    enum clm_digest digest; /* of the HMAC */
    uint32_t key_len;       /* PBMAC1 */
    struct clm_span value;
};

/* What an entry is made of: clm_entry.extra. */
struct clm_p12_link {
    size_t bag;
    size_t leaf; /* of a key; CLM_P12_NONE */
};

struct clm_p12 {
    struct clm_p12_safe *safes;
    size_t n_safes;
    struct clm_p12_bag *bags;
    size_t n_bags;
    size_t cap_bags;
    struct clm_buf *kept; /* what bags point into besides the file; secret */
    size_t n_kept;
    struct clm_p12_mac mac;
    uint32_t budget;    /* iterations that may still be computed while opening */
    bool bare_password; /* see struct clm_pbe */
};

static inline struct clm_span clm_span_of(const struct clm_tlv *tlv)
{
    return (struct clm_span){.data = tlv->raw, .len = tlv->raw_len};
}

static inline struct clm_span clm_span_value(const struct clm_tlv *tlv)
{
    return (struct clm_span){.data = tlv->value, .len = tlv->len};
}

/* Shorter first, then by bytes; NULL is empty. */
int clm_span_compare(const struct clm_span *a, const struct clm_span *b);

/* ---- pkcs12_read.c ---- */

CLM_MUST_USE enum clm_code clm_p12_read(struct clm_keystore *store, struct clm_err *err);

/* ---- pkcs12_mac.c ---- */

/* Reads MacData. Errors: PARSE, UNSUPPORTED, LIMIT; nothing is computed. */
CLM_MUST_USE enum clm_code clm_p12_mac_read(const struct clm_tlv *data, struct clm_p12_mac *out,
                                            struct clm_err *err);
/* "HMAC-SHA-256 10000", "PBMAC1 HMAC-SHA-256, PBKDF2 HMAC-SHA-256 2048" */
void clm_p12_mac_text(const struct clm_p12_mac *mac, char dst[64]);
/* Checks content; sets p12->bare_password. Errors: CRYPTO wrong password. */
CLM_MUST_USE enum clm_code clm_p12_mac_check(struct clm_p12 *p12, const struct clm_buf *password,
                                             const struct clm_span *content, struct clm_err *err);
/* A MAC of the same kind with a fresh salt, over content, as MacData. */
CLM_MUST_USE enum clm_code clm_p12_mac_write(struct clm_der *w, const struct clm_p12 *p12,
                                             struct clm_rng *rng, const struct clm_buf *password,
                                             const struct clm_buf *content, struct clm_err *err);
/* What a new store of this profile has. */
void clm_p12_mac_preset(enum clm_keystore_profile profile, struct clm_p12_mac *out);
/* Takes iterations from the budget. Errors: LIMIT. */
CLM_MUST_USE enum clm_code clm_p12_spend(struct clm_p12 *p12, uint32_t iterations,
                                         struct clm_err *err);

/* ---- pkcs12_view.c ---- */

CLM_MUST_USE enum clm_code clm_p12_view(struct clm_keystore *store, struct clm_err *err);
/* friendlyName as UTF-8; "" if there is none. Errors: PARSE, LIMIT. */
CLM_MUST_USE enum clm_code clm_p12_alias(const struct clm_p12_bag *bag,
                                         char dst[CLM_KEYSTORE_ALIAS_SIZE], struct clm_err *err);

/* ---- pkcs12.c ---- */

/* True if der is a PrivateKeyInfo; otherwise it is taken for an EncryptedPrivateKeyInfo. */
bool clm_p12_is_plain(const uint8_t *der, size_t len);
/* AlgorithmIdentifier and sealed bytes of an EncryptedPrivateKeyInfo. */
bool clm_p12_sealed(const uint8_t *der, size_t len, struct clm_tlv *alg, struct clm_tlv *sealed);
/* Decrypts, and tries both forms of an empty password; what comes out is one SEQUENCE. */
CLM_MUST_USE enum clm_code clm_p12_decrypt(const struct clm_p12 *p12, const struct clm_pbe *pbe,
                                           const struct clm_buf *password,
                                           const struct clm_tlv *sealed, struct clm_buf *out,
                                           struct clm_err *err);
/* How new content of this store is encrypted: as most like it is, with fresh salt and IV. */
CLM_MUST_USE enum clm_code clm_p12_model(const struct clm_keystore *store, struct clm_rng *rng,
                                         const struct clm_buf *password, struct clm_pbe *out,
                                         struct clm_err *err);
struct clm_p12_reseal {
    const struct clm_p12 *p12;
    struct clm_rng *rng;
    const struct clm_buf *was;      /* the password until now */
    const struct clm_buf *password; /* from now on */
};
/* The same key under another password; appended. Nothing is if it cannot be opened with the one until
 * now: it has a password of its own, or a scheme that is not supported. Errors: CRYPTO random
 * generator; PARSE; NOMEM. */
CLM_MUST_USE enum clm_code clm_p12_reseal(const struct clm_p12_reseal *how,
                                          const struct clm_span *sealed, struct clm_buf *out,
                                          struct clm_err *err);

/* ---- pkcs12_plan.c ---- */

enum clm_p12_fate {
    CLM_P12_DROP,
    CLM_P12_KEEP,
    CLM_P12_REPLACE
};

/* A certificate that is to be added, with the entry it belongs to. */
struct clm_p12_new_cert {
    struct clm_span der;
    size_t entry;
    bool is_leaf; /* of a key, or a trusted one: has attributes */
};

struct clm_p12_plan {
    enum clm_p12_fate *fates; /* of each bag */
    size_t *entries;          /* REPLACE: by which entry */
    struct clm_p12_new_cert *added;
    size_t n_added;
    size_t cap_added;
    size_t *after;      /* of each added one: behind which bag; CLM_P12_NONE: at the end */
    size_t key_safe;    /* where new keys go; CLM_P12_NONE: into one of their own */
    size_t cert_safe;   /* where new certificates go */
    bool has_new_keys;  /* for key_safe */
    bool has_new_certs; /* for cert_safe */
};

CLM_MUST_USE enum clm_code clm_p12_plan_make(const struct clm_keystore *store,
                                             struct clm_p12_plan *out, struct clm_err *err);
void clm_p12_plan_done(struct clm_p12_plan *plan); /* for CLM_CLEANUP */

/* ---- pkcs12_write.c ---- */

CLM_MUST_USE enum clm_code clm_p12_write(const struct clm_keystore *store, struct clm_rng *rng,
                                         const struct clm_buf *password, struct clm_buf *out,
                                         struct clm_err *err);

#endif
