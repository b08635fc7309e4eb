/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/agent.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/crypto/hash.h"
#include "agent/run/files.h"
#include "agent/run/inventory.h"
#include "agent/run/job_child.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"

#define COURIER_PAUSE_S 30
#define COURIER_CAP_S   300
#define COURIER_SLOW_S  1800 /* recovery that needs approval: every 30 to 60 minutes; 5.6 */
#define SCAN_CAP_S      3600
#define TICK_MAX_MS     60000 /* the wall clock may be set: look again at least this often */

static const char *const state_names[CLM_AGENT__COUNT] = {
    [CLM_AGENT_UNENROLLED] = "unenrolled", [CLM_AGENT_CONNECTING] = "connecting",
    [CLM_AGENT_CONNECTED] = "connected",   [CLM_AGENT_OFFLINE] = "offline",
    [CLM_AGENT_PENDING] = "pending",       [CLM_AGENT_DISABLED] = "disabled",
    [CLM_AGENT_ORPHANED] = "orphaned",     [CLM_AGENT_QUARANTINED] = "quarantined",
    [CLM_AGENT_EXPIRED] = "expired",
};

const char *clm_agent_state_name(enum clm_agent_state state)
{
    return state_names[state];
}

void clm_agent_enter(struct clm_agent *agent, enum clm_agent_state state, const char *why,
                     int64_t now_s)
{
    if (agent->state != state) {
        bool is_good = state == CLM_AGENT_CONNECTED || state == CLM_AGENT_CONNECTING;

        clm_log_at(is_good ? CLM_LOG_NOTICE : CLM_LOG_WARNING, NULL, NULL, "control plane: %s%s%s",
                   state_names[state], why[0] == '\0' ? "" : ": ", why);
        agent->state = state;
        agent->since_s = now_s;
    }
    (void)snprintf(agent->message, sizeof(agent->message), "%s", why);
}

/* ---- times ---- */

int64_t clm_agent_splay(const char *agent_id, const char *task, uint32_t interval_s, int64_t from_s)
{
    struct clm_sha256_ctx ctx;
    uint8_t hash[CLM_SHA256_SIZE];
    uint64_t number = 0;

    if (interval_s == 0) {
        return INT64_MAX;
    }
    clm_sha256_init(&ctx);
    clm_sha256_update(&ctx, "clm-splay-v1\n", strlen("clm-splay-v1\n"));
    clm_sha256_update(&ctx, agent_id, strlen(agent_id));
    clm_sha256_update(&ctx, "\n", 1);
    clm_sha256_update(&ctx, task, strlen(task));
    clm_sha256_final(&ctx, hash);
    for (size_t i = 0; i < 8; i++) {
        number = number << 8 | hash[i];
    }
    int64_t offset_s = (int64_t)(number % interval_s);
    int64_t slot_s = from_s - from_s % (int64_t)interval_s + offset_s;
    return slot_s >= from_s ? slot_s : slot_s + (int64_t)interval_s;
}

static void plan_scan(struct clm_agent *agent, int64_t now_s)
{
    uint32_t interval_s = agent->config->scan.interval_s;
    char path[PATH_MAX];
    struct stat st;

    clm_ignore(clm_net_path(agent->config, path, NULL, "inventory.json")); /* "" is not there */
    if (stat(path, &st) != 0) {
        agent->next_scan_s = now_s;
        return;
    }
    /* Half an interval after the last one at least, then at our own time of day. */
    agent->next_scan_s = clm_agent_splay(agent->identity.agent_id, "scan", interval_s,
                                         (int64_t)st.st_mtime + interval_s / 2);
    if (agent->next_scan_s < now_s - (int64_t)interval_s) {
        agent->next_scan_s = now_s;
    }
}

/* ---- identity ---- */

