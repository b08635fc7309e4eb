/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener - the HTTP servers; with http.c the only user of libmicrohttpd
 *
 * A few threads serve all connections through epoll. A held request is a suspended connection.
 */
#ifndef CLM_CONTROLPLANE_LISTENER_H
#define CLM_CONTROLPLANE_LISTENER_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "controlplane/hub.h"
#include "controlplane/route.h"

struct clm_cp;
struct clm_cp_listener_state;

struct clm_cp_listen {
    enum clm_cp_listener api;
    const char *address; /* "127.0.0.1:8443", "[::1]:8443"; port 0: any */
    /* NUL-terminated text; not const only because the library's options are not. */
    void *cert_pem; /* NULL: plain HTTP */
    void *key_pem;
    void *client_ca_pem; /* client certificates are asked for; NULL: not */
};

/* For clm_cp_hub_new(). */
void clm_cp_listener_suspend(void *connection);
void clm_cp_listener_resume(void *connection);

/*
 * clm_cp_listener_start() - listens and serves from now on
 *
 * Errors  INVAL address; PERM, IO "address in use"; CRYPTO
 */
CLM_MUST_USE enum clm_code clm_cp_listener_start(struct clm_cp *cp,
                                                 const struct clm_cp_listen *listen,
                                                 struct clm_cp_listener_state **out_listener,
                                                 struct clm_err *err);
/* "https://127.0.0.1:43211", with the port that was really taken. */
const char *clm_cp_listener_url(const struct clm_cp_listener_state *listener);
/* Stops accepting, waits at most 3 s for answers under way, closes all. The hub must be closed.
 * Accepts NULL. */
void clm_cp_listener_stop(struct clm_cp_listener_state *listener);

#endif
