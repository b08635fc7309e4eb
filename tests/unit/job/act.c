/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/job/act.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void act_begin(struct act *act, enum scene_kind kind, struct scene_certs *certs)
{
    memset(act, 0, sizeof(*act));
    scene_make(&act->scene, kind, certs);
}

void act_deploy(struct act *act)
{
    clm_txn_outcome_done(&act->out);
    act->err = (struct clm_err){0};
    act->code = clm_txn_deploy(&act->scene.env, &act->scene.plan, act->scene.bundle, NULL,
                               &act->out, &act->err);
}

void act_end(struct act *act)
{
    clm_txn_outcome_done(&act->out);
    scene_done(&act->scene);
}

void act_expect(const struct act *act, enum clm_txn_result result, enum clm_code code, char files)
{
    if (act->out.result != result || act->code != code || scene_files_are(&act->scene) != files) {
        fail_msg("%s, %s, files %c: %s", clm_txn_result_name(act->out.result),
                 clm_code_name(act->code), scene_files_are(&act->scene), act->err.msg);
    }
    assert_int_equal(act->code, act->out.err.code);
    assert_true((code != CLM_OK) == (act->err.msg[0] != '\0'));
}

const struct clm_txn_step *act_step(const struct act *act, const char *name)
{
    for (size_t i = 0; i < act->out.n_steps; i++) {
        if (strcmp(act->out.steps[i].name, name) == 0) {
            return &act->out.steps[i];
        }
    }
    return NULL;
}