static void load_identity(struct clm_agent *agent, int64_t now_s)
{
    struct clm_err why = {0};

    clm_identity_done(&agent->identity);
    enum clm_code code = clm_identity_load(agent->dir, &agent->identity, &why);
    agent->has_identity = code == CLM_OK;
    if (code != CLM_OK) {
        clm_agent_enter(agent, CLM_AGENT_UNENROLLED, why.msg, now_s);
        return;
    }
    if (agent->state == CLM_AGENT_UNENROLLED) {
        clm_log_notice("this agent is '%s' of %s", agent->identity.agent_id,
                       agent->identity.urls.v[0]);
        clm_agent_enter(agent, CLM_AGENT_CONNECTING, "", now_s);
        plan_scan(agent, now_s);
    }
}

enum clm_code clm_agent_open(struct clm_agent *agent, const struct clm_config *config,
                             struct clm_err *err)
{
    int64_t now_s = clm_clock_now_s();

    *agent = (struct clm_agent){.config = config,
                                .poller = {.fd = -1},
                                .state = CLM_AGENT_UNENROLLED,
                                .since_s = now_s,
                                .next_scan_s = INT64_MAX};
    agent->children.config_path = config->path;
    agent->children.boot_id = agent->boot_id;
    agent->last_poke_ms = clm_clock_mono_ms() - CLM_AGENT_POKE_MS;
    enum clm_code code = clm_net_path(config, agent->dir, err, "identity");
    if (code == CLM_OK) {
        code = clm_net_dirs(config, err);
    }
    if (code == CLM_OK) {
        code = clm_ulid_new(agent->boot_id, err);
    }
    if (code == CLM_OK) {
        clm_poll_load(config, &agent->poll);
        load_identity(agent, now_s);
    }
    return code;
}

void clm_agent_close(struct clm_agent *agent)
{
    struct clm_err why = {0};

    clm_poller_stop(&agent->poller);
    agent->poll.seq -= agent->poll.seq > CLM_POLL_SEQ_STEP ? CLM_POLL_SEQ_STEP : 0;
    if (agent->has_identity && clm_poll_save(agent->config, &agent->poll, &why) != CLM_OK) {
        clm_log_warning("%s", why.msg);
    }
    clm_identity_done(&agent->identity);
}

/* ---- children ---- */

static bool may_work(const struct clm_agent *agent)
{
    return agent->state == CLM_AGENT_CONNECTED && !agent->is_stopping;
}

static void start_child(struct clm_agent *agent, const char *id, const char *target)
{
    struct clm_err why = {0};

    if (clm_children_start(&agent->children, id, target, &why) != CLM_OK) {
        clm_log_error("%s", why.msg);
    }
}

/* The runnable job of highest priority; false if there is none. Lowers *io_wait_s to the time until
 * the next one may run. */
static bool pick_job(struct clm_agent *agent, int64_t now_s, struct clm_record *out,
                     int64_t *io_wait_s)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    int64_t best = -1;

    *out = (struct clm_record){.root = NULL};
    if (clm_record_list(agent->config, false, &ids, NULL) != CLM_OK) {
        return false;
    }
    for (size_t i = 0; i < ids.n; i++) {
        struct clm_record record;

        if (clm_children_has(&agent->children, ids.v[i]) ||
            clm_record_load(agent->config, ids.v[i], &record, NULL) != CLM_OK) {
            continue;
        }
        int64_t left_s = clm_record_int(&record, "next_try_s") - now_s;
        int64_t priority = clm_record_int(&record, "priority");
        bool is_open =
            strcmp(clm_record_text(&record, "state"), "done") != 0 &&
            !clm_children_has_target(&agent->children, clm_record_text(&record, "target"));

        if (is_open && left_s > 0 && left_s < *io_wait_s) {
            *io_wait_s = left_s;
        }
        if (is_open && left_s <= 0 && priority > best) {
            best = priority;
            clm_record_done(out);
            *out = record;
        } else {
            clm_record_done(&record);
        }
    }
    return best >= 0;
}

static void start_jobs(struct clm_agent *agent, int64_t now_s, int64_t *io_wait_s)
{
    while (may_work(agent) && clm_children_jobs(&agent->children) < CLM_AGENT_JOBS_MAX) {
        struct clm_record record;
        bool found = pick_job(agent, now_s, &record, io_wait_s);

        if (found) {
            start_child(agent, record.job_id, clm_record_text(&record, "target"));
        }
        bool is_running = found && clm_children_has(&agent->children, record.job_id);
        clm_record_done(&record);
        if (!is_running) {
            return;
        }
    }
}

