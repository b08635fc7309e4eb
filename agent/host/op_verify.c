/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes without a change: the job recheck_pinning, and "clmbot verify". */
#include <string.h>

#include "agent/host/internal.h"
#include "scanners/scanner.h"

struct expectation {
    const char *sha256; /* of the leaf; NULL: any */
    const char *const *spki_pins;
    size_t n_spki_pins;
};

static bool meets(const struct clm_observation *seen, const struct expectation *expect)
{
    if (seen->result != CLM_PROBE_SERVED ||
        (expect->sha256 != NULL && strcmp(seen->leaf_sha256, expect->sha256) != 0)) {
        return false;
    }
    for (size_t i = 0; i < expect->n_spki_pins; i++) {
        if (strcmp(seen->spki_sha256, expect->spki_pins[i]) == 0) {
            return true;
        }
    }
    return expect->n_spki_pins == 0;
}

/* What was seen so far. */
struct tally {
    struct clm_json *list; /* one object an endpoint */
    size_t n;
    size_t good; /* meet the expectation */
};

/* One handshake. */
static enum clm_code look(const struct clm_host *host, const struct clm_endpoint *endpoint,
                          const struct expectation *expect, struct tally *tally,
                          struct clm_err *err)
{
    struct clm_observation seen = {.at_ms = 0};
    struct clm_json *obj = clm_json_add_object(tally->list);
    enum clm_code code = host->io->probe(host->io->ctx, endpoint, &seen, err);
    bool ok;

    if (code != CLM_OK) {
        return code;
    }
    ok = meets(&seen, expect);
    tally->n++;
    tally->good += ok;
    clm_endpoint_to_json(endpoint, obj);
    clm_json_set_bool(obj, "ok", ok);
    clm_observation_to_json(&seen, clm_json_set_object(obj, "seen"));
    return CLM_OK;
}

/* Only addresses of this host, unless root allows others: the agent is no port scanner. */
static enum clm_code check_remote(struct clm_host_call *call,
                                  const struct clm_spec_recheck *recheck, struct clm_err *err)
{
    for (size_t i = 0; i < recheck->n_connect && !call->host->config->policy.probe_remote; i++) {
        const char *addr = recheck->connect[i].addr;

        if (!clm_str_starts(addr, "127.") && strcmp(addr, "::1") != 0) {
            return clm_refuse(call, err, CLM_E_PERM, "E_POLICY",
                              "'%s' is not this host; policy.probe_remote is off", addr);
        }
    }
    return CLM_OK;
}

static enum clm_code recheck_all(struct clm_host_call *call, const struct clm_job_envelope *job,
                                 const struct clm_spec_recheck *recheck, struct tally *tally,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    const struct clm_target *target;
    const struct clm_service *service;
    struct expectation expect = {recheck->expect_sha256, recheck->spki_pins, recheck->n_spki_pins};
    const struct clm_endpoint *endpoints = recheck->connect;
    size_t n = recheck->n_connect;
    enum clm_code code = check_remote(call, recheck, err);

    if (code == CLM_OK && (n == 0 || expect.sha256 == NULL)) {
        code = clm_host_find_target(call, job->target, &inventory, &target, &service, err);
        if (code == CLM_OK && n == 0) {
            endpoints = target->endpoints;
            n = target->n_endpoints;
        }
        if (code == CLM_OK && expect.sha256 == NULL && target->has_certificate) {
            expect.sha256 = target->certificate.sha256;
        }
    }
    for (size_t i = 0; code == CLM_OK && i < n; i++) {
        code = look(call->host, &endpoints[i], &expect, tally, err);
    }
    return code;
}

/* The result of docs/ipc.md; effects and steps are there. */
static void conclude(struct clm_json *reply, struct clm_json *effects, const struct tally *tally,
                     bool fail_on_mismatch)
{
    bool is_match = tally->good == tally->n && tally->n > 0;
    struct clm_json *error;

    clm_json_set_bool(effects, "match", is_match);
    if (is_match || !fail_on_mismatch) {
        clm_json_set_str(reply, "outcome", "succeeded");
        clm_json_set_null(reply, "error");
        return;
    }
    clm_json_set_str(reply, "outcome", "failed");
    error = clm_json_set_object(reply, "error");
    clm_json_set_str(error, "code", "E_NOT_SERVED");
    clm_json_set_str(error, "message",
                     tally->n == 0 ? "the target has no TLS endpoint"
                                   : "another certificate is served");
    clm_json_set_bool(error, "retryable", false);
}

