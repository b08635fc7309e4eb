/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/spec_fields.h"

#define BAKE_MAX_S    3600
#define DN_EMAIL_MAX  255 /* RFC 5280 appendix A.1: upper bounds */
#define DN_COMMON_MAX 64
#define DN_PLACE_MAX  128

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
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "dcv", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "deploy", NULL),
    CLM_SPEC_END,
};

#define DN(key, member, max)                                                                       \
    CLM_SPEC_ROW(CLM_SPEC_TEXT, key, false, struct clm_spec_subject, member, 0, max, NULL)

static const struct clm_spec_field subject_fields[] = {
    DN("CN", cn, DN_COMMON_MAX),      DN("O", o, DN_COMMON_MAX),
    DN("OU", ou, DN_COMMON_MAX),      DN("L", l, DN_PLACE_MAX),
    DN("ST", st, DN_PLACE_MAX),       DN("C", c, 2),
    DN("email", email, DN_EMAIL_MAX), CLM_SPEC_END,
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
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "verify", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "pre_checks", NULL),
    CLM_SPEC_END,
};

/* Kinds of names that this version cannot ask for must not be dropped in silence. */
static enum clm_code refuse_names(const struct clm_json *sans, const char *key, struct clm_err *err)
{
    const struct clm_json *array = clm_json_get(sans, key);
    enum clm_code code = CLM_OK;

    if (array != NULL) {
        code = clm_json_array(sans, key, CLM_NAMES_MAX, &array, err);
    }
    if (code == CLM_OK && clm_json_len(array) > 0) {
        code = clm_err_set(err, CLM_E_UNSUPPORTED,
                           "'%s': names of this kind are not supported by this version", key);
    }
    return code;
}

static enum clm_code read_sans(const struct clm_json *spec, struct clm_spec_order *order,
                               struct clm_err *err)
{
    static const char *const allowed[] = {"dns", "ip", "email", "uri", NULL};
    const struct clm_json *sans = NULL;
    enum clm_code code = clm_json_object(spec, "sans", &sans, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_json_only(sans, allowed, err);
    if (code == CLM_OK) {
        code = refuse_names(sans, "email", err);
    }
    if (code == CLM_OK) {
        code = refuse_names(sans, "uri", err);
    }
    if (code == CLM_OK) {
        code = clm_names_from_json(sans, &order->names, err);
    }
    if (code == CLM_OK && order->names.dns.n + order->names.ip.n == 0) {
        code = clm_err_set(err, CLM_E_INVAL, "no name is asked for");
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "sans");
}

/* The common name is checked by the policy only because it is one of the names. */
static enum clm_code check_subject(const struct clm_spec_order *order, struct clm_err *err)
{
    const struct clm_spec_subject *subject = &order->subject;
    char normal[CLM_DNS_NAME_SIZE];

    if (subject->c != NULL && strlen(subject->c) != 2) {
        return clm_err_set(err, CLM_E_INVAL,
                           "subject: 'C': '%s' is not a country code of 2 letters", subject->c);
    }
    if (subject->cn == NULL ||
        (clm_ip_normalise(subject->cn, normal, NULL) == CLM_OK &&
         clm_strs_has(&order->names.ip, normal)) ||
        (clm_dns_normalise(subject->cn, true, normal, NULL) == CLM_OK &&
         clm_strs_has(&order->names.dns, normal))) {
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_INVAL, "subject: 'CN': '%s' is not one of the names in 'sans'",
                       subject->cn);
}

static enum clm_code check_eku(const struct clm_json *spec, struct clm_err *err)
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

        if (text == NULL || strcmp(text, "serverAuth") != 0) {
            code = clm_err_set(err, CLM_E_UNSUPPORTED,
                               "'eku': only 'serverAuth' is supported by this version");
        }
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "csr_ext");
}

static enum clm_code read_order_parts(const struct clm_json *spec, struct clm_spec_order *order,
                                      struct clm_err *err)
{
    const struct clm_json *key = NULL;
    enum clm_code code = clm_json_object(spec, "key", &key, err);

    if (code == CLM_OK) {
        code = clm_spec_object_read(key_fields, spec, "key", order, err);
    }
    if (code == CLM_OK) {
        code = clm_spec_object_read(subject_fields, spec, "subject", &order->subject, err);
    }
    if (code == CLM_OK) {
        code = clm_spec_object_read(csr_ext_fields, spec, "csr_ext", order, err);
    }
    if (code == CLM_OK) {
        code = check_eku(spec, err);
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
