/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate and the key that are installed, in every form in which they may be kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/crypto/pkcs7.h"
#include "agent/host/installed.h"
#include "tests/support/host_tree.h"
#include "tests/unit/host/host_world.h"

static const struct root_io_owner owners[] = {
    {"/pw", 0, 0, 0600}, {"/wrong", 0, 0, 0600}, {"/secret", 0, 0, 0600}, {NULL, 0, 0, 0}};

/* The leaf of pki/www.pem in DER, its key in DER, and a PKCS#7 bag with the issuer in front. */
static void make_binary(const char *root)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf bag = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_der = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *reversed = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    size_t len = 0;
    const uint8_t *der;

    assert_int_equal(clm_fs_read("tests/fixtures/pki/www.pem", 65535, &text, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(text.data, text.len, &chain, NULL), CLM_OK);
    der = clm_cert_chain_der(chain, 0, &len);
    root_io_write(root, "/www.der", der, len);
    text.len = 0;
    assert_int_equal(clm_fs_read("tests/fixtures/pki/www.reversed.pem", 65535, &text, NULL),
                     CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(text.data, text.len, &reversed, NULL), CLM_OK);
    assert_int_equal(clm_pkcs7_to_der(reversed, &bag, NULL), CLM_OK);
    root_io_write(root, "/www.p7b", bag.data, bag.len);
    text.len = 0;
    assert_int_equal(clm_fs_read("tests/fixtures/pki/www.key", 65535, &text, NULL), CLM_OK);
    assert_int_equal(clm_key_from_pem(text.data, text.len, &key, NULL), CLM_OK);
    assert_int_equal(clm_key_to_der(key, &key_der, NULL), CLM_OK);
    root_io_write(root, "/key.der", key_der.data, key_der.len);
}

static int setup(void **state)
{
    struct host_world *world = host_world_new();

    host_tree_copy("tests/fixtures/pki", world->tree);
    host_tree_copy("tests/fixtures/keystore", world->tree);
    make_binary(world->tree);
    root_io_text(world->tree, "/proc/version", "");
    root_io_text(world->tree, "/pw", "changeit\n");
    root_io_text(world->tree, "/secret", "secret\n");
    root_io_text(world->tree, "/wrong", "wrong\n");
    world->io.owners = owners;
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    host_world_free(*state);
    return 0;
}

/* What is read of the target "file:shop" with these outputs. */
static void read_both(struct host_world *world, struct clm_declared_output outputs[2],
                      struct clm_installed *out, struct clm_err errs[2])
{
    struct clm_declared file = {
        .name = "shop", .outputs = outputs, .n_outputs = 1, .reload = "none"};
    struct clm_policy policy = {.files = &file, .n_files = 1};
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_host_call call = {.host = world->host, .fail = &fail};

    file.n_outputs += outputs[1].path[0] != '\0';
    world->io.io.policy = &policy;
    errs[0] = (struct clm_err){.code = CLM_OK};
    errs[1] = (struct clm_err){.code = CLM_OK};
    clm_ignore(clm_host_installed_cert(&call, "file:shop", out, &errs[0]));
    clm_ignore(clm_host_installed_key(&call, "file:shop", out, &errs[1]));
    world->io.io.policy = NULL;
}

static void every_form_is_read(void **state)
{
    static const struct clm_declared_output rows[][2] = {
        {{.path = "/www.pem", .content = "fullchain", .format = "pem"},
         {.path = "/www.key", .content = "key", .format = "pem"}},
        {{.path = "/www.der", .content = "leaf", .format = "der"},
         {.path = "/key.der", .content = "key", .format = "der"}},
        {{.path = "/www.der", .content = "leaf", .format = "der"},
         {.path = "/www.key", .content = "key", .format = "pem"}},
        {{.path = "/www.p7b", .content = "fullchain", .format = "pkcs7"},
         {.path = "/key.der", .content = "key", .format = "der"}},
        {{.path = "/www.pem", .content = "fullchain", .format = "pem"},
         {.path = "/www.enc.key", .content = "key", .format = "pem", .password_file = "/secret"}},
        {{.path = "/jdk17.p12", .format = "pkcs12", .password_file = "/pw"}},
        {{.path = "/jdk17.p12", .format = "pkcs12", .alias = "www", .password_file = "/pw"}},
        {{.path = "/openssl3.p12",
          .format = "pkcs12",
          .password_file = "/pw",
          .key_password_file = "/pw"}},
    };
    struct host_world *world = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_installed_done) struct clm_installed found = {NULL, NULL};
        struct clm_declared_output outputs[2] = {rows[i][0], rows[i][1]};
        struct clm_err errs[2];
        bool matches = false;

        read_both(world, outputs, &found, errs);
        if (found.chain == NULL || found.key == NULL) {
            fail_msg("row %zu: '%s' '%s'", i, errs[0].msg, errs[1].msg);
        }
        assert_int_equal(clm_cert_matches_key(found.chain, 0, found.key, &matches, NULL), CLM_OK);
        assert_true(matches);
    }
}

