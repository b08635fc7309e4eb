/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/request.h"

#include <string.h>

#include "agent/base/fs.h"
#include "agent/host/installed.h"
#include "agent/host/request_int.h"
#include "agent/model/secret.h"

/* ---- keys ---- */

static enum clm_code load_waiting(struct clm_host_call *call, const char *key_ref,
                                  const char *certificate_id, struct clm_store_key *waiting,
                                  struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    const char *owner = NULL;
    enum clm_code code = clm_store_key_get(call->host->store, key_ref, waiting, err);

    if (code == CLM_E_NOTFOUND) {
        return clm_refuse(call, err, code, "E_STATE",
                          "key '%s' of the last order is not kept here; order with a new key",
                          key_ref);
    }
    if (code == CLM_OK) {
        owner = clm_json_text(clm_json_get(waiting->meta, "certificate_id"));
        if (owner == NULL || strcmp(owner, certificate_id) != 0) {
            return clm_refuse(call, err, CLM_E_PERM, "E_POLICY",
                              "key '%s' belongs to another certificate", key_ref);
        }
        code = clm_fs_read(waiting->key_path, CLM_KEY_PEM_MAX, &pem, err);
    }
    return code == CLM_OK ? clm_key_from_pem(pem.data, pem.len, out_key, err) : code;
}

/* The installed key, which is the one of the installed certificate: padding is all by which an
 * encrypted key tells that its password was right. */
static enum clm_code installed_key(struct clm_host_call *call, const char *target,
                                   struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_installed_done) struct clm_installed installed = {NULL, NULL};
    bool matches = false;
    enum clm_code code = clm_host_installed_key(call, target, &installed, err);

    if (code == CLM_OK) {
        code = clm_host_installed_cert(call, target, &installed, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_matches_key(installed.chain, 0, installed.key, &matches, err);
    }
    if (code == CLM_OK && !matches) {
        code = clm_refuse(call, err, CLM_E_CONFLICT, "E_STATE",
                          "the key installed at '%s' does not belong to the certificate there; "
                          "order with a new key",
                          target);
    }
    if (code == CLM_OK) {
        *out_key = CLM_STEAL(installed.key);
    }
    return code;
}

static enum clm_code reused_key(struct clm_host_call *call, const char *target,
                                const struct clm_spec_order *order, struct clm_key **out_key,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key waiting = CLM_STORE_KEY_INIT;
    enum clm_code code = clm_policy_check_key_reuse(&call->host->config->policy, err);

    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_POLICY", code);
    }
    return order->key_ref != NULL
               ? load_waiting(call, order->key_ref, order->certificate_id, &waiting, out_key, err)
               : installed_key(call, target, out_key, err);
}

/* Key type of an order that says none: the template's or the installed one's is known by now. */
static enum clm_code make_key(struct clm_host_call *call, const char *target,
                              const struct clm_spec_order *order, const struct clm_wish *wish,
                              struct clm_key **out_key, struct clm_err *err)
{
    const struct clm_policy *policy = &call->host->config->policy;
    const char *asked = wish->key_type;
    enum clm_key_type type = CLM_KEY_OTHER;
    enum clm_code code = CLM_OK;

    if (wish->reuse_key) {
        const char *have = "";

        code = reused_key(call, target, order, out_key, err);
        if (code == CLM_OK) {
            have = clm_key_type_name(clm_key_type_of(*out_key));
            code = clm_policy_check_key_type(policy, have, err);
            code = code == CLM_OK ? code : clm_host_problem_code(call, "E_POLICY", code);
        }
        if (code == CLM_OK && order->csr.key_type != NULL &&
            strcmp(order->csr.key_type, have) != 0) {
            code = clm_refuse(call, err, CLM_E_CONFLICT, "E_STATE",
                              "the key that is to be used again is %s, not %s", have,
                              order->csr.key_type);
        }
        return code;
    }
    if (asked == NULL) {
        return clm_refuse(call, err, CLM_E_INVAL, "E_SPEC",
                          "neither the order nor its template says what type the key is to be");
    }
    code = clm_policy_check_key_type(policy, asked, err);
    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_POLICY", code);
    }
    code = clm_key_type_parse(asked, &type, err);
    return code == CLM_OK ? clm_key_generate(call->host->rng, type, out_key, err) : code;
}

/* ---- keeping ---- */

/* A key and its request; borrowed. */
struct pair {
    const struct clm_key *key;
    const struct clm_buf *csr;
};

static enum clm_code keep(struct clm_host_call *call, const struct clm_job_envelope *job,
                          const struct clm_spec_order *order, const char *key_ref,
                          const struct pair *made, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *meta = clm_json_new_object();
    enum clm_code code = clm_key_to_pem(made->key, &pem, err);

    clm_json_set_str(meta, "job_id", job->job_id);
    clm_json_set_str(meta, "certificate_id", order->certificate_id);
    clm_json_set_str(meta, "key_type", clm_key_type_name(clm_key_type_of(made->key)));
    return code == CLM_OK
               ? clm_store_key_put(call->host->store, key_ref, &pem, made->csr, meta, err)
               : code;
}

static enum clm_code read_challenge(struct clm_host_call *call, const char *name,
                                    struct clm_buf *out, struct clm_err *err)
{
    const char *path = NULL;
    char ref[CLM_SECRET_REF_SIZE];
    enum clm_code code = clm_policy_find_secret(&call->host->config->policy, name, &path, err);

