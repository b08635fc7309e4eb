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
#include "agent/formats/nginx_conf.h"
#include "tests/support/root_io.h"

#define CONF "/etc/nginx/nginx.conf"

struct fixture {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_conf_tree tree;
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

    clm_conf_tree_done(&f->tree);
    root_io_remove(f->root);
    free(f);
    return 0;
}

static enum clm_code load(struct fixture *f, const char *text)
{
    if (text != NULL) {
        root_io_text(f->root, CONF, text);
    }
    clm_conf_tree_done(&f->tree);
    f->err = (struct clm_err){.code = CLM_OK};
    return clm_nginx_conf_load(&f->io.io, CONF, &f->tree, &f->err);
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

static void tokens_are_those_of_nginx(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"", ""},
        {"a;", "[a];"},
        {"a b\tc\r\n d ;", "[a] [b] [c] [d];"},
        {"a 'b c' \"d e\";", "[a] [b c] [d e];"},
        {"a \"it's\" 'say \"x\"';", "[a] [it's] [say \"x\"];"},
        {"a 'it\\'s' \"\\\"\" \\;x;", "[a] [it's] [\"] [\\;x];"},
        {"a \\t\\n\\r\\\\ \\. ;", "[a] [\t\n\r\\] [\\.];"},
        {"a \"\" '';", "[a] [] [];"},
        {"a b#c; # comment ; }\nd;", "[a] [b#c];[d];"},
        {"a ${x}y $z{ b; }", "[a] [${x}y] [$z]{[b];};"},
        {"a x\"y z\"w;", "[a] [x\"y] [z\"w];"},
        {"a { b { c d; } } e;", "[a]{[b]{[c] [d];};};[e];"},
        {"a {}", "[a]{};"},
        {"if ($x ~ \"a\") { b; }", "[if] [($x] [~] [a]{[b];};"},
        {"a b}c;", "[a] [b}c];"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = *state;

        if (load(f, cases[i].text) != CLM_OK) {
            fail_msg("case %zu: %s", i, f->err.msg);
        }
        assert_tree(f, cases[i].want);
    }
}

static void lua_is_passed_over(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "location / {\n content_by_lua_block {\n  local t = { a = '}' } -- }\n"
                             "  --[[ } ]] local s = [==[ } ]] ]==] .. \"\\\"}\"\n  if t[1] then "
                             "ngx.say(t['x']) end\n"
                             " }\n root /x;\n}\nset_by_lua_block $v { return {} }\nz;"),
                     CLM_OK);
    assert_tree(f, "[location] [/]{[content_by_lua_block]{};[root] [/x];};"
                   "[set_by_lua_block] [$v]{};[z];");
    assert_int_equal(clm_conf_first(&f->tree.root, "z")->line, 10);
    assert_int_equal(
        load(f, "a_by_lua_block {\n --[[ }\n } ]] x = [=[ {{ ' ]] \n } ]=] y = 1\n}\nz;"), CLM_OK);
    assert_tree(f, "[a_by_lua_block]{};[z];");
    assert_int_equal(clm_conf_first(&f->tree.root, "z")->line, 6);
    assert_int_equal(load(f, "a_by_lua_block {\n x = 'a\\\n}' y = 1 - 2 s = [=x \"\n}z;"), CLM_OK);
    assert_tree(f, "[a_by_lua_block]{};[z];");
    assert_int_equal(clm_conf_first(&f->tree.root, "z")->line, 4);
}

static void every_directive_knows_its_place(void **state)
{
    struct fixture *f = *state;
    const struct clm_conf_node *http;

    root_io_text(f->root, "/etc/nginx/conf.d/b.conf", "# one\n\nserver {\n\n  listen\n   80;\n}\n");
    assert_int_equal(load(f, "user x;\nhttp {\n  include conf.d/*.conf;\n}\n"), CLM_OK);
    http = clm_conf_first(&f->tree.root, "http");
    assert_int_equal(http->line, 2);
    assert_string_equal(http->children->file, "/etc/nginx/conf.d/b.conf");
    assert_int_equal(http->children->line, 3);
    assert_int_equal(http->children->children->line, 5);
    assert_string_equal(http->children->parent->args[0], "http");
}

