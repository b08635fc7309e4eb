/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/host_tree.h"
#include "tests/support/scan_check.h"

#define MAIN "|-cp|bootstrap.jar|org.apache.catalina.startup.Bootstrap|start"

static const struct root_io_owner owners[] = {
    {"/proc/501", 998, 998, 0},
    {"/opt/tomcat/conf/store.jks", 0, 998, 0640},
    {"/opt/tomcat/conf/www.key", 0, 998, 0640},
    {"/etc/tomcat10/tls/www.key", 0, 998, 0640},
    {"/etc/tomcat10/tls/rsa.p12", 0, 998, 0644},
    {NULL, 0, 0, 0},
};

static struct scan_check *new_host(const char *fixture)
{
    struct scan_check *host = calloc(1, sizeof(*host));

    scan_check_init(host, fixture);
    host->io.owners = owners;
    return host;
}

/* A java with these arguments, listening on all addresses at up to six ports; 0 ends. */
static void start(struct scan_check *host, const char *cmdline, const unsigned *ports)
{
    struct host_process process = {.pid = 501,
                                   .parent = 1,
                                   .start = 600,
                                   .comm = "java",
                                   .exe = "/usr/lib/jvm/java-17/bin/java",
                                   .cmdline = cmdline,
                                   .unit = "tomcat.service",
                                   .uid = 998};
    struct host_socket sockets[6];
    size_t n = 0;

    for (; ports[n] != 0; n++) {
        sockets[n] =
            (struct host_socket){"00000000000000000000000000000000", ports[n], 10 + (unsigned)n, 0};
        process.sockets[n] = 10 + (unsigned)n;
    }
    host_tree_process(host->root, &process);
    host_tree_sockets(host->root, 501, sockets, n);
    scan_check_run(host);
}

static struct scan_check *host_8_5(void)
{
    struct scan_check *host = new_host("tomcat-8.5");

    start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat|-Dcatalina.home=/opt/tomcat" MAIN,
          (const unsigned[]){8080, 8443, 8444, 8009, 0});
    return host;
}

static struct scan_check *host_9(void)
{
    static const char environ[] = "PATH=/bin\0TLS_STORE=/srv/tls/shop.p12\0"
                                  "TLS_PASS=from-the-environment";
    struct scan_check *host = new_host("tomcat-9");

    root_io_write(host->root, "/proc/501/environ", environ, sizeof(environ));
    start(host,
          "/usr/bin/java|-Dcatalina.base=/srv/tomcat9|-Dcatalina.home=/usr/share/tomcat9" MAIN,
          (const unsigned[]){8180, 8543, 0});
    return host;
}

static struct scan_check *host_10(void)
{
    struct scan_check *host = new_host("tomcat-10.1");

    start(host,
          "/usr/bin/java|-Dcatalina.base=/var/lib/tomcat10|"
          "-Dcatalina.home=/usr/share/tomcat10" MAIN,
          (const unsigned[]){8080, 8443, 0});
    return host;
}

static struct scan_check *host_11(void)
{
    struct scan_check *host = new_host("tomcat-11");

    start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat11" MAIN, (const unsigned[]){8443, 0});
    return host;
}

static void done(struct scan_check *host)
{
    scan_check_done(host);
    free(host);
}

static void the_service_is_described(void **state)
{
    struct scan_check *host = host_8_5();
    const struct clm_service *s = scan_check_service(host, "tomcat@/opt/tomcat/conf/server.xml");

    (void)state;
    assert_int_equal(host->found.n_services, 1);
    assert_string_equal(s->kind, "tomcat");
    assert_string_equal(s->version, "8.5.100");
    assert_string_equal(s->config_path, "/opt/tomcat/conf/server.xml");
    assert_string_equal(s->prefix, "/opt/tomcat");
    assert_string_equal(s->user, "tomcat");
    assert_int_equal(s->n_targets, 2);
    assert_int_equal(s->n_listeners, 4);
    for (size_t i = 0; i < s->n_listeners; i++) {
        assert_int_equal(s->listeners[i].tls,
                         s->listeners[i].port == 8443 || s->listeners[i].port == 8444);
    }
    done(host);
}

