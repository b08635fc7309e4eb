/* SPDX-License-Identifier: Apache-2.0 */
/* What hosts report of themselves: protocol.md 7.8, and the same for operators. */
#include <string.h>

#include "controlplane/certs.h"
#include "controlplane/handlers.h"
#include "controlplane/inventory.h"
#include "controlplane/server.h"

#define SERVICES_MAX          1000 /* protocol.md 6.4: arrays */
#define CAPABILITIES_MAX      200
#define CAPABILITIES_TEXT_MAX 16384
#define DIGEST_MAX            71 /* "sha256:" and 64 digits */

static bool is_digest(const char *text)
{
    return clm_str_starts(text, "sha256:") && strlen(text) == DIGEST_MAX &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

/* An agent that was enrolled by an older version says here what it learnt; protocol.md 6.7. */
static enum clm_code take_capabilities(struct clm_cp_request *req, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CAPABILITIES_TEXT_MAX);
    const struct clm_json *list = NULL;
    enum clm_code code = CLM_OK;

    if (clm_json_get(req->body, "capabilities") == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(req->body, "capabilities", CAPABILITIES_MAX, &list, err);

    for (const struct clm_json *c = clm_json_first(list); code == CLM_OK && c != NULL;
         c = clm_json_next(c)) {
        if (clm_json_text(c) == NULL) {
            code = clm_err_set(err, CLM_E_PARSE, "/capabilities: not a list of texts");
        }
    }
    if (code == CLM_OK) {
        code = clm_json_print(list, false, &text, err);
    }
    return code == CLM_OK
               ? clm_cp_db_exec(
                     req->tx->db, err, "UPDATE agent SET caps = ?2 WHERE id = ?1",
                     CLM_SQL(clm_sql_text(req->agent_id), clm_sql_text(clm_buf_str(&text))))
               : code;
}

CLM_CP_HANDLER(clm_cp_put_inventory)
{
    const char *digest = NULL;
    const struct clm_json *services = NULL;
    int64_t schema = 0;
    enum clm_code code = clm_json_int(req->body, "schema", 1, 1, &schema, err);

    if (code == CLM_OK) {
        code = clm_json_str(req->body, "digest", DIGEST_MAX, &digest, err);
    }
    if (code == CLM_OK && !is_digest(digest)) {
        code = clm_err_set(err, CLM_E_PARSE, "/digest: must be sha256: and 64 digits");
    }
    if (code == CLM_OK) {
        code = clm_json_array(req->body, "services", SERVICES_MAX, &services, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_exec(
            req->tx->db, err,
            "INSERT INTO inventory (agent_id, digest, body, at) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (agent_id) DO UPDATE SET digest = excluded.digest,"
            " body = excluded.body, at = excluded.at",
            CLM_SQL(clm_sql_text(req->agent_id), clm_sql_text(digest),
                    clm_sql_text(clm_buf_str(req->raw)), clm_sql_int(req->tx->now_s)));
    }
    if (code == CLM_OK) {
        code = take_capabilities(req, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_certs_on_inventory(req->tx, req->agent_id, req->body, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_tx_note(req->tx, "inventory", req->agent_id, "changed", err);
    }
    return code == CLM_OK ? clm_cp_answer_empty(answer, 204) : code;
}

CLM_CP_HANDLER(clm_cp_op_get_inventory)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    const char *agent_id = clm_cp_request_query(req, "agent_id");

    if (agent_id == NULL) {
        return clm_cp_answer_problem(req, answer, CLM_CP_SCHEMA,
                                     "the query parameter agent_id is required");
    }
    enum clm_code code = clm_cp_db_query_one(req->tx->db, &stmt, err,
                                             "SELECT body, at FROM inventory WHERE agent_id = ?1",
                                             CLM_SQL(clm_sql_text(agent_id)));

    if (code == CLM_E_NOTFOUND) {
        return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "no inventory of agent '%.31s'",
                                     agent_id);
    }
    if (code == CLM_OK) {
        code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 0), &body, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(obj, "agent_id", agent_id);
    clm_cp_json_time(obj, "received_at", clm_cp_stmt_int(stmt, 1));
    clm_json_set_take(obj, "inventory", CLM_STEAL(body));
    return clm_cp_answer_json(answer, 200, obj, err);
}

const struct clm_json *clm_cp_inventory_find(const struct clm_json *inventory, const char *target)
{
    const struct clm_json *services = clm_json_get(inventory, "services");

    for (const struct clm_json *s = clm_json_first(services); s != NULL; s = clm_json_next(s)) {
        const struct clm_json *targets = clm_json_get(s, "targets");

        for (const struct clm_json *t = clm_json_first(targets); t != NULL; t = clm_json_next(t)) {
            const char *id = clm_json_text(clm_json_get(t, "target"));

            if (id != NULL && strcmp(id, target) == 0) {
                return t;
            }
        }
    }
    return NULL;
}

enum clm_code clm_cp_inventory_target(struct clm_cp_tx *tx, const char *agent_id,
                                      const char *target, struct clm_json **out_json,
                                      struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *copy = clm_json_new_object();
    enum clm_code code =
        clm_cp_db_query_one(tx->db, &stmt, err, "SELECT body FROM inventory WHERE agent_id = ?1",
                            CLM_SQL(clm_sql_text(agent_id)));

    if (code == CLM_OK) {
        code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 0), &body, err);
    }
    const struct clm_json *found = code == CLM_OK ? clm_cp_inventory_find(body, target) : NULL;

    if (code == CLM_OK && found == NULL) {
        code = clm_err_set(err, CLM_E_NOTFOUND, "no target '%s'", target);
    }
    for (const struct clm_json *m = clm_json_first(found); m != NULL; m = clm_json_next(m)) {
        clm_json_set_copy(copy, clm_json_key(m), m);
    }
    if (code == CLM_OK && !clm_json_is_whole(copy)) {
        code = clm_err_set(err, CLM_E_NOMEM, "target '%s'", target);
    }
    if (code == CLM_OK) {
        *out_json = CLM_STEAL(copy);
    }
    return code;
}

