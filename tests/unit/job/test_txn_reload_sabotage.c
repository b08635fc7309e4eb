/* SPDX-License-Identifier: Apache-2.0 */
/* A deployment with a manager, with a hook, and with a keystore first, while memory is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/sabotage.h"
#include "tests/support/scene.h"

static struct scene_certs certs;

struct act {
    struct scene scene;
    struct clm_txn_outcome out;
};

static struct clm_step *reload_step(struct scene *scene)
{
    for (size_t i = 0; i < scene->plan.n_steps; i++) {
        if (scene->plan.steps[i].kind == CLM_STEP_RELOAD) {
            scene->plan.steps[i].unit[0] = '\0';
            return &scene->plan.steps[i];
        }
    }
    fail_msg("no reload");
    return NULL;
}

static void use_manager(struct scene *scene)
{
    struct clm_step *step = reload_step(scene);

    step->how = CLM_RELOAD_MANAGER;
    strcpy(step->url, "http://127.0.0.1:8080/manager/text/sslReload");
    strcpy(step->user, "deployer");
    strcpy(step->password, "known:secret of the manager");
}

static void use_hook(struct scene *scene)
{
    struct clm_step *step = reload_step(scene);

    step->how = CLM_RELOAD_HOOK;
    assert_int_equal(clm_strs_add(&step->argv, "/bin/true", NULL), CLM_OK);
}

static void store_first(struct scene *scene)
{
    size_t files[SCENE_FILES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < scene->plan.n_steps; i++) {
        if (scene->plan.steps[i].kind == CLM_STEP_FILE_PUT) {
            files[n++] = i;
        }
    }
    struct clm_step kept = scene->plan.steps[files[0]];
    scene->plan.steps[files[0]] = scene->plan.steps[files[1]];
    scene->plan.steps[files[1]] = kept;
}

static void make_old(void *arg)
{
    struct act *act = arg;

    scene_reset(&act->scene, &certs);
}

static enum clm_code deploy(void *arg, struct clm_err *err)
{
    struct act *act = arg;

    return clm_txn_deploy(&act->scene.env, &act->scene.plan, act->scene.bundle, NULL, &act->out,
                          err);
}

/* Reported is what is there; a recovery makes it whole in any case. */
static void check(void *arg, enum clm_code code, const char *what)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};
    struct act *act = arg;
    enum clm_txn_result result = act->out.result;
    char before = scene_files_are(&act->scene);
    char after;

    what = what == NULL ? "nothing failed" : what;
    assert_int_equal(clm_txn_recover(&act->scene.env, false, &outs, NULL), CLM_OK);
    after = scene_files_are(&act->scene);
    if ((code == CLM_OK) != (result == CLM_TXN_SUCCEEDED) || (code == CLM_OK && before != 'N') ||
        (after != 'O' && after != 'N') ||
        ((result == CLM_TXN_FAILED || result == CLM_TXN_ROLLED_BACK) && before != 'O')) {
        fail_msg("%s: %s, files %c, then %c: %s", what, clm_txn_result_name(result), before, after,
                 act->out.err.msg);
    }
    scene_assert_clean(&act->scene);
    scene_assert_keys_private(&act->scene);
    clm_txn_outcome_done(&act->out);
}

static void short_memory_is_survived_however_it_is_reloaded(void **state)
{
    static const struct {
        enum scene_kind kind;
        void (*use)(struct scene *scene);
    } rows[] = {{SCENE_PAIR, use_manager}, {SCENE_PAIR, use_hook}, {SCENE_STORE, store_first}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act = {.out = {.n_steps = 0}};
        const struct clm_sabotage plan = {
            .before = make_old, .act = deploy, .after = check, .arg = &act};

        scene_make(&act.scene, rows[i].kind, &certs);
        rows[i].use(&act.scene);
        act.scene.env.policy = NULL;
        print_message("%zu failing calls\n",
                      clm_sabotage_run(&plan, "malloc calloc realloc strdup"));
        scene_done(&act.scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_memory_is_survived_however_it_is_reloaded),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("reloads, short memory", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
