/* SPDX-License-Identifier: Apache-2.0 */
/* Programs, reloads and handshakes that go wrong halfway, and what is said of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/job/act.h"

static struct scene_certs certs;
static struct scene_certs expired;
static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "abababababababababababababababababababababababababababababababab";

static int make_certs(void **state)
{
    (void)state;
    scene_certs_make(&certs, CLM_TEST_GOOD);
    scene_certs_make(&expired, CLM_TEST_EXPIRED);
    return 0;
}

static int drop_certs(void **state)
{
    (void)state;
    scene_certs_done(&certs);
    scene_certs_done(&expired);
    return 0;
}

static struct clm_step *step_of(struct act *act, enum clm_step_kind kind)
{
    for (size_t i = 0; i < act->scene.plan.n_steps; i++) {
        if (act->scene.plan.steps[i].kind == kind) {
            return &act->scene.plan.steps[i];
        }
    }
    fail_msg("no such step");
    return NULL;
}

/* One endpoint, without a name. */
static void use_one_endpoint(struct act *act, const char *addr)
{
    struct clm_endpoint endpoint = {.port = 8443, .timeout_ms = 1000};

    (void)snprintf(endpoint.addr, sizeof(endpoint.addr), "%s", addr);
    assert_int_equal(clm_step_set_endpoints(step_of(act, CLM_STEP_VERIFY), &endpoint, 1, NULL),
                     CLM_OK);
}

static void expect_text(const struct act *act, const char *text)
{
    if (strstr(act->err.msg, text) == NULL) {
        fail_msg("'%s' is not in '%s'", text, act->err.msg);
    }
}

/* ---- programs ---- */

static void a_program_that_cannot_be_run_is_no_answer(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    act.scene.server.run_error = CLM_E_TIMEOUT;
    act.scene.env.check_timeout_ms = 5;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_TIMEOUT, 'O');
    expect_text(&act, "cannot be run");
    assert_string_equal(act_step(&act, "check")->status, "failed");
    act_end(&act);
}

static void what_a_program_says_becomes_one_line(void **state)
{
    static const struct {
        const char *output;
        const char *line;
    } rows[] = {
        {"", "exited with 1: "},
        {"one", "exited with 1: one"},
        {"\n \r\n  one  \r\n\ntwo", "exited with 1:   one; two"},
        {"ends.\nwith a mark:\nthen,\nand;\nlast", "ends. with a mark: then, and; last"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &certs);
        act.scene.server.check_status = 1;
        act.scene.server.run_output = rows[i].output;
        act_deploy(&act);
        act_expect(&act, CLM_TXN_FAILED, CLM_E_CONFIG, 'O');
        expect_text(&act, rows[i].line);
        act_end(&act);
    }
}

/* One line as long as it may be: cut, and nothing after it. */
static void a_long_answer_is_cut(void **state)
{
    struct act act;
    char text[2000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    text[1500] = '\n';
    act_begin(&act, SCENE_PAIR, &certs);
    act.scene.server.check_status = 1;
    act.scene.server.run_output = text;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, CLM_E_CONFIG, 'O');
    expect_text(&act, "exited with 1: xxx");
    assert_true(strspn(strstr(act.err.msg, "xxx"), "x") > 300);
    act_end(&act);
}

static void declare_check(struct act *act, const char *program)
{
    struct clm_step *step = step_of(act, CLM_STEP_CHECK);

    clm_strs_done(&step->argv);
    assert_int_equal(clm_strs_add(&step->argv, program, NULL), CLM_OK);
    act->scene.policy.hooks = calloc(1, sizeof(*act->scene.policy.hooks));
    assert_non_null(act->scene.policy.hooks);
    act->scene.policy.n_hooks = 1;
    strcpy(act->scene.policy.hooks[0].name, "shop-test");
    assert_int_equal(clm_strs_copy(&act->scene.policy.hooks[0].argv, &step->argv, NULL), CLM_OK);
}

/* The configuration test of a server that is told to us as a hook knows what it is run for, too. */
static void a_check_that_is_a_hook_gets_its_environment(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    declare_check(&act, "/bin/true");
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.hooks, 1);
    assert_int_equal(act.scene.server.runs, 1); /* the other test */
    act_end(&act);

    act_begin(&act, SCENE_PAIR, &certs); /* nobody else may have written it: it must be there */
    declare_check(&act, "/nowhere/at/all");
    act_deploy(&act);
    act_expect(&act, CLM_TXN_FAILED, act.code, 'O');
    expect_text(&act, "/nowhere/at/all");
    assert_int_equal(act.scene.server.hooks, 0);
    act_end(&act);
}

/* ---- reloads ---- */

