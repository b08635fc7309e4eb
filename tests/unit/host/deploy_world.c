/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/host/deploy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/base/fs.h"
#include "agent/crypto/csr.h"
#include "tests/support/host_tree.h"

static const struct root_io_program programs[] = {
    {"/usr/sbin/nginx -V", 0,
     "nginx version: nginx/1.22.1\nconfigure arguments: "
     "--conf-path=/etc/nginx/nginx.conf --prefix=/usr/share/nginx\n"},
    {NULL, 0, NULL},
};

static const struct clm_unit units[] = {
    {.name = "nginx.service", .state = CLM_UNIT_ACTIVE, .main_pid = 20}};

/* ---- an io of three parts ---- */

static struct root_io *files_of(struct deploy_world *w, const char *path)
{
    return strncmp(path, w->dir, strlen(w->dir)) == 0 ? &w->real : &w->host->io;
}

static enum clm_code read_file(void *ctx, const char *path, size_t max, struct clm_buf *out,
                               struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->tree.read_file(files_of(w, path), path, max, out, err);
}

static enum clm_code stat_file(void *ctx, const char *path, bool follow, struct clm_stat *out,
                               struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->tree.stat(files_of(w, path), path, follow, out, err);
}

static enum clm_code read_link(void *ctx, const char *path, char *dst, size_t size,
                               struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->tree.read_link(files_of(w, path), path, dst, size, err);
}

static enum clm_code list_dir(void *ctx, const char *path, clm_io_dir_fn visit, void *arg,
                              struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->tree.list_dir(files_of(w, path), path, visit, arg, err);
}

static enum clm_code ask(void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
                         struct clm_buf *output, struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->tree.ask(w->tree.ctx, argv, timeout_ms, out_status, output, err);
}

static enum clm_code run(void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
                         struct clm_buf *output, struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->server.io.run(w->server.io.ctx, argv, timeout_ms, out_status, output, err);
}

static enum clm_code unit_list(void *ctx, clm_io_unit_fn visit, void *arg, struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->tree.unit_list(w->tree.ctx, visit, arg, err);
}

static enum clm_code unit_state(void *ctx, const char *name, struct clm_unit *out,
                                struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->tree.unit_state(w->tree.ctx, name, out, err);
}

static enum clm_code unit_reload(void *ctx, const char *name, uint32_t timeout_ms,
                                 struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->server.io.unit_reload(w->server.io.ctx, name, timeout_ms, err);
}

static enum clm_code listening(void *ctx, clm_io_listening_fn visit, void *arg, struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->tree.listening(w->tree.ctx, visit, arg, err);
}

static enum clm_code probe(void *ctx, const struct clm_endpoint *endpoint,
                           struct clm_observation *out, struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->server.io.probe(w->server.io.ctx, endpoint, out, err);
}

static int64_t now_s(void *ctx)
{
    struct deploy_world *w = ctx;

    return w->tree.now_s(w->tree.ctx) + w->server.skew_s;
}

static int64_t mono_ms(void *ctx)
{
    struct deploy_world *w = ctx;

    return w->server.io.mono_ms(w->server.io.ctx);
}

static void sleep_ms(void *ctx, int64_t ms)
{
    struct deploy_world *w = ctx;

    w->server.io.sleep_ms(w->server.io.ctx, ms);
}

/* ---- the world ---- */

static void put_file(const struct deploy_world *w, const char *name, const struct clm_buf *data)
{
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    assert_int_equal(clm_fs_replace(path, data->data, data->len, 0600, NULL), CLM_OK);
}

static void make_tree(struct deploy_world *w)
{
    static const struct host_socket sockets[] = {{"00000000", 443, 7, 0}};
    const char *tree = w->host->tree;
    char conf[2 * PATH_MAX + 512];

    (void)snprintf(conf, sizeof(conf),
                   "events {}\nhttp { server { listen 443 ssl; server_name www.example.com;\n"
                   "ssl_certificate %s/www.pem; ssl_certificate_key %s/www.key; } }\n",
                   w->dir, w->dir);
    root_io_text(tree, "/etc/nginx/nginx.conf", conf);
    root_io_text(tree, "/usr/sbin/nginx", "");
    host_tree_process(tree, &(struct host_process){.pid = 20,
                                                   .parent = 1,
                                                   .start = 9,
                                                   .comm = "nginx",
                                                   .exe = "/usr/sbin/nginx",
                                                   .cmdline = "nginx: master process",
                                                   .unit = "nginx.service",
                                                   .sockets = {7}});
    host_tree_sockets(tree, 20, sockets, 1);
}

