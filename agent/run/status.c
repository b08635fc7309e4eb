/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent tells on its status socket: from its memory and its files, asking nobody. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/run/agent.h"
#include "agent/run/files.h"
#include "agent/run/inventory.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"

#define STATUS_VERSION 1
#define DAY_S          86400
#define JOBS_SHOWN_MAX 50

static void set_time(struct clm_json *obj, const char *key, int64_t unix_s)
{
    char text[CLM_TIME_TEXT_SIZE];

    if (unix_s <= 0 || unix_s == INT64_MAX) {
        clm_json_set_null(obj, key);
        return;
    }
    clm_time_format(unix_s, text);
    clm_json_set_str(obj, key, text);
}

static void head(struct clm_json *reply, const char *schema)
{
    clm_json_set_str(reply, "schema", schema);
    clm_json_set_int(reply, "version", STATUS_VERSION);
}

/* ---- the agent itself ---- */

static void set_agent(const struct clm_agent *agent, struct clm_json *reply)
{
    struct clm_json *obj = clm_json_set_object(reply, "agent");
    const struct clm_identity *identity = &agent->identity;

    clm_json_set_str(obj, "id", agent->has_identity ? identity->agent_id : "");
    clm_json_set_str(obj, "tenant", agent->has_identity ? identity->tenant : "");
    clm_json_set_str(obj, "version", CLM_VERSION);
    clm_json_set_str(obj, "boot_id", agent->boot_id);
    clm_json_set_int(obj, "pid", getpid());
    clm_json_set_int(obj, "landlock", agent->landlock);
    obj = clm_json_set_object(reply, "control_plane");
    clm_json_set_str(obj, "url", agent->has_identity ? identity->urls.v[0] : "");
    clm_json_set_str(obj, "state", clm_agent_state_name(agent->state));
    set_time(obj, "since", agent->since_s);
    clm_json_set_str(obj, "message", agent->message);
    set_time(obj, "last_contact", agent->last_contact_s);
    int64_t left_ms = agent->next_poll_ms - clm_clock_mono_ms();
    set_time(obj, "next_poll",
             agent->poller.is_busy || !agent->has_identity
                 ? 0
                 : clm_clock_now_s() + (left_ms > 0 ? left_ms / 1000 : 0));
    clm_json_set_bool(obj, "polling", agent->poller.is_busy);
    clm_json_set_real(obj, "clock_skew_s", agent->skew_s);
    clm_json_set_str(obj, "update_available", agent->update_available);
    obj = clm_json_set_object(reply, "identity");
    set_time(obj, "not_after", identity->not_after_s);
    set_time(obj, "renew_after", identity->renew_after_s);
    clm_json_set_int(obj, "generation", identity->generation);
}

static void set_spool(const struct clm_agent *agent, struct clm_json *reply)
{
    struct clm_json *obj = clm_json_set_object(reply, "spool");
    struct clm_spool_stats stats = {0};
    char path[PATH_MAX];

    if (clm_net_path(agent->config, path, NULL, "spool") == CLM_OK) {
        clm_spool_stats(path, clm_clock_now_s(), &stats);
    }
    clm_json_set_int(obj, "n", (int64_t)stats.n);
    clm_json_set_int(obj, "bytes", (int64_t)stats.bytes);
    clm_json_set_int(obj, "oldest_s", stats.oldest_s);
    clm_json_set_int(obj, "dead", (int64_t)stats.dead);
}

/* ---- jobs ---- */

static void copy_result(const struct clm_record *record, struct clm_json *obj)
{
    const struct clm_json *result = clm_json_get(record->root, "result");

    clm_json_set_copy(obj, "outcome", clm_json_get(result, "outcome"));
    clm_json_set_copy(obj, "error", clm_json_get(result, "error"));
}

static void describe_job(const struct clm_agent *agent, const struct clm_record *record,
                         bool is_finished, struct clm_json *obj)
{
    const char *state = clm_record_text(record, "state");

    if (is_finished) {
        state = "finished";
    } else if (clm_children_has(&agent->children, record->job_id)) {
        state = "running";
    } else if (strcmp(state, "done") == 0) {
        state = "reporting";
    } else {
        state = "waiting";
    }
    clm_json_set_str(obj, "job_id", record->job_id);
    clm_json_set_str(obj, "type", clm_record_text(record, "type"));
    clm_json_set_str(obj, "target", clm_record_text(record, "target"));
    clm_json_set_str(obj, "state", state);
    clm_json_set_str(obj, "phase", clm_record_text(record, "phase"));
    clm_json_set_int(obj, "attempt", clm_record_int(record, "attempt"));
    clm_json_set_str(obj, "why", clm_record_text(record, "why"));
    set_time(obj, "started_at", clm_record_int(record, "started_at_s"));
    set_time(obj, "finished_at", clm_record_int(record, "finished_at_s"));
    set_time(obj, "next_try", is_finished ? 0 : clm_record_int(record, "next_try_s"));
    copy_result(record, obj);
}

