/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "deployers/deployers.h"
#include "deployers/pem_server.h"

/* nginx -t loads certificates and keys and finds pairs that do not match. */
static enum clm_code test_argv(const struct clm_service *service, struct clm_strs *out,
                               struct clm_err *err)
{
    const char *const words[] = {service->exe, "-t", "-q", "-c", service->config_path};
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < CLM_ARRAY_LEN(words) && code == CLM_OK; i++) {
        code = clm_strs_add(out, words[i], err);
    }
    if (code == CLM_OK && service->prefix[0] != '\0') {
        code = clm_strs_add(out, "-p", err);
        if (code == CLM_OK) {
            code = clm_strs_add(out, service->prefix, err);
        }
    }
    return code;
}

static enum clm_code plan(const struct clm_io *io, const struct clm_service *service,
                          const struct clm_target *target, const struct clm_bundle *bundle,
                          struct clm_plan *out, struct clm_err *err)
{
    struct clm_pem_server server = {.name = "nginx", .signo = SIGHUP};
    enum clm_code code = clm_pem_check(io, service, target, bundle, err);

    if (code == CLM_OK) {
        code = test_argv(service, &server.test, err);
    }
    if (code == CLM_OK) {
        code = clm_pem_plan(io, &server, service, target, out, err);
    }
    clm_strs_done(&server.test);
    return code;
}

const struct clm_deployer_ops clm_deployer_nginx = {
    .name = "nginx",
    .summary = "PEM files of nginx and its kin, checked with nginx -t, reloaded by SIGHUP",
    .plan = plan,
};