static void old_attributes_name_a_keystore(void **state)
{
    struct scan_check *host = host_8_5();
    const struct clm_target *t = scan_check_target(host, "tomcat:8443");

    (void)state;
    assert_true(t->manageable);
    assert_string_equal(t->store_type, "jks");
    assert_string_equal(t->cert_path, "/opt/tomcat/conf/store.jks");
    assert_string_equal(t->key_path, "");
    assert_string_equal(t->alias, "Shop");
    assert_string_equal(t->key_perm, "0640 root:tomcat");
    assert_string_equal(t->store_password,
                        "conf:/opt/tomcat/conf/server.xml|8443|_default_|UNDEFINED|store");
    assert_string_equal(t->key_password, "");
    assert_string_equal(t->configured_at, "/opt/tomcat/conf/server.xml:17");
    assert_true(t->has_certificate && t->chain_ok && t->key_matches);
    assert_string_equal(t->names.dns.v[0], "shop.example.com");
    assert_int_equal(t->n_endpoints, 1);
    assert_true(scan_check_endpoint(t, "127.0.0.1:8443 shop.example.com"));
    done(host);
}

static void old_attributes_name_pem_files(void **state)
{
    struct scan_check *host = host_8_5();
    const struct clm_target *t = scan_check_target(host, "tomcat:8444");

    (void)state;
    assert_true(t->manageable);
    assert_string_equal(t->store_type, "pem");
    assert_string_equal(t->cert_path, "/opt/tomcat/conf/www.leaf.pem");
    assert_string_equal(t->key_path, "/opt/tomcat/conf/www.key");
    assert_string_equal(t->chain_path, "/opt/tomcat/conf/int.pem");
    assert_string_equal(t->store_password, "");
    assert_true(t->has_certificate && t->key_matches);
    done(host);
}

static void each_host_is_a_target(void **state)
{
    struct scan_check *host = host_9();
    const struct clm_service *s = scan_check_service(host, "tomcat@/srv/tomcat9/conf/server.xml");
    const struct clm_target *t = scan_check_target(host, "tomcat:8543/www.example.com");

    (void)state;
    assert_string_equal(s->version, "9.0.98");
    assert_int_equal(s->n_targets, 6);
    if (!t->manageable) {
        fail_msg("%s", t->reasons.v[t->reasons.n - 1]);
    }
    assert_string_equal(t->cert_path, "/srv/tls/www.pem");
    assert_true(scan_check_endpoint(t, "127.0.0.1:8543 www.example.com"));
    t = scan_check_target(host, "tomcat:8543/*.shop.example.com");
    if (!t->manageable) {
        fail_msg("%s", t->reasons.v[0]);
    }
    assert_string_equal(t->store_type, "pkcs12");
    assert_string_equal(t->cert_path, "/srv/tls/shop.p12");
    assert_true(t->key_matches);
    assert_string_equal(t->names.dns.v[0], "*.shop.example.com");
    assert_true(scan_check_endpoint(t, "127.0.0.1:8543 clmbot-probe.shop.example.com"));
    done(host);
}

static void what_cannot_be_managed_says_why(void **state)
{
    static const struct {
        const char *host;
        const char *says;
    } cases[] = {
        {"hsm.example.com", "PKCS11"},
        {"jar.example.com", "classpath:tls.pem"},
        {"vault.example.com", "BCFIPS"},
        {"open.example.com", "${nobody.knows}"},
    };
    struct scan_check *host = host_9();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[128];
        const struct clm_target *t;

        (void)snprintf(id, sizeof(id), "tomcat:8543/%s", cases[i].host);
        t = scan_check_target(host, id);
        assert_false(t->manageable);
        if (!scan_check_says(&t->reasons, cases[i].says)) {
            fail_msg("%s: %s", cases[i].host, t->reasons.v[0]);
        }
    }
    done(host);
}

