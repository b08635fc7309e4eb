/* SPDX-License-Identifier: Apache-2.0 */
/* Reloads and handshakes: makes the server use its files, and proves which leaf it serves. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/job/txn_int.h"
#include "agent/job/txn_verify.h"

#define PLACE_SIZE    (CLM_ADDR_SIZE + CLM_DNS_NAME_SIZE + 16)
#define LOOK_AGAIN_MS 250 /* while an endpoint is neither old nor new */

static const uint32_t default_retry_ms[] = {1000, 5000, 25000}; /* reliability.md 4.5 */

/* "127.0.0.1:443 (www.example.com)" */
static void name_of(const struct clm_endpoint *e, char *dst, size_t size)
{
    bool is_v6 = strchr(e->addr, ':') != NULL;

    (void)snprintf(dst, size, "%s%s%s:%u%s%s%s", is_v6 ? "[" : "", e->addr, is_v6 ? "]" : "",
                   (unsigned)e->port, e->sni[0] != '\0' ? " (" : "", e->sni,
                   e->sni[0] != '\0' ? ")" : "");
}

/* ---- baseline ---- */

enum clm_served clm_txn_classify(const struct clm_txn *t, const struct clm_txn_endpoint *e,
                                 const struct clm_observation *seen)
{
    if (seen->result != CLM_PROBE_SERVED) {
        return CLM_SERVED_NOTHING;
    }
    if (strcmp(seen->leaf_sha256, t->rec.new_leaf) == 0) {
        return CLM_SERVED_NEW;
    }
    if (strcmp(seen->leaf_sha256, t->rec.old_leaf) == 0) {
        return CLM_SERVED_OLD;
    }
    /* A server that was never reloaded after an earlier change shows neither file. */
    if (e->is_counted && e->before.result == CLM_PROBE_SERVED &&
        strcmp(seen->leaf_sha256, e->before.leaf_sha256) == 0) {
        return CLM_SERVED_OLD;
    }
    return CLM_SERVED_OTHER;
}

/*
 * An endpoint is counted if it shows one of the two leaves now. If none does (first installation,
 * a server never reloaded), all are counted: something must prove that the deployment worked.
 */
static size_t count_endpoints(struct clm_txn *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->rec.n_endpoints; i++) {
        struct clm_txn_endpoint *e = &t->rec.endpoints[i];
        enum clm_served seen;

        e->is_counted = false;
        seen = clm_txn_classify(t, e, &e->before);
        e->is_counted = seen == CLM_SERVED_NEW || seen == CLM_SERVED_OLD;
        n += e->is_counted;
    }
    for (size_t i = 0; n == 0 && i < t->rec.n_endpoints; i++) {
        t->rec.endpoints[i].is_counted = true;
    }
    return n > 0 ? n : t->rec.n_endpoints;
}

static void report_baseline(struct clm_txn *t, int64_t start_ms, size_t n_counted)
{
    char place[PLACE_SIZE];

    for (size_t i = 0; i < t->rec.n_endpoints; i++) {
        const struct clm_txn_endpoint *e = &t->rec.endpoints[i];

        if (!e->is_counted) {
            name_of(&e->endpoint, place, sizeof(place));
            clm_txn_step_done(
                t, "baseline", "warning", start_ms,
                "%s does not serve this target's certificate (%s): not counted", place,
                e->before.result == CLM_PROBE_SERVED ? "it shows another one"
                                                     : clm_probe_result_name(e->before.result));
            return; /* one line; the others stand in the list of endpoints */
        }
    }
    clm_txn_step_done(t, "baseline", "ok", start_ms, "%zu endpoint%s", n_counted,
                      n_counted == 1 ? "" : "s");
}

enum clm_code clm_txn_baseline(struct clm_txn *t, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    int64_t start_ms = clm_txn_mono_ms(t);

    for (size_t i = 0; i < t->rec.n_endpoints; i++) {
        struct clm_txn_endpoint *e = &t->rec.endpoints[i];
        enum clm_code code = io->probe(io->ctx, &e->endpoint, &e->before, err);

        if (code != CLM_OK) {
            char place[PLACE_SIZE];

            name_of(&e->endpoint, place, sizeof(place));
            return clm_err_wrap(err, code, "handshake with %s", place);
        }
    }
    if (t->rec.n_endpoints > 0) {
        report_baseline(t, start_ms, count_endpoints(t));
    }
    return clm_txn_show_endpoints(t, err);
}

/* ---- verify ---- */

/* NEW: what is wanted; OLD: what should go away. In a rollback the roles of the leaves change. */
static enum clm_served judge(const struct clm_txn *t, const struct clm_txn_endpoint *e,
                             const struct clm_observation *seen, bool is_rollback)
{
    enum clm_served served = clm_txn_classify(t, e, seen);

    if (!is_rollback) {
        return served;
    }
    switch (served) {
    case CLM_SERVED_NEW:
        return CLM_SERVED_OLD;
    case CLM_SERVED_OLD:
        return CLM_SERVED_NEW;
    case CLM_SERVED_OTHER:
    case CLM_SERVED_NOTHING:
        break;
    }
    return served;
}

