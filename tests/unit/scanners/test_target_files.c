/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a target's files, of keys with passwords, and by which names the host has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scanners/target_files.h"
#include "tests/support/certs.h"
#include "tests/support/root_io.h"

#define NOW_S INT64_C(1780000000)
#define DISK  "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"

static struct {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_test_ca *ca;
    struct clm_test_leaf leaf;
} world;

static const struct root_io_owner owners[] = {
    {"/srv/tls/a.key", 0, 0, 0600}, {"/srv/tls/a.pem", 0, 0, 0600}, {NULL, 0, 0, 0}};

static int set_up(void **state)
{
    (void)state;
    root_io_temp(world.root);
    root_io_init(&world.io, world.root);
    world.ca = clm_test_ca_new(NOW_S);
    clm_test_leaf_make(world.ca, "a.example", CLM_TEST_GOOD, &world.leaf);
    root_io_text(world.root, "/srv/tls/a.pem", clm_buf_str(&world.leaf.full_pem));
    root_io_text(world.root, "/srv/tls/a.key", clm_buf_str(&world.leaf.key_pem));
    world.io.owners = owners;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clm_test_leaf_done(&world.leaf);
    clm_test_ca_free(world.ca);
    root_io_remove(world.root);
    return 0;
}

/* A service of one target with these files, for clm_service_done(). */
static void make(struct clm_service *service, const char *cert, const char *key, const char *chain)
{
    *service = (struct clm_service){.id = ""};
    struct clm_target *target = clm_service_add_target(service);
    assert_non_null(target);
    target->manageable = true;
    (void)snprintf(target->cert_path, sizeof(target->cert_path), "%s", cert);
    (void)snprintf(target->key_path, sizeof(target->key_path), "%s", key);
    (void)snprintf(target->chain_path, sizeof(target->chain_path), "%s", chain);
}

static void same_file(const char *from, const char *to)
{
    char here[PATH_MAX + 64];
    char there[PATH_MAX + 64];

    root_io_text(world.root, to, "x");
    (void)snprintf(here, sizeof(here), "%s%s", world.root, from);
    (void)snprintf(there, sizeof(there), "%s%s", world.root, to);
    assert_int_equal(unlink(there), 0);
    assert_int_equal(link(here, there), 0);
}

static void files_of_a_container_get_the_hosts_names(void **state)
{
    const struct clm_process process = {.pid = 900, .has_own_mounts = true, .has_own_root = true};
    const struct clm_process plain = {.pid = 900};
    struct clm_service service;

    (void)state;
    root_io_text(world.root, "/proc/900/mountinfo",
                 "20 1 0:50 / / rw - overlay overlay rw\n"
                 "21 20 8:1 /srv/tls /tls rw - ext4 /dev/sda1 rw\n");
    root_io_text(world.root, "/proc/self/mountinfo", DISK);
    same_file("/srv/tls/a.pem", "/proc/900/root/tls/a.pem");
    same_file("/srv/tls/a.key", "/proc/900/root/tls/a.key");
    root_io_text(world.root, "/proc/900/root/own/chain.pem", "only in there");
    make(&service, "/tls/a.pem", "/tls/a.key", "/own/chain.pem");
    assert_int_equal(clm_targets_to_host(&world.io.io, &plain, &service, NULL), CLM_OK);
    assert_string_equal(service.targets[0].cert_path, "/tls/a.pem");

    service.targets[0].manageable = false;
    assert_int_equal(clm_targets_to_host(&world.io.io, &process, &service, NULL), CLM_OK);
    assert_string_equal(service.targets[0].cert_path, "/tls/a.pem");
    assert_false(service.foreign_namespace);

    service.targets[0].manageable = true;
    assert_int_equal(clm_targets_to_host(&world.io.io, &process, &service, NULL), CLM_OK);
    assert_string_equal(service.targets[0].cert_path, "/srv/tls/a.pem");
    assert_string_equal(service.targets[0].key_path, "/srv/tls/a.key");
    assert_string_equal(service.targets[0].chain_path, "/own/chain.pem");
    assert_true(service.foreign_namespace);
    clm_service_done(&service);
}

static void one_file_for_all_has_no_other_paths_to_move(void **state)
{
    const struct clm_process process = {.pid = 900, .has_own_mounts = true};
    struct clm_service service;

    (void)state;
    root_io_text(world.root, "/proc/900/mountinfo", DISK);
    root_io_text(world.root, "/proc/self/mountinfo", DISK);
    make(&service, "/srv/tls/a.pem", "", "");
    assert_int_equal(clm_targets_to_host(&world.io.io, &process, &service, NULL), CLM_OK);
    assert_string_equal(service.targets[0].cert_path, "/srv/tls/a.pem");
    assert_string_equal(service.targets[0].key_path, "");
    assert_false(service.foreign_namespace);
    clm_service_done(&service);
}

