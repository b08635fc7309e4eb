/* SPDX-License-Identifier: Apache-2.0 */
/* The host half's part of an order: the key and its request; the certificate that came back. */
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/holder.h"
#include "agent/host/internal.h"
#include "agent/host/request.h"

#define CSR_TEXT_MAX 32768u /* CLM_CSR_MAX bytes in base64url */

/* One job, one key: a repeated request finds the key of the first. */
static enum clm_code key_ref_of(const char *job_id, char dst[CLM_KEY_REF_SIZE], struct clm_err *err)
{
    return clm_str_fmt(dst, CLM_KEY_REF_SIZE, err, "key_%s", job_id + strlen("job_"));
}

/* key_ref NULL: the key is not on this host. */
static enum clm_code reply_csr(struct clm_json *reply, const char *key_ref,
                               const struct clm_buf *csr_der, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf b64 = CLM_BUF_SECRET_INIT(CSR_TEXT_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    enum clm_code code = clm_csr_parse(csr_der->data, csr_der->len, &info, err);

    if (code == CLM_OK) {
        code = clm_b64url_encode(csr_der->data, csr_der->len, &b64, err);
    }
    if (code == CLM_OK) {
        clm_json_set_str(reply, "csr", clm_buf_str(&b64));
        clm_json_set_str(reply, "csr_sha256", info.sha256);
        clm_json_set_str(reply, "spki_sha256", info.spki_sha256);
        clm_json_set_str(reply, "key_type", clm_key_type_name(info.key_type));
        clm_json_set_str(reply, "key_ref", key_ref);
        clm_json_set_str(reply, "key_storage", key_ref != NULL ? "file" : "elsewhere");
    }
    return code;
}

static bool is_uploaded(const struct clm_spec_order *order)
{
    return order->has_csr && order->csr.mode == CLM_CSR_MODE_UPLOADED;
}

/* The request that waits for a job. */
struct waiting {
    char key_ref[CLM_KEY_REF_SIZE];
    struct clm_store_key key;
    bool is_here; /* false: without its key, which is elsewhere */
};

/* It is made if it is not there. */
static enum clm_code find_request(struct clm_host_call *call, const struct clm_job_envelope *job,
                                  const struct clm_spec_order *order, struct waiting *out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    enum clm_code code = key_ref_of(job->job_id, out->key_ref, err);

    if (code == CLM_OK) {
        code = clm_store_key_get(call->host->store, out->key_ref, &out->key, err);
        out->is_here = code == CLM_OK;
    }
    if (code != CLM_E_NOTFOUND) {
        return code;
    }
    code = clm_host_request_make(call, job, order, out->key_ref, err);
    if (code == CLM_OK) {
        code = clm_store_key_get(call->host->store, out->key_ref, &out->key, err);
        out->is_here = code == CLM_OK;
    }
    if (code == CLM_E_NOTFOUND && is_uploaded(order)) {
        code = clm_csr_from_text(order->csr.csr_pem, &out->key.csr_der, &info, err);
    }
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
    struct waiting waiting = {.key = CLM_STORE_KEY_INIT};
    struct clm_job_record record;
    struct clm_job_envelope job;
    struct clm_job_spec spec = {.type = CLM_JOB_TYPE__COUNT};
    enum clm_code code = clm_host_open_job(call, &record, &job, err);

    if (code != CLM_OK) {
        return code;
    }
    code = order_of(call, &job, &spec, err);
    if (code == CLM_OK) {
        code = find_request(call, &job, &spec.u.order, &waiting, err);
        if (code == CLM_OK) {
            code = reply_csr(call->reply, waiting.is_here ? waiting.key_ref : NULL,
                             &waiting.key.csr_der, err);
        }
        clm_job_spec_done(&spec);
    }
    clm_store_key_done(&waiting.key);
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

/* The chain must end where root on this host says. */
static enum clm_code check_anchor(struct clm_host_call *call, const struct clm_bundle *bundle,
                                  int64_t now_s, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_ANCHORS_MAX);
    const char *path = call->host->config->policy.ca_bundle;
    enum clm_code code = CLM_OK;

    if (path[0] == '\0') {
        return CLM_OK;
    }
    code = clm_fs_read(path, CLM_ANCHORS_MAX, &pem, err);
    if (code == CLM_OK) {
        code = clm_cert_gate_anchor(bundle, pem.data, pem.len, now_s, CLM_HOST_SKEW_S, err);
    }
    return code == CLM_OK
               ? CLM_OK
               : clm_host_problem_code(call, "E_POLICY",
                                       clm_err_wrap(err, code, "policy.ca_bundle '%.200s'", path));
}

/* What a CA added is the policy's to refuse; what it dropped is missed by somebody. */
static enum clm_code check_added(struct clm_host_call *call, const struct clm_bundle *bundle,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *leaf = NULL;
    CLM_CLEANUP(clm_holder_done) struct clm_holder holder = {.has_eku = false};
    const struct clm_policy *policy = &call->host->config->policy;
    enum clm_code code = clm_policy_check_names(policy, &bundle->leaf.names, err);

    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(bundle->leaf_pem.data, bundle->leaf_pem.len, &leaf, err);
    }
    if (code == CLM_OK) {
        code = clm_holder_from_cert(leaf, 0, &holder, err);
    }
    return code == CLM_OK
               ? clm_policy_check_more_sans(policy, &holder.sans.emails, &holder.sans.uris, err)
               : code;
}