static void includes_are_sorted_and_relative_to_the_main_file(void **state)
{
    struct fixture *f = *state;

    root_io_text(f->root, "/etc/nginx/sites/b", "b;");
    root_io_text(f->root, "/etc/nginx/sites/a", "a; include deep/x;");
    root_io_text(f->root, "/etc/nginx/sites/.hidden", "hidden;");
    root_io_text(f->root, "/etc/nginx/deep/x", "x;");
    root_io_text(f->root, "/srv/1/n.conf", "one;");
    root_io_text(f->root, "/srv/2/n.conf", "two;");
    assert_int_equal(load(f, "include sites/*; include /srv/[12]/n.conf; include none/*;"), CLM_OK);
    assert_tree(f, "[a];[x];[b];[one];[two];");
    assert_int_equal(f->tree.files.seen.n, 6);
}

static void bad_input_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        enum clm_code code;
        const char *says;
    } cases[] = {
        {"a b", CLM_E_PARSE, CONF ":1: the directive 'a' is not ended"},
        {"\na 'b;\n", CLM_E_PARSE, CONF ":2: the quote that begins here"},
        {"a 'b'c;", CLM_E_PARSE, CONF ":1: a quoted argument"},
        {"a {\n b;\n", CLM_E_PARSE, CONF ":1: the block 'a' is not closed"},
        {"a;\n}", CLM_E_PARSE, CONF ":2: unexpected '}'"},
        {"a { b }", CLM_E_PARSE, CONF ":1: unexpected '}'"},
        {"{", CLM_E_PARSE, CONF ":1: unexpected '{'"},
        {";", CLM_E_PARSE, CONF ":1: unexpected ';'"},
        {"a;\n x_by_lua_block {\n {", CLM_E_PARSE, CONF ":2: the Lua block"},
        {"x_by_lua_block { '", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"x_by_lua_block { 'a", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"x_by_lua_block { 'a\\", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"x_by_lua_block { [", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"x_by_lua_block { [==", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"x_by_lua_block { -", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"x_by_lua_block { --", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"x_by_lua_block { -- }", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"a\\", CLM_E_PARSE, CONF ":1: the directive 'a\\' is not ended"},
        {"a '\\", CLM_E_PARSE, CONF ":1: the quote that begins here"},
        {"a $", CLM_E_PARSE, CONF ":1: the directive 'a' is not ended"},
        {"a 'b'", CLM_E_PARSE, CONF ":1: the directive 'a' is not ended"},
        {"x_by_lua_block { [==[ ]=]", CLM_E_PARSE, CONF ":1: the Lua block"},
        {"\ninclude missing.conf;", CLM_E_NOTFOUND, CONF ":2: include: "},
        {"include nginx.conf;", CLM_E_CONFIG, CONF ":1: include: '" CONF "' includes itself"},
        {"include .;", CLM_E_CONFIG, "is not a regular file"},
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

    root_io_write(f->root, CONF, "a b\0c;", 6);
    assert_int_equal(load(f, NULL), CLM_E_PARSE);
    assert_non_null(strstr(f->err.msg, "NUL byte"));
}

static void loops_end(void **state)
{
    struct fixture *f = *state;

    root_io_text(f->root, "/etc/nginx/b", "include c;");
    root_io_text(f->root, "/etc/nginx/c", "x;\ninclude b;");
    assert_int_equal(load(f, "include b;"), CLM_E_CONFIG);
    assert_string_equal(f->err.msg, "/etc/nginx/c:2: include: '/etc/nginx/b' includes itself");

    root_io_link(f->root, "/etc/nginx/loop", ".");
    root_io_text(f->root, "/etc/nginx/d", "include loop/*/d;");
    assert_int_not_equal(load(f, "include loop/d;"), CLM_OK);
}

