/* SPDX-License-Identifier: Apache-2.0 */
/* The main process and the control plane: asking, and what follows from the answer. */
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/run/agent.h"
#include "agent/run/files.h"
#include "agent/run/inventory.h"
#include "agent/run/inventory_files.h"
#include "agent/run/job_child.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"

#define POLLER_PAUSE_MS 5000
#define SKEW_WARN_S     300.0 /* protocol.md 10.4 */

static bool spool_has_room(const struct clm_agent *agent)
{
    char path[PATH_MAX];

    clm_ignore(clm_net_path(agent->config, path, NULL, "spool")); /* it fits: clm_agent_open() */
    return clm_spool_has_room(path);
}

void clm_agent_poll(struct clm_agent *agent, int64_t now_ms)
{
    struct clm_err why = {0};
    unsigned busy = clm_children_jobs(&agent->children);
    const struct clm_poll_facts facts = {
        .boot_id = agent->boot_id,
        .slots_free =
            busy >= CLM_AGENT_JOBS_MAX || !spool_has_room(agent) ? 0 : CLM_AGENT_JOBS_MAX - busy,
        .skew_s = agent->skew_s};
    size_t leases = 0;
    enum clm_code code = CLM_OK;

    if (agent->poller.pid == 0) {
        code = clm_poller_start(agent->config, agent->boot_id, &agent->poller, &why);
    }
    CLM_CLEANUP(clm_json_free_p)
    struct clm_json *body = clm_poll_body(agent->config, &agent->poll, &facts, &leases);
    /* The first answer after a start or a failure comes at once: state is known without a wait. */
    agent->poll_wait_s = agent->state == CLM_AGENT_CONNECTED
                             ? clm_poll_wait_s(agent->config, &agent->poll, leases)
                             : 0;
    if (code == CLM_OK) {
        code = clm_poller_ask(&agent->poller, body, agent->poll_wait_s, &why);
    }
    agent->poll_started_ms = now_ms;
    agent->poll_slots = facts.slots_free;
    if (code != CLM_OK) {
        clm_log_error("%s", why.msg);
        clm_poller_stop(&agent->poller);
        agent->next_poll_ms = now_ms + POLLER_PAUSE_MS;
    }
}

/* A job that was broken off takes its lease again, while a poll that told of the former one is held:
 * its answer says that this one is stale. The next poll tells of the lease there is. */
static bool was_leased_since(const struct clm_agent *agent, const char *job_id)
{
    struct clm_record record;
    bool is_newer = clm_record_load(agent->config, job_id, &record, NULL) == CLM_OK &&
                    clm_record_int(&record, "leased_ms") >= agent->poll_started_ms;

    clm_record_done(&record);
    return is_newer;
}

static void on_stop(void *arg, const char *job_id, bool is_lost)
{
    struct clm_agent *agent = arg;
    struct clm_record record;

    if (clm_children_has(&agent->children, job_id)) {
        if (is_lost && was_leased_since(agent, job_id)) {
            return;
        }
        clm_log_at(CLM_LOG_NOTICE, job_id, NULL, is_lost ? "lease lost" : "canceled");
        clm_children_signal(&agent->children, job_id, is_lost ? SIGUSR2 : SIGUSR1);
        return;
    }
    /* Not running: it asks for its lease again, now, and is told. */
    if (clm_record_load(agent->config, job_id, &record, NULL) == CLM_OK) {
        clm_json_set_int(record.root, "next_try_s", 0);
        if (clm_record_save(agent->config, &record, NULL) != CLM_OK) {
            clm_log_warning("job '%s': cancel not noted", job_id);
        }
    }
    clm_record_done(&record);
}

static void note_skew(struct clm_agent *agent, const struct clm_poll_outcome *outcome,
                      int64_t now_s)
{
    if (outcome->date_s == 0) {
        return;
    }
    double skew_s = (double)(outcome->date_s - now_s);
    if (fabs(skew_s) > SKEW_WARN_S && fabs(agent->skew_s) <= SKEW_WARN_S) {
        clm_log_warning("this host's clock is %.0f s away from the control plane's; set it right",
                        -skew_s);
    }
    agent->skew_s = skew_s;
}

/* An answer may have been held for a minute: it speaks of the inventory that was the newest when the
 * poll was sent, and another may have gone to the control plane since. */
static bool is_current(const struct clm_agent *agent)
{
    char sent[CLM_DIGEST_TEXT_SIZE];

    clm_inventory_sent_digest(agent->config, sent);
    return strcmp(sent, agent->poll.inventory_digest) == 0;
}

static void take_orders(struct clm_agent *agent, const struct clm_poll_orders *orders,
                        int64_t now_s)
{
    if (orders->renew_identity) {
        agent->renew_now = true;
    }
    if (orders->scan && is_current(agent) && agent->next_scan_s > now_s &&
        !clm_children_has(&agent->children, "@scan") && agent->scan_failures == 0) {
        clm_inventory_files_forget(agent->config);
        if (clm_inventory_sent(agent->config, "", NULL) == CLM_OK) {
            agent->next_scan_s = now_s;
        }
    }
    if (orders->update_available[0] != '\0') {
        memcpy(agent->update_available, orders->update_available, sizeof(agent->update_available));
    }
}