static void rsa_and_ec_side_by_side_are_two_targets(void **state)
{
    struct scan_check *host = host_10();
    const struct clm_service *s =
        scan_check_service(host, "tomcat@/var/lib/tomcat10/conf/server.xml");
    const struct clm_target *ec = scan_check_target(host, "tomcat:8443#ec");
    const struct clm_target *rsa = scan_check_target(host, "tomcat:8443#rsa");

    (void)state;
    assert_string_equal(s->version, "10.1.60");
    assert_true(ec->manageable && rsa->manageable);
    assert_string_equal(ec->key_kind, "ec");
    assert_string_equal(ec->endpoints[0].key_kind, "ec");
    assert_string_equal(ec->cert_path, "/var/lib/tomcat10/conf/tls/www.pem");
    assert_string_equal(rsa->key_kind, "rsa");
    assert_string_equal(rsa->endpoints[0].key_kind, "rsa");
    assert_string_equal(rsa->certificate.key_type, "rsa-2048");
    assert_true(rsa->key_matches);
    assert_true(scan_check_says(&rsa->reasons, "every user can read"));
    done(host);
}

static void a_connector_without_certificate_gets_a_proposal(void **state)
{
    struct scan_check *host = host_10();
    const struct clm_target *t = scan_check_target(host, "tomcat:9443");

    (void)state;
    assert_true(t->manageable);
    assert_false(t->has_certificate);
    assert_string_equal(t->store_type, "pem");
    assert_string_equal(t->cert_path, "/var/lib/tomcat10/conf/tls-9443.pem");
    assert_string_equal(t->key_path, "/var/lib/tomcat10/conf/tls-9443.key");
    assert_true(scan_check_says(&t->reasons, "names no certificate"));
    assert_true(scan_check_endpoint(t, "127.0.0.1:9443 "));
    done(host);
}

static void a_file_taken_from_elsewhere_forbids_changes(void **state)
{
    struct scan_check *host = host_11();
    const struct clm_target *t = scan_check_target(host, "tomcat:8443");

    (void)state;
    assert_false(t->manageable);
    assert_true(scan_check_says(&t->reasons, "connectors.xml"));
    assert_string_equal(t->cert_path, "/opt/tomcat11/.keystore");
    assert_string_equal(t->store_password, "known:changeit");
    assert_true(t->has_certificate && t->key_matches);
    done(host);
}

static void passwords_are_nowhere_in_what_is_sent(void **state)
{
    static struct scan_check *(*const hosts[])(void) = {host_8_5, host_9, host_10, host_11};
    static const char *const passwords[] = {"secret85", "from-the-environment", "fromfile"};

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct scan_check *host = hosts[i]();
        struct clm_json *obj = clm_json_new_object();
        struct clm_buf text = CLM_BUF_INIT((size_t)1024 * 1024);

        clm_inventory_to_json(&host->found, obj);
        assert_int_equal(clm_json_print(obj, false, &text, NULL), CLM_OK);
        for (size_t k = 0; k < sizeof(passwords) / sizeof(passwords[0]); k++) {
            assert_null(strstr(clm_buf_str(&text), passwords[k]));
        }
        clm_buf_done(&text);
        clm_json_free(obj);
        done(host);
    }
}

static void other_java_programs_are_no_tomcat(void **state)
{
    struct scan_check *host = new_host(NULL);

    (void)state;
    start(host, "/usr/bin/java|-Dcatalina.base=/x|-jar|app.jar", (const unsigned[]){8080, 0});
    assert_int_equal(host->found.n_services, 1);
    assert_string_equal(host->found.services[0].kind, "other");
    done(host);
}

static void a_wrong_password_is_a_reason(void **state)
{
    struct scan_check *host = new_host("tomcat-8.5");
    const struct clm_target *t;

    (void)state;
    root_io_text(host->root, "/opt/tomcat/conf/catalina.properties",
                 "https.port=8443\nkeystore.password=not it\n");
    start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat" MAIN,
          (const unsigned[]){8443, 8444, 0});
    t = scan_check_target(host, "tomcat:8443");
    assert_false(t->manageable);
    assert_true(scan_check_says(&t->reasons, "password"));
    assert_false(scan_check_says(&t->reasons, "not it"));
    done(host);
}

#define CONFIG "/opt/tomcat/conf/server.xml"
#define TLS    "<Connector port='8443' SSLEnabled='true' "

