/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/base/dirlock.h"
#include "agent/base/fs.h"
#include "agent/base/log.h"
#include "controlplane/listener.h"
#include "controlplane/peer.h"
#include "controlplane/server.h"
#include "controlplane/sock.h"

#define EXPIRE_TICK_MS 200 /* a held request ends at most this late */
#define TOKEN_BYTES    32

struct plane {
    struct clm_cp cp;
    char dir[PATH_MAX];
    int lock_fd;
    struct clm_buf cert_pem;
    struct clm_buf key_pem;
    struct clm_cp_listener_state *agent;
    struct clm_cp_listener_state *operators;
};

/* ---- opening ---- */

static enum clm_code make_dir(const char *given, char *dir, struct clm_err *err)
{
    struct stat st;

    if (mkdir(given, 0700) != 0 && errno != EEXIST) {
        return clm_err_sys(err, errno, "create '%s'", given);
    }
    if (realpath(given, dir) == NULL || stat(dir, &st) != 0) {
        return clm_err_sys(err, errno, "'%s'", given);
    }
    if ((st.st_mode & 0077) != 0) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "'%s' may be entered by others: it holds keys, make it mode 0700", dir);
    }
    return CLM_OK;
}

static enum clm_code load_token(const char *path, char *dst, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(128);
    enum clm_code code = clm_fs_read(path, 128, &text, err);

    while (code == CLM_OK && text.len > 0 && text.data[text.len - 1] == '\n') {
        text.data[--text.len] = '\0';
    }
    if (code == CLM_OK && text.len < 32) {
        return clm_err_set(err, CLM_E_CONFIG, "'%s' is too short: remove it and a new one is made",
                           path);
    }
    return code == CLM_OK ? clm_str_copy(dst, CLM_CP_OPERATOR_TOKEN_SIZE, clm_buf_str(&text), err)
                          : code;
}

