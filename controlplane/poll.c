/* SPDX-License-Identifier: Apache-2.0 */
/* The hot path: heartbeat, leases, cancels, offers (protocol.md 7.6). */
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/jws.h"
#include "controlplane/agents.h"
#include "controlplane/handlers.h"
#include "controlplane/jobs.h"
#include "controlplane/server.h"

#define OFFERS_MAX        16
#define LISTED_MAX        16                   /* leases and waiting jobs in one poll */
#define INLINE_BYTES_MAX  ((size_t)192 * 1024) /* of envelopes in one answer; the rest is fetched */
#define CANCEL_DEADLINE_S 60
#define IDLE_NEXT_POLL_S  30 /* for a client that does not hold */
#define REPEAT_NEXT_S     5  /* the agent saw these offers and did not take them yet */

struct poll {
    const char *boot_id;
    const char *inventory_digest;
    int64_t seq;
    int64_t cursor;
    int64_t slots_free;
    int64_t wait_s;
    const struct clm_json *leases;
    const struct clm_json *waiting;
    /* what is found */
    struct clm_cp_agent agent;
    struct clm_json *answer;
    bool has_news;
};

static enum clm_code read_wait(const struct clm_cp_request *req, struct poll *out,
                               struct clm_err *err)
{
    const char *prefer = clm_cp_request_header(req, "Prefer");

    if (prefer != NULL && clm_str_starts(prefer, "wait=") &&
        clm_str_to_int(prefer + strlen("wait="), 0, 86400, &out->wait_s, NULL) != CLM_OK) {
        out->wait_s = 0; /* RFC 7240 2: a preference that is not understood is ignored */
    }
    return clm_cp_request_number(req, "wait", 86400, &out->wait_s, err);
}

static enum clm_code read_list(const struct clm_json *body, const char *key,
                               const struct clm_json **out, struct clm_err *err)
{
    return clm_json_get(body, key) != NULL ? clm_json_array(body, key, LISTED_MAX, out, err)
                                           : CLM_OK;
}

static enum clm_code read_poll(const struct clm_cp_request *req, struct poll *out,
                               struct clm_err *err)
{
    int64_t v = 0;
    enum clm_code code = clm_json_int(req->body, "v", 1, 1, &v, err);