static void copy_store(struct scan_check *host, const char *from, const char *to)
{
    char data[65536];
    FILE *file = fopen(from, "re");
    size_t len;

    assert_non_null(file);
    len = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    root_io_write(host->root, to, data, len);
}

static void link_again(struct scan_check *host, const char *path)
{
    char from[PATH_MAX + 64];
    char to[PATH_MAX + 128];

    (void)snprintf(from, sizeof(from), "%s%s", host->root, path);
    (void)snprintf(to, sizeof(to), "%s.other", from);
    assert_int_equal(link(from, to), 0);
}

static void bad_configurations_are_told(void **state)
{
    static const struct {
        const char *xml;
        const char *remark; /* of the service */
        const char *reason; /* of tomcat:8443 */
    } cases[] = {
        {"<Server><Service>", "could not be read", NULL},
        {"<web-app/>", "not 'Server'", NULL},
        {"<Server><Service>" TLS "keystoreFile='conf/none.jks'/></Service></Server>", NULL,
         "conf/none.jks"},
        {"<Server><Service>" TLS "keystoreFile='conf/server.xml'/></Service></Server>", NULL,
         "conf/server.xml"},
        {"<Server><Service>" TLS "keystoreFile='conf/store.jks' keystorePass='secret85' "
         "keyAlias='gone'/></Service></Server>",
         NULL, "no entry 'gone'"},
        {"<Server><Service>" TLS "keystoreFile='conf/store.jks' keystorePass='secret85'/>"
         "</Service></Server>",
         NULL, "holds 2 keys"},
        {"<Server><Service>" TLS "keystoreFile='/empty.p12' keystorePass='changeit'/>"
         "</Service></Server>",
         NULL, "has no entry with a private key"},
        {"<Server><Service>" TLS "keystoreFile='/linked.jks' keystorePass='secret85' "
         "keyAlias='shop'/></Service></Server>",
         NULL, "has more than one name"},
        {"<Server><Service>" TLS "keystoreFile='conf/store.jks' keystorePass='secret85' "
         "keystoreType='BKS'/></Service></Server>",
         NULL, "keystores of the type 'BKS' cannot be written"},
        {"<Server><Service>" TLS "keystoreFile='conf/store.jks' keystorePass='secret85' "
         "keyAlias='shop' keyPass='wrong'/></Service></Server>",
         NULL, "the key in"},
        {"<Server><Service>" TLS "SSLCertificateFile='conf/www.leaf.pem' "
         "SSLCertificateKeyFile='conf/int.pem'/></Service></Server>",
         NULL, "conf/int.pem"},
        {"<Server><Service><Connector port='8443' SSLEnabled='true'><SSLHostConfig>"
         "<Certificate type='RSA' certificateFile='conf/www.leaf.pem' "
         "certificateKeyFile='conf/www.key'/>"
         "<Certificate type='DSA' certificateFile='conf/www.leaf.pem' "
         "certificateKeyFile='conf/www.key'/></SSLHostConfig></Connector></Service></Server>",
         NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scan_check *host = new_host("tomcat-8.5");
        const struct clm_service *s;

        root_io_text(host->root, CONFIG, cases[i].xml);
        copy_store(host, "tests/fixtures/keystore/openssl-cacerts.p12", "/empty.p12");
        copy_store(host, "tests/fixtures/tomcat-8.5/opt/tomcat/conf/store.jks", "/linked.jks");
        link_again(host, "/linked.jks");
        start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat" MAIN, (const unsigned[]){8443, 0});
        s = scan_check_service(host, "tomcat@" CONFIG);
        if (cases[i].remark != NULL && !scan_check_says(&s->remarks, cases[i].remark)) {
            fail_msg("case %zu has not the remark '%s'", i, cases[i].remark);
        }
        if (cases[i].reason != NULL) {
            const struct clm_target *t = scan_check_target(host, "tomcat:8443");

            assert_false(t->manageable);
            if (!scan_check_says(&t->reasons, cases[i].reason)) {
                fail_msg("case %zu: %s", i, t->reasons.v[0]);
            }
        }
        if (cases[i].remark == NULL && cases[i].reason == NULL) {
            assert_false(scan_check_target(host, "tomcat:8443#dsa")->manageable);
        }
        done(host);
    }
}

#define STORE(port, alias)                                                                         \
    "<Connector port='" port "' SSLEnabled='true' keystoreFile='conf/store.jks' "                  \
    "keystorePass='secret85' keyAlias='" alias "'/>"

static void entries_of_one_keystore_do_not_disturb_each_other(void **state)
{
    struct scan_check *host = new_host("tomcat-8.5");

    (void)state;
    root_io_text(host->root, CONFIG,
                 "<Server><Service>" STORE("8443", "shop") STORE("8444", "other")
                     STORE("8445", "SHOP") "</Service></Server>");
    start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat" MAIN,
          (const unsigned[]){8443, 8444, 8445, 0});
    assert_true(scan_check_target(host, "tomcat:8444")->manageable);
    assert_int_equal(scan_check_target(host, "tomcat:8444")->reasons.n, 0);
    assert_true(scan_check_target(host, "tomcat:8443")->manageable);
    assert_true(scan_check_says(&scan_check_target(host, "tomcat:8443")->reasons, "tomcat:8445"));
    done(host);
}

