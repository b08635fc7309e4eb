/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/formats/server_xml.h"
#include "tests/support/root_io.h"

#define BASE   "/srv/t"
#define CONFIG BASE "/conf/server.xml"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_tomcat tomcat;
    struct clm_err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    root_io_temp(f->root);
    root_io_init(&f->io, f->root);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    clm_tomcat_done(&f->tomcat);
    root_io_remove(f->root);
    free(f);
    return 0;
}

static void put_process(struct fixture *f, int pid, const char *cmdline)
{
    char path[64];
    char bytes[1024];
    size_t len = strlen(cmdline);

    memcpy(bytes, cmdline, len + 1);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = bytes[i] == '|' ? '\0' : bytes[i];
    }
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    root_io_write(f->root, path, bytes, len + 1);
}

#define JAVA "/usr/bin/java|-Dcatalina.base=" BASE "|-Dcatalina.home=/usr/share/tomcat|"
#define MAIN "org.apache.catalina.startup.Bootstrap|start"

static enum clm_code load(struct fixture *f, const char *xml)
{
    struct clm_tomcat_args args = {.pid = 0};
    enum clm_code code;

    clm_tomcat_done(&f->tomcat);
    f->err = (struct clm_err){.code = CLM_OK};
    root_io_text(f->root, CONFIG, xml);
    code = clm_tomcat_args_read(&f->io.io, 70, &args, &f->err);
    if (code == CLM_OK) {
        code = clm_tomcat_load(&f->io.io, &args, &f->tomcat, &f->err);
    }
    clm_tomcat_args_done(&args);
    return code;
}

static void load_well(struct fixture *f, const char *xml)
{
    if (load(f, xml) != CLM_OK) {
        fail_msg("%s", f->err.msg);
    }
}

#define SERVER(inside) "<Server><Service name='Catalina'>" inside "</Service></Server>"
#define TLS(inside)    SERVER("<Connector port='8443' SSLEnabled='true'>" inside "</Connector>")

/* "port host TYPE name;" for each pair; a capital D marks the default host. */
static void assert_pairs(const struct fixture *f, const char *want)
{
    char text[2048] = "";

    for (size_t c = 0; c < f->tomcat.n_connectors; c++) {
        const struct clm_tomcat_connector *connector = &f->tomcat.connectors[c];

        for (size_t p = 0; p < connector->n_pairs; p++) {
            const struct clm_tomcat_pair *pair = &connector->pairs[p];
            size_t len = strlen(text);

            (void)snprintf(text + len, sizeof(text) - len, "%u%s %s %s%s%s;", connector->port,
                           pair->is_default ? "D" : "", pair->host_name, pair->type,
                           pair->is_silent ? " silent" : "",
                           clm_tomcat_pair_is_bare(pair) ? " bare" : "");
        }
    }
    assert_string_equal(text, want);
}

static const char *value(struct fixture *f, const char *raw)
{
    static char text[512];
    struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_TOMCAT_VALUE_MAX);

    assert_int_equal(clm_tomcat_expand(&f->tomcat, raw, &out, &f->err), CLM_OK);
    (void)snprintf(text, sizeof(text), "%s", clm_buf_str(&out));
    clm_buf_done(&out);
    return text;
}

