/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/crypto/holder.h"
#include "agent/host/installed.h"
#include "agent/host/request_int.h"

void clm_wish_done(struct clm_wish *wish)
{
    clm_subject_done(&wish->subject);
    clm_sans_done(&wish->sans);
}

/* ---- layers ---- */

static enum clm_code copy_kind(struct clm_sans *dst, const struct clm_strs *src,
                               enum clm_san_kind kind, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < src->n; i++) {
        code = clm_sans_add(dst, kind, src->v[i], err);
    }
    return code;
}

static void empty_kind(struct clm_sans *sans, enum clm_san_kind kind)
{
    struct clm_strs *const lists[] = {
        [CLM_SAN_DNS] = &sans->names.dns,
        [CLM_SAN_IP] = &sans->names.ip,
        [CLM_SAN_EMAIL] = &sans->emails,
        [CLM_SAN_URI] = &sans->uris,
    };

    clm_strs_done(lists[kind]);
}

/* The order's own words, for members that nothing else speaks of. */
static enum clm_code begin_with_order(const struct clm_spec_order *order, struct clm_wish *wish,
                                      struct clm_err *err)
{
    enum clm_code code = copy_kind(&wish->sans, &order->names.dns, CLM_SAN_DNS, err);

    if (code == CLM_OK) {
        code = copy_kind(&wish->sans, &order->names.ip, CLM_SAN_IP, err);
    }
    if (code == CLM_OK) {
        code = copy_kind(&wish->sans, &order->emails, CLM_SAN_EMAIL, err);
    }
    if (code == CLM_OK) {
        code = copy_kind(&wish->sans, &order->uris, CLM_SAN_URI, err);
    }
    for (int i = 0; code == CLM_OK && i < CLM_SUBJECT__COUNT; i++) {
        code = clm_subject_copy(&wish->subject, &order->subject, (enum clm_subject_field)i, err);
    }
    wish->key_type = order->key_type;
    wish->must_staple = order->must_staple;
    wish->eku_client = order->eku_client;
    return code;
}

static enum clm_code begin_with_installed(struct clm_host_call *call, const char *target,
                                          const struct clm_spec_order *order, struct clm_wish *wish,
                                          struct clm_err *err)
{
    CLM_CLEANUP(clm_installed_done) struct clm_installed installed = {NULL, NULL};
    CLM_CLEANUP(clm_holder_done) struct clm_holder holder = {.has_eku = false};
    enum clm_code code = clm_host_installed_cert(call, target, &installed, err);

    if (code == CLM_OK) {
        code = clm_holder_from_cert(installed.chain, 0, &holder, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    struct clm_json *left_out = clm_json_set_array(call->reply, "left_out");

    for (size_t i = 0; i < holder.left_out.n; i++) {
        clm_json_add_str(left_out, holder.left_out.v[i]);
    }
    if (holder.key_type == CLM_KEY_OTHER && order->csr.key_type == NULL && !order->csr.reuse_key) {
        return clm_refuse(call, err, CLM_E_UNSUPPORTED, "E_STATE",
                          "the installed key is %s, which is not made here; use mode 'override' "
                          "with a 'key_type'",
                          holder.key_text);
    }
    wish->subject = holder.subject; /* moved */
    wish->sans = holder.sans;
    holder.subject = (struct clm_subject){.field = {{NULL, 0}}};
    holder.sans = (struct clm_sans){.emails = {NULL, 0}};
    wish->key_type = holder.key_type == CLM_KEY_OTHER ? NULL : clm_key_type_name(holder.key_type);
    wish->hash = holder.hash;
    wish->must_staple = holder.must_staple;
    wish->eku_client = holder.eku_client && clm_strs_has(&call->host->config->policy.eku, "client");
    if (holder.eku_client && !wish->eku_client) { /* public CAs used to add it to all */
        clm_json_add_str(left_out, "the purpose 'client', which policy.eku does not allow");
    }
    wish->has_inherited_cn = true;
    return CLM_OK;
}

/* What spec says replaces what was said before. */
static enum clm_code put_over(const struct clm_csr_spec *spec, struct clm_wish *wish,
                              struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (int i = 0; code == CLM_OK && i < CLM_SUBJECT__COUNT; i++) {
        if (spec->has_subject[i]) {
            code = clm_subject_copy(&wish->subject, &spec->subject, (enum clm_subject_field)i, err);
        }
    }
    wish->has_inherited_cn = wish->has_inherited_cn && !spec->has_subject[CLM_SUBJECT_CN];
    for (int i = 0; code == CLM_OK && i < CLM_SAN__COUNT; i++) {
        enum clm_san_kind kind = (enum clm_san_kind)i;

        if (spec->has_san[i]) {
            empty_kind(&wish->sans, kind);
            code = copy_kind(&wish->sans, clm_sans_list(&spec->sans, kind), kind, err);
        }
    }
    if (code == CLM_OK && spec->hash != NULL) {
        code = clm_hash_parse(spec->hash, &wish->hash, err);
    }
    wish->key_type = spec->key_type != NULL ? spec->key_type : wish->key_type;
    wish->must_staple = spec->has_must_staple ? spec->must_staple : wish->must_staple;
    wish->eku_client = spec->has_eku ? spec->eku_client : wish->eku_client;
    wish->challenge_ref = spec->challenge_ref != NULL ? spec->challenge_ref : wish->challenge_ref;
    wish->reuse_key = spec->has_key ? spec->reuse_key : wish->reuse_key;
    return code;
}

/* What root's template says holds: an order that says something else is refused, not ignored. */
static enum clm_code refuse_double(struct clm_host_call *call, const struct clm_csr_spec *template,
                                   const struct clm_csr_spec *csr, struct clm_err *err)
{
    const struct {
        const char *name;
        bool is_double;
    } members[] = {
        {"key_type", template->key_type != NULL && csr->key_type != NULL},
        {"hash", template->hash != NULL && csr->hash != NULL},
        {"must_staple", template->has_must_staple && csr->has_must_staple},
        {"eku", template->has_eku && csr->has_eku},
        {"challenge_password_ref", template->challenge_ref != NULL && csr->challenge_ref != NULL},
        {"key", template->has_key && csr->has_key},
    };
    const char *found = NULL;

    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        found = members[i].is_double ? members[i].name : found;
    }
    for (int i = 0; i < CLM_SUBJECT__COUNT; i++) {
        if (template->has_subject[i] && csr->has_subject[i]) {
            found = clm_subject_field_name((enum clm_subject_field)i);
        }
    }
    return found == NULL ? CLM_OK
                         : clm_refuse(call, err, CLM_E_PERM, "E_POLICY",
                                      "template '%s' of this host says what '%s' is; the order may "
                                      "not",
                                      csr->template_name, found);
}

static enum clm_code put_template_over(struct clm_host_call *call, const struct clm_csr_spec *csr,
                                       struct clm_wish *wish, struct clm_err *err)
{
    CLM_CLEANUP(clm_csr_spec_done) struct clm_csr_spec template = {.mode = CLM_CSR_MODE_TEMPLATE};
    const struct clm_json *json = NULL;
    enum clm_code code =
        clm_policy_find_template(&call->host->config->policy, csr->template_name, &json, err);

