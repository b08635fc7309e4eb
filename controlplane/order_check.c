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

static void check_names(const struct clm_cp_cert *cert, const struct clm_csr_info *csr,
                        struct clm_json *faults)
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
    if (csr->uris.n > 0) {
        add_fault(faults, "san-extra", "the request names the URI '%.200s'", csr->uris.v[0]);
    }
    if (csr->common_name[0] != '\0' && !clm_strs_has(&cert->names.dns, csr->common_name) &&
        !clm_strs_has(&cert->names.ip, csr->common_name)) {
        add_fault(faults, "cn", "the common name '%s' is none of the names", csr->common_name);
    }
}

enum clm_code clm_cp_order_check_csr(struct clm_cp_tx *tx, const struct clm_cp_cert *cert,
                                     const struct clm_csr_info *csr, struct clm_json *faults,
                                     struct clm_err *err)
{
    bool used = false;
    const char *key_type = clm_key_type_name(csr->key_type);

    check_names(cert, csr, faults);
    if (strcmp(key_type, cert->key_type) != 0) {
        add_fault(faults, "key-type", "the key is %s, the certificate asks for %s", key_type,
                  cert->key_type);
    }
    enum clm_code code = clm_cp_cert_key_is_used(tx, csr->spki_sha256, &used, err);

    if (code == CLM_OK && used) {
        add_fault(faults, "key-reuse", "the key was used before: make a new one");
    }
    return code;
}
