/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations over several files, read while each allocation in turn fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>

#include "agent/formats/apache_conf.h"
#include "agent/formats/nginx_conf.h"
#include "tests/support/root_io.h"
#include "tests/support/torture.h"

static enum clm_code load_apache(void *arg, struct clm_err *err)
{
    struct root_io *io = arg;
    char defines[] = "SSL";
    char *list[] = {defines};
    const struct clm_strs given = {.v = list, .n = 1};
    const struct clm_apache_source source = {.path = "/c/apache2.conf",
                                             .server_root = "/c",
                                             .envvars = "/c/envvars",
                                             .defines = &given,
                                             .version = "2.4.57"};
    struct clm_conf_tree tree = {.root = {.n = 0}};
    char root[PATH_MAX];
    enum clm_code code = clm_apache_conf_load(&io->io, &source, &tree, root, err);

    clm_conf_tree_done(&tree);
    return code;
}

static enum clm_code load_nginx(void *arg, struct clm_err *err)
{
    struct root_io *io = arg;
    struct clm_conf_tree tree = {.root = {.n = 0}};
    enum clm_code code = clm_nginx_conf_load(&io->io, "/c/nginx.conf", &tree, err);

    clm_conf_tree_done(&tree);
    return code;
}

static void lack_of_memory_is_told_at_every_allocation(void **state)
{
    char root[PATH_MAX];
    struct root_io io;

    (void)state;
    root_io_temp(root);
    root_io_init(&io, root);
    root_io_text(root, "/c/envvars", "A=1\nexport B=\"$A'x'\"\nA=2\n");
    root_io_text(root, "/c/dir/x/1", "a ${B}\n");
    root_io_text(root, "/c/dir/2", "<D a>\nb\n</D>\n");
    root_io_text(root, "/c/site/a.conf", "a b c;");
    root_io_text(root, "/c/site/b.conf", "d;");
    root_io_text(root, "/c/apache2.conf",
                 "Define A b\nDefine A c\nLoadModule mpm_event_module mod_mpm_event.so\n"
                 "Include dir\nIncludeOptional s*/*.conf\n<Macro M>\n</Macro>\nUse M\n"
                 "<IfModule event.c>\nword \"${A} ${B}\"\n</IfModule>\n");
    root_io_text(root, "/c/nginx.conf",
                 "a 'b' c;\nhttp { include s*/*.conf; x_by_lua_block { } }\ninclude site/a.conf;");
    assert_true(clm_torture(load_apache, &io) > 100);
    assert_true(clm_torture(load_nginx, &io) > 50);
    root_io_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lack_of_memory_is_told_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