/* All that an issued certificate has to pass. key NULL: it is elsewhere. */
static enum clm_code gate(struct clm_host_call *call, const struct clm_issued *issued,
                          const struct clm_bundle *bundle, const struct clm_key *key,
                          struct clm_err *err)
{
    const struct clm_names *have = &bundle->leaf.names;
    int64_t now_s = call->host->io->now_s(call->host->io->ctx);
    bool has_all = issued->wanted == NULL || clm_names_is_subset(issued->wanted, have, NULL);
    enum clm_code code =
        clm_cert_gate(bundle, key, has_all ? have : issued->wanted, now_s, CLM_HOST_SKEW_S, err);

    if (code == CLM_OK) {
        code = check_anchor(call, bundle, now_s, err);
    }
    return code == CLM_OK ? check_added(call, bundle, err) : code;
}

/* Sentences into issued->changes. */
static enum clm_code tell_changes(const struct clm_issued *issued, const struct clm_bundle *bundle,
                                  const struct clm_csr_info *asked, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *leaf = NULL;
    enum clm_code code =
        clm_cert_chain_from_pem(bundle->leaf_pem.data, bundle->leaf_pem.len, &leaf, err);

    return code == CLM_OK ? clm_csr_compare(asked, leaf, issued->changes, err) : code;
}

static void give_leaf(struct clm_bundle *bundle, struct clm_cert_info *out_leaf)
{
    clm_cert_info_done(out_leaf);
    *out_leaf = bundle->leaf;
    bundle->leaf.names = (struct clm_names){0}; /* moved */
}

static enum clm_code refused(struct clm_host_call *call, enum clm_code code, struct clm_err *err)
{
    if (code != CLM_E_NOMEM && code != CLM_E_IO) {
        clm_host_hint(call, "look at what the CA issued; what was installed before is as it was");
        clm_host_problem(call, "E_CERTIFICATE");
    }
    return clm_err_wrap(err, code, "certificate refused");
}

enum clm_code clm_host_bundle_take(struct clm_host_call *call, const struct clm_issued *issued,
                                   struct clm_cert_info *out_leaf, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key waiting = CLM_STORE_KEY_INIT;
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info asked = {.must_staple = false};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();
    struct clm_store *store = call->host->store;
    enum clm_code code = clm_store_key_get(store, issued->key_ref, &waiting, err);

    if (code == CLM_OK) {
        code = load_key(waiting.key_path, &key, err);
    }
    if (code == CLM_OK) {
        code = clm_bundle_from_pem(issued->chain_pem, strlen(issued->chain_pem), &bundle, err);
    }
    if (code == CLM_OK) {
        code = gate(call, issued, &bundle, key, err);
    }
    if (code == CLM_OK && issued->changes != NULL && waiting.csr_der.len > 0) {
        code = clm_csr_parse(waiting.csr_der.data, waiting.csr_der.len, &asked, err);
        if (code == CLM_OK) {
            code = tell_changes(issued, &bundle, &asked, err);
        }
    }
    if (code == CLM_OK) {
        clm_json_set_str(meta, "certificate_id", issued->certificate_id);
        code = clm_store_bundle_put(store, issued->key_ref, &bundle, meta, err);
    }
    if (code != CLM_OK) {
        return refused(call, code, err);
    }
    give_leaf(&bundle, out_leaf);
    return CLM_OK;
}