static void make_server(struct deploy_world *w)
{
    char cert[PATH_MAX + 16];
    char key[PATH_MAX + 16];
    char served[PATH_MAX + 16];

    (void)snprintf(cert, sizeof(cert), "%s/www.pem", w->dir);
    (void)snprintf(key, sizeof(key), "%s/www.key", w->dir);
    (void)snprintf(served, sizeof(served), "%s/served", w->dir);
    clm_test_leaf_make(w->host->ca, "www.example.com", CLM_TEST_GOOD, &w->old_leaf);
    put_file(w, "www.pem", &w->old_leaf.full_pem);
    put_file(w, "www.key", &w->old_leaf.key_pem);
    fake_io_init(&w->server, cert, key, served);
    fake_io_start(&w->server);
}

struct deploy_world *deploy_world_new(void)
{
    struct deploy_world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->host = host_world_new();
    root_io_temp(w->dir);
    root_io_init(&w->real, "/");
    w->tree = w->host->io.io;
    w->host->io.programs = programs;
    w->host->io.has_systemd = true;
    w->host->io.units = units;
    w->host->io.n_units = CLM_ARRAY_LEN(units);
    w->host->io.io = (struct clm_io){.ctx = w,
                                     .policy = &w->host->config.policy,
                                     .read_file = read_file,
                                     .stat = stat_file,
                                     .read_link = read_link,
                                     .list_dir = list_dir,
                                     .ask = ask,
                                     .run = run,
                                     .unit_list = unit_list,
                                     .unit_state = unit_state,
                                     .unit_reload = unit_reload,
                                     .listening = listening,
                                     .probe = probe,
                                     .now_s = now_s,
                                     .mono_ms = mono_ms,
                                     .sleep_ms = sleep_ms};
    w->host->config.policy.deploys_per_target_per_day = 100;
    w->host->config.policy.orders_per_day = 100;
    assert_int_equal(clm_strs_add(&w->host->config.policy.write_roots, w->dir, NULL), CLM_OK);
    make_tree(w);
    make_server(w);
    return w;
}

void deploy_world_free(struct deploy_world *w)
{
    clm_test_leaf_done(&w->old_leaf);
    root_io_remove(w->dir);
    host_world_free(w->host);
    free(w);
}

int deploy_world_setup(void **state)
{
    *state = deploy_world_new();
    return 0;
}

int deploy_world_teardown(void **state)
{
    deploy_world_free(*state);
    return 0;
}

/* ---- asking ---- */

struct clm_json *deploy_world_body(const char *text)
{
    struct clm_json *body = NULL;
    struct clm_err err = {0};
    char *copy = strdup(text);