static void use_unit(struct clm_step *step)
{
    (void)step;
}

static void use_signal(struct clm_step *step)
{
    step->how = CLM_RELOAD_SIGNAL;
    step->unit[0] = '\0';
    step->pid = 4711;
    step->signo = 1;
}

static void use_restart(struct clm_step *step)
{
    step->how = CLM_RELOAD_RESTART;
}

static void use_manager(struct clm_step *step)
{
    step->how = CLM_RELOAD_MANAGER;
    step->unit[0] = '\0';
    strcpy(step->url, "http://127.0.0.1:8080/manager/text/sslReload");
    strcpy(step->user, "deployer");
    strcpy(step->password, "known:secret");
}

static void a_reload_that_fails_says_which(void **state)
{
    static const struct {
        void (*use)(struct clm_step *step);
        enum clm_code http_error;
        int http_status;
        enum clm_code code;
        const char *text;
    } rows[] = {
        {use_unit, CLM_OK, 200, CLM_E_REMOTE, "reload fake.service: "},
        {use_signal, CLM_OK, 200, CLM_E_REMOTE, "signal 1 to process 4711: "},
        {use_restart, CLM_OK, 200, CLM_E_REMOTE, "restart fake.service: "},
        {use_manager, CLM_E_NET, 200, CLM_E_NET, "sslReload': nobody listens there"},
        {use_manager, CLM_OK, 401, CLM_E_AUTH, "refused user 'deployer' (status 401)"},
        {use_manager, CLM_OK, 403, CLM_E_AUTH, "refused user 'deployer' (status 403)"},
        {use_manager, CLM_OK, 500, CLM_E_IO, "answered with status 500"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &certs);
        rows[i].use(step_of(&act, CLM_STEP_RELOAD));
        act.scene.env.policy = NULL; /* nobody asks who may */
        act.scene.env.reload_timeout_ms = 5;
        act.scene.server.fail_reloads = -1;
        act.scene.server.http_error = rows[i].http_error;
        act.scene.server.http_status = rows[i].http_status;
        act_deploy(&act);
        act_expect(&act, CLM_TXN_NEEDS_HUMAN, rows[i].code, 'O');
        expect_text(&act, rows[i].text);
        act_end(&act);
    }
}

/* Nobody knows the unit: it may still be one that systemd starts for a reload. */
static void an_unknown_unit_is_tried(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    act.scene.server.unit_is_not_loaded = true;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    act_end(&act);
}

static void without_a_policy_every_hook_may_run(void **state)
{
    struct act act;
    struct clm_step *step;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    step = step_of(&act, CLM_STEP_RELOAD);
    step->how = CLM_RELOAD_HOOK;
    step->unit[0] = '\0';
    assert_int_equal(clm_strs_add(&step->argv, "/bin/true", NULL), CLM_OK);
    act.scene.env.policy = NULL;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_int_equal(act.scene.server.hooks, 1);
    act_end(&act);
}

/* One second, five, twenty-five: then a human is asked. */
static void reloads_of_a_rollback_are_tried_three_times_more(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    act.scene.env.reload_retry_ms = NULL;
    act.scene.server.fail_reloads = -1;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_NEEDS_HUMAN, CLM_E_REMOTE, 'O');
    assert_int_equal(act.scene.server.reloads, 5);
    assert_true(act.scene.server.now_ms >= 31000);
    act_end(&act);
}

/* ---- handshakes ---- */

static void a_line_names_what_was_asked(void **state)
{
    static const struct {
        const char *addr;
        const char *other_sha256;
        const char *detail;
        const char *text;
    } rows[] = {
        {"127.0.0.1", other_leaf, NULL, "127.0.0.1:8443 serves another certificate (abab"},
        {"::1", other_leaf, NULL, "[::1]:8443 serves another certificate (abab"},
        {"127.0.0.1", NULL, NULL, "127.0.0.1:8443: handshake failed: tls_failed"},
        {"127.0.0.1", NULL, "alert 40", "127.0.0.1:8443: handshake failed: tls_failed, alert 40"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &certs);
        use_one_endpoint(&act, rows[i].addr);
        act.scene.server.other_sha256 = rows[i].other_sha256;
        act.scene.server.breaks_on_new = rows[i].other_sha256 == NULL;
        act.scene.server.probe_detail = rows[i].detail;
        act_deploy(&act);
        act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_VERIFY, 'O');
        expect_text(&act, rows[i].text);
        assert_string_equal(act_step(&act, "baseline")->detail, "1 endpoint");
        act_end(&act);
    }
}

static void break_probes(struct fake_io *self)
{
    self->probe_error = self->reloads == 1 ? CLM_E_NET : CLM_OK;
}

