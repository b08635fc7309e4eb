/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/route.h"

#include <assert.h>
#include <string.h>

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

/* Appends a segment to what stood for the ones before. */
static bool add_param(char param[CLM_CP_PARAM_SIZE], const char *segment, size_t len)
{
    size_t used = strlen(param);
    size_t joint = used > 0 ? 1 : 0;

    if (len == 0 || used + joint + len >= CLM_CP_PARAM_SIZE) {
        return false;
    }
    param[used] = '/';
    memcpy(param + used + joint, segment, len);
    param[used + joint + len] = '\0';
    return true;
}

bool clm_cp_route_match(const char *pattern, const char *path, char param[CLM_CP_PARAM_SIZE])
{
    param[0] = '\0';
    while (*pattern != '\0') {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");

            if (!add_param(param, path, len)) {
                return false;
            }
            path += len;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
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
