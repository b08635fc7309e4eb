/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link - the client's side of the socket to the host half
 *
 * Used by the network half (agent/run) and by root's local commands (agent/main). One request at a
 * time. After anything that does not follow docs/ipc.md, after a timeout and after the peer's end
 * the link is of no more use: every later call gives NET.
 */
#ifndef CLM_IPC_LINK_H
#define CLM_IPC_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/ipc/fail.h"
#include "agent/ipc/ops.h"
#include "agent/model/probe.h"

/* Silence of the host half that ends a call. Longest quiet step: a reload through systemd (90 s)
 * and a server's own configuration test; Java servers take up to 120 s to serve again. */
#define CLM_LINK_SILENCE_MS 600000

/* Told to stop, a client waits so long for the first word of an answer. Where systemd stops both
 * halves it may start the host half again only after the client has ended. */
#define CLM_LINK_STOP_MS 3000

struct clm_link;

struct clm_link_handlers {
    /* An event as received. NULL: dropped. */
    void (*on_event)(void *arg, const struct clm_json *event);
    /* Makes the handshake; a peer that fails is a result too. NULL: "no handshakes here". */
    void (*on_probe)(void *arg, const struct clm_endpoint *endpoint, struct clm_observation *out);
    void *arg;
};

/* Errors: NOTFOUND no socket; PERM; NET nobody listens; LIMIT path too long; IO; NOMEM. */
CLM_MUST_USE enum clm_code clm_link_connect(const char *socket_path, struct clm_link **out,
                                            struct clm_err *err);
/* fd is given away, also on failure. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_link_from_fd_take(int fd, struct clm_link **out,
                                                 struct clm_err *err);
/* Closes; waits for a host half started by clm_link_spawn(). Accepts NULL. */
void clm_link_free(struct clm_link *link);
CLM_DEFINE_CLEANUP(struct clm_link, clm_link_free);

/*
 * clm_link_rest() - lets go of the host half until the next call
 *
 * Effect  A link made by clm_link_connect() is closed and connected again by the next
 *         clm_link_call(), also if it was broken; any other is left alone. The host half serves one
 *         client at a time and hangs up on one that is silent: rest before waiting for others.
 */
void clm_link_rest(struct clm_link *link);
/* Remembers a child process that clm_link_free() waits for. */
void clm_link_set_child(struct clm_link *link, pid_t pid);
/* What to do with events and calls; kept by value, arg borrowed until changed. NULL: nothing. */
void clm_link_set_handlers(struct clm_link *link, const struct clm_link_handlers *handlers);
/* In place of CLM_LINK_SILENCE_MS. */
void clm_link_set_silence(struct clm_link *link, int silence_ms);
/* Asked again and again while nothing has come for a request: is this process told to stop? Then
 * CLM_LINK_STOP_MS are left. arg borrowed until changed. NULL: never. */
void clm_link_set_stop(struct clm_link *link, bool (*is_told)(void *arg), void *arg);

/*
 * clm_link_call() - asks for one operation and waits for its end
 *
 * In      body       NULL: {}
 * Out     out_reply  the caller's, set only on CLM_OK; the pointer may be NULL
 *         out_fail   filled if the host half answered with a fail (its code is then returned and
 *                    err holds its message); out_fail->code is CLM_OK in every other case; the
 *                    pointer may be NULL
 * Effect  events and calls meanwhile go to the handlers
 * Errors  those of the fail; NET, TIMEOUT, PARSE, LIMIT the link broke; CANCELLED told to stop, and
 *         nothing had come; BUG the reply holds a private key, which never crosses this socket
 */
CLM_MUST_USE enum clm_code clm_link_call(struct clm_link *link, enum clm_op op,
                                         const struct clm_json *body, struct clm_json **out_reply,
                                         struct clm_fail *out_fail, struct clm_err *err);

#endif
