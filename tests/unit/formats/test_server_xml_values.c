/* SPDX-License-Identifier: Apache-2.0 */
/* Where the values of a server.xml come from, and what is told when they cannot be read. */
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
#include "tests/support/torture.h"

#define BASE    "/srv/t"
#define CONFIG  BASE "/conf/server.xml"
#define MAIN    "org.apache.catalina.startup.Bootstrap"
#define SOURCES "org.apache.tomcat.util.digester.PROPERTY_SOURCE"
#define ENVIRON "org.apache.tomcat.util.digester.EnvironmentPropertySource"
#define SYSTEM  "org.apache.tomcat.util.digester.Digester$SystemPropertySource"
#define HOST    "<Engine defaultHost='h'><Host name='h' appBase='%s'/></Engine>"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_tomcat tomcat;
    struct clm_err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
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

/* Loads the file with these -D, separated by "|"; pid 0: no process. */
static enum clm_code load(struct fixture *f, const char *defines, int32_t pid, const char *inside)
{
    struct clm_tomcat_args args = {
        .base = BASE, .home = "/usr/share/tomcat", .config = CONFIG, .pid = pid};
    char text[16384];
    char *rest = NULL;

    clm_tomcat_done(&f->tomcat);
    f->err = (struct clm_err){.code = CLM_OK};
    (void)snprintf(text, sizeof(text), "%s", defines);
    for (char *word = strtok_r(text, "|", &rest); word != NULL; word = strtok_r(NULL, "|", &rest)) {
        assert_int_equal(clm_strs_add(&args.defines, word, NULL), CLM_OK);
    }
    (void)snprintf(text, sizeof(text), "<Server><Service>%s</Service></Server>", inside);
    root_io_text(f->root, CONFIG, text);
    return clm_tomcat_load(&f->io.io, &args, &f->tomcat, &f->err);
}

static void assert_value(struct fixture *f, const char *raw, const char *want)
{
    struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_TOMCAT_VALUE_MAX);

    assert_int_equal(clm_tomcat_expand(&f->tomcat, raw, &out, &f->err), CLM_OK);
    assert_string_equal(clm_buf_str(&out), want);
    clm_buf_done(&out);
}

static void catalina_config_names_the_properties(void **state)
{
    static const struct {
        const char *defines;
        const char *value; /* of a */
        const char *note;
    } cases[] = {
        {"x=1", "${a}", ""},
        {"catalina.config=/etc/t.properties", "here", ""},
        {"catalina.config=file:/etc/t.properties", "here", ""},
        {"catalina.config=/none|catalina.config=/etc/t.properties|x=1", "here", ""},
        {"catalina.config=http://h/x", "${a}", "-Dcatalina.config=http://h/x is not read"},
        {"catalina.config=t.properties", "${a}", "-Dcatalina.config=t.properties is not read"},
        {"catalina.config=/etc", "${a}", "/etc"}, /* no file */
        {"ab=no|a=1|a=2", "2", ""},
        {"a", "", ""}, /* -Da */
    };
    struct fixture *f = *state;

    root_io_text(f->root, "/etc/t.properties", "a=here\n");
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_int_equal(load(f, cases[i].defines, 0, ""), CLM_OK);
        assert_value(f, "${a}", cases[i].value);
        assert_int_equal(f->tomcat.notes.n, cases[i].note[0] != '\0');
        if (f->tomcat.notes.n > 0) {
            assert_non_null(strstr(f->tomcat.notes.v[0], cases[i].note));
        }
    }
}

static void base_and_home_are_known_without_a_process(void **state)
{
    struct fixture *f = *state;

    root_io_text(f->root, BASE "/conf/catalina.properties", "a=x${a}\n");
    assert_int_equal(load(f, "", 0, ""), CLM_OK);
    assert_value(f, "${catalina.base} ${catalina.home}", BASE " /usr/share/tomcat");
    /* a value that holds itself grows for some rounds and no longer */
    assert_value(f, "${a}", "xxxxxxxxxxxxxxxxxxxxx${a}");
    assert_value(f, "${}${:-}", "${}${:-}");
}

