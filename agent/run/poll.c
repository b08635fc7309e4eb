/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/poll.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/run/files.h"
#include "agent/run/inventory.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"

#define STATE_FILE_MAX 4096u
#define LISTED_MAX     16 /* leases, waiting; protocol.md 7.6 */
#define OFFERS_MAX     64
#define NEXT_POLL_MAX  86400

/* ---- state ---- */

void clm_poll_load(const struct clm_config *config, struct clm_poll_state *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;
    char path[PATH_MAX];
    int64_t spread_s = 60;

    *out = (struct clm_poll_state){.spread_s = 60};
    if (clm_net_path(config, path, NULL, "poll.json") != CLM_OK ||
        clm_file_read_json(path, STATE_FILE_MAX, &obj, NULL) != CLM_OK) {
        return;
    }
    if (clm_json_int_or(obj, "seq", 0, CLM_JSON_INT_MAX, &out->seq, NULL) != CLM_OK ||
        clm_json_int_or(obj, "cursor", 0, CLM_JSON_INT_MAX, &out->cursor, NULL) != CLM_OK ||
        clm_json_int_or(obj, "spread_s", 0, 86400, &spread_s, NULL) != CLM_OK) {
        clm_log_warning("%s: not readable, started anew", path);
        return;
    }
    out->spread_s = (uint32_t)spread_s;
    out->seq_saved = out->seq;
}

enum clm_code clm_poll_save(const struct clm_config *config, struct clm_poll_state *state,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char path[PATH_MAX];

    clm_json_set_int(obj, "seq", state->seq + CLM_POLL_SEQ_STEP);
    clm_json_set_int(obj, "cursor", state->cursor);
    clm_json_set_int(obj, "spread_s", state->spread_s);
    enum clm_code code = clm_net_path(config, path, err, "poll.json");
    if (code == CLM_OK) {
        code = clm_file_write_json(path, STATE_FILE_MAX, obj, err);
    }
    if (code == CLM_OK) {
        state->seq_saved = state->seq + CLM_POLL_SEQ_STEP;
    }
    return code;
}

/* ---- asking ---- */

static void add_lease(const struct clm_record *record, struct clm_json *leases)
{
    struct clm_json *lease = clm_json_add_object(leases);

    clm_json_set_str(lease, "job_id", record->job_id);
    clm_json_set_int(lease, "fence", clm_record_int(record, "fence"));
    clm_json_set_str(lease, "phase", clm_record_text(record, "phase"));
    clm_json_set_int(lease, "pct", clm_record_int(record, "pct"));
}

static void add_waiting(const struct clm_record *record, struct clm_json *waiting)
{
    struct clm_json *item = clm_json_add_object(waiting);
    int64_t until_s = clm_record_int(record, "next_try_s");
    char text[CLM_TIME_TEXT_SIZE];

    clm_json_set_str(item, "job_id", record->job_id);
    clm_json_set_str(item, "why", until_s > 0 ? "retry" : "slot");
    if (until_s > 0) {
        clm_time_format(until_s, text);
        clm_json_set_str(item, "until", text);
    }
}

static size_t add_jobs(const struct clm_config *config, struct clm_json *body)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    struct clm_json *leases = clm_json_set_array(body, "leases");
    struct clm_json *waiting = clm_json_set_array(body, "waiting");

    if (clm_record_list(config, false, &ids, NULL) != CLM_OK) {
        return 0;
    }
    for (size_t i = 0; i < ids.n; i++) {
        struct clm_record record;

        if (clm_record_load(config, ids.v[i], &record, NULL) == CLM_OK) {
            const char *state = clm_record_text(&record, "state");

            if (strcmp(state, "running") == 0 && clm_json_len(leases) < LISTED_MAX) {
                add_lease(&record, leases);
            } else if (strcmp(state, "offered") == 0 && clm_json_len(waiting) < LISTED_MAX) {
                add_waiting(&record, waiting);
            }
        }
        clm_record_done(&record);
    }
    return clm_json_len(leases);
}

