/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/spec_fields.h"

#include <string.h>

#include "agent/base/str.h"

#define RETRIES_MAX 100
#define PROBE_MAX_S 600

const struct clm_spec_field clm_spec_hook_fields[] = {
    CLM_SPEC_LOOSE(CLM_SPEC_HOOK, "validate", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_HOOK, "reload", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_HOOK, "pre", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_HOOK, "post", NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field verify_fields[] = {
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "connect", NULL),
    CLM_SPEC_ROW(CLM_SPEC_TEXT, "sni", false, struct clm_spec_verify, sni, 0, CLM_DNS_NAME_SIZE,
                 NULL),
    CLM_SPEC_ROW(CLM_SPEC_SHA256, "expect_sha256", false, struct clm_spec_verify, expect_sha256, 0,
                 64, NULL),
    CLM_SPEC_ROW(CLM_SPEC_U32, "retries", false, struct clm_spec_verify, retries, 0, RETRIES_MAX,
                 NULL),
    CLM_SPEC_ROW(CLM_SPEC_U32, "timeout_s", false, struct clm_spec_verify, timeout_s, 1,
                 PROBE_MAX_S, NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field pre_check_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_SHA256, "expect_current_sha256", false, struct clm_spec_pre_checks,
                 expect_current_sha256, 0, 64, NULL),
    CLM_SPEC_ROW(CLM_SPEC_BOOL, "require_config_valid", false, struct clm_spec_pre_checks,
                 require_config_valid, 0, 0, NULL),
    CLM_SPEC_END,
};

enum clm_code clm_spec_connect_read(const char *key, const char *text, struct clm_endpoint *out,
                                    struct clm_err *err)
{
    const char *colon = strrchr(text, ':');
    bool bracket = text[0] == '[';
    size_t skip = bracket ? 1 : 0;
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    char address[CLM_ADDR_SIZE];
    int64_t port = 0;
    enum clm_code code = CLM_OK;

    if (len <= 2 * skip || len - 2 * skip >= sizeof(address) || (bracket && text[len - 1] != ']') ||
        clm_str_to_int(colon + 1, 1, 65535, &port, NULL) != CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL, "'%s': '%.100s' is not of the form address:port", key,
                           text);
    }
    memcpy(address, text + skip, len - 2 * skip);
    address[len - 2 * skip] = '\0';
    out->port = (uint16_t)port;
    code = clm_ip_normalise(address, out->addr, err);
    if (code == CLM_OK && bracket != (strchr(out->addr, ':') != NULL)) {
        code = clm_err_set(err, CLM_E_INVAL, "'%.100s' needs the form [address]:port for IPv6 only",
                           text);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "'%s'", key);
}

enum clm_code clm_spec_sni_read(const char *sni, struct clm_endpoint *endpoint, struct clm_err *err)
{
    enum clm_code code;

    if (sni == NULL) {
        return CLM_OK;
    }
    code = clm_dns_normalise(sni, false, endpoint->sni, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "'sni'");
}

enum clm_code clm_spec_verify_read(const struct clm_json *parent, struct clm_spec_verify *out,
                                   struct clm_err *err)
{
    const char *connect = NULL;
    enum clm_code code;

    out->retries = 5;
    out->timeout_s = 10;
    code = clm_spec_object_read(verify_fields, parent, "verify", out, err);
    if (code != CLM_OK || clm_json_get(parent, "verify") == NULL) {
        return code;
    }
    code = clm_spec_sni_read(out->sni, &out->endpoint, err);
    if (code == CLM_OK) {
        code = clm_json_str_or(clm_json_get(parent, "verify"), "connect", CLM_ADDR_SIZE + 8, NULL,
                               &connect, err);
    }
    if (code == CLM_OK && connect != NULL) {
        code = clm_spec_connect_read("connect", connect, &out->endpoint, err);
        out->has_endpoint = code == CLM_OK;
        out->endpoint.timeout_ms = out->timeout_s * 1000;
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "verify");
}

enum clm_code clm_spec_how_read(const struct clm_json *parent, struct clm_spec_deploy_how *how,
                                struct clm_err *err)
{
    enum clm_code code = clm_spec_verify_read(parent, &how->verify, err);

    how->pre_checks.require_config_valid = true;
    return code == CLM_OK
               ? clm_spec_object_read(pre_check_fields, parent, "pre_checks", &how->pre_checks, err)
               : code;
}
