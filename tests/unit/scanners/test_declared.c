/* SPDX-License-Identifier: Apache-2.0 */
/* What the scan says of declared files whose key is written with a password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/crypto/pkcs8.h"
#include "agent/model/policy.h"
#include "scanners/declared.h"
#include "tests/support/certs.h"
#include "tests/support/root_io.h"
#include "tests/unit/model/json_text.h"

static const struct root_io_owner owners[] = {{"/etc/s/a.key", 0, 0, 0600},
                                              {"/etc/s/all.pem", 0, 0, 0600},
                                              {"/etc/pw", 0, 0, 0600},
                                              {"/etc/loose", 0, 0, 0640},
                                              {NULL, 0, 0, 0}};

static struct {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_policy policy;
    struct clm_inventory inventory;
    struct clm_test_ca *ca;
    struct clm_test_leaf leaf;
    struct clm_buf locked; /* the key, encrypted with "changeit" */
} world;

static int set_up(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf all = CLM_BUF_SECRET_INIT(65536);

    (void)state;
    root_io_temp(world.root);
    root_io_init(&world.io, world.root);
    world.io.io.policy = &world.policy;
    world.io.owners = owners;
    world.ca = clm_test_ca_new(INT64_C(1780000000));
    world.locked = CLM_BUF_SECRET_INIT(65536);
    clm_test_leaf_make(world.ca, "shop.example.com", CLM_TEST_GOOD, &world.leaf);
    assert_int_equal(clm_buf_add_str(&password, "changeit", NULL), CLM_OK);
    assert_int_equal(clm_key_to_pem_password(world.leaf.key, clm_test_ca_rng(world.ca), &password,
                                             &world.locked, NULL),
                     CLM_OK);
    assert_int_equal(clm_buf_add_str(&all, clm_buf_str(&world.leaf.full_pem), NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&all, clm_buf_str(&world.locked), NULL), CLM_OK);
    root_io_text(world.root, "/etc/passwd", "root:x:0:0::/:\n");
    root_io_text(world.root, "/etc/group", "root:x:0:\n");
    root_io_text(world.root, "/etc/s/a.crt", clm_buf_str(&world.leaf.full_pem));
    root_io_text(world.root, "/etc/s/a.key", clm_buf_str(&world.locked));
    root_io_text(world.root, "/etc/s/all.pem", clm_buf_str(&all));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clm_inventory_done(&world.inventory);
    clm_policy_done(&world.policy);
    clm_buf_done(&world.locked);
    clm_test_leaf_done(&world.leaf);
    clm_test_ca_free(world.ca);
    root_io_remove(world.root);
    return 0;
}

#define PAIR                                                                                       \
    "{'path':'/etc/s/a.crt','content':'fullchain'},"                                               \
    "{'path':'/etc/s/a.key','content':'key','password_file':"
#define ALL "{'path':'/etc/s/all.pem','content':'key_fullchain','password_file':"

/* The target of these outputs, the last of which has its password in the file. */
static struct clm_target *scan(const char *outputs, const char *file)
{
    struct clm_err err = {0};
    char text[1024];

    clm_inventory_done(&world.inventory);
    world.inventory = (struct clm_inventory){.services = NULL};
    clm_policy_done(&world.policy);
    (void)snprintf(text, sizeof(text), "{'shop':{'outputs':[%s'%s'}],'reload':'none'}}", outputs,
                   file);
    world.policy.hooks_tree = json_read("{}");
    world.policy.files_tree = json_read(text);
    if (clm_policy_declare(&world.policy, &err) != CLM_OK ||
        clm_declared_add(&world.io.io, &world.inventory, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(world.inventory.n_services, 1);
    return &world.inventory.services[0].targets[0];
}

static void is_well(const struct clm_target *target)
{
    if (target->reasons.n > 0) {
        fail_msg("%s", target->reasons.v[0]);
    }
    assert_true(target->has_certificate);
    assert_true(target->key_matches);
    assert_true(target->manageable);
    assert_string_equal(target->key_password, "file:/etc/pw");
}

static void the_password_file_opens_the_key(void **state)
{
    (void)state;
    root_io_text(world.root, "/etc/pw", "changeit\n");
    is_well(scan(PAIR, "/etc/pw"));
    is_well(scan(ALL, "/etc/pw"));
}

/* As it may be before the first deployment. */
static void a_key_in_clear_needs_no_password(void **state)
{
    (void)state;
    root_io_text(world.root, "/etc/pw", "changeit\n");
    root_io_text(world.root, "/etc/s/a.key", clm_buf_str(&world.leaf.key_pem));
    is_well(scan(PAIR, "/etc/pw"));
}

static void a_password_that_does_not_open_it_is_named(void **state)
{
    static const struct {
        const char *outputs;
        const char *file;
        const char *text; /* of the file; NULL: there is none */
        const char *reason;
        bool manageable;
    } rows[] = {
        {PAIR, "/etc/pw", "another\n",
         "'/etc/s/a.key': password_file '/etc/pw': wrong password of the private key", false},
        {ALL, "/etc/pw", "another\n",
         "'/etc/s/all.pem': password_file '/etc/pw': wrong password of the private key", false},
        {PAIR, "/etc/loose", "changeit\n",
         "'/etc/s/a.key': 'password_file': password file '/etc/loose' has mode 0640", false},
        {PAIR, "/etc/pw", NULL, "'/etc/s/a.key': 'password_file': ", true},
        {PAIR, "/etc/pw", "\n",
         "'/etc/s/a.key': 'password_file': password file '/etc/pw' has an empty first line", true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char path[PATH_MAX + 64];
        struct clm_target *target;

        (void)snprintf(path, sizeof(path), "%s%s", world.root, rows[i].file);
        if (rows[i].text != NULL) {
            root_io_text(world.root, rows[i].file, rows[i].text);
        } else {
            assert_int_equal(unlink(path), 0);
        }
        target = scan(rows[i].outputs, rows[i].file);
        if (target->reasons.n != 1 || target->manageable != rows[i].manageable ||
            strstr(target->reasons.v[0], rows[i].reason) != target->reasons.v[0]) {
            fail_msg("row %zu: %s", i, target->reasons.n > 0 ? target->reasons.v[0] : "no reason");
        }
        assert_non_null(strstr(target->reasons.v[0], rows[i].file));
        assert_true(target->has_certificate);
        assert_false(target->key_matches);
    }
}

/* Not what a wrong password is: nobody could open it. */
static void another_fault_of_the_key_is_told_as_it_is(void **state)
{
    struct clm_target *target;

    (void)state;
    root_io_text(world.root, "/etc/pw", "changeit\n");
    root_io_text(world.root, "/etc/s/a.key", "junk");
    target = scan(PAIR, "/etc/pw");
    assert_int_equal(target->reasons.n, 1);
    assert_string_equal(target->reasons.v[0], "'/etc/s/a.key': there is no private key");
    assert_true(target->manageable); /* it will be replaced */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_password_file_opens_the_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_in_clear_needs_no_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_password_that_does_not_open_it_is_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_fault_of_the_key_is_told_as_it_is, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