static void the_command_line_says_where_everything_is(void **state)
{
    static const struct {
        const char *cmdline;
        enum clm_code code;
        const char *base;
        const char *config;
    } cases[] = {
        {JAVA MAIN, CLM_OK, BASE, CONFIG},
        {"java|-Dcatalina.home=/o|" MAIN, CLM_OK, "/o", "/o/conf/server.xml"},
        {"java|-Dcatalina.base=/a|-Dcatalina.base=/b|" MAIN, CLM_OK, "/b", "/b/conf/server.xml"},
        {JAVA "org.apache.catalina.startup.Bootstrap|-config|conf/x.xml|start", CLM_OK, BASE,
         BASE "/conf/x.xml"},
        {JAVA "org.apache.catalina.startup.Bootstrap|-config|/e/x.xml|start", CLM_OK, BASE,
         "/e/x.xml"},
        {JAVA "org.apache.catalina.startup.Bootstrap|-config|http://h/x.xml|start", CLM_E_CONFIG,
         "", ""},
        {"java|" MAIN, CLM_E_CONFIG, "", ""},
        {"java|-Dcatalina.base=rel|" MAIN, CLM_E_CONFIG, "", ""},
        {"java|-jar|x.jar", CLM_E_NOTFOUND, "", ""},
        {JAVA "com.example.Main|-Dx", CLM_E_NOTFOUND, "", ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct clm_tomcat_args args = {.pid = 0};

        put_process(f, 70, cases[i].cmdline);
        assert_int_equal(clm_tomcat_args_read(&f->io.io, 70, &args, &f->err), cases[i].code);
        if (cases[i].code == CLM_OK) {
            assert_string_equal(args.base, cases[i].base);
            assert_string_equal(args.config, cases[i].config);
        }
        clm_tomcat_args_done(&args);
    }
}

static void every_style_gives_the_same_pairs(void **state)
{
    static const struct {
        const char *xml;
        const char *pairs;
    } cases[] = {
        {SERVER("<Connector port='8080'/><Connector port='8009' protocol='AJP/1.3'/>"), ""},
        {SERVER("<Connector port='8443' SSLEnabled='false' keystoreFile='x'/>"), ""},
        {SERVER("<Connector port='8009' protocol='org.apache.coyote.ajp.AjpNioProtocol' "
                "SSLEnabled='true'/>"),
         ""},
        {SERVER("<Connector port='8443' SSLEnabled='true'/>"), "8443D _default_ UNDEFINED silent;"},
        {SERVER("<Connector port='8443' SSLEnabled='true' keystoreFile='x'/>"),
         "8443D _default_ UNDEFINED;"},
        {SERVER("<Connector port='8443' SSLEnabled='true' SSLCertificateFile='x'/>"),
         "8443D _default_ UNDEFINED;"},
        {SERVER("<Connector port='8443' SSLEnabled='TRUE' keyAlias='x' "
                "defaultSSLHostConfigName='A.b'/>"),
         "8443D a.b UNDEFINED silent;"},
        {TLS("<SSLHostConfig/>"), "8443D _default_ UNDEFINED silent bare;"},
        {TLS("<SSLHostConfig><Certificate type='EC'/></SSLHostConfig>"),
         "8443D _default_ EC silent bare;"},
        {TLS("<SSLHostConfig><Certificate certificateKeyAlias='x'/></SSLHostConfig>"),
         "8443D _default_ UNDEFINED silent;"},
        {TLS("<SSLHostConfig certificateFile='x'/>"), "8443D _default_ UNDEFINED;"},
        {TLS("<SSLHostConfig hostName='A.example'><Certificate type='RSA' certificateFile='x'/>"
             "<Certificate type='EC' certificateKeystoreFile='y'/></SSLHostConfig>"
             "<SSLHostConfig><Certificate certificateFile='z'/></SSLHostConfig>"),
         "8443 a.example RSA;8443 a.example EC;8443D _default_ UNDEFINED;"},
        {SERVER("<Connector port='8443' SSLEnabled='true' keystoreFile='x'>"
                "<SSLHostConfig hostName='a'><Certificate certificateFile='z'/></SSLHostConfig>"
                "</Connector>"),
         "8443 a UNDEFINED;8443D _default_ UNDEFINED;"},
        {"<Server portOffset='100'><Service><Connector port='8443' SSLEnabled='true'/>"
         "<Connector port='8444' portOffset='1' SSLEnabled='true'/></Service></Server>",
         "8543D _default_ UNDEFINED silent;8445D _default_ UNDEFINED silent;"},
        {"<Server portOffset='60000'><Service><Connector port='8443' SSLEnabled='true'/>"
         "</Service></Server>",
         "0D _default_ UNDEFINED silent;"},
        {SERVER("<Connector port='0' SSLEnabled='true'/>"), "0D _default_ UNDEFINED silent;"},
        {SERVER("<Connector port='${p}' SSLEnabled='true'/>"), "0D _default_ UNDEFINED silent;"},
        {SERVER("<Connector port='${p:-9443}' SSLEnabled='${s:-true}'/>"),
         "9443D _default_ UNDEFINED silent;"},
    };
    struct fixture *f = *state;

    put_process(f, 70, JAVA MAIN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        load_well(f, cases[i].xml);
        assert_pairs(f, cases[i].pairs);
    }
}

static void values_are_replaced_as_tomcat_does(void **state)
{
    static const struct {
        const char *raw;
        const char *value;
    } cases[] = {
        {"plain", "plain"},
        {"", ""},
        {"${a}", "from file"},
        {"x${a}y${d}z", "xfrom fileyfrom -Dz"},
        {"${both}", "file wins"},
        {"${none}", "${none}"},
        {"${none:-def}", "def"},
        {"${none:-}", ""},
        {"${a:-def}", "from file"},
        {"${none:def}", "${none:def}"},
        {"${nested}", "from file"},
        {"${catalina.base}/c", BASE "/c"},
        {"$", "$"},
        {"a$b", "a$b"},
        {"${open", "${open"},
        {"$${a}", "$from file"},
        {"${loop}", "${loop}"},
        {"${ENV_ONLY}", "${ENV_ONLY}"},
    };
    struct fixture *f = *state;

    put_process(f, 70, JAVA "-Dd=from -D|-Dboth=x|" MAIN);
    root_io_write(f->root, "/proc/70/environ", "ENV_ONLY=e\0a=env\0", 17);
    root_io_text(f->root, BASE "/conf/catalina.properties",
                 "a=from file\nboth=file wins\nnested=${a}\nloop=${loop}\n");
    load_well(f, SERVER(""));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(value(f, cases[i].raw), cases[i].value);
    }
}