static void depth_number_and_size_are_limited(void **state)
{
    struct fixture *f = *state;
    struct clm_buf text = CLM_BUF_INIT(1 << 20);

    for (int i = 0; i <= CLM_CONF_DEPTH_MAX; i++) {
        char path[64];
        char line[64];

        (void)snprintf(path, sizeof(path), "/etc/nginx/d%d", i);
        (void)snprintf(line, sizeof(line), "include d%d;", i + 1);
        root_io_text(f->root, path, line);
    }
    assert_int_equal(load(f, "include d0;"), CLM_E_LIMIT);
    assert_non_null(strstr(f->err.msg, "nested deeper than 16"));

    for (int i = 0; i <= CLM_CONF_FILES_MAX; i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/etc/nginx/many/%d", i);
        root_io_text(f->root, path, "a;");
    }
    assert_int_equal(load(f, "include many/*;"), CLM_E_LIMIT);

    for (int i = 0; i <= CLM_CONF_BLOCK_MAX; i++) {
        assert_int_equal(clm_buf_add_str(&text, "a { ", NULL), CLM_OK);
    }
    assert_int_equal(load(f, clm_buf_str(&text)), CLM_E_LIMIT);
    assert_non_null(strstr(f->err.msg, "blocks are nested deeper"));

    clm_buf_reset(&text);
    for (int i = 0; i <= 65535; i++) {
        assert_int_equal(clm_buf_add_str(&text, "a ", NULL), CLM_OK);
    }
    assert_int_equal(load(f, clm_buf_str(&text)), CLM_E_PARSE);
    assert_string_equal(f->err.msg, CONF ":1: a directive has too many arguments");
    clm_buf_done(&text);
}

static void paths_that_are_too_long_are_refused(void **state)
{
    struct fixture *f = *state;
    char text[PATH_MAX + 64] = "include /";

    memset(text + strlen(text), 'x', PATH_MAX);
    strcat(text, ";");
    assert_int_equal(load(f, text), CLM_E_LIMIT);
    assert_int_not_equal(f->err.msg[0], '\0');
    clm_conf_tree_done(&f->tree);
    text[strlen(text) - 1] = '/';
    assert_int_equal(clm_nginx_conf_load(&f->io.io, text, &f->tree, &f->err), CLM_E_LIMIT);
}

static void empty_includes_cost_too(void **state)
{
    struct fixture *f = *state;
    struct clm_buf text = CLM_BUF_INIT(1 << 20);

    /* 16^16 inclusions of next to nothing */
    for (int i = 0; i < 16; i++) {
        assert_int_equal(clm_buf_add_str(&text, "include n/*;", NULL), CLM_OK);
    }
    for (int i = 0; i < 12; i++) {
        char path[64];
        char lines[1024] = "";

        (void)snprintf(path, sizeof(path), "/etc/nginx/l%d", i);
        for (int k = 0; k < 16 && i < 11; k++) {
            size_t len = strlen(lines);

            (void)snprintf(lines + len, sizeof(lines) - len, "include l%d;", i + 1);
        }
        root_io_text(f->root, path, lines);
    }
    assert_int_equal(load(f, "include l0;"), CLM_E_LIMIT);
    assert_non_null(strstr(f->err.msg, "64 MiB"));
    clm_buf_done(&text);
}

static void each_inclusion_is_charged(void **state)
{
    struct fixture *f = *state;

    root_io_text(f->root, "/etc/nginx/e", "");
    assert_int_equal(load(f, "include e;include e;"), CLM_OK);
    assert_int_equal(f->tree.files.bytes, 20 + 3 * CLM_CONF_READ_COST);
    assert_int_equal(f->tree.files.seen.n, 2);
}

static void a_huge_file_is_refused_unread(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX + 32];
    FILE *file;

    root_io_text(f->root, "/etc/nginx/huge", "");
    (void)snprintf(path, sizeof(path), "%s/etc/nginx/huge", f->root);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fseek(file, 70L * 1024 * 1024, SEEK_SET), 0);
    assert_int_equal(fputc('\n', file), '\n');
    assert_int_equal(fclose(file), 0);
    assert_int_equal(load(f, "include huge;"), CLM_E_LIMIT);
    assert_int_equal(f->io.reads, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tokens_are_those_of_nginx, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lua_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_directive_knows_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(includes_are_sorted_and_relative_to_the_main_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bad_input_is_refused_with_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_nul_byte_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loops_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(depth_number_and_size_are_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_that_are_too_long_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_includes_cost_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_inclusion_is_charged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_huge_file_is_refused_unread, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
