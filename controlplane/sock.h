/* SPDX-License-Identifier: Apache-2.0 */
/* sock - numeric addresses with ports: listening on them, and their text */
#ifndef CLM_CONTROLPLANE_SOCK_H
#define CLM_CONTROLPLANE_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "agent/base/err.h"

/*
 * clm_cp_sock_listen() - a listening TCP socket
 *
 * In      address  "127.0.0.1:8443", "[::1]:8443", "0.0.0.0:0"; numeric only
 * Out     out_fd   O_CLOEXEC, non-blocking; bound: the same form with the real port
 * Errors  INVAL address; PERM; IO
 */
CLM_MUST_USE enum clm_code clm_cp_sock_listen(const char *address, int *out_fd, char *bound,
                                              size_t size, struct clm_err *err);
/* True if address (as above) is 127.0.0.0/8 or ::1. */
bool clm_cp_sock_is_loopback(const char *address);
/* The address without port; "" if it is of another family. */
void clm_cp_sock_text(const struct sockaddr *addr, char *dst, size_t size);

#endif
