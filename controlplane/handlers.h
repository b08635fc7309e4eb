/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers - one function for each row of the route table; the paths stand in routes.c
 *
 * All follow the contract in http.h. Each file implements the handlers listed under its name.
 */
#ifndef CLM_CONTROLPLANE_HANDLERS_H
#define CLM_CONTROLPLANE_HANDLERS_H

#include "controlplane/http.h"

#define CLM_CP_HANDLER(name)                                                                       \
    enum clm_code name(struct clm_cp_request *req, struct clm_cp_answer *answer,                   \
                       struct clm_err *err)

/* discovery.c */
CLM_CP_HANDLER(clm_cp_get_discovery);
CLM_CP_HANDLER(clm_cp_get_cacerts);
CLM_CP_HANDLER(clm_cp_get_trust);
/* enroll.c */
CLM_CP_HANDLER(clm_cp_get_nonce);
CLM_CP_HANDLER(clm_cp_post_enroll);
CLM_CP_HANDLER(clm_cp_get_enroll);
/* identity.c */
CLM_CP_HANDLER(clm_cp_post_renew);
CLM_CP_HANDLER(clm_cp_post_recover);
/* poll.c */
CLM_CP_HANDLER(clm_cp_post_poll);
CLM_CP_HANDLER(clm_cp_post_bye);
/* inventory.c */
CLM_CP_HANDLER(clm_cp_put_inventory);
CLM_CP_HANDLER(clm_cp_op_get_inventory);
CLM_CP_HANDLER(clm_cp_op_get_targets);
/* inventory_files.c */
CLM_CP_HANDLER(clm_cp_put_inventory_files);
CLM_CP_HANDLER(clm_cp_op_get_inventory_files);
/* lease.c */
CLM_CP_HANDLER(clm_cp_get_job);
CLM_CP_HANDLER(clm_cp_post_lease);
/* report.c */
CLM_CP_HANDLER(clm_cp_post_events);
CLM_CP_HANDLER(clm_cp_post_result);
/* order_api.c */
CLM_CP_HANDLER(clm_cp_post_csr);
CLM_CP_HANDLER(clm_cp_get_order);
CLM_CP_HANDLER(clm_cp_get_dcv);
CLM_CP_HANDLER(clm_cp_post_dcv_ready);
CLM_CP_HANDLER(clm_cp_get_certificate);
/* operator_tokens.c */
CLM_CP_HANDLER(clm_cp_op_post_token);
CLM_CP_HANDLER(clm_cp_op_get_tokens);
/* operator_agents.c */
CLM_CP_HANDLER(clm_cp_op_get_agents);
CLM_CP_HANDLER(clm_cp_op_get_agent);
CLM_CP_HANDLER(clm_cp_op_disable_agent);
CLM_CP_HANDLER(clm_cp_op_enable_agent);
CLM_CP_HANDLER(clm_cp_op_approve_agent);
/* operator_certs.c */
CLM_CP_HANDLER(clm_cp_op_post_certificate);
CLM_CP_HANDLER(clm_cp_op_get_certificates);
CLM_CP_HANDLER(clm_cp_op_get_certificate);
/* operator_configs.c */
CLM_CP_HANDLER(clm_cp_op_post_configuration);
CLM_CP_HANDLER(clm_cp_op_get_configurations);
CLM_CP_HANDLER(clm_cp_op_get_configuration);
CLM_CP_HANDLER(clm_cp_op_put_configuration);
CLM_CP_HANDLER(clm_cp_op_delete_configuration);
CLM_CP_HANDLER(clm_cp_op_run_configuration);
/* operator_dcv.c */
CLM_CP_HANDLER(clm_cp_op_get_dcv);
CLM_CP_HANDLER(clm_cp_op_dcv_ready);
/* operator_actions.c */
CLM_CP_HANDLER(clm_cp_op_post_action);
/* operator_jobs.c */
CLM_CP_HANDLER(clm_cp_op_get_jobs);
CLM_CP_HANDLER(clm_cp_op_get_job);
CLM_CP_HANDLER(clm_cp_op_cancel_job);
/* operator_misc.c */
CLM_CP_HANDLER(clm_cp_op_get_events);
CLM_CP_HANDLER(clm_cp_op_get_connectors);
CLM_CP_HANDLER(clm_cp_op_get_health);
/* dashboard.c */
CLM_CP_HANDLER(clm_cp_get_dashboard);

#endif