static void the_environment_counts_only_when_asked_for(void **state)
{
    struct fixture *f = *state;

    put_process(f, 70,
                JAVA
                "-Dorg.apache.tomcat.util.digester.PROPERTY_SOURCE="
                "org.apache.tomcat.util.digester.EnvironmentPropertySource,com.example.V|" MAIN);
    root_io_write(f->root, "/proc/70/environ", "A=env\0AB=no\0", 12);
    root_io_text(f->root, BASE "/conf/catalina.properties", "A=file\nB=file\n");
    load_well(f, SERVER(""));
    assert_string_equal(value(f, "${A} ${B}"), "env file");
    assert_int_equal(f->tomcat.notes.n, 1);
    assert_non_null(strstr(f->tomcat.notes.v[0], "com.example.V"));
}

static void files_are_relative_to_the_base(void **state)
{
    static const struct {
        const char *value;
        enum clm_code code;
        const char *path;
    } cases[] = {
        {"conf/a.p12", CLM_OK, BASE "/conf/a.p12"}, {"/etc/a.p12", CLM_OK, "/etc/a.p12"},
        {"file:/etc/a.p12", CLM_OK, "/etc/a.p12"},  {"file:///etc/a.p12", CLM_OK, "/etc/a.p12"},
        {"${catalina.base}/a", CLM_OK, BASE "/a"},  {"file://host/a", CLM_E_UNSUPPORTED, ""},
        {"file:/a%20b", CLM_E_UNSUPPORTED, ""},     {"classpath:a.p12", CLM_E_UNSUPPORTED, ""},
        {"http://h/a", CLM_E_UNSUPPORTED, ""},      {"${none}/a", CLM_E_UNSUPPORTED, ""},
    };
    struct fixture *f = *state;

    put_process(f, 70, JAVA MAIN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char xml[512];
        char path[PATH_MAX];

        (void)snprintf(xml, sizeof(xml),
                       TLS("<SSLHostConfig><Certificate certificateKeystoreFile='%s'/>"
                           "</SSLHostConfig>"),
                       cases[i].value);
        load_well(f, xml);
        assert_int_equal(clm_tomcat_path(&f->tomcat, &f->tomcat.connectors[0].pairs[0],
                                         CLM_TOMCAT_STORE_FILE, path, &f->err),
                         cases[i].code);
        if (cases[i].code == CLM_OK) {
            assert_string_equal(path, cases[i].path);
        }
    }
}

