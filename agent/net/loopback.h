/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loopback - a socket of this host's network for a process that has no network
 *
 * The host half runs in an empty network namespace. Twice it needs this host's: Tomcat's manager on
 * loopback, and the kernel's list of listening sockets. It asks a process that can do nothing but
 * make these two kinds of socket ("clmbot loopback", started by its socket unit for each request)
 * and is sent the descriptor. What is then said over it, a password, that process never sees.
 */
#ifndef CLM_NET_LOOPBACK_H
#define CLM_NET_LOOPBACK_H

#include "agent/base/err.h"

#define CLM_LOOPBACK_SOCKET  "/run/clmbot-loopback.sock" /* in a directory that is root's alone */
#define CLM_LOOPBACK_WAIT_MS 5000 /* for one answer: a process has to start */

/* A TCP socket that leads nowhere but to this host into *out_fd, the caller's to connect and close.
 * family: AF_INET or AF_INET6. Errors: NOTFOUND nobody listens at CLM_LOOPBACK_SOCKET; NET what the
 * other side says; TIMEOUT; IO. */
CLM_MUST_USE enum clm_code clm_loopback_tcp(int family, int *out_fd, struct clm_err *err);
/* A socket for clm_sockdiag_read(). Errors: as above. */
CLM_MUST_USE enum clm_code clm_loopback_diag(int *out_fd, struct clm_err *err);

/* The same over a connection that is there: for tests. wish: "diag", "tcp4", "tcp6". */
CLM_MUST_USE enum clm_code clm_loopback_ask(int conn, const char *wish, int *out_fd,
                                            struct clm_err *err);

/*
 * clm_loopback_serve() - the other side: answers one wish on a connected stream socket
 *
 * Errors  INVAL the wish is none; TIMEOUT, LIMIT, IO. The asker has been told.
 */
CLM_MUST_USE enum clm_code clm_loopback_serve(int conn, struct clm_err *err);

#endif
