/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "deployers/deployer.h"
#include "deployers/deployers.h"

static const struct clm_deployer_ops *const all[] = {
    &clm_deployer_nginx, &clm_deployer_apache, &clm_deployer_tomcat, &clm_deployer_file, NULL,
};

const struct clm_deployer_ops *const *clm_deployers_all(void)
{
    return all;
}

const struct clm_deployer_ops *clm_deployer_find(const char *name)
{
    for (size_t i = 0; all[i] != NULL; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}