/* After the reload it counts like a peer that does not answer. */
static void a_handshake_that_cannot_be_tried_proves_nothing(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    act.scene.server.on_probe = break_probes;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_VERIFY, 'O');
    expect_text(&act, "handshake failed: timeout, nobody to make a handshake");
    assert_true(act.out.endpoints[0].after.at_ms > 0);
    act_end(&act);
}

static void stop_unit(struct fake_io *self)
{
    if (self->reloads == 1) {
        self->unit_state_is = CLM_UNIT_FAILED;
        self->dead_port = 443;
    } else {
        self->unit_state_is = CLM_UNIT_ACTIVE;
        self->dead_port = 0;
    }
}

static void stop_quietly(struct fake_io *self)
{
    stop_unit(self);
    self->unit_state_is = self->reloads == 1 ? CLM_UNIT_INACTIVE : CLM_UNIT_ACTIVE;
}

static void forget_unit(struct fake_io *self)
{
    self->unit_is_not_loaded = self->reloads == 1;
    self->dead_port = self->reloads == 1 ? 443 : 0;
}

/* Nobody knows whether it is down. */
static void a_unit_that_nobody_knows_is_waited_for(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    act.scene.server.on_probe = forget_unit;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_VERIFY, 'O');
    assert_true(act.scene.server.probes > 5);
    act_end(&act);
}

/* A restart may take its time, but not if the unit is down. */
static void a_unit_that_is_down_is_not_waited_for(void **state)
{
    void (*const stops[])(struct fake_io * self) = {stop_unit, stop_quietly};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(stops); i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &certs);
        use_restart(step_of(&act, CLM_STEP_RELOAD));
        act.scene.env.policy = NULL;
        act.scene.server.on_probe = stops[i];
        act_deploy(&act);
        act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_VERIFY, 'O');
        expect_text(&act, "handshake failed: refused");
        assert_true(act.scene.server.now_ms < 5000);
        act_end(&act);
    }
}

static void take_long(struct fake_io *self)
{
    self->now_ms += 700;
}

/* Handshakes that take longer than the waits between them. */
static void slow_handshakes_need_no_waiting(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    act.scene.server.on_probe = take_long;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_true(act.out.is_proved);
    act_end(&act);
}

/* Two ports, the second not ours: what it shows is no reason to keep or to drop anything. */
static void a_shadowed_port_has_no_say_when_the_old_one_expired(void **state)
{
    static const struct {
        const char *other_sha256; /* what the first port shows after the reload */
        enum clm_txn_result result;
        enum clm_code code;
        char files;
    } rows[] = {
        {NULL, CLM_TXN_SUCCEEDED, CLM_OK, 'N'},
        {other_leaf, CLM_TXN_ROLLED_BACK, CLM_E_VERIFY, 'O'},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act;

        act_begin(&act, SCENE_PAIR, &expired);
        act.scene.server.shadowed_port = 8443;
        act.scene.server.other_sha256 = rows[i].other_sha256;
        act_deploy(&act);
        act_expect(&act, rows[i].result, rows[i].code, rows[i].files);
        assert_false(act.out.endpoints[1].is_counted);
        act_end(&act);
    }
}

static void use_three_endpoints(struct act *act)
{
    struct clm_endpoint endpoints[3] = {{.port = 443}, {.port = 8443}, {.port = 9443}};

    for (size_t i = 0; i < CLM_ARRAY_LEN(endpoints); i++) {
        strcpy(endpoints[i].addr, "127.0.0.1");
        endpoints[i].timeout_ms = 1000;
    }
    assert_int_equal(clm_step_set_endpoints(step_of(act, CLM_STEP_VERIFY), endpoints, 3, NULL),
                     CLM_OK);
}

/* One port shows the new one, one stays with the old, and one is not ours. */
static void half_a_proof_beside_a_shadowed_port_is_enough(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &expired);
    use_three_endpoints(&act);
    act.scene.server.lagging_port = 8443;
    act.scene.server.shadowed_port = 9443;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_true(act.out.is_degraded);
    assert_false(act.out.is_proved);
    act_end(&act);
}

static void be_slow_in_between(struct fake_io *self)
{
    self->now_ms += self->probes == 5 ? 1000000 : 0; /* two ports after three before the reload */
}

/* One port shows the new one, the next stays with the old until it is too late for a third. */
static void a_port_that_nobody_looked_at_is_no_reason_to_go_back(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &expired);
    use_three_endpoints(&act);
    act.scene.server.lagging_port = 8443;
    act.scene.server.on_probe = be_slow_in_between;
    act_deploy(&act);
    assert_int_equal(act.scene.server.probes, 5);
    assert_true(act.out.endpoints[2].is_counted);
    assert_int_equal(act.out.endpoints[2].after.at_ms, 0);
    act_expect(&act, CLM_TXN_SUCCEEDED, CLM_OK, 'N');
    assert_true(act.out.is_degraded);
    act_end(&act);
}

