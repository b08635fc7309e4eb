/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/tx.h"

#include "agent/base/clock.h"
#include "controlplane/worker.h"

enum clm_code clm_cp_tx_begin(struct clm_cp_tx *tx, bool write, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_begin(tx->db, write, err);

    tx->is_open = code == CLM_OK;
    tx->now_s = clm_clock_now_s();
    return code;
}

enum clm_code clm_cp_tx_commit(struct clm_cp_tx *tx, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_commit(tx->db, err);

    if (code != CLM_OK) {
        return code;
    }
    tx->is_open = false;
    for (size_t i = 0; tx->hub != NULL && i < tx->wakes.n; i++) {
        clm_cp_hub_wake(tx->hub, tx->wakes.v[i]);
    }
    if (tx->worker != NULL && tx->wake_worker) {
        clm_cp_worker_wake(tx->worker);
    }
    return CLM_OK;
}

void clm_cp_tx_done(struct clm_cp_tx *tx)
{
    if (tx->is_open) {
        clm_cp_db_rollback(tx->db);
        tx->is_open = false;
    }
    clm_strs_done(&tx->wakes);
}

enum clm_code clm_cp_tx_wake(struct clm_cp_tx *tx, const char *topic, struct clm_err *err)
{
    return clm_strs_add_once(&tx->wakes, topic, err);
}

enum clm_code clm_cp_tx_bump(struct clm_cp_tx *tx, const char *agent_id, struct clm_err *err)
{
    enum clm_code code =
        clm_cp_db_exec(tx->db, err, "UPDATE agent SET work_seq = work_seq + 1 WHERE id = ?1",
                       CLM_SQL(clm_sql_text(agent_id)));

    return code == CLM_OK ? clm_cp_tx_wake(tx, agent_id, err) : code;
}

enum clm_code clm_cp_tx_note(struct clm_cp_tx *tx, const char *kind, const char *id,
                             const char *what, struct clm_err *err)
{
    enum clm_code code = clm_cp_db_exec(
        tx->db, err, "INSERT INTO change (at, kind, id, what) VALUES (?1, ?2, ?3, ?4)",
        CLM_SQL(clm_sql_int(tx->now_s), clm_sql_text(kind), clm_sql_text(id), clm_sql_text(what)));

    return code == CLM_OK ? clm_cp_tx_wake(tx, CLM_CP_TOPIC_EVENTS, err) : code;
}