static bool spool_waits(const struct clm_agent *agent, int64_t now_s)
{
    struct clm_spool_stats stats;
    char path[PATH_MAX];

    clm_ignore(clm_net_path(agent->config, path, NULL, "spool")); /* it fits: clm_agent_open() */
    clm_spool_stats(path, now_s, &stats);
    return stats.n > 0;
}

static void start_courier(struct clm_agent *agent, int64_t now_s, int64_t *io_wait_s)
{
    bool is_due = agent->renew_now || now_s >= agent->identity.renew_after_s;

    if (agent->is_stopping || clm_children_has(&agent->children, CLM_JOB_ID_COURIER) ||
        clm_children_has(&agent->children, CLM_JOB_ID_RENEW) ||
        agent->state == CLM_AGENT_QUARANTINED || agent->state == CLM_AGENT_ORPHANED) {
        return;
    }
    /* Jobs send their results themselves: what is there now, waits since they failed to. */
    if (!is_due && (agent->state != CLM_AGENT_CONNECTED || clm_children_all(&agent->children) > 0 ||
                    !spool_waits(agent, now_s))) {
        int64_t left_s = agent->identity.renew_after_s - now_s;

        *io_wait_s = left_s < *io_wait_s ? left_s : *io_wait_s;
        return;
    }
    if (now_s < agent->next_courier_s) {
        int64_t left_s = agent->next_courier_s - now_s;

        *io_wait_s = left_s < *io_wait_s ? left_s : *io_wait_s;
        return;
    }
    start_child(agent, agent->renew_now ? CLM_JOB_ID_RENEW : CLM_JOB_ID_COURIER, "");
    agent->renew_now = false;
}

static void start_scan(struct clm_agent *agent, int64_t now_s, int64_t *io_wait_s)
{
    if (agent->is_stopping || agent->next_scan_s == INT64_MAX ||
        clm_children_has(&agent->children, CLM_JOB_ID_SCAN)) {
        return;
    }
    if (now_s >= agent->next_scan_s) {
        start_child(agent, CLM_JOB_ID_SCAN, "");
    } else if (agent->next_scan_s - now_s < *io_wait_s) {
        *io_wait_s = agent->next_scan_s - now_s;
    }
}

static uint32_t growing_s(unsigned failures, uint32_t cap_s)
{
    uint32_t top_s = 10u << (failures < 9 ? failures : 9);

    top_s = top_s > cap_s ? cap_s : top_s;
    return top_s / 2 + clm_rand_below(top_s / 2 + 1);
}

static void after_courier(struct clm_agent *agent, int status, int64_t now_ms, int64_t now_s)
{
    int64_t generation = agent->identity.generation;

    load_identity(agent, now_s);
    if (generation != agent->identity.generation) {
        clm_poller_stop(&agent->poller); /* its connection carries the old certificate */
        agent->next_poll_ms = now_ms;
    }
    if (status == CLM_JOB_EXIT_OK) {
        agent->courier_failures = 0;
        agent->next_courier_s =
            now_s + (generation != agent->identity.generation ? 2 : COURIER_PAUSE_S);
        return;
    }
    bool is_expired = now_s >= agent->identity.not_after_s;
    agent->courier_failures += agent->courier_failures < 16 ? 1 : 0;
    agent->next_courier_s =
        now_s + growing_s(agent->courier_failures, is_expired && agent->courier_failures > 8
                                                       ? 2 * COURIER_SLOW_S
                                                       : COURIER_CAP_S);
}

static void after_scan(struct clm_agent *agent, int status, int64_t now_s)
{
    if (status == CLM_JOB_EXIT_OK) {
        agent->scan_failures = 0;
        plan_scan(agent, now_s);
        return;
    }
    agent->scan_failures += agent->scan_failures < 16 ? 1 : 0;
    agent->next_scan_s = now_s + growing_s(agent->scan_failures, SCAN_CAP_S);
}