static void add_spool(const struct clm_config *config, struct clm_json *body)
{
    struct clm_json *spool = clm_json_set_object(body, "spool");
    struct clm_spool_stats stats = {0};
    char dir[PATH_MAX];

    if (clm_net_path(config, dir, NULL, "spool") == CLM_OK) {
        clm_spool_stats(dir, clm_clock_now_s(), &stats);
    }
    clm_json_set_int(spool, "n", (int64_t)stats.n);
    clm_json_set_int(spool, "bytes", (int64_t)stats.bytes);
    clm_json_set_int(spool, "oldest_s", stats.oldest_s);
    clm_json_set_int(spool, "dead", (int64_t)stats.dead);
}

struct clm_json *clm_poll_body(const struct clm_config *config, struct clm_poll_state *state,
                               const struct clm_poll_facts *facts, size_t *out_leases)
{
    struct clm_json *body = clm_json_new_object();

    state->seq++;
    if (state->seq > state->seq_saved && clm_poll_save(config, state, NULL) != CLM_OK) {
        clm_log_warning("the sequence of polls could not be saved");
    }
    clm_json_set_int(body, "v", 1);
    clm_json_set_str(body, "boot_id", facts->boot_id);
    clm_json_set_int(body, "seq", state->seq);
    clm_json_set_int(body, "cursor", state->cursor);
    clm_json_set_str(body, "config_etag", "");
    clm_json_set_int(body, "trust_version", 1);
    clm_inventory_sent_digest(config, state->inventory_digest);
    clm_json_set_str(body, "inventory_digest", state->inventory_digest);
    clm_json_set_int(body, "slots_free", facts->slots_free);
    *out_leases = add_jobs(config, body);
    add_spool(config, body);
    struct clm_json *clock = clm_json_set_object(body, "clock");
    clm_json_set_real(clock, "skew_s", facts->skew_s);
    clm_json_set_bool(clock, "step", false);
    struct clm_json *health = clm_json_set_object(body, "health");
    clm_json_set_str(health, "state", "ok");
    (void)clm_json_set_array(health, "warnings");
    return body;
}

uint32_t clm_poll_wait_s(const struct clm_config *config, const struct clm_poll_state *state,
                         size_t leases)
{
    uint32_t wait_s = config->control_plane.poll_wait_s;

    if (state->wait_max_s > 0 && wait_s > state->wait_max_s) {
        wait_s = state->wait_max_s;
    }
    if (leases > 0 && wait_s > CLM_POLL_LEASE_WAIT_S) {
        wait_s = CLM_POLL_LEASE_WAIT_S;
    }
    return wait_s;
}

/* ---- the answer ---- */

void clm_poll_stops(const struct clm_json *answer, clm_poll_stop_fn stop, void *arg)
{
    const struct clm_json *n;

    for (n = clm_json_first(clm_json_get(answer, "cancels")); n != NULL; n = clm_json_next(n)) {
        const char *job_id = clm_json_text(clm_json_get(n, "job_id"));

        if (job_id != NULL && clm_id_is_valid("job", job_id)) {
            stop(arg, job_id, false);
        }
    }
    for (n = clm_json_first(clm_json_get(answer, "leases")); n != NULL; n = clm_json_next(n)) {
        const char *job_id = clm_json_text(clm_json_get(n, "job_id"));
        const char *why = clm_json_text(clm_json_get(n, "code"));
        bool ok = true;

        if (job_id != NULL && clm_id_is_valid("job", job_id) &&
            clm_json_bool(n, "ok", &ok, NULL) == CLM_OK && !ok) {
            stop(arg, job_id, why == NULL || strncmp(why, "cancel", 6) != 0);
        }
    }
}

static enum clm_code take_offer(const struct clm_config *config, const struct clm_json *offer,
                                struct clm_poll_orders *out, struct clm_err *err)
{
    struct clm_record record;
    struct clm_record known;

    enum clm_code code = clm_record_from_offer(offer, &record, err);
    if (code == CLM_OK) {
        code = clm_record_load(config, record.job_id, &known, err);
        clm_record_done(&known);
        if (code == CLM_E_NOTFOUND) {
            code = clm_record_save(config, &record, err);
            out->n_new += code == CLM_OK ? 1 : 0;
            clm_log_at(CLM_LOG_INFO, record.job_id, clm_record_text(&record, "target"),
                       "%s offered", clm_record_text(&record, "type"));
        }
    }
    clm_record_done(&record);
    return code;
}

