/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "tests/support/pair.h"

#define OTHER_LEAF "00000000000000000000000000000000000000000000000000000000000000ff"
#define FILE_LIMIT 262144u
#define SLOW_MS    20000 /* of a restart */

/* ---- the server ---- */

static void remember(const struct fake_io *self, const char *sha256)
{
    int fd = open(self->served_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, sha256, strlen(sha256)) != (ssize_t)strlen(sha256) || close(fd) != 0) {
        perror(self->served_path);
        abort();
    }
}

void fake_io_served(const struct fake_io *self, char *dst)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_SHA256_HEX_SIZE);

    dst[0] = '\0';
    if (clm_fs_read(self->served_path, CLM_SHA256_HEX_SIZE - 1, &text, NULL) == CLM_OK) {
        memcpy(dst, clm_buf_str(&text), text.len + 1);
    }
}

/* What a server does with its two files. */
static enum clm_code read_pair(const struct fake_io *self, char *sha256, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf cert = CLM_BUF_INIT(FILE_LIMIT);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_pem = CLM_BUF_SECRET_INIT(FILE_LIMIT);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {0};
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    enum clm_code code = clm_fs_read(self->cert_path, FILE_LIMIT, &cert, err);

    if (code == CLM_OK) {
        code = clm_fs_read(self->key_path, FILE_LIMIT, &key_pem, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(cert.data, cert.len, &chain, err);
    }
    if (code == CLM_OK) {
        code = clm_key_from_pem(key_pem.data, key_pem.len, &key, err);
    }
    if (code == CLM_OK && !is_pair(chain, 0, key)) {
        code = clm_err_set(err, CLM_E_REMOTE, "key values mismatch");
    }
    if (code == CLM_OK) {
        code = clm_cert_info(chain, 0, &info, err);
    }
    if (code == CLM_OK) {
        memcpy(sha256, info.sha256, CLM_SHA256_HEX_SIZE);
    }
    return code;
}

void fake_io_start(struct fake_io *self)
{
    struct clm_err err = {0};

    if (read_pair(self, self->first_sha256, &err) != CLM_OK) {
        (void)fprintf(stderr, "the fake server does not start: %s\n", err.msg);
        abort();
    }
    remember(self, self->first_sha256);
}

static bool reload_fails(const struct fake_io *self)
{
    return self->fail_reloads < 0 || self->reloads <= (unsigned)self->fail_reloads ||
           (self->fail_reloads_after > 0 && self->reloads > (unsigned)self->fail_reloads_after);
}

static enum clm_code reload(struct fake_io *self, struct clm_err *err)
{
    char sha256[CLM_SHA256_HEX_SIZE];
    enum clm_code code;

    if (reload_fails(self)) {
        return clm_err_set(err, CLM_E_REMOTE, "the fake server refused to reload");
    }
    if (self->reload_does_nothing) {
        return CLM_OK;
    }
    sha256[0] = '\0';
    code = read_pair(self, sha256, err);
    if (code != CLM_OK && !(self->missing_is_fine && code == CLM_E_NOTFOUND)) {
        return code; /* as nginx: the old workers go on */
    }
    fake_io_served(self, self->before_sha256);
    self->reloaded_at_ms = self->now_ms;
    remember(self, sha256);
    return CLM_OK;
}

static enum clm_code unit_reload(void *ctx, const char *name, uint32_t timeout_ms,
                                 struct clm_err *err)
{
    struct fake_io *self = ctx;

    (void)name;
    (void)timeout_ms;
    self->reloads++;
    return reload(self, err);
}

static enum clm_code signal_process(void *ctx, int32_t pid, uint64_t start_ticks, int signo,
                                    struct clm_err *err)
{
    struct fake_io *self = ctx;

    (void)pid;
    (void)start_ticks;
    (void)signo;
    self->signals++;
    self->reloads++;
    return reload(self, err);
}

static enum clm_code unit_state(void *ctx, const char *name, struct clm_unit *out,
                                struct clm_err *err)
{
    const struct fake_io *self = ctx;

    if (self->unit_is_not_loaded) {
        return clm_err_set(err, CLM_E_NOTFOUND, "no such unit");
    }
    memset(out, 0, sizeof(*out));
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
    out->state = self->unit_state_is;
    return CLM_OK;
}

/* ---- handshakes ---- */

static void choose_leaf(const struct fake_io *self, const struct clm_endpoint *endpoint, char *dst)
{
    fake_io_served(self, dst);
    if (self->breaks_on_new && strcmp(dst, self->first_sha256) != 0) {
        dst[0] = '\0';
        return;
    }
    if (self->other_sha256 != NULL && strcmp(dst, self->first_sha256) != 0) {
        memcpy(dst, self->other_sha256, CLM_SHA256_HEX_SIZE);
    }
    if (self->reloaded_at_ms >= 0 && self->now_ms < self->reloaded_at_ms + self->old_for_ms) {
        memcpy(dst, self->before_sha256, CLM_SHA256_HEX_SIZE);
    }
    if (endpoint->port == self->lagging_port) {
        memcpy(dst, self->first_sha256, CLM_SHA256_HEX_SIZE);
    }
    if (endpoint->port == self->shadowed_port) {
        memcpy(dst, OTHER_LEAF, CLM_SHA256_HEX_SIZE);
    }
}

static enum clm_code probe(void *ctx, const struct clm_endpoint *endpoint,
                           struct clm_observation *out, struct clm_err *err)
{
    struct fake_io *self = ctx;

    self->probes++;
    self->now_ms += 2;
    if (self->on_probe != NULL) {
        self->on_probe(self);
    }
    if (self->probe_error != CLM_OK) {
        return clm_err_set(err, self->probe_error, "nobody to make a handshake");
    }
    memset(out, 0, sizeof(*out));
    out->at_ms = (FAKE_IO_NOW_S + self->skew_s) * 1000 + self->now_ms;
    if (endpoint->port == self->dead_port) {
        out->result = CLM_PROBE_REFUSED;
        return CLM_OK;
    }
    choose_leaf(self, endpoint, out->leaf_sha256);
    if (self->restart_is_slow && self->restarts > 0 &&
        self->now_ms < self->reloaded_at_ms + SLOW_MS) {
        out->leaf_sha256[0] = '\0';
        out->result = CLM_PROBE_REFUSED;
        return CLM_OK;
    }
    out->result = out->leaf_sha256[0] != '\0' ? CLM_PROBE_SERVED : CLM_PROBE_TLS_FAILED;
    if (out->result == CLM_PROBE_TLS_FAILED && self->probe_detail != NULL) {
        (void)snprintf(out->detail, sizeof(out->detail), "%s", self->probe_detail);
    }
    memcpy(out->spki_sha256, out->leaf_sha256, sizeof(out->spki_sha256));
    out->not_after_s = FAKE_IO_NOW_S;
    out->chain_len = out->result == CLM_PROBE_SERVED ? 2 : 0;
    return CLM_OK;
}

/* ---- the rest ---- */

static enum clm_code run(void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
                         struct clm_buf *output, struct clm_err *err)
{
    struct fake_io *self = ctx;

    (void)argv;
    (void)timeout_ms;
    self->runs++;
    if (self->on_run != NULL) {
        self->on_run(self);
    }
    if (self->run_error != CLM_OK) {
        return clm_err_set(err, self->run_error, "the fake program cannot be run");
    }
    *out_status = self->runs > 1 ? self->post_check_status : self->check_status;
    return clm_buf_add_str(output,
                           self->run_output != NULL
                               ? self->run_output
                               : "fake: in a.conf:\nfake: testing\nfake: said \033[1mso\n",
                           err);
}

static enum clm_code unit_restart(void *ctx, const char *name, uint32_t timeout_ms,
                                  struct clm_err *err)
{
    struct fake_io *self = ctx;

    (void)name;
    (void)timeout_ms;
    self->restarts++;
    self->reloads++;
    return reload(self, err);
}

static enum clm_code run_env(void *ctx, const struct clm_program *program, int *out_status,
                             struct clm_buf *output, struct clm_err *err)
{
    const char *const *env = program->env;
    struct fake_io *self = ctx;

    self->hooks++;
    memset(self->hook_env, 0, sizeof(self->hook_env));
    for (size_t i = 0; env[i] != NULL && i < CLM_ARRAY_LEN(self->hook_env); i++) {
        (void)snprintf(self->hook_env[i], sizeof(self->hook_env[i]), "%s", env[i]);
    }
    *out_status = self->hook_status;
    if (self->hook_status != 0) {
        return clm_buf_add_str(output, "the hook is not amused\n", err);
    }
    self->reloads++;
    return reload(self, err);
}

static enum clm_code http(void *ctx, const struct clm_http_request *request,
                          struct clm_http_response *out, struct clm_err *err)
{
    struct fake_io *self = ctx;
    enum clm_code code;

    self->requests++;
    if (self->http_error != CLM_OK) {
        return clm_err_set(err, self->http_error, "nobody listens there");
    }
    *out = (struct clm_http_response){.status = self->http_status,
                                      .body = CLM_BUF_INIT(request->response_max)};
    (void)snprintf(self->authorization, sizeof(self->authorization), "%s", request->headers[0]);
    code = clm_buf_add_str(&out->body, self->http_body, err);
    if (code == CLM_OK && self->http_status == 200 && strncmp(self->http_body, "OK", 2) == 0) {
        self->reloads++;
        code = reload(self, err);
    }
    return code;
}

static enum clm_code stat_path(void *ctx, const char *path, bool follow, struct clm_stat *out,
                               struct clm_err *err)
{
    struct stat st;

    (void)ctx;
    if ((follow ? stat(path, &st) : lstat(path, &st)) != 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "'%s' is not there", path);
    }
    *out = (struct clm_stat){.kind = S_ISREG(st.st_mode)   ? CLM_FILE_REGULAR
                                     : S_ISDIR(st.st_mode) ? CLM_FILE_DIRECTORY
                                     : S_ISLNK(st.st_mode) ? CLM_FILE_SYMLINK
                                                           : CLM_FILE_OTHER,
                             .mode = st.st_mode & 07777u,
                             .uid = st.st_uid,
                             .gid = st.st_gid};
    return CLM_OK;
}