static enum clm_code load_any(const struct clm_agent *agent, const char *job_id,
                              struct clm_record *out, bool *out_finished, struct clm_err *err)
{
    *out_finished = false;
    enum clm_code code = clm_record_load(agent->config, job_id, out, err);
    if (code == CLM_E_NOTFOUND) {
        clm_record_done(out);
        *out_finished = true;
        code = clm_record_load_finished(agent->config, job_id, out, err);
    }
    return code;
}

static enum clm_code add_jobs(const struct clm_agent *agent, bool finished, struct clm_json *array,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};

    enum clm_code code = clm_record_list(agent->config, finished, &ids, err);
    for (size_t i = 0; code == CLM_OK && i < ids.n && i < JOBS_SHOWN_MAX; i++) {
        struct clm_record record;
        enum clm_code loaded =
            finished ? clm_record_load_finished(agent->config, ids.v[i], &record, NULL)
                     : clm_record_load(agent->config, ids.v[i], &record, NULL);

        if (loaded == CLM_OK) {
            describe_job(agent, &record, finished, clm_json_add_object(array));
        }
        clm_record_done(&record);
    }
    return code;
}

static enum clm_code answer_jobs(struct clm_agent *agent, const struct clm_json *params,
                                 struct clm_json *reply, struct clm_err *err)
{
    struct clm_json *jobs;

    (void)params;
    head(reply, "clmbot.jobs");
    jobs = clm_json_set_array(reply, "jobs");
    enum clm_code code = add_jobs(agent, false, jobs, err);
    return code == CLM_OK ? add_jobs(agent, true, jobs, err) : code;
}

static enum clm_code answer_job(struct clm_agent *agent, const struct clm_json *params,
                                struct clm_json *reply, struct clm_err *err)
{
    struct clm_record record = {.root = NULL};
    const char *job_id = NULL;
    bool is_finished = false;

    enum clm_code code = clm_json_str(params, "job_id", CLM_ID_SIZE - 1, &job_id, err);
    if (code == CLM_OK) {
        code = load_any(agent, job_id, &record, &is_finished, err);
    }
    if (code == CLM_E_NOTFOUND) {
        code = clm_err_set(err, code, "there is no job '%s' here", job_id);
    }
    if (code == CLM_OK) {
        struct clm_json *job;

        head(reply, "clmbot.job");
        job = clm_json_set_object(reply, "job");
        describe_job(agent, &record, is_finished, job);
        clm_json_set_copy(job, "result", clm_json_get(record.root, "result"));
        clm_json_set_str(job, "order_id", clm_record_text(&record, "order_id"));
        clm_json_set_str(job, "certificate_id", clm_record_text(&record, "certificate_id"));
    }
    clm_record_done(&record);
    return code;
}

/* ---- targets ---- */

/* The first of a list that is about that target. */
static const struct clm_json *find_target(const struct clm_json *list, const char *target)
{
    for (const struct clm_json *n = clm_json_first(list); n != NULL; n = clm_json_next(n)) {
        const char *id = clm_json_text(clm_json_get(n, "target"));

        if (id != NULL && strcmp(id, target) == 0) {
            return n;
        }
    }
    return NULL;
}

/* What the endpoints of a target showed when they were probed. */
struct sight {
    size_t n;                            /* that were */
    const struct clm_observation *first; /* that showed a leaf; NULL: none did */
    bool is_same;                        /* no leaf was another than the file's */
};

static struct sight look_at(const struct clm_target *target)
{
    struct sight seen = {.n = target->served == NULL ? 0 : target->n_endpoints, .is_same = true};

    for (size_t i = seen.n; i > 0; i--) {
        const struct clm_observation *one = &target->served[i - 1];

        if (one->result == CLM_PROBE_SERVED) {
            seen.first = one;
            seen.is_same =
                seen.is_same && (!target->has_certificate ||
                                 strcmp(one->leaf_sha256, target->certificate.sha256) == 0);
        }
    }
    return seen;
}

