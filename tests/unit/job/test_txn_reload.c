/* SPDX-License-Identifier: Apache-2.0 */
/* Restart, manager, hook, and nobody: each way to make a server take its files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/job/act.h"

#define PASSWORD "s3cret-of-the-manager"

static struct scene_certs certs;

static int make_certs(void **state)
{
    (void)state;
    scene_certs_make(&certs, CLM_TEST_GOOD);
    return 0;
}

static int drop_certs(void **state)
{
    (void)state;
    scene_certs_done(&certs);
    return 0;
}

static struct clm_step *reload_step(struct act *act)
{
    for (size_t i = 0; i < act->scene.plan.n_steps; i++) {
        if (act->scene.plan.steps[i].kind == CLM_STEP_RELOAD) {
            return &act->scene.plan.steps[i];
        }
    }
    fail_msg("no reload");
    return NULL;
}

static void begin(struct act *act, enum clm_reload_how how)
{
    act_begin(act, SCENE_PAIR, &certs);
    reload_step(act)->how = how;
}

static enum clm_code give_password(void *arg, const char *deployer, const char *ref,
                                   struct clm_buf *out, struct clm_err *err)
{
    assert_string_equal(deployer, "nginx");
    assert_string_equal(ref, "conf:manager");
    return arg == NULL ? clm_buf_add_str(out, PASSWORD, err)
                       : clm_err_set(err, CLM_E_NOTFOUND, "it is not there any more");
}

static void use_manager(struct act *act)
{
    struct clm_step *step;

    begin(act, CLM_RELOAD_MANAGER);
    step = reload_step(act);
    strcpy(step->url, "http://127.0.0.1:8080/manager/text/sslReload");
    strcpy(step->user, "deployer");
    strcpy(step->password, "conf:manager");
    act->scene.env.secrets.get = give_password;
}

static void use_hook(struct act *act, const char *program)
{
    struct clm_step *step;

    begin(act, CLM_RELOAD_HOOK);
    step = reload_step(act);
    assert_int_equal(clm_strs_add(&step->argv, program, NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&step->argv, "--tls", NULL), CLM_OK);
    act->scene.policy.hooks = calloc(1, sizeof(*act->scene.policy.hooks));
    act->scene.policy.n_hooks = 1;
    strcpy(act->scene.policy.hooks[0].name, "shop-reload");
    assert_int_equal(clm_strs_copy(&act->scene.policy.hooks[0].argv, &step->argv, NULL), CLM_OK);
}

static void a_restart_needs_leave_and_may_take_its_time(void **state)
{
    struct act act;

    (void)state;
    begin(&act, CLM_RELOAD_RESTART);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_PERM, 'O');
    assert_non_null(strstr(act.err.msg, "add it to policy.restart"));
    assert_int_equal(act.scene.server.restarts, 0);
    scene_assert_untouched(&act.scene);

    assert_int_equal(clm_strs_add(&act.scene.policy.restart, "fak?.service", NULL), CLM_OK);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_PERM, 'O');
    assert_int_equal(clm_strs_add(&act.scene.policy.restart, "fake.*", NULL), CLM_OK);
    act.scene.server.restart_is_slow = true; /* 20 s of refused connections are no failure */
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.restarts, 1);
    assert_true(act.out.is_proved);
    act_end(&act);
}

static void a_unit_that_does_not_come_back_is_no_matter_of_patience(void **state)
{
    struct act act;

    (void)state;
    begin(&act, CLM_RELOAD_RESTART);
    assert_int_equal(clm_strs_add(&act.scene.policy.restart, "*", NULL), CLM_OK);
    act.scene.server.restart_is_slow = true;
    act.scene.server.unit_state_is = CLM_UNIT_FAILED;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_CONFLICT, 'O');
    assert_non_null(strstr(act.err.msg, "is not running"));
    act.scene.server.unit_state_is = CLM_UNIT_ACTIVE;
    act.scene.server.unit_is_not_loaded = true; /* a restart would start it */
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_CONFLICT, 'O');
    assert_non_null(strstr(act.err.msg, "start it first"));
    assert_int_equal(act.scene.server.restarts, 0);
    act_end(&act);
}

static void a_manager_is_asked_with_its_password(void **state)
{
    struct act act;

    (void)state;
    use_manager(&act);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.requests, 1);
    assert_string_equal(act.scene.server.authorization,
                        "Authorization: Basic ZGVwbG95ZXI6czNjcmV0LW9mLXRoZS1tYW5hZ2Vy");
    act_end(&act);
}