static void a_port_where_nothing_listens_is_told(void **state)
{
    struct scan_check *host = new_host("tomcat-8.5");
    const struct clm_target *t;

    (void)state;
    start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat" MAIN, (const unsigned[]){8080, 0});
    t = scan_check_target(host, "tomcat:8443");
    assert_false(t->manageable);
    assert_true(scan_check_says(&t->reasons, "nothing listens on port 8443"));
    done(host);
}

static void a_web_root_is_the_root_application(void **state)
{
    struct scan_check *host = host_9();
    const struct clm_service *s = scan_check_service(host, "tomcat@/srv/tomcat9/conf/server.xml");
    const struct clm_webroot *w = scan_check_webroot(s, "www.example.com");

    (void)state;
    assert_string_equal(w->path, "/srv/tomcat9/webapps/ROOT");
    assert_string_equal(w->reason, "");
    assert_string_equal(w->addr, "127.0.0.1");
    assert_int_equal(w->port, 8180);
    done(host);
    host = host_8_5();
    s = scan_check_service(host, "tomcat@/opt/tomcat/conf/server.xml");
    w = scan_check_webroot(s, "shop.example.com");
    assert_string_equal(w->path, "");
    assert_non_null(strstr(w->reason, "ROOT"));
    done(host);
}

#define SITE(host)                                                                                 \
    "<Server><Service name='Catalina'><Connector port='8080'/><Connector port='80'/>"              \
    "<Engine name='E' defaultHost='a.example'>" host "</Engine></Service></Server>"

static void web_roots_say_where_files_go_or_why_not(void **state)
{
    static const struct {
        const char *host;
        const char *path;
        const char *reason; /* "": none */
    } rows[] = {
        {"<Host name='a.example'/>", "/opt/tomcat/webapps/ROOT", ""},
        {"<Host name='a.example' appBase='/apps'/>", "/apps/ROOT", ""},
        {"<Host name='a.example' appBase='${x}'/>", "", "has no directory ROOT"},
        {"<Host name='a.example' appBase='none'/>", "", "has no directory ROOT"},
        {"<Host name='a.example' appBase='file'/>", "", "has no directory ROOT"},
        {"<Host name='a.example'><Context path='/x'/><Context docBase='y'/></Host>",
         "/opt/tomcat/webapps/ROOT", ""},
        {"<Host name='a.example'><Context path=''/></Host>", "", "line 1"},
        {"<Host name='b.example'><Alias>a.example</Alias><Alias/><Alias>not a name</Alias></Host>"
         "<Host name='a.example' appBase='none'/><Host/>",
         "", "a file ROOT.xml of this host"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct scan_check *host = new_host("tomcat-8.5");
        char text[1024];
        const struct clm_webroot *w;

        root_io_text(host->root, "/opt/tomcat/webapps/ROOT/x", "");
        root_io_text(host->root, "/apps/ROOT/x", "");
        root_io_text(host->root, "/opt/tomcat/file/ROOT", "");
        root_io_text(host->root, "/opt/tomcat/conf/E/b.example/ROOT.xml", "");
        (void)snprintf(text, sizeof(text), SITE("%s"), rows[i].host);
        root_io_text(host->root, CONFIG, text);
        start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat" MAIN,
              (const unsigned[]){8080, 80, 0});
        w = scan_check_webroot(scan_check_service(host, "tomcat@" CONFIG), "a.example");
        if (strcmp(w->path, rows[i].path) != 0 || w->port != 80 ||
            (w->reason[0] == '\0') != (rows[i].reason[0] == '\0') ||
            strstr(w->reason, rows[i].reason) == NULL) {
            fail_msg("row %zu: port %u '%s' '%s'", i, w->port, w->path, w->reason);
        }
        done(host);
    }
}

