/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_build - the bytes of a target's new file, from the bundle, the plan and what is there now
 *
 * Pure but for passwords: bytes in, bytes out. What cannot be byte-identical twice (keystores and
 * encrypted keys have salts) is compared by meaning: a file that holds the wanted key and chain
 * already is returned as it is. Internal to agent/job.
 */
#ifndef CLM_JOB_TXN_BUILD_H
#define CLM_JOB_TXN_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/crypto/rng.h"
#include "agent/job/txn_record.h"
#include "agent/model/bundle.h"
#include "agent/model/plan.h"
#include "agent/model/secret.h"

/* What files are made of. Zero-initialise, set the borrowed members, then clm_txn_maker_load(). */
struct clm_txn_maker {
    const struct clm_plan *plan;
    const struct clm_bundle *bundle; /* NULL: only clm_txn_take_apart() */
    struct clm_secret_source secrets;
    int64_t now_s;
    /* filled by clm_txn_maker_load() */
    struct clm_buf key_pem;       /* empty if no step needs the key; secret */
    struct clm_key *key;          /* NULL then */
    struct clm_cert_chain *chain; /* leaf, intermediates */
    struct clm_rng *rng;          /* NULL if no step needs random bytes */
};

/* Reads the key if a step needs it, and proves that it is the leaf's. Errors: INVAL, IO, PARSE. */
CLM_MUST_USE enum clm_code clm_txn_maker_load(struct clm_txn_maker *maker, struct clm_err *err);
void clm_txn_maker_done(struct clm_txn_maker *maker); /* for CLM_CLEANUP; wipes */

/*
 * clm_txn_build() - the new content of a FILE_PUT step
 *
 * In      old   content now; NULL if there is no such file yet
 * Out     out   secret; a copy of old if that holds the same key and certificates already
 * Errors  CONFLICT the file is not the one the step was made for, or not of its format, or has
 *         several keys and no alias; INVAL the bundle has no intermediates; CRYPTO password;
 *         those of passwords and formats
 */
CLM_MUST_USE enum clm_code clm_txn_build(const struct clm_txn_maker *maker,
                                         const struct clm_step *step, const struct clm_buf *old,
                                         struct clm_buf *out, struct clm_err *err);

/* What a file of a step holds; members are NULL if it does not. */
struct clm_txn_parts {
    struct clm_cert_chain *chain; /* in the order of the file */
    struct clm_key *key;
};
void clm_txn_parts_done(struct clm_txn_parts *parts); /* for CLM_CLEANUP */

/*
 * clm_txn_take_apart() - certificates and key in a file, as the step describes it
 *
 * In      with_key  false: no password of a key is asked for; a keystore's own is
 * Errors  NOMEM and those of passwords. What cannot be parsed is no error: it is not there.
 */
CLM_MUST_USE enum clm_code clm_txn_take_apart(const struct clm_txn_maker *maker,
                                              const struct clm_step *step,
                                              const struct clm_buf *data, bool with_key,
                                              struct clm_txn_parts *out, struct clm_err *err);

/* ---- txn_keystore.c ---- */

CLM_MUST_USE enum clm_code clm_txn_build_keystore(const struct clm_txn_maker *maker,
                                                  const struct clm_step *step,
                                                  const struct clm_buf *old, struct clm_buf *out,
                                                  struct clm_err *err);
CLM_MUST_USE enum clm_code clm_txn_apart_keystore(const struct clm_txn_maker *maker,
                                                  const struct clm_step *step,
                                                  const struct clm_buf *data, bool with_key,
                                                  struct clm_txn_parts *out, struct clm_err *err);

/* ---- both ---- */

/* The password behind a reference; nothing for "". Errors: those of the source; UNSUPPORTED. */
CLM_MUST_USE enum clm_code clm_txn_secret(const struct clm_secret_source *source,
                                          const char *deployer, const char *ref,
                                          struct clm_buf *out, struct clm_err *err);
/* What cannot be read out of a file is not there; missing memory alone says nothing: NOMEM. */
CLM_MUST_USE enum clm_code clm_txn_if_there(enum clm_code code, struct clm_err *err);
bool clm_txn_is_same_key(const struct clm_key *a, const struct clm_key *b);

#endif