/* The reference of the first pair's password, and what is found behind it. */
static void assert_secret(struct fixture *f, const char *xml, enum clm_tomcat_secret which,
                          const char *ref, const char *password)
{
    struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    char found[CLM_SECRET_REF_SIZE];

    load_well(f, xml);
    assert_int_equal(clm_tomcat_secret_ref(&f->tomcat, &f->tomcat.connectors[0],
                                           &f->tomcat.connectors[0].pairs[0], which, found,
                                           &f->err),
                     CLM_OK);
    assert_string_equal(found, ref);
    if (clm_str_starts(ref, CLM_SECRET_CONF)) {
        assert_int_equal(clm_buf_add_str(&out, "u:", NULL), CLM_OK);
        if (clm_tomcat_secret_find(&f->io.io, ref + strlen(CLM_SECRET_CONF), &out, &f->err) !=
            CLM_OK) {
            fail_msg("%s", f->err.msg);
        }
        assert_memory_equal(out.data, "u:", 2); /* it appends */
        assert_string_equal(clm_buf_str(&out) + 2, password);
    }
    clm_buf_done(&out);
}

static void passwords_are_references_that_are_found_again(void **state)
{
    struct fixture *f = *state;

    put_process(f, 68, "java|-jar|other.jar");
    put_process(f, 69, "runuser|--|" JAVA "-Dpw=wrong|" MAIN);
    put_process(f, 70, JAVA "-Dpw=given|" MAIN);
    root_io_text(f->root, BASE "/conf/pass", "first line\r\nsecond\n");
    assert_secret(f,
                  TLS("<SSLHostConfig><Certificate certificateKeystoreFile='x'/></SSLHostConfig>"),
                  CLM_TOMCAT_OF_STORE, "known:changeit", NULL);
    assert_secret(f,
                  TLS("<SSLHostConfig><Certificate certificateKeystoreFile='x'/></SSLHostConfig>"),
                  CLM_TOMCAT_OF_KEY, "", NULL);
    assert_secret(f,
                  TLS("<SSLHostConfig hostName='a.b'><Certificate certificateKeystoreFile='x' "
                      "certificateKeystorePassword='s&amp;3|t' type='RSA'/></SSLHostConfig>"),
                  CLM_TOMCAT_OF_STORE, "conf:" CONFIG "|8443|a.b|RSA|store", "s&3|t");
    assert_secret(f,
                  SERVER("<Connector port='8443' SSLEnabled='true' keystoreFile='x' "
                         "keystorePass='${pw}'/>"),
                  CLM_TOMCAT_OF_STORE, "conf:" CONFIG "|8443|_default_|UNDEFINED|store", "given");
    assert_secret(f,
                  SERVER("<Connector port='8443' SSLEnabled='true' SSLCertificateFile='x' "
                         "SSLPassword='of key'/>"),
                  CLM_TOMCAT_OF_KEY, "conf:" CONFIG "|8443|_default_|UNDEFINED|key", "of key");
    assert_secret(f,
                  TLS("<SSLHostConfig><Certificate certificateKeystoreFile='x' "
                      "certificateKeystorePasswordFile='conf/pass'/></SSLHostConfig>"),
                  CLM_TOMCAT_OF_STORE, "conf:" CONFIG "|8443|_default_|UNDEFINED|store",
                  "first line");
}

static void each_type_has_its_own_password(void **state)
{
    struct fixture *f = *state;
    struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);

    put_process(f, 70, JAVA MAIN);
    root_io_text(f->root, CONFIG,
                 TLS("<SSLHostConfig>"
                     "<Certificate type='RSA' certificateKeystorePassword='r'/>"
                     "<Certificate type='EC' certificateKeystorePassword='e'/></SSLHostConfig>"));
    assert_int_equal(
        clm_tomcat_secret_find(&f->io.io, CONFIG "|8443|_default_|EC|store", &out, &f->err),
        CLM_OK);
    assert_string_equal(clm_buf_str(&out), "e");
    clm_buf_done(&out);
}

