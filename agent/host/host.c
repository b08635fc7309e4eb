/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/host.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/dirlock.h"
#include "agent/base/fs.h"
#include "agent/host/internal.h"

#define LOCK_WAIT_MS 5000 /* a host half that is just ending lets go within milliseconds */

static const clm_host_op_fn operations[CLM_OP__COUNT] = {
    [CLM_OP_HELLO] = clm_host_op_hello,
    [CLM_OP_SCAN] = clm_host_op_scan,
    [CLM_OP_JOB_ACCEPT] = clm_host_op_accept,
    [CLM_OP_CSR] = clm_host_op_csr,
    [CLM_OP_DCV_PUT] = clm_host_op_dcv_put,
    [CLM_OP_DCV_REMOVE] = clm_host_op_dcv_remove,
    [CLM_OP_CERT_PUT] = clm_host_op_cert_put,
    [CLM_OP_DEPLOY] = clm_host_op_deploy,
    [CLM_OP_ROLLBACK] = clm_host_op_rollback,
    [CLM_OP_RECHECK] = clm_host_op_recheck,
    [CLM_OP_CLOSE] = clm_host_op_close,
    [CLM_OP_STATUS] = clm_host_op_status,
    [CLM_OP_TRUST_PUT] = clm_host_op_trust_put,
    [CLM_OP_LOCAL_PLAN] = clm_host_op_local_plan,
    [CLM_OP_LOCAL_ROLLBACK] = clm_host_op_local_rollback,
    [CLM_OP_HISTORY] = clm_host_op_history,
    [CLM_OP_LOCAL_VERIFY] = clm_host_op_local_verify,
    [CLM_OP_CERTS] = clm_host_op_certs,
    [CLM_OP_EXPLAIN] = clm_host_op_explain,
};

static enum clm_code make_dirs(struct clm_host *host, struct clm_err *err)
{
    static const char *const below[] = {"jobs", "dcv"};
    char path[PATH_MAX];
    enum clm_code code = clm_fs_mkdir(host->config->state_dir, 0755, err);

    if (code == CLM_OK) {
        code = clm_fs_mkdir(host->dir, 0700, err);
    }
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(below); i++) {
        code = clm_str_fmt(path, sizeof(path), err, "%s/%s", host->dir, below[i]);
        if (code == CLM_OK) {
            code = clm_fs_mkdir(path, 0700, err);
        }
    }
    return code;
}

enum clm_code clm_host_open(const struct clm_config *config, const struct clm_io *io,
                            struct clm_probe_route *route, struct clm_host **out,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_host_close_p) struct clm_host *host = calloc(1, sizeof(*host));
    enum clm_code code;

    if (host == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "host half");
    }
    host->lock_fd = -1;
    host->config = config;
    host->io = io;
    host->route = route;
    code = clm_str_fmt(host->dir, sizeof(host->dir), err, "%s/host", config->state_dir);
    if (code == CLM_OK) {
        code = make_dirs(host, err);
    }
    if (code == CLM_OK) {
        code = clm_dirlock_take(host->dir, LOCK_WAIT_MS, &host->lock_fd, err);
    }
    if (code == CLM_OK) {
        code = clm_store_open(host->dir, &host->store, err);
    }
    if (code == CLM_OK) {
        code = clm_rng_new(&host->rng, err);
    }
    if (code == CLM_OK) {
        code = clm_trust_load(host->dir, &host->trust, err);
        code = code == CLM_E_NOTFOUND ? CLM_OK : code; /* not enrolled yet */
    }
    if (code != CLM_OK) {
        return code;
    }
    *out = CLM_STEAL(host);
    return CLM_OK;
}

void clm_host_close(struct clm_host *host)
{
    if (host == NULL) {
        return;
    }
    clm_json_free(host->recovered);
    clm_trust_done(&host->trust);
    clm_rng_free(host->rng);
    clm_store_close(host->store);
    clm_fs_close_p(&host->lock_fd);
    free(host);
}

/* Is the same transaction in the list? */
static bool is_told(const struct clm_json *list, const struct clm_json *entry)
{
    const char *txid = clm_json_text(clm_json_get(entry, "txid"));

    for (const struct clm_json *at = clm_json_first(list); at != NULL; at = clm_json_next(at)) {
        const char *have = clm_json_text(clm_json_get(at, "txid"));

        if (have != NULL && txid != NULL && strcmp(have, txid) == 0) {
            return true;
        }
    }
    return false;
}

/* What was found before goes on to be told, unless it was found once more. */
static void tell_too(struct clm_json *found, const struct clm_json *before)
{
    for (const struct clm_json *at = clm_json_first(before); at != NULL; at = clm_json_next(at)) {
        if (!is_told(found, at)) {
            clm_json_add_copy(found, at);
        }
    }
}

/* Before the first answer of this process, whatever was asked for: nothing else is true before. */
static enum clm_code recover_once(struct clm_host *host, struct clm_err *err)
{
    struct clm_json *found;
    enum clm_code code;

    if (host->is_recovered) {
        return CLM_OK;
    }
    found = clm_json_new_array(); /* if it fails it is tried again, and finds the same once more */
    code = clm_host_recover(host, false, found, err);
    tell_too(found, host->recovered);
    clm_json_free(host->recovered);
    host->recovered = found;
    host->is_recovered = code == CLM_OK;
    clm_host_sweep_keys(host);
    return code;
}

enum clm_code clm_host_request(struct clm_host *host, const struct clm_host_session *session,
                               const struct clm_host_question *question, struct clm_json *reply,
                               struct clm_fail *fail, struct clm_err *err)
{
    enum clm_op op = question->op;
    struct clm_host_call call = {
        .host = host, .session = session, .body = question->body, .reply = reply, .fail = fail};
    enum clm_code code;

    *fail = (struct clm_fail){0};
    if ((unsigned)op >= CLM_OP__COUNT || operations[op] == NULL) {
        return clm_refuse(&call, err, CLM_E_UNSUPPORTED, "E_STATE", "unknown operation %d",
                          (int)op);
    }
    if (clm_op_needs_root(op) && !session->is_root_peer) {
        return clm_refuse(&call, err, CLM_E_PERM, "E_POLICY", "'%s' is for root on this host",
                          clm_op_name(op));
    }
    code = recover_once(host, err);
    if (code == CLM_OK) {
        code = operations[op](&call, err);
    }
    if (code != CLM_OK) {
        fail->code = code;
        fail->retryable = fail->retryable || clm_code_is_transient(code);
        if (fail->problem[0] == '\0') {
            clm_ignore(clm_str_copy(fail->problem, sizeof(fail->problem), "E_INTERNAL", NULL));
        }
        clm_ignore(clm_str_copy(fail->message, sizeof(fail->message), err->msg, NULL));
    }
    return code;
}