static enum clm_code make_token(struct plane *plane, const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(128);
    uint8_t bytes[TOKEN_BYTES];
    enum clm_code code = clm_rng_fill(plane->cp.pki->rng, bytes, sizeof(bytes), err);

    if (code == CLM_OK) {
        code = clm_b64url_encode(bytes, sizeof(bytes), &text, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(plane->cp.operator_token, sizeof(plane->cp.operator_token),
                            clm_buf_str(&text), err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(&text, "\n", err);
    }
    if (code == CLM_OK) {
        code = clm_fs_replace(path, text.data, text.len, 0600, err);
    }
    if (code == CLM_OK) {
        clm_log_notice("the operator's token is in '%s'", path);
    }
    return code;
}

static enum clm_code open_token(struct plane *plane, struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/operator.token", plane->dir);

    if (code != CLM_OK) {
        return code;
    }
    return clm_fs_exists(path) != 0 ? load_token(path, plane->cp.operator_token, err)
                                    : make_token(plane, path, err);
}

static enum clm_code open_conf(struct plane *plane, const struct clm_cp_serve_opts *opts,
                               struct clm_err *err)
{
    enum clm_code code = clm_cp_conf_init(&plane->cp.conf, err);

    if (code == CLM_OK && opts->config != NULL) {
        code = clm_cp_conf_load(&plane->cp.conf, opts->config, err);
    }
    return code;
}

static enum clm_code open_state(struct plane *plane, struct clm_err *err)
{
    struct clm_cp *cp = &plane->cp;
    enum clm_code code = clm_cp_pki_open(plane->dir, clm_clock_now_s(), &cp->pki, err);

    if (code == CLM_OK) {
        code = clm_cp_db_open(plane->dir, &cp->db, err);
    }
    if (code == CLM_OK) {
        code = open_token(plane, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_hub_new(clm_cp_listener_suspend, clm_cp_listener_resume, &cp->hub, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_limits_new(&cp->limits, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_nonces_new(&cp->nonces, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_peer_trust_new(cp->pki, &cp->peer_trust, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_worker_start(plane->dir, &cp->conf, cp->hub, &cp->worker, err);
    }
    return code;
}

/* ---- listening ---- */

static enum clm_code start_listeners(struct plane *plane, const struct clm_cp_serve_opts *opts,
                                     struct clm_err *err)
{
    struct clm_cp *cp = &plane->cp;
    enum clm_code code = clm_cp_pki_server_cert(cp->pki, opts->names, clm_clock_now_s(),
                                                &plane->cert_pem, &plane->key_pem, err);

    if (code != CLM_OK) {
        return code;
    }
    bool plain = clm_cp_sock_is_loopback(opts->operator_listen);
    const struct clm_cp_listen agent = {
        .api = CLM_CP_AGENT_API,
        .address = opts->listen,
        .cert_pem = plane->cert_pem.data,
        .key_pem = plane->key_pem.data,
        .client_ca_pem = cp->pki->agent_ca.pem.data,
    };
    const struct clm_cp_listen operators = {
        .api = CLM_CP_OPERATOR_API,
        .address = opts->operator_listen,
        .cert_pem = plain ? NULL : plane->cert_pem.data,
        .key_pem = plain ? NULL : plane->key_pem.data,
    };

    code = clm_cp_listener_start(cp, &agent, &plane->agent, err);
    if (code == CLM_OK) {
        code = clm_cp_listener_start(cp, &operators, &plane->operators, err);
    }
    return code;
}

/* A URL that works from this machine: nobody connects to 0.0.0.0, and no certificate names it. */
static enum clm_code local_url(const char *bound, char *dst, size_t size, struct clm_err *err)
{
    const char *host = strstr(bound, "//") + 2;
    const char *port = strrchr(bound, ':');
    int scheme_len = (int)(host - bound);

    if (clm_str_starts(host, "0.0.0.0:")) {
        return clm_str_fmt(dst, size, err, "%.*s127.0.0.1%s", scheme_len, bound, port);
    }
    if (clm_str_starts(host, "[::]:")) {
        return clm_str_fmt(dst, size, err, "%.*s[::1]%s", scheme_len, bound, port);
    }
    return clm_str_copy(dst, size, bound, err);
}

/* Join tokens carry the first --name, if there is one: agents come from elsewhere. */
static enum clm_code set_urls(struct plane *plane, const struct clm_cp_serve_opts *opts,
                              struct clm_err *err)
{
    struct clm_cp *cp = &plane->cp;
    const char *bound = clm_cp_listener_url(plane->agent);
    enum clm_code code = local_url(clm_cp_listener_url(plane->operators), cp->operator_url,
                                   sizeof(cp->operator_url), err);

    if (code != CLM_OK) {
        return code;
    }
    if (opts->names->n > 0) {
        const char *name = opts->names->v[0];

        return clm_str_fmt(cp->agent_url, sizeof(cp->agent_url), err,
                           strchr(name, ':') != NULL ? "https://[%s]%s" : "https://%s%s", name,
                           strrchr(bound, ':'));
    }
    code = local_url(bound, cp->agent_url, sizeof(cp->agent_url), err);
    if (code == CLM_OK && strcmp(cp->agent_url, bound) != 0) {
        clm_log_warning("join tokens will carry %s, which other hosts cannot reach: say --name",
                        cp->agent_url);
    }
    return code;
}

static enum clm_code write_url(const struct plane *plane, struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/operator.url", plane->dir);

    return code == CLM_OK ? clm_fs_replace(path, plane->cp.operator_url,
                                           strlen(plane->cp.operator_url), 0600, err)
                          : code;
}

static enum clm_code announce(const struct plane *plane, const struct clm_cp_serve_opts *opts,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    const char *agent = clm_cp_listener_url(plane->agent);
    const char *operators = clm_cp_listener_url(plane->operators);

    if (!opts->json) {
        (void)printf("agents:    %s\noperators: %s (token in %s/operator.token)\n", agent,
                     operators, plane->dir);
        (void)fflush(stdout);
        return CLM_OK;
    }
    clm_json_set_str(obj, "event", "listening");
    clm_json_set_str(obj, "agent", agent);
    clm_json_set_str(obj, "operator", operators);
    enum clm_code code = clm_json_print(obj, false, &text, err);

    if (code == CLM_OK) {
        (void)printf("%s\n", clm_buf_str(&text));
        (void)fflush(stdout);
    }
    return code;
}

/* ---- the life of it ---- */

/* A held request is a connection, and a connection is a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void block_signals(sigset_t *out_set)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(out_set);
    (void)sigaddset(out_set, SIGTERM);
    (void)sigaddset(out_set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, out_set, NULL);
}

/* Until a signal: ends held requests whose time is over. */
static void wait_for_end(struct plane *plane, const sigset_t *set)
{
    const struct timespec tick = {.tv_nsec = EXPIRE_TICK_MS * 1000000L};

    while (sigtimedwait(set, NULL, &tick) < 0) {
        (void)clm_cp_hub_expire(plane->cp.hub, clm_clock_mono_ms());
    }
    clm_log_notice("stopping");
}

static void plane_done(struct plane *plane)
{
    struct clm_cp *cp = &plane->cp;

    if (cp->hub != NULL) {
        clm_cp_hub_close(cp->hub);
    }
    clm_cp_listener_stop(plane->agent);
    clm_cp_listener_stop(plane->operators);
    clm_cp_worker_stop(cp->worker);
    clm_cp_peer_trust_free(cp->peer_trust);
    clm_cp_nonces_free(cp->nonces);
    clm_cp_limits_free(cp->limits);
    clm_cp_hub_free(cp->hub);
    clm_cp_db_free(cp->db);
    clm_cp_pki_free(cp->pki);
    clm_cp_conf_done(&cp->conf);
    clm_buf_done(&plane->cert_pem);
    clm_buf_done(&plane->key_pem);
    clm_fs_close_p(&plane->lock_fd);
    (void)pthread_mutex_destroy(&cp->lock);
}

static enum clm_code plane_open(struct plane *plane, const struct clm_cp_serve_opts *opts,
                                struct clm_err *err)
{
    enum clm_code code = open_conf(plane, opts, err);

    if (code == CLM_OK) {
        code = make_dir(opts->dir, plane->dir, err);
    }
    if (code == CLM_OK) {
        code = clm_dirlock_take(plane->dir, 0, &plane->lock_fd, err);
    }
    if (code == CLM_OK) {
        code = open_state(plane, err);
    }
    if (code == CLM_OK) {
        code = start_listeners(plane, opts, err);
    }
    if (code == CLM_OK) { /* requests may be coming in already */
        (void)pthread_mutex_lock(&plane->cp.lock);
        code = set_urls(plane, opts, err);
        (void)pthread_mutex_unlock(&plane->cp.lock);
    }
    if (code == CLM_OK) {
        code = write_url(plane, err);
    }
    return code == CLM_OK ? announce(plane, opts, err) : code;
}

enum clm_code clm_cp_serve(const struct clm_cp_serve_opts *opts, struct clm_err *err)
{
    sigset_t signals;
    struct plane *plane = calloc(1, sizeof(*plane));

    if (plane == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "control plane");
    }
    plane->lock_fd = -1;
    plane->cert_pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    plane->key_pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    plane->cp.fault_path = opts->fault;
    (void)pthread_mutex_init(&plane->cp.lock, NULL);
    (void)umask(0077); /* the database holds secrets of join tokens */
    raise_descriptor_limit();
    block_signals(&signals);
    enum clm_code code = plane_open(plane, opts, err);

    if (code == CLM_OK) {
        wait_for_end(plane, &signals);
    }
    plane_done(plane);
    free(plane);
    return code;
}
