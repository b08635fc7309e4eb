/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs - a small CA for tests: root, intermediate, and leaves that are good or wrong in one way
 *
 * Every function aborts when something fails: a test without its certificates proves nothing. Keys
 * are P-256, so that a hundred leaves take a fraction of a second.
 */
#ifndef CLM_TESTS_CERTS_H
#define CLM_TESTS_CERTS_H

#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/crypto/rng.h"
#include "agent/model/bundle.h"
#include "agent/model/names.h"

struct clm_test_ca;

/* Root and intermediate are valid from a year before now_s to ten years after. */
struct clm_test_ca *clm_test_ca_new(int64_t now_s);
void clm_test_ca_free(struct clm_test_ca *ca); /* accepts NULL */
CLM_DEFINE_CLEANUP(struct clm_test_ca, clm_test_ca_free);
const char *clm_test_ca_root_pem(const struct clm_test_ca *ca);
const char *clm_test_ca_intermediate_pem(const struct clm_test_ca *ca);
struct clm_rng *clm_test_ca_rng(struct clm_test_ca *ca);

enum clm_test_fault {
    CLM_TEST_GOOD,
    CLM_TEST_EXPIRED,       /* ended a day before now_s */
    CLM_TEST_NOT_YET,       /* begins a day after now_s */
    CLM_TEST_WRONG_KEY,     /* key is not the one in the certificate */
    CLM_TEST_BROKEN_CHAIN,  /* the intermediate has the right name and another key */
    CLM_TEST_EXPIRED_CHAIN, /* the intermediate ended a day before now_s */
    CLM_TEST_NOT_A_CA,      /* the intermediate is not a CA */
    CLM_TEST_CLIENT_ONLY,   /* extended key usage is clientAuth */
    CLM_TEST_LEAF_IS_CA,    /* the leaf is a CA itself */
    CLM_TEST_EXTRA_NAME,    /* also names "extra.example" */
    CLM_TEST_SELF_SIGNED,   /* no chain */
    CLM_TEST_FAULT__COUNT
};

struct clm_test_leaf {
    struct clm_key *key;
    struct clm_buf key_pem;
    struct clm_buf leaf_pem;
    struct clm_buf chain_pem; /* the intermediate */
    struct clm_buf full_pem;  /* leaf, then intermediate */
};

/* names: "www.example,api.example,192.0.2.1", separated by commas. Valid for 90 days around now_s
 * (30 before, 60 after) unless the fault says otherwise. */
void clm_test_leaf_make(struct clm_test_ca *ca, const char *names, enum clm_test_fault fault,
                        struct clm_test_leaf *out);
/* The same for a key that is there already; leaf->key and key_pem stay empty. */
void clm_test_leaf_for_key(struct clm_test_ca *ca, const char *names, const struct clm_key *key,
                           struct clm_test_leaf *out);
void clm_test_leaf_done(struct clm_test_leaf *leaf); /* for CLM_CLEANUP */
/* A bundle of it, filled by hand so that also wrong ones can be made; for clm_bundle_done(). */
void clm_test_leaf_bundle(const struct clm_test_leaf *leaf, struct clm_bundle *out);
/* "a.example,192.0.2.1" as a list. */
void clm_test_names(const char *names, struct clm_names *out);

#endif
