/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/worker.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "controlplane/connector.h"
#include "controlplane/files.h"
#include "controlplane/idem.h"
#include "controlplane/jobs.h"
#include "controlplane/orders.h"
#include "controlplane/renewals.h"

#define TICK_MS       1000
#define CLEAN_EVERY_S 600
#define RENEW_EVERY_S 2
#define WAIT_MAX_S    60
#define TOLD_MAX_S    3600 /* of what a CA says */
#define LOCAL_TRIES   25   /* of a step for want of disk or memory: some 20 minutes */
#define CHANGES_KEEP  20000
#define EVENTS_KEEP_S (30LL * 86400) /* of jobs that have ended */

struct clm_cp_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_woken;
    bool is_stopping;
    /* of the thread alone */
    char dir[PATH_MAX];
    struct clm_cp_db *db;
    struct clm_cp_pki *pki;
    struct clm_http *http;
    const struct clm_cp_conf *conf;
    struct clm_cp_hub *hub;
    int64_t cleaned_s;
    int64_t renewed_s;
    uint32_t again_ms;     /* until the next turn */
    int64_t rest_until_ms; /* no order is touched before */
};

static struct clm_cp_tx new_tx(struct clm_cp_worker *worker)
{
    return (struct clm_cp_tx){
        .db = worker->db, .hub = worker->hub, .conf = worker->conf, .pki = worker->pki};
}

/* ---- orders ---- */

