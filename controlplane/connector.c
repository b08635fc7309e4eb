/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/connector.h"

#include <assert.h>

static const struct clm_cp_connector_ops *const all[] = {
    [CLM_CP_CONNECTOR_BUILTIN] = &clm_cp_builtin_ops,
    [CLM_CP_CONNECTOR_ACME] = &clm_cp_acme_ops,
};

const struct clm_cp_connector_ops *clm_cp_connector_ops(enum clm_cp_connector_type type)
{
    assert((size_t)type < CLM_ARRAY_LEN(all));
    return all[type];
}
