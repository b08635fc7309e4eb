/* SPDX-License-Identifier: Apache-2.0 */
/* What the control plane's keys sign: certificates, the trust document, jobs. */
#include "controlplane/pki.h"

#include <arpa/inet.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/crypto/ca.h"
#include "agent/crypto/jws.h"

#define SERVER_LIFE_S (800LL * CLM_CP_DAY_S) /* made anew at each start */
#define TRUST_LIFE_S  (730LL * CLM_CP_DAY_S)
#define CLOCK_SLACK_S 300

static enum clm_code add_name(struct clm_names *names, const char *name, struct clm_err *err)
{
    uint8_t address[sizeof(struct in6_addr)];
    bool is_ip = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;

    return is_ip ? clm_names_add_ip(names, name, err) : clm_names_add_dns(names, name, err);
}

enum clm_code clm_cp_pki_server_cert(const struct clm_cp_pki *pki, const struct clm_strs *names,
                                     int64_t now_s, struct clm_buf *cert_pem,
                                     struct clm_buf *key_pem, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_names_done) struct clm_names san = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
    enum clm_code code = clm_key_generate(pki->rng, CLM_KEY_EC_P256, &key, err);

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(always); i++) {
        code = add_name(&san, always[i], err);
    }
    for (size_t i = 0; code == CLM_OK && i < names->n; i++) {
        code = add_name(&san, names->v[i], err);
    }
    if (code == CLM_OK) {
        code = clm_key_public_der(key, &spki, err);
    }
    if (code == CLM_OK) {
        const struct clm_ca_issue issue = {
            .common_name = "clmbot control plane",
            .names = &san,
            .spki = spki.data,
            .spki_len = spki.len,
            .not_before_s = now_s - CLOCK_SLACK_S,
            .not_after_s = now_s + SERVER_LIFE_S,
            .eku_server = true,
            .issuer = pki->ca.cert,
            .issuer_key = pki->ca.key,
        };

        code = clm_ca_issue(pki->rng, &issue, cert_pem, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(cert_pem, pki->ca.pem.data, pki->ca.pem.len, err);
    }
    return code == CLM_OK ? clm_key_to_pem(key, key_pem, err) : code;
}

enum clm_code clm_cp_pki_agent_cert(const struct clm_cp_pki *pki,
                                    const struct clm_cp_agent_cert *in, struct clm_buf *pem,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs uris = {0};
    char uri[160];
    enum clm_code code =
        clm_str_fmt(uri, sizeof(uri), err, "clm://%s/agent/%s", in->tenant, in->agent_id);

    if (code == CLM_OK) {
        code = clm_strs_add(&uris, uri, err);
    }
    if (code == CLM_OK) {
        const struct clm_ca_issue issue = {
            .common_name = in->agent_id,
            .uris = &uris,
            .spki = in->csr->spki_der.data,
            .spki_len = in->csr->spki_der.len,
            .not_before_s = in->now_s - CLM_CP_AGENT_BACK_S,
            .not_after_s = in->now_s + in->life_s,
            .eku_client = true,
            .issuer = pki->agent_ca.cert,
            .issuer_key = pki->agent_ca.key,
        };

        code = clm_ca_issue(pki->rng, &issue, pem, err);
    }
    return code == CLM_OK ? clm_buf_add(pem, pki->agent_ca.pem.data, pki->agent_ca.pem.len, err)
                          : code;
}

enum clm_code clm_cp_pki_web_cert(const struct clm_cp_pki *pki, const struct clm_csr_info *csr,
                                  int64_t now_s, int64_t life_s, struct clm_buf *pem,
                                  struct clm_err *err)
{
    const struct clm_ca_issue issue = {
        .subject = &csr->dn,
        .names = &csr->names,
        .emails = &csr->emails,
        .uris = &csr->uris,
        .spki = csr->spki_der.data,
        .spki_len = csr->spki_der.len,
        .not_before_s = now_s - CLOCK_SLACK_S,
        .not_after_s = now_s + life_s,
        .eku_server = true,
        .eku_client = csr->eku_client,
        .must_staple = csr->must_staple,
        .issuer = pki->web_ca.cert,
        .issuer_key = pki->web_ca.key,
    };
    enum clm_code code = clm_ca_issue(pki->rng, &issue, pem, err);

    return code == CLM_OK ? clm_buf_add(pem, pki->web_ca.pem.data, pki->web_ca.pem.len, err) : code;
}

