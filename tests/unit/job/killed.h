/* SPDX-License-Identifier: Apache-2.0 */
/* killed - a scene whose deployment was killed between the swap and the reload, and its recovery */
#ifndef CLM_TESTS_UNIT_JOB_KILLED_H
#define CLM_TESTS_UNIT_JOB_KILLED_H

#include "agent/job/txn_log.h"
#include "tests/support/scene.h"

struct killed {
    struct scene scene;
    struct clm_txn_outcomes outs;
    char journal[PATH_MAX];
};

/* Makes the scene and kills; the files are new. */
void killed_begin(struct killed *k, enum scene_kind kind, struct scene_certs *certs);
/* Kills a deployment to a scene that is all old. */
void killed_now(struct killed *k);
void killed_end(struct killed *k);
/* Recovers the one journal there is. */
const struct clm_txn_outcome *killed_recover(struct killed *k, bool boot);
/* "<journal>/<name>" into dst of PATH_MAX bytes. */
void killed_in_journal(const struct killed *k, const char *name, char *dst);
/* As if it had got further: its log says this, too. */
void killed_say(const struct killed *k, enum clm_txn_state state);
/* Removes what lies beside the targets: the old files, that is. */
void killed_sweep_temps(struct killed *k);

#endif