static enum clm_code read_link(void *ctx, const char *path, char *dst, size_t size,
                               struct clm_err *err)
{
    ssize_t n = readlink(path, dst, size - 1);

    (void)ctx;
    if (n < 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "'%s' is no link", path);
    }
    dst[n] = '\0';
    return CLM_OK;
}

static int64_t now_s(void *ctx)
{
    const struct fake_io *self = ctx;

    return FAKE_IO_NOW_S + self->skew_s + self->now_ms / 1000;
}

static int64_t mono_ms(void *ctx)
{
    const struct fake_io *self = ctx;

    return self->now_ms;
}

static void sleep_ms(void *ctx, int64_t ms)
{
    struct fake_io *self = ctx;

    self->now_ms += ms;
}

void fake_io_init(struct fake_io *self, const char *cert_path, const char *key_path,
                  const char *served_path)
{
    memset(self, 0, sizeof(*self));
    (void)snprintf(self->cert_path, sizeof(self->cert_path), "%s", cert_path);
    (void)snprintf(self->key_path, sizeof(self->key_path), "%s", key_path);
    (void)snprintf(self->served_path, sizeof(self->served_path), "%s", served_path);
    self->unit_state_is = CLM_UNIT_ACTIVE;
    self->reloaded_at_ms = -1;
    self->http_status = 200;
    self->http_body = "OK - Reloaded TLS configuration for all TLS virtual hosts";
    self->now_ms = 1000;
    self->io = (struct clm_io){
        .ctx = self,
        .run = run,
        .signal = signal_process,
        .unit_state = unit_state,
        .unit_reload = unit_reload,
        .unit_restart = unit_restart,
        .run_env = run_env,
        .http = http,
        .stat = stat_path,
        .read_link = read_link,
        .probe = probe,
        .now_s = now_s,
        .mono_ms = mono_ms,
        .sleep_ms = sleep_ms,
    };
}
