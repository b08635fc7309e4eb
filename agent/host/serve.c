/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/serve.h"

#include "agent/base/log.h"

static enum clm_code send_event(void *arg, const struct clm_json *event, struct clm_err *err)
{
    return clm_conn_event(arg, event, err);
}

static enum clm_code send_probe(void *arg, const struct clm_endpoint *endpoint,
                                struct clm_observation *out, struct clm_err *err)
{
    return clm_conn_probe(arg, endpoint, out, err);
}

static enum clm_code answer(struct clm_host *host, struct clm_conn *conn, enum clm_op op,
                            const struct clm_json *body, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = clm_json_new_object();
    const struct clm_host_session session = {
        .is_root_peer = clm_conn_peer(conn)->is_root, .event = send_event, .arg = conn};
    const struct clm_host_question question = {op, body};
    struct clm_fail fail;
    struct clm_err why = {.code = CLM_OK};

    if (clm_host_request(host, &session, &question, reply, &fail, &why) == CLM_OK) {
        return clm_conn_reply(conn, reply, err);
    }
    clm_log_warning("%s: %s", clm_op_name(op), why.msg);
    return clm_conn_fail(conn, &fail, err);
}

static void serve_client(struct clm_host *host, struct clm_server *server, struct clm_conn *conn)
{
    struct clm_err err = {.code = CLM_OK};
    enum clm_code code = CLM_OK;

    while (code == CLM_OK && !clm_server_turn_is_over(server, conn)) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
        enum clm_op op = CLM_OP_NONE;

        code = clm_conn_receive(conn, CLM_SERVER_REQUEST_MS, &op, &body, &err);
        if (code == CLM_OK && op == CLM_OP_NONE) {
            return;
        }
        if (code == CLM_OK) {
            code = answer(host, conn, op, body, &err);
        }
    }
    if (code != CLM_OK && code != CLM_E_TIMEOUT) {
        clm_log_warning("connection to the host half: %s", err.msg);
    }
}

enum clm_code clm_host_serve(struct clm_host *host, struct clm_server *server,
                             struct clm_probe_route *route, struct clm_err *err)
{
    for (;;) {
        CLM_CLEANUP(clm_conn_free_p) struct clm_conn *conn = NULL;
        enum clm_code code = clm_server_accept(server, CLM_SERVER_IDLE_MS, &conn, err);

        if (code != CLM_OK || conn == NULL) {
            return code;
        }
        *route = (struct clm_probe_route){.probe = send_probe, .arg = conn};
        serve_client(host, server, conn);
        *route = (struct clm_probe_route){.probe = NULL};
    }
}
