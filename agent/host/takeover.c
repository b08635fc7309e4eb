/* SPDX-License-Identifier: Apache-2.0 */
/* Files of another certificate manager are written to only if the policy names that manager. */
#include "agent/host/internal.h"
#include "scanners/managers.h"

enum clm_code clm_host_check_manager(struct clm_host_call *call, const struct clm_target *target,
                                     struct clm_err *err)
{
    const struct clm_manager *manager;

    if (target->manager[0] == '\0' ||
        clm_strs_has(&call->host->config->policy.take_over, target->manager)) {
        return CLM_OK;
    }
    manager = clm_manager_find(target->manager);
    return clm_refuse(
        call, err, CLM_E_PERM, "E_POLICY",
        "policy.take_over: the files of '%s' belong to %s, which would overwrite what "
        "clmbot installs: %s, or add %s to policy.take_over",
        target->id, target->manager, manager != NULL ? manager->to_take : "end that manager's work",
        target->manager);
}
