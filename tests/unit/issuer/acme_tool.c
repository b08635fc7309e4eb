/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme_tool - one issuance with the ACME client, for tests/e2e/test_acme_client.py
 *
 * acme_tool DIRECTORY_URL CA_PEM STATE_DIR WEBROOT COMMAND [NAME...]
 *   account         prints the account's URL
 *   order NAME...   account, order, challenge files, request; leaves STATE_DIR/order
 *   finish          goes on from STATE_DIR alone, as after a restart; prints the chain
 *   revoke          the chain on standard input
 *
 * Every command is a process of its own: only account key, order URL and request are carried over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/issuer/acme.h"
#include "agent/net/http.h"

#define WAIT_MS 30000

struct tool {
    const char *state;
    const char *webroot;
    struct clm_http *http;
    struct clm_rng *rng;
    struct clm_key *account_key;
    struct clm_acme *acme;
    struct clm_err err;
};

static enum clm_code lent_http(void *ctx, const struct clm_http_request *request,
                               struct clm_http_response *out, struct clm_err *err)
{
    return clm_http_do(ctx, request, out, err);
}

static void path_in(const char *dir, const char *name, char *dst, size_t size)
{
    (void)snprintf(dst, size, "%s/%s", dir, name);
}

static enum clm_code save(const char *dir, const char *name, const void *data, size_t len,
                          struct clm_err *err)
{
    char path[512];

    path_in(dir, name, path, sizeof(path));
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        return clm_err_set(err, CLM_E_IO, "write '%s'", path);
    }
    return CLM_OK;
}

static enum clm_code load(const char *dir, const char *name, struct clm_buf *out,
                          struct clm_err *err)
{
    char path[512];

    path_in(dir, name, path, sizeof(path));
    return clm_fs_read(path, out->max, out, err);
}

/* Loads a key from the state directory or makes it. */
static enum clm_code key_in(struct tool *t, const char *name, struct clm_key **out)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(16384);

    if (load(t->state, name, &pem, NULL) == CLM_OK) {
        return clm_key_from_pem(pem.data, pem.len, out, &t->err);
    }
    enum clm_code code = clm_key_generate(t->rng, CLM_KEY_EC_P256, out, &t->err);
    if (code == CLM_OK) {
        code = clm_key_to_pem(*out, &pem, &t->err);
    }
    return code == CLM_OK ? save(t->state, name, pem.data, pem.len, &t->err) : code;
}

static enum clm_code start(struct tool *t, char **argv)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf ca = CLM_BUF_INIT(65536);
    const struct clm_http_opts http_opts = {.proxy = ""};
    const struct clm_acme_account account = {.agree_terms = true};
    enum clm_code code = clm_rng_new(&t->rng, &t->err);

    if (code == CLM_OK) {
        code = clm_http_new(&http_opts, &t->http, &t->err);
    }
    if (code == CLM_OK) {
        code = clm_fs_read(argv[2], ca.max, &ca, &t->err);
    }
    if (code == CLM_OK) {
        code = key_in(t, "account.key", &t->account_key);
    }
    if (code != CLM_OK) {
        return code;
    }
    const struct clm_io io = {.ctx = t->http, .http = lent_http};
    const struct clm_acme_opts opts = {
        .io = &io,
        .rng = t->rng,
        .key = t->account_key,
        .directory_url = argv[1],
        .ca_pem = clm_buf_str(&ca),
    };
    code = clm_acme_new(&opts, &t->acme, &t->err);
    return code == CLM_OK ? clm_acme_account(t->acme, &account, &t->err) : code;
}

static enum clm_code wait_challenge(struct tool *t, const char *authz)
{
    struct clm_challenge c;
    const int64_t end = clm_clock_mono_ms() + WAIT_MS;

    do {
        enum clm_code code = clm_acme_challenge_http01(t->acme, authz, &c, &t->err);
        if (code != CLM_OK || c.authz_status == CLM_ISSUER_VALID) {
            return code;
        }
        if (c.authz_status == CLM_ISSUER_INVALID) {
            return clm_err_set(&t->err, CLM_E_VERIFY, "'%s': %s (%s)", c.domain, c.problem.detail,
                               c.problem.type);
        }
        clm_clock_sleep_ms(100);
    } while (clm_clock_mono_ms() < end);
    return clm_err_set(&t->err, CLM_E_TIMEOUT, "'%s' is not validated", c.domain);
}

static enum clm_code prove(struct tool *t, const char *authz)
{
    struct clm_challenge c;
    enum clm_code code = clm_acme_challenge_http01(t->acme, authz, &c, &t->err);

    if (code != CLM_OK || c.authz_status == CLM_ISSUER_VALID) {
        return code;
    }
    code = save(t->webroot, c.token, c.key_authorization, strlen(c.key_authorization), &t->err);
    if (code == CLM_OK) {
        code = clm_acme_challenge_ready(t->acme, c.url, &t->err);
    }
    return code == CLM_OK ? wait_challenge(t, authz) : code;
}

