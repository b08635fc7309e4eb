/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_record - the immutable half of a journal: what the transaction is about to do
 *
 * Written once, before the first effect, and enough to undo everything without the bundle or the
 * deployer. Holds hashes and paths, never content. Format: docs/journal.md. Internal to agent/job.
 */
#ifndef CLM_JOB_TXN_RECORD_H
#define CLM_JOB_TXN_RECORD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/fsat.h"
#include "agent/job/txn.h"
#include "agent/model/plan.h"

#define CLM_TXN_FILE_MAX   16777216u /* bytes of a file: a keystore; design.md 11 */
#define CLM_TXN_RECORD_MAX 262144u   /* bytes; that of one JSON text */

/* A version of a file: content by its hash, and who may read it. */
struct clm_txn_version {
    char sha256[CLM_SHA256_HEX_SIZE];
    uint64_t size_bytes;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
};

struct clm_txn_file {
    char dir[PATH_MAX]; /* real, without symlinks */
    char name[CLM_FSAT_NAME_SIZE];
    char temp[CLM_FSAT_NAME_SIZE]; /* beside it: the new file, after the exchange the old one */
    char back[CLM_FSAT_NAME_SIZE]; /* beside it: a restored copy on its way */
    bool old_absent;
    struct clm_txn_version old_version; /* unless old_absent */
    struct clm_txn_version new_version;
    /* Not in the record: */
    struct clm_place place;
    struct clm_buf data;     /* new content; secret */
    struct clm_buf old_data; /* old content; secret */
};

struct clm_txn_record {
    char txid[CLM_ID_SIZE];
    int64_t created_at_s;
    char old_leaf[CLM_SHA256_HEX_SIZE]; /* "": none */
    char new_leaf[CLM_SHA256_HEX_SIZE];
    bool is_old_expired;        /* when the transaction began */
    struct clm_plan plan;       /* for its reload and verify steps, and to be read by a person */
    struct clm_txn_file *files; /* only those that change */
    size_t n_files;
    struct clm_txn_endpoint *endpoints; /* is_counted and before */
    size_t n_endpoints;
};

void clm_txn_record_done(struct clm_txn_record *record); /* for CLM_CLEANUP */
/* Appends a zeroed file with its buffers and place initialised; NULL on no memory. */
struct clm_txn_file *clm_txn_record_add(struct clm_txn_record *record);

/* Appends the text: a line with length and checksum, then JSON. Errors: NOMEM, LIMIT. */
CLM_MUST_USE enum clm_code clm_txn_record_encode(const struct clm_txn_record *record,
                                                 struct clm_buf *out, struct clm_err *err);
/*
 * clm_txn_record_decode() - strictly
 *
 * Out     out     zero-initialised by the caller; for clm_txn_record_done() also after an error
 * Errors  PARSE anything that clm_txn_record_encode() does not write; NOMEM
 */
CLM_MUST_USE enum clm_code clm_txn_record_decode(const char *text, size_t len,
                                                 struct clm_txn_record *out, struct clm_err *err);

/* The longest deadline of the plan's VERIFY steps; 30,000 if none says. */
uint32_t clm_txn_deadline_ms(const struct clm_plan *plan);

#endif
