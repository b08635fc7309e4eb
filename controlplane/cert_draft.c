/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate as an operator asks for it, read and checked. */
#include <string.h>

#include "agent/crypto/key.h"
#include "agent/model/target.h"
#include "controlplane/cert_csr.h"
#include "controlplane/certs.h"

/* {"dns": [], "ip": []} or a plain list, where an entry is an address if it reads as one. */
static enum clm_code read_names(const struct clm_json *body, struct clm_names *out,
                                struct clm_err *err)
{
    const struct clm_json *names = clm_json_get(body, "names");
    enum clm_code code = CLM_OK;

    if (names != NULL && clm_json_kind(names) == CLM_JSON_OBJECT) {
        code = clm_names_from_json(names, out, err);
        if (code != CLM_OK && !clm_str_starts(err->msg, "/")) {
            return clm_err_wrap(err, code, "/names");
        }
    } else if (names != NULL || clm_json_get(body, "csr") == NULL) {
        const struct clm_json *list = NULL;

        code = clm_json_array(body, "names", CLM_NAMES_MAX, &list, err);
        for (const struct clm_json *n = clm_json_first(list); code == CLM_OK && n != NULL;
             n = clm_json_next(n)) {
            const char *text = clm_json_text(n);

            code = text != NULL ? clm_names_add(out, text, err)
                                : clm_err_set(err, CLM_E_PARSE, "/names: must hold strings");
            if (code != CLM_OK && !clm_str_starts(err->msg, "/")) {
                return clm_err_wrap(err, code, "/names");
            }
        }
    }
    return code;
}

static enum clm_code read_new(const struct clm_cp_conf *conf, const struct clm_json *body,
                              struct clm_cp_cert_new *out, struct clm_err *err)
{
    static const char *const known[] = {"agent_id", "target",    "names",    "subject",
                                        "key_type", "connector", "on_issue", "webroot_ref",
                                        "csr",      NULL};
    enum clm_key_type key_type = CLM_KEY_EC_P256;
    enum clm_code code = clm_json_only(body, known, err);

    if (code == CLM_OK) {
        code = clm_json_str(body, "agent_id", CLM_ID_SIZE - 1, &out->agent_id, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str(body, "target", CLM_TARGET_ID_SIZE - 1, &out->target, err);
    }
    if (code == CLM_OK &&
        (!clm_target_id_is_valid(out->target) || strcmp(out->target, "host") == 0)) {
        code = clm_err_set(err, CLM_E_PARSE, "/target: must be kind:name, e.g. nginx:example.com");
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(body, "key_type", 15, "ec-p256", &out->key_type, err);
    }
    if (code == CLM_OK) {
        code = clm_key_type_parse(out->key_type, &key_type, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "/key_type");
        }
    }
    if (code == CLM_OK) {
        code =
            clm_json_str_or(body, "connector", 64, conf->default_connector, &out->connector, err);
    }
    if (code == CLM_OK && clm_cp_conf_connector(conf, out->connector) == NULL) {
        code =
            clm_err_set(err, CLM_E_PARSE, "/connector: there is no connector '%s'", out->connector);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(body, "webroot_ref", 64, "", &out->webroot_ref, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(body, "on_issue", 7, "deploy", &out->on_issue, err);
    }
    if (code == CLM_OK && strcmp(out->on_issue, "deploy") != 0 &&
        strcmp(out->on_issue, "notify") != 0) {
        code = clm_err_set(err, CLM_E_PARSE, "/on_issue: 'deploy' or 'notify'");
    }
    return code;
}

static enum clm_code read_units(const struct clm_json *list, struct clm_json *subject,
                                struct clm_err *err)
{
    struct clm_json *units = clm_json_set_array(subject, "OU");

    for (const struct clm_json *m = clm_json_first(list); m != NULL; m = clm_json_next(m)) {
        const char *text = clm_json_text(m);

        if (text == NULL || clm_json_len(list) > CLM_CSR_OUS_MAX) {
            return clm_err_set(err, CLM_E_PARSE, "/subject/OU: must be at most %d texts",
                               CLM_CSR_OUS_MAX);
        }
        clm_json_add_str(units, text);
    }
    return CLM_OK;
}

static enum clm_code read_subject(const struct clm_json *body, struct clm_json *subject,
                                  struct clm_err *err)
{
    static const char *const known[] = {"CN", "O", "OU", "L", "ST", "C", "email", NULL};
    const struct clm_json *given = clm_json_get(body, "subject");

    if (given == NULL) {
        return CLM_OK;
    }
    if (clm_json_kind(given) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "/subject: must be an object");
    }
    enum clm_code code = clm_json_only(given, known, err);

    for (const struct clm_json *m = clm_json_first(given); code == CLM_OK && m != NULL;
         m = clm_json_next(m)) {
        const char *text = NULL;

        if (clm_json_kind(m) == CLM_JSON_ARRAY && strcmp(clm_json_key(m), "OU") == 0) {
            code = read_units(m, subject, err);
            continue;
        }
        code = clm_json_str(given, clm_json_key(m), 255, &text, err);
        clm_json_set_str(subject, clm_json_key(m), text);
    }
    return code;
}

void clm_cp_cert_draft_done(struct clm_cp_cert_draft *draft)
{
    clm_names_done(&draft->names);
    clm_json_free(draft->names_json);
    clm_json_free(draft->subject);
}

enum clm_code clm_cp_cert_draft_read(const struct clm_cp_conf *conf, const struct clm_json *body,
                                     struct clm_cp_cert_draft *out, struct clm_err *err)
{
    out->names_json = clm_json_new_object();
    out->subject = clm_json_new_object();
    out->in.names = out->names_json;
    out->in.subject = out->subject;
    enum clm_code code = read_new(conf, body, &out->in, err);

    if (code == CLM_OK) {
        code = read_names(body, &out->names, err);
    }
    if (code == CLM_OK) {
        code = read_subject(body, out->subject, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_cert_csr_read(conf, body, out, err);
    }
    if (code == CLM_OK && out->names.dns.n + out->names.ip.n == 0 && !out->may_lack_names) {
        code = clm_err_set(err, CLM_E_PARSE, "/names: must not be empty");
    }
    clm_names_to_json(&out->names, out->names_json);
    return code;
}
