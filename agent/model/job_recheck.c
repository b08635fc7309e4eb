/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/model/fields.h"
#include "agent/model/spec_fields.h"

static const char *const fail_on[] = {"mismatch", "never"};

static const struct clm_spec_field recheck_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_TEXT, "sni", false, struct clm_spec_recheck, sni, 0, CLM_DNS_NAME_SIZE,
                 NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "connect", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "expect", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "fail_on", NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field expect_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_SHA256, "sha256", false, struct clm_spec_recheck, expect_sha256, 0, 64,
                 NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "spki_pins", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "tlsa", NULL),
    CLM_SPEC_END,
};

struct tlsa_row {
    uint32_t usage;
    uint32_t matching;
    struct clm_spec_tlsa row;
};

static const struct clm_spec_field tlsa_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_U32, "usage", true, struct tlsa_row, usage, 0, 255, NULL),
    CLM_SPEC_ROW(CLM_SPEC_U32, "selector", true, struct tlsa_row, row.selector, 0, 1, NULL),
    CLM_SPEC_ROW(CLM_SPEC_U32, "matching", true, struct tlsa_row, matching, 0, 255, NULL),
    CLM_SPEC_ROW(CLM_SPEC_SHA256, "data", true, struct tlsa_row, row.data, 0, 256, NULL),
    CLM_SPEC_END,
};

static enum clm_code read_address(const struct clm_json *node, void *arg, struct clm_err *err)
{
    struct clm_spec_recheck *recheck = arg;
    struct clm_endpoint *endpoint = &recheck->connect[recheck->n_connect];
    const char *text = clm_json_text(node);
    enum clm_code code;

    if (text == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "not a string");
    }
    code = clm_spec_connect_read("connect", text, endpoint, err);
    if (code == CLM_OK) {
        code = clm_spec_sni_read(recheck->sni, endpoint, err);
    }
    if (code == CLM_OK) {
        recheck->n_connect++;
    }
    return code;
}

static enum clm_code read_pin(const struct clm_json *node, void *arg, struct clm_err *err)
{
    struct clm_spec_recheck *recheck = arg;
    const char *text = clm_json_text(node);

    if (text == NULL || !clm_is_sha256(text)) {
        return clm_err_set(err, CLM_E_INVAL, "not a SHA-256 in 64 lower-case hexadecimal digits");
    }
    recheck->spki_pins[recheck->n_spki_pins++] = text;
    return CLM_OK;
}

static enum clm_code read_tlsa(const struct clm_json *node, void *arg, struct clm_err *err)
{
    struct clm_spec_recheck *recheck = arg;
    struct tlsa_row row = {0};
    enum clm_code code;

    if (clm_json_kind(node) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "not an object");
    }
    code = clm_spec_fields_read(tlsa_fields, node, NULL, &row, err);
    if (code == CLM_OK && (row.usage != 3 || row.matching != 1)) {
        code = clm_err_set(err, CLM_E_UNSUPPORTED,
                           "only usage 3 with matching type 1 is supported by this version");
    }
    if (code == CLM_OK) {
        recheck->tlsa[recheck->n_tlsa++] = row.row;
    }
    return code;
}

static enum clm_code read_expect(const struct clm_json *spec, struct clm_spec_recheck *recheck,
                                 struct clm_err *err)
{
    const struct clm_json *expect = clm_json_get(spec, "expect");
    enum clm_code code = clm_spec_object_read(expect_fields, spec, "expect", recheck, err);

    if (code != CLM_OK) {
        return code;
    }
    code = clm_spec_elements_read(expect, "spki_pins", CLM_SPEC_PINS_MAX, read_pin, recheck, err);
    if (code == CLM_OK) {
        code = clm_spec_elements_read(expect, "tlsa", CLM_SPEC_PINS_MAX, read_tlsa, recheck, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "expect");
}

enum clm_code clm_spec_recheck_read(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                    struct clm_err *err)
{
    struct clm_spec_recheck *recheck = &out->u.recheck;
    struct clm_endpoint scratch;
    const char *when = NULL;
    enum clm_code code = clm_spec_fields_read(recheck_fields, job->spec, job, recheck, err);

    if (code == CLM_OK) {
        code = clm_json_str_or(job->spec, "fail_on", 16, fail_on[0], &when, err);
    }
    if (code == CLM_OK && strcmp(when, fail_on[0]) != 0 && strcmp(when, fail_on[1]) != 0) {
        code = clm_err_set(err, CLM_E_INVAL, "'fail_on': unknown value '%s'", when);
    }
    if (code == CLM_OK) {
        recheck->fail_on_mismatch = strcmp(when, fail_on[0]) == 0;
        code = clm_spec_sni_read(recheck->sni, &scratch, err);
    }
    if (code == CLM_OK) {
        code = clm_spec_elements_read(job->spec, "connect", CLM_SPEC_CONNECT_MAX, read_address,
                                      recheck, err);
    }
    return code == CLM_OK ? read_expect(job->spec, recheck, err) : code;
}
