/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool - messages to the control plane that must arrive, on disk until they are acknowledged
 *
 * <dir>/<class>/<ulid>.json, one message each; <dir>/dead (refused for good), <dir>/archive
 * (superseded). Job processes put messages in, the courier takes them out: the oldest of the lowest
 * class first, and never two of one job out of order. protocol.md 9.4 and 11.
 */
#ifndef CLM_RUN_SPOOL_H
#define CLM_RUN_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"

#define CLM_SPOOL_CLASSES     3
#define CLM_SPOOL_RESULT      0         /* results; when full, no job is accepted; never dropped */
#define CLM_SPOOL_EVENT       1         /* when full, the oldest is dropped */
#define CLM_SPOOL_INVENTORY   2         /* only the newest is kept */
#define CLM_SPOOL_FILES_MAX   10000u    /* in a class; protocol.md 11 */
#define CLM_SPOOL_BYTES_MAX_0 67108864u /* protocol.md 11 */
#define CLM_SPOOL_BYTES_MAX_1 16777216u /* protocol.md 11 */
#define CLM_SPOOL_BODY_MAX    4194304u  /* an inventory; protocol.md 6.4 */
#define CLM_SPOOL_KEPT_MAX    100u /* files in dead and in archive each; older ones are removed */

/* One message on its way out. clm_spool_entry_done() frees it. */
struct clm_spool_entry {
    int class_no;
    char name[CLM_ULID_SIZE + 8]; /* file name */
    char job_id[CLM_ID_SIZE];     /* "": of no job */
    const char *method;           /* the next four point into message */
    const char *path;             /* from "/agent/v1" on */
    const char *idempotency_key;
    const struct clm_json *body;
    unsigned attempts;
    int64_t first_s; /* unix time */
    struct clm_json *message;
};

void clm_spool_entry_done(struct clm_spool_entry *entry); /* for CLM_CLEANUP */

struct clm_spool_stats {
    size_t n;
    uint64_t bytes;
    int64_t oldest_s; /* age in seconds of the oldest */
    size_t dead;
};

enum clm_spool_verdict {
    CLM_SPOOL_DELIVERED, /* removed */
    CLM_SPOOL_ARCHIVED,  /* superseded: kept in archive */
    CLM_SPOOL_DEAD,      /* refused for good: kept in dead */
};

/* Creates the directories under dir (whose parent exists) and clears what a crash left. */
CLM_MUST_USE enum clm_code clm_spool_init(const char *dir, struct clm_err *err);

/* A message to be put; everything is borrowed. */
struct clm_spool_message {
    int class_no;
    const char *job_id; /* "" or NULL: of no job */
    const char *method;
    const char *path;
    const struct clm_json *body;
};

/*
 * clm_spool_put() - one message, durable on return
 *
 * Effect  an INVENTORY replaces an older one; of EVENTs the oldest are dropped when full
 * Errors  LIMIT class RESULT is full; PERM, IO
 */
CLM_MUST_USE enum clm_code clm_spool_put(const char *dir, const struct clm_spool_message *message,
                                         struct clm_err *err);

/*
 * clm_spool_next() - the message to send now
 *
 * In      now_s       unix time
 *         only_job    consider messages of this job only; NULL: all
 * Out     out         overwritten; for clm_spool_entry_done()
 *         out_wait_s  0: out is filled; otherwise seconds until one is due; -1: the spool is empty
 * Effect  a file that cannot be read as a message goes to dead
 */
CLM_MUST_USE enum clm_code clm_spool_next(const char *dir, int64_t now_s, const char *only_job,
                                          struct clm_spool_entry *out, int64_t *out_wait_s,
                                          struct clm_err *err);
/* The message has come to its end. */
CLM_MUST_USE enum clm_code clm_spool_finish(const char *dir, const struct clm_spool_entry *entry,
                                            enum clm_spool_verdict verdict, struct clm_err *err);
/* The message could not be sent: not again before next_try_s. */
CLM_MUST_USE enum clm_code clm_spool_defer(const char *dir, const struct clm_spool_entry *entry,
                                           int64_t next_try_s, struct clm_err *err);
/* True if messages of class RESULT may still be put: else no job is accepted. */
bool clm_spool_has_room(const char *dir);
/* What waits, for poll and status. Never fails: what cannot be read counts as nothing. */
void clm_spool_stats(const char *dir, int64_t now_s, struct clm_spool_stats *out);

#endif
