/* SPDX-License-Identifier: Apache-2.0 */
/* Other certificate managers: recognised by what they keep on disk, and by nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"
#include "scanners/managers.h"
#include "tests/support/root_io.h"

struct world {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_managers *managers;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    root_io_temp(w->root);
    root_io_init(&w->io, w->root);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    clm_managers_free(w->managers);
    root_io_remove(w->root);
    free(w);
    return 0;
}

/* The manager of a path by what lies on the disk now; "" none. */
static const char *owner(struct world *w, const char *path)
{
    const struct clm_manager *found;

    clm_managers_free(w->managers);
    w->managers = NULL;
    assert_int_equal(clm_managers_load(&w->io.io, &w->managers, NULL), CLM_OK);
    found = clm_managers_of(w->managers, path);
    return found == NULL ? "" : found->name;
}

static void each_manager_is_known_by_its_mark(void **state)
{
    static const struct {
        const char *mark; /* file whose presence is the mark */
        const char *text;
        const char *own;   /* a path that is then the manager's */
        const char *other; /* one that is not */
        const char *name;
    } cases[] = {
        {"/etc/letsencrypt/renewal/www.example.conf", "",
         "/etc/letsencrypt/live/www.example/cert.pem",
         "/etc/letsencrypt/live/www.example2/cert.pem", "certbot"},
        {"/etc/letsencrypt/renewal/a.conf", "", "/etc/letsencrypt/archive/a/cert1.pem",
         "/etc/letsencrypt/accounts/a", "certbot"},
        {"/var/lib/certmonger/requests/1", "id=1\nkey_file=/etc/pki/k\ncert_file=/etc/pki/c\n",
         "/etc/pki/c", "/etc/pki/c2", "certmonger"},
        {"/root/.acme.sh/account.conf", "", "/root/.acme.sh/a/a.cer", "/root/.acme.sh2/a",
         "acme.sh"},
        {"/home/joe/.lego/certificates/a.crt", "", "/home/joe/.lego/certificates/a.crt",
         "/home/joe/.lego/accounts/x", "lego"},
        {"/var/lib/dehydrated/certs/a/cert.pem", "", "/var/lib/dehydrated/certs/a/cert.pem",
         "/var/lib/dehydrated/accounts/x", "dehydrated"},
        {"/etc/apache2/md/md_store.json", "{}", "/etc/apache2/md/domains/a/pubcert.pem",
         "/etc/apache2/ssl/x", "mod_md"},
        {"/var/lib/caddy/.local/share/caddy/certificates/x", "",
         "/var/lib/caddy/.local/share/caddy/certificates/acme/a.crt", "/var/lib/caddy/x", "caddy"},
        {"/etc/traefik/acme.json", "{}", "/etc/traefik/acme.json", "/etc/traefik/cert.pem",
         "traefik"},
        {"/root/.getssl/getssl.cfg", "", "/root/.getssl/a/a.crt", "/root/x", "getssl"},
        {"/etc/ssl/uacme/private/key.pem", "", "/etc/ssl/uacme/a/cert.pem", "/etc/ssl/a", "uacme"},
        {"/var/cpanel/ssl/x", "", "/var/cpanel/ssl/apache_tls/a", "/var/cpanel/x", "cpanel"},
        {"/usr/local/psa/var/certificates/c1", "", "/usr/local/psa/var/certificates/c1",
         "/usr/local/psa/x", "plesk"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char path[2 * PATH_MAX];

        if (*owner(w, cases[i].own) != '\0') {
            fail_msg("case %zu: '%s' without its mark", i, cases[i].own);
        }
        root_io_text(w->root, cases[i].mark, cases[i].text);
        if (strcmp(owner(w, cases[i].own), cases[i].name) != 0) {
            fail_msg("case %zu: '%s' is of '%s'", i, cases[i].own, owner(w, cases[i].own));
        }
        if (*owner(w, cases[i].other) != '\0') {
            fail_msg("case %zu: '%s' is of '%s'", i, cases[i].other, owner(w, cases[i].other));
        }
        (void)snprintf(path, sizeof(path), "%s%s", w->root, cases[i].mark);
        assert_int_equal(remove(path), 0);
        *strrchr(path, '/') = '\0';
        (void)remove(path); /* a directory that is a mark itself */
    }
}

static void files_that_acme_sh_installed_are_its_own(void **state)
{
    struct world *w = *state;

    root_io_text(w->root, "/root/.acme.sh/account.conf", "");
    root_io_text(w->root, "/root/.acme.sh/a.example_ecc/a.example.conf",
                 "Le_Domain='a.example'\nLe_RealCertPath='/etc/nginx/a.pem'\n"
                 "Le_RealKeyPath=/etc/nginx/a.key\nLe_RealCACertPath=''\n"
                 "Le_RealFullChainPath='relative'\nLe_RealCertPath=");
    assert_string_equal(owner(w, "/etc/nginx/a.pem"), "acme.sh");
    assert_string_equal(owner(w, "/etc/nginx/a.key"), "acme.sh");
    assert_string_equal(owner(w, "relative"), "");
    assert_string_equal(owner(w, ""), "");
}

static void targets_are_marked_through_links(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    struct clm_service *service = clm_inventory_add_service(&inventory);
    struct clm_target *one;
    struct clm_target *two;

    assert_non_null(clm_service_add_target(service));
    assert_non_null(clm_service_add_target(service));
    one = &service->targets[0];
    two = &service->targets[1];
    root_io_text(w->root, "/etc/letsencrypt/renewal/a.conf", "");
    root_io_text(w->root, "/etc/letsencrypt/archive/a/cert1.pem", "");
    root_io_link(w->root, "/etc/nginx/tls/cert.pem", "../../letsencrypt/archive/./a/cert1.pem");
    root_io_link(w->root, "/etc/nginx/tls/circle", "circle");
    (void)snprintf(one->cert_path, sizeof(one->cert_path), "/etc/nginx/tls/cert.pem");
    (void)snprintf(two->cert_path, sizeof(two->cert_path), "/etc/nginx/tls/circle");
    (void)snprintf(two->key_path, sizeof(two->key_path), "/etc/nginx/tls/key.pem");
    one->manageable = true;
    assert_int_equal(clm_managers_mark(&w->io.io, &inventory, NULL), CLM_OK);
    assert_string_equal(one->manager, "certbot");
    assert_true(one->manageable); /* the policy decides, not the scan */
    assert_int_equal(one->reasons.n, 1);
    assert_non_null(strstr(one->reasons.v[0], "policy.take_over"));
    assert_string_equal(two->manager, "");
    assert_int_equal(two->reasons.n, 0);
}

static void names_of_managers_are_told_once(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};

    root_io_text(w->root, "/etc/letsencrypt/renewal/a.conf", "");
    root_io_text(w->root, "/etc/letsencrypt/renewal/README", "");
    root_io_text(w->root, "/etc/letsencrypt/renewal/b.conf", "");
    root_io_text(w->root, "/var/lib/certmonger/requests/1",
                 "cert_file=\"/etc/x.pem\"\nkey_file='/etc/x.key'\n");
    assert_string_equal(owner(w, "/etc/x.pem"), "certmonger");
    assert_string_equal(owner(w, "/etc/x.key"), "certmonger");
    assert_string_equal(owner(w, "/etc/letsencrypt/live/b/cert.pem"), "certbot");
    assert_string_equal(owner(w, "/etc/letsencrypt/live/README"), "");
    assert_int_equal(clm_managers_names(w->managers, &names, NULL), CLM_OK);
    assert_int_equal(names.n, 2);
    assert_string_equal(names.v[0], "certbot");
    assert_string_equal(names.v[1], "certmonger");
}

