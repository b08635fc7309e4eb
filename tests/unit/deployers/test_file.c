/* SPDX-License-Identifier: Apache-2.0 */
/* Declared files: what the scan shows of them, and the plan that follows from the declaration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/model/policy.h"
#include "deployers/deployer.h"
#include "scanners/declared.h"
#include "tests/support/certs.h"
#include "tests/support/root_io.h"
#include "tests/unit/model/json_text.h"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_policy policy;
    struct clm_inventory inventory;
    struct clm_plan plan;
    struct clm_err err;
    struct clm_test_ca *ca;
    struct clm_test_leaf leaf;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    root_io_temp(f->root);
    root_io_init(&f->io, f->root);
    f->io.io.policy = &f->policy;
    root_io_text(f->root, "/etc/passwd", "root:x:0:0::/:\nshop:x:12:13::/:\n");
    root_io_text(f->root, "/etc/group", "root:x:0:\nshop:x:99:\n");
    root_io_text(f->root, "/sbin/shop", "");
    root_io_text(f->root, "/etc/pw", "changeit\n");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    clm_plan_done(&f->plan);
    clm_inventory_done(&f->inventory);
    clm_policy_done(&f->policy);
    root_io_remove(f->root);
    free(f);
    return 0;
}

#define HOOKS "{'test':['/sbin/shop','-t'],'again':['/sbin/shop','-r']}"
#define PAIR                                                                                       \
    "'outputs':[{'path':'/etc/s/a.crt','content':'fullchain'},"                                    \
    "{'path':'/etc/s/a.key','content':'key','owner':'shop','group':'shop','mode':'0640'}]"
#define VERIFY "'verify':{'address':'127.0.0.1','port':'8443','sni':'shop.example.com'}"

/* Declares "shop", and looks at the host. */
static struct clm_target *scan(struct fixture *f, const char *hooks, const char *file)
{
    char text[2048];
    char files[2048];

    clm_policy_done(&f->policy);
    clm_inventory_done(&f->inventory);
    (void)snprintf(files, sizeof(files), "{'shop':{%s}}", file);
    (void)snprintf(text, sizeof(text), "%s", hooks);
    f->policy.hooks_tree = json_read(text);
    f->policy.files_tree = json_read(files);
    if (clm_policy_declare(&f->policy, &f->err) != CLM_OK ||
        clm_declared_add(&f->io.io, &f->inventory, &f->err) != CLM_OK) {
        fail_msg("%s", f->err.msg);
    }
    assert_int_equal(f->inventory.n_services, 1);
    assert_string_equal(f->inventory.services[0].kind, "file");
    assert_string_equal(f->inventory.services[0].targets[0].id, "file:shop");
    return &f->inventory.services[0].targets[0];
}

static enum clm_code make(struct fixture *f, const struct clm_bundle *bundle)
{
    const struct clm_deployer_ops *ops = clm_deployer_find("file");

    assert_non_null(ops);
    clm_plan_done(&f->plan);
    f->plan = (struct clm_plan){.target = ""};
    f->err = (struct clm_err){.code = CLM_OK};
    return ops->plan(&f->io.io, &f->inventory.services[0], &f->inventory.services[0].targets[0],
                     bundle, &f->plan, &f->err);
}

static void the_plan_is_what_was_declared(void **state)
{
    static const char *const want[] = {
        "create or write the private key to '/etc/s/a.key'",
        "create or write the full chain to '/etc/s/a.crt'",
        "test the configuration with the new files with '/sbin/shop -t'",
        "run the hook '/sbin/shop -r'",
        ("see the new certificate in handshakes with 127.0.0.1:8443 as 'shop.example.com' within "
         "30 s"),
    };
    struct fixture *f = *state;
    struct clm_target *target =
        scan(f, HOOKS, PAIR ",'check':'test','reload':'hook','hook':'again'," VERIFY);

    assert_true(target->manageable);
    assert_int_equal(target->reasons.n, 0);
    assert_false(target->has_certificate);
    assert_string_equal(target->cert_path, "/etc/s/a.crt");
    assert_string_equal(target->key_path, "/etc/s/a.key");
    assert_string_equal(target->store_type, "pem");
    assert_int_equal(target->n_endpoints, 1);
    if (make(f, NULL) != CLM_OK) {
        fail_msg("%s", f->err.msg);
    }
    assert_int_equal(f->plan.n_steps, CLM_ARRAY_LEN(want));
    for (size_t i = 0; i < f->plan.n_steps; i++) {
        char line[512];

        assert_int_equal(clm_step_describe(&f->plan.steps[i], line, sizeof(line), NULL), CLM_OK);
        assert_string_equal(line, want[i]);
        assert_int_equal(clm_step_check(&f->plan.steps[i], NULL), CLM_OK);
    }
    assert_int_equal(f->plan.steps[0].uid, 12);
    assert_int_equal(f->plan.steps[0].gid, 99);
    assert_int_equal(f->plan.steps[0].mode, 0640);
    assert_int_equal(f->plan.steps[1].mode, 0644);
}

