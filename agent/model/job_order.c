/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/spec_fields.h"

#define BAKE_MAX_S 3600

static const char *const id_crt[] = {"crt", NULL};
static const char *const id_ord[] = {"ord", NULL};
static const char *const id_key[] = {"key", NULL};
static const char *const only_file[] = {"file", NULL};
static const char *const only_none[] = {"none", NULL};
static const char *const dcv_methods[] = {"none", "http-01", "dns-01", NULL};
static const char *const on_issue_choices[] = {"notify", "deploy", NULL};

static const struct clm_spec_field order_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_ID, "certificate_id", true, struct clm_spec_order, certificate_id, 0, 0,
                 id_crt),
    CLM_SPEC_ROW(CLM_SPEC_ID, "order_id", false, struct clm_spec_order, order_id, 0, 0, id_ord),
    CLM_SPEC_ROW(CLM_SPEC_CHOICE, "on_issue", false, struct clm_spec_order, on_issue, 0, 0,
                 on_issue_choices),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "subject", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "sans", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "key", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "csr_ext", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "csr", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "dcv", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "deploy", NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field key_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_CHOICE, "type", true, struct clm_spec_order, key_type, 0, 0,
                 clm_spec_key_types),
    CLM_SPEC_ROW(CLM_SPEC_ID, "key_ref", false, struct clm_spec_order, key_ref, 0, 0, id_key),
    CLM_SPEC_ROW(CLM_SPEC_BOOL, "reuse", false, struct clm_spec_order, reuse, 0, 0, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_ONLY, "storage", only_file),
    CLM_SPEC_LOOSE(CLM_SPEC_ONLY, "protect", only_none),
    CLM_SPEC_END,
};

static const struct clm_spec_field csr_ext_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_BOOL, "must_staple", false, struct clm_spec_order, must_staple, 0, 0,
                 NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "eku", NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field dcv_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_CHOICE, "method", true, struct clm_spec_order, dcv_method, 0, 0,
                 dcv_methods),
    CLM_SPEC_ROW(CLM_SPEC_NAME, "webroot_ref", false, struct clm_spec_order, webroot_ref, 0, 0,
                 NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field order_deploy_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_U32, "bake_s", false, struct clm_spec_deploy_how, bake_s, 0, BAKE_MAX_S,
                 NULL),
    CLM_SPEC_ROW(CLM_SPEC_U32, "retain", false, struct clm_spec_deploy_how, retain, 1,
                 CLM_JOB_RETAIN_MAX, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "verify", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "pre_checks", NULL),
    CLM_SPEC_END,
};

void clm_spec_order_done(struct clm_spec_order *order)
{
    clm_subject_done(&order->subject);
    clm_names_done(&order->names);
    clm_strs_done(&order->emails);
    clm_strs_done(&order->uris);
    if (order->has_csr) {
        clm_csr_spec_done(&order->csr);
    }
}

static enum clm_code read_sans(const struct clm_json *spec, struct clm_spec_order *order,
                               struct clm_err *err)
{
    const struct clm_json *json = NULL;
    struct clm_sans sans = {.emails = {NULL, 0}};
    enum clm_code code = clm_json_object(spec, "sans", &json, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_sans_from_json(json, &sans, err);
    order->names = sans.names; /* moved */
    order->emails = sans.emails;
    order->uris = sans.uris;
    if (code == CLM_OK && order->names.dns.n + order->names.ip.n == 0) {
        code = clm_err_set(err, CLM_E_INVAL, "no name is asked for");
    }
    if (code == CLM_OK && order->names.dns.n + order->names.ip.n > CLM_NAMES_MAX) {
        code = clm_err_set(err, CLM_E_LIMIT, "%zu names, the limit is %d",
                           order->names.dns.n + order->names.ip.n, CLM_NAMES_MAX);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "sans");
}

/* ---- subject: the members have their names of protocol.md 8.3 here ---- */

static const char *const subject_keys[] = {
    [CLM_SUBJECT_CN] = "CN",       [CLM_SUBJECT_O] = "O",       [CLM_SUBJECT_OU] = "OU",
    [CLM_SUBJECT_L] = "L",         [CLM_SUBJECT_ST] = "ST",     [CLM_SUBJECT_C] = "C",
    [CLM_SUBJECT_EMAIL] = "email", [CLM_SUBJECT__COUNT] = NULL,
};

static enum clm_code add_subject(struct clm_subject *subject, int field,
                                 const struct clm_json *node, struct clm_err *err)
{
    const char *text = clm_json_text(node);
    struct clm_err why = {.code = CLM_OK};
    enum clm_code code = CLM_E_PARSE;

    if (text == NULL) {
        return clm_err_set(err, code, "'%s': not a text", subject_keys[field]);
    }
    code = clm_subject_check((enum clm_subject_field)field, text, &why);
    if (code != CLM_OK) { /* its message begins with the name in small letters */
        const char *rest = strchr(why.msg, ':');

        return clm_err_set(err, code, "'%s'%s", subject_keys[field], rest != NULL ? rest : "");
    }
    return clm_strs_add(&subject->field[field], text, err);
}

static enum clm_code read_subject(const struct clm_json *spec, struct clm_subject *subject,
                                  struct clm_err *err)
{
    const struct clm_json *obj = clm_json_get(spec, "subject");
    enum clm_code code = CLM_OK;