/* A link that leads up and around is followed by its text. */
static void paths_are_made_plain(void **state)
{
    static const char *const links[] = {"/../../etc/letsencrypt/./live//a/cert.pem",
                                        "../x/../letsencrypt/live/a/../a/cert.pem",
                                        "/etc/.x/../..x/../letsencrypt/live/a/cert.pem"};
    struct world *w = *state;

    root_io_text(w->root, "/etc/letsencrypt/renewal/a.conf", "");
    for (size_t i = 0; i < CLM_ARRAY_LEN(links); i++) {
        CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
        struct clm_target *target = clm_service_add_target(clm_inventory_add_service(&inventory));

        (void)snprintf(target->cert_path, sizeof(target->cert_path), "/etc/nginx/%zu.pem", i);
        (void)snprintf(target->key_path, sizeof(target->key_path), "engine:x");
        root_io_link(w->root, target->cert_path, links[i]);
        assert_int_equal(clm_managers_mark(&w->io.io, &inventory, NULL), CLM_OK);
        if (strcmp(target->manager, "certbot") != 0) {
            fail_msg("link %zu: '%s'", i, target->manager);
        }
    }
}

/* More places than are kept: the first are known, and nothing breaks. */
static void places_are_limited(void **state)
{
    struct world *w = *state;
    char *text = calloc(5000, 32);
    size_t len = 0;

    assert_non_null(text);
    for (int i = 0; i < 2500; i++) {
        len += (size_t)snprintf(text + len, 32, "key_file=/k/%d\n", i);
    }
    root_io_text(w->root, "/var/lib/certmonger/requests/1", text);
    root_io_text(w->root, "/var/lib/certmonger/requests/2", text);
    free(text);
    root_io_text(w->root, "/root/.lego/certificates/x", "");
    assert_string_equal(owner(w, "/k/2499"), "certmonger");
    assert_string_equal(owner(w, "/root/.lego/certificates/x"), "");
}

static void the_policy_knows_every_name(void **state)
{
    const struct clm_opt *opt = clm_options();
    size_t n = 0;

    (void)state;
    while (opt->key != NULL && strcmp(opt->key, "policy.take_over") != 0) {
        opt++;
    }
    assert_non_null(opt->key);
    for (const struct clm_manager *m = clm_managers_all(); m->name != NULL; m++, n++) {
        assert_non_null(opt->choices[n]);
        assert_string_equal(opt->choices[n], m->name);
        assert_true(strlen(m->name) < sizeof(((struct clm_target *)0)->manager));
        assert_ptr_equal(clm_manager_find(m->name), m);
    }
    assert_null(opt->choices[n]);
    assert_null(clm_manager_find("nobody"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_manager_is_known_by_its_mark),
        TEST(files_that_acme_sh_installed_are_its_own),
        TEST(targets_are_marked_through_links),
        TEST(names_of_managers_are_told_once),
        TEST(paths_are_made_plain),
        TEST(places_are_limited),
        TEST(the_policy_knows_every_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