static enum clm_code end_order(struct clm_cp_worker *worker, const struct clm_cp_order *order,
                               const char *why, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_tx_done) struct clm_cp_tx tx = new_tx(worker);
    enum clm_code code = clm_cp_tx_begin(&tx, true, err);

    if (code == CLM_OK) {
        code = clm_cp_challenge_set_state(&tx, order->id, NULL, "invalid", err);
    }
    if (code == CLM_OK) {
        code = clm_cp_order_set_state(&tx, order, "failed", why, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(&tx, err) : code;
}

static enum clm_code try_later(struct clm_cp_worker *worker, const struct clm_cp_order *order,
                               const struct clm_err *why, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_tx_done) struct clm_cp_tx tx = new_tx(worker);
    int64_t wait_s = order->tries < 6 ? INT64_C(1) << order->tries : WAIT_MAX_S;

    if ((int64_t)why->retry_after_s > wait_s) {
        wait_s = why->retry_after_s < TOLD_MAX_S ? (int64_t)why->retry_after_s : TOLD_MAX_S;
    }
    enum clm_code code = clm_cp_tx_begin(&tx, true, err);

    clm_log_info("order '%s': %s; next try in %lld s", order->id, why->msg, (long long)wait_s);
    if (code == CLM_OK) {
        code = clm_cp_order_defer(&tx, order->id, tx.now_s + wait_s, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(&tx, err) : code;
}

static enum clm_code load_order(struct clm_cp_worker *worker, const char *id,
                                struct clm_cp_order *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_tx_done) struct clm_cp_tx tx = new_tx(worker);
    enum clm_code code = clm_cp_tx_begin(&tx, false, err);

    if (code == CLM_OK) {
        code = clm_cp_order_load(&tx, id, NULL, out, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(&tx, err) : code;
}

/* A full disk, a busy database and the lack of memory pass as well as the absence of a CA. */
static int64_t tries_max(const struct clm_cp_connector_ops *ops, enum clm_code code)
{
    if (code == CLM_E_IO || code == CLM_E_NOMEM) {
        return LOCAL_TRIES;
    }
    return clm_code_is_transient(code) ? ops->tries_max : 0;
}

static enum clm_code step_order(struct clm_cp_worker *worker, const char *id, struct clm_err *err)
{
    struct clm_cp_order order;
    struct clm_err why = {0};
    enum clm_code code = load_order(worker, id, &order, err);

    if (code != CLM_OK) {
        return code;
    }
    const struct clm_cp_connector *connector = clm_cp_conf_connector(worker->conf, order.connector);

    if (connector == NULL) {
        return end_order(worker, &order, "its connector is no longer configured", err);
    }
    CLM_CLEANUP(clm_cp_tx_done) struct clm_cp_tx tx = new_tx(worker);
    struct clm_cp_work work = {.tx = &tx,
                               .connector = connector,
                               .http = worker->http,
                               .dir = worker->dir,
                               .again_ms = worker->again_ms};

    const struct clm_cp_connector_ops *ops = clm_cp_connector_ops(connector->type);

    code = ops->step(&work, &order, &why);
    worker->again_ms = work.again_ms;
    clm_cp_tx_done(&tx); /* a step that failed left its transaction open */
    if (code == CLM_OK) {
        return CLM_OK;
    }
    code = order.tries < tries_max(ops, code) ? try_later(worker, &order, &why, err)
                                              : end_order(worker, &order, why.msg, err);
    if (code !=
        CLM_OK) { /* when to try again cannot be kept: a CA shall not be asked every second */
        worker->rest_until_ms = clm_clock_mono_ms() + INT64_C(1000) * WAIT_MAX_S;
    }
    return code;
}

static enum clm_code step_orders(struct clm_cp_worker *worker, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    const struct clm_cp_each due = {.sql = "SELECT id FROM cert_order WHERE next_at <= ?1"
                                           " AND state IN ('created','dcv_ready','validating')"
                                           " ORDER BY next_at LIMIT 16",
                                    .values = CLM_SQL(clm_sql_int(clm_clock_now_s())),
                                    .visit = clm_cp_row_to_strs,
                                    .arg = &ids};
    if (clm_clock_mono_ms() < worker->rest_until_ms) {
        return CLM_OK;
    }
    enum clm_code code = clm_cp_db_each(worker->db, &due, err);

    for (size_t i = 0; code == CLM_OK && i < ids.n; i++) {
        struct clm_err why = {0};

        if (step_order(worker, ids.v[i], &why) != CLM_OK) { /* the others can do without it */
            clm_log_error("order '%s': %s", ids.v[i], why.msg);
        }
    }
    return code;
}

/* ---- time ---- */

static enum clm_code expire_orders(struct clm_cp_worker *worker, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf id = CLM_BUF_INIT(64);
    struct clm_cp_order order;
    enum clm_code code = clm_cp_db_get_text(worker->db, &id, err,
                                            "SELECT id FROM cert_order WHERE expires_at < ?1 AND"
                                            " state NOT IN ('issued','failed','canceled') LIMIT 1",
                                            CLM_SQL(clm_sql_int(clm_clock_now_s())));

    if (code != CLM_OK) {
        return code == CLM_E_NOTFOUND ? CLM_OK : code;
    }
    code = load_order(worker, clm_buf_str(&id), &order, err);
    return code == CLM_OK
               ? end_order(worker, &order, "nobody proved control of the names in time", err)
               : code;
}

static enum clm_code sweep(struct clm_cp_worker *worker, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_tx_done) struct clm_cp_tx tx = new_tx(worker);
    enum clm_code code = clm_cp_tx_begin(&tx, true, err);

    if (code == CLM_OK) {
        code = clm_cp_jobs_sweep(&tx, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(&tx, err) : code;
}

static enum clm_code renew(struct clm_cp_worker *worker, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_tx_done) struct clm_cp_tx tx = new_tx(worker);
    int64_t now_s = clm_clock_now_s();

    if (now_s - worker->renewed_s < RENEW_EVERY_S) {
        return CLM_OK;
    }
    worker->renewed_s = now_s;
    enum clm_code code = clm_cp_tx_begin(&tx, true, err);

    if (code == CLM_OK) {
        code = clm_cp_renewals_run(&tx, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(&tx, err) : code;
}

/* The list of changes shall not grow for ever, nor what is kept for those who ask again. */
static enum clm_code clean(struct clm_cp_worker *worker, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_tx_done) struct clm_cp_tx tx = new_tx(worker);
    int64_t now_s = clm_clock_now_s();

    if (now_s - worker->cleaned_s < CLEAN_EVERY_S) {
        return CLM_OK;
    }
    worker->cleaned_s = now_s;
    enum clm_code code = clm_cp_tx_begin(&tx, true, err);

    if (code == CLM_OK) {
        code = clm_cp_db_exec(tx.db, err, "DELETE FROM idem WHERE at < ?1",
                              CLM_SQL(clm_sql_int(tx.now_s - CLM_CP_IDEM_KEEP_S)));
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(tx.db, err,
                              "DELETE FROM change WHERE seq < (SELECT max(seq) FROM change) - ?1",
                              CLM_SQL(clm_sql_int(CHANGES_KEEP)));
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(tx.db, err, "DELETE FROM job_event WHERE at < ?1",
                              CLM_SQL(clm_sql_int(tx.now_s - EVENTS_KEEP_S)));
    }
    if (code == CLM_OK) {
        code = clm_cp_files_clean(&tx, err);
    }
    return code == CLM_OK ? clm_cp_tx_commit(&tx, err) : code;
}

/* ---- the thread ---- */

static void work_once(struct clm_cp_worker *worker)
{
    static enum clm_code (*const parts[])(struct clm_cp_worker *, struct clm_err *) = {
        step_orders, expire_orders, sweep, renew, clean};

    for (size_t i = 0; i < CLM_ARRAY_LEN(parts); i++) {
        struct clm_err err = {0};

        if (parts[i](worker, &err) != CLM_OK) {
            clm_log_error("worker: %s", err.msg);
        }
    }
}

/* Sleeps until the next tick, an order that is due before it, or a wake. */
static bool wait_for_work(struct clm_cp_worker *worker)
{
    int64_t until_ms = clm_clock_mono_ms() + worker->again_ms;
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};

    (void)pthread_mutex_lock(&worker->lock);
    while (!worker->is_woken && !worker->is_stopping) {
        if (pthread_cond_timedwait(&worker->cond, &worker->lock, &until) == ETIMEDOUT) {
            break;
        }
    }
    bool go_on = !worker->is_stopping;

    worker->is_woken = false;
    (void)pthread_mutex_unlock(&worker->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct clm_cp_worker *worker = arg;

    do {
        worker->again_ms = TICK_MS;
        work_once(worker);
    } while (wait_for_work(worker));
    return NULL;
}

static void worker_free(struct clm_cp_worker *worker)
{
    clm_http_free(worker->http);
    clm_cp_pki_free(worker->pki);
    clm_cp_db_free(worker->db);
    (void)pthread_cond_destroy(&worker->cond);
    (void)pthread_mutex_destroy(&worker->lock);
    free(worker);
}

static enum clm_code open_parts(struct clm_cp_worker *worker, const char *dir, struct clm_err *err)
{
    const struct clm_http_opts opts = {.proxy = "", .allow_http = true};
    enum clm_code code = clm_str_copy(worker->dir, sizeof(worker->dir), dir, err);

    if (code == CLM_OK) {
        code = clm_cp_db_open(dir, &worker->db, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_pki_open(dir, clm_clock_now_s(), &worker->pki, err);
    }
    return code == CLM_OK ? clm_http_new(&opts, &worker->http, err) : code;
}

enum clm_code clm_cp_worker_start(const char *dir, const struct clm_cp_conf *conf,
                                  struct clm_cp_hub *hub, struct clm_cp_worker **out_worker,
                                  struct clm_err *err)
{
    pthread_condattr_t attr;
    struct clm_cp_worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "worker");
    }
    worker->conf = conf;
    worker->hub = hub;
    (void)pthread_mutex_init(&worker->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&worker->cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    enum clm_code code = open_parts(worker, dir, err);

    if (code == CLM_OK && pthread_create(&worker->thread, NULL, run, worker) != 0) {
        code = clm_err_set(err, CLM_E_NOMEM, "the worker thread did not start");
    }
    if (code != CLM_OK) {
        worker_free(worker);
        return code;
    }
    *out_worker = worker;
    return CLM_OK;
}

void clm_cp_worker_wake(struct clm_cp_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    worker->is_woken = true;
    (void)pthread_cond_signal(&worker->cond);
    (void)pthread_mutex_unlock(&worker->lock);
}

void clm_cp_worker_stop(struct clm_cp_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&worker->lock);
    worker->is_stopping = true;
    (void)pthread_cond_signal(&worker->cond);
    (void)pthread_mutex_unlock(&worker->lock);
    (void)pthread_join(worker->thread, NULL);
    worker_free(worker);
}
