/* SPDX-License-Identifier: Apache-2.0 */
/* serve - the loop of "clmbot host": one client after the other, until nobody comes any more */
#ifndef CLM_HOST_SERVE_H
#define CLM_HOST_SERVE_H

#include "agent/host/host.h"
#include "agent/ipc/server.h"

/*
 * clm_host_serve() - answers clients until CLM_SERVER_IDLE_MS pass without one
 *
 * In      server  listening or connected
 *         route   the one given to clm_host_open(); points at the connected client meanwhile
 * Effect  A client that breaks the rules loses its connection and nothing else.
 * Errors  IO, NOMEM of the listening socket
 */
CLM_MUST_USE enum clm_code clm_host_serve(struct clm_host *host, struct clm_server *server,
                                          struct clm_probe_route *route, struct clm_err *err);

#endif
