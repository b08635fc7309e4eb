/* SPDX-License-Identifier: Apache-2.0 */
/* act - one scene and what came of a deployment in it */
#ifndef CLM_TESTS_UNIT_JOB_ACT_H
#define CLM_TESTS_UNIT_JOB_ACT_H

#include "tests/support/scene.h"

struct act {
    struct scene scene;
    struct clm_txn_outcome out;
    struct clm_err err;
    enum clm_code code;
};

void act_begin(struct act *act, enum scene_kind kind, struct scene_certs *certs);
void act_deploy(struct act *act);
void act_end(struct act *act);
/* Fails the test unless the deployment ended so; files: as scene_files_are(). */
void act_expect(const struct act *act, enum clm_txn_result result, enum clm_code code, char files);
/* The first reported step of that name; NULL if there is none. */
const struct clm_txn_step *act_step(const struct act *act, const char *name);

#endif