static void what_a_manager_refuses_is_rolled_back(void **state)
{
    static const struct {
        int status;
        const char *body;
        const char *why;
    } rows[] = {
        {401, "<html>OK -", "refused user 'deployer' (status 401)"},
        {200, "FAIL - Failed to reload TLS configuration\n", "status 200: FAIL - Failed to reload"},
        {200, "", "answered with status 200"},
        {302, "OK - no", "answered with status 302"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        use_manager(&act);
        act.scene.server.http_status = rows[i].status;
        act.scene.server.http_body = rows[i].body;
        act_deploy(&act);
        /* the manager does not take the old files back either */
        assert_int_equal(act.out.result, CLM_TXN_NEEDS_HUMAN);
        assert_int_equal(scene_files_are(&act.scene), 'O');
        if (strstr(act.err.msg, rows[i].why) == NULL || strstr(act.err.msg, PASSWORD) != NULL) {
            fail_msg("row %zu: %s", i, act.err.msg);
        }
        act_end(&act);
    }
}

static void a_password_that_is_missing_is_found_before_anything_changes(void **state)
{
    struct act act;

    (void)state;
    use_manager(&act);
    act.scene.env.secrets.arg = &act;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_NOTFOUND, 'O');
    assert_non_null(strstr(act.err.msg, "password of user 'deployer'"));
    scene_assert_untouched(&act.scene);
    act.scene.env.secrets = (struct clm_secret_source){.get = NULL};
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_UNSUPPORTED, 'O');
    act_end(&act);
}

static bool has_env(const struct act *act, const char *text)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(act->scene.server.hook_env); i++) {
        if (strcmp(act->scene.server.hook_env[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void a_hook_learns_what_it_is_run_for(void **state)
{
    struct act act;
    char want[128];

    (void)state;
    use_hook(&act, "/bin/true");
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.hooks, 1);
    (void)snprintf(want, sizeof(want), "CLM_CERT_SHA256=%s", certs.new_bundle.leaf.sha256);
    assert_true(has_env(&act, want));
    (void)snprintf(want, sizeof(want), "CLM_OLD_CERT_SHA256=%s", certs.old_bundle.leaf.sha256);
    assert_true(has_env(&act, want));
    assert_true(has_env(&act, "CLM_TARGET=nginx:www.example"));
    assert_true(has_env(&act, "CLM_ACTION=deploy"));
    assert_true(has_env(&act, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"));
    act_end(&act);
}

static void a_hook_that_works_on_a_broken_server_is_told_of_the_rollback(void **state)
{
    struct act act;
    char want[128];

    (void)state;
    use_hook(&act, "/bin/true");
    act.scene.server.breaks_on_new = true;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_VERIFY, 'O');
    assert_true(act.out.is_proved);
    assert_int_equal(act.scene.server.hooks, 2);
    assert_true(has_env(&act, "CLM_ACTION=rollback"));
    (void)snprintf(want, sizeof(want), "CLM_CERT_SHA256=%s", certs.old_bundle.leaf.sha256);
    assert_true(has_env(&act, want));
    scene_assert_clean(&act.scene);
    act_end(&act);
}

static void hooks_that_are_not_declared_or_not_safe_are_never_run(void **state)
{
    struct act act;
    char program[] = "/tmp/clm-hook-XXXXXX";
    int fd = mkstemp(program);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0777), 0);
    (void)close(fd);
    use_hook(&act, program);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_PERM, 'O');
    assert_non_null(strstr(act.err.msg, program));
    act_end(&act);
    (void)unlink(program);

    use_hook(&act, "/bin/true");
    assert_int_equal(clm_strs_add(&reload_step(&act)->argv, "--more", NULL), CLM_OK);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_PERM, 'O');
    assert_non_null(strstr(act.err.msg, "policy.hooks"));
    assert_int_equal(act.scene.server.hooks, 0);
    scene_assert_untouched(&act.scene);
    act_end(&act);
}

static void a_hook_that_fails_is_rolled_back(void **state)
{
    struct act act;

    (void)state;
    use_hook(&act, "/bin/true");
    act.scene.server.hook_status = 3;
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_NEEDS_HUMAN); /* it fails on the way back, too */
    assert_int_equal(scene_files_are(&act.scene), 'O');
    assert_non_null(strstr(act.err.msg, "exited with 3: the hook is not amused"));
    act_end(&act);
}

/* ---- nobody ---- */