    if (obj == NULL) {
        return CLM_OK;
    }
    code = clm_json_object(spec, "subject", &obj, err);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_json_only(obj, subject_keys, err);
    for (int i = 0; code == CLM_OK && i < CLM_SUBJECT__COUNT; i++) {
        const struct clm_json *value = clm_json_get(obj, subject_keys[i]);

        if (value != NULL && i == CLM_SUBJECT_OU && clm_json_kind(value) == CLM_JSON_ARRAY) {
            code = clm_json_array(obj, subject_keys[i], CLM_CSR_OUS_MAX, &value, err);
            for (value = clm_json_first(value); code == CLM_OK && value != NULL;
                 value = clm_json_next(value)) {
                code = add_subject(subject, i, value, err);
            }
        } else if (value != NULL) {
            code = add_subject(subject, i, value, err);
        }
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "subject");
}

/* The common name is checked by the policy only because it is one of the names. */
static enum clm_code check_subject(const struct clm_spec_order *order, struct clm_err *err)
{
    const char *cn = clm_subject_value(&order->subject, CLM_SUBJECT_CN);
    char normal[CLM_DNS_NAME_SIZE];

    if (cn == NULL ||
        (clm_ip_normalise(cn, normal, NULL) == CLM_OK && clm_strs_has(&order->names.ip, normal)) ||
        (clm_dns_normalise(cn, true, normal, NULL) == CLM_OK &&
         clm_strs_has(&order->names.dns, normal))) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_INVAL, "subject: 'CN': '%s' is not one of the names in 'sans'",
                       cn);
}

static enum clm_code read_eku(const struct clm_json *spec, struct clm_spec_order *order,
                              struct clm_err *err)
{
    const struct clm_json *csr_ext = clm_json_get(spec, "csr_ext");
    const struct clm_json *eku = clm_json_get(csr_ext, "eku");
    enum clm_code code;

    if (eku == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(csr_ext, "eku", 8, &eku, err);
    for (const struct clm_json *node = clm_json_first(eku); node != NULL && code == CLM_OK;
         node = clm_json_next(node)) {
        const char *text = clm_json_text(node);

        if (text != NULL && strcmp(text, "clientAuth") == 0) {
            order->eku_client = true;
        } else if (text == NULL || strcmp(text, "serverAuth") != 0) {
            code = clm_err_set(err, CLM_E_UNSUPPORTED,
                               "'eku': only 'serverAuth' and 'clientAuth' are supported");
        }
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "csr_ext");
}

static enum clm_code read_csr(const struct clm_json *spec, struct clm_spec_order *order,
                              struct clm_err *err)
{
    const struct clm_json *csr = clm_json_get(spec, "csr");
    enum clm_code code = CLM_OK;

    if (csr == NULL) {
        return CLM_OK;
    }
    code = clm_json_object(spec, "csr", &csr, err);
    if (code != CLM_OK) {
        return code;
    }
    order->has_csr = true;
    code = clm_csr_spec_read(csr, &order->csr, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "csr");
}

static enum clm_code read_order_parts(const struct clm_json *spec, struct clm_spec_order *order,
                                      struct clm_err *err)
{
    const struct clm_json *key = NULL;
    enum clm_code code = read_csr(spec, order, err);

    if (code == CLM_OK && !order->has_csr) {
        code = clm_json_object(spec, "key", &key, err);
    }
    if (code == CLM_OK) {
        code = clm_spec_object_read(key_fields, spec, "key", order, err);
    }
    if (code == CLM_OK) {
        code = read_subject(spec, &order->subject, err);
    }
    if (code == CLM_OK) {
        code = clm_spec_object_read(csr_ext_fields, spec, "csr_ext", order, err);
    }
    if (code == CLM_OK) {
        code = read_eku(spec, order, err);
    }
    return code == CLM_OK ? clm_spec_object_read(dcv_fields, spec, "dcv", order, err) : code;
}

static enum clm_code read_order_deploy(const struct clm_json *spec, struct clm_spec_order *order,
                                       struct clm_err *err)
{
    enum clm_code code =
        clm_spec_object_read(order_deploy_fields, spec, "deploy", &order->deploy, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_spec_how_read(clm_json_get(spec, "deploy"), &order->deploy, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "deploy");
}

enum clm_code clm_spec_order_read(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                  struct clm_err *err)
{
    struct clm_spec_order *order = &out->u.order;
    enum clm_code code;

    order->dcv_method = dcv_methods[0];
    code = clm_spec_fields_read(order_fields, job->spec, job, order, err);
    if (code == CLM_OK) {
        code = read_sans(job->spec, order, err);
    }
    if (code == CLM_OK) {
        code = read_order_parts(job->spec, order, err);
    }
    if (code == CLM_OK) {
        code = check_subject(order, err);
    }
    return code == CLM_OK ? read_order_deploy(job->spec, order, err) : code;
}
