/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/buf.h"
#include "agent/formats/apache_conf.h"
#include "tests/support/root_io.h"

#define CONF "/etc/apache2/apache2.conf"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_conf_tree tree;
    struct clm_err err;
    struct clm_strs defines;
    char server_root[PATH_MAX];
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

    clm_conf_tree_done(&f->tree);
    clm_strs_done(&f->defines);
    root_io_remove(f->root);
    free(f);
    return 0;
}

static enum clm_code load(struct fixture *f, const char *text)
{
    struct clm_apache_source source = {.path = CONF,
                                       .server_root = "/etc/apache2",
                                       .envvars = "/etc/apache2/envvars",
                                       .defines = &f->defines,
                                       .version = "2.4.57"};

    if (text != NULL) {
        root_io_text(f->root, CONF, text);
    }
    clm_conf_tree_done(&f->tree);
    f->err = (struct clm_err){.code = CLM_OK};
    return clm_apache_conf_load(&f->io.io, &source, &f->tree, f->server_root, &f->err);
}

static void print_node(const struct clm_conf_node *node, struct clm_buf *out)
{
    for (; node != NULL; node = node->next) {
        for (size_t i = 0; i < node->n; i++) {
            assert_int_equal(clm_buf_addf(out, NULL, "%s[%s]", i > 0 ? " " : "", node->args[i]), 0);
        }
        if (node->is_block) {
            assert_int_equal(clm_buf_add_str(out, "{", NULL), 0);
            print_node(node->children, out);
            assert_int_equal(clm_buf_add_str(out, "}", NULL), 0);
        }
        assert_int_equal(clm_buf_add_str(out, ";", NULL), 0);
    }
}

static void assert_tree(const struct fixture *f, const char *want)
{
    struct clm_buf out = CLM_BUF_INIT(1 << 20);

    print_node(f->tree.root.children, &out);
    assert_string_equal(clm_buf_str(&out), want);
    clm_buf_done(&out);
}

struct text_case {
    const char *text;
    const char *want;
};

static void check_all(struct fixture *f, const struct text_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct clm_buf out = CLM_BUF_INIT(1 << 20);

        if (load(f, cases[i].text) != CLM_OK) {
            fail_msg("case %zu: %s", i, f->err.msg);
        }
        print_node(f->tree.root.children, &out);
        if (strcmp(clm_buf_str(&out), cases[i].want) != 0) {
            fail_msg("case %zu: '%s', not '%s'", i, clm_buf_str(&out), cases[i].want);
        }
        clm_buf_done(&out);
    }
}

