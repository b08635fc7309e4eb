/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deployers/deployer.h"
#include "tests/support/host_tree.h"
#include "tests/support/root_io.h"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_service service;
    struct clm_target *target;
    struct clm_bundle bundle;
    struct clm_plan plan;
    struct clm_err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct clm_endpoint *endpoint;

    root_io_temp(f->root);
    root_io_init(&f->io, f->root);
    root_io_text(f->root, "/usr/sbin/nginx", "");
    root_io_text(f->root, "/usr/sbin/apache2", "");
    root_io_text(f->root, "/usr/sbin/apachectl", "");
    root_io_text(f->root, "/usr/sbin/httpd", "");
    f->bundle = (struct clm_bundle)CLM_BUNDLE_INIT;
    f->service = (struct clm_service){.kind = "nginx",
                                      .running = true,
                                      .pid = 812,
                                      .start_ticks = 500,
                                      .exe = "/usr/sbin/nginx",
                                      .config_path = "/etc/nginx/nginx.conf"};
    f->target = clm_service_add_target(&f->service);
    f->target->manageable = true;
    strcpy(f->target->id, "nginx:a.example");
    strcpy(f->target->cert_path, "/t/a.pem");
    strcpy(f->target->key_path, "/t/a.key");
    assert_int_equal(clm_names_add_dns(&f->target->names, "a.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&f->target->certificate.names, "a.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&f->bundle.leaf.names, "a.example", NULL), CLM_OK);
    endpoint = clm_target_add_endpoint(f->target);
    strcpy(endpoint->addr, "127.0.0.1");
    endpoint->port = 443;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    clm_plan_done(&f->plan);
    clm_service_done(&f->service);
    clm_bundle_done(&f->bundle);
    root_io_remove(f->root);
    free(f);
    return 0;
}

static enum clm_code make(struct fixture *f)
{
    const struct clm_deployer_ops *ops = clm_deployer_find(f->service.kind);

    assert_non_null(ops);
    clm_plan_done(&f->plan);
    f->plan = (struct clm_plan){.target = ""};
    f->err = (struct clm_err){.code = CLM_OK};
    return ops->plan(&f->io.io, &f->service, f->target, &f->bundle, &f->plan, &f->err);
}

static void use_apache(struct fixture *f, const char *exe, const char *conf)
{
    strcpy(f->service.kind, "apache");
    strcpy(f->service.exe, exe);
    strcpy(f->service.config_path, conf);
}

/* One line for each step: kind, and what matters of it. */
static void assert_plan(struct fixture *f, const char *want)
{
    char text[8192] = "";

    if (make(f) != CLM_OK) {
        fail_msg("%s", f->err.msg);
    }
    for (size_t i = 0; i < f->plan.n_steps; i++) {
        const struct clm_step *s = &f->plan.steps[i];
        size_t len = strlen(text);

        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", clm_step_kind_name(s->kind));
        for (size_t k = 0; k < s->argv.n; k++) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, " %s", s->argv.v[k]);
        }
        if (s->kind == CLM_STEP_FILE_PUT) {
            (void)snprintf(text + len, sizeof(text) - len, " %s %s", s->path,
                           clm_content_name(s->content));
            assert_false(s->may_create);
        } else if (s->kind == CLM_STEP_RELOAD && s->how == CLM_RELOAD_UNIT) {
            (void)snprintf(text + len, sizeof(text) - len, " %s", s->unit);
        } else if (s->kind == CLM_STEP_RELOAD) {
            (void)snprintf(text + len, sizeof(text) - len, " %d to %d/%u", s->signo, s->pid,
                           (unsigned)s->start_ticks);
        } else if (s->kind == CLM_STEP_VERIFY) {
            (void)snprintf(text + len, sizeof(text) - len, " %zu in %u", s->n_endpoints,
                           s->deadline_ms);
        }
        strcat(text, "\n");
    }
    assert_string_equal(text, want);
    assert_string_equal(f->plan.target, f->target->id);
    assert_string_equal(f->plan.deployer, f->service.kind);
}

