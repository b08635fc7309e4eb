/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_log - the growing half of a journal: how far the transaction got
 *
 * A file of 4 KiB, allocated in full before the first effect, so that no disk can be too full to
 * say COMMITTED. Records of 32 bytes, each with a checksum that is seeded by the transaction's id.
 * Format: docs/journal.md. Internal to agent/job.
 */
#ifndef CLM_JOB_TXN_LOG_H
#define CLM_JOB_TXN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

#define CLM_TXN_LOG_SIZE    4096u
#define CLM_TXN_LOG_RECORD  32u
#define CLM_TXN_LOG_RECORDS (CLM_TXN_LOG_SIZE / CLM_TXN_LOG_RECORD)

enum clm_txn_state {
    CLM_TXN_NONE,      /* no record: not in a published journal */
    CLM_TXN_PREPARED,  /* journal complete; new files may lie beside the targets */
    CLM_TXN_SWAPPING,  /* targets may be exchanged */
    CLM_TXN_SWAPPED,   /* all are */
    CLM_TXN_RELOADED,  /* the server was told */
    CLM_TXN_COMMITTED, /* proved: only forward */
    CLM_TXN_UNDOING,   /* only back */
    CLM_TXN_UNDONE,    /* old files in place */
    CLM_TXN_KEPT,      /* not proved, and left as it is on demand: only forward */
    CLM_TXN_STATE__COUNT
};

const char *clm_txn_state_name(enum clm_txn_state state); /* "prepared" ... */

struct clm_txn_log {
    int fd; /* -1: closed */
    uint32_t seed;
    uint32_t n;               /* records */
    enum clm_txn_state state; /* of the last one */
    bool is_broken;           /* a write failed: nothing more is written */
};
#define CLM_TXN_LOG_INIT                                                                           \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
void clm_txn_log_close(struct clm_txn_log *log); /* for CLM_CLEANUP */

/*
 * clm_txn_log_decode() - pure
 *
 * Out     out_n, out_state  records and the last one's state; a torn last record is not counted
 * Errors  PARSE another length; a bad record with a good one behind it; an unknown state; a step
 *         that cannot follow the one before
 */
CLM_MUST_USE enum clm_code clm_txn_log_decode(const uint8_t *data, size_t len, const char *txid,
                                              uint32_t *out_n, enum clm_txn_state *out_state,
                                              struct clm_err *err);
/* Creates the file with the record PREPARED, flushed, and leaves it closed: it will be renamed. */
CLM_MUST_USE enum clm_code clm_txn_log_create(const char *path, const char *txid, int64_t now_ms,
                                              struct clm_err *err);
/* Opens for appending. Errors: as clm_txn_log_decode(); NOTFOUND, IO. */
CLM_MUST_USE enum clm_code clm_txn_log_open(const char *path, const char *txid,
                                            struct clm_txn_log *out, struct clm_err *err);
/* Durable when it returns CLM_OK. Errors: INVAL the state cannot follow the last one, nothing was
 * written; IO, after which the state on disk is not known and the log accepts nothing more. */
CLM_MUST_USE enum clm_code clm_txn_log_append(struct clm_txn_log *log, enum clm_txn_state state,
                                              int64_t now_ms, struct clm_err *err);

#endif
