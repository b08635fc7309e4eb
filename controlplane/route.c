/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/route.h"

#include <assert.h>
#include <string.h>

#define WILD "{id}"

static const char *const auth_names[] = {
    [CLM_CP_AUTH_NONE] = "none",         [CLM_CP_AUTH_PROOF] = "proof",
    [CLM_CP_AUTH_AGENT] = "agent",       [CLM_CP_AUTH_REPORT] = "agent",
    [CLM_CP_AUTH_OPERATOR] = "operator",
};

const char *clm_cp_auth_name(enum clm_cp_auth auth)
{
    assert((size_t)auth < CLM_ARRAY_LEN(auth_names));
    return auth_names[auth];
}

bool clm_cp_route_match(const char *pattern, const char *path, char param[CLM_CP_PARAM_SIZE])
{
    const char *wild = strstr(pattern, WILD);

    param[0] = '\0';
    if (wild == NULL) {
        return strcmp(pattern, path) == 0;
    }
    size_t head = (size_t)(wild - pattern);
    const char *tail = wild + strlen(WILD);

    if (strncmp(pattern, path, head) != 0) {
        return false;
    }
    size_t len = strcspn(path + head, "/");

    if (len == 0 || len >= CLM_CP_PARAM_SIZE || strcmp(path + head + len, tail) != 0) {
        return false;
    }
    memcpy(param, path + head, len);
    param[len] = '\0';
    return true;
}

const struct clm_cp_route *clm_cp_route_find(enum clm_cp_listener listener, const char *method,
                                             const char *path, char param[CLM_CP_PARAM_SIZE],
                                             bool *out_other_method)
{
    size_t count = 0;
    const struct clm_cp_route *routes = clm_cp_routes(&count);

    *out_other_method = false;
    for (size_t i = 0; i < count; i++) {
        if (routes[i].listener != listener || !clm_cp_route_match(routes[i].pattern, path, param)) {
            continue;
        }
        if (strcmp(routes[i].method, method) == 0) {
            return &routes[i];
        }
        *out_other_method = true;
    }
    param[0] = '\0';
    return NULL;
}
