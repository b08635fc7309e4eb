/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "controlplane/handlers.h"
#include "controlplane/server.h"

#define EVENTS_MAX 500

static enum clm_code add_changes(struct clm_cp_tx *tx, int64_t after, struct clm_json *array,
                                 int64_t *out_last, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = true;
    enum clm_code code = clm_cp_db_query(
        tx->db, &stmt, err,
        "SELECT seq, at, kind, id, what FROM change WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        CLM_SQL(clm_sql_int(after), clm_sql_int(EVENTS_MAX)));

    while (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        struct clm_json *obj = clm_json_add_object(array);

        *out_last = clm_cp_stmt_int(stmt, 0);
        clm_json_set_int(obj, "seq", *out_last);
        clm_cp_json_time(obj, "at", clm_cp_stmt_int(stmt, 1));
        clm_json_set_str(obj, "kind", clm_cp_stmt_text(stmt, 2));
        clm_json_set_str(obj, "id", clm_cp_stmt_text(stmt, 3));
        clm_json_set_str(obj, "what", clm_cp_stmt_text(stmt, 4));
    }
    return code;
}

/* Without "after": only where the list ends now, to start from. */
CLM_CP_HANDLER(clm_cp_op_get_events)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_json *array = clm_json_set_array(obj, "events");
    int64_t after = -1;
    int64_t wait_s = 0;
    int64_t last = 0;
    enum clm_code code = clm_cp_request_number(req, "after", CLM_JSON_INT_MAX, &after, err);

    if (code == CLM_OK) {
        code = clm_cp_request_number(req, "wait", 86400, &wait_s, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_get_int(req->tx->db, 0, &last, err, "SELECT max(seq) FROM change",
                                 CLM_SQL_NONE);
    }
    if (code == CLM_OK && after >= 0 && after <= last) {
        last = after;
        code = add_changes(req->tx, after, array, &last, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    int64_t max_s = req->cp->conf.wait_max_s;
    int64_t until_ms = req->started_ms + (wait_s < max_s ? wait_s : max_s) * 1000;

    if (after >= 0 && after == last && !req->is_last && clm_clock_mono_ms() < until_ms) {
        return clm_cp_answer_hold(answer, CLM_CP_TOPIC_EVENTS, "", until_ms);
    }
    clm_json_set_int(obj, "last", last);
    return clm_cp_answer_json(answer, 200, obj, err);
}

CLM_CP_HANDLER(clm_cp_op_get_connectors)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_json *array = clm_json_set_array(obj, "connectors");
    const struct clm_cp_conf *conf = &req->cp->conf;

    for (size_t i = 0; i < conf->n_connectors; i++) {
        const struct clm_cp_connector *connector = &conf->connectors[i];
        struct clm_json *item = clm_json_add_object(array);
        bool is_acme = connector->type == CLM_CP_CONNECTOR_ACME;

        clm_json_set_str(item, "name", connector->name);
        clm_json_set_str(item, "type", is_acme ? "acme" : "builtin");
        clm_json_set_str(item, "dcv", is_acme || connector->dcv ? "http-01" : "none");
        if (is_acme) {
            clm_json_set_str(item, "directory", connector->directory);
        } else {
            clm_json_set_int(item, "http_port", connector->port);
            clm_json_set_int(item, "days", connector->days);
            clm_json_set_str(item, "root_pem", clm_buf_str(&req->tx->pki->web_root.pem));
        }
    }
    clm_json_set_str(obj, "default_connector", conf->default_connector);
    return clm_cp_answer_json(answer, 200, obj, err);
}

CLM_CP_HANDLER(clm_cp_op_get_health)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();

    clm_json_set_str(obj, "status", "ok");
    clm_json_set_str(obj, "version", CLM_VERSION);
    clm_cp_json_time(obj, "time", req->tx->now_s);
    return clm_cp_answer_json(answer, 200, obj, err);
}