static void a_stopped_tomcat_still_tells_its_password(void **state)
{
    struct fixture *f = *state;
    struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);

    put_process(f, 70, "java|-jar|other.jar");
    root_io_text(f->root, BASE "/conf/catalina.properties", "pw=kept\n");
    root_io_text(f->root, CONFIG,
                 SERVER("<Connector port='8443' SSLEnabled='true' "
                        "keystoreFile='x' keystorePass='${pw}'/>"));
    assert_int_equal(
        clm_tomcat_secret_find(&f->io.io, CONFIG "|8443|_default_|UNDEFINED|store", &out, &f->err),
        CLM_OK);
    assert_string_equal(clm_buf_str(&out), "kept");
    clm_buf_done(&out);
}

static void a_reference_that_leads_nowhere_is_told(void **state)
{
    static const struct {
        const char *text;
        enum clm_code code;
    } cases[] = {
        {CONFIG "|8444|_default_|UNDEFINED|store", CLM_E_NOTFOUND},
        {CONFIG "|8443|other|UNDEFINED|store", CLM_E_NOTFOUND},
        {CONFIG "|8443|_default_|UNDEFINED|key", CLM_E_NOTFOUND},
        {"/no/such.xml|8443|_default_|UNDEFINED|store", CLM_E_NOTFOUND},
        {CONFIG "|8443|_default_", CLM_E_PARSE},
        {"", CLM_E_PARSE},
    };
    struct fixture *f = *state;
    struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);

    put_process(f, 70, JAVA MAIN);
    root_io_text(f->root, CONFIG,
                 SERVER("<Connector port='8443' SSLEnabled='true' "
                        "keystoreFile='x' keystorePass='hidden'/>"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(clm_tomcat_secret_find(&f->io.io, cases[i].text, &out, &f->err),
                         cases[i].code);
        assert_null(strstr(f->err.msg, "hidden"));
        assert_int_equal(out.len, 0);
    }
    clm_buf_done(&out);
}

