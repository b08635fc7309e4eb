/* SPDX-License-Identifier: Apache-2.0 */
/* peer - starts tests/unit/net/peer.py and knows its ports and files */
#ifndef CLM_TESTS_NET_PEER_H
#define CLM_TESTS_NET_PEER_H

#include <stdint.h>
#include <sys/types.h>

#include "agent/base/buf.h"

struct peer {
    pid_t pid;
    int input; /* closing it ends the peer */
    char dir[64];
    char names[32][16];
    uint16_t ports[32];
    size_t n;
};

/* For cmocka: *state becomes a struct peer. */
int peer_start(void **state);
int peer_stop(void **state);

uint16_t peer_port(const struct peer *peer, const char *name);
/* The whole of a file in the peer's directory. */
void peer_read(const struct peer *peer, const char *name, struct clm_buf *out);
/* A port on loopback where nobody listens. */
uint16_t peer_closed_port(void);

#endif
