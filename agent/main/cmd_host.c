/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot host" and "clmbot recover": the half with the keys, and what hands it sockets. */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/harden.h"
#include "agent/base/log.h"
#include "agent/host/host.h"
#include "agent/host/serve.h"
#include "agent/main/cmds.h"
#include "agent/main/io_host.h"
#include "agent/main/show.h"
#include "agent/net/loopback.h"

static void protect(void)
{
    sigset_t term;

    clm_harden();
    (void)umask(0077);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Waits of the server let it through; a transaction asks for it and is undone. */
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, NULL);
    clm_log_set_name("host");
}

static enum clm_code make_server(const struct clm_cli_args *args, struct clm_server **out,
                                 struct clm_err *err)
{
    int64_t fd = clm_cli_int(args, "fd", -1);

    return fd >= 0 ? clm_server_from_fd_take((int)fd, out, err) : clm_server_inherit(out, err);
}

int clm_cmd_host(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_server_free_p) struct clm_server *server = NULL;
    CLM_CLEANUP(clm_host_close_p) struct clm_host *host = NULL;
    struct clm_probe_route route = {.probe = NULL};
    struct clm_io io;
    struct clm_err err = {.code = CLM_OK};
    int status = CLM_EXIT_GOOD;
    enum clm_code code;

    (void)ctx;
    protect();
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    clm_io_host_init(&io, &route);
    io.policy = &config.policy;
    code = make_server(args, &server, &err);
    if (code == CLM_OK) {
        code = clm_host_open(&config, &io, &route, &host, &err);
    }
    if (code == CLM_OK) {
        code = clm_host_serve(host, server, &route, &err);
    }
    if (code != CLM_OK) {
        clm_log_error("%s", err.msg);
        return clm_show_exit(code);
    }
    return status;
}

/* Descriptor 0 is the connection that its socket unit has accepted. */
int clm_cmd_loopback(const struct clm_cli_args *args, void *ctx)
{
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code;

    (void)args;
    (void)ctx;
    clm_harden();
    clm_log_set_name("loopback");
    code = clm_loopback_serve(STDIN_FILENO, &err);
    if (code != CLM_OK) {
        clm_log_error("%s", err.msg);
    }
    return code == CLM_OK ? CLM_EXIT_GOOD : clm_show_exit(code);
}

int clm_cmd_recover(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_config_done) struct clm_config config = {.path = ""};
    CLM_CLEANUP(clm_host_close_p) struct clm_host *host = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *found = clm_json_new_array();
    struct clm_probe_route route = {.probe = NULL};
    struct clm_io io;
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_err err = {.code = CLM_OK};
    int status = CLM_EXIT_GOOD;
    enum clm_code code;

    (void)ctx;
    protect();
    if (!clm_cmd_config(args, &config, &status)) {
        return status;
    }
    clm_io_host_init(&io, &route);
    io.policy = &config.policy;
    code = clm_host_open(&config, &io, &route, &host, &err);
    if (code == CLM_E_CONFLICT) {
        clm_ignore(clm_str_copy(fail.hint, sizeof(fail.hint),
                                "the host half is at work; it has recovered already, and ends by "
                                "itself when it is idle",
                                NULL));
    }
    if (code == CLM_OK) {
        code = clm_host_recover(host, clm_cli_has(args, "boot"), found, &err);
    }
    if (code == CLM_OK && clm_json_len(found) == 0) {
        clm_show_line("nothing to recover");
    }
    /* Of an error too: a journal that is finished is gone, and this may be all that tells of it. */
    for (const struct clm_json *at = clm_json_first(found); at != NULL; at = clm_json_next(at)) {
        clm_show_line("%s: %s", clm_json_text(clm_json_get(at, "target")),
                      clm_json_text(clm_json_get(at, "outcome")));
    }
    return code == CLM_OK ? status : clm_show_error(code, &err, &fail);
}
