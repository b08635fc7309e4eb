/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/route.h"

#include "controlplane/handlers.h"

#define KIB (size_t)1024

#define AGENT    CLM_CP_AGENT_API
#define OPERATOR CLM_CP_OPERATOR_API

/* Body limits: protocol.md 6.4. A CSR of 16 KiB is 22 KiB in base64url, plus what is around it. */
static const struct clm_cp_route routes[] = {
    /* listener, method, pattern, auth, idempotency key, body, handler */
    {AGENT, "GET", "/.well-known/clm-agent", CLM_CP_AUTH_NONE, false, 0, clm_cp_get_discovery},
    {AGENT, "GET", "/agent/v1/cacerts", CLM_CP_AUTH_NONE, false, 0, clm_cp_get_cacerts},
    {AGENT, "GET", "/agent/v1/enroll/nonce", CLM_CP_AUTH_PROOF, false, 0, clm_cp_get_nonce},
    {AGENT, "POST", "/agent/v1/enroll", CLM_CP_AUTH_PROOF, true, 64 * KIB, clm_cp_post_enroll},
    {AGENT, "GET", "/agent/v1/enroll/{id}", CLM_CP_AUTH_PROOF, false, 0, clm_cp_get_enroll},
    {AGENT, "POST", "/agent/v1/identity/renew", CLM_CP_AUTH_AGENT, true, 32 * KIB,
     clm_cp_post_renew},
    {AGENT, "POST", "/agent/v1/recover", CLM_CP_AUTH_PROOF, true, 32 * KIB, clm_cp_post_recover},
    {AGENT, "POST", "/agent/v1/poll", CLM_CP_AUTH_AGENT, false, 16 * KIB, clm_cp_post_poll},
    {AGENT, "GET", "/agent/v1/trust", CLM_CP_AUTH_AGENT, false, 0, clm_cp_get_trust},
    {AGENT, "PUT", "/agent/v1/inventory", CLM_CP_AUTH_AGENT, false, 4096 * KIB,
     clm_cp_put_inventory},
    {AGENT, "PUT", "/agent/v1/inventory/files/{id}/{page}", CLM_CP_AUTH_AGENT, false, 4096 * KIB,
     clm_cp_put_inventory_files},
    {AGENT, "GET", "/agent/v1/jobs/{id}", CLM_CP_AUTH_AGENT, false, 0, clm_cp_get_job},
    {AGENT, "POST", "/agent/v1/jobs/{id}/lease", CLM_CP_AUTH_AGENT, true, 16 * KIB,
     clm_cp_post_lease},
    {AGENT, "POST", "/agent/v1/jobs/{id}/events", CLM_CP_AUTH_REPORT, true, 256 * KIB,
     clm_cp_post_events},
    {AGENT, "POST", "/agent/v1/jobs/{id}/csr", CLM_CP_AUTH_AGENT, true, 32 * KIB, clm_cp_post_csr},
    {AGENT, "GET", "/agent/v1/orders/{id}", CLM_CP_AUTH_AGENT, false, 0, clm_cp_get_order},
    {AGENT, "GET", "/agent/v1/orders/{id}/dcv", CLM_CP_AUTH_AGENT, false, 0, clm_cp_get_dcv},
    {AGENT, "POST", "/agent/v1/orders/{id}/dcv/ready", CLM_CP_AUTH_AGENT, true, 32 * KIB,
     clm_cp_post_dcv_ready},
    {AGENT, "GET", "/agent/v1/certificates/{id}", CLM_CP_AUTH_AGENT, false, 0,
     clm_cp_get_certificate},
    {AGENT, "POST", "/agent/v1/jobs/{id}/result", CLM_CP_AUTH_REPORT, true, 256 * KIB,
     clm_cp_post_result},
    {AGENT, "POST", "/agent/v1/bye", CLM_CP_AUTH_REPORT, true, 16 * KIB, clm_cp_post_bye},

    {OPERATOR, "GET", "/api/v1/health", CLM_CP_AUTH_NONE, false, 0, clm_cp_op_get_health},
    {OPERATOR, "POST", "/api/v1/tokens", CLM_CP_AUTH_OPERATOR, false, 16 * KIB,
     clm_cp_op_post_token},
    {OPERATOR, "GET", "/api/v1/tokens", CLM_CP_AUTH_OPERATOR, false, 0, clm_cp_op_get_tokens},
    {OPERATOR, "GET", "/api/v1/agents", CLM_CP_AUTH_OPERATOR, false, 0, clm_cp_op_get_agents},
    {OPERATOR, "GET", "/api/v1/agents/{id}", CLM_CP_AUTH_OPERATOR, false, 0, clm_cp_op_get_agent},
    {OPERATOR, "POST", "/api/v1/agents/{id}/disable", CLM_CP_AUTH_OPERATOR, false, 16 * KIB,
     clm_cp_op_disable_agent},
    {OPERATOR, "POST", "/api/v1/agents/{id}/enable", CLM_CP_AUTH_OPERATOR, false, 16 * KIB,
     clm_cp_op_enable_agent},
    {OPERATOR, "POST", "/api/v1/agents/{id}/approve", CLM_CP_AUTH_OPERATOR, false, 16 * KIB,
     clm_cp_op_approve_agent},
    {OPERATOR, "GET", "/api/v1/inventory", CLM_CP_AUTH_OPERATOR, false, 0, clm_cp_op_get_inventory},
    {OPERATOR, "GET", "/api/v1/inventory/files", CLM_CP_AUTH_OPERATOR, false, 0,
     clm_cp_op_get_inventory_files},
    {OPERATOR, "GET", "/api/v1/targets", CLM_CP_AUTH_OPERATOR, false, 0, clm_cp_op_get_targets},
    {OPERATOR, "POST", "/api/v1/certificates", CLM_CP_AUTH_OPERATOR, false, 64 * KIB,
     clm_cp_op_post_certificate},
    {OPERATOR, "GET", "/api/v1/certificates", CLM_CP_AUTH_OPERATOR, false, 0,
     clm_cp_op_get_certificates},
    {OPERATOR, "GET", "/api/v1/certificates/{id}", CLM_CP_AUTH_OPERATOR, false, 0,
     clm_cp_op_get_certificate},
    {OPERATOR, "GET", "/api/v1/certificates/{id}/dcv", CLM_CP_AUTH_OPERATOR, false, 0,
     clm_cp_op_get_dcv},
    {OPERATOR, "POST", "/api/v1/certificates/{id}/dcv/ready", CLM_CP_AUTH_OPERATOR, false, 16 * KIB,
     clm_cp_op_dcv_ready},
    {OPERATOR, "POST", "/api/v1/configurations", CLM_CP_AUTH_OPERATOR, false, 64 * KIB,
     clm_cp_op_post_configuration},
    {OPERATOR, "GET", "/api/v1/configurations", CLM_CP_AUTH_OPERATOR, false, 0,
     clm_cp_op_get_configurations},
    {OPERATOR, "GET", "/api/v1/configurations/{id}", CLM_CP_AUTH_OPERATOR, false, 0,
     clm_cp_op_get_configuration},
    {OPERATOR, "PUT", "/api/v1/configurations/{id}", CLM_CP_AUTH_OPERATOR, false, 64 * KIB,
     clm_cp_op_put_configuration},
    {OPERATOR, "DELETE", "/api/v1/configurations/{id}", CLM_CP_AUTH_OPERATOR, false, 0,
     clm_cp_op_delete_configuration},
    {OPERATOR, "POST", "/api/v1/configurations/{id}/run", CLM_CP_AUTH_OPERATOR, false, 16 * KIB,
     clm_cp_op_run_configuration},
    {OPERATOR, "POST", "/api/v1/actions", CLM_CP_AUTH_OPERATOR, false, 64 * KIB,
     clm_cp_op_post_action},
    {OPERATOR, "GET", "/api/v1/jobs", CLM_CP_AUTH_OPERATOR, false, 0, clm_cp_op_get_jobs},
    {OPERATOR, "GET", "/api/v1/jobs/{id}", CLM_CP_AUTH_OPERATOR, false, 0, clm_cp_op_get_job},
    {OPERATOR, "POST", "/api/v1/jobs/{id}/cancel", CLM_CP_AUTH_OPERATOR, false, 16 * KIB,
     clm_cp_op_cancel_job},
    {OPERATOR, "GET", "/api/v1/events", CLM_CP_AUTH_OPERATOR, false, 0, clm_cp_op_get_events},
    {OPERATOR, "GET", "/api/v1/connectors", CLM_CP_AUTH_OPERATOR, false, 0,
     clm_cp_op_get_connectors},
    {OPERATOR, "GET", "/", CLM_CP_AUTH_NONE, false, 0, clm_cp_get_dashboard},
    {OPERATOR, "GET", "/{id}", CLM_CP_AUTH_NONE, false, 0, clm_cp_get_dashboard},
};

const struct clm_cp_route *clm_cp_routes(size_t *out_count)
{
    *out_count = CLM_ARRAY_LEN(routes);
    return routes;
}