static void each_way_to_reload_has_its_step(void **state)
{
    static const struct {
        const char *reload;
        enum clm_reload_how how;
        const char *unit;
    } rows[] = {
        {"'reload':'none'", CLM_RELOAD_NONE, ""},
        {"'reload':'unit','unit':'shop.service'", CLM_RELOAD_UNIT, "shop.service"},
        {"'reload':'hook','hook':'again'", CLM_RELOAD_HOOK, ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char text[1024];

        (void)snprintf(text, sizeof(text), PAIR ",%s", rows[i].reload);
        (void)scan(f, HOOKS, text);
        assert_int_equal(make(f, NULL), CLM_OK);
        assert_int_equal(f->plan.n_steps, 3); /* without an address nothing is proved */
        assert_int_equal(f->plan.steps[2].how, rows[i].how);
        assert_string_equal(f->plan.steps[2].unit, rows[i].unit);
    }
}

static void a_declared_deadline_may_be_longer(void **state)
{
    struct fixture *f = *state;

    (void)scan(f, HOOKS,
               PAIR ",'reload':'none','verify':{'address':'::1','port':'1','deadline':'120'}");
    assert_int_equal(make(f, NULL), CLM_OK);
    assert_int_equal(f->plan.steps[f->plan.n_steps - 1].deadline_ms, 120000);
}

static void what_is_there_is_shown(void **state)
{
    static const struct root_io_owner mine[] = {{"/etc/s/a.key", 0, 0, 0600}, {NULL, 0, 0, 0}};
    struct fixture *f = *state;
    struct clm_target *target;

    f->io.owners = mine;
    f->ca = clm_test_ca_new(1780000000);
    clm_test_leaf_make(f->ca, "shop.example.com", CLM_TEST_GOOD, &f->leaf);
    root_io_write(f->root, "/etc/s/a.crt", f->leaf.full_pem.data, f->leaf.full_pem.len);
    root_io_write(f->root, "/etc/s/a.key", f->leaf.key_pem.data, f->leaf.key_pem.len);
    target = scan(f, HOOKS, PAIR ",'reload':'none'");
    assert_true(target->has_certificate);
    assert_true(target->key_matches);
    assert_true(target->chain_ok);
    assert_true(target->manageable);
    root_io_text(f->root, "/etc/s/a.crt", "no certificate at all");
    target = scan(f, HOOKS, PAIR ",'reload':'none'");
    assert_false(target->has_certificate);
    assert_true(target->manageable); /* it will be replaced */
    assert_int_equal(target->reasons.n, 1);
    clm_test_leaf_done(&f->leaf);
    clm_test_ca_free(f->ca);
}

static void what_cannot_be_done_has_a_reason(void **state)
{
    static const struct root_io_owner loose[] = {
        {"/sbin/shop", 0, 0, 0757}, {"/etc/pw", 0, 0, 0640}, {NULL, 0, 0, 0}};
    static const struct {
        const char *file;
        bool is_loose;
        const char *why;
    } rows[] = {
        {"'outputs':[{'path':'/a','content':'leaf','owner':'me'}],'reload':'none'", false,
         "owner of '/a': there is no 'me' in /etc/passwd"},
        {PAIR ",'reload':'hook','hook':'again'", true, "hook 'again': "},
        {PAIR ",'check':'test','reload':'none'", true, "hook 'test': "},
        {"'outputs':[{'path':'/etc/s/x.jks','format':'jks','password_file':'/etc/pw'}],"
         "'reload':'none'",
         true, "chmod 600"},
    };
    struct fixture *f = *state;

    root_io_text(f->root, "/etc/s/x.jks", "\xfe\xed\xfe\xed");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_target *target;

        f->io.owners = rows[i].is_loose ? loose : NULL;
        target = scan(f, HOOKS, rows[i].file);
        if (target->manageable || target->reasons.n == 0 ||
            strstr(target->reasons.v[0], rows[i].why) == NULL) {
            fail_msg("row %zu: %s", i, target->reasons.n > 0 ? target->reasons.v[0] : "no reason");
        }
        assert_int_equal(make(f, NULL), CLM_E_CONFIG);
    }
}

static void a_certificate_without_the_name_is_refused(void **state)
{
    struct fixture *f = *state;
    struct clm_bundle bundle = CLM_BUNDLE_INIT;

    (void)scan(f, HOOKS, PAIR ",'reload':'none'," VERIFY);
    assert_int_equal(clm_names_add_dns(&bundle.leaf.names, "other.example.com", NULL), CLM_OK);
    assert_int_equal(make(f, &bundle), CLM_E_CONFLICT);
    assert_non_null(strstr(f->err.msg, "'shop.example.com'"));
    assert_int_equal(clm_names_add_dns(&bundle.leaf.names, "*.example.com", NULL), CLM_OK);
    assert_int_equal(make(f, &bundle), CLM_OK);
    clm_bundle_done(&bundle);
}

