/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host - the host half: keys, files, scan, transactions
 *
 * It answers the requests of docs/ipc.md. It trusts nobody who asks: jobs are verified by signature
 * and against the local policy here, whatever the network half says. Only one process at a time
 * holds the state directory (clm_host_open takes its lock).
 */
#ifndef CLM_HOST_HOST_H
#define CLM_HOST_HOST_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/ipc/fail.h"
#include "agent/ipc/ops.h"
#include "agent/model/io.h"
#include "config/config.h"

/* Who makes handshakes for us at the moment: set while a client is connected. */
struct clm_probe_route {
    enum clm_code (*probe)(void *arg, const struct clm_endpoint *endpoint,
                           struct clm_observation *out, struct clm_err *err);
    void *arg;
};

/* What the client of the current request is and offers. */
struct clm_host_session {
    bool is_root_peer; /* may use local requests */
    /* Never NULL. Progress is best effort; an event that is part of the answer is not. */
    enum clm_code (*event)(void *arg, const struct clm_json *event, struct clm_err *err);
    void *arg;
};

struct clm_host;

/*
 * clm_host_open() - takes the state directory and makes ready to answer
 *
 * In      config  borrowed for the life of the host
 *         io      borrowed; its probe member leads to route
 *         route   borrowed; the caller points it at the connected client
 * Out     out     for clm_host_close()
 * Effect  <state_dir>/host is created 0700 if it is not there.
 * Errors  CONFLICT another host half holds the directory; PERM; IO
 */
CLM_MUST_USE enum clm_code clm_host_open(const struct clm_config *config, const struct clm_io *io,
                                         struct clm_probe_route *route, struct clm_host **out,
                                         struct clm_err *err);
void clm_host_close(struct clm_host *host); /* accepts NULL */
CLM_DEFINE_CLEANUP(struct clm_host, clm_host_close);

/*
 * clm_host_recover() - finishes or undoes what an earlier process left
 *
 * In      boot  true: before the services start; files only, no reload, no handshake
 * Out     recovered  array node; one {txid, target, outcome} is added for each
 */
CLM_MUST_USE enum clm_code clm_host_recover(struct clm_host *host, bool boot,
                                            struct clm_json *recovered, struct clm_err *err);

struct clm_host_question {
    enum clm_op op;              /* any value */
    const struct clm_json *body; /* an object, borrowed */
};

/*
 * clm_host_request() - answers one request
 *
 * Out     reply  an empty object to be filled
 *         fail   filled when the result is not CLM_OK
 * Errors  as docs/ipc.md says for the operation; nothing was changed then unless it says so
 */
CLM_MUST_USE enum clm_code clm_host_request(struct clm_host *host,
                                            const struct clm_host_session *session,
                                            const struct clm_host_question *question,
                                            struct clm_json *reply, struct clm_fail *fail,
                                            struct clm_err *err);

#endif