static enum clm_code sign(const struct clm_cp_pki *pki, const struct clm_key *key,
                          const char *const typ_and_kid[2], const struct clm_json *content,
                          struct clm_json *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf header = CLM_BUF_INIT(CLM_JWS_HEADER_MAX);
    CLM_CLEANUP(clm_jws_done) struct clm_jws jws = CLM_JWS_INIT;
    enum clm_code code = clm_json_print(content, false, &payload, err);

    if (code == CLM_OK) {
        code = clm_jws_header(typ_and_kid[0], typ_and_kid[1], &header, err);
    }
    if (code == CLM_OK) {
        code = clm_jws_sign_es256(pki->rng, key, clm_buf_str(&header), &payload, &jws, err);
    }
    if (code == CLM_OK) {
        clm_jws_to_json(&jws, out);
    }
    return code;
}

static void set_time(struct clm_json *obj, const char *key, int64_t unix_s)
{
    char text[CLM_TIME_TEXT_SIZE];

    clm_time_format(unix_s, text);
    clm_json_set_str(obj, key, text);
}

static enum clm_code add_server_ca(const struct clm_cp_pki *pki, struct clm_json *array,
                                   struct clm_err *err)
{
    char spki[CLM_SHA256_HEX_SIZE];
    enum clm_code code = clm_key_spki_sha256_hex(pki->ca.key, spki, err);
    struct clm_json *item = clm_json_add_object(array);

    if (code == CLM_OK) {
        clm_json_set_str(item, "spki_sha256", spki);
        clm_json_set_str(item, "pem", clm_buf_str(&pki->ca.pem));
        clm_json_set_str(item, "state", "active");
    }
    return code;
}

static enum clm_code add_jobs_key(const struct clm_cp_pki *pki, int64_t expires_s,
                                  struct clm_json *array, struct clm_err *err)
{
    char x[CLM_JWK_COORD_SIZE];
    char y[CLM_JWK_COORD_SIZE];
    enum clm_code code = clm_key_public_xy(pki->jobs, x, y, err);
    struct clm_json *item = clm_json_add_object(array);

    if (code == CLM_OK) {
        clm_json_set_str(item, "kid", pki->jobs_kid);
        clm_json_set_str(item, "alg", "ES256");
        clm_json_set_str(item, "x", x);
        clm_json_set_str(item, "y", y);
        set_time(item, "expires_at", expires_s);
    }
    return code;
}

enum clm_code clm_cp_pki_trust(const struct clm_cp_pki *pki, const char *tenant,
                               const char *agent_id, int64_t now_s, struct clm_json *jws,
                               struct clm_err *err)
{
    static const char *const typ_and_kid[2] = {CLM_JWS_TYP_TRUST, "ca"};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *doc = clm_json_new_object();

    clm_json_set_str(doc, "type", "clm-trust");
    clm_json_set_int(doc, "spec_version", 1);
    clm_json_set_str(doc, "tenant", tenant);
    clm_json_set_int(doc, "version", CLM_CP_TRUST_VERSION);
    set_time(doc, "issued_at", now_s);
    set_time(doc, "expires_at", now_s + TRUST_LIFE_S);
    clm_json_set_str(doc, "agent_id", agent_id);
    enum clm_code code = add_server_ca(pki, clm_json_set_array(doc, "server_cas"), err);

    struct clm_json *jobs = clm_json_set_object(clm_json_set_object(doc, "roles"), "jobs");

    clm_json_set_int(jobs, "threshold", 1);
    clm_json_add_str(clm_json_set_array(jobs, "kids"), pki->jobs_kid);
    if (code == CLM_OK) {
        code = add_jobs_key(pki, now_s + TRUST_LIFE_S, clm_json_set_array(doc, "keys"), err);
    }
    return code == CLM_OK ? sign(pki, pki->ca.key, typ_and_kid, doc, jws, err) : code;
}

enum clm_code clm_cp_pki_sign_job(const struct clm_cp_pki *pki, const struct clm_json *envelope,
                                  struct clm_buf *out_jws, struct clm_err *err)
{
    const char *const typ_and_kid[2] = {CLM_JWS_TYP_JOB, pki->jobs_kid};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jws = clm_json_new_object();
    enum clm_code code = sign(pki, pki->jobs, typ_and_kid, envelope, jws, err);

    return code == CLM_OK ? clm_json_print(jws, false, out_jws, err) : code;
}
