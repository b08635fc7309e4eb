/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server - the host half's side of the socket
 *
 * The client is taken to be hostile: every frame is checked, every wait has an end, and whatever
 * does not follow docs/ipc.md ends the connection. A connection that broke stays usable in one
 * sense: sending on it fails at once, so that a transaction may go on without its client.
 */
#ifndef CLM_IPC_SERVER_H
#define CLM_IPC_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/ipc/fail.h"
#include "agent/ipc/ops.h"
#include "agent/model/probe.h"

#define CLM_SERVER_IDLE_MS    20000 /* without a connection; docs/ipc.md */
#define CLM_SERVER_REQUEST_MS 20000 /* a connected client that asks for nothing */

#define CLM_SERVER_TURN_MS 5000 /* for which others wait, root included */

struct clm_server;
struct clm_conn;

struct clm_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    bool is_root; /* root or this process's own user: may ask for operations marked R */
};

/* The listening socket on descriptor 3, as systemd hands it over: LISTEN_PID (absent: not checked),
 * LISTEN_FDS=1. Both are removed from the environment. Errors: INVAL none there; NOMEM. */
CLM_MUST_USE enum clm_code clm_server_inherit(struct clm_server **out, struct clm_err *err);
/* One connected stream socket: accepted once, then there is no more. fd is given away, also on
 * failure. Errors: INVAL fd is no connected stream socket; NOMEM. */
CLM_MUST_USE enum clm_code clm_server_from_fd_take(int fd, struct clm_server **out,
                                                   struct clm_err *err);
/* Accepts NULL. Does not remove the socket's name. */
void clm_server_free(struct clm_server *server);
CLM_DEFINE_CLEANUP(struct clm_server, clm_server_free);

/*
 * clm_server_accept() - the next client; root before others
 *
 * In      idle_ms  normally CLM_SERVER_IDLE_MS; -1 waits for ever
 * Out     out      NULL if nobody came in time, or if the one connected socket was used up
 * Errors  IO, NOMEM. A client gone before it was served is passed over.
 */
CLM_MUST_USE enum clm_code clm_server_accept(struct clm_server *server, int idle_ms,
                                             struct clm_conn **out, struct clm_err *err);
/* Accepts NULL. */
void clm_conn_free(struct clm_conn *conn);
CLM_DEFINE_CLEANUP(struct clm_conn, clm_conn_free);

/* Has a client that is not root had its turn, while root waits? Then it is hung up on before its next
 * request, so that nobody keeps root from asking. */
bool clm_server_turn_is_over(struct clm_server *server, const struct clm_conn *conn);

const struct clm_peer *clm_conn_peer(const struct clm_conn *conn);

/*
 * clm_conn_receive() - the next request this peer may make
 *
 * In      wait_ms   normally CLM_SERVER_REQUEST_MS
 * Out     out_op    CLM_OP_NONE: the client is done
 *         out_body  an object, the caller's; NULL with CLM_OP_NONE
 * Effect  A request for an operation this peer may not ask for is answered with a fail (permission)
 *         and the next one awaited.
 * Errors  TIMEOUT; PARSE, LIMIT the client broke the rules; NET. The connection is then broken.
 */
CLM_MUST_USE enum clm_code clm_conn_receive(struct clm_conn *conn, int wait_ms, enum clm_op *out_op,
                                            struct clm_json **out_body, struct clm_err *err);

/* One event of the request being served. Errors: NET, TIMEOUT broken; LIMIT; NOMEM; BUG it holds a
 * private key. May be ignored. */
enum clm_code clm_conn_event(struct clm_conn *conn, const struct clm_json *event,
                             struct clm_err *err);
/*
 * clm_conn_probe() - has the client make one handshake
 *
 * Errors  NOMEM, LIMIT, BUG for the question: the client was not asked, the connection is as before.
 *         Any other, and those for the answer: the connection is broken. What the handshake showed,
 *         also a failure, is *out.
 */
CLM_MUST_USE enum clm_code clm_conn_probe(struct clm_conn *conn,
                                          const struct clm_endpoint *endpoint,
                                          struct clm_observation *out, struct clm_err *err);
/* Ends a request; in parts if it is long. Errors: NET, TIMEOUT broken; LIMIT beyond
 * CLM_FRAME_JOINED_MAX, NOMEM, BUG it holds a private key: a fail was sent in its place. */
CLM_MUST_USE enum clm_code clm_conn_reply(struct clm_conn *conn, const struct clm_json *reply,
                                          struct clm_err *err);
/* Ends a request. Errors: NET, TIMEOUT broken; NOMEM. */
CLM_MUST_USE enum clm_code clm_conn_fail(struct clm_conn *conn, const struct clm_fail *fail,
                                         struct clm_err *err);

#endif
