/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/probe.h"

#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>

#include "agent/base/str.h"
#include "agent/model/fields.h"
#include "agent/model/names.h"

#define TIMEOUT_MAX_MS 600000 /* ten minutes: longer than any deadline of the engine */

static const char *const result_names[] = {
    [CLM_PROBE_SERVED] = "served",
    [CLM_PROBE_REFUSED] = "refused",
    [CLM_PROBE_TIMEOUT] = "timeout",
    [CLM_PROBE_TLS_FAILED] = "tls_failed",
};

#define EP(member) offsetof(struct clm_endpoint, member)

static const struct clm_field endpoint_fields[] = {
    {"addr", CLM_FIELD_EXACT, true, EP(addr), CLM_ADDR_SIZE, 0, 0},
    {"port", CLM_FIELD_U16, true, EP(port), 0, 1, 65535},
    {"sni", CLM_FIELD_EXACT, false, EP(sni), CLM_DNS_NAME_SIZE, 0, 0},
    {"timeout_ms", CLM_FIELD_U32, false, EP(timeout_ms), 0, 0, TIMEOUT_MAX_MS},
    {"key_kind", CLM_FIELD_TEXT, false, EP(key_kind), sizeof(((struct clm_endpoint *)0)->key_kind),
     0, 0},
    {NULL, CLM_FIELD_TEXT, false, 0, 0, 0, 0},
};

const char *const clm_endpoint_members[] = {"addr", "port", "sni", "timeout_ms", "key_kind", NULL};

#define OB(member)      offsetof(struct clm_observation, member)
#define OB_SIZE(member) sizeof(((struct clm_observation *)0)->member)

static const struct clm_field observation_fields[] = {
    {"leaf_sha256", CLM_FIELD_SHA256, false, OB(leaf_sha256), 0, 0, 0},
    {"spki_sha256", CLM_FIELD_SHA256, false, OB(spki_sha256), 0, 0, 0},
    {"not_after", CLM_FIELD_TIME, false, OB(not_after_s), 0, 0, 0},
    {"subject", CLM_FIELD_TEXT, false, OB(subject), OB_SIZE(subject), 0, 0},
    {"issuer", CLM_FIELD_TEXT, false, OB(issuer), OB_SIZE(issuer), 0, 0},
    {"tls_version", CLM_FIELD_TEXT, false, OB(tls_version), OB_SIZE(tls_version), 0, 0},
    {"chain_len", CLM_FIELD_U32, false, OB(chain_len), 0, 0, 1000},
    {"detail", CLM_FIELD_TEXT, false, OB(detail), OB_SIZE(detail), 0, 0},
    {"at_ms", CLM_FIELD_I64, false, OB(at_ms), 0, 0, CLM_JSON_INT_MAX},
    {NULL, CLM_FIELD_TEXT, false, 0, 0, 0, 0},
};

const char *const clm_observation_members[] = {"result",  "leaf_sha256", "spki_sha256", "not_after",
                                               "subject", "issuer",      "tls_version", "chain_len",
                                               "detail",  "at_ms",       NULL};

const char *clm_probe_result_name(enum clm_probe_result result)
{
    size_t i = (size_t)result;

    return i < CLM_ARRAY_LEN(result_names) ? result_names[i] : "unknown";
}

void clm_endpoint_to_json(const struct clm_endpoint *endpoint, struct clm_json *obj)
{
    clm_fields_to_json(endpoint_fields, endpoint, obj);
}

/* A numeric address; an IPv6 one may carry the zone of a link-local address, "fe80::1%eth0". */
static bool is_numeric(const char *addr)
{
    unsigned char raw[sizeof(struct in6_addr)];
    char bare[CLM_ADDR_SIZE];
    size_t len = strcspn(addr, "%");

    if (len >= sizeof(bare)) {
        return false;
    }
    memcpy(bare, addr, len);
    bare[len] = '\0';
    if (strchr(bare, ':') == NULL) {
        return addr[len] == '\0' && inet_pton(AF_INET, bare, raw) == 1;
    }
    return inet_pton(AF_INET6, bare, raw) == 1 && (addr[len] == '\0' || addr[len + 1] != '\0');
}

enum clm_code clm_endpoint_from_json(const struct clm_json *obj, struct clm_endpoint *out,
                                     struct clm_err *err)
{
    struct clm_endpoint endpoint = {0};
    char normal[CLM_DNS_NAME_SIZE];
    enum clm_code code = clm_fields_from_json(endpoint_fields, obj, &endpoint, err);

    if (code != CLM_OK) {
        return code;
    }
    if (!is_numeric(endpoint.addr)) {
        return clm_err_set(err, CLM_E_PARSE, "'addr': '%s' is not a numeric address",
                           endpoint.addr);
    }
    if (endpoint.sni[0] != '\0') {
        code = clm_dns_normalise(endpoint.sni, false, normal, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "'sni'");
        }
        memcpy(endpoint.sni, normal, sizeof(normal));
    }
    *out = endpoint;
    return CLM_OK;
}

void clm_observation_to_json(const struct clm_observation *seen, struct clm_json *obj)
{
    clm_json_set_str(obj, "result", clm_probe_result_name(seen->result));
    clm_fields_to_json(observation_fields, seen, obj);
}

static enum clm_code read_result(const struct clm_json *obj, enum clm_probe_result *out,
                                 struct clm_err *err)
{
    const char *name = NULL;
    enum clm_code code = clm_json_str(obj, "result", 16, &name, err);

    if (code != CLM_OK) {
        return code;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(result_names); i++) {
        if (strcmp(name, result_names[i]) == 0) {
            *out = (enum clm_probe_result)i;
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_PARSE, "'result': unknown value '%s'", name);
}

enum clm_code clm_observation_from_json(const struct clm_json *obj, struct clm_observation *out,
                                        struct clm_err *err)
{
    struct clm_observation seen = {0};
    enum clm_code code = read_result(obj, &seen.result, err);

    if (code == CLM_OK) {
        code = clm_fields_from_json(observation_fields, obj, &seen, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if ((seen.result == CLM_PROBE_SERVED) != (seen.leaf_sha256[0] != '\0')) {
        return clm_err_set(err, CLM_E_PARSE,
                           "'leaf_sha256': must be there if and only if 'result' is 'served'");
    }
    *out = seen;
    return CLM_OK;
}