/* What a person wants to know first of a target. */
static const char *target_state(const struct clm_target *target, const struct sight *seen,
                                int64_t left_s, int64_t expiring_s)
{
    if (!target->has_certificate && seen->first == NULL) {
        return "unknown";
    }
    if (left_s <= 0) {
        return "expired";
    }
    if (!seen->is_same) {
        return "mismatch";
    }
    if (seen->n > 0 && seen->first == NULL) {
        return "unreachable";
    }
    return left_s < expiring_s ? "expiring" : "ok";
}

static void set_last_job(const struct clm_json *jobs, const char *target, struct clm_json *obj)
{
    static const char *const members[] = {"job_id", "type", "state", "outcome", "finished_at"};
    const struct clm_json *last = find_target(jobs, target);

    if (last == NULL) {
        clm_json_set_null(obj, "last_job");
        return;
    }
    struct clm_json *job = clm_json_set_object(obj, "last_job");
    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        clm_json_set_copy(job, members[i], clm_json_get(last, members[i]));
    }
}

struct sources {
    const struct clm_json *host; /* what the host half said is installed; may be NULL */
    const struct clm_json *jobs; /* open ones, then finished ones, newest first */
};

/* Another leaf than the file's is served on purpose while a restart is awaited. */
static const char *or_waiting(const char *state, const struct clm_json *installed)
{
    const char *of_host = clm_json_text(clm_json_get(installed, "state"));

    return strcmp(state, "mismatch") == 0 && of_host != NULL &&
                   strcmp(of_host, "waiting_for_restart") == 0
               ? of_host
               : state;
}

static void describe_target(const struct clm_agent *agent, const struct clm_target *target,
                            const struct sources *from, struct clm_json *obj)
{
    const struct clm_json *installed = find_target(clm_json_get(from->host, "targets"), target->id);
    const struct sight seen = look_at(target);
    int64_t not_after_s =
        seen.first != NULL ? seen.first->not_after_s : target->certificate.not_after_s;
    int64_t left_s = not_after_s - clm_clock_now_s();
    struct clm_json *list;

    clm_json_set_str(obj, "target", target->id);
    clm_json_set_str(obj, "state",
                     or_waiting(target_state(target, &seen, left_s,
                                             (int64_t)agent->config->deploy.expiring_days * DAY_S),
                                installed));
    clm_json_set_bool(obj, "manageable", target->manageable);
    list = clm_json_set_array(obj, "reasons");
    for (size_t i = 0; i < target->reasons.n; i++) {
        clm_json_add_str(list, target->reasons.v[i]);
    }
    list = clm_json_set_array(obj, "names");
    for (size_t i = 0; i < target->names.dns.n; i++) {
        clm_json_add_str(list, target->names.dns.v[i]);
    }
    clm_json_set_str(obj, "cert_path", target->cert_path);
    clm_json_set_str(obj, "issuer", target->has_certificate ? target->certificate.issuer : "");
    clm_json_set_str(obj, "sha256", target->has_certificate ? target->certificate.sha256 : NULL);
    clm_json_set_str(obj, "served_sha256", seen.first != NULL ? seen.first->leaf_sha256 : NULL);
    set_time(obj, "not_after", not_after_s);
    clm_json_set_int(obj, "days_left", left_s > 0 ? left_s / DAY_S : 0);
    clm_json_set_copy(obj, "installed_version", clm_json_get(installed, "version"));
    clm_json_set_copy(obj, "installed_at", clm_json_get(installed, "installed_at"));
    clm_json_set_copy(obj, "installed_state", clm_json_get(installed, "state"));
    set_last_job(from->jobs, target->id, obj);
}

static void count_state(struct clm_json *targets, struct clm_json *reply)
{
    static const char *const states[] = {
        "ok", "expiring", "expired", "mismatch", "unknown", "unreachable", "waiting_for_restart"};
    struct clm_json *counts = clm_json_set_object(reply, "counts");

    for (size_t i = 0; i < CLM_ARRAY_LEN(states); i++) {
        int64_t n = 0;

        for (const struct clm_json *t = clm_json_first(targets); t != NULL; t = clm_json_next(t)) {
            const char *state = clm_json_text(clm_json_get(t, "state"));

            n += state != NULL && strcmp(state, states[i]) == 0 ? 1 : 0;
        }
        clm_json_set_int(counts, states[i], n);
    }
}