static void nobody_restarts_it_and_the_old_one_is_served(void **state)
{
    struct act act;
    char served[CLM_SHA256_HEX_SIZE];

    (void)state;
    begin(&act, CLM_RELOAD_NONE);
    act_deploy(&act);
    act_expect(&act, CLM_TXN_WAITING, CLM_OK, 'N');
    assert_false(act.out.is_proved);
    assert_int_equal(act.scene.server.reloads, 0);
    assert_string_equal(act.out.after_sha256, certs.new_bundle.leaf.sha256);
    assert_non_null(act_step(&act, "commit"));
    assert_string_equal(act_step(&act, "reload")->status, "skipped");
    fake_io_served(&act.scene.server, served);
    assert_string_equal(served, certs.old_bundle.leaf.sha256);
    scene_assert_clean(&act.scene);

    act_deploy(&act); /* again: nothing to write, still waiting */
    act_expect(&act, CLM_TXN_WAITING, CLM_OK, 'N');
    assert_null(act_step(&act, "swap"));
    fake_io_start(&act.scene.server); /* somebody restarts it */
    act_deploy(&act);
    act_expect(&act, CLM_TXN_NOOP, CLM_OK, 'N');
    assert_true(act.out.is_proved);
    act_end(&act);
}

static void starts_by_itself(struct fake_io *self)
{
    char first[CLM_SHA256_HEX_SIZE];

    if (self->probes > 2) {
        self->on_probe = NULL;
        memcpy(first, self->first_sha256, sizeof(first));
        fake_io_start(self);
        memcpy(self->first_sha256, first, sizeof(first));
    }
}

static void a_server_that_reads_by_itself_is_proved(void **state)
{
    struct act act;

    (void)state;
    begin(&act, CLM_RELOAD_NONE);
    act.scene.server.on_probe = starts_by_itself;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_true(act.out.is_proved);
    act_end(&act);
}

static void one_listener_of_two_is_not_enough(void **state)
{
    struct act act;

    (void)state;
    begin(&act, CLM_RELOAD_NONE);
    act.scene.server.on_probe = starts_by_itself;
    act.scene.server.lagging_port = 8443;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_WAITING, CLM_OK, 'N');
    assert_false(act.out.is_proved);
    act_end(&act);
}

static void breaks_by_itself(struct fake_io *self)
{
    if (self->probes > 2) {
        self->other_sha256 = NULL;
        self->dead_port = self->runs > 1 ? 443 : 0;
    }
}

static void a_server_that_breaks_by_itself_gets_its_files_back(void **state)
{
    struct act act;

    (void)state;
    begin(&act, CLM_RELOAD_NONE);
    act.scene.server.on_probe = breaks_by_itself;
    act_deploy(&act);
    assert_int_equal(act.out.result, CLM_TXN_NEEDS_HUMAN); /* it stays dead whatever we do */
    assert_int_equal(scene_files_are(&act.scene), 'O');
    act_end(&act);
}

static void without_endpoints_nothing_is_waited_for_and_nothing_proved(void **state)
{
    struct act act;

    (void)state;
    begin(&act, CLM_RELOAD_NONE);
    for (size_t i = 0; i < act.scene.plan.n_steps; i++) {
        if (act.scene.plan.steps[i].kind == CLM_STEP_VERIFY) {
            assert_int_equal(clm_step_set_endpoints(&act.scene.plan.steps[i], NULL, 0, NULL),
                             CLM_OK);
        }
    }
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_false(act.out.is_proved);
    act_end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_needs_leave_and_may_take_its_time),
        cmocka_unit_test(a_unit_that_does_not_come_back_is_no_matter_of_patience),
        cmocka_unit_test(a_manager_is_asked_with_its_password),
        cmocka_unit_test(what_a_manager_refuses_is_rolled_back),
        cmocka_unit_test(a_password_that_is_missing_is_found_before_anything_changes),
        cmocka_unit_test(a_hook_learns_what_it_is_run_for),
        cmocka_unit_test(a_hook_that_works_on_a_broken_server_is_told_of_the_rollback),
        cmocka_unit_test(hooks_that_are_not_declared_or_not_safe_are_never_run),
        cmocka_unit_test(a_hook_that_fails_is_rolled_back),
        cmocka_unit_test(nobody_restarts_it_and_the_old_one_is_served),
        cmocka_unit_test(a_server_that_reads_by_itself_is_proved),
        cmocka_unit_test(one_listener_of_two_is_not_enough),
        cmocka_unit_test(a_server_that_breaks_by_itself_gets_its_files_back),
        cmocka_unit_test(without_endpoints_nothing_is_waited_for_and_nothing_proved),
    };

    return cmocka_run_group_tests(tests, make_certs, drop_certs);
}