#define NGINX_TEST "/usr/sbin/nginx -t -q -c /etc/nginx/nginx.conf"

static void nginx_gets_key_and_full_chain(void **state)
{
    assert_plan(*state, "check " NGINX_TEST "\n"
                        "file.put /t/a.key key\n"
                        "file.put /t/a.pem fullchain\n"
                        "post_check " NGINX_TEST "\n"
                        "reload 1 to 812/500\n"
                        "verify 1 in 30000\n");
}

static void one_file_for_both_is_written_once(void **state)
{
    struct fixture *f = *state;

    strcpy(f->target->key_path, f->target->cert_path);
    strcpy(f->service.prefix, "/srv/n");
    assert_plan(f, "check " NGINX_TEST " -p /srv/n\n"
                   "file.put /t/a.pem key_fullchain\n"
                   "post_check " NGINX_TEST " -p /srv/n\n"
                   "reload 1 to 812/500\n"
                   "verify 1 in 30000\n");
}

#define CERT  "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
#define KEY   "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n"
#define PARAM "-----BEGIN EC PARAMETERS-----\nx\n-----END EC PARAMETERS-----\n"

static void the_order_in_a_file_is_kept(void **state)
{
    static const struct {
        const char *text;
        bool is_apart; /* the key has a file of its own */
        const char *chain;
        const char *puts;
    } cases[] = {
        {CERT CERT KEY, false, "", "file.put /t/a.pem key_fullchain\n"},
        {KEY CERT CERT, false, "", "file.put /t/a.pem key_first\n"},
        {PARAM KEY CERT, false, "", "file.put /t/a.pem key_first\n"},
        {CERT KEY CERT, false, "", "file.put /t/a.pem key_fullchain\n"},
        {"words -----BEGIN X PRIVATE KEY-----\n" CERT KEY, false, "",
         "file.put /t/a.pem key_fullchain\n"},
        {"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" CERT, false, "",
         "file.put /t/a.pem key_first\n"},
        {CERT KEY, false, "/t/chain.pem",
         "file.put /t/chain.pem chain\nfile.put /t/a.pem leaf_key\n"},
        {CERT, true, "/t/chain.pem",
         "file.put /t/a.key key\nfile.put /t/chain.pem chain\nfile.put /t/a.pem leaf\n"},
        {CERT, true, "/t/a.pem", "file.put /t/a.key key\nfile.put /t/a.pem fullchain\n"},
        {KEY CERT, true, "", "file.put /t/a.key key\nfile.put /t/a.pem key_first\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = *state;
        char want[1024];

        root_io_text(f->root, "/t/a.pem", cases[i].text);
        root_io_text(f->root, "/t/a.key", KEY);
        strcpy(f->target->key_path, cases[i].is_apart ? "/t/a.key" : "/t/a.pem");
        strcpy(f->target->chain_path, cases[i].chain);
        assert_int_equal(clm_buf_add_str(&f->bundle.chain_pem, "x", NULL), CLM_OK);
        (void)snprintf(want, sizeof(want),
                       "check " NGINX_TEST "\n%spost_check " NGINX_TEST "\n"
                       "reload 1 to 812/500\nverify 1 in 30000\n",
                       cases[i].puts);
        assert_plan(f, want);
    }
}

static void a_key_file_with_certificates_keeps_them(void **state)
{
    struct fixture *f = *state;

    root_io_text(f->root, "/t/a.pem", CERT);
    root_io_text(f->root, "/t/a.key", KEY CERT);
    strcpy(f->target->key_password, "conf:2:/etc/nginx/words");
    assert_int_equal(make(f), CLM_OK);
    assert_int_equal(f->plan.steps[1].content, CLM_CONTENT_KEY_FIRST);
    assert_string_equal(f->plan.steps[1].key_password, "conf:2:/etc/nginx/words");
    assert_int_equal(f->plan.steps[2].content, CLM_CONTENT_FULLCHAIN);
    assert_string_equal(f->plan.steps[2].key_password, "");
}

static void a_place_for_one_kind_takes_no_other(void **state)
{
    struct fixture *f = *state;

    strcpy(f->target->key_kind, "rsa");
    strcpy(f->bundle.leaf.key_type, "rsa-3072");
    assert_int_equal(make(f), CLM_OK);
    strcpy(f->bundle.leaf.key_type, "ec-p256");
    assert_int_equal(make(f), CLM_E_CONFLICT);
    assert_non_null(strstr(f->err.msg, "place of a certificate with an RSA key"));
    strcpy(f->target->key_kind, "ec");
    assert_int_equal(make(f), CLM_OK);
    strcpy(f->bundle.leaf.key_type, "rsa-2048");
    assert_int_equal(make(f), CLM_E_CONFLICT);
    assert_non_null(strstr(f->err.msg, "order it with key type 'ec-p256'"));
}

/* What the master was started with, the test must be told as well. */
static void the_test_has_the_options_of_the_master(void **state)
{
    struct fixture *f = *state;

    host_tree_process(
        f->root,
        &(struct host_process){.pid = 812,
                               .parent = 1,
                               .start = 500,
                               .comm = "nginx",
                               .exe = "/usr/sbin/nginx",
                               .cmdline = "nginx: master process nginx -e /log -g daemon on; pid "
                                          "/run/x.pid; -c /etc/nginx/nginx.conf"});
    assert_int_equal(make(f), CLM_OK);
    assert_int_equal(f->plan.steps[0].argv.n, 9);
    assert_string_equal(f->plan.steps[0].argv.v[6], "/log");
    assert_string_equal(f->plan.steps[0].argv.v[7], "-g");
    assert_string_equal(f->plan.steps[0].argv.v[8], "daemon on; pid /run/x.pid;");
}

/* The program of a container cannot be run from here; nginx survives a bad configuration. */
static void a_password_is_found_again_by_its_line(void **state)
{
    static const struct {
        const char *text;
        enum clm_code code;
        const char *password;
    } cases[] = {
        {"1:/words", CLM_OK, "one"},
        {"2:/words", CLM_OK, ""},
        {"3:/words", CLM_OK, "three "},
        {"4:/words", CLM_E_NOTFOUND, ""},
        {"1:/none", CLM_E_NOTFOUND, ""},
        {"0:/words", CLM_E_INVAL, ""},
        {"65:/words", CLM_E_INVAL, ""},
        {"1:words", CLM_E_UNSUPPORTED, ""},
        {"x", CLM_E_UNSUPPORTED, ""},
        {"", CLM_E_UNSUPPORTED, ""},
        {"99999999:/w", CLM_E_UNSUPPORTED, ""},
        {"-:/words", CLM_E_UNSUPPORTED, ""},
    };
    struct fixture *f = *state;
    const struct clm_deployer_ops *ops = clm_deployer_find("nginx");

    root_io_text(f->root, "/words", "one\n\nthree \r\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(64);

        if (ops->secret(&f->io.io, cases[i].text, &out, &f->err) != cases[i].code ||
            strcmp(clm_buf_str(&out), cases[i].password) != 0) {
            fail_msg("case %zu: %s", i, f->err.msg);
        }
        assert_null(strstr(f->err.msg, "three"));
    }
}

static void nginx_in_a_container_is_reloaded_untested(void **state)
{
    struct fixture *f = *state;

    f->service.foreign_namespace = true;
    assert_plan(f, "file.put /t/a.key key\n"
                   "file.put /t/a.pem fullchain\n"
                   "reload 1 to 812/500\n"
                   "verify 1 in 30000\n");
}

static void systemd_reloads_only_its_own_main_process(void **state)
{
    static const struct {
        struct clm_unit unit;
        bool by_unit;
    } cases[] = {
        {{.name = "nginx.service", .state = CLM_UNIT_ACTIVE, .main_pid = 812}, true},
        {{.name = "nginx.service", .state = CLM_UNIT_ACTIVE, .main_pid = 7}, false},
        {{.name = "nginx.service", .state = CLM_UNIT_ACTIVE, .main_pid = 0}, false},
        {{.name = "nginx.service", .state = CLM_UNIT_FAILED, .main_pid = 812}, false},
        {{.name = "other.service", .state = CLM_UNIT_ACTIVE, .main_pid = 812}, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = *state;
        const struct clm_step *reload;

        f->io.has_systemd = true;
        f->io.units = &cases[i].unit;
        f->io.n_units = 1;
        strcpy(f->service.unit, "nginx.service");
        assert_int_equal(make(f), CLM_OK);
        reload = &f->plan.steps[f->plan.n_steps - 2];
        assert_int_equal(reload->kind, CLM_STEP_RELOAD);
        if ((reload->how == CLM_RELOAD_UNIT) != cases[i].by_unit ||
            (strcmp(reload->unit, "nginx.service") == 0) != cases[i].by_unit) {
            fail_msg("case %zu", i);
        }
        assert_int_equal(reload->signo, SIGHUP);
    }
}

static void apache_keeps_leaf_and_chain_apart_if_they_are(void **state)
{
    struct fixture *f = *state;

    use_apache(f, "/usr/sbin/httpd", "/etc/httpd/conf/httpd.conf");
    strcpy(f->target->chain_path, "/t/chain.pem");
    assert_int_equal(clm_buf_add_str(&f->bundle.chain_pem, "x", NULL), CLM_OK);
    assert_plan(f, "check /usr/sbin/httpd -t -f /etc/httpd/conf/httpd.conf\n"
                   "file.put /t/a.key key\n"
                   "file.put /t/chain.pem chain\n"
                   "file.put /t/a.pem leaf\n"
                   "post_check /usr/sbin/httpd -t -f /etc/httpd/conf/httpd.conf\n"
                   "reload 10 to 812/500\n"
                   "verify 1 in 30000\n");
}

static void apache_is_tested_as_it_was_started(void **state)
{
    static const struct {
        const char *exe;
        const char *conf;
        const char *prefix;
        const char *cmdline;
        const char *want;
    } cases[] = {
        {"/usr/sbin/apache2", "/etc/apache2/apache2.conf", "", "a",
         "/usr/sbin/apachectl configtest"},
        {"/usr/sbin/apache2", "/srv/apache2.conf", "/srv", "a",
         "/usr/sbin/apache2 -t -f /srv/apache2.conf -d /srv"},
        {"/usr/sbin/apache2", "/etc/apache2/other.conf", "", "a",
         "/usr/sbin/apache2 -t -f /etc/apache2/other.conf"},
        {"/usr/sbin/apache2", "/etc/apache2-two/apache2.conf", "", "a",
         "/usr/bin/env APACHE_CONFDIR=/etc/apache2-two /usr/sbin/apache2ctl configtest"},
        {"/usr/sbin/apache2", "/srv/site/apache2.conf", "/srv/site", "a",
         "/usr/bin/env APACHE_CONFDIR=/srv/site /usr/sbin/apache2ctl configtest"},
        {"/usr/sbin/httpd", "/c", "", "httpd|-DFOREGROUND|-D|SSL",
         "/usr/sbin/httpd -t -f /c -D SSL"},
    };
    struct fixture *f = *state;

    root_io_text(f->root, "/usr/sbin/apache2ctl", "");
    root_io_text(f->root, "/usr/bin/env", "");
    root_io_text(f->root, "/etc/apache2-two/envvars", "");
    root_io_text(f->root, "/srv/site/envvars", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[512] = "";
        char path[PATH_MAX + 8];

        (void)snprintf(path, sizeof(path), "%s/proc", f->root);
        root_io_remove(path);
        host_tree_process(f->root, &(struct host_process){.pid = 812,
                                                          .comm = "x",
                                                          .exe = cases[i].exe,
                                                          .cmdline = cases[i].cmdline});
        use_apache(f, cases[i].exe, cases[i].conf);
        strcpy(f->service.prefix, cases[i].prefix);
        if (make(f) != CLM_OK) {
            fail_msg("case %zu: %s", i, f->err.msg);
        }
        for (size_t k = 0; k < f->plan.steps[0].argv.n; k++) {
            strcat(line, k > 0 ? " " : "");
            strcat(line, f->plan.steps[0].argv.v[k]);
        }
        if (strcmp(line, cases[i].want) != 0) {
            fail_msg("case %zu: %s", i, line);
        }
    }
}

static void not_manageable(struct fixture *f)
{
    f->target->manageable = false;
    assert_int_equal(clm_strs_add(&f->target->reasons, "the key is encrypted", NULL), CLM_OK);
}

static void stopped(struct fixture *f)
{
    f->service.running = false;
}

static void in_container(struct fixture *f)
{
    use_apache(f, "/usr/sbin/apache2", "/etc/apache2/apache2.conf");
    f->service.foreign_namespace = true;
}

static void loose_program(struct fixture *f)
{
    static const struct root_io_owner owners[] = {{"/usr/sbin/nginx", 0, 0, 0777}, {NULL, 0, 0, 0}};

    f->io.owners = owners;
}

static void loose_envvars(struct fixture *f)
{
    static const struct root_io_owner owners[] = {{"/etc/apache2/envvars", 33, 33, 0644},
                                                  {NULL, 0, 0, 0}};

    use_apache(f, "/usr/sbin/apache2", "/etc/apache2/apache2.conf");
    root_io_text(f->root, "/etc/apache2/envvars", "");
    f->io.owners = owners;
}

static void loose_control(struct fixture *f)
{
    static const struct root_io_owner owners[] = {{"/usr/sbin/apachectl", 7, 0, 0755},
                                                  {NULL, 0, 0, 0}};

    use_apache(f, "/usr/sbin/apache2", "/etc/apache2/apache2.conf");
    f->io.owners = owners;
}

static void no_endpoint(struct fixture *f)
{
    f->target->n_endpoints = 0;
}

static void name_lost(struct fixture *f)
{
    assert_int_equal(clm_names_add_dns(&f->target->names, "b.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&f->target->certificate.names, "b.example", NULL), CLM_OK);
}

static void wildcard_lost(struct fixture *f)
{
    assert_int_equal(clm_names_add_dns(&f->target->names, "x.w.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&f->target->certificate.names, "*.w.example", NULL), CLM_OK);
}

static void star_lost(struct fixture *f)
{
    assert_int_equal(clm_names_add_dns(&f->target->names, "*.w.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&f->target->certificate.names, "*.w.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&f->bundle.leaf.names, "x.w.example", NULL), CLM_OK);
}

static void address_lost(struct fixture *f)
{
    assert_int_equal(clm_names_add_ip(&f->target->names, "192.0.2.1", NULL), CLM_OK);
    assert_int_equal(clm_names_add_ip(&f->target->certificate.names, "192.0.2.1", NULL), CLM_OK);
}

static void empty_chain(struct fixture *f)
{
    strcpy(f->target->chain_path, "/t/chain.pem");
}

struct refusal {
    void (*spoil)(struct fixture *f);
    enum clm_code code;
    const char *says;
};

static const struct refusal refusals[] = {
    {not_manageable, CLM_E_CONFIG, "cannot be managed: the key is encrypted"},
    {stopped, CLM_E_CONFLICT, "does not run: start it first"},
    {in_container, CLM_E_UNSUPPORTED, "container"},
    {loose_program, CLM_E_CONFIG, "'/usr/sbin/nginx' can be changed by others than root"},
    {loose_envvars, CLM_E_CONFIG, "'/etc/apache2/envvars' can be changed by others"},
    {loose_control, CLM_E_CONFIG, "'/usr/sbin/apachectl' can be changed by others"},
    {no_endpoint, CLM_E_CONFIG, "no address to prove"},
    {name_lost, CLM_E_CONFLICT, "lacks 'b.example'"},
    {wildcard_lost, CLM_E_CONFLICT, "lacks 'x.w.example'"},
    {star_lost, CLM_E_CONFLICT, "lacks '*.w.example'"},
    {address_lost, CLM_E_CONFLICT, "lacks '192.0.2.1'"},
    {empty_chain, CLM_E_CONFLICT, "has no intermediates"},
};

static void what_cannot_work_is_refused_with_a_remedy(void **state)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        enum clm_code code;
        struct fixture *f;

        if (i > 0) {
            (void)tear_down(state);
            (void)set_up(state);
        }
        f = *state;
        refusals[i].spoil(f);
        code = make(f);
        if (code != refusals[i].code || f->err.code != code ||
            strstr(f->err.msg, refusals[i].says) == NULL) {
            fail_msg("case %zu: %s: %s", i, clm_code_name(code), f->err.msg);
        }
    }
}

static void names_nobody_serves_may_go(void **state)
{
    struct fixture *f = *state;

    /* in the old certificate, but not asked of this server */
    assert_int_equal(clm_names_add_dns(&f->target->certificate.names, "gone.example", NULL),
                     CLM_OK);
    /* asked of this server, but the old certificate never covered it */
    assert_int_equal(clm_names_add_dns(&f->target->names, "never.example", NULL), CLM_OK);
    assert_int_equal(make(f), CLM_OK);
}

static void a_plan_without_a_certificate_is_the_same(void **state)
{
    struct fixture *f = *state;
    const struct clm_deployer_ops *ops = clm_deployer_find("nginx");

    name_lost(f);
    assert_int_equal(ops->plan(&f->io.io, &f->service, f->target, NULL, &f->plan, &f->err), CLM_OK);
    assert_int_equal(f->plan.n_steps, 6);
}

static void the_registry_is_well_formed(void **state)
{
    const struct clm_deployer_ops *const *ops = clm_deployers_all();
    size_t n = 0;

    (void)state;
    for (; ops[n] != NULL; n++) {
        char path[256];
        FILE *page;

        assert_true(strlen(ops[n]->name) < sizeof(((struct clm_plan *)NULL)->deployer));
        assert_true(strspn(ops[n]->name, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
                    strlen(ops[n]->name));
        assert_true(strlen(ops[n]->summary) > 0);
        assert_non_null(ops[n]->plan);
        assert_ptr_equal(clm_deployer_find(ops[n]->name), ops[n]);
        (void)snprintf(path, sizeof(path), "docs/deployers/%s.md", ops[n]->name);
        page = fopen(path, "re");
        if (page == NULL) {
            fail_msg("%s is missing", path);
        }
        (void)fclose(page);
    }
    assert_int_equal(n, 4);
    assert_null(clm_deployer_find("none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nginx_gets_key_and_full_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_file_for_both_is_written_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_password_is_found_again_by_its_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nginx_in_a_container_is_reloaded_untested, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_order_in_a_file_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_file_with_certificates_keeps_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_for_one_kind_takes_no_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_test_has_the_options_of_the_master, set_up, tear_down),
        cmocka_unit_test_setup_teardown(systemd_reloads_only_its_own_main_process, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(apache_keeps_leaf_and_chain_apart_if_they_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(apache_is_tested_as_it_was_started, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_work_is_refused_with_a_remedy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_nobody_serves_may_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plan_without_a_certificate_is_the_same, set_up,
                                        tear_down),
        cmocka_unit_test(the_registry_is_well_formed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