/* A process that died: its job goes on where the record says, a little later each time. */
static void on_fault(struct clm_agent *agent, const char *job_id, int64_t now_s)
{
    struct clm_record record;

    if (clm_record_load(agent->config, job_id, &record, NULL) == CLM_OK) {
        int64_t tries = clm_record_int(&record, "tries") + 1;

        clm_json_set_int(record.root, "tries", tries);
        clm_json_set_int(record.root, "next_try_s",
                         now_s + growing_s(tries > 16 ? 16 : (unsigned)tries, SCAN_CAP_S));
        if (clm_record_save(agent->config, &record, NULL) != CLM_OK) {
            clm_log_error("job '%s' could not be put off", job_id);
        }
    }
    clm_record_done(&record);
}

/* After a change at a target the inventory is old: status and control plane shall see the new one. */
static void on_end(struct clm_agent *agent, const char *job_id, int64_t now_s)
{
    static const char *const changing[] = {"order", "deploy", "rollback"};
    struct clm_record record;
    enum clm_code code = clm_record_load(agent->config, job_id, &record, NULL);

    if (code == CLM_E_NOTFOUND) {
        code = clm_record_load_finished(agent->config, job_id, &record, NULL);
    }
    /* One that was refused changed nothing: it must not cost a search of the host. */
    const char *outcome =
        clm_json_text(clm_json_get(clm_json_get(record.root, "result"), "outcome"));
    bool may_have_changed = outcome != NULL && strcmp(outcome, "rejected") != 0;

    for (size_t i = 0; code == CLM_OK && may_have_changed && i < CLM_ARRAY_LEN(changing); i++) {
        if (strcmp(clm_record_text(&record, "type"), changing[i]) == 0) {
            agent->next_scan_s = now_s;
        }
    }
    clm_record_done(&record);
}

void clm_agent_reap(struct clm_agent *agent)
{
    struct clm_child child;
    int status = 0;
    int64_t now_ms = clm_clock_mono_ms();
    int64_t now_s = clm_clock_now_s();

    while (clm_children_reap(&agent->children, &child, &status)) {
        if (status >= 128) {
            clm_log_at(CLM_LOG_ERROR, child.id, NULL, "its process was ended by signal %d",
                       status - 128);
        }
        if (strcmp(child.id, CLM_JOB_ID_SCAN) == 0) {
            after_scan(agent, status, now_s);
        } else if (child.id[0] == '@') {
            after_courier(agent, status, now_ms, now_s);
        } else if (status != CLM_JOB_EXIT_OK && status != CLM_JOB_EXIT_LATER) {
            on_fault(agent, child.id, now_s);
        } else if (status == CLM_JOB_EXIT_OK) {
            on_end(agent, child.id, now_s);
        }
        if (child.id[0] != '@' && agent->poller.is_busy && agent->poll_slots == 0) {
            clm_poller_stop(&agent->poller); /* it said that there is no room: there is now */
            agent->next_poll_ms = now_ms + CLM_POLL_FLOOR_MS;
        }
    }
}

int64_t clm_agent_tick(struct clm_agent *agent, int64_t now_ms, int64_t now_s)
{
    int64_t wait_s = TICK_MAX_MS / 1000;

    if (!agent->has_identity) {
        load_identity(agent, now_s);
        if (!agent->has_identity) {
            return CLM_AGENT_NO_IDENTITY_S * INT64_C(1000);
        }
    }
    if (!agent->poller.is_busy && now_ms >= agent->next_poll_ms && !agent->is_stopping) {
        clm_agent_poll(agent, now_ms);
    }
    start_jobs(agent, now_s, &wait_s);
    start_scan(agent, now_s, &wait_s);
    start_courier(agent, now_s, &wait_s);
    int64_t wait_ms = wait_s * 1000;
    if (!agent->poller.is_busy && !agent->is_stopping) {
        int64_t left_ms = agent->next_poll_ms - now_ms; /* else it would have been sent */

        wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
    }
    return wait_ms;
}