/* After a rollback there is something to see only where something was seen before. */
static bool is_asked(const struct clm_txn_endpoint *e, bool is_rollback)
{
    return e->is_counted && (!is_rollback || e->before.result == CLM_PROBE_SERVED);
}

static struct clm_observation *slot(struct clm_txn_endpoint *e, bool is_rollback)
{
    return is_rollback ? &e->rollback : &e->after;
}

static void look(struct clm_txn *t, struct clm_txn_endpoint *e, struct clm_observation *seen)
{
    const struct clm_io *io = t->env->io;
    struct clm_err err = {0};

    memset(seen, 0, sizeof(*seen));
    if (io->probe(io->ctx, &e->endpoint, seen, &err) != CLM_OK) {
        *seen = (struct clm_observation){.result = CLM_PROBE_TIMEOUT};
        (void)snprintf(seen->detail, sizeof(seen->detail), "%.*s", (int)sizeof(seen->detail) - 1,
                       err.msg);
    }
    if (seen->at_ms == 0) {
        seen->at_ms = io->now_s(io->ctx) * 1000;
    }
}

static enum clm_code not_served(const struct clm_txn *t, const struct clm_txn_endpoint *e,
                                bool is_rollback, struct clm_err *err)
{
    const struct clm_observation *seen = is_rollback ? &e->rollback : &e->after;
    char place[PLACE_SIZE];

    name_of(&e->endpoint, place, sizeof(place));
    switch (judge(t, e, seen, is_rollback)) {
    case CLM_SERVED_NEW:
    case CLM_SERVED_OLD:
        return clm_err_set(err, CLM_E_VERIFY, "%s still serves the %s certificate", place,
                           is_rollback ? "new" : "old");
    case CLM_SERVED_OTHER:
        return clm_err_set(err, CLM_E_VERIFY, "%s serves another certificate (%s)", place,
                           seen->leaf_sha256);
    case CLM_SERVED_NOTHING:
        break;
    }
    return clm_err_set(err, CLM_E_VERIFY, "%s: handshake failed: %s%s%s", place,
                       clm_probe_result_name(seen->result), seen->detail[0] != '\0' ? ", " : "",
                       seen->detail);
}

struct round {
    struct clm_verify states[CLM_TXN_ENDPOINTS_MAX]; /* no memory needed: a rollback proves, too */
    bool is_rollback;
    int64_t next_ms; /* earliest look that is due */
    size_t waiting;
};

/* Looks at every endpoint that is due. */
static enum clm_code one_round(struct clm_txn *t, struct round *r, struct clm_err *err)
{
    r->waiting = 0;
    r->next_ms = INT64_MAX;
    for (size_t i = 0; i < t->out->n_endpoints; i++) {
        struct clm_txn_endpoint *e = &t->out->endpoints[i];
        struct clm_verify *v = &r->states[i];
        struct clm_observation *seen = slot(e, r->is_rollback);

        if (v->verdict == CLM_VERDICT_WAIT && v->next_ms <= clm_txn_mono_ms(t)) {
            look(t, e, seen);
            clm_verify_feed(v, judge(t, e, seen, r->is_rollback),
                            seen->result == CLM_PROBE_REFUSED && clm_txn_is_down(t),
                            clm_txn_mono_ms(t));
        }
        if (v->verdict == CLM_VERDICT_FAIL) {
            return not_served(t, e, r->is_rollback, err);
        }
        if (v->verdict == CLM_VERDICT_WAIT) {
            r->waiting++;
            r->next_ms = v->next_ms < r->next_ms ? v->next_ms : r->next_ms;
        }
    }
    return CLM_OK;
}

static enum clm_code all_rounds(struct clm_txn *t, struct round *r, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;

    for (;;) {
        int64_t wait_ms;
        enum clm_code code = one_round(t, r, err);

        if (code != CLM_OK || r->waiting == 0) {
            return code;
        }
        if (!r->is_rollback && clm_txn_is_cancelled(t)) {
            return clm_err_set(err, CLM_E_CANCELLED, "cancelled before the proof was complete");
        }
        wait_ms = r->next_ms - clm_txn_mono_ms(t);
        if (wait_ms > 0) {
            io->sleep_ms(io->ctx, wait_ms);
        }
    }
}

enum clm_code clm_txn_verify(struct clm_txn *t, bool is_rollback, uint32_t deadline_ms,
                             struct clm_err *err)
{
    size_t n = t->out->n_endpoints;
    struct round r = {.is_rollback = is_rollback};
    enum clm_code code;

    if (n == 0) {
        return CLM_OK;
    }
    assert(n <= CLM_TXN_ENDPOINTS_MAX);
    for (size_t i = 0; i < n; i++) {
        clm_verify_start(&r.states[i], clm_txn_mono_ms(t), deadline_ms);
        r.states[i].may_be_slow = clm_txn_may_be_slow(t);
        if (!is_asked(&t->out->endpoints[i], is_rollback)) {
            r.states[i].verdict = CLM_VERDICT_PASS;
        }
    }
    code = all_rounds(t, &r, err);
    for (size_t i = 0; i < n; i++) { /* those not counted: for the report only */
        struct clm_txn_endpoint *e = &t->out->endpoints[i];

        if (!is_asked(e, is_rollback)) {
            look(t, e, slot(e, is_rollback));
        }
    }
    return code;
}