static void take_offers(const struct clm_config *config, const struct clm_json *offers,
                        struct clm_poll_orders *out)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs open = {0};

    if (clm_record_list(config, false, &open, NULL) != CLM_OK) {
        return;
    }
    for (const struct clm_json *n = clm_json_first(offers);
         n != NULL && open.n + out->n_new < CLM_RECORD_OPEN_MAX; n = clm_json_next(n)) {
        struct clm_err why = {0};

        if (take_offer(config, n, out, &why) != CLM_OK) {
            clm_log_warning("an offered job was left: %s", why.msg);
        }
    }
}

static enum clm_code read_times(const struct clm_json *answer, struct clm_poll_state *state,
                                struct clm_poll_orders *out, struct clm_err *err)
{
    int64_t next_s = -1;
    int64_t wait_max_s = state->wait_max_s;
    int64_t spread_s = state->spread_s;

    /* Too large is cut, not refused: the floor and the ceiling are ours. */
    enum clm_code code = clm_json_int_or(answer, "next_poll_s", 0, CLM_JSON_INT_MAX, &next_s, err);
    if (code == CLM_OK) {
        code = clm_json_int_or(answer, "wait_max_s", 0, CLM_JSON_INT_MAX, &wait_max_s, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int_or(answer, "reconnect_spread_s", 0, CLM_JSON_INT_MAX, &spread_s, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    out->has_next_poll = next_s >= 0;
    out->next_poll_s = next_s > NEXT_POLL_MAX ? NEXT_POLL_MAX : (uint32_t)(next_s < 0 ? 0 : next_s);
    state->wait_max_s = wait_max_s > 300 ? 300 : (uint32_t)wait_max_s;
    state->spread_s =
        spread_s > CLM_BACKOFF_SPREAD_MAX_S ? CLM_BACKOFF_SPREAD_MAX_S : (uint32_t)spread_s;
    return CLM_OK;
}

static void read_notices(const struct clm_json *notices, struct clm_poll_orders *out)
{
    const char *inventory = clm_json_text(clm_json_get(notices, "inventory"));
    const char *update = clm_json_text(clm_json_get(notices, "update_available"));

    if (clm_json_bool_or(notices, "renew_identity", &out->renew_identity, NULL) != CLM_OK) {
        out->renew_identity = false;
    }
    out->scan = inventory != NULL && strcmp(inventory, "send") == 0;
    if (update != NULL && clm_str_is_printable(update)) {
        (void)snprintf(out->update_available, sizeof(out->update_available), "%s", update);
    }
}

enum clm_code clm_poll_apply(const struct clm_config *config, struct clm_poll_state *state,
                             const struct clm_json *answer, bool has_room,
                             struct clm_poll_orders *out, struct clm_err *err)
{
    const struct clm_json *offers = NULL;
    int64_t cursor = state->cursor;

    *out = (struct clm_poll_orders){.n_new = 0};
    enum clm_code code = read_times(answer, state, out, err);
    if (code == CLM_OK) {
        code = clm_json_int_or(answer, "cursor", 0, CLM_JSON_INT_MAX, &cursor, err);
    }
    if (code == CLM_OK && clm_json_get(answer, "offers") != NULL) {
        code = clm_json_array(answer, "offers", OFFERS_MAX, &offers, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "answer to the poll");
    }
    read_notices(clm_json_get(answer, "notices"), out);
    if (has_room) {
        take_offers(config, offers, out);
    }
    state->cursor = cursor;
    return CLM_OK;
}

int64_t clm_poll_delay_ms(const struct clm_config *config, uint32_t next_ms, uint32_t wait_s,
                          int64_t took_ms)
{
    int64_t delay_ms = next_ms;
    int64_t max_ms = (int64_t)config->control_plane.interval_max_s * 1000;

    if (next_ms == 0 && wait_s == 0) {
        delay_ms = CLM_POLL_IDLE_S * INT64_C(1000);
    }
    if (max_ms > 0 && delay_ms > max_ms) {
        delay_ms = max_ms;
    }
    if (delay_ms < CLM_POLL_FLOOR_MS - took_ms) {
        delay_ms = CLM_POLL_FLOOR_MS - took_ms;
    }
    return delay_ms;
}