    if (code == CLM_OK) {
        code = clm_str_fmt(ref, sizeof(ref), err, CLM_SECRET_FILE "%s", path);
    }
    if (code == CLM_OK) {
        code = clm_secret_read(call->host->io, ref, out, err);
    }
    return code == CLM_OK
               ? CLM_OK
               : clm_host_problem_code(call, "E_POLICY",
                                       clm_err_wrap(err, code, "challenge password '%.64s'", name));
}

static enum clm_code build(struct clm_host_call *call, const struct clm_wish *wish,
                           const struct clm_key *key, struct clm_buf *csr, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf challenge = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    struct clm_csr_request request = {
        .subject = &wish->subject,
        .names = &wish->sans.names,
        .emails = &wish->sans.emails,
        .uris = &wish->sans.uris,
        .hash = wish->hash,
        .must_staple = wish->must_staple,
        .eku_server = true,
        .eku_client = wish->eku_client,
    };
    enum clm_code code = CLM_OK;

    if (wish->challenge_ref != NULL) {
        code = read_challenge(call, wish->challenge_ref, &challenge, err);
        request.challenge_password = &challenge;
    }
    return code == CLM_OK ? clm_csr_build(call->host->rng, key, &request, csr, err) : code;
}

/* ---- modes ---- */

static enum clm_code make_new(struct clm_host_call *call, const struct clm_job_envelope *job,
                              const struct clm_spec_order *order, const char *key_ref,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_wish_done) struct clm_wish wish = {.hash = CLM_HASH_SHA256};
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = CLM_BUF_SECRET_INIT(CLM_CSR_MAX);
    enum clm_code code = clm_wish_make(call, job->target, order, &wish, err);

    if (code == CLM_OK) {
        code = clm_request_ask_policy(call, &wish.subject, &wish.sans, wish.eku_client, err);
    }
    if (code == CLM_OK) {
        code = make_key(call, job->target, order, &wish, &key, err);
    }
    if (code == CLM_OK) {
        code = build(call, &wish, key, &csr, err);
    }
    return code == CLM_OK ? keep(call, job, order, key_ref, &(struct pair){key, &csr}, err) : code;
}

static enum clm_code make_again(struct clm_host_call *call, const struct clm_job_envelope *job,
                                const struct clm_spec_order *order, const char *key_ref,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_store_key_done) struct clm_store_key waiting = CLM_STORE_KEY_INIT;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    enum clm_code code = clm_policy_check_key_reuse(&call->host->config->policy, err);

    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_POLICY", code);
    }
    if (order->key_ref == NULL) {
        return clm_refuse(call, err, CLM_E_INVAL, "E_STATE",
                          "no request of this certificate was made yet: nothing to use again");
    }
    code = load_waiting(call, order->key_ref, order->certificate_id, &waiting, &key, err);
    if (code == CLM_OK) {
        code = clm_csr_parse(waiting.csr_der.data, waiting.csr_der.len, &info, err);
    }
    if (code == CLM_OK) {
        code = clm_request_ask_policy_of_info(call, &info, err);
    }
    if (code == CLM_OK) {
        code = clm_request_check_names(call, &order->names, &info.names, err);
    }
    return code == CLM_OK
               ? keep(call, job, order, key_ref, &(struct pair){key, &waiting.csr_der}, err)
               : code;
}

enum clm_code clm_host_request_adopt(struct clm_host_call *call, const struct clm_job_envelope *job,
                                     const struct clm_spec_order *order, const char *key_ref,
                                     bool *out_here, struct clm_err *err)
{
    CLM_CLEANUP(clm_installed_done) struct clm_installed installed = {NULL, NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    char spki[CLM_SHA256_HEX_SIZE];
    struct clm_host_call quiet = *call;
    struct clm_fail fail = {0};
    enum clm_code code = clm_csr_from_text(order->csr.csr_pem, &csr, &info, err);

    *out_here = false;
    if (code != CLM_OK) {
        return code;
    }
    /* That there is no key to be read is an answer here. */
    quiet.fail = &fail;
    code = clm_host_installed_key(&quiet, job->target, &installed, NULL);
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "key of '%s'", job->target);
    }
    if (code != CLM_OK) {
        return CLM_OK;
    }
    code = clm_key_spki_sha256_hex(installed.key, spki, err);
    if (code != CLM_OK || strcmp(spki, info.spki_sha256) != 0) {
        return code;
    }
    *out_here = true;
    return keep(call, job, order, key_ref, &(struct pair){installed.key, &csr}, err);
}

static enum clm_code take_uploaded(struct clm_host_call *call, const struct clm_job_envelope *job,
                                   const struct clm_spec_order *order, const char *key_ref,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    bool is_here = false;
    enum clm_code code = clm_csr_from_text(order->csr.csr_pem, &csr, &info, err);

    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_SPEC", code);
    }
    code = clm_request_ask_policy_of_info(call, &info, err);
    if (code == CLM_OK) {
        code = clm_request_check_names(call, &order->names, &info.names, err);
    }
    return code == CLM_OK ? clm_host_request_adopt(call, job, order, key_ref, &is_here, err) : code;
}

enum clm_code clm_host_request_make(struct clm_host_call *call, const struct clm_job_envelope *job,
                                    const struct clm_spec_order *order, const char *key_ref,
                                    struct clm_err *err)
{
    if (order->has_csr && order->csr.mode == CLM_CSR_MODE_UPLOADED) {
        return take_uploaded(call, job, order, key_ref, err);
    }
    if (order->has_csr && order->csr.mode == CLM_CSR_MODE_REUSE) {
        return make_again(call, job, order, key_ref, err);
    }
    return make_new(call, job, order, key_ref, err);
}