/* An endpoint that worked must go on with the old or the new leaf. */
static enum clm_code look_quietly(struct clm_txn *t, struct clm_txn_endpoint *e,
                                  enum clm_served *out, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    int64_t end_ms = clm_txn_mono_ms(t) + CLM_VERIFY_GRACE_MS;

    for (;;) {
        look(t, e, &e->after);
        *out = clm_txn_classify(t, e, &e->after);
        if (*out == CLM_SERVED_NEW || *out == CLM_SERVED_OLD || !e->is_counted ||
            e->before.result != CLM_PROBE_SERVED) {
            return CLM_OK;
        }
        if (clm_txn_mono_ms(t) >= end_ms) {
            return not_served(t, e, false, err);
        }
        io->sleep_ms(io->ctx, LOOK_AGAIN_MS);
    }
}

enum clm_code clm_txn_look_quietly(struct clm_txn *t, bool *out_new, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    *out_new = true;
    for (size_t i = 0; code == CLM_OK && i < t->out->n_endpoints; i++) {
        enum clm_served served = CLM_SERVED_NOTHING;

        code = look_quietly(t, &t->out->endpoints[i], &served, err);
        if (t->out->endpoints[i].is_counted && served != CLM_SERVED_NEW) {
            *out_new = false;
        }
    }
    return code;
}

bool clm_txn_is_new_served(const struct clm_txn *t)
{
    bool is_seen = false;

    for (size_t i = 0; i < t->out->n_endpoints; i++) {
        const struct clm_txn_endpoint *e = &t->out->endpoints[i];

        if (!e->is_counted || e->after.at_ms == 0) { /* another one failed before its turn came */
            continue;
        }
        switch (clm_txn_classify(t, e, &e->after)) {
        case CLM_SERVED_NEW:
            is_seen = true;
            break;
        case CLM_SERVED_OLD: /* expired, too: not worse than going back */
            break;
        case CLM_SERVED_OTHER:
        case CLM_SERVED_NOTHING:
            return false;
        }
    }
    return is_seen;
}

/* ---- rollback ---- */

static enum clm_code reload_patiently(struct clm_txn *t, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    bool has_own = t->env->reload_retry_ms != NULL;
    const uint32_t *waits = has_own ? t->env->reload_retry_ms : default_retry_ms;
    size_t n = has_own ? t->env->n_reload_retry : CLM_ARRAY_LEN(default_retry_ms);
    enum clm_code code = clm_txn_reload(t, err);

    for (size_t i = 0; code != CLM_OK && i < n && !clm_txn_is_cancelled(t); i++) {
        io->sleep_ms(io->ctx, waits[i]);
        code = clm_txn_reload(t, err);
    }
    return code;
}

static size_t n_provable(const struct clm_txn *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->out->n_endpoints; i++) {
        n += is_asked(&t->out->endpoints[i], true);
    }
    return n;
}

void clm_txn_back_in_service(struct clm_txn *t, bool must_reload)
{
    uint32_t deadline_ms = clm_txn_deadline_ms(&t->rec.plan);
    struct clm_err err = {0};
    int64_t start_ms;
    enum clm_code code = CLM_E_VERIFY;

    if (!must_reload) { /* the server never read the new files: it need not be disturbed */
        start_ms = clm_txn_mono_ms(t);
        code = clm_txn_verify(t, true, CLM_VERIFY_LONGEST_MS, NULL);
        if (code == CLM_OK) {
            clm_txn_step_done(t, "rollback-verify", "ok", start_ms, NULL);
        }
    }
    if (code != CLM_OK) {
        start_ms = clm_txn_mono_ms(t);
        code = reload_patiently(t, &err);
        clm_txn_step_done(t, "rollback-reload", code == CLM_OK ? "ok" : "failed", start_ms, "%s",
                          err.msg);
        if (code == CLM_OK) {
            start_ms = clm_txn_mono_ms(t);
            code = clm_txn_verify(t, true, deadline_ms, &err);
            clm_txn_step_done(t, "rollback-verify", code == CLM_OK ? "ok" : "failed", start_ms,
                              "%s", err.msg);
        }
    }
    t->out->is_proved = code == CLM_OK && n_provable(t) > 0;
    if (code == CLM_OK) {
        t->out->result = CLM_TXN_ROLLED_BACK;
    } else if (clm_txn_is_cancelled(t)) {
        (void)clm_err_wrap(&err, code, "stopped, with the old files in place, before the proof");
        (void)clm_txn_end(t, CLM_TXN_BLOCKED, code, &err);
    } else {
        (void)clm_err_wrap(&err, code, "the old files are in place, but the server is not back");
        (void)clm_txn_end(t, CLM_TXN_NEEDS_HUMAN, code, &err);
    }
}
