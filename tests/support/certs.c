/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/ca.h"

#define DAY_S  ((int64_t)86400)
#define YEAR_S (365 * DAY_S)

struct clm_test_ca {
    int64_t now_s;
    struct clm_rng *rng;
    struct clm_key *root_key;
    struct clm_key *mid_key;
    struct clm_cert_chain *root;
    struct clm_cert_chain *mid;
    struct clm_buf root_pem;
    struct clm_buf mid_pem;
};

static void must(enum clm_code code, const struct clm_err *err)
{
    if (code != CLM_OK) {
        (void)fprintf(stderr, "test certificates: %s\n", err->msg);
        abort();
    }
}

static struct clm_key *new_key(struct clm_rng *rng)
{
    struct clm_key *key = NULL;
    struct clm_err err = {0};

    must(clm_key_generate(rng, CLM_KEY_EC_P256, &key, &err), &err);
    return key;
}

static struct clm_cert_chain *parse(const struct clm_buf *pem)
{
    struct clm_cert_chain *chain = NULL;
    struct clm_err err = {0};

    must(clm_cert_chain_from_pem(pem->data, pem->len, &chain, &err), &err);
    return chain;
}

static void issue(struct clm_test_ca *ca, const struct clm_key *subject, struct clm_ca_issue *what,
                  struct clm_buf *out_pem)
{
    struct clm_buf spki = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    struct clm_err err = {0};

    must(clm_key_public_der(subject, &spki, &err), &err);
    what->spki = spki.data;
    what->spki_len = spki.len;
    must(clm_ca_issue(ca->rng, what, out_pem, &err), &err);
    clm_buf_done(&spki);
}

static struct clm_ca_issue mid_of(const struct clm_test_ca *ca)
{
    return (struct clm_ca_issue){.common_name = "Test Intermediate",
                                 .not_before_s = ca->now_s - YEAR_S,
                                 .not_after_s = ca->now_s + 10 * YEAR_S,
                                 .is_ca = true,
                                 .path_len = 0,
                                 .issuer = ca->root,
                                 .issuer_key = ca->root_key};
}

struct clm_test_ca *clm_test_ca_new(int64_t now_s)
{
    struct clm_test_ca *ca = calloc(1, sizeof(*ca));
    struct clm_ca_issue root = {.common_name = "Test Root",
                                .not_before_s = now_s - YEAR_S,
                                .not_after_s = now_s + 10 * YEAR_S,
                                .is_ca = true,
                                .path_len = -1};
    struct clm_ca_issue mid;
    struct clm_err err = {0};

    if (ca == NULL) {
        abort();
    }
    ca->now_s = now_s;
    ca->root_pem.max = CLM_CHAIN_PEM_MAX;
    ca->mid_pem.max = CLM_CHAIN_PEM_MAX;
    must(clm_rng_new(&ca->rng, &err), &err);
    ca->root_key = new_key(ca->rng);
    ca->mid_key = new_key(ca->rng);
    must(clm_ca_self_signed(ca->rng, ca->root_key, &root, &ca->root_pem, &err), &err);
    ca->root = parse(&ca->root_pem);
    mid = mid_of(ca);
    issue(ca, ca->mid_key, &mid, &ca->mid_pem);
    ca->mid = parse(&ca->mid_pem);
    return ca;
}

void clm_test_ca_free(struct clm_test_ca *ca)
{
    if (ca == NULL) {
        return;
    }
    clm_cert_chain_free(ca->root);
    clm_cert_chain_free(ca->mid);
    clm_key_free(ca->root_key);
    clm_key_free(ca->mid_key);
    clm_rng_free(ca->rng);
    clm_buf_done(&ca->root_pem);
    clm_buf_done(&ca->mid_pem);
    free(ca);
}

const char *clm_test_ca_root_pem(const struct clm_test_ca *ca)
{
    return clm_buf_str(&ca->root_pem);
}

const char *clm_test_ca_intermediate_pem(const struct clm_test_ca *ca)
{
    return clm_buf_str(&ca->mid_pem);
}

struct clm_rng *clm_test_ca_rng(struct clm_test_ca *ca)
{
    return ca->rng;
}

static bool is_address(const char *name)
{
    return strchr(name, ':') != NULL || strspn(name, "0123456789.") == strlen(name);
}

void clm_test_names(const char *names, struct clm_names *out)
{
    struct clm_err err = {0};

    *out = (struct clm_names){.dns = {NULL, 0}};
    while (*names != '\0') {
        size_t len = strcspn(names, ",");
        char one[CLM_DNS_NAME_SIZE];

        (void)snprintf(one, sizeof(one), "%.*s", (int)len, names);
        must(is_address(one) ? clm_names_add_ip(out, one, &err) : clm_names_add_dns(out, one, &err),
             &err);
        names += len + (names[len] == ',');
    }
}

