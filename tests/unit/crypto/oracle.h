/* SPDX-License-Identifier: Apache-2.0 */
/* oracle - the openssl program as a second opinion, and files for it in a directory of its own */
#ifndef CLM_TESTS_ORACLE_H
#define CLM_TESTS_ORACLE_H

#include "agent/base/buf.h"

struct oracle {
    char dir[64];
    char path[8][128]; /* of oracle_put(), round robin */
    unsigned n;
    struct clm_buf out; /* what the last run printed */
};

void oracle_init(struct oracle *o);
void oracle_done(struct oracle *o); /* removes the directory; for CLM_CLEANUP */
/* Writes a file; returns its path, valid for seven more calls. len 0: only the path. */
const char *oracle_put(struct oracle *o, const char *name, const void *data, size_t len);
/* Runs openssl with up to 15 arguments, NULL-ended; returns its exit status. */
int oracle_run(struct oracle *o, ...) __attribute__((sentinel));
/* Reads a file back; buf is reset first. */
void oracle_get(struct oracle *o, const char *name, struct clm_buf *buf);

#endif
