/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "controlplane/client.h"
#include "controlplane/route.h"

/* The table of the server, for the test that compares it with docs/openapi.yaml. */
int clm_cp_cmd_routes(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *array = clm_json_new_array();
    size_t count = 0;
    const struct clm_cp_route *routes = clm_cp_routes(&count);

    (void)ctx;
    for (size_t i = 0; i < count; i++) {
        const struct clm_cp_route *route = &routes[i];
        struct clm_json *obj = clm_json_add_object(array);

        clm_json_set_str(obj, "api", route->listener == CLM_CP_AGENT_API ? "agent" : "operator");
        clm_json_set_str(obj, "method", route->method);
        clm_json_set_str(obj, "path", route->pattern);
        clm_json_set_str(obj, "auth", clm_cp_auth_name(route->auth));
        clm_json_set_bool(obj, "idempotency_key", route->idempotency_key);
        clm_json_set_int(obj, "body_max", (int64_t)route->body_max);
        if (!clm_cli_has(args, "json")) {
            (void)printf("%-5s %-45s %s\n", route->method, route->pattern,
                         clm_cp_auth_name(route->auth));
        }
    }
    return clm_cli_has(args, "json") ? clm_cp_print_json(array) : CLM_CP_EXIT_OK;
}