static void words_are_those_of_httpd(void **state)
{
    static const struct text_case cases[] = {
        {"", ""},
        {"Listen 80", "[listen] [80];"},
        {"  ServerName\ta.example \r\n\n#x\n  # y \\\n z\nA", "[servername] [a.example];[a];"},
        {"a \"b c\" 'd \"e\"' f", "[a] [b c] [d \"e\"] [f];"},
        {"a \"b \\\"c\\\" \\\\d\\e\"", "[a] [b \"c\" \\d\\e];"},
        {"a b\\\n c\\\nd", "[a] [b] [cd];"},
        {"a b#c", "[a] [b#c];"},
        {"a \"not closed", "[a] [not closed];"},
        {"<VirtualHost *:443 [::1]:443>\n a\n</virtualhost>",
         "[virtualhost] [*:443] [[::1]:443]{[a];};"},
        {"<A>\n<B x>\n</B>\n</A>\nc", "[a]{[b] [x]{};};[c];"},
    };

    check_all(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void variables_come_from_define_then_envvars(void **state)
{
    static const struct text_case cases[] = {
        {"a ${LOG}", "[a] [/var/log/apache2];"},
        {"Define LOG /x\na ${LOG}/y ${NONE}", "[a] [/x/y] [${NONE}];"},
        {"Define H \"a b\"\na ${H} \"${H}\"", "[a] [a b] [a b];"},
        {"Define H 1\nUnDefine H\nUnDefine NONE\na ${H}", "[a] [${H}];"},
        {"Define H x\nDefine I ${H}y\na ${I}", "[a] [xy];"},
        {"a ${ $x ${} $", "[a] [${] [$x] [${}] [$];"},
        {"a ${QUOTED} ${BOTH} ${IN_IF} ${TRICK}", "[a] [x y] [/var/log/apache2/x] [${IN_IF}] "
                                                  "[${TRICK}];"},
    };
    struct fixture *f = *state;

    root_io_text(f->root, "/etc/apache2/envvars",
                 "# c\nunset HOME\nif [ \"${APACHE_CONFDIR##x}\" != y ] ; then\n\tSUFFIX=\"-z\"\n"
                 "\texport IN_IF=1\nelse\n\tSUFFIX=\nfi\nexport LOG=/var/log/apache2$SUFFIX\n"
                 "QUOTED='x y'\nexport BOTH=\"${LOG}/x\" # rest\nexport TRICK=`id`\nexport LANG\n");
    check_all(f, cases, sizeof(cases) / sizeof(cases[0]));
}

static void conditions_are_decided_while_reading(void **state)
{
    static const struct text_case cases[] = {
        {"<IfModule mod_ssl.c>\na\n</IfModule>", ""},
        {"<IfModule !mod_ssl.c>\na\n</IfModule>", "[a];"},
        {"LoadModule ssl_module modules/mod_ssl.so\n<IfModule ssl_module>\na\n</IfModule>\n"
         "<IfModule mod_ssl.c>\nb\n</IfModule>",
         "[a];[b];"},
        {"<IfModule mod_ssl.c>\na\n</IfModule>\nLoadModule ssl_module modules/mod_ssl.so", ""},
        {"LoadModule mpm_prefork_module x/mod_mpm_prefork.so\n<IfModule prefork.c>\na\n</IfModule>",
         "[a];"},
        {"<IfModule core.c>\n<IfModule none>\na\n<Directory />\nb\n</Directory>\n</IfModule>\nc\n"
         "</IfModule>",
         "[c];"},
        {"<IfDefine SSL>\na\n</IfDefine>\n<IfDefine !NO>\nb\n</IfDefine>", "[a];[b];"},
        {"Define X\n<IfDefine X>\na\n</IfDefine>", "[a];"},
        {"<IfFile /etc/apache2/apache2.conf>\na\n</IfFile>\n<IfFile none>\nb\n</IfFile>\n"
         "<IfFile apache2.conf>\nc\n</IfFile>",
         "[a];[c];"},
        {"<IfVersion >= 2.4>\na\n</IfVersion>\n<IfVersion < 2.4>\nb\n</IfVersion>", "[a];"},
        {"<IfVersion 2.4.57>\na\n</IfVersion>\n<IfVersion = 2.4>\nb\n</IfVersion>\n"
         "<IfVersion !> 2.4.57>\nc\n</IfVersion>\n<IfVersion ~ ^2\\.4\\.>\nd\n</IfVersion>\n"
         "<IfVersion /^2.2/>\ne\n</IfVersion>",
         "[a];[c];[d];"},
        {"<If \"%{X} == 1\">\na\n</If>", "[if] [%{X} == 1]{[a];};"},
        {"<IfVersion ~ />\na\n</IfVersion>\n<IfVersion ~ /^2>\nb\n</IfVersion>\n"
         "<IfVersion ~ (>\nc\n</IfVersion>",
         "[a];[b];"},
        {"<IfVersion > -1.99999>\na\n</IfVersion>\n<IfVersion <= 2.4.57>\nb\n</IfVersion>\n"
         "<IfVersion !<= 2.4.57>\nc\n</IfVersion>",
         "[a];[b];"},
        {"LoadModule ssl_module mod_ssl.so\n<IfModule mod_ssl.c>\na\n</IfModule>", "[a];"},
        {"LoadModule odd /x/.so\n<IfModule odd>\na\n</IfModule>\n<IfModule .c>\nb\n</IfModule>",
         "[a];"},
        {"<IfModule>\na\n</IfModule>\n<IfVersion>\nb\n</IfVersion>", ""},
    };
    struct fixture *f = *state;

    assert_int_equal(clm_strs_add(&f->defines, "SSL", NULL), CLM_OK);
    check_all(f, cases, sizeof(cases) / sizeof(cases[0]));
}

static void includes_follow_files_directories_and_wildcards(void **state)
{
    struct fixture *f = *state;

    root_io_text(f->root, "/etc/apache2/sites/b.conf", "b");
    root_io_text(f->root, "/etc/apache2/sites/a.conf", "a");
    root_io_text(f->root, "/etc/apache2/sites/a.conf~", "backup");
    root_io_text(f->root, "/etc/apache2/dir/z/1", "z1");
    root_io_text(f->root, "/etc/apache2/dir/2", "d2");
    root_io_text(f->root, "/srv/h/vh.conf", "srv");
    assert_int_equal(load(f, "IncludeOptional sites/*.conf\nIncludeOptional none/*.conf\n"
                             "IncludeOptional none.conf\nInclude dir\nServerRoot /srv\n"
                             "Include */vh.conf\n"),
                     CLM_OK);
    assert_tree(f, "[a];[b];[d2];[z1];[srv];");
    assert_string_equal(f->server_root, "/srv");
}

static void a_directive_knows_its_place(void **state)
{
    struct fixture *f = *state;

    root_io_text(f->root, "/etc/apache2/v.conf", "\n<VirtualHost *>\n a\\\n b\n c\n</VirtualHost>");
    assert_int_equal(load(f, "x\nInclude v.conf\n"), CLM_OK);
    assert_string_equal(f->tree.root.children->next->file, "/etc/apache2/v.conf");
    assert_int_equal(f->tree.root.children->next->line, 2);
    assert_int_equal(f->tree.root.children->next->children->line, 3);
    assert_int_equal(f->tree.root.children->next->children->next->line, 5);
}

static void macros_are_noted(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "<Macro V $n>\n<VirtualHost *>\n</VirtualHost>\n</Macro>\nUse V a\nb"),
                     CLM_OK);
    assert_tree(f, "[b];");
    assert_int_equal(f->tree.notes.n, 2);
    assert_string_equal(f->tree.notes.v[1], CONF ":5: the use of macro 'V' is not followed");
    assert_int_equal(load(f, "<Macro>\n</Macro>\n<IfDirective A>\n</IfDirective>\n<IfSection A>\n"
                             "</IfSection>\n<Perl>\n</Perl>\nUse\n<IfModule none>\n<Macro>\n"
                             "</Macro>\n</IfModule>"),
                     CLM_OK);
    assert_int_equal(f->tree.notes.n, 5);
    assert_string_equal(f->tree.notes.v[0], CONF ":1: section 'macro' is not followed");
    assert_string_equal(f->tree.notes.v[4], CONF ":9: the use of macro '' is not followed");
}