static void the_default_keystore_is_the_users(void **state)
{
    static const struct root_io_owner owners[] = {{"/proc/70", 998, 998, 0}, {NULL, 0, 0, 0}};
    struct fixture *f = *state;
    char path[PATH_MAX];

    f->io.owners = owners;
    put_process(f, 70, JAVA MAIN);
    load_well(f, SERVER(""));
    assert_int_equal(clm_tomcat_default_store(&f->io.io, &f->tomcat, path, &f->err),
                     CLM_E_NOTFOUND);
    root_io_text(f->root, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nshort:x:998:");
    assert_int_equal(clm_tomcat_default_store(&f->io.io, &f->tomcat, path, &f->err),
                     CLM_E_NOTFOUND);
    root_io_text(f->root, "/etc/passwd",
                 "root:x:0:0::/root:/bin/sh\nx:x:9980:1::/x:\nshort:x:998\n"
                 "tomcat:x:998:998:Apache:/var/lib/tomcat:/bin/false\n");
    assert_int_equal(clm_tomcat_default_store(&f->io.io, &f->tomcat, path, &f->err), CLM_OK);
    assert_string_equal(path, "/var/lib/tomcat/.keystore");
    put_process(f, 70, JAVA "-Duser.home=/h|" MAIN);
    load_well(f, SERVER(""));
    assert_int_equal(clm_tomcat_default_store(&f->io.io, &f->tomcat, path, &f->err), CLM_OK);
    assert_string_equal(path, "/h/.keystore");
}

static void assert_manager(struct fixture *f, const char *xml, const char *host, const char *want)
{
    struct clm_listener listeners[] = {
        {"127.0.0.1", 8080, false}, {"127.0.0.9", 8081, false}, {"127.0.0.1", 8443, true}};
    struct clm_service process = {.listeners = listeners, .n_listeners = 3};
    struct clm_tomcat_wish wish = {.process = &process, .host_name = host};
    char url[CLM_TOMCAT_URL_SIZE];

    load_well(f, xml);
    wish.service = clm_xml_child(f->tomcat.xml.root, "Service", NULL);
    assert_int_equal(clm_tomcat_manager_url(&f->io.io, &f->tomcat, &wish, url, &f->err), CLM_OK);
    assert_string_equal(url, want);
}

#define ENGINE "<Engine name='Cat' defaultHost='h'><Host name='h' appBase='apps'/></Engine>"
#define RELOAD "/manager/text/sslReload?tlsHostName="

static void the_manager_is_asked_where_it_is(void **state)
{
    struct fixture *f = *state;

    put_process(f, 70, JAVA MAIN);
    assert_manager(f, SERVER("<Connector port='8080'/>" ENGINE), "_default_", "");
    root_io_text(f->root, BASE "/conf/Cat/h/manager.xml", "<Context/>");
    assert_manager(f, SERVER("<Connector port='8080'/>" ENGINE), "_default_",
                   "http://127.0.0.1:8080" RELOAD "_default_");
    assert_manager(f, SERVER("<Connector port='8080' address='::1'/>" ENGINE), "*.a.b",
                   "http://[::1]:8080" RELOAD "*.a.b");
    assert_manager(f,
                   SERVER("<Connector port='8080' address='192.0.2.1'/>"
                          "<Connector port='8081' address='127.0.0.9'/>" ENGINE),
                   "a", "http://127.0.0.9:8081" RELOAD "a");
    assert_manager(f,
                   SERVER("<Connector port='8443' SSLEnabled='true'/>"
                          "<Connector port='8009' protocol='AJP/1.3'/>" ENGINE),
                   "a", "");
    assert_manager(f, SERVER("<Connector port='8079'/>" ENGINE), "a", ""); /* not its own */
    assert_manager(f, SERVER("<Connector port='8080'/>" ENGINE), "a&path=/x", "");
    assert_manager(f,
                   SERVER("<Connector port='8080'/><Engine name='Cat' defaultHost='other'>"
                          "<Host name='h'/><Host name='other'/></Engine>"),
                   "a", "");
    assert_manager(f, SERVER("<Connector port='8080'/>"), "a", "");
    root_io_text(f->root, BASE "/webapps/manager/WEB-INF/web.xml", "<web-app/>");
    assert_manager(f,
                   SERVER("<Connector port='8080'/><Engine name='X' defaultHost='h'>"
                          "<Host name='h'/></Engine>"),
                   "a", "http://127.0.0.1:8080" RELOAD "a");
}

static void a_file_that_is_no_server_xml_is_refused(void **state)
{
    static const struct {
        const char *xml;
        enum clm_code code;
        const char *says;
    } cases[] = {
        {"<web-app/>", CLM_E_PARSE, "web-app"},
        {"<Server>", CLM_E_PARSE, CONFIG},
        {"", CLM_E_PARSE, "empty"},
    };
    struct fixture *f = *state;
    char *many = malloc(CLM_TOMCAT_CONNECTORS_MAX * 24 + 128);

    put_process(f, 70, JAVA MAIN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(load(f, cases[i].xml), cases[i].code);
        assert_non_null(strstr(f->err.msg, cases[i].says));
    }
    assert_non_null(many);
    strcpy(many, "<Server><Service>");
    for (int i = 0; i <= CLM_TOMCAT_CONNECTORS_MAX; i++) {
        strcat(many, "<Connector port='1'/>");
    }
    strcat(many, "</Service></Server>");
    assert_int_equal(load(f, many), CLM_E_LIMIT);
    free(many);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_command_line_says_where_everything_is),
        TEST(every_style_gives_the_same_pairs),
        TEST(values_are_replaced_as_tomcat_does),
        TEST(the_environment_counts_only_when_asked_for),
        TEST(files_are_relative_to_the_base),
        TEST(passwords_are_references_that_are_found_again),
        TEST(each_type_has_its_own_password),
        TEST(a_stopped_tomcat_still_tells_its_password),
        TEST(a_reference_that_leads_nowhere_is_told),
        TEST(the_default_keystore_is_the_users),
        TEST(the_manager_is_asked_where_it_is),
        TEST(a_file_that_is_no_server_xml_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