static void paths_that_are_too_long_are_refused(void **state)
{
    struct fixture *f = *state;
    char long_path[PATH_MAX + 64] = "catalina.config=/";

    memset(long_path + strlen(long_path), 'x', PATH_MAX);
    assert_int_equal(load(f, long_path, 0, ""), CLM_E_LIMIT);
    assert_string_not_equal(f->err.msg, "");

    struct clm_tomcat_args args = {.config = CONFIG};
    memset(args.base, 'x', sizeof(args.base) - 1);
    clm_tomcat_done(&f->tomcat);
    assert_int_equal(clm_tomcat_load(&f->io.io, &args, &f->tomcat, &f->err), CLM_E_LIMIT);
}

static void the_environment_is_that_of_the_process(void **state)
{
    static const struct {
        const char *defines;
        int32_t pid;
        const char *value;
        const char *note;
    } cases[] = {
        {SOURCES "=" ENVIRON, 70, "env", ""},
        {SOURCES "=" SYSTEM ", " ENVIRON, 70, "env", ""},
        {SOURCES "=" SYSTEM, 70, "${A}", ""},
        {SOURCES "=", 70, "${A}", ""},
        {SOURCES "=" ENVIRON, 0, "${A}", ""},
        {SOURCES "=" ENVIRON, 71, "${A}", "/proc/71/environ"}, /* it has ended */
        {SOURCES "=com.example.V", 70, "${A}", "the property source 'com.example.V' are not known"},
    };
    struct fixture *f = *state;

    root_io_write(f->root, "/proc/70/environ", "AB=no\0A\0B=\0A=env\0", 18);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_int_equal(load(f, cases[i].defines, cases[i].pid, ""), CLM_OK);
        assert_value(f, "${A}", cases[i].value);
        assert_int_equal(f->tomcat.notes.n, cases[i].note[0] != '\0');
        if (f->tomcat.notes.n > 0) {
            assert_non_null(strstr(f->tomcat.notes.v[0], cases[i].note));
        }
    }
}

