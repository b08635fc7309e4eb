/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that tell: hello, scan, status, history. */
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/crypto/hash.h"
#include "agent/host/internal.h"
#include "scanners/scanner.h"

#define CONFIG_MAX  65536u /* design.md 11 */
#define STATUS_LAST 10     /* transactions shown with the status */
#define HISTORY_MAX 200

/* Shown in the dashboard, so that an operator sees when a policy changed. */
static void policy_digest(const struct clm_host *host, char dst[80])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CONFIG_MAX);
    char hex[CLM_SHA256_HEX_SIZE];

    if (host->config->path[0] != '\0') {
        clm_ignore(clm_fs_read(host->config->path, CONFIG_MAX, &text, NULL));
    }
    clm_sha256_hex(clm_buf_str(&text), text.len, hex);
    clm_ignore(clm_str_fmt(dst, 80, NULL, "sha256:%s", hex));
}

static void add_recovered(struct clm_json *list, const struct clm_txn_outcome *outcome)
{
    struct clm_json *obj = clm_json_add_object(list);

    clm_json_set_str(obj, "txid", outcome->txid);
    clm_json_set_str(obj, "target", outcome->target);
    clm_json_set_str(obj, "outcome", clm_txn_result_name(outcome->result));
}

/* A transaction that had committed before the crash: its generation may not be written yet. */
static void repair_generation(struct clm_host *host, const struct clm_txn_outcome *outcome)
{
    if (clm_txn_is_in_place(outcome->result) && outcome->after_sha256[0] != '\0') {
        clm_ignore(
            clm_host_keep_generation(host, outcome->target, outcome->after_sha256, 0, true, NULL));
    }
}

enum clm_code clm_host_recover(struct clm_host *host, bool boot, struct clm_json *recovered,
                               struct clm_err *err)
{
    const struct clm_txn_env env = {.dir = host->dir,
                                    .io = host->io,
                                    .policy = &host->config->policy,
                                    .secrets = clm_host_secrets(host)};
    struct clm_txn_outcomes outcomes = {0};
    enum clm_code code = clm_txn_recover(&env, boot, &outcomes, err);

    for (size_t i = 0; i < outcomes.n; i++) { /* none may be left out: their journals are gone */
        CLM_CLEANUP(clm_json_free_p) struct clm_json *entry = clm_json_new_object();
        enum clm_code kept;

        clm_txn_outcome_to_json(&outcomes.v[i], entry);
        clm_json_set_int(entry, "at", host->io->now_s(host->io->ctx));
        clm_json_set_str(entry, "job_id", "");
        repair_generation(host, &outcomes.v[i]);
        kept = clm_store_history_add(host->store, entry, code == CLM_OK ? err : NULL);
        code = code == CLM_OK ? kept : code;
        add_recovered(recovered, &outcomes.v[i]);
    }
    clm_txn_outcomes_done(&outcomes);
    return code;
}

enum clm_code clm_host_op_hello(struct clm_host_call *call, struct clm_err *err)
{
    struct clm_host *host = call->host;
    char digest[80];
    int64_t version;
    enum clm_code code = clm_json_int(call->body, "v", 1, 1, &version, err);

    clm_json_set_copy(call->reply, "recovered", host->recovered);
    policy_digest(host, digest);
    clm_json_set_int(call->reply, "v", 1);
    clm_json_set_str(call->reply, "version", CLM_VERSION);
    clm_json_set_str(call->reply, "agent_id", host->trust.agent_id);
    clm_json_set_str(call->reply, "tenant", host->trust.tenant);
    clm_json_set_str(call->reply, "policy_digest", digest);
    return code;
}

enum clm_code clm_host_op_scan(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs kinds = {0};
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    enum clm_code code = CLM_OK;

    for (const struct clm_json *at = clm_json_first(clm_json_get(call->body, "kinds"));
         code == CLM_OK && at != NULL; at = clm_json_next(at)) {
        const char *kind = clm_json_text(at);

        code = kind == NULL ? clm_err_set(err, CLM_E_PARSE, "kinds: not a string")
                            : clm_strs_add(&kinds, kind, err);
    }
    if (code == CLM_OK) {
        code = clm_scan_host(call->host->io, kinds.n > 0 ? &kinds : NULL, &inventory, err);
    }
    if (code == CLM_OK) {
        clm_inventory_to_json(&inventory, call->reply);
    }
    return code;
}

static enum clm_code add_target(struct clm_host *host, const char *id, struct clm_json *list,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    struct clm_generation now;
    struct clm_json *obj;
    char text[CLM_TIME_TEXT_SIZE];
    enum clm_code code = clm_store_generation_current(host->store, id, &now, err);

    if (code == CLM_E_NOTFOUND) {
        return CLM_OK;
    }
    if (code == CLM_OK) {
        code = clm_store_bundle_get(host->store, now.sha256, &bundle, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    obj = clm_json_add_object(list);
    clm_json_set_str(obj, "target", id);
    clm_json_set_int(obj, "version", now.version);
    clm_json_set_str(obj, "sha256", now.sha256);
    clm_time_format(bundle.leaf.not_after_s, text);
    clm_json_set_str(obj, "not_after", text);
    clm_time_format(now.at_s, text);
    clm_json_set_str(obj, "installed_at", text);
    clm_json_set_str(obj, "state",
                     now.origin == CLM_GENERATION_IMPORTED ? "imported"
                     : clm_host_is_waiting(host, id)       ? "waiting_for_restart"
                                                           : "installed");
    return CLM_OK;
}

enum clm_code clm_host_op_status(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    struct clm_json *targets = clm_json_set_array(call->reply, "targets");
    enum clm_code code = clm_store_target_list(call->host->store, &ids, err);

    clm_json_set_str(call->reply, "agent_id", call->host->trust.agent_id);
    for (size_t i = 0; code == CLM_OK && i < ids.n; i++) {
        code = add_target(call->host, ids.v[i], targets, err);
    }
    return code == CLM_OK ? clm_store_history_list(call->host->store, NULL, STATUS_LAST,
                                                   clm_json_set_array(call->reply, "last"), err)
                          : code;
}

enum clm_code clm_host_op_history(struct clm_host_call *call, struct clm_err *err)
{
    const char *target;
    enum clm_code code =
        clm_json_str_or(call->body, "target", CLM_TARGET_ID_SIZE - 1, "", &target, err);

    return code == CLM_OK
               ? clm_store_history_list(call->host->store, target, HISTORY_MAX,
                                        clm_json_set_array(call->reply, "transactions"), err)
               : code;
}