/* A restarted server may be silent for a while, but not show another certificate. */
static void a_restarted_server_with_another_certificate_goes_back(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    use_restart(step_of(&act, CLM_STEP_RELOAD));
    act.scene.env.policy = NULL;
    act.scene.server.other_sha256 = other_leaf;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_ROLLED_BACK, CLM_E_VERIFY, 'O');
    assert_true(act.scene.server.now_ms < 20000);
    act_end(&act);
}

/* The swap fails, and just then the server is gone: without a reload nobody would bring it back. */
static void edit_key(void *arg, const struct clm_txn_event *event)
{
    struct act *act = arg;

    if (event->phase != NULL && strcmp(event->phase, "swap") == 0) {
        scene_write(act->scene.files[1].path, "edited", 6, 0600);
        act->scene.server.dead_port = 443;
    }
}

static void come_back(struct fake_io *self)
{
    self->dead_port = self->reloads > 0 ? 0 : self->dead_port;
}

static void a_server_that_died_meanwhile_is_reloaded(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    act.scene.env.event_arg = &act;
    act.scene.env.on_event = edit_key;
    act.scene.server.on_probe = come_back;
    act.scene.server.old_for_ms = 1000000; /* the edited key is no pair: the old workers go on */
    act_deploy(&act);
    assert_int_equal(act.code, act.out.err.code);
    assert_non_null(act_step(&act, "rollback-reload"));
    assert_true(act.scene.server.reloads > 0);
    act_end(&act);
}

static void results_have_names(void **state)
{
    (void)state;
    assert_string_equal(clm_txn_result_name(CLM_TXN_LEFT), "left");
    assert_string_equal(clm_txn_result_name(CLM_TXN__COUNT), "unknown");
}

/* Nothing is reloaded by us, and one port is somebody else's. */
static void nobody_restarts_it_beside_a_shadowed_port(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    step_of(&act, CLM_STEP_RELOAD)->how = CLM_RELOAD_NONE;
    act.scene.server.shadowed_port = 8443;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_WAITING, CLM_OK, 'N');
    assert_false(act.out.is_proved);
    act_end(&act);
}

/* It never served anything that we know of: there is nothing that could have broken. */
static void nobody_restarts_what_was_broken_before(void **state)
{
    struct act act;

    (void)state;
    act_begin(&act, SCENE_PAIR, &certs);
    step_of(&act, CLM_STEP_RELOAD)->how = CLM_RELOAD_NONE;
    use_one_endpoint(&act, "127.0.0.1");
    act.scene.server.dead_port = 8443;
    act_deploy(&act);
    act_expect(&act, CLM_TXN_WAITING, CLM_OK, 'N');
    assert_true(act.out.endpoints[0].is_counted);
    act_end(&act);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_cannot_be_run_is_no_answer),
        cmocka_unit_test(what_a_program_says_becomes_one_line),
        cmocka_unit_test(a_long_answer_is_cut),
        cmocka_unit_test(a_check_that_is_a_hook_gets_its_environment),
        cmocka_unit_test(a_reload_that_fails_says_which),
        cmocka_unit_test(an_unknown_unit_is_tried),
        cmocka_unit_test(without_a_policy_every_hook_may_run),
        cmocka_unit_test(reloads_of_a_rollback_are_tried_three_times_more),
        cmocka_unit_test(a_line_names_what_was_asked),
        cmocka_unit_test(a_handshake_that_cannot_be_tried_proves_nothing),
        cmocka_unit_test(a_unit_that_nobody_knows_is_waited_for),
        cmocka_unit_test(a_unit_that_is_down_is_not_waited_for),
        cmocka_unit_test(slow_handshakes_need_no_waiting),
        cmocka_unit_test(a_shadowed_port_has_no_say_when_the_old_one_expired),
        cmocka_unit_test(half_a_proof_beside_a_shadowed_port_is_enough),
        cmocka_unit_test(a_port_that_nobody_looked_at_is_no_reason_to_go_back),
        cmocka_unit_test(a_restarted_server_with_another_certificate_goes_back),
        cmocka_unit_test(a_server_that_died_meanwhile_is_reloaded),
        cmocka_unit_test(results_have_names),
        cmocka_unit_test(nobody_restarts_it_beside_a_shadowed_port),
        cmocka_unit_test(nobody_restarts_what_was_broken_before),
    };

    return cmocka_run_group_tests_name("txn_serve", tests, make_certs, drop_certs);
}