static void ports_that_are_no_numbers_are_noted(void **state)
{
    static const struct {
        const char *port;
        const char *note;
    } cases[] = {
        {"8080", ""},
        {"-1", ""},
        {"", ""},
        {"x", "line 1: port 'x' is no number that could be told"},
        {"65536", "line 1: port '65536' is no number that could be told"},
        {"0000000000000000000000000000000000000000000000000000000000000000080",
         "line 1: port "
         "'0000000000000000000000000000000000000000000000000000000000000000080' is no number"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char xml[256];

        (void)snprintf(xml, sizeof(xml), "<Connector port='%s'/>", cases[i].port);
        assert_int_equal(load(f, "", 0, xml), CLM_OK);
        assert_int_equal(f->tomcat.connectors[0].port, i == 0 ? 8080 : 0);
        assert_int_equal(f->tomcat.notes.n, cases[i].note[0] != '\0');
        if (f->tomcat.notes.n > 0) {
            assert_non_null(strstr(f->tomcat.notes.v[0], cases[i].note));
        }
    }
}

static void only_what_says_nothing_and_can_be_edited_is_bare(void **state)
{
    static const struct {
        const char *host;
        bool want;
    } cases[] = {
        {"<SSLHostConfig/>", true},
        {"<SSLHostConfig certificateKeyAlias='a'/>", false},
        {"<SSLHostConfig protocols='TLSv1.3'/>", true},
        {"<SSLHostConfig><Certificate type='RSA'/></SSLHostConfig>", true},
        {"<SSLHostConfig><Certificate type='RSA' certificateFile='x'/></SSLHostConfig>", false},
        {"&host;", false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_tomcat_args args = {.base = BASE, .home = BASE, .config = CONFIG};
        char xml[512];

        (void)snprintf(xml, sizeof(xml),
                       "<!DOCTYPE Server [<!ENTITY host '<SSLHostConfig/>'>]>"
                       "<Server><Service><Connector port='1' SSLEnabled='true'>%s</Connector>"
                       "</Service></Server>",
                       cases[i].host);
        root_io_text(f->root, CONFIG, xml);
        clm_tomcat_done(&f->tomcat);
        assert_int_equal(clm_tomcat_load(&f->io.io, &args, &f->tomcat, &f->err), CLM_OK);
        if (clm_tomcat_pair_is_bare(&f->tomcat.connectors[0].pairs[0]) != cases[i].want) {
            fail_msg("case %zu", i);
        }
    }
}

static void the_default_keystore_needs_a_user_with_a_home(void **state)
{
    static const struct root_io_owner owners[] = {{"/proc/70", 998, 998, 0}, {NULL, 0, 0, 0}};
    static const struct {
        const char *passwd;
        enum clm_code code;
        const char *path;
    } cases[] = {
        {"a:x:998:1:g:/home/a:/bin/sh\n", CLM_OK, "/home/a/.keystore"},
        {"\nb:x:99\na:x:998:1:g:/home/a", CLM_OK, "/home/a/.keystore"},
        {"a:x:998:1:g:/home/a/", CLM_OK, "/home/a/.keystore"},
        {"a:x:9980:1:g:/home/a:/bin/sh\n", CLM_E_NOTFOUND, ""},
        {"a:x:998:1:g\n", CLM_E_NOTFOUND, ""},
        {"a:x:998:1:g::/bin/sh\n", CLM_E_NOTFOUND, ""},
        {"", CLM_E_NOTFOUND, ""},
    };
    struct fixture *f = *state;
    char path[PATH_MAX];
    char text[PATH_MAX + 64] = "a:x:998:1:g:/";

    f->io.owners = owners;
    root_io_text(f->root, "/proc/70/comm", "java");
    assert_int_equal(load(f, "", 70, ""), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        root_io_text(f->root, "/etc/passwd", cases[i].passwd);
        f->err = (struct clm_err){.code = CLM_OK};
        assert_int_equal(clm_tomcat_default_store(&f->io.io, &f->tomcat, path, &f->err),
                         cases[i].code);
        if (cases[i].code == CLM_OK) {
            assert_string_equal(path, cases[i].path);
        } else {
            assert_non_null(strstr(f->err.msg, "the home directory of Tomcat's user"));
        }
    }
    memset(text + strlen(text), 'x', PATH_MAX);
    root_io_text(f->root, "/etc/passwd", text);
    assert_int_equal(clm_tomcat_default_store(&f->io.io, &f->tomcat, path, NULL), CLM_E_NOTFOUND);
    assert_int_equal(load(f, "", 71, ""), CLM_OK); /* no such process */
    assert_int_equal(clm_tomcat_default_store(&f->io.io, &f->tomcat, path, NULL), CLM_E_NOTFOUND);
    assert_int_equal(load(f, "", 0, ""), CLM_OK);
    assert_int_equal(clm_tomcat_default_store(&f->io.io, &f->tomcat, path, NULL), CLM_E_NOTFOUND);
}

static void passwords_in_files_that_cannot_be_read_are_told(void **state)
{
    static const struct {
        const char *file;
        enum clm_code code;
    } cases[] = {
        {"conf/none", CLM_E_NOTFOUND},
        {"http://h/pass", CLM_E_UNSUPPORTED},
        {"/etc/pass", CLM_OK},
    };
    struct fixture *f = *state;
    struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    char path[PATH_MAX];

    root_io_text(f->root, "/etc/pass", "word\n");
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char xml[512];

        (void)snprintf(xml, sizeof(xml),
                       "<Connector port='1' SSLEnabled='true'><SSLHostConfig><Certificate "
                       "certificateFile='' certificateKeystorePasswordFile='%s'/></SSLHostConfig>"
                       "</Connector>",
                       cases[i].file);
        assert_int_equal(load(f, "", 0, xml), CLM_OK);
        assert_int_equal(clm_tomcat_password(&f->io.io, &f->tomcat,
                                             &f->tomcat.connectors[0].pairs[0], CLM_TOMCAT_OF_STORE,
                                             &out, &f->err),
                         cases[i].code);
        assert_string_equal(clm_buf_str(&out), cases[i].code == CLM_OK ? "word" : "");
        assert_int_equal(clm_tomcat_path(&f->tomcat, &f->tomcat.connectors[0].pairs[0],
                                         CLM_TOMCAT_CERT_FILE, path, &f->err),
                         CLM_OK);
        assert_string_equal(path, ""); /* an empty name is none */
    }
    clm_buf_done(&out);
}

/* The manager as it is found for the first service. */
static enum clm_code manager(struct fixture *f, const char *inside, char *url)
{
    static struct clm_listener listeners[] = {{"127.0.0.1", 8080, false}};
    struct clm_service process = {.listeners = listeners, .n_listeners = 1};
    struct clm_tomcat_wish wish = {.process = &process, .host_name = "a"};

    assert_int_equal(load(f, "", 0, inside), CLM_OK);
    wish.service = clm_xml_child(f->tomcat.xml.root, "Service", NULL);
    return clm_tomcat_manager_url(&f->io.io, &f->tomcat, &wish, url, &f->err);
}

static void the_manager_answers_on_loopback_only(void **state)
{
    static const struct {
        const char *addr;
        const char *host; /* "": not there */
    } cases[] = {
        {"0.0.0.0", "127.0.0.1"}, {"::", "127.0.0.1"},          {"localhost", "127.0.0.1"},
        {"::1", "[::1]"},         {"0:0:0:0:0:0:0:1", "[::1]"}, {"127.1.2.3", "127.1.2.3"},
        {"192.0.2.1", ""},        {"www.example", ""},
    };
    struct fixture *f = *state;
    char url[CLM_TOMCAT_URL_SIZE];
    char want[CLM_TOMCAT_URL_SIZE];
    char xml[1024];

    root_io_text(f->root, BASE "/webapps/manager.war", "PK");
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        (void)snprintf(xml, sizeof(xml), "<Connector port='8080' address='%s'/>" HOST,
                       cases[i].addr, "webapps");
        (void)snprintf(want, sizeof(want), "http://%s:8080/manager/text/sslReload?tlsHostName=a",
                       cases[i].host);
        assert_int_equal(manager(f, xml, url), CLM_OK);
        assert_string_equal(url, cases[i].host[0] == '\0' ? "" : want);
    }
    /* the connectors of another service lead to another engine */
    (void)snprintf(xml, sizeof(xml), HOST "</Service><Service><Connector port='8080'/>", "webapps");
    assert_int_equal(manager(f, xml, url), CLM_OK);
    assert_string_equal(url, "");
}