    if (code != CLM_OK) {
        return clm_host_problem_code(call, "E_POLICY", code);
    }
    code = clm_csr_template_read(json, &template, err);
    if (code == CLM_OK) {
        code = refuse_double(call, &template, csr, err);
    }
    return code == CLM_OK ? put_over(&template, wish, err) : code;
}

bool clm_request_is_name(const struct clm_sans *sans, const char *cn)
{
    char normal[CLM_DNS_NAME_SIZE];

    return (clm_ip_normalise(cn, normal, NULL) == CLM_OK &&
            clm_strs_has(&sans->names.ip, normal)) ||
           (clm_dns_normalise(cn, true, normal, NULL) == CLM_OK &&
            clm_strs_has(&sans->names.dns, normal));
}

/* A common name that came along with the identity goes with its name; any other one must be one. */
static enum clm_code settle_common_name(struct clm_host_call *call, const struct clm_csr_spec *csr,
                                        struct clm_wish *wish, struct clm_err *err)
{
    struct clm_strs *cn = &wish->subject.field[CLM_SUBJECT_CN];

    if (cn->n == 0 || clm_request_is_name(&wish->sans, cn->v[0])) {
        return CLM_OK;
    }
    if (!wish->has_inherited_cn || !csr->has_san[CLM_SAN_DNS] || wish->sans.names.dns.n == 0 ||
        strlen(wish->sans.names.dns.v[0]) > 64) {
        return clm_refuse(call, err, CLM_E_INVAL, "E_SPEC",
                          "the common name '%s' is none of the names of the request; mode "
                          "'override' can replace it",
                          cn->v[0]);
    }
    clm_strs_done(cn);
    return clm_strs_add(cn, wish->sans.names.dns.v[0], err);
}

/* What was ordered is what the control plane, and the proof of control, know of. */
enum clm_code clm_request_check_names(struct clm_host_call *call, const struct clm_names *ordered,
                                      const struct clm_names *names, struct clm_err *err)
{
    const char *other = NULL;

    if (!clm_names_is_subset(ordered, names, &other)) {
        return clm_refuse(call, err, CLM_E_CONFLICT, "E_STATE",
                          "the order names '%s', which the request would not", other);
    }
    if (!clm_names_is_subset(names, ordered, &other)) {
        return clm_refuse(call, err, CLM_E_CONFLICT, "E_STATE",
                          "the request would name '%s', which the order does not", other);
    }
    return CLM_OK;
}

enum clm_code clm_wish_make(struct clm_host_call *call, const char *target,
                            const struct clm_spec_order *order, struct clm_wish *wish,
                            struct clm_err *err)
{
    const struct clm_csr_spec *csr = &order->csr;
    enum clm_code code = order->has_csr && clm_csr_spec_is_of_installed(csr)
                             ? begin_with_installed(call, target, order, wish, err)
                             : begin_with_order(order, wish, err);

    wish->reuse_key = order->reuse;
    if (code == CLM_OK && order->has_csr && csr->template_name != NULL) {
        code = put_template_over(call, csr, wish, err);
    }
    if (code == CLM_OK && order->has_csr) {
        code = put_over(csr, wish, err);
    }
    if (code == CLM_OK) {
        code = settle_common_name(call, csr, wish, err);
    }
    return code == CLM_OK ? clm_request_check_names(call, &order->names, &wish->sans.names, err)
                          : code;
}
