/* SPDX-License-Identifier: Apache-2.0 */
/* The host half's part of an order: the key and its request; the certificate that came back. */
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/hash.h"
#include "agent/host/internal.h"

#define CSR_TEXT_MAX 32768u /* CLM_CSR_MAX bytes in base64url */

/* One job, one key: a repeated request finds the key of the first. */
static enum clm_code key_ref_of(const char *job_id, char dst[CLM_KEY_REF_SIZE], struct clm_err *err)
{
    return clm_str_fmt(dst, CLM_KEY_REF_SIZE, err, "key_%s", job_id + strlen("job_"));
}

static void fill_request(const struct clm_spec_order *order, struct clm_strs *ous,
                         struct clm_csr_request *out)
{
    *out = (struct clm_csr_request){
        .common_name = order->subject.cn,
        .organization = order->subject.o,
        .ous = ous,
        .locality = order->subject.l,
        .state = order->subject.st,
        .country = order->subject.c,
        .email = order->subject.email,
        .names = &order->names,
        .hash = CLM_HASH_SHA256,
        .must_staple = order->must_staple,
        .eku_server = true,
    };
}

static enum clm_code make_key(struct clm_host *host, const char *job_id, const char *key_ref,
                              const struct clm_spec_order *order, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();
    CLM_CLEANUP(clm_strs_done) struct clm_strs ous = {0};
    struct clm_csr_request request;
    enum clm_key_type type;
    enum clm_code code = clm_key_type_parse(order->key_type, &type, err);

    if (code == CLM_OK && order->subject.ou != NULL) {
        code = clm_strs_add(&ous, order->subject.ou, err);
    }
    if (code == CLM_OK) {
        code = clm_key_generate(host->rng, type, &key, err);
    }
    if (code == CLM_OK) {
        fill_request(order, &ous, &request);
        code = clm_csr_build(host->rng, key, &request, &csr, err);
    }
    if (code == CLM_OK) {
        code = clm_key_to_pem(key, &pem, err);
    }
    if (code == CLM_OK) {
        clm_json_set_str(meta, "job_id", job_id);
        clm_json_set_str(meta, "certificate_id", order->certificate_id);
        clm_json_set_str(meta, "key_type", order->key_type);
        code = clm_store_key_put(host->store, key_ref, &pem, &csr, meta, err);
    }
    return code;
}

static enum clm_code reply_csr(struct clm_json *reply, const char *key_ref,
                               const struct clm_store_key *key, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf b64 = CLM_BUF_INIT(CSR_TEXT_MAX);
    struct clm_csr_info info;
    enum clm_code code = clm_csr_parse(key->csr_der.data, key->csr_der.len, &info, err);

    if (code == CLM_OK) {
        code = clm_b64url_encode(key->csr_der.data, key->csr_der.len, &b64, err);
    }
    if (code == CLM_OK) {
        clm_json_set_str(reply, "csr", clm_buf_str(&b64));
        clm_json_set_str(reply, "csr_sha256", info.sha256);
        clm_json_set_str(reply, "spki_sha256", info.spki_sha256);
        clm_json_set_str(reply, "key_type", clm_key_type_name(info.key_type));
        clm_json_set_str(reply, "key_ref", key_ref);
    }
    clm_csr_info_done(&info);
    return code;
}

/* The order a job asks for; INVAL (E_STATE) for a job of another type. */
static enum clm_code order_of(struct clm_host_call *call, const struct clm_job_envelope *job,
                              struct clm_job_spec *spec, struct clm_err *err)
{
    if (job->type != CLM_JOB_TYPE_ORDER) {
        return clm_refuse(call, err, CLM_E_INVAL, "E_STATE", "job '%s' is a %s, not an order",
                          job->job_id, clm_job_type_name(job->type));
    }
    return clm_job_spec_parse(job, spec, err);
}

enum clm_code clm_host_op_csr(struct clm_host_call *call, struct clm_err *err)
{
    struct clm_store_key key = CLM_STORE_KEY_INIT;
    struct clm_job_record record;
    struct clm_job_envelope job;
    struct clm_job_spec spec = {.type = CLM_JOB_TYPE__COUNT};
    char key_ref[CLM_KEY_REF_SIZE];
    enum clm_code code = clm_host_job(call, &record, &job, err);

