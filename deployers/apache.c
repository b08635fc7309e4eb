/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/formats/server_args.h"
#include "deployers/deployers.h"
#include "deployers/pem_server.h"

#define DEBIAN_EXE     "/usr/sbin/apache2"
#define DEBIAN_CONF    "/etc/apache2"
#define DEBIAN_CONTROL "/usr/sbin/apache2ctl"
#define ENV            "/usr/bin/env"

/* Debian's configuration needs the environment that apache2ctl reads from the envvars beside it, in
 * /etc/apache2 and in the directory of any other instance (README.multiple-instances). False: not
 * Debian's. dir: of the instance. */
static bool is_debians(const struct clm_io *io, const struct clm_service *service, char *dir)
{
    static const char conf[] = "/apache2.conf";
    char envvars[PATH_MAX];
    struct clm_stat st = {0};
    size_t len = strlen(service->config_path);

    if (strcmp(service->exe, DEBIAN_EXE) != 0 || !clm_str_ends(service->config_path, conf)) {
        return false;
    }
    (void)snprintf(dir, PATH_MAX, "%.*s", (int)(len - strlen(conf)), service->config_path);
    return strcmp(dir, DEBIAN_CONF) == 0 ||
           (clm_str_fmt(envvars, sizeof(envvars), NULL, "%s/envvars", dir) == CLM_OK &&
            io->stat(io->ctx, envvars, true, &st, NULL) == CLM_OK);
}

static enum clm_code add_all(struct clm_strs *out, const char *const *words, size_t n,
                             struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < n && code == CLM_OK; i++) {
        code = clm_strs_add(out, words[i], err);
    }
    return code;
}

/* The -D of the running server decide what its configuration means. */
static enum clm_code add_defines(const struct clm_io *io, const struct clm_service *service,
                                 struct clm_strs *out, struct clm_err *err)
{
    static const char *const modes[] = {"FOREGROUND", "NO_DETACH", "DEBUG", "ONE_PROCESS"};
    CLM_CLEANUP(clm_strs_done) struct clm_strs argv = {0};
    CLM_CLEANUP(clm_apache_args_done) struct clm_apache_args args = {.conf = ""};
    struct clm_err why = {0};
    enum clm_code code = clm_cmdline_read(io, service->pid, &argv, &why);

    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "%s", why.msg);
    }
    code = clm_apache_args_parse(&argv, &args, err); /* none if it has just ended */
    for (size_t i = 0; i < args.defines.n && code == CLM_OK; i++) {
        const char *const words[] = {"-D", args.defines.v[i]};
        bool is_mode = false;

        for (size_t k = 0; k < CLM_ARRAY_LEN(modes); k++) {
            is_mode = is_mode || strcmp(words[1], modes[k]) == 0;
        }
        if (!is_mode) {
            code = add_all(out, words, CLM_ARRAY_LEN(words), err);
        }
    }
    return code;
}

/* envvars is run by the shell that apache2ctl is, so nobody else may write it. */
static enum clm_code debian_test(const struct clm_io *io, const char *dir, struct clm_strs *out,
                                 struct clm_err *err)
{
    const char *const usual[] = {"/usr/sbin/apachectl", "configtest"};
    const bool is_usual = strcmp(dir, DEBIAN_CONF) == 0;
    char envvars[PATH_MAX];
    char place[PATH_MAX + 32];
    const char *const instance[] = {ENV, place, DEBIAN_CONTROL, "configtest"};
    struct clm_err why = {0};
    struct clm_stat st = {0};
    enum clm_code code = clm_program_check(io, is_usual ? usual[0] : DEBIAN_CONTROL, &why);

    (void)snprintf(place, sizeof(place), "APACHE_CONFDIR=%s", dir);
    if (code == CLM_OK && !is_usual) {
        code = clm_program_check(io, ENV, &why);
    }
    if (code == CLM_OK) {
        code = clm_str_fmt(envvars, sizeof(envvars), &why, "%s/envvars", dir);
    }
    if (code == CLM_OK && io->stat(io->ctx, envvars, true, &st, NULL) == CLM_OK) {
        code = clm_program_check(io, envvars, &why);
    }
    if (code != CLM_OK) {
        return clm_err_set(err, CLM_E_CONFIG, "the configuration cannot be tested: %s", why.msg);
    }
    return is_usual ? add_all(out, usual, CLM_ARRAY_LEN(usual), err)
                    : add_all(out, instance, CLM_ARRAY_LEN(instance), err);
}

static enum clm_code test_argv(const struct clm_io *io, const struct clm_service *service,
                               struct clm_strs *out, struct clm_err *err)
{
    const char *const words[] = {service->exe, "-t", "-f", service->config_path};
    const char *const root[] = {"-d", service->prefix};
    char dir[PATH_MAX];
    enum clm_code code;

    if (is_debians(io, service, dir)) {
        return debian_test(io, dir, out, err);
    }
    code = add_all(out, words, CLM_ARRAY_LEN(words), err);
    if (code == CLM_OK && service->prefix[0] != '\0') {
        code = add_all(out, root, CLM_ARRAY_LEN(root), err);
    }
    return code == CLM_OK ? add_defines(io, service, out, err) : code;
}

/* httpd's own test does not load the pair, and a pair that does not match kills the whole server at
 * the reload: so the pair must have been checked before (clm_cert_gate()), and nothing is reloaded
 * that was not. */
static enum clm_code plan(const struct clm_io *io, const struct clm_service *service,
                          const struct clm_target *target, const struct clm_bundle *bundle,
                          struct clm_plan *out, struct clm_err *err)
{
    struct clm_pem_server server = {.name = "apache", .signo = SIGUSR1};
    enum clm_code code = clm_pem_check(io, service, target, bundle, err);

    if (code == CLM_OK) {
        code = test_argv(io, service, &server.test, err);
    }
    if (code == CLM_OK) {
        code = clm_pem_plan(io, &server, service, target, out, err);
    }
    clm_strs_done(&server.test);
    return code;
}

const struct clm_deployer_ops clm_deployer_apache = {
    .name = "apache",
    .summary = "PEM files of Apache httpd, checked with its own test, reloaded gracefully",
    .plan = plan,
};