static void judge_success(struct clm_agent *agent, const struct clm_poll_outcome *outcome,
                          int64_t now_ms, int64_t now_s)
{
    struct clm_poll_orders orders = {.has_next_poll = outcome->has_next_poll,
                                     .next_poll_s = outcome->next_poll_s};
    const struct clm_json *body = clm_json_get(outcome->body, "body");
    struct clm_err why = {0};
    int64_t cursor = agent->poll.cursor;
    uint32_t spread_s = agent->poll.spread_s;

    if (body != NULL) {
        if (clm_poll_apply(agent->config, &agent->poll, body, !agent->is_stopping, &orders, &why) !=
            CLM_OK) {
            clm_log_warning("%s", why.msg);
        }
        clm_poll_stops(body, on_stop, agent);
    }
    if ((cursor != agent->poll.cursor || spread_s != agent->poll.spread_s) &&
        clm_poll_save(agent->config, &agent->poll, &why) != CLM_OK) {
        clm_log_warning("%s", why.msg);
    }
    take_orders(agent, &orders, now_s);
    bool was_connected = agent->state == CLM_AGENT_CONNECTED;
    agent->last_contact_s = now_s;
    clm_agent_enter(agent, CLM_AGENT_CONNECTED, "", now_s);
    /* The first poll asked for no wait: the answer says nothing about whether the server holds one,
     * and when to come again is meant for those who never let it. */
    uint32_t wait_s = was_connected ? agent->poll_wait_s : agent->config->control_plane.poll_wait_s;
    bool is_for_others = !was_connected && wait_s > 0 && outcome->status == 204;
    uint32_t next_ms = clm_backoff_ok(&agent->backoff, now_ms,
                                      is_for_others ? 0 : orders.next_poll_s, clm_rand_below);
    agent->next_poll_ms =
        now_ms + clm_poll_delay_ms(agent->config, next_ms, wait_s, now_ms - agent->poll_started_ms);
}

struct problem_row {
    const char *problem;
    enum clm_agent_state state;
    uint32_t wait_s; /* 0: as the back-off says */
};

static const struct problem_row problem_rows[] = {
    {"agent-disabled", CLM_AGENT_DISABLED, CLM_POLL_SLOW_S},
    {"agent-pending", CLM_AGENT_PENDING, 0},
    {"agent-unknown", CLM_AGENT_ORPHANED, CLM_POLL_SLOW_S},
    {"clone-suspected", CLM_AGENT_QUARANTINED, CLM_POLL_SLOW_S},
    {"cert-expired", CLM_AGENT_EXPIRED, 0},
};

static const struct problem_row *find_problem(const char *problem)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(problem_rows); i++) {
        if (strcmp(problem_rows[i].problem, problem) == 0) {
            return &problem_rows[i];
        }
    }
    return NULL;
}

static void judge_failure(struct clm_agent *agent, const struct clm_poll_outcome *outcome,
                          int64_t now_ms, int64_t now_s)
{
    const struct problem_row *row = find_problem(outcome->problem);

    if (strcmp(outcome->problem, "rate-limited") == 0 && agent->state == CLM_AGENT_CONNECTED) {
        /* It is there, we asked too often: no loss of the connection, no spread over the fleet. */
        uint32_t pause_s = outcome->retry_after_s > 0 ? outcome->retry_after_s : 2;

        agent->last_contact_s = now_s;
        agent->next_poll_ms = now_ms + (int64_t)pause_s * 1000 + clm_rand_below(pause_s * 500);
        return;
    }
    enum clm_agent_state state = row == NULL ? CLM_AGENT_OFFLINE : row->state;
    uint32_t wait_ms = clm_backoff_failed(&agent->backoff, outcome->retry_after_s,
                                          agent->poll.spread_s, clm_rand_below);

    if (row != NULL && row->wait_s > 0) {
        wait_ms = row->wait_s * 900u + clm_rand_below(row->wait_s * 200u); /* 10 % either way */
    }
    if (outcome->status > 0) {
        agent->last_contact_s = now_s;
    }
    clm_agent_enter(agent, state, outcome->message, now_s);
    if (state == CLM_AGENT_EXPIRED && now_s >= agent->next_courier_s) {
        agent->renew_now = true;
    }
    agent->next_poll_ms = now_ms + wait_ms;
}

void clm_agent_judge(struct clm_agent *agent, const struct clm_poll_outcome *outcome,
                     int64_t now_ms, int64_t now_s)
{
    note_skew(agent, outcome, now_s);
    if (outcome->code == CLM_OK) {
        judge_success(agent, outcome, now_ms, now_s);
    } else {
        judge_failure(agent, outcome, now_ms, now_s);
    }
}

void clm_agent_poll_answer(struct clm_agent *agent)
{
    struct clm_poll_outcome outcome;
    struct clm_err why = {0};
    int64_t now_ms = clm_clock_mono_ms();

    if (clm_poller_take(&agent->poller, &outcome, &why) != CLM_OK) {
        clm_log_warning("%s", why.msg);
        clm_poller_stop(&agent->poller);
        agent->next_poll_ms = now_ms + POLLER_PAUSE_MS;
    } else {
        clm_agent_judge(agent, &outcome, now_ms, clm_clock_now_s());
    }
    clm_poll_outcome_done(&outcome);
}

bool clm_agent_poke(struct clm_agent *agent, int64_t now_ms)
{
    if (now_ms - agent->last_poke_ms < CLM_AGENT_POKE_MS) {
        return false;
    }
    agent->last_poke_ms = now_ms;
    agent->next_poll_ms = now_ms;
    if (agent->poller.is_busy && agent->state == CLM_AGENT_CONNECTED) {
        return true; /* a poll is being held: the answer comes as soon as there is one */
    }
    clm_poller_stop(&agent->poller);
    return true;
}
