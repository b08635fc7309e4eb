/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/formats/server_args.h"
#include "tests/support/root_io.h"
#include "tests/support/torture.h"

/* Words separated by "|". */
static void split(const char *text, struct clm_strs *out)
{
    char copy[1024];
    char *rest = copy;

    assert_true(strlen(text) < sizeof(copy));
    strcpy(copy, text);
    while (rest != NULL) {
        assert_int_equal(clm_strs_add(out, strsep(&rest, "|"), NULL), CLM_OK);
    }
}

static void nginx_options_are_found(void **state)
{
    static const struct {
        const char *argv;
        const char *conf;
        const char *prefix;
    } cases[] = {
        {"nginx: master process /usr/sbin/nginx -g daemon on; master_process on;", "", ""},
        {"nginx: master process nginx -c /x/n.conf -p /x/", "/x/n.conf", "/x/"},
        {"nginx: master process nginx -p /y -g daemon off; -c n.conf", "n.conf", "/y"},
        {"nginx|-c/x/n.conf|-p|/p q", "/x/n.conf", "/p q"},
        {"nginx|-g|pid -c;|-c|/z", "/z", ""},
        {"nginx|-c", "", ""},
        {"nginx: master process  nginx  -t  -  -c /d", "/d", ""},
        {"nginx|-t|-|x|-q|-e|/log|-g|a|b|-c/d", "/d", ""},
        {"nginx|-g|a|b", "", ""},
        {"nginx", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct clm_strs argv = {0};
        struct clm_nginx_args args;

        split(cases[i].argv, &argv);
        assert_int_equal(clm_nginx_args_parse(&argv, &args, NULL), CLM_OK);
        clm_strs_done(&argv);
        if (strcmp(args.conf, cases[i].conf) != 0 || strcmp(args.prefix, cases[i].prefix) != 0) {
            fail_msg("case %zu: '%s' '%s'", i, args.conf, args.prefix);
        }
    }
}

static void httpd_options_are_found(void **state)
{
    struct clm_apache_args args = {.conf = ""};
    struct clm_strs argv = {0};

    (void)state;
    split("/usr/sbin/httpd|-DFOREGROUND|-d|/srv/a|-f/srv/a/x.conf|-D|SSL|-k|start|-X", &argv);
    assert_int_equal(clm_apache_args_parse(&argv, &args, NULL), CLM_OK);
    assert_string_equal(args.root, "/srv/a");
    assert_string_equal(args.conf, "/srv/a/x.conf");
    assert_int_equal(args.defines.n, 2);
    assert_string_equal(args.defines.v[1], "SSL");
    assert_false(args.has_directives);
    clm_apache_args_done(&args);
    clm_strs_done(&argv);

    split("httpd|start|-k|start|-D", &argv); /* the last one lacks its value */
    assert_int_equal(clm_apache_args_parse(&argv, &args, NULL), CLM_OK);
    assert_int_equal(args.defines.n, 0);
    clm_strs_done(&argv);

    split("httpd|-X|-C|Define A b", &argv);
    assert_int_equal(clm_apache_args_parse(&argv, &args, NULL), CLM_OK);
    assert_true(args.has_directives);
    clm_apache_args_done(&args);
    clm_strs_done(&argv);
}

static void a_program_others_can_change_is_refused(void **state)
{
    static const struct {
        const char *path;
        struct root_io_owner owner;
        enum clm_code code;
    } cases[] = {
        {"/usr/sbin/nginx", {"/none", 0, 0, 0}, CLM_OK},
        {"/usr/sbin/nginx", {"/usr/sbin/nginx", 1000, 0, 0755}, CLM_E_PERM},
        {"/usr/sbin/nginx", {"/usr/sbin/nginx", 0, 0, 0757}, CLM_E_PERM},
        {"/usr/sbin/nginx", {"/usr/sbin/nginx", 0, 50, 0775}, CLM_E_PERM},
        {"/usr/sbin/nginx", {"/usr/sbin/nginx", 0, 0, 0775}, CLM_OK},
        {"/usr/sbin/nginx", {"/usr", 1000, 0, 0755}, CLM_E_PERM},
        {"/usr/sbin/nginx", {"/", 0, 0, 0777}, CLM_E_PERM},
        {"/usr/sbin/none", {"/none", 0, 0, 0}, CLM_E_NOTFOUND},
        {"nginx", {"/none", 0, 0, 0}, CLM_E_NOTFOUND},
        {"", {"/none", 0, 0, 0}, CLM_E_NOTFOUND},
    };
    char root[PATH_MAX];
    struct root_io io;

    (void)state;
    root_io_temp(root);
    root_io_init(&io, root);
    root_io_text(root, "/usr/sbin/nginx", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct root_io_owner owners[] = {cases[i].owner, {NULL, 0, 0, 0}};
        struct clm_err err = {0};

        io.owners = owners;
        if (clm_program_check(&io.io, cases[i].path, &err) != cases[i].code) {
            fail_msg("case %zu: %s", i, err.msg);
        }
    }
    root_io_remove(root);
}

static void values_that_are_too_long_are_refused(void **state)
{
    static const char *const words[] = {"-c", "-p", "-e", "-g", "-f", "-d"};
    char value[16384];

    (void)state;
    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    for (size_t i = 0; i < CLM_ARRAY_LEN(words); i++) {
        static struct clm_nginx_args nginx;
        struct clm_apache_args apache = {.conf = ""};
        struct clm_strs argv = {0};
        struct clm_err err = {0};

        split("server", &argv);
        split(words[i], &argv);
        split("a", &argv);
        assert_int_equal(clm_strs_add(&argv, value, NULL), CLM_OK);
        if (strcmp(words[i], "-g") == 0) { /* its value goes on up to the next option */
            assert_int_equal(clm_nginx_args_parse(&argv, &nginx, &err), CLM_E_LIMIT);
        }
        free(argv.v[2]);
        argv.v[2] = strdup(value);
        assert_non_null(argv.v[2]);
        assert_int_equal(i < 4 ? clm_nginx_args_parse(&argv, &nginx, &err)
                               : clm_apache_args_parse(&argv, &apache, &err),
                         CLM_E_LIMIT);
        assert_string_not_equal(err.msg, "");
        clm_apache_args_done(&apache);
        clm_strs_done(&argv);
    }
    value[0] = '/';
    assert_int_equal(clm_program_check(NULL, value, NULL), CLM_E_LIMIT);
}

struct torture_case {
    struct clm_strs argv;
    struct root_io io;
};

static enum clm_code parse_all(void *arg, struct clm_err *err)
{
    struct torture_case *self = arg;
    static struct clm_nginx_args nginx;
    struct clm_apache_args apache = {.conf = ""};
    struct clm_strs words = {0};
    enum clm_code code = clm_nginx_args_parse(&self->argv, &nginx, err);

    if (code == CLM_OK) {
        code = clm_cmdline_read(&self->io.io, 7, &words, err);
    }
    if (code == CLM_OK) {
        code = clm_apache_args_parse(&words, &apache, err);
    }
    clm_apache_args_done(&apache);
    clm_strs_done(&words);
    return code;
}

static void lack_of_memory_is_told(void **state)
{
    static const char line[] = "httpd\0-D\0A\0-DB";
    struct torture_case self = {.argv = {NULL, 0}};
    char root[PATH_MAX];

    (void)state;
    root_io_temp(root);
    root_io_init(&self.io, root);
    root_io_write(root, "/proc/7/cmdline", line, sizeof(line));
    split("nginx: master process nginx -c /d -g a b", &self.argv);
    assert_true(clm_torture(parse_all, &self) > 10);
    clm_strs_done(&self.argv);
    root_io_remove(root);
}

static void command_lines_are_split_at_nul(void **state)
{
    static const char line[] = "a\0b c\0\0\0";
    char root[PATH_MAX];
    struct root_io io;
    struct clm_strs argv = {0};

    (void)state;
    root_io_temp(root);
    root_io_init(&io, root);
    root_io_write(root, "/proc/7/cmdline", line, sizeof(line));
    assert_int_equal(clm_cmdline_read(&io.io, 7, &argv, NULL), CLM_OK);
    assert_int_equal(argv.n, 2);
    assert_string_equal(argv.v[1], "b c");
    assert_int_equal(clm_cmdline_read(&io.io, 8, &argv, NULL), CLM_E_NOTFOUND);
    clm_strs_done(&argv);
    root_io_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nginx_options_are_found),
        cmocka_unit_test(httpd_options_are_found),
        cmocka_unit_test(a_program_others_can_change_is_refused),
        cmocka_unit_test(command_lines_are_split_at_nul),
        cmocka_unit_test(values_that_are_too_long_are_refused),
        cmocka_unit_test(lack_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
