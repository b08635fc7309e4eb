/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_rules - what to do with an interrupted transaction, as tables
 *
 * Pure functions over what the log says and what lies on the disk; agent/job/txn_files.c carries it
 * out. The rows are those of docs/journal.md, "Recovery". Internal to agent/job.
 */
#ifndef CLM_JOB_TXN_RULES_H
#define CLM_JOB_TXN_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/job/txn_log.h"

/* What an entry holds, by its hash. */
enum clm_seen {
    CLM_SEEN_OLD,
    CLM_SEEN_NEW,
    CLM_SEEN_FOREIGN, /* neither: somebody else's, or half written */
    CLM_SEEN_MISSING,
    CLM_SEEN__COUNT
};

/* How one target gets back to its old version. */
enum clm_undo {
    CLM_UNDO_KEEP,     /* it is there already; remove our temporary files */
    CLM_UNDO_EXCHANGE, /* what was there lies under the temporary name: exchange */
    CLM_UNDO_PUT_BACK, /* the target is gone, the old file lies under the temporary name: rename */
    CLM_UNDO_COPY,     /* from the journal's copy, if its hash is right */
    CLM_UNDO_REMOVE,   /* there was none before: remove the new one */
    CLM_UNDO_LEAVE,    /* a foreign edit made before ours got there: stays, remove our file */
    CLM_UNDO_STOP      /* a foreign edit over ours or beside the old: touch nothing of this one */
};

/* old_absent: the target did not exist; a missing one then is CLM_SEEN_OLD. If the target is OLD, temp
 * is what lies under either temporary name, FOREIGN before anything else. */
enum clm_undo clm_txn_undo_rule(bool old_absent, enum clm_seen target, enum clm_seen temp);

/* What becomes of the whole transaction. */
enum clm_recover {
    CLM_RECOVER_SWEEP,       /* nothing was changed: remove what lies beside the targets */
    CLM_RECOVER_UNDO,        /* back to the old files, reload, prove */
    CLM_RECOVER_KEEP_NEW,    /* forward: the old certificate had expired, the new one is complete */
    CLM_RECOVER_FINISH_NEW,  /* committed: clean up */
    CLM_RECOVER_FINISH_OLD,  /* undone: clean up */
    CLM_RECOVER_FINISH_LEFT, /* left unproved on demand: clean up */
    CLM_RECOVER_QUARANTINE,  /* the journal does not say */
    CLM_RECOVER__COUNT
};

const char *clm_recover_name(enum clm_recover recover);
/* all_new: every target holds its new version. */
enum clm_recover clm_txn_recover_rule(enum clm_txn_state state, bool all_new, bool is_old_expired);

#endif
