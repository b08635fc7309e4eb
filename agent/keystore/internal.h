/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal - one store in memory, and the table each format fills; nobody outside includes this
 *
 * keystore.c does what no format decides: finding by alias, replacing in place, refusing, freeing.
 * It never touches bytes of a file. A format reads store->original into entries, seals a key when
 * one is put, and at the end writes from entries (and its own extra): an entry that was not changed
 * must come out with the bytes it had.
 */
#ifndef CLM_KEYSTORE_INTERNAL_H
#define CLM_KEYSTORE_INTERNAL_H

#include "agent/keystore/keystore.h"

#define CLM_ENTRY_CERTS_MAX 16 /* of a chain; what stands behind is not looked at */

struct clm_entry_cert {
    const uint8_t *der;
    size_t len;
    uint8_t *owned; /* NULL: der points into store->original or store->extra */
};

/* One entry. raw and sealed_key are as they stand in the file, so that it can be written again. */
struct clm_entry {
    struct clm_keystore_entry shown;
    struct clm_entry_cert *certs; /* shown.n_certs of them */
    struct clm_buf sealed_key;    /* EncryptedPrivateKeyInfo (or PrivateKeyInfo), DER; secret */
    struct clm_buf raw;           /* JKS, JCEKS: the whole entry; empty once it was changed */
    bool is_changed;              /* put since it was opened; extra still tells what it was */
    void *extra;                  /* the format's own; NULL in a new entry */
};

struct clm_keystore {
    const struct clm_keystore_ops *ops;
    struct clm_entry *entries;
    size_t n_entries;
    size_t cap_entries;
    struct clm_buf original; /* the file as it was opened; secret. Empty: a new store */
    struct clm_buf password; /* secret; has_password says whether it was given */
    bool has_password;
    bool is_changed;
    bool is_locked;      /* content was not seen for lack of a password: cannot be changed */
    char read_only[160]; /* why it cannot be rewritten; "" it can */
    char integrity[64];  /* "" there is none; otherwise a change needs the store's password */
    enum clm_keystore_profile profile; /* of a new store */
    void *extra;                       /* the format's own */
};

/* What a private key is sealed with: as the entry it replaces was. */
struct clm_seal {
    struct clm_rng *rng;
    const struct clm_entry *old; /* NULL: a new entry */
    const struct clm_key *key;
    const struct clm_buf *password; /* the entry's or the store's; empty if there is none */
};

/* One format. Everything that does not depend on it is in keystore.c. */
struct clm_keystore_ops {
    enum clm_keystore_type type;
    bool (*detect)(const uint8_t *data, size_t len);
    /* store->original and ->password are set; fills the rest. */
    enum clm_code (*read)(struct clm_keystore *store, struct clm_err *err);
    /* A private key, sealed into sealed; how, in words, into protection. */
    enum clm_code (*seal)(const struct clm_keystore *store, const struct clm_seal *how,
                          struct clm_buf *sealed, char protection[64], struct clm_err *err);
    /* PKCS#8 of an entry into out (secret). password as in struct clm_seal. */
    enum clm_code (*unseal)(const struct clm_keystore *store, const struct clm_entry *entry,
                            const struct clm_buf *password, struct clm_buf *out,
                            struct clm_err *err);
    /* password: to protect the file with, never NULL; empty if there is none. */
    enum clm_code (*write)(const struct clm_keystore *store, struct clm_rng *rng,
                           const struct clm_buf *password, struct clm_buf *out,
                           struct clm_err *err);
    void (*done_entry)(struct clm_entry *entry); /* frees entry->extra */
    void (*done)(struct clm_keystore *store);    /* frees store->extra; NULL: nothing */
};

extern const struct clm_keystore_ops clm_pkcs12_ops;
extern const struct clm_keystore_ops clm_jks_ops;
extern const struct clm_keystore_ops clm_jceks_ops;

/* Appends a zeroed entry, of at most CLM_KEYSTORE_ENTRIES_MAX (check before); NULL on no memory.
 * Earlier pointers become stale. */
struct clm_entry *clm_keystore_add_entry(struct clm_keystore *store);
/* Copies one certificate, which is not empty, to the end of an entry's chain. */
CLM_MUST_USE enum clm_code clm_entry_add_cert(struct clm_entry *entry, const uint8_t *der,
                                              size_t len, struct clm_err *err);
/* The same without a copy: der lives as long as the store. For what is read from a file, so that
 * memory stays near the file's size. */
CLM_MUST_USE enum clm_code clm_entry_lend_cert(struct clm_entry *entry, const uint8_t *der,
                                               size_t len, struct clm_err *err);

/* ---- alias.c ---- */

/* Equal as Java compares aliases: without regard to case in Latin, Greek, Cyrillic, Armenian. */
bool clm_alias_same(const char *a, const char *b);
uint32_t clm_alias_lower(uint32_t c);
/* The character at the start of well-formed UTF-8, n bytes of it (clm_str_utf8_len()). */
uint32_t clm_utf8_char(const uint8_t *p, size_t n);
/* Returns how many bytes. */
size_t clm_utf8_put(uint32_t c, uint8_t dst[4]);

#endif
