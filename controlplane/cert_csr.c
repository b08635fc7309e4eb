/* SPDX-License-Identifier: Apache-2.0 */
/* What "csr" of a certificate means for its names and its key: docs/csr.md. */
#include "controlplane/cert_csr.h"

#include <assert.h>
#include <string.h>

#include "agent/crypto/csr.h"
#include "controlplane/inventory.h"

static enum clm_code set_names(struct clm_cp_cert_draft *draft, const struct clm_names *names,
                               const char *what, struct clm_err *err)
{
    struct clm_names *mine = &draft->names;
    enum clm_code code = CLM_OK;

    if (mine->dns.n + mine->ip.n == 0) {
        for (size_t i = 0; code == CLM_OK && i < names->dns.n; i++) {
            code = clm_names_add_dns(mine, names->dns.v[i], err);
        }
        for (size_t i = 0; code == CLM_OK && i < names->ip.n; i++) {
            code = clm_names_add_ip(mine, names->ip.v[i], err);
        }
        return code;
    }
    return clm_names_is_subset(mine, names, NULL) && clm_names_is_subset(names, mine, NULL)
               ? CLM_OK
               : clm_err_set(err, CLM_E_INVAL, "/names: differ from those of %s: leave them out",
                             what);
}

static enum clm_code take_upload(struct clm_cp_cert_draft *draft, const struct clm_csr_spec *spec,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    struct clm_err why = {.code = CLM_OK};
    enum clm_code code = clm_csr_from_text(spec->csr_pem, &der, &info, &why);

    if (code != CLM_OK) { /* whatever it is, the operator's text is at fault */
        return clm_err_set(err, code == CLM_E_NOMEM ? code : CLM_E_INVAL, "/csr/csr_pem: %s",
                           why.msg);
    }
    if (info.key_type == CLM_KEY_OTHER) {
        return clm_err_set(err, CLM_E_INVAL, "/csr/csr_pem: its key is of none of the known types");
    }
    draft->in.key_type = clm_key_type_name(info.key_type);
    return set_names(draft, &info.names, "the request", err);
}

static enum clm_code check_connector(const struct clm_cp_conf *conf,
                                     const struct clm_cp_cert_draft *draft,
                                     const struct clm_csr_spec *spec, struct clm_err *err)
{
    const struct clm_cp_connector *connector = clm_cp_conf_connector(conf, draft->in.connector);

    assert(connector != NULL);
    if (connector->type == CLM_CP_CONNECTOR_ACME && spec->sans.emails.n + spec->sans.uris.n > 0) {
        return clm_err_set(err, CLM_E_INVAL,
                           "/csr/sans/%s: connector '%s' is an ACME CA, which certifies DNS names "
                           "and IP addresses only",
                           spec->sans.emails.n > 0 ? "email" : "uri", connector->name);
    }
    return CLM_OK;
}

enum clm_code clm_cp_cert_csr_read(const struct clm_cp_conf *conf, const struct clm_json *body,
                                   struct clm_cp_cert_draft *draft, struct clm_err *err)
{
    CLM_CLEANUP(clm_csr_spec_done) struct clm_csr_spec spec = {.mode = CLM_CSR_MODE_TEMPLATE};
    const struct clm_json *csr = NULL;
    enum clm_code code = CLM_OK;

    if (clm_json_get(body, "csr") == NULL) {
        return CLM_OK;
    }
    code = clm_json_object(body, "csr", &csr, err);
    if (code == CLM_OK) {
        code = clm_csr_spec_read(csr, &spec, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "/csr");
    }
    draft->in.csr = csr;
    draft->is_of_installed = clm_csr_spec_is_of_installed(&spec);
    draft->may_lack_names = clm_csr_spec_takes_installed_names(&spec);
    if (spec.key_type != NULL) {
        draft->in.key_type = spec.key_type;
    }
    if (spec.mode == CLM_CSR_MODE_UPLOADED) {
        code = take_upload(draft, &spec, err);
    } else if (spec.has_san[CLM_SAN_DNS] || spec.has_san[CLM_SAN_IP]) {
        code = set_names(draft, &spec.sans.names, "/csr/sans", err);
    }
    return code == CLM_OK ? check_connector(conf, draft, &spec, err) : code;
}

enum clm_code clm_cp_cert_draft_fill(struct clm_cp_tx *tx, struct clm_cp_cert_draft *draft,
                                     struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *target = NULL;
    const struct clm_json *certificate = NULL;
    const char *key_type = NULL;
    enum clm_key_type type;
    enum clm_code code = CLM_OK;

    if (!draft->is_of_installed) {
        return CLM_OK;
    }
    code = clm_cp_inventory_target(tx, draft->in.agent_id, draft->in.target, &target, NULL);
    if (code != CLM_OK && code != CLM_E_NOTFOUND) {
        return clm_err_set(err, code, "inventory of agent '%.31s'", draft->in.agent_id);
    }
    certificate = clm_json_get(target, "certificate");
    key_type = clm_json_text(clm_json_get(certificate, "key_type"));
    if (key_type != NULL && clm_json_get(draft->in.csr, "key_type") == NULL &&
        clm_key_type_parse(key_type, &type, NULL) == CLM_OK) {
        draft->in.key_type = clm_key_type_name(type);
    }
    if (draft->names.dns.n + draft->names.ip.n > 0) {
        return CLM_OK;
    }
    code = clm_names_from_list(certificate, "sans", &draft->names, err);
    clm_names_to_json(&draft->names, draft->names_json);
    if (code == CLM_OK && draft->names.dns.n + draft->names.ip.n == 0) {
        return clm_err_set(err, CLM_E_INVAL,
                           "/names: the inventory shows no certificate at this target: scan the "
                           "host, or say the names");
    }
    return code;
}

/* ---- the spec of an order ---- */

static enum clm_code last_key_ref(struct clm_cp_tx *tx, const char *id, struct clm_buf *out,
                                  struct clm_err *err)
{
    enum clm_code code =
        clm_cp_db_get_text(tx->db, out, err,
                           "SELECT key_ref FROM cert_order WHERE certificate_id = ?1"
                           " AND key_ref <> '' ORDER BY created_at DESC, id DESC LIMIT 1",
                           CLM_SQL(clm_sql_text(id)));

    return code == CLM_E_NOTFOUND ? CLM_OK : code;
}

enum clm_code clm_cp_cert_csr_to_spec(struct clm_cp_tx *tx, const struct clm_cp_cert *cert,
                                      struct clm_json *spec, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_ref = CLM_BUF_INIT(128);
    const char *mode = clm_json_text(clm_json_get(cert->csr, "mode"));
    struct clm_json *key = NULL;
    enum clm_code code = CLM_OK;

    clm_json_set_copy(spec, "subject", cert->subject);
    clm_names_to_json(&cert->names, clm_json_set_object(spec, "sans"));
    key = clm_json_set_object(spec, "key");
    clm_json_set_str(key, "type", cert->key_type);
    clm_json_set_str(key, "storage", "file");
    if (mode != NULL && strcmp(mode, clm_csr_mode_name(CLM_CSR_MODE_REUSE)) == 0) {
        code = last_key_ref(tx, cert->id, &key_ref, err);
    }
    clm_json_set_str(key, "key_ref", key_ref.len > 0 ? clm_buf_str(&key_ref) : NULL);
    clm_json_set_bool(key, "reuse", false);
    if (cert->csr != NULL) {
        clm_json_set_copy(spec, "csr", cert->csr);
    }
    return code;
}