    assert_non_null(copy);
    for (char *p = copy; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    if (clm_json_parse(copy, strlen(copy), CLM_JSON_TEXT_MAX, &body, &err) != CLM_OK) {
        fail_msg("%s: %s", copy, err.msg);
    }
    free(copy);
    return body;
}

enum clm_code deploy_world_ask(struct deploy_world *w, enum clm_op op, const char *text,
                               struct clm_json **out_reply)
{
    return host_world_ask(w->host, op, deploy_world_body(text), out_reply);
}

void deploy_world_refused(struct deploy_world *w, enum clm_op op, const char *text,
                          const char *problem, const char *says)
{
    if (deploy_world_ask(w, op, text, NULL) == CLM_OK) {
        fail_msg("%s %s: done, not refused", clm_op_name(op), text);
    }
    if (strcmp(w->host->fail.problem, problem) != 0 || strstr(w->host->err.msg, says) == NULL) {
        fail_msg("%s %s: %s '%s', expected %s '%s'", clm_op_name(op), text, w->host->fail.problem,
                 w->host->err.msg, problem, says);
    }
}

const char *deploy_world_text(const struct clm_json *reply, const char *outer, const char *inner)
{
    const char *text = clm_json_text(clm_json_get(clm_json_get(reply, outer), inner));

    return text != NULL ? text : "";
}

static char *text_of(const struct clm_json *body)
{
    struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    char *copy;

    assert_int_equal(clm_json_print(body, false, &text, NULL), CLM_OK);
    copy = strdup(clm_buf_str(&text));
    assert_non_null(copy);
    clm_buf_done(&text);
    return copy;
}

void deploy_world_order(struct deploy_world *w, const char *on_issue, bool put,
                        struct deploy_order *out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    struct clm_json *body = clm_json_new_object();
    struct clm_json *reply = NULL;
    char text[512];
    char path[2 * PATH_MAX];
    struct clm_bundle bundle;

    *out = (struct deploy_order){.leaf = {.key = NULL}};
    (void)snprintf(text, sizeof(text),
                   "{\"certificate_id\":\"" CRT "\",\"sans\":{\"dns\":[\"www.example.com\"]},"
                   "\"key\":{\"type\":\"ec-p256\"},\"on_issue\":\"%s\"}",
                   on_issue);
    host_world_accept(w->host, "order", SITE, ++w->seq, text, out->job_id);
    clm_json_set_str(body, "job_id", out->job_id);
    if (host_world_ask(w->host, CLM_OP_CSR, body, &reply) != CLM_OK) {
        fail_msg("csr: %s", w->host->err.msg);
    }
    (void)snprintf(out->key_ref, sizeof(out->key_ref), "%s",
                   clm_json_text(clm_json_get(reply, "key_ref")));
    clm_json_free(reply);
    (void)snprintf(path, sizeof(path), "%s/host/keys/%s/key.pem", w->host->state_dir, out->key_ref);
    assert_int_equal(clm_fs_read(path, CLM_KEY_PEM_MAX - 1, &pem, NULL), CLM_OK);
    assert_int_equal(clm_key_from_pem(pem.data, pem.len, &key, NULL), CLM_OK);
    clm_test_leaf_for_key(w->host->ca, "www.example.com", key, &out->leaf);
    clm_test_leaf_bundle(&out->leaf, &bundle);
    memcpy(out->sha256, bundle.leaf.sha256, sizeof(out->sha256));
    clm_bundle_done(&bundle);
    if (put) {
        body = clm_json_new_object();
        clm_json_set_str(body, "job_id", out->job_id);
        clm_json_set_str(body, "chain_pem", clm_buf_str(&out->leaf.full_pem));
        if (host_world_ask(w->host, CLM_OP_CERT_PUT, body, NULL) != CLM_OK) {
            fail_msg("cert_put: %s", w->host->err.msg);
        }
    }
}

char *deploy_world_spec(const struct deploy_order *order, const char *extra)
{
    struct clm_json *spec = clm_json_new_object();
    char *text;
    char *full;
    size_t size;

    clm_json_set_str(spec, "certificate_id", CRT);
    clm_json_set_str(spec, "sha256", order->sha256);
    clm_json_set_str(spec, "chain_pem", clm_buf_str(&order->leaf.full_pem));
    clm_json_set_str(spec, "key_ref", order->key_ref);
    text = text_of(spec);
    clm_json_free(spec);
    size = strlen(text) + strlen(extra) + 2;
    full = calloc(1, size);
    assert_non_null(full);
    (void)snprintf(full, size, "%.*s%s}", (int)strlen(text) - 1, text, extra);
    for (char *p = full + strlen(text) - 1; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    free(text);
    return full;
}

enum clm_code deploy_world_job(struct deploy_world *w, const char *type, enum clm_op op,
                               const char *spec, struct clm_json **out_reply)
{
    struct clm_json *body = clm_json_new_object();
    char job_id[CLM_ID_SIZE];

    host_world_accept(w->host, type, SITE, ++w->seq, spec, job_id);
    clm_json_set_str(body, "job_id", job_id);
    return host_world_ask(w->host, op, body, out_reply);
}

void deploy_world_in_file(const struct deploy_world *w, char dst[CLM_SHA256_HEX_SIZE])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/www.pem", w->dir);
    assert_int_equal(clm_fs_read(path, 65535, &pem, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_cert_info(chain, 0, &info, NULL), CLM_OK);
    memcpy(dst, info.sha256, CLM_SHA256_HEX_SIZE);
}
