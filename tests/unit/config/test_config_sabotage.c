/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration with its drop-ins, read while each call of libc in turn fails once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "config/docgen.h"
#include "tests/support/sabotage.h"
#include "tests/unit/config/tree.h"

static enum clm_code load_and_show(void *arg, struct clm_err *err)
{
    struct clm_config config;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_DOC_MAX);
    enum clm_code code = clm_config_load(arg, &config, err);

    if (code == CLM_OK) {
        code = clm_config_show(&config, &text, err);
        clm_config_done(&config);
    }
    return code;
}

static void every_failure_has_a_reason(void **state)
{
    struct tree tree;
    char path[4096];
    struct clm_sabotage plan = {.act = load_and_show, .arg = path};

    (void)state;
    tree_make(&tree);
    tree_file(&tree, "clmbot.yaml", "policy: {names: {allow: [a.example]}}\ndeploy: {retain: 4}\n");
    tree_dir(&tree, "clmbot.d");
    tree_file(&tree, "clmbot.d/10-a.yaml", "policy: {names: {allow: [b.example]}}\n");
    tree_file(&tree, "clmbot.d/20-b.yaml", "");
    (void)snprintf(path, sizeof(path), "%s", tree_at(&tree, "clmbot.yaml"));
    assert_true(clm_sabotage_run(&plan, NULL) > 50);
    /* and found from the current directory */
    path[strlen(path) - strlen("/clmbot.yaml")] = '\0';
    assert_int_equal(chdir(path), 0);
    (void)strcpy(path, "clmbot.yaml");
    assert_true(clm_sabotage_run(&plan, "getcwd open64") > 0);
    assert_int_equal(chdir("/"), 0);
    tree_remove(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failure_has_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