static enum clm_code answer_recheck(struct clm_host_call *call, const struct clm_job_envelope *job,
                                    const struct clm_spec_recheck *recheck, struct clm_err *err)
{
    struct clm_json *effects;
    struct tally tally = {.n = 0};
    enum clm_code code;

    (void)clm_json_set_array(call->reply, "steps");
    effects = clm_json_set_object(call->reply, "effects");
    clm_json_set_str(effects, "target", job->target);
    tally.list = clm_json_set_array(effects, "observations");
    code = recheck_all(call, job, recheck, &tally, err);
    if (code != CLM_OK) {
        return code;
    }
    if (clm_host_is_waiting(call->host, job->target)) { /* closes a wait that is over */
        clm_json_set_str(effects, "state", clm_txn_result_name(CLM_TXN_WAITING));
    }
    conclude(call->reply, effects, &tally, recheck->fail_on_mismatch);
    return CLM_OK;
}

enum clm_code clm_host_op_recheck(struct clm_host_call *call, struct clm_err *err)
{
    struct clm_job_record record;
    struct clm_job_envelope job;
    struct clm_job_spec spec;
    enum clm_code code = clm_host_job(call, &record, &job, err);

    if (code != CLM_OK) {
        return code;
    }
    if (job.type != CLM_JOB_TYPE_RECHECK_PINNING) {
        code = clm_refuse(call, err, CLM_E_INVAL, "E_STATE", "job '%s' is a %s", job.job_id,
                          clm_job_type_name(job.type));
    } else {
        code = clm_job_spec_parse(&job, &spec, err);
        if (code == CLM_OK) {
            code = answer_recheck(call, &job, &spec.u.recheck, err);
            clm_job_spec_done(&spec);
        }
    }
    clm_job_envelope_done(&job);
    clm_job_record_done(&record);
    return code;
}

static enum clm_code verify_target(struct clm_host *host, const struct clm_target *target,
                                   struct clm_json *list, struct clm_err *err)
{
    const struct expectation expect = {target->certificate.sha256, NULL, 0};
    struct clm_json *obj = clm_json_add_object(list);
    struct tally tally = {.list = clm_json_set_array(obj, "observations")};
    enum clm_code code = CLM_OK;

    clm_json_set_str(obj, "target", target->id);
    clm_json_set_str(obj, "expect_sha256", target->certificate.sha256);
    for (size_t i = 0; code == CLM_OK && i < target->n_endpoints; i++) {
        code = look(host, &target->endpoints[i], &expect, &tally, err);
    }
    clm_json_set_bool(obj, "ok", tally.good == tally.n && tally.n > 0);
    if (code == CLM_OK) { /* a restart that was awaited may have happened */
        clm_json_set_bool(obj, "waiting_for_restart", clm_host_is_waiting(host, target->id));
    }
    return code;
}

enum clm_code clm_host_op_local_verify(struct clm_host_call *call, struct clm_err *err)
{
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    struct clm_json *list = clm_json_set_array(call->reply, "targets");
    const char *wanted;
    size_t n = 0;
    enum clm_code code =
        clm_json_str_or(call->body, "target", CLM_TARGET_ID_SIZE - 1, "", &wanted, err);

    if (code == CLM_OK) {
        code = clm_scan_host(call->host->io, NULL, &inventory, err);
    }
    for (size_t i = 0; code == CLM_OK && i < inventory.n_services; i++) {
        const struct clm_service *service = &inventory.services[i];

        for (size_t k = 0; code == CLM_OK && k < service->n_targets; k++) {
            const struct clm_target *target = &service->targets[k];

            if (service->running && target->has_certificate &&
                (wanted[0] == '\0' || strcmp(wanted, target->id) == 0)) {
                code = verify_target(call->host, target, list, err);
                n++;
            }
        }
    }
    if (code == CLM_OK && n == 0 && wanted[0] != '\0') {
        clm_host_hint(call, "see what runs here: clmbot scan");
        return clm_refuse(call, err, CLM_E_NOTFOUND, "E_STATE",
                          "target '%s' is not on this host, or its server does not run", wanted);
    }
    return code;
}