static void bad_input_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        enum clm_code code;
        const char *says;
    } cases[] = {
        {"<A>\n", CLM_E_PARSE, CONF ":1: <a> is not closed"},
        {"\n</A>\n", CLM_E_PARSE, CONF ":2: </a> without <a>"},
        {"<A>\n<B>\n</A>\n</B>", CLM_E_PARSE, CONF ":3: </a> found where </b>"},
        {"<A\n", CLM_E_PARSE, CONF ":1: a section's '<'"},
        {"<>\n", CLM_E_PARSE, CONF ":1: a section has no name"},
        {"<A>\n</A\n", CLM_E_PARSE, CONF ":2: a section's '</'"},
        {"<IfModule x>\n<A>\n</IfModule>", CLM_E_PARSE, CONF ":3: "},
        {"\nInclude none.conf", CLM_E_NOTFOUND, CONF ":2: Include: "},
        {"Include none/*.conf", CLM_E_CONFIG, CONF ":1: Include: nothing matches"},
        {"Include apache2.conf", CLM_E_CONFIG, "includes itself"},
        {"Include /etc/apache2", CLM_E_CONFIG, "includes itself"},
        {"Include", CLM_E_PARSE, CONF ":1: Include takes one argument"},
        {"ServerRoot x", CLM_E_PARSE, CONF ":1: ServerRoot"},
        {"ServerRoot", CLM_E_PARSE, CONF ":1: ServerRoot"},
        {"Define", CLM_E_PARSE, CONF ":1: Define takes"},
        {"Define a b c", CLM_E_PARSE, CONF ":1: Define takes"},
        {"UnDefine", CLM_E_PARSE, CONF ":1: UnDefine takes one name"},
        {"<\"\">\n", CLM_E_PARSE, CONF ":1: a section has no name"},
        {"<\n", CLM_E_PARSE, CONF ":1: a section's '<'"},
        {"LoadModule x", CLM_E_PARSE, CONF ":1: LoadModule"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = *state;
        enum clm_code code = load(f, cases[i].text);

        if (code != cases[i].code || strstr(f->err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s: '%s'", i, clm_code_name(code), f->err.msg);
        }
    }
}

static void a_nul_byte_is_refused(void **state)
{
    struct fixture *f = *state;

    root_io_write(f->root, CONF, "a b\0c", 5);
    assert_int_equal(load(f, NULL), CLM_E_PARSE);
}

static void a_variable_cannot_grow_without_end(void **state)
{
    struct fixture *f = *state;
    struct clm_buf text = CLM_BUF_INIT(1 << 20);

    assert_int_equal(clm_buf_add_str(&text, "Define A xxxxxxxx\n", NULL), CLM_OK);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(clm_buf_add_str(&text, "Define A ${A}${A}\n", NULL), CLM_OK);
    }
    assert_int_equal(load(f, clm_buf_str(&text)), CLM_E_LIMIT);
    clm_buf_done(&text);
}