/* The intermediate that is sent along: with the fault it has in this case. */
static void make_chain(struct clm_test_ca *ca, enum clm_test_fault fault, struct clm_buf *out)
{
    struct clm_ca_issue mid = mid_of(ca);
    struct clm_key *other = NULL;
    struct clm_err err = {0};

    if (fault == CLM_TEST_SELF_SIGNED) {
        return;
    }
    if (fault == CLM_TEST_BROKEN_CHAIN) {
        other = new_key(ca->rng);
        issue(ca, other, &mid, out);
        clm_key_free(other);
    } else if (fault == CLM_TEST_EXPIRED_CHAIN) {
        mid.not_after_s = ca->now_s - DAY_S;
        issue(ca, ca->mid_key, &mid, out);
    } else if (fault == CLM_TEST_NOT_A_CA) {
        mid.is_ca = false;
        issue(ca, ca->mid_key, &mid, out);
    } else {
        must(clm_buf_add(out, ca->mid_pem.data, ca->mid_pem.len, &err), &err);
    }
}

static void make_leaf(struct clm_test_ca *ca, const char *names, enum clm_test_fault fault,
                      const struct clm_key *key, struct clm_test_leaf *out)
{
    struct clm_names list;
    struct clm_ca_issue what = {.not_before_s = ca->now_s - 30 * DAY_S,
                                .not_after_s = ca->now_s + 60 * DAY_S,
                                .path_len = -1,
                                .eku_server = fault != CLM_TEST_CLIENT_ONLY,
                                .eku_client = fault == CLM_TEST_CLIENT_ONLY,
                                .is_ca = fault == CLM_TEST_LEAF_IS_CA,
                                .issuer = ca->mid,
                                .issuer_key = ca->mid_key};
    struct clm_err err = {0};

    clm_test_names(names, &list);
    what.names = &list;
    what.common_name = list.dns.n > 0 ? list.dns.v[0] : "test";
    if (fault == CLM_TEST_EXTRA_NAME) {
        must(clm_names_add_dns(&list, "extra.example", &err), &err);
    } else if (fault == CLM_TEST_EXPIRED) {
        what.not_after_s = ca->now_s - DAY_S;
    } else if (fault == CLM_TEST_NOT_YET) {
        what.not_before_s = ca->now_s + DAY_S;
    }
    if (fault == CLM_TEST_SELF_SIGNED) {
        must(clm_ca_self_signed(ca->rng, key, &what, &out->leaf_pem, &err), &err);
    } else {
        issue(ca, key, &what, &out->leaf_pem);
    }
    clm_names_done(&list);
    make_chain(ca, fault, &out->chain_pem);
    must(clm_buf_add(&out->full_pem, out->leaf_pem.data, out->leaf_pem.len, &err), &err);
    must(clm_buf_add_str(&out->full_pem, clm_buf_str(&out->chain_pem), &err), &err);
}

static void init(struct clm_test_leaf *leaf)
{
    *leaf = (struct clm_test_leaf){.key_pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX),
                                   .leaf_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX),
                                   .chain_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX),
                                   .full_pem = CLM_BUF_INIT(2 * CLM_CHAIN_PEM_MAX)};
}

void clm_test_leaf_make(struct clm_test_ca *ca, const char *names, enum clm_test_fault fault,
                        struct clm_test_leaf *out)
{
    struct clm_key *subject = new_key(ca->rng);
    struct clm_err err = {0};

    init(out);
    make_leaf(ca, names, fault, subject, out);
    if (fault == CLM_TEST_WRONG_KEY) {
        clm_key_free(subject);
        subject = new_key(ca->rng);
    }
    out->key = subject;
    must(clm_key_to_pem(subject, &out->key_pem, &err), &err);
}

void clm_test_leaf_for_key(struct clm_test_ca *ca, const char *names, const struct clm_key *key,
                           struct clm_test_leaf *out)
{
    init(out);
    make_leaf(ca, names, CLM_TEST_GOOD, key, out);
}

void clm_test_leaf_done(struct clm_test_leaf *leaf)
{
    clm_key_free(leaf->key);
    clm_buf_done(&leaf->key_pem);
    clm_buf_done(&leaf->leaf_pem);
    clm_buf_done(&leaf->chain_pem);
    clm_buf_done(&leaf->full_pem);
    *leaf = (struct clm_test_leaf){.key = NULL};
}

void clm_test_leaf_bundle(const struct clm_test_leaf *leaf, struct clm_bundle *out)
{
    struct clm_cert_chain *chain = parse(&leaf->leaf_pem);
    struct clm_err err = {0};

    *out = (struct clm_bundle)CLM_BUNDLE_INIT;
    must(clm_cert_info(chain, 0, &out->leaf, &err), &err);
    must(clm_buf_add(&out->leaf_pem, leaf->leaf_pem.data, leaf->leaf_pem.len, &err), &err);
    if (leaf->chain_pem.len > 0) {
        must(clm_buf_add(&out->chain_pem, leaf->chain_pem.data, leaf->chain_pem.len, &err), &err);
    }
    clm_cert_chain_free(chain);
}
