/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets - listening TCP sockets of one network namespace, by inode
 *
 * Read from /proc/PID/net/tcp and tcp6. Who holds a socket is found out by processes.c.
 */
#ifndef CLM_SCANNERS_SOCKETS_H
#define CLM_SCANNERS_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/io.h"
#include "agent/model/probe.h"

struct clm_socket {
    uint64_t inode;
    char addr[CLM_ADDR_SIZE]; /* inet_ntop(3); v4-mapped ones as IPv4 */
    uint16_t port;
    uint64_t cgroup; /* of struct clm_listening; 0: not known */
    size_t owner;    /* index into the processes; SIZE_MAX: not known */
};

struct clm_sockets {
    struct clm_socket *v;
    size_t n;
};

void clm_sockets_done(struct clm_sockets *sockets); /* for CLM_CLEANUP */

/* Appends the listening sockets that the process sees. pid 0: our own ("/proc/self"). Lines that
 * cannot be understood are passed over. Errors: NOTFOUND, PERM, IO neither file could be read;
 * NOMEM. */
CLM_MUST_USE enum clm_code clm_sockets_read(const struct clm_io *io, int32_t pid,
                                            struct clm_sockets *out, struct clm_err *err);
/* Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_sockets_add(struct clm_sockets *list,
                                           const struct clm_socket *socket, struct clm_err *err);
/* Sorts by inode and drops sockets that stand there twice: needed before clm_sockets_find(). */
void clm_sockets_sort(struct clm_sockets *sockets);
/* NULL if no listening socket has this inode. */
struct clm_socket *clm_sockets_find(struct clm_sockets *sockets, uint64_t inode);

#endif