static void what_is_declared_no_more_cannot_be_planned(void **state)
{
    struct fixture *f = *state;

    (void)scan(f, HOOKS, PAIR ",'reload':'none'");
    f->io.io.policy = NULL;
    assert_int_equal(make(f, NULL), CLM_E_CONFIG);
    assert_non_null(strstr(f->err.msg, "not declared"));
}

static void a_restart_needs_leave(void **state)
{
    struct fixture *f = *state;

    (void)scan(f, HOOKS, PAIR ",'reload':'unit','unit':'shop.service'");
    (void)snprintf(f->policy.files[0].reload, sizeof(f->policy.files[0].reload), "restart");
    assert_int_not_equal(make(f, NULL), CLM_OK);
    assert_non_null(strstr(f->err.msg, "shop.service"));
    assert_int_equal(clm_strs_add(&f->policy.restart, "shop.service", NULL), CLM_OK);
    assert_int_equal(make(f, NULL), CLM_OK);
    assert_int_equal(f->plan.steps[2].how, CLM_RELOAD_RESTART);
    assert_string_equal(f->plan.steps[2].unit, "shop.service");
}

static void what_the_policy_has_no_more_is_refused(void **state)
{
    struct fixture *f = *state;
    struct clm_target *target =
        scan(f, HOOKS, PAIR ",'check':'test','reload':'hook','hook':'again'");
    size_t n = f->policy.n_hooks;

    f->policy.n_hooks = 0;
    assert_int_equal(make(f, NULL), CLM_E_CONFIG);
    assert_non_null(strstr(f->err.msg, "there is no hook 'test'"));
    clm_inventory_done(&f->inventory);
    f->inventory = (struct clm_inventory){.services = NULL};
    assert_int_equal(clm_declared_add(&f->io.io, &f->inventory, NULL), CLM_OK);
    target = &f->inventory.services[0].targets[0];
    assert_false(target->manageable);
    assert_non_null(strstr(target->reasons.v[0], "there is no hook 'test' in policy.hooks"));
    f->policy.n_hooks = n;
    target->manageable = true;
    (void)snprintf(f->policy.files[0].reload, sizeof(f->policy.files[0].reload), "%s", "x");
    assert_int_equal(make(f, NULL), CLM_E_CONFIG);
    assert_non_null(strstr(f->err.msg, "unknown reload 'x'"));
    (void)snprintf(target->id, sizeof(target->id), "%s", "shop");
    assert_int_equal(make(f, NULL), CLM_E_CONFIG);
    assert_non_null(strstr(f->err.msg, "'shop' is not declared"));
}

static void every_form_of_what_is_there_is_read(void **state)
{
    static const struct root_io_owner mine[] = {
        {"/k", 0, 0, 0600}, {"/pw", 0, 0, 0600}, {"/etc/pw", 0, 0, 0600}, {NULL, 0, 0, 0}};
    struct fixture *f = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(65536);
    struct clm_target *target;

    f->io.owners = mine;
    f->ca = clm_test_ca_new(1780000000);
    clm_test_leaf_make(f->ca, "shop.example.com", CLM_TEST_GOOD, &f->leaf);
    assert_int_equal(clm_key_to_der(f->leaf.key, &der, NULL), CLM_OK);
    root_io_write(f->root, "/c", f->leaf.leaf_pem.data, f->leaf.leaf_pem.len);
    root_io_write(f->root, "/f", f->leaf.full_pem.data, f->leaf.full_pem.len);
    root_io_write(f->root, "/k", der.data, der.len);
    target = scan(f, HOOKS,
                  "'outputs':[{'path':'/c','content':'leaf'},{'path':'/f','content':'fullchain'},"
                  "{'path':'/i','content':'chain'},{'path':'/k','content':'key','format':'der',"
                  "'mode':'0600'}],'reload':'none'");
    assert_string_equal(target->cert_path, "/c");
    assert_string_equal(target->chain_path, "/i");
    assert_true(target->key_matches);
    assert_true(target->manageable);
    root_io_text(f->root, "/k", "junk");
    target = scan(f, HOOKS,
                  "'outputs':[{'path':'/c','content':'leaf'},{'path':'/k','content':'key',"
                  "'mode':'0600'}],'reload':'none'");
    assert_false(target->key_matches);
    assert_non_null(strstr(target->reasons.v[0], "'/k'"));
    clm_test_leaf_done(&f->leaf);
    clm_test_ca_free(f->ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_plan_is_what_was_declared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_way_to_reload_has_its_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_declared_deadline_may_be_longer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_there_is_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_done_has_a_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_certificate_without_the_name_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_declared_no_more_cannot_be_planned, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_restart_needs_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_policy_has_no_more_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_form_of_what_is_there_is_read, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