static void nesting_is_limited(void **state)
{
    struct fixture *f = *state;
    struct clm_buf text = CLM_BUF_INIT(1 << 20);

    for (int i = 0; i <= CLM_CONF_BLOCK_MAX; i++) {
        assert_int_equal(clm_buf_add_str(&text, "<A>\n", NULL), CLM_OK);
    }
    assert_int_equal(load(f, clm_buf_str(&text)), CLM_E_LIMIT);
    assert_non_null(strstr(f->err.msg, CONF ":65: sections are nested deeper than 64"));
    clm_buf_done(&text);
}

static void the_environment_is_read_as_a_shell_would(void **state)
{
    static const struct {
        const char *line;
        const char *value; /* of X */
    } cases[] = {
        {"X=a\\ b c", "a b"},
        {"X='a\\b'", "a\\b"},
        {"X=\"a\\\"b\"", "a\"b"},
        {"X=a\\", "a\\"},
        {"X=a;Y=b", "a"},
        {"X='a;b c'", "a;b c"},
        {"X=$Y-$SUFFIX.$APACHE_CONFDIR", "--x./etc/apache2-x"},
        {"X=1$", "${X}"},
        {"X=$(id)", "${X}"},
        {"X=$1", "${X}"},
        {"X=${Y:-b}", "${X}"},
        {"X='open", "${X}"},
        {"1X=a", "${X}"},
        {"X", "${X}"},
        {"X=old\nX=new", "new"},
        {"case a in\nX=b\nesac;\nX=c", "c"},
        {"if;\nX=b\nfi\nfi\nX=c", "c"},
        {"iffy\nX=c", "c"},
        {"export\tX=c", "c"},
    };
    const struct clm_apache_source source = {.path = CONF,
                                             .server_root = "/etc/apache2",
                                             .envvars = "/etc/apache2-x/envvars",
                                             .version = ""};
    struct fixture *f = *state;
    char text[512];

    root_io_text(f->root, CONF, "a \"${X}\"\n<IfVersion = 2.4.62>\nb\n</IfVersion>");
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char want[128];

        root_io_text(f->root, "/etc/apache2-x/envvars", cases[i].line);
        clm_conf_tree_done(&f->tree);
        assert_int_equal(
            clm_apache_conf_load(&f->io.io, &source, &f->tree, f->server_root, &f->err), CLM_OK);
        (void)snprintf(want, sizeof(want), "[a] [%s];[b];", cases[i].value);
        assert_tree(f, want);
    }
    memset(text, 'X', sizeof(text)); /* a name longer than any that is kept */
    (void)snprintf(text + 200, sizeof(text) - 200, "=a");
    root_io_text(f->root, "/etc/apache2-x/envvars", text);
    clm_conf_tree_done(&f->tree);
    assert_int_equal(clm_apache_conf_load(&f->io.io, &source, &f->tree, f->server_root, &f->err),
                     CLM_OK);
    assert_tree(f, "[a] [${X}];[b];");
}

