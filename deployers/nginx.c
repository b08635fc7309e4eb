/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/formats/password_lines.h"
#include "agent/formats/server_args.h"
#include "deployers/deployers.h"
#include "deployers/pem_server.h"

static enum clm_code add_option(struct clm_strs *out, const char *option, const char *value,
                                struct clm_err *err)
{
    enum clm_code code;

    if (value[0] == '\0') {
        return CLM_OK;
    }
    code = clm_strs_add(out, option, err);
    return code == CLM_OK ? clm_strs_add(out, value, err) : code;
}

/* nginx -t loads certificates and keys and finds pairs that do not match. It must be told what the
 * running master was told, or it tests another configuration and touches another log. */
static enum clm_code test_argv(const struct clm_io *io, const struct clm_service *service,
                               struct clm_strs *out, struct clm_err *err)
{
    const char *const words[] = {service->exe, "-t", "-q", "-c", service->config_path};
    CLM_CLEANUP(clm_strs_done) struct clm_strs argv = {0};
    struct clm_nginx_args args = {.conf = ""};
    struct clm_err why = {0};
    enum clm_code code = clm_cmdline_read(io, service->pid, &argv, &why);

    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "%s", why.msg);
    }
    code =
        clm_nginx_args_parse(&argv, &args, err); /* none if it has just ended: its reload tells */
    for (size_t i = 0; i < CLM_ARRAY_LEN(words) && code == CLM_OK; i++) {
        code = clm_strs_add(out, words[i], err);
    }
    if (code == CLM_OK) {
        code = add_option(out, "-p", service->prefix, err);
    }
    if (code == CLM_OK) {
        code = add_option(out, "-e", args.error_log, err);
    }
    return code == CLM_OK ? add_option(out, "-g", args.directives, err) : code;
}

static enum clm_code plan(const struct clm_io *io, const struct clm_service *service,
                          const struct clm_target *target, const struct clm_bundle *bundle,
                          struct clm_plan *out, struct clm_err *err)
{
    struct clm_pem_server server = {.name = "nginx", .signo = SIGHUP};
    enum clm_code code = clm_pem_check(io, service, target, bundle, err);

    if (code == CLM_OK && !service->foreign_namespace) {
        code = test_argv(io, service, &server.test, err);
    }
    if (code == CLM_OK) {
        code = clm_pem_plan(io, &server, service, target, out, err);
    }
    clm_strs_done(&server.test);
    return code;
}

/* "LINE:FILE" of ssl_password_file, as the scanner found it. */
static enum clm_code secret(const struct clm_io *io, const char *text, struct clm_buf *out,
                            struct clm_err *err)
{
    size_t digits = strspn(text, "0123456789");
    char line[8];
    int64_t n = 0;

    if (digits == 0 || digits >= sizeof(line) || text[digits] != ':' || text[digits + 1] != '/') {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "this is no password of nginx's");
    }
    (void)snprintf(line, sizeof(line), "%.*s", (int)digits, text);
    if (clm_str_to_int(line, 1, CLM_PASSWORD_LINES_MAX, &n, err) != CLM_OK) {
        return CLM_E_INVAL;
    }
    return clm_password_line(io, text + digits + 1, (size_t)n, out, err);
}

const struct clm_deployer_ops clm_deployer_nginx = {
    .name = "nginx",
    .summary = "PEM files of nginx and its kin, checked with nginx -t, reloaded by SIGHUP",
    .plan = plan,
    .secret = secret,
};