/* The reasons of a target, one a line. */
static void reasons(const struct clm_target *target, char *dst, size_t size)
{
    dst[0] = '\0';
    for (size_t i = 0; i < target->reasons.n; i++) {
        assert_true(strlen(dst) + strlen(target->reasons.v[i]) + 2 < size);
        (void)strcat(strcat(dst, target->reasons.v[i]), "\n");
    }
}

static void what_stands_in_the_way_is_said(void **state)
{
    static char net_of_its_own[] = "net:[2]";
    static const struct {
        const char *cert;
        const char *key;
        const char *chain;
        char *net;
        const char *reason; /* NULL: none */
    } rows[] = {
        {"/srv/tls/a.pem", "/srv/tls/a.key", "/srv/tls/chain.pem", NULL, NULL},
        {"/srv/tls/a.pem", "/srv/tls/a.key", "", net_of_its_own, "a network namespace of its own"},
        {"/srv/tls/two.pem", "/srv/tls/a.key", "", NULL, "more than one name (hard links)"},
        {"/srv/tls/a.pem", "/srv/tls/none.key", "", NULL, "/srv/tls/none.key"},
        {"/srv/tls/none.pem", "/srv/tls/a.key", "", NULL, "/srv/tls/none.pem"},
        {"/srv/tls/a.pem", "", "", NULL, "'/srv/tls/a.pem': "}, /* it holds no key */
        {"/srv/tls/a.key", "/srv/tls/a.key", "", NULL, "'/srv/tls/a.key': "},
        {"/srv/tls/$name.pem", "/srv/tls/a.key", "", NULL, NULL}, /* the scanner has said it */
        {"/srv/tls/a.pem", "/srv/tls/$name.key", "", NULL, NULL},
        {"engine:x", "/srv/tls/a.key", "", NULL, NULL},
        {"/srv/tls/a.pem", "engine:x", "", NULL, NULL},
    };

    (void)state;
    root_io_link(world.root, "/proc/self/ns/net", "net:[1]");
    root_io_link(world.root, "/proc/1/ns/net", "net:[1]");
    root_io_text(world.root, "/srv/tls/one.pem", clm_buf_str(&world.leaf.full_pem));
    same_file("/srv/tls/one.pem", "/srv/tls/two.pem");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        static char net[] = "net:[1]";
        const struct clm_process process = {.pid = 900,
                                            .net = rows[i].net != NULL ? rows[i].net : net};
        struct clm_service service;
        char text[4096];

        make(&service, rows[i].cert, rows[i].key, rows[i].chain);
        assert_int_equal(clm_targets_read_files(&world.io.io, &process, &service, NULL), CLM_OK);
        reasons(&service.targets[0], text, sizeof(text));
        if ((rows[i].reason == NULL) != (text[0] == '\0') ||
            (rows[i].reason != NULL && strstr(text, rows[i].reason) == NULL)) {
            fail_msg("row %zu: %s", i, text);
        }
        clm_service_done(&service);
    }
}

/* How the scanner leaves the place of a password, and what is said where it opens nothing. */
static void a_key_that_no_password_opens_is_explained(void **state)
{
    static const struct {
        const char *hint;
        const char *reason;
    } rows[] = {
        {"", "is encrypted, and the configuration names no file with its password"},
        {CLM_PASSWORDS_BY "a program asks for it", "is encrypted, and a program asks for it"},
        {CLM_PASSWORDS_IN "/srv/none", "/srv/none"},
        {CLM_PASSWORDS_IN "/srv/passwords", "no password in '/srv/passwords' opens the key"},
        {CLM_PASSWORDS_IN "/srv/many", "no password in '/srv/many' opens the key"},
        {CLM_SECRET_CONF "/srv/server.xml|8443|_default_|EC|key",
         "the key '/srv/tls/locked.key': "},
        {CLM_SECRET_CONF "/srv/server.xml", "names no password of a Tomcat"},
    };
    static char no_net[] = "";
    const struct clm_process process = {.pid = 900, .net = no_net};
    char many[1000] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(many) - 1; i++) {
        many[i] = i % 2 == 0 ? 'p' : '\n';
    }
    root_io_text(world.root, "/srv/passwords", "one\n\ntwo\n");
    root_io_text(world.root, "/srv/many", many);
    root_io_text(
        world.root, "/srv/tls/locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_service service;
        char text[4096];

        make(&service, "/srv/tls/a.pem", "/srv/tls/locked.key", "");
        (void)snprintf(service.targets[0].key_password, sizeof(service.targets[0].key_password),
                       "%s", rows[i].hint);
        assert_int_equal(clm_targets_read_files(&world.io.io, &process, &service, NULL), CLM_OK);
        reasons(&service.targets[0], text, sizeof(text));
        if (strstr(text, rows[i].reason) == NULL || service.targets[0].manageable) {
            fail_msg("row %zu: %s", i, text);
        }
        assert_string_equal(service.targets[0].key_password, "");
        clm_service_done(&service);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_of_a_container_get_the_hosts_names, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_file_for_all_has_no_other_paths_to_move, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_stands_in_the_way_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_no_password_opens_is_explained, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