/* A certificate whose key is elsewhere: looked at and not kept. */
static enum clm_code look_at(struct clm_host_call *call, const struct clm_issued *issued,
                             const char *csr_pem, struct clm_cert_info *out_leaf,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info asked = {.must_staple = false};
    enum clm_code code =
        clm_bundle_from_pem(issued->chain_pem, strlen(issued->chain_pem), &bundle, err);

    if (code == CLM_OK) {
        code = clm_csr_from_text(csr_pem, &der, &asked, err);
    }
    if (code == CLM_OK && strcmp(asked.spki_sha256, bundle.leaf.spki_sha256) != 0) {
        code = clm_err_set(err, CLM_E_CRYPTO, "certificate is for another key");
    }
    if (code == CLM_OK) {
        code = gate(call, issued, &bundle, NULL, err);
    }
    if (code == CLM_OK) {
        code = tell_changes(issued, &bundle, &asked, err);
    }
    if (code != CLM_OK) {
        return refused(call, code, err);
    }
    give_leaf(&bundle, out_leaf);
    return CLM_OK;
}

static void reply_certificate(struct clm_json *reply, const struct clm_cert_info *leaf,
                              const struct clm_strs *changes, bool is_kept)
{
    struct clm_json *list = clm_json_set_array(reply, "ca_changes");
    char text[CLM_TIME_TEXT_SIZE];

    clm_time_format(leaf->not_after_s, text);
    clm_json_set_str(reply, "sha256", leaf->sha256);
    clm_json_set_str(reply, "not_after", text);
    for (size_t i = 0; i < changes->n; i++) {
        clm_json_add_str(list, changes->v[i]);
    }
    clm_json_set_bool(reply, "installable", is_kept);
    if (!is_kept) {
        clm_json_set_str(reply, "note",
                         "issued, and not installed: its private key is not the one at the target");
    }
}

/* The key of an uploaded request may have come to the target since. */
static enum clm_code take_certificate(struct clm_host_call *call,
                                      const struct clm_job_envelope *job,
                                      const struct clm_spec_order *order, const char *chain_pem,
                                      struct clm_job_record *record, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info leaf = {.is_ca = false};
    CLM_CLEANUP(clm_strs_done) struct clm_strs changes = {NULL, 0};
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key waiting = CLM_STORE_KEY_INIT;
    char key_ref[CLM_KEY_REF_SIZE];
    const struct clm_issued issued = {key_ref, chain_pem, &order->names, order->certificate_id,
                                      &changes};
    bool is_here = true;
    enum clm_code code = key_ref_of(job->job_id, key_ref, err);

    if (code == CLM_OK && is_uploaded(order)) {
        code = clm_store_key_get(call->host->store, key_ref, &waiting, err);
        if (code == CLM_E_NOTFOUND) {
            code = clm_host_request_adopt(call, job, order, key_ref, &is_here, err);
        }
    }
    if (code == CLM_OK) {
        code = is_here ? clm_host_bundle_take(call, &issued, &leaf, err)
                       : look_at(call, &issued, order->csr.csr_pem, &leaf, err);
    }
    if (code == CLM_OK && is_here) {
        (void)memcpy(record->bundle_sha256, leaf.sha256, sizeof(record->bundle_sha256));
        code = clm_ledger_job_put(call->host->dir, record, err);
    }
    if (code == CLM_OK) {
        reply_certificate(call->reply, &leaf, &changes, is_here);
    }
    return code;
}

enum clm_code clm_host_op_cert_put(struct clm_host_call *call, struct clm_err *err)
{
    struct clm_job_record record;
    struct clm_job_envelope job;
    struct clm_job_spec spec = {.type = CLM_JOB_TYPE__COUNT};
    const char *chain_pem;
    enum clm_code code = clm_host_open_job(call, &record, &job, err);

    if (code != CLM_OK) {
        return code;
    }
    code = order_of(call, &job, &spec, err);
    if (code == CLM_OK) {
        code = clm_json_str(call->body, "chain_pem", CLM_CHAIN_PEM_MAX, &chain_pem, err);
        if (code == CLM_OK) {
            code = take_certificate(call, &job, &spec.u.order, chain_pem, &record, err);
        }
        clm_job_spec_done(&spec);
    }
    clm_job_envelope_done(&job);
    clm_job_record_done(&record);
    return code;
}