static enum clm_code read_kept(const struct clm_agent *agent, const char *name,
                               struct clm_json **out)
{
    char path[PATH_MAX];
    enum clm_code code = clm_net_path(agent->config, path, NULL, "%s", name);

    return code == CLM_OK ? clm_file_read_json(path, CLM_INVENTORY_MAX, out, NULL) : code;
}

static void set_targets(const struct clm_agent *agent, struct clm_json *reply)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *stored = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *host = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jobs = clm_json_new_array();
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    struct clm_json *targets = clm_json_set_array(reply, "targets");
    struct clm_json *scan = clm_json_set_object(reply, "scan");

    set_time(scan, "next", agent->next_scan_s);
    if (read_kept(agent, "inventory.json", &stored) != CLM_OK ||
        clm_inventory_from_json(stored, &inventory, NULL) != CLM_OK) {
        clm_json_set_null(scan, "at");
        count_state(targets, reply);
        return;
    }
    /* What cannot be read is not told. */
    clm_ignore(read_kept(agent, "host.json", &host));
    clm_ignore(add_jobs(agent, false, jobs, NULL));
    clm_ignore(add_jobs(agent, true, jobs, NULL));
    set_time(scan, "at", inventory.started_at_s);
    const struct sources from = {.host = host, .jobs = jobs};
    for (size_t s = 0; s < inventory.n_services; s++) {
        for (size_t t = 0; t < inventory.services[s].n_targets; t++) {
            describe_target(agent, &inventory.services[s].targets[t], &from,
                            clm_json_add_object(targets));
        }
    }
    count_state(targets, reply);
}

static enum clm_code answer_status(struct clm_agent *agent, const struct clm_json *params,
                                   struct clm_json *reply, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs open = {0};
    struct clm_json *jobs;

    (void)params;
    enum clm_code code = clm_record_list(agent->config, false, &open, err);
    if (code != CLM_OK) {
        return code;
    }
    head(reply, "clmbot.status");
    set_agent(agent, reply);
    set_spool(agent, reply);
    unsigned running = clm_children_jobs(&agent->children);
    jobs = clm_json_set_object(reply, "jobs");
    clm_json_set_int(jobs, "running", running);
    clm_json_set_int(jobs, "waiting", open.n > running ? (int64_t)open.n - running : 0);
    set_targets(agent, reply);
    return CLM_OK;
}

static enum clm_code answer_poll(struct clm_agent *agent, const struct clm_json *params,
                                 struct clm_json *reply, struct clm_err *err)
{
    (void)params;
    (void)err;
    head(reply, "clmbot.poll");
    clm_json_set_bool(reply, "accepted", clm_agent_poke(agent, clm_clock_mono_ms()));
    return CLM_OK;
}

/* Something changed on this host without us. Who may ask for status cannot keep the host busy by it. */
static enum clm_code answer_scan(struct clm_agent *agent, const struct clm_json *params,
                                 struct clm_json *reply, struct clm_err *err)
{
    int64_t at_s = clm_clock_now_s();

    (void)params;
    (void)err;
    if (at_s < agent->asked_scan_s + CLM_ASKED_SCAN_S) {
        at_s = agent->asked_scan_s + CLM_ASKED_SCAN_S;
    }
    if (agent->next_scan_s > at_s) {
        agent->next_scan_s = at_s;
        agent->asked_scan_s = at_s;
    }
    head(reply, "clmbot.scan_asked");
    set_time(reply, "at", agent->next_scan_s);
    return CLM_OK;
}

static const struct {
    const char *name;
    enum clm_code (*answer)(struct clm_agent *agent, const struct clm_json *params,
                            struct clm_json *reply, struct clm_err *err);
} methods[] = {
    {"status", answer_status}, {"jobs", answer_jobs}, {"job", answer_job},
    {"poll", answer_poll},     {"scan", answer_scan},
};

enum clm_code clm_status_answer(void *arg, const char *method, const struct clm_json *params,
                                struct clm_json *reply, struct clm_err *err)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, method) == 0) {
            return methods[i].answer(arg, params, reply, err);
        }
    }
    return clm_err_set(err, CLM_E_INVAL,
                       "there is no method '%.32s'; there are status, jobs, job, "
                       "poll and scan",
                       method);
}