    if (code != CLM_OK) {
        return code;
    }
    code = order_of(call, &job, &spec, err);
    if (code == CLM_OK) {
        code = key_ref_of(job.job_id, key_ref, err);
        if (code == CLM_OK) {
            code = clm_store_key_get(call->host->store, key_ref, &key, err);
        }
        if (code == CLM_E_NOTFOUND) {
            code = make_key(call->host, job.job_id, key_ref, &spec.u.order, err);
            if (code == CLM_OK) {
                code = clm_store_key_get(call->host->store, key_ref, &key, err);
            }
        }
        if (code == CLM_OK) {
            code = reply_csr(call->reply, key_ref, &key, err);
        }
        clm_job_spec_done(&spec);
    }
    clm_store_key_done(&key);
    clm_job_envelope_done(&job);
    clm_job_record_done(&record);
    return code;
}

/* ---- the certificate ---- */

static enum clm_code load_key(const char *path, struct clm_key **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    enum clm_code code = clm_fs_read(path, CLM_KEY_PEM_MAX, &pem, err);

    return code == CLM_OK ? clm_key_from_pem(pem.data, pem.len, out, err) : code;
}

enum clm_code clm_host_bundle_take(struct clm_host_call *call, const struct clm_issued *issued,
                                   struct clm_cert_info *out_leaf, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key waiting = CLM_STORE_KEY_INIT;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();
    struct clm_host *host = call->host;
    int64_t now_s = host->io->now_s(host->io->ctx);
    enum clm_code code = clm_store_key_get(host->store, issued->key_ref, &waiting, err);

    if (code == CLM_OK) {
        code = load_key(waiting.key_path, &key, err);
    }
    if (code == CLM_OK) {
        code = clm_bundle_from_pem(issued->chain_pem, strlen(issued->chain_pem), &bundle, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_gate(&bundle, key,
                             issued->wanted != NULL ? issued->wanted : &bundle.leaf.names, now_s,
                             CLM_HOST_SKEW_S, err);
    }
    if (code == CLM_OK) {
        code = clm_policy_check_names(&host->config->policy, &bundle.leaf.names, err);
    }
    if (code == CLM_OK) {
        clm_json_set_str(meta, "certificate_id", issued->certificate_id);
        code = clm_store_bundle_put(host->store, issued->key_ref, &bundle, meta, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "certificate refused");
    }
    clm_cert_info_done(out_leaf);
    *out_leaf = bundle.leaf;
    bundle.leaf.names = (struct clm_names){0}; /* moved */
    return CLM_OK;
}

static void reply_certificate(struct clm_json *reply, const struct clm_cert_info *leaf)
{
    char text[CLM_TIME_TEXT_SIZE];

    clm_time_format(leaf->not_after_s, text);
    clm_json_set_str(reply, "sha256", leaf->sha256);
    clm_json_set_str(reply, "not_after", text);
    (void)clm_json_set_array(reply, "changes"); /* the gate lets no change of names or key pass */
}

enum clm_code clm_host_op_cert_put(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info leaf = {.is_ca = false};
    struct clm_job_record record;
    struct clm_job_envelope job;
    struct clm_job_spec spec = {.type = CLM_JOB_TYPE__COUNT};
    char key_ref[CLM_KEY_REF_SIZE];
    const char *chain_pem;
    enum clm_code code = clm_host_job(call, &record, &job, err);

    if (code != CLM_OK) {
        return code;
    }
    code = order_of(call, &job, &spec, err);
    if (code == CLM_OK) {
        code = clm_json_str(call->body, "chain_pem", CLM_CHAIN_PEM_MAX, &chain_pem, err);
        if (code == CLM_OK) {
            code = key_ref_of(job.job_id, key_ref, err);
        }
        if (code == CLM_OK) {
            const struct clm_issued issued = {key_ref, chain_pem, &spec.u.order.names,
                                              spec.u.order.certificate_id};

            code = clm_host_bundle_take(call, &issued, &leaf, err);
        }
        if (code == CLM_OK) {
            (void)memcpy(record.bundle_sha256, leaf.sha256, sizeof(record.bundle_sha256));
            code = clm_ledger_job_put(call->host->dir, &record, err);
        }
        if (code == CLM_OK) {
            reply_certificate(call->reply, &leaf);
        }
        clm_job_spec_done(&spec);
    }
    clm_job_envelope_done(&job);
    clm_job_record_done(&record);
    return code;
}
