/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal - one store in memory, and the table each format fills; nobody outside includes this
 */
#ifndef CLM_KEYSTORE_INTERNAL_H
#define CLM_KEYSTORE_INTERNAL_H

#include "agent/keystore/keystore.h"

struct clm_entry_cert {
    uint8_t *der; /* owned */
    size_t len;
};

/* One entry. raw and sealed_key are as they stand in the file, so that it can be written again. */
struct clm_entry {
    struct clm_keystore_entry shown;
    struct clm_entry_cert *certs; /* shown.n_certs of them */
    struct clm_buf sealed_key;    /* EncryptedPrivateKeyInfo (or PrivateKeyInfo), DER; secret */
    struct clm_buf raw;           /* JKS, JCEKS: the whole entry; empty once it was changed */
    void *extra;                  /* the format's own: PKCS#12 bags and attributes */
};

struct clm_keystore {
    const struct clm_keystore_ops *ops;
    struct clm_entry *entries;
    size_t n_entries;
    struct clm_buf original; /* the file as it was opened; secret. Empty: a new store */
    struct clm_buf password; /* secret; has_password says whether it was given */
    bool has_password;
    bool is_changed;
    bool is_locked;
    char read_only[160]; /* why it cannot be rewritten; "" it can */
    char integrity[64];
    enum clm_keystore_profile profile;
    void *extra; /* the format's own */
};

/* One format. Everything that does not depend on it is in keystore.c. */
struct clm_keystore_ops {
    enum clm_keystore_type type;
    bool (*detect)(const uint8_t *data, size_t len);
    /* store->original and ->password are set; fills the rest. */
    enum clm_code (*read)(struct clm_keystore *store, struct clm_err *err);
    /* A private key, sealed into sealed, as the entry it replaces was (old may be NULL). */
    enum clm_code (*seal)(const struct clm_keystore *store, struct clm_rng *rng,
                          const struct clm_entry *old, const struct clm_key *key,
                          const struct clm_buf *password, struct clm_buf *sealed,
                          char protection[64], struct clm_err *err);
    /* PKCS#8 of an entry into out (secret). */
    enum clm_code (*unseal)(const struct clm_keystore *store, const struct clm_entry *entry,
                            const struct clm_buf *password, struct clm_buf *out,
                            struct clm_err *err);
    enum clm_code (*write)(const struct clm_keystore *store, struct clm_rng *rng,
                           const struct clm_buf *password, struct clm_buf *out,
                           struct clm_err *err);
    void (*done_entry)(struct clm_entry *entry); /* frees entry->extra; NULL: nothing */
    void (*done)(struct clm_keystore *store);    /* frees store->extra; NULL: nothing */
};

extern const struct clm_keystore_ops clm_pkcs12_ops;
extern const struct clm_keystore_ops clm_jks_ops;
extern const struct clm_keystore_ops clm_jceks_ops;

/* Appends a zeroed entry; NULL on no memory. Earlier pointers become stale. */
struct clm_entry *clm_keystore_add_entry(struct clm_keystore *store);
/* Copies one certificate to the end of an entry's chain. */
CLM_MUST_USE enum clm_code clm_entry_add_cert(struct clm_entry *entry, const uint8_t *der,
                                              size_t len, struct clm_err *err);

#endif