static void a_manager_whose_path_is_too_long_is_not_there(void **state)
{
    static const size_t lens[] = {PATH_MAX - 2, PATH_MAX - 16, PATH_MAX - 8};
    struct fixture *f = *state;
    char url[CLM_TOMCAT_URL_SIZE];

    for (size_t i = 0; i < CLM_ARRAY_LEN(lens); i++) {
        char xml[PATH_MAX + 256];
        char base[PATH_MAX];

        memset(base, 'x', sizeof(base));
        base[0] = i == 0 ? 'x' : '/';
        base[lens[i]] = '\0';
        (void)snprintf(xml, sizeof(xml), "<Connector port='8080'/>" HOST, base);
        assert_int_equal(manager(f, xml, url), CLM_OK);
        assert_string_equal(url, "");
    }
    assert_int_equal(manager(f, "<Engine name='%s'/>", url), CLM_OK);
    memset(f->tomcat.args.base, 'x', PATH_MAX - 8); /* nor is its conf/ENGINE/HOST/manager.xml */
    assert_int_equal(manager(f,
                             "<Connector port='8080'/><Engine defaultHost='h'><Host name='h'/>"
                             "</Engine>",
                             url),
                     CLM_OK);
    assert_string_equal(url, "");
}

static void names_of_engines_and_hosts_are_bounded(void **state)
{
    static const char *const begins[] = {"<Engine name='", "<Engine defaultHost='",
                                         "<Engine><Host name='",
                                         "<Engine><Host name='a'/><Host name='"};
    static const char *const ends[] = {"'/>", "'/>", "'/></Engine>", "'/></Engine>"};
    struct fixture *f = *state;
    char url[CLM_TOMCAT_URL_SIZE];
    char name[300];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (size_t i = 0; i < CLM_ARRAY_LEN(begins); i++) {
        char xml[512];

        (void)snprintf(xml, sizeof(xml), "%s%s%s", begins[i], name, ends[i]);
        assert_int_equal(manager(f, xml, url), CLM_E_LIMIT);
        assert_string_equal(url, "");
        assert_string_not_equal(f->err.msg, "");
    }
}

