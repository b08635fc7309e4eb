/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/job_child.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/log.h"
#include "agent/model/bundle.h"
#include "agent/net/http.h"
#include "agent/run/enroll.h"
#include "agent/run/files.h"
#include "agent/run/inventory.h"
#include "agent/run/inventory_files.h"
#include "agent/run/job.h"
#include "agent/run/probe.h"
#include "agent/run/sender.h"

struct child {
    const struct clm_config *config;
    char dir[PATH_MAX]; /* of the identity */
    char boot_id[CLM_ULID_SIZE];
    struct clm_identity identity;
    struct clm_api *api;
    struct clm_link *link;
    int stop_fd;
};

static void child_done(struct child *c)
{
    clm_identity_done(&c->identity);
    clm_api_free(c->api);
    clm_link_free(c->link);
    clm_fs_close_p(&c->stop_fd);
}

/* Asked before there is a job, which reads what was signalled. */
static bool is_told_to_stop(void *arg)
{
    const struct child *c = arg;
    struct pollfd p = {.fd = c->stop_fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static enum clm_code open_link(struct child *c, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    char path[PATH_MAX];

    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/host.sock", c->config->run_dir);
    if (code == CLM_OK) {
        code = clm_link_connect(path, &c->link, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "host half");
    }
    clm_link_set_stop(c->link, is_told_to_stop, c);
    clm_json_set_int(body, "v", 1);
    clm_json_set_str(body, "version", CLM_VERSION);
    clm_json_set_str(body, "boot_id", c->boot_id);
    return clm_link_call(c->link, CLM_OP_HELLO, body, NULL, NULL, err);
}

static enum clm_code open_child(struct child *c, const char *boot_id, struct clm_err *err)
{
    enum clm_code code = clm_net_path(c->config, c->dir, err, "identity");
    if (boot_id == NULL || boot_id[0] == '\0') {
        boot_id = getenv(CLM_JOB_ENV_BOOT);
    }
    if (code == CLM_OK) {
        code = boot_id == NULL || boot_id[0] == '\0'
                   ? clm_ulid_new(c->boot_id, err)
                   : clm_str_copy(c->boot_id, sizeof(c->boot_id), boot_id, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_load(c->dir, &c->identity, err);
    }
    if (code == CLM_OK) {
        code = clm_api_open(c->config, &c->identity, c->boot_id, &c->api, err);
    }
    return code;
}

/* ---- jobs ---- */

static enum clm_code fetch_http(void *ctx, const struct clm_http_request *request,
                                struct clm_http_response *out, struct clm_err *err)
{
    return clm_http_do(ctx, request, out, err);
}

static int run_job(struct child *c, const char *job_id)
{
    CLM_CLEANUP(clm_http_free_p) struct clm_http *plain = NULL;
    const struct clm_http_opts opts = {.allow_http = true, .proxy = ""};
    struct clm_err why = {0};

    enum clm_code code = clm_http_new(&opts, &plain, &why);
    if (code == CLM_OK) {
        code = open_link(c, &why);
    }
    if (code != CLM_OK) {
        clm_log_at(CLM_LOG_WARNING, job_id, NULL, "%s", why.msg);
        return CLM_JOB_EXIT_LATER;
    }
    const struct clm_job_world world = {.config = c->config,
                                        .api = c->api,
                                        .link = c->link,
                                        .fetch = fetch_http,
                                        .fetch_ctx = plain,
                                        .stop_fd = c->stop_fd,
                                        .boot_id = c->boot_id,
                                        .sleep_ms = clm_clock_sleep_ms};
    return clm_job_run(&world, job_id);
}

/* ---- @scan ---- */

static int run_scan(struct child *c)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *summary = NULL;
    struct clm_err why = {0};

    enum clm_code code = open_link(c, &why);
    if (code == CLM_OK) {
        code = clm_inventory_take(c->config, c->link, &summary, &why);
    }
    if (code != CLM_OK) {
        clm_log_warning("scan: %s", why.msg);
        return CLM_JOB_EXIT_LATER;
    }
    code = clm_sender_drain(c->config, c->api, "", &why);
    if (code != CLM_OK) {
        clm_log_info("inventory waits: %s", why.msg);
    }
    code = clm_inventory_files_take(c->config, c->link, c->api, c->boot_id, &why);
    if (code != CLM_OK) {
        clm_log_info("certificate files wait: %s", why.msg);
        return CLM_JOB_EXIT_LATER;
    }
    return CLM_JOB_EXIT_OK;
}

/* ---- @courier ---- */

static enum clm_code recover(struct child *c, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf ca = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_api_free_p) struct clm_api *anonymous = NULL;
    struct clm_api_response answer = {0};

    enum clm_code code = clm_identity_read_ca(c->dir, &ca, err);
    if (code == CLM_OK) {
        code =
            clm_api_open_anonymous(c->config, &c->identity.urls, clm_buf_str(&ca), &anonymous, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_recover(c->dir, anonymous, &c->identity, &answer, err);
    }
    clm_api_response_done(&answer);
    return code;
}

/* The next identity if it is time. */
static enum clm_code renew_if_due(struct child *c, bool now, bool *out_renewed, struct clm_err *err)
{
    int64_t now_s = clm_clock_now_s();
    bool is_expired = now_s >= c->identity.not_after_s;
    enum clm_code code;

    *out_renewed = false;
    if (now_s < c->identity.renew_after_s && !now) {
        return CLM_OK;
    }
    code = is_expired ? recover(c, err)
                      : clm_identity_renew(c->dir, c->api, &c->identity, c->boot_id,
                                           now ? "requested" : "half-life", err);
    if (code == CLM_E_AUTH && !is_expired) {
        code = recover(c, err); /* our clock is behind, or the server's ahead */
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "renewal of this agent's identity");
    }
    clm_log_notice("identity renewed");
    *out_renewed = true;
    return CLM_OK;
}

static int run_courier(struct child *c, bool renew_now)
{
    struct clm_err why = {0};

    bool is_renewed = false;

    enum clm_code code = renew_if_due(c, renew_now, &is_renewed, &why);
    /* The main process is to use the new certificate first: from then on the old one is refused,
     * and it still polls with that. */
    if (code == CLM_OK && !is_renewed) {
        code = clm_sender_drain(c->config, c->api, NULL, &why);
    }
    if (code != CLM_OK) {
        clm_log_warning("%s", why.msg);
    }
    return code == CLM_OK ? CLM_JOB_EXIT_OK : CLM_JOB_EXIT_LATER;
}

int clm_run_job(const struct clm_config *config, const char *job_id, const char *boot_id)
{
    struct child c = {.config = config, .stop_fd = -1};
    struct clm_err why = {0};
    sigset_t set;
    int status = CLM_JOB_EXIT_FAULT;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigaddset(&set, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    c.stop_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (open_child(&c, boot_id, &why) != CLM_OK) {
        clm_log_error("%s", why.msg);
    } else if (strcmp(job_id, CLM_JOB_ID_COURIER) == 0) {
        status = run_courier(&c, false);
    } else if (strcmp(job_id, CLM_JOB_ID_RENEW) == 0) {
        status = run_courier(&c, true);
    } else if (strcmp(job_id, CLM_JOB_ID_SCAN) == 0) {
        status = run_scan(&c);
    } else {
        status = run_job(&c, job_id);
    }
    child_done(&c);
    return status;
}
