/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/main/hostlink.h"

#include <stdio.h>
#include <unistd.h>

#include "agent/ipc/spawn.h"
#include "agent/run/probe.h"

static void on_probe(void *arg, const struct clm_endpoint *endpoint, struct clm_observation *out)
{
    (void)arg;
    clm_probe(endpoint, out);
}

/* Steps of a transaction, for somebody who waits in front of a terminal. */
static void on_event(void *arg, const struct clm_json *event)
{
    const char *name = clm_json_text(clm_json_get(event, "name"));
    const char *status = clm_json_text(clm_json_get(event, "status"));

    (void)arg;
    if (name != NULL && status != NULL) {
        (void)fprintf(stderr, "  %-16s %s\n", name, status);
    }
}

static enum clm_code open_link(const struct clm_config *config, struct clm_link **out,
                               struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/host.sock", config->run_dir);

    if (code == CLM_OK) {
        code = clm_link_connect(path, out, err);
    }
    if (code != CLM_E_NOTFOUND && code != CLM_E_NET) {
        return code;
    }
    if (geteuid() != 0) {
        return clm_err_set(err, CLM_E_PERM,
                           "the agent does not run and only root may do this without it");
    }
    return clm_link_spawn(NULL, config->path, out, err);
}

/* Without memory for its answer the host half says that alone, whatever it has done before. */
static bool is_lost(const struct clm_fail *fail)
{
    return fail->code == CLM_OK || (fail->code == CLM_E_NOMEM && fail->hint[0] == '\0');
}

enum clm_code clm_hostlink_call(const struct clm_config *config, const struct clm_hostlink_ask *ask,
                                struct clm_json **out_reply, struct clm_fail *fail,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_link_free_p) struct clm_link *link = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *hello = clm_json_new_object();
    const struct clm_link_handlers handlers = {
        .on_probe = on_probe,
        .on_event = ask->on_event != NULL                    ? ask->on_event
                    : ask->progress && isatty(STDERR_FILENO) ? on_event
                                                             : NULL,
        .arg = ask->arg,
    };
    enum clm_code code = open_link(config, &link, err);

    *fail = (struct clm_fail){.code = CLM_OK};
    if (code != CLM_OK) {
        return code;
    }
    clm_link_set_handlers(link, &handlers);
    /* hello first: it finishes or undoes what a crash left, so that what follows is true */
    clm_json_set_int(hello, "v", 1);
    clm_json_set_str(hello, "version", CLM_VERSION);
    clm_json_set_str(hello, "boot_id", "local");
    code = clm_link_call(link, CLM_OP_HELLO, hello, NULL, fail, err);
    if (code == CLM_OK) {
        code = clm_link_call(link, ask->op, ask->body, out_reply, fail, err);
        if (code != CLM_OK && is_lost(fail) && ask->lost_hint != NULL) {
            (void)snprintf(fail->hint, sizeof(fail->hint), "%s", ask->lost_hint);
        }
    }
    if (fail->code == CLM_OK && (code == CLM_E_NET || code == CLM_E_TIMEOUT)) {
        code = CLM_E_IO; /* to commands those two are of the control plane */
        if (err != NULL) {
            err->code = code;
        }
    }
    return code;
}