    if (code == CLM_OK) {
        code = clm_json_str(req->body, "boot_id", 39, &out->boot_id, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(req->body, "seq", 0, CLM_JSON_INT_MAX, &out->seq, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(req->body, "cursor", 0, CLM_JSON_INT_MAX, &out->cursor, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(req->body, "slots_free", 0, 1000, &out->slots_free, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(req->body, "inventory_digest", 80, "", &out->inventory_digest, err);
    }
    if (code == CLM_OK) {
        code = read_list(req->body, "leases", &out->leases, err);
    }
    if (code == CLM_OK) {
        code = read_list(req->body, "waiting", &out->waiting, err);
    }
    return code == CLM_OK ? read_wait(req, out, err) : code;
}

static enum clm_code note_seen(struct clm_cp_request *req, const struct poll *poll,
                               struct clm_err *err)
{
    const struct clm_json *health = clm_json_get(req->body, "health");
    const char *state = clm_json_text(clm_json_get(health, "state"));
    const struct clm_cp_seen seen = {
        .boot_id = poll->boot_id,
        .seq = poll->seq,
        .health = state != NULL && strlen(state) < 32 ? state : NULL,
        .remote = req->remote,
    };

    return clm_cp_agent_seen(req->tx, req->agent_id, &seen, err);
}

/* ---- leases ---- */

/* NULL: the lease holds. */
static const char *lease_fault(const struct clm_cp_job *job, int64_t fence)
{
    if (strcmp(job->state, "canceled") == 0) {
        return "canceled";
    }
    if (clm_cp_job_state_is_terminal(job->state)) {
        return "job-terminal";
    }
    return clm_cp_job_state_is_held(job->state) && job->fence == fence ? NULL : "stale-fence";
}

/* Written only when a sixth of the lease has gone: most polls write nothing. */
static enum clm_code renew_lease(struct clm_cp_tx *tx, const struct clm_cp_job *job,
                                 const struct clm_json *item, struct clm_err *err)
{
    const char *phase = NULL;
    int64_t pct = 0;
    int64_t ttl_s = tx->conf->lease_ttl_s;
    enum clm_code code = clm_json_str_or(item, "phase", 64, "", &phase, err);

    if (code == CLM_OK) {
        code = clm_json_int_or(item, "pct", 0, 100, &pct, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(tx->db, err,
                              "UPDATE job SET lease_until = ?2, phase = ?4, pct = ?5 WHERE id = ?1"
                              " AND (lease_until < ?3 OR phase IS NOT ?4)",
                              CLM_SQL(clm_sql_text(job->id), clm_sql_int(tx->now_s + ttl_s),
                                      clm_sql_int(tx->now_s + ttl_s - ttl_s / 6),
                                      clm_sql_text(phase), clm_sql_int(pct)));
    }
    if (code == CLM_OK && strcmp(job->state, "lost") == 0) {
        code = clm_cp_job_set_state(tx, job, "running", NULL, err);
    }
    return code;
}

static enum clm_code answer_one_lease(struct clm_cp_request *req, struct poll *poll,
                                      const struct clm_json *item, struct clm_json *array,
                                      struct clm_err *err)
{
    struct clm_cp_job job;
    const char *job_id = NULL;
    int64_t fence = 0;
    enum clm_code code = clm_json_str(item, "job_id", CLM_ID_SIZE - 1, &job_id, err);

    if (code == CLM_OK) {
        code = clm_json_int(item, "fence", 0, CLM_JSON_INT_MAX, &fence, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = clm_cp_job_load(req->tx, job_id, req->agent_id, &job, err);
    if (code != CLM_OK && code != CLM_E_NOTFOUND) {
        return code;
    }
    const char *fault = code == CLM_E_NOTFOUND ? "job-terminal" : lease_fault(&job, fence);
    struct clm_json *out = clm_json_add_object(array);

    clm_json_set_str(out, "job_id", job_id);
    clm_json_set_bool(out, "ok", fault == NULL);
    if (fault != NULL) {
        clm_json_set_str(out, "code", fault);
        poll->has_news = true;
        return CLM_OK;
    }
    clm_json_set_int(out, "lease_ttl_s", req->tx->conf->lease_ttl_s);
    return renew_lease(req->tx, &job, item, err);
}

static enum clm_code answer_leases(struct clm_cp_request *req, struct poll *poll,
                                   struct clm_err *err)
{
    struct clm_json *array = clm_json_set_array(poll->answer, "leases");
    enum clm_code code = CLM_OK;

    for (const struct clm_json *item = clm_json_first(poll->leases); code == CLM_OK && item != NULL;
         item = clm_json_next(item)) {
        code = answer_one_lease(req, poll, item, array, err);
    }
    return code;
}

/* ---- cancels ---- */

static void add_cancel(struct clm_json *array, const char *job_id, const char *mode,
                       const char *reason)
{
    struct clm_json *out = clm_json_add_object(array);

    clm_json_set_str(out, "job_id", job_id);
    clm_json_set_str(out, "mode", mode[0] != '\0' ? mode : "graceful");
    clm_json_set_int(out, "deadline_s", CANCEL_DEADLINE_S);
    clm_json_set_str(out, "reason", reason);
}

/* A job that the agent keeps for later, and that has ended meanwhile. */
static enum clm_code cancel_waiting(struct clm_cp_request *req, struct poll *poll,
                                    struct clm_json *array, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (const struct clm_json *item = clm_json_first(poll->waiting);
         code == CLM_OK && item != NULL; item = clm_json_next(item)) {
        struct clm_cp_job job = {0};
        const char *job_id = clm_json_text(clm_json_get(item, "job_id"));

        if (job_id == NULL || strlen(job_id) >= CLM_ID_SIZE) {
            return clm_err_set(err, CLM_E_PARSE, "/waiting: every entry needs a job_id");
        }
        code = clm_cp_job_load(req->tx, job_id, req->agent_id, &job, err);
        if (code == CLM_E_NOTFOUND || (code == CLM_OK && clm_cp_job_state_is_terminal(job.state))) {
            add_cancel(array, job_id, "graceful", code == CLM_OK ? job.state : "unknown job");
            poll->has_news = true;
            code = CLM_OK;
        }
    }
    return code;
}

static enum clm_code answer_cancels(struct clm_cp_request *req, struct poll *poll,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    struct clm_json *array = clm_json_set_array(poll->answer, "cancels");
    bool row = true;
    enum clm_code code = clm_cp_db_query(req->tx->db, &stmt, err,
                                         "SELECT id, cancel_mode, cancel_reason FROM job"
                                         " WHERE agent_id = ?1 AND state = 'canceling' LIMIT 16",
                                         CLM_SQL(clm_sql_text(req->agent_id)));

    while (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        add_cancel(array, clm_cp_stmt_text(stmt, 0), clm_cp_stmt_text(stmt, 1),
                   clm_cp_stmt_text(stmt, 2));
    }
    return code == CLM_OK ? cancel_waiting(req, poll, array, err) : code;
}

/* ---- offers ---- */

static bool is_listed(const struct clm_json *list, const char *job_id)
{
    for (const struct clm_json *item = clm_json_first(list); item != NULL;
         item = clm_json_next(item)) {
        const char *id = clm_json_text(clm_json_get(item, "job_id"));

        if (id != NULL && strcmp(id, job_id) == 0) {
            return true;
        }
    }
    return false;
}

/* SHA-256 of the signed bytes. */
static enum clm_code payload_sha256(const struct clm_json *jws, char dst[CLM_SHA256_HEX_SIZE],
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf payload = CLM_BUF_INIT((size_t)2 * CLM_JWS_PAYLOAD_MAX);
    const char *text = clm_json_text(clm_json_get(jws, "payload"));

    enum clm_code code = text != NULL ? clm_b64url_decode(text, strlen(text), &payload, err)
                                      : clm_err_set(err, CLM_E_PARSE, "no payload");

    if (code != CLM_OK) {
        (void)clm_err_wrap(err, code, "a stored job");
        return code == CLM_E_NOMEM ? code : CLM_E_BUG; /* never the client's fault */
    }
    clm_sha256_hex(payload.data, payload.len, dst);
    return CLM_OK;
}

static enum clm_code add_offer(struct clm_cp_stmt *stmt, struct clm_json *array, size_t *io_bytes,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jws = NULL;
    const char *text = clm_cp_stmt_text(stmt, 6);
    size_t size = strlen(text);
    char sha256[CLM_SHA256_HEX_SIZE];
    enum clm_code code = clm_cp_json_stored(text, &jws, err);

    if (code == CLM_OK) {
        code = payload_sha256(jws, sha256, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    struct clm_json *out = clm_json_add_object(array);

    clm_json_set_str(out, "job_id", clm_cp_stmt_text(stmt, 0));
    clm_json_set_str(out, "type", clm_cp_stmt_text(stmt, 1));
    clm_json_set_str(out, "target", clm_cp_stmt_text(stmt, 2));
    clm_json_set_int(out, "target_seq", clm_cp_stmt_int(stmt, 3));
    clm_json_set_int(out, "priority", clm_cp_stmt_int(stmt, 4));
    clm_json_set_int(out, "attempt", clm_cp_stmt_int(stmt, 5) + 1);
    clm_json_set_int(out, "size", (int64_t)size);
    clm_json_set_str(out, "sha256", sha256);
    if (*io_bytes + size <= INLINE_BYTES_MAX) {
        *io_bytes += size;
        clm_json_set_take(out, "jws", CLM_STEAL(jws));
    }
    return CLM_OK;
}

/* The first job of each target: the others wait for it (9.5). */
static enum clm_code answer_offers(struct clm_cp_request *req, struct poll *poll,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    struct clm_json *array = clm_json_set_array(poll->answer, "offers");
    size_t bytes = 0;
    bool row = true;

    if (poll->slots_free == 0) {
        return CLM_OK;
    }
    enum clm_code code = clm_cp_db_query(
        req->tx->db, &stmt, err,
        "SELECT id, type, target, target_seq, priority, attempt, jws FROM job"
        " WHERE agent_id = ?1 AND state = 'queued' AND not_before <= ?2 AND expires_at > ?2"
        " AND NOT EXISTS (SELECT 1 FROM job o WHERE o.agent_id = job.agent_id"
        "   AND o.target = job.target AND o.target_seq < job.target_seq AND o.state IN"
        "   ('queued','scheduled','leased','running','canceling','lost'))"
        " ORDER BY priority DESC, created_at, target_seq LIMIT 64",
        CLM_SQL(clm_sql_text(req->agent_id), clm_sql_int(req->tx->now_s)));

    while (code == CLM_OK && clm_json_len(array) < OFFERS_MAX) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        if (!is_listed(poll->waiting, clm_cp_stmt_text(stmt, 0))) {
            code = add_offer(stmt, array, &bytes, err);
        }
    }
    if (clm_json_len(array) > 0) {
        poll->has_news = true;
    }
    return code;
}

/* ---- the rest of the answer ---- */

static enum clm_code answer_notices(struct clm_cp_request *req, struct poll *poll,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf digest = CLM_BUF_INIT(128);
    struct clm_json *notices = clm_json_set_object(poll->answer, "notices");
    enum clm_code code = clm_cp_db_get_text(req->tx->db, &digest, err,
                                            "SELECT digest FROM inventory WHERE agent_id = ?1",
                                            CLM_SQL(clm_sql_text(req->agent_id)));

    if (code != CLM_OK && code != CLM_E_NOTFOUND) {
        return code;
    }
    bool is_known = code == CLM_OK && strcmp(clm_buf_str(&digest), poll->inventory_digest) == 0;
    int64_t left_s = poll->agent.cert_not_after_s - req->tx->now_s;

    clm_json_set_str(notices, "config_etag", "");
    clm_json_set_int(notices, "trust_version", CLM_CP_TRUST_VERSION);
    clm_json_set_str(notices, "inventory", is_known ? "changed-only" : "send");
    clm_json_set_bool(notices, "renew_identity", left_s < req->tx->conf->agent_cert_s / 4);
    return CLM_OK;
}

static enum clm_code answer_work(struct clm_cp_request *req, struct poll *poll,
                                 struct clm_cp_answer *answer, struct clm_err *err)
{
    const struct clm_cp_conf *conf = req->tx->conf;
    bool is_repeat = poll->cursor == poll->agent.work_seq &&
                     clm_json_len(clm_json_get(poll->answer, "offers")) > 0;
    enum clm_code code = answer_notices(req, poll, err);

    clm_json_set_int(poll->answer, "cursor", poll->agent.work_seq);
    clm_json_set_int(poll->answer, "next_poll_s", is_repeat ? REPEAT_NEXT_S : 0);
    clm_json_set_int(poll->answer, "wait_max_s", conf->wait_max_s);
    clm_json_set_int(poll->answer, "reconnect_spread_s", conf->reconnect_spread_s);
    clm_cp_json_time(poll->answer, "server_time", req->tx->now_s);
    return code == CLM_OK ? clm_cp_answer_json(answer, 200, poll->answer, err) : code;
}

static enum clm_code answer_nothing(struct clm_cp_request *req, const struct poll *poll,
                                    struct clm_cp_answer *answer)
{
    int64_t next_s = poll->wait_s > 0 ? 0 : IDLE_NEXT_POLL_S;

    if (clm_cp_hub_is_closed(req->cp->hub)) { /* rule 5: spread the reconnections */
        next_s = 1 + (int64_t)clm_rand_below((uint32_t)req->cp->conf.reconnect_spread_s);
    }
    clm_cp_answer_number(answer, "Clm-Next-Poll", next_s);
    return clm_cp_answer_empty(answer, 204);
}

/* Rule 2: at most min(wait, wait_max), less up to a tenth. */
static int64_t hold_until_ms(const struct clm_cp_request *req, const struct poll *poll,
                             const struct clm_cp_answer *answer)
{
    if (req->is_again) {
        return answer->hold_until_ms;
    }
    int64_t max_s = req->cp->conf.wait_max_s;
    int64_t wait_ms = (poll->wait_s < max_s ? poll->wait_s : max_s) * 1000;

    return req->started_ms + wait_ms - (int64_t)clm_rand_below((uint32_t)(wait_ms / 10 + 1));
}

static enum clm_code evaluate(struct clm_cp_request *req, struct poll *poll,
                              struct clm_cp_answer *answer, struct clm_err *err)
{
    enum clm_code code = clm_cp_agent_load(req->tx, req->agent_id, &poll->agent, err);

    if (code == CLM_OK && !req->is_again) {
        code = note_seen(req, poll, err);
    }
    poll->has_news = poll->cursor != poll->agent.work_seq;
    if (code == CLM_OK) {
        code = answer_leases(req, poll, err);
    }
    if (code == CLM_OK) {
        code = answer_cancels(req, poll, err);
    }
    if (code == CLM_OK) {
        code = answer_offers(req, poll, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    int64_t until_ms = hold_until_ms(req, poll, answer);

    if (!poll->has_news && !req->is_last && clm_clock_mono_ms() < until_ms) {
        return clm_cp_answer_hold(answer, req->agent_id, req->agent_id, until_ms);
    }
    if (!poll->has_news && clm_json_len(poll->leases) == 0) {
        return answer_nothing(req, poll, answer);
    }
    return answer_work(req, poll, answer, err);
}

CLM_CP_HANDLER(clm_cp_post_poll)
{
    struct poll poll = {.answer = clm_json_new_object()};
    enum clm_code code = read_poll(req, &poll, err);

    if (code == CLM_OK) {
        code = evaluate(req, &poll, answer, err);
    }
    clm_json_free(poll.answer);
    return code;
}

CLM_CP_HANDLER(clm_cp_post_bye)
{
    enum clm_code code = clm_cp_db_exec(
        req->tx->db, err, "UPDATE seen.agent_seen SET status = 'stopped' WHERE agent_id = ?1",
        CLM_SQL(clm_sql_text(req->agent_id)));

    if (code == CLM_OK) {
        clm_log_info("agent '%s' says goodbye", req->agent_id);
        code = clm_cp_tx_note(req->tx, "agent", req->agent_id, "stopped", err);
    }
    return code == CLM_OK ? clm_cp_answer_empty(answer, 204) : code;
}
