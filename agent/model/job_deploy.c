/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/model/spec_fields.h"

#define REASON_MAX 512
#define BAKE_MAX_S 3600

static const char *const id_crt[] = {"crt", NULL};
static const char *const id_key[] = {"key", NULL};
static const char *const only_pem[] = {"pem", NULL};
static const char *const only_full[] = {"full", NULL};

static const struct clm_spec_field deploy_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_ID, "certificate_id", true, struct clm_spec_deploy, certificate_id, 0, 0,
                 id_crt),
    CLM_SPEC_ROW(CLM_SPEC_SHA256, "sha256", true, struct clm_spec_deploy, sha256, 0, 64, NULL),
    CLM_SPEC_ROW(CLM_SPEC_RAW, "chain_pem", true, struct clm_spec_deploy, chain_pem, 0,
                 CLM_CHAIN_PEM_MAX, NULL),
    CLM_SPEC_ROW(CLM_SPEC_ID, "key_ref", true, struct clm_spec_deploy, key_ref, 0, 0, id_key),
    CLM_SPEC_ROW(CLM_SPEC_U32, "bake_s", false, struct clm_spec_deploy, how.bake_s, 0, BAKE_MAX_S,
                 NULL),
    CLM_SPEC_ROW(CLM_SPEC_U32, "retain", false, struct clm_spec_deploy, how.retain, 1,
                 CLM_JOB_RETAIN_MAX, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "format", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "store", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "hooks", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "verify", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "pre_checks", NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field format_fields[] = {
    CLM_SPEC_LOOSE(CLM_SPEC_ONLY, "kind", only_pem),
    CLM_SPEC_LOOSE(CLM_SPEC_ONLY, "chain", only_full),
    CLM_SPEC_LOOSE(CLM_SPEC_OFF, "include_root", NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field store_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_PATH, "cert", false, struct clm_spec_deploy, store_cert, 0, 0, NULL),
    CLM_SPEC_ROW(CLM_SPEC_PATH, "key", false, struct clm_spec_deploy, store_key, 0, 0, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_NONE, "alias", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_NONE, "password_ref", NULL),
    CLM_SPEC_END,
};

enum clm_code clm_spec_deploy_read(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                   struct clm_err *err)
{
    struct clm_spec_deploy *deploy = &out->u.deploy;
    const char *expect;
    enum clm_code code = clm_spec_fields_read(deploy_fields, job->spec, job, deploy, err);

    if (code == CLM_OK) {
        code = clm_spec_object_read(format_fields, job->spec, "format", deploy, err);
    }
    if (code == CLM_OK) {
        code = clm_spec_object_read(store_fields, job->spec, "store", deploy, err);
    }
    if (code == CLM_OK) {
        code = clm_spec_object_read(clm_spec_hook_fields, job->spec, "hooks", deploy, err);
    }
    if (code == CLM_OK) {
        code = clm_spec_how_read(job->spec, &deploy->how, err);
    }
    expect = deploy->how.verify.expect_sha256;
    if (code == CLM_OK && expect != NULL && strcmp(expect, deploy->sha256) != 0) {
        code = clm_err_set(err, CLM_E_INVAL, "verify: 'expect_sha256': differs from 'sha256'");
    }
    return code;
}

static const struct clm_spec_field rollback_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_I64, "to_version", false, struct clm_spec_rollback, to_version, 0,
                 CLM_JSON_INT_MAX, NULL),
    CLM_SPEC_ROW(CLM_SPEC_TEXT, "reason", false, struct clm_spec_rollback, reason, 0, REASON_MAX,
                 NULL),
    CLM_SPEC_ROW(CLM_SPEC_BOOL, "allow_expired", false, struct clm_spec_rollback, allow_expired, 0,
                 0, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "hooks", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "verify", NULL),
    CLM_SPEC_END,
};

enum clm_code clm_spec_rollback_read(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                     struct clm_err *err)
{
    struct clm_spec_rollback *rollback = &out->u.rollback;
    enum clm_code code = clm_spec_fields_read(rollback_fields, job->spec, job, rollback, err);

    if (code == CLM_OK) {
        code = clm_spec_object_read(clm_spec_hook_fields, job->spec, "hooks", rollback, err);
    }
    return code == CLM_OK ? clm_spec_verify_read(job->spec, &rollback->verify, err) : code;
}