/* n times one line, which has one %d. */
static void add_lines(struct clm_buf *text, const char *before, const char *after, int n)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(clm_buf_addf(text, NULL, "%s%d%s", before, i, after), CLM_OK);
    }
}

static void numbers_of_things_are_limited(void **state)
{
    static const struct {
        const char *before;
        const char *after;
        int n;
        enum clm_code code;
        const char *says;
    } cases[] = {
        {"Define V", " x\n", CLM_APACHE_VARS_MAX + 1, CLM_E_LIMIT, "more than 1000 variables"},
        {"LoadModule a", "_module x/b.so\n", 1001, CLM_E_LIMIT, "modules are loaded"},
        {"a", " ", 65536, CLM_E_PARSE, CONF ":1: a directive has too many arguments"},
        {"Use a", "\n", 150, CLM_OK, ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_buf text = CLM_BUF_INIT(1 << 20);

        add_lines(&text, cases[i].before, cases[i].after, cases[i].n);
        assert_int_equal(load(f, clm_buf_str(&text)), cases[i].code);
        assert_non_null(strstr(f->err.msg, cases[i].says));
        clm_buf_done(&text);
    }
    assert_int_equal(f->tree.notes.n, 100); /* of the uses of macros */
}

static void names_and_paths_that_are_too_long_are_nothing(void **state)
{
    struct fixture *f = *state;
    struct clm_buf name = CLM_BUF_INIT(1 << 20);
    struct clm_buf text = CLM_BUF_INIT(1 << 20);
    struct clm_buf want = CLM_BUF_INIT(1 << 20);

    add_lines(&name, "abcdefgh", "", 1000);
    assert_int_equal(clm_buf_addf(&text, NULL, "a ${%s}\n<IfFile %s>\nb\n</IfFile>",
                                  clm_buf_str(&name), clm_buf_str(&name)),
                     CLM_OK);
    assert_int_equal(clm_buf_addf(&want, NULL, "[a] [${%s}];", clm_buf_str(&name)), CLM_OK);
    assert_int_equal(load(f, clm_buf_str(&text)), CLM_OK);
    assert_tree(f, clm_buf_str(&want));
    clm_buf_reset(&text);
    assert_int_equal(clm_buf_addf(&text, NULL, "\nInclude %s", clm_buf_str(&name)), CLM_OK);
    assert_int_equal(load(f, clm_buf_str(&text)), CLM_E_LIMIT);
    assert_memory_equal(f->err.msg, CONF ":2: Include", strlen(CONF ":2: Include"));
    clm_buf_done(&name);
    clm_buf_done(&text);
    clm_buf_done(&want);
}

static void directories_in_directories_are_limited(void **state)
{
    struct fixture *f = *state;
    char path[256] = "/etc/apache2/d";

    for (int i = 0; i < CLM_CONF_DEPTH_MAX; i++) {
        strcat(path, "/d");
    }
    strcat(path, "/x.conf");
    root_io_text(f->root, path, "a");
    assert_int_equal(load(f, "Include d"), CLM_E_LIMIT);
    assert_string_equal(f->err.msg, CONF ":1: directories are nested deeper than 16");
    assert_int_equal(load(f, "Include d/d"), CLM_OK);
    assert_tree(f, "[a];");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_are_those_of_httpd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(variables_come_from_define_then_envvars, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conditions_are_decided_while_reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(includes_follow_files_directories_and_wildcards, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_directive_knows_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(macros_are_noted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_input_is_refused_with_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_nul_byte_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_variable_cannot_grow_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nesting_is_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_environment_is_read_as_a_shell_would, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(numbers_of_things_are_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_and_paths_that_are_too_long_are_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(directories_in_directories_are_limited, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