static enum clm_code request(struct tool *t, const struct clm_names *names)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    const struct clm_csr_request csr = {.names = names};
    enum clm_code code = key_in(t, "server.key", &key);

    if (code == CLM_OK) {
        code = clm_csr_build(t->rng, key, &csr, &der, &t->err);
    }
    return code == CLM_OK ? save(t->state, "csr", der.data, der.len, &t->err) : code;
}

static enum clm_code cmd_order(struct tool *t, char **argv)
{
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {0}};
    CLM_CLEANUP(clm_order_done) struct clm_order order = {.url = ""};
    enum clm_code code = CLM_OK;

    for (size_t i = 6; code == CLM_OK && argv[i] != NULL; i++) {
        code = clm_names_add_dns(&names, argv[i], &t->err);
    }
    if (code == CLM_OK) {
        code = request(t, &names);
    }
    if (code == CLM_OK) {
        code = clm_acme_order_new(t->acme, &names, &order, &t->err);
    }
    if (code == CLM_OK) {
        code = save(t->state, "order", order.url, strlen(order.url), &t->err);
    }
    for (size_t i = 0; code == CLM_OK && i < order.authz.n; i++) {
        code = prove(t, order.authz.v[i]);
    }
    return code;
}

static enum clm_code step(struct tool *t, struct clm_order *order, const struct clm_buf *csr)
{
    switch (order->status) {
    case CLM_ISSUER_READY:
        return clm_acme_finalize(t->acme, order, csr->data, csr->len, &t->err);
    case CLM_ISSUER_PENDING:
    case CLM_ISSUER_PROCESSING:
        clm_clock_sleep_ms(100);
        return CLM_OK;
    case CLM_ISSUER_VALID:
        return CLM_OK;
    case CLM_ISSUER_INVALID:
    case CLM_ISSUER_DEACTIVATED:
    case CLM_ISSUER_EXPIRED:
    case CLM_ISSUER_REVOKED:
    case CLM_ISSUER__COUNT:
        break;
    }
    return clm_err_set(&t->err, CLM_E_VERIFY, "order is %s: %s (%s)",
                       clm_issuer_status_name(order->status), order->problem.detail,
                       order->problem.type);
}

static enum clm_code cmd_finish(struct tool *t)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf url = CLM_BUF_INIT(CLM_ISSUER_URL_SIZE);
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_order_done) struct clm_order order = {.url = ""};
    const int64_t end = clm_clock_mono_ms() + WAIT_MS;
    enum clm_code code = load(t->state, "order", &url, &t->err);

    if (code == CLM_OK) {
        code = load(t->state, "csr", &csr, &t->err);
    }
    while (code == CLM_OK && order.status != CLM_ISSUER_VALID && clm_clock_mono_ms() < end) {
        clm_order_done(&order);
        code = clm_acme_order_poll(t->acme, clm_buf_str(&url), &order, &t->err);
        if (code == CLM_OK) {
            code = step(t, &order, &csr);
        }
    }
    if (code == CLM_OK) {
        code = clm_acme_certificate(t->acme, &order, &pem, &t->err);
    }
    if (code == CLM_OK) {
        (void)fwrite(pem.data, 1, pem.len, stdout);
    }
    return code;
}

static enum clm_code cmd_revoke(struct tool *t)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(65536);
    static char pem[65536];
    size_t len = fread(pem, 1, sizeof(pem) - 1, stdin);
    const char *begin = strstr(pem, "-----BEGIN CERTIFICATE-----");
    const char *end = begin != NULL ? strstr(begin, "-----END") : NULL;

    (void)len;
    if (end == NULL) {
        return clm_err_set(&t->err, CLM_E_INVAL, "no certificate on standard input");
    }
    begin += strlen("-----BEGIN CERTIFICATE-----");
    enum clm_code code = clm_b64_decode(begin, (size_t)(end - begin), &der, &t->err);
    return code == CLM_OK ? clm_acme_revoke(t->acme, der.data, der.len, 4, &t->err) : code;
}

static enum clm_code cmd_account(struct tool *t)
{
    (void)printf("%s\n", clm_acme_account_url(t->acme));
    return CLM_OK;
}

static enum clm_code run_command(struct tool *t, char **argv)
{
    const char *command = argv[5];

    if (strcmp(command, "order") == 0) {
        return cmd_order(t, argv);
    }
    if (strcmp(command, "finish") == 0) {
        return cmd_finish(t);
    }
    return strcmp(command, "revoke") == 0 ? cmd_revoke(t) : cmd_account(t);
}

int main(int argc, char **argv)
{
    struct tool t = {.acme = NULL};

    if (argc < 6) {
        (void)fprintf(stderr, "usage: acme_tool URL CA_PEM STATE_DIR WEBROOT COMMAND\n");
        return 64;
    }
    t.state = argv[3];
    t.webroot = argv[4];
    enum clm_code code = start(&t, argv);
    if (code == CLM_OK) {
        code = run_command(&t, argv);
    }
    if (code != CLM_OK) {
        (void)fprintf(stderr, "%s: %s\n", clm_code_name(code), t.err.msg);
    }
    clm_acme_free(t.acme);
    clm_key_free(t.account_key);
    clm_rng_free(t.rng);
    clm_http_free(t.http);
    return code == CLM_OK ? 0 : 1;
}
