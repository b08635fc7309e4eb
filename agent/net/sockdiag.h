/* SPDX-License-Identifier: Apache-2.0 */
/* sockdiag - the listening TCP sockets of a network namespace, and the control group that each was
 * made in, from the kernel: sock_diag(7) */
#ifndef CLM_NET_SOCKDIAG_H
#define CLM_NET_SOCKDIAG_H

#include "agent/base/err.h"
#include "agent/model/io.h"

/*
 * clm_sockdiag_read() - visits every listening TCP socket
 *
 * In      fd  AF_NETLINK, NETLINK_SOCK_DIAG; its namespace is the one that is listed
 * Errors  UNSUPPORTED the kernel has no inet_diag; IO; TIMEOUT; whatever visit answers
 */
CLM_MUST_USE enum clm_code clm_sockdiag_read(int fd, clm_io_listening_fn visit, void *arg,
                                             struct clm_err *err);

#endif