static void command_lines_of_odd_kinds(void **state)
{
    static const struct {
        const char *words[6];
        bool is_tomcat;
        enum clm_code code;
        const char *config;
    } cases[] = {
        {{"/usr/bin/jsvc", "-Dcatalina.base=/b", MAIN}, true, CLM_OK, "/b/conf/server.xml"},
        {{"jsvc.exec", "-Dcatalina.homes=/c", "-Dcatalina.home=/b", MAIN, "-config"},
         true,
         CLM_OK,
         "/b/conf/server.xml"},
        {{"java", "-Dcatalina.base=/b", MAIN, "-config", "file:x.xml"}, true, CLM_E_CONFIG, ""},
        {{"java", "-config", "-Dcatalina.base=/b", MAIN, "-Dx"},
         true,
         CLM_OK,
         "/b/conf/server.xml"},
        {{"javac", "x"}, false, CLM_E_CONFIG, ""},
        {{"tail", MAIN}, false, CLM_E_CONFIG, ""},
        {{NULL}, false, CLM_E_CONFIG, ""},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_tomcat_args args = {.pid = 0};
        struct clm_strs argv = {NULL, 0};
        struct clm_err err = {0};

        for (size_t k = 0; k < 6 && cases[i].words[k] != NULL; k++) {
            assert_int_equal(clm_strs_add(&argv, cases[i].words[k], NULL), CLM_OK);
        }
        assert_int_equal(clm_tomcat_is(&argv), cases[i].is_tomcat);
        assert_int_equal(clm_tomcat_args_parse(&argv, 7, &args, &err), cases[i].code);
        assert_string_equal(args.config, cases[i].config);
        assert_int_equal(err.msg[0] == '\0', cases[i].code == CLM_OK);
        clm_tomcat_args_done(&args);
        clm_strs_done(&argv);
    }
}

static void bases_that_are_too_long_are_refused(void **state)
{
    static const char *const names[] = {"catalina.base", "catalina.home"};
    static const enum clm_code codes[] = {CLM_E_LIMIT, CLM_OK};

    (void)state;
    for (size_t i = 0; i < 4; i++) { /* base and home; too long itself, and with what follows */
        struct clm_tomcat_args args = {.pid = 0};
        struct clm_strs argv = {NULL, 0};
        char define[PATH_MAX + 64];
        size_t len = (size_t)snprintf(define, sizeof(define), "-D%s=/", names[i % 2]);

        memset(define + len, 'x', PATH_MAX);
        define[len + (i < 2 ? PATH_MAX : PATH_MAX - 8)] = '\0';
        assert_int_equal(clm_strs_add(&argv, "java", NULL), CLM_OK);
        assert_int_equal(clm_strs_add(&argv, define, NULL), CLM_OK);
        if (i % 2 == 1) {
            assert_int_equal(clm_strs_add(&argv, "-Dcatalina.base=/b", NULL), CLM_OK);
        }
        assert_int_equal(clm_tomcat_args_parse(&argv, 7, &args, NULL),
                         i == 3 ? codes[1] : codes[0]);
        clm_tomcat_args_done(&args);
        clm_strs_done(&argv);
    }
}

static void put_process(struct fixture *f, const char *pid, const char *base)
{
    char path[64];
    char bytes[256];
    int len = snprintf(bytes, sizeof(bytes), "java%c-Dcatalina.base=%s%c-Duser.home=/h%c" MAIN "%c",
                       0, base, 0, 0, 0);

    (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
    root_io_write(f->root, path, bytes, (size_t)len);
}

static void a_config_that_is_nobodys_is_taken_with_defaults(void **state)
{
    struct fixture *f = *state;
    struct clm_tomcat_args args = {.pid = 0};
    char path[PATH_MAX] = "/";

    root_io_text(f->root, "/proc/version", "Linux");
    put_process(f, "69", "/other");
    put_process(f, "70", BASE);
    put_process(f, "71", BASE);
    assert_int_equal(clm_tomcat_args_find(&f->io.io, CONFIG, &args, &f->err), CLM_OK);
    assert_int_not_equal(args.pid, 0);
    assert_int_equal(args.defines.n, 2);
    clm_tomcat_args_done(&args);

    args = (struct clm_tomcat_args){.pid = 0};
    assert_int_equal(clm_tomcat_args_find(&f->io.io, "/o/conf/s.xml", &args, &f->err), CLM_OK);
    assert_int_equal(args.pid, 0);
    assert_string_equal(args.base, "/o");
    assert_string_equal(args.home, "/o");
    memset(path + 1, 'x', PATH_MAX - 2);
    assert_int_equal(clm_tomcat_args_find(&f->io.io, path, &args, &f->err), CLM_OK);
    assert_string_equal(args.base, "/");

    char too_long[PATH_MAX + 8];
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    assert_int_equal(clm_tomcat_args_find(&f->io.io, too_long, &args, &f->err), CLM_E_LIMIT);
    root_io_remove(f->root);
    assert_int_not_equal(clm_tomcat_args_find(&f->io.io, CONFIG, &args, &f->err), CLM_OK);
}

static enum clm_code find_password(void *arg, struct clm_err *err)
{
    struct fixture *f = arg;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);

    return clm_tomcat_secret_find(&f->io.io, CONFIG "|8443|_default_|EC|store", &out, err);
}