static void the_version_is_found_by_notes_or_by_the_name_of_the_archive(void **state)
{
    static const struct {
        const char *notes; /* NULL: none */
        const char *jar;   /* what lib/catalina.jar leads to; NULL: nothing */
        const char *version;
    } rows[] = {
        {"\n   Apache Tomcat Version 9.0.65\r\n", NULL, "9.0.65"},
        {"no word of it", "../../share/java/catalina-10.1.60.jar", "10.1.60"},
        {NULL, "tomcat10-catalina-10.1.60.jar", "10.1.60"},
        {NULL, "catalina-x.jar", ""},
        {NULL, "catalina.jar-1.zip", ""},
        {NULL, "catalina.jar", ""}, /* in a circle */
        {NULL, NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct scan_check *host = new_host(NULL);

        root_io_text(host->root, CONFIG, "<Server/>");
        if (rows[i].notes != NULL) {
            root_io_text(host->root, "/opt/tomcat/RELEASE-NOTES", rows[i].notes);
        }
        if (rows[i].jar != NULL) {
            root_io_link(host->root, "/opt/tomcat/lib/catalina.jar", rows[i].jar);
        }
        start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat" MAIN, (const unsigned[]){0});
        if (strcmp(scan_check_service(host, "tomcat@" CONFIG)->version, rows[i].version) != 0) {
            fail_msg("row %zu: '%s'", i, scan_check_service(host, "tomcat@" CONFIG)->version);
        }
        done(host);
    }
}

static void in_a_container_it_is_not_read(void **state)
{
    struct scan_check *host = new_host("tomcat-8.5");

    (void)state;
    root_io_text(host->root, "/proc/501/root/x", "");
    start(host, "/usr/bin/java|-Dcatalina.base=/opt/tomcat" MAIN, (const unsigned[]){0});
    assert_true(
        scan_check_says(&scan_check_service(host, "tomcat@/usr/lib/jvm/java-17/bin/java")->remarks,
                        "runs in a container"));
    done(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_service_is_described),
        cmocka_unit_test(old_attributes_name_a_keystore),
        cmocka_unit_test(old_attributes_name_pem_files),
        cmocka_unit_test(each_host_is_a_target),
        cmocka_unit_test(what_cannot_be_managed_says_why),
        cmocka_unit_test(rsa_and_ec_side_by_side_are_two_targets),
        cmocka_unit_test(a_connector_without_certificate_gets_a_proposal),
        cmocka_unit_test(a_file_taken_from_elsewhere_forbids_changes),
        cmocka_unit_test(passwords_are_nowhere_in_what_is_sent),
        cmocka_unit_test(other_java_programs_are_no_tomcat),
        cmocka_unit_test(a_wrong_password_is_a_reason),
        cmocka_unit_test(bad_configurations_are_told),
        cmocka_unit_test(entries_of_one_keystore_do_not_disturb_each_other),
        cmocka_unit_test(a_port_where_nothing_listens_is_told),
        cmocka_unit_test(a_web_root_is_the_root_application),
        cmocka_unit_test(web_roots_say_where_files_go_or_why_not),
        cmocka_unit_test(the_version_is_found_by_notes_or_by_the_name_of_the_archive),
        cmocka_unit_test(in_a_container_it_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
