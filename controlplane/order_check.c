/* SPDX-License-Identifier: Apache-2.0 */
/* Is a request what was asked for? The agent may be wrong, or not who we think it is. */
#include "controlplane/orders.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add_fault(struct clm_json *faults, const char *code, const char *fmt, ...)
    CLM_PRINTF(3, 4);

static void add_fault(struct clm_json *faults, const char *code, const char *fmt, ...)
{
    char detail[384];
    va_list args;
    struct clm_json *fault = clm_json_add_object(faults);

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    clm_json_set_str(fault, "pointer", "/csr");
    clm_json_set_str(fault, "code", code);
    clm_json_set_str(fault, "detail", detail);
}

/* The first of list that is not, letter for letter, in other: a wildcard covers nothing here. */
static const char *first_missing(const struct clm_strs *list, const struct clm_strs *other)
{
    for (size_t i = 0; i < list->n; i++) {
        if (!clm_strs_has(other, list->v[i])) {
            return list->v[i];
        }
    }
    return NULL;
}

static const char *first_missing_name(const struct clm_names *list, const struct clm_names *other)
{
    const char *dns = first_missing(&list->dns, &other->dns);

    return dns != NULL ? dns : first_missing(&list->ip, &other->ip);
}

/* What the operator said of the request; zero if nothing. */
struct wanted {
    struct clm_csr_spec spec;
    bool has_spec;
    bool is_host_defined; /* subject, purposes and type of key are partly the host's to say */
    bool may_reuse_key;
};

static void wanted_done(struct wanted *wanted)
{
    clm_csr_spec_done(&wanted->spec);
}

static enum clm_code read_wanted(const struct clm_cp_cert *cert, struct wanted *out,
                                 struct clm_err *err)
{
    const struct clm_csr_spec *spec = &out->spec;

    if (cert->csr == NULL) {
        return CLM_OK;
    }
    enum clm_code code = clm_csr_spec_read(cert->csr, &out->spec, err);

    out->has_spec = true;
    out->is_host_defined = spec->mode != CLM_CSR_MODE_TEMPLATE || spec->template_name != NULL;
    out->may_reuse_key = spec->reuse_key || spec->template_name != NULL ||
                         spec->mode == CLM_CSR_MODE_UPLOADED || spec->mode == CLM_CSR_MODE_REUSE;
    return code;
}

/* Mail addresses and URIs are those the operator said, and no others. */
static void check_more_names(const struct wanted *wanted, const struct clm_csr_info *csr,
                             struct clm_json *faults)
{
    const struct {
        const char *what;
        const struct clm_strs *asked;
        const struct clm_strs *got;
    } kinds[] = {
        {"mail address", &wanted->spec.sans.emails, &csr->emails},
        {"URI", &wanted->spec.sans.uris, &csr->uris},
    };

    if (wanted->has_spec && wanted->spec.mode == CLM_CSR_MODE_UPLOADED) {
        return; /* the operator handed it in as it is */
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(kinds); i++) {
        const char *missing = first_missing(kinds[i].asked, kinds[i].got);
        const char *extra = first_missing(kinds[i].got, kinds[i].asked);

        if (missing != NULL) {
            add_fault(faults, "san-missing", "the request lacks the %s '%.200s'", kinds[i].what,
                      missing);
        }
        if (extra != NULL) {
            add_fault(faults, "san-extra",
                      "the request names the %s '%.200s', which nobody asked for: say it in "
                      "csr.sans, or take it away with mode 'override'",
                      kinds[i].what, extra);
        }
    }
}

static void check_names(const struct clm_cp_cert *cert, const struct wanted *wanted,
                        const struct clm_csr_info *csr, struct clm_json *faults)
{
    const char *missing = first_missing_name(&cert->names, &csr->names);
    const char *extra = first_missing_name(&csr->names, &cert->names);

    if (missing != NULL) {
        add_fault(faults, "san-missing", "the request lacks the name '%s'", missing);
    }
    if (extra != NULL) {
        add_fault(faults, "san-extra", "the request names '%s', which is not in the certificate",
                  extra);
    }
    check_more_names(wanted, csr, faults);
    if (csr->has_other_names) {
        add_fault(faults, "san-extra", "the request holds a name of another kind");
    }
    if (csr->common_name[0] != '\0' && !clm_strs_has(&cert->names.dns, csr->common_name) &&
        !clm_strs_has(&cert->names.ip, csr->common_name)) {
        add_fault(faults, "cn", "the common name '%s' is none of the names", csr->common_name);
    }
}

/* The certificate's own subject, whose members have their names of RFC 4514. */
static const struct clm_json *asked_of_cert(const struct clm_cp_cert *cert, int field)
{
    static const char *const keys[] = {"CN", "O", "OU", "L", "ST", "C", "email"};

    return clm_json_get(cert->subject, keys[field]);
}

