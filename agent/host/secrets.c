/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords for the transaction: from root's files, from what everybody knows, and from the
 * configuration of the server, which its deployer reads. */
#include <string.h>

#include "agent/host/internal.h"
#include "deployers/deployer.h"

static enum clm_code get(void *arg, const char *deployer, const char *ref, struct clm_buf *out,
                         struct clm_err *err)
{
    const struct clm_host *host = arg;
    const struct clm_deployer_ops *ops = clm_deployer_find(deployer);

    if (!clm_str_starts(ref, CLM_SECRET_CONF)) {
        return clm_secret_read(host->io, ref, out, err);
    }
    return ops != NULL && ops->secret != NULL
               ? ops->secret(host->io, ref + strlen(CLM_SECRET_CONF), out, err)
               : clm_err_set(err, CLM_E_UNSUPPORTED,
                             "'%s' keeps no password in a configuration that could be read",
                             deployer);
}

struct clm_secret_source clm_host_secrets(struct clm_host *host)
{
    return (struct clm_secret_source){.get = get, .arg = host};
}