static enum clm_code find_files(void *arg, struct clm_err *err)
{
    struct fixture *f = arg;
    CLM_CLEANUP(clm_tomcat_args_done)
    struct clm_tomcat_args args = {.base = BASE, .home = BASE, .config = CONFIG, .pid = 70};
    CLM_CLEANUP(clm_tomcat_done) struct clm_tomcat tomcat = {.n_connectors = 0};
    struct clm_service process = {.n_listeners = 0};
    struct clm_tomcat_wish wish = {.process = &process, .host_name = "a"};
    char path[PATH_MAX];
    enum clm_code code = clm_strs_add(&args.defines, SOURCES "=" ENVIRON ",com.example.V", err);

    if (code == CLM_OK) {
        code = clm_tomcat_load(&f->io.io, &args, &tomcat, err);
    }
    if (code == CLM_OK) {
        code = clm_tomcat_default_store(&f->io.io, &tomcat, path, err);
    }
    if (code == CLM_OK) {
        code = clm_tomcat_path(&tomcat, &tomcat.connectors[0].pairs[0], CLM_TOMCAT_STORE_FILE, path,
                               err);
    }
    if (code == CLM_OK) {
        wish.service = clm_xml_child(tomcat.xml.root, "Service", NULL);
        code = clm_tomcat_manager_url(&f->io.io, &tomcat, &wish, path, err);
    }
    return code;
}

static void lack_of_memory_is_never_taken_for_a_finding(void **state)
{
    struct fixture *f = *state;

    put_process(f, "70", BASE);
    root_io_write(f->root, "/proc/70/environ", "A=env\0", 6);
    root_io_text(f->root, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    root_io_text(f->root, BASE "/conf/catalina.properties", "b=${c:-x}\n");
    root_io_text(f->root, BASE "/pass", "word\n");
    root_io_text(f->root, CONFIG,
                 "<Server portOffset='${o:-0}'><Service><Connector port='8443' SSLEnabled='true' "
                 "address='${A}' portOffset='?' keystoreFile='${b}'><SSLHostConfig><Certificate "
                 "type='EC' certificateKeystoreFile='${catalina.base}/${b}/${none}' "
                 "certificateKeystorePasswordFile='pass'/></SSLHostConfig><SSLHostConfig "
                 "hostName='h'/></Connector><Engine><Host name='localhost'/></Engine></Service>"
                 "</Server>");
    assert_true(clm_torture(find_password, f) > 50);
    root_io_text(f->root, CONFIG,
                 "<Server><Service><Connector port='8443' SSLEnabled='true' "
                 "keystoreFile='${catalina.base}/${b}'/><Engine><Host name='localhost'/></Engine>"
                 "</Service></Server>");
    assert_true(clm_torture(find_files, f) > 50);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(catalina_config_names_the_properties),
        TEST(base_and_home_are_known_without_a_process),
        TEST(paths_that_are_too_long_are_refused),
        TEST(the_environment_is_that_of_the_process),
        TEST(ports_that_are_no_numbers_are_noted),
        TEST(only_what_says_nothing_and_can_be_edited_is_bare),
        TEST(the_default_keystore_needs_a_user_with_a_home),
        TEST(passwords_in_files_that_cannot_be_read_are_told),
        TEST(the_manager_answers_on_loopback_only),
        TEST(a_manager_whose_path_is_too_long_is_not_there),
        TEST(names_of_engines_and_hosts_are_bounded),
        TEST(command_lines_of_odd_kinds),
        TEST(bases_that_are_too_long_are_refused),
        TEST(a_config_that_is_nobodys_is_taken_with_defaults),
        TEST(lack_of_memory_is_never_taken_for_a_finding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