/* The first certificate of a PEM text is the one that is served, also if it could be a CA's. */
static void a_pem_text_keeps_its_order(void **state)
{
    struct host_world *world = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_installed_done) struct clm_installed found = {NULL, NULL};
    struct clm_declared_output outputs[2] = {
        {.path = "/ca.pem", .content = "fullchain", .format = "pem"},
        {.path = "/ca.key", .content = "key", .format = "pem"}};
    struct clm_err errs[2];
    bool matches = false;

    assert_int_equal(clm_buf_add(&text, world->ca_pem.data, world->ca_pem.len, NULL), CLM_OK);
    assert_int_equal(clm_fs_read("tests/fixtures/pki/www.leaf.pem", 65535, &text, NULL), CLM_OK);
    assert_int_equal(clm_key_to_pem(world->ca_key, &key, NULL), CLM_OK);
    root_io_write(world->tree, "/ca.pem", text.data, text.len);
    root_io_write(world->tree, "/ca.key", key.data, key.len);
    read_both(world, outputs, &found, errs);
    assert_int_equal(clm_cert_chain_count(found.chain), 2);
    assert_int_equal(clm_cert_matches_key(found.chain, 0, found.key, &matches, NULL), CLM_OK);
    assert_true(matches);
}

static void what_cannot_be_read_says_why(void **state)
{
    static const struct {
        struct clm_declared_output outputs[2];
        const char *says[2]; /* of the certificate, of the key; NULL: it is read */
    } rows[] = {
        {{{.path = "/www.key", .content = "key", .format = "pem"}},
         {"the target has no file for it yet", NULL}},
        {{{.path = "/www.leaf.pem", .content = "leaf", .format = "pem"}}, {NULL, "private key"}},
        {{{.path = "/none.pem", .content = "leaf", .format = "pem"}}, {"/none.pem", "/none.pem"}},
        {{{.path = "/www.key", .content = "leaf", .format = "pem"}}, {"certificate", NULL}},
        {{{.path = "/www.pem", .content = "fullchain", .format = "pem"},
          {.path = "/www.enc.key", .content = "key", .format = "pem", .password_file = "/nopw"}},
         {NULL, "/nopw"}},
        {{{.path = "/jdk17.p12", .format = "pkcs12", .password_file = "/nopw"}},
         {"/nopw", "/nopw"}},
        {{{.path = "/none.p12", .format = "pkcs12", .password_file = "/pw"}},
         {"/none.p12", "/none.p12"}},
        {{{.path = "/jdk17.p12", .format = "pkcs12", .password_file = "/wrong"}},
         {"password", "password"}},
        {{{.path = "/jdk17.p12", .format = "pkcs12", .alias = "no", .password_file = "/pw"}},
         {"'/jdk17.p12' has no entry 'no'", "'/jdk17.p12' has no entry 'no'"}},
        {{{.path = "/openssl-cacerts.p12", .format = "pkcs12", .password_file = "/pw"}},
         {"has no entry 'with a key'", "has no entry 'with a key'"}},
        {{{.path = "/jdk17.p12",
           .format = "pkcs12",
           .alias = "www",
           .password_file = "/pw",
           .key_password_file = "/nopw"}},
         {NULL, "/nopw"}},
    };
    struct host_world *world = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_installed_done) struct clm_installed found = {NULL, NULL};
        struct clm_declared_output outputs[2] = {rows[i].outputs[0], rows[i].outputs[1]};
        struct clm_err errs[2];

        read_both(world, outputs, &found, errs);
        assert_true((found.chain != NULL) == (rows[i].says[0] == NULL));
        assert_true((found.key != NULL) == (rows[i].says[1] == NULL));
        for (size_t k = 0; k < 2; k++) {
            if (rows[i].says[k] != NULL && strstr(errs[k].msg, rows[i].says[k]) == NULL) {
                fail_msg("row %zu: '%s' does not say '%s'", i, errs[k].msg, rows[i].says[k]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_form_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pem_text_keeps_its_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_says_why, setup, teardown),
    };

    return cmocka_run_group_tests_name("host installed", tests, NULL, NULL);
}
