/* SPDX-License-Identifier: Apache-2.0 */
/* authority - the CA of agents, for tests: answers with certificates as a control plane does */
#ifndef CLM_TESTS_RUN_AUTHORITY_H
#define CLM_TESTS_RUN_AUTHORITY_H

#include "tests/unit/run/world.h"

#include "agent/base/clock.h"
#include "agent/crypto/ca.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/rng.h"
#include "agent/model/bundle.h"
#include "agent/run/identity.h"
#include "tests/support/pair.h"

#define A_AGENT "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define B_AGENT "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3D"

/* A certificate with that URI for the key of that request; the caller's buffer is appended. */
static inline void issue_uri_for(const struct clm_buf *csr_der, const char *agent_id,
                                 const char *uri, struct clm_buf *out_pem)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *ca_key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf ca_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *ca = NULL;
    CLM_CLEANUP(clm_strs_done) struct clm_strs uris = {0};
    struct clm_csr_info csr = {0};
    int64_t now_s = clm_clock_now_s();
    struct clm_ca_issue issue = {.common_name = "test CA",
                                 .not_before_s = now_s - 3600,
                                 .not_after_s = now_s + 86400,
                                 .is_ca = true};

    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_key_generate(rng, CLM_KEY_EC_P256, &ca_key, NULL), CLM_OK);
    assert_int_equal(clm_ca_self_signed(rng, ca_key, &issue, &ca_pem, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(ca_pem.data, ca_pem.len, &ca, NULL), CLM_OK);
    assert_int_equal(clm_csr_parse(csr_der->data, csr_der->len, &csr, NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&uris, uri, NULL), CLM_OK);
    issue = (struct clm_ca_issue){.common_name = agent_id,
                                  .uris = &uris,
                                  .spki = csr.spki_der.data,
                                  .spki_len = csr.spki_der.len,
                                  .not_before_s = now_s - 3600,
                                  .not_after_s = now_s + 86400,
                                  .eku_client = true,
                                  .issuer = ca,
                                  .issuer_key = ca_key};
    assert_int_equal(clm_ca_issue(rng, &issue, out_pem, NULL), CLM_OK);
    clm_csr_info_done(&csr);
}

static inline void issue_for(const struct clm_buf *csr_der, const char *agent_id,
                             struct clm_buf *out_pem)
{
    char uri[128];

    (void)snprintf(uri, sizeof(uri), "clm://acme/agent/%s", agent_id);
    issue_uri_for(csr_der, agent_id, uri, out_pem);
}

/* An identity of that generation, in force in dir. */
static inline void become_agent(const char *dir, int64_t generation)
{
    struct clm_identity_pending pending;
    struct clm_identity now = {.agent_id = A_AGENT,
                               .tenant = "acme",
                               .generation = generation,
                               .not_after_s = clm_clock_now_s() + 86400,
                               .renew_after_s = clm_clock_now_s() + 40000,
                               .enrolled_at_s = 1};
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);

    assert_int_equal(clm_strs_add(&now.urls, "https://cp.example", NULL), CLM_OK);
    assert_int_equal(
        clm_identity_begin(dir, generation == 1 ? "enroll" : "renew", "", &pending, NULL), CLM_OK);
    issue_for(&pending.csr_der, A_AGENT, &pem);
    assert_int_equal(
        clm_identity_commit(dir, &now, clm_buf_str(&pem), generation == 1 ? "THE CA" : NULL, NULL),
        CLM_OK);
    clm_identity_pending_done(&pending);
    clm_identity_done(&now);
}

/* True if tls.key is the key of tls.pem. */
static inline bool pair_fits(const char *dir)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf cert_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    char path[PATH_MAX];

    return clm_identity_path(dir, "tls.key", path, NULL) == CLM_OK &&
           clm_fs_read(path, CLM_KEY_PEM_MAX, &key_pem, NULL) == CLM_OK &&
           clm_identity_path(dir, "tls.pem", path, NULL) == CLM_OK &&
           clm_fs_read(path, CLM_CHAIN_PEM_MAX, &cert_pem, NULL) == CLM_OK &&
           clm_key_from_pem(key_pem.data, key_pem.len, &key, NULL) == CLM_OK &&
           clm_cert_chain_from_pem(cert_pem.data, cert_pem.len, &chain, NULL) == CLM_OK &&
           is_pair(chain, 0, key);
}

#endif