static bool has_value(const struct clm_json *asked, const struct clm_strs *got)
{
    size_t n = 0;

    if (clm_json_kind(asked) == CLM_JSON_STRING) {
        return got->n == 1 && strcmp(got->v[0], clm_json_text(asked)) == 0;
    }
    for (const struct clm_json *m = clm_json_first(asked); m != NULL; m = clm_json_next(m), n++) {
        const char *text = clm_json_text(m);

        if (text == NULL || !clm_strs_has(got, text)) {
            return false;
        }
    }
    return n == got->n;
}

/* What was said must be there; what was not may come from the host where the mode says so. */
static void check_subject(const struct clm_cp_cert *cert, const struct wanted *wanted,
                          const struct clm_csr_info *csr, struct clm_json *faults)
{
    for (int i = CLM_SUBJECT_O; i < CLM_SUBJECT__COUNT; i++) {
        const struct clm_json *asked = asked_of_cert(cert, i);
        const struct clm_strs *got = &csr->dn.field[i];
        const char *name = clm_subject_field_name((enum clm_subject_field)i);
        bool is_right = true;

        if (wanted->has_spec && wanted->spec.has_subject[i]) {
            const struct clm_strs *want = &wanted->spec.subject.field[i];

            is_right = first_missing(want, got) == NULL && first_missing(got, want) == NULL;
        } else if (wanted->is_host_defined) {
            continue;
        } else if (asked != NULL) {
            is_right = has_value(asked, got);
        } else {
            is_right = got->n == 0;
        }
        if (!is_right) {
            add_fault(faults, "subject", "the request has another '%s' in its subject than asked",
                      name);
        }
    }
}

static void check_purpose(const struct wanted *wanted, const struct clm_csr_info *csr,
                          struct clm_json *faults)
{
    bool may_client = wanted->spec.has_eku ? wanted->spec.eku_client : wanted->is_host_defined;

    if (csr->eku_client && !may_client) {
        add_fault(faults, "eku", "the request asks for the purpose 'client', which nobody did");
    }
    if (csr->has_other_eku || csr->wants_ca) {
        add_fault(faults, "eku", "the request asks for %s",
                  csr->wants_ca ? "the certificate of a CA"
                                : "a purpose besides server and client");
    }
}

static void check_key_type(const struct clm_cp_cert *cert, const struct wanted *wanted,
                           const struct clm_csr_info *csr, struct clm_json *faults)
{
    const char *key_type = clm_key_type_name(csr->key_type);
    bool is_open = wanted->is_host_defined && wanted->spec.key_type == NULL;

    is_open = is_open || (wanted->spec.reuse_key && wanted->spec.key_type == NULL);
    if (csr->key_type == CLM_KEY_OTHER || (!is_open && strcmp(key_type, cert->key_type) != 0)) {
        add_fault(faults, "key-type", "the key is %s, the certificate asks for %s", key_type,
                  cert->key_type);
    }
}

/* Two modes say which request it must be, to the byte. */
static enum clm_code check_bytes(struct clm_cp_tx *tx, const struct clm_cp_cert *cert,
                                 const struct wanted *wanted, const struct clm_csr_info *csr,
                                 struct clm_json *faults, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info uploaded = {.must_staple = false};
    int64_t n = 1;
    enum clm_code code = CLM_OK;

    if (wanted->has_spec && wanted->spec.mode == CLM_CSR_MODE_UPLOADED) {
        code = clm_csr_from_text(wanted->spec.csr_pem, &der, &uploaded, err);
        n = code == CLM_OK && strcmp(uploaded.sha256, csr->sha256) == 0;
    } else if (wanted->has_spec && wanted->spec.mode == CLM_CSR_MODE_REUSE) {
        code = clm_cp_db_get_int(
            tx->db, 0, &n, err,
            "SELECT count(*) FROM cert_order WHERE certificate_id = ?1 AND csr_sha256 = ?2",
            CLM_SQL(clm_sql_text(cert->id), clm_sql_text(csr->sha256)));
    }
    if (code == CLM_OK && n == 0) {
        add_fault(faults, "csr-differs", "the request is not the one that was %s",
                  wanted->spec.mode == CLM_CSR_MODE_UPLOADED ? "uploaded" : "sent before");
    }
    return code;
}

enum clm_code clm_cp_order_check_csr(struct clm_cp_tx *tx, const struct clm_cp_cert *cert,
                                     const struct clm_csr_info *csr, struct clm_json *faults,
                                     struct clm_err *err)
{
    CLM_CLEANUP(wanted_done) struct wanted wanted = {.has_spec = false};
    bool used = false;
    enum clm_code code = read_wanted(cert, &wanted, err);

    if (code != CLM_OK) {
        return code;
    }
    check_names(cert, &wanted, csr, faults);
    check_subject(cert, &wanted, csr, faults);
    check_purpose(&wanted, csr, faults);
    check_key_type(cert, &wanted, csr, faults);
    code = check_bytes(tx, cert, &wanted, csr, faults, err);
    if (code == CLM_OK) {
        code = clm_cp_cert_key_is_used(tx, csr->spki_sha256, wanted.may_reuse_key ? cert->id : NULL,
                                       &used, err);
    }
    if (code == CLM_OK && used) {
        add_fault(faults, "key-reuse", "the key was used before: make a new one");
    }
    return code;
}