struct managed {
    const char *agent_id;
    struct clm_cp_tx *tx;
};

static enum clm_code add_managed(const struct managed *in, const char *target, struct clm_json *obj,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    bool row = false;
    enum clm_code code =
        clm_cp_db_query(in->tx->db, &stmt, err,
                        "SELECT id, state FROM cert WHERE agent_id = ?1 AND target = ?2"
                        " ORDER BY created_at DESC LIMIT 1",
                        CLM_SQL(clm_sql_text(in->agent_id), clm_sql_text(target)));

    if (code == CLM_OK) {
        code = clm_cp_stmt_next(stmt, &row, err);
    }
    if (code == CLM_OK) {
        clm_json_set_str(obj, "certificate_id", row ? clm_cp_stmt_text(stmt, 0) : NULL);
        clm_json_set_str(obj, "certificate_state", row ? clm_cp_stmt_text(stmt, 1) : NULL);
    }
    return code;
}

static enum clm_code add_targets(const struct managed *in, const struct clm_json *service,
                                 struct clm_json *array, struct clm_err *err)
{
    enum clm_code code = CLM_OK;
    const struct clm_json *targets = clm_json_get(service, "targets");

    for (const struct clm_json *target = clm_json_first(targets); code == CLM_OK && target != NULL;
         target = clm_json_next(target)) {
        const char *id = clm_json_text(clm_json_get(target, "target"));
        struct clm_json *obj = clm_json_add_object(array);

        for (const struct clm_json *m = clm_json_first(target); m != NULL; m = clm_json_next(m)) {
            clm_json_set_copy(obj, clm_json_key(m), m);
        }
        clm_json_set_str(obj, "agent_id", in->agent_id);
        clm_json_set_copy(obj, "service_id", clm_json_get(service, "service_id"));
        clm_json_set_copy(obj, "kind", clm_json_get(service, "kind"));
        clm_json_set_copy(obj, "running", clm_json_get(service, "running"));
        code = add_managed(in, id != NULL ? id : "", obj, err);
    }
    return code;
}

CLM_CP_HANDLER(clm_cp_op_get_targets)
{
    CLM_CLEANUP(clm_cp_stmt_free_p) struct clm_cp_stmt *stmt = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_json *array = clm_json_set_array(obj, "targets");
    bool row = true;
    enum clm_code code =
        clm_cp_db_query(req->tx->db, &stmt, err,
                        "SELECT agent_id, body FROM inventory WHERE ?1 IS NULL OR agent_id = ?1"
                        " ORDER BY agent_id LIMIT 2000",
                        CLM_SQL(clm_sql_text(clm_cp_request_query(req, "agent_id"))));

    while (code == CLM_OK) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;

        code = clm_cp_stmt_next(stmt, &row, err);
        if (code != CLM_OK || !row) {
            break;
        }
        const struct managed in = {.agent_id = clm_cp_stmt_text(stmt, 0), .tx = req->tx};

        code = clm_cp_json_stored(clm_cp_stmt_text(stmt, 1), &body, err);
        const struct clm_json *services = clm_json_get(body, "services");

        for (const struct clm_json *s = clm_json_first(services); code == CLM_OK && s != NULL;
             s = clm_json_next(s)) {
            code = add_targets(&in, s, array, err);
        }
    }
    return code == CLM_OK ? clm_cp_answer_json(answer, 200, obj, err) : code;
}
