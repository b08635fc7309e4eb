/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "config/config.h"
#include "config/docgen.h"
#include "config/opt.h"
#include "config/options.h"
#include "tests/support/torture.h"
#include "tests/unit/config/tree.h"

#define SAMPLE "config/clmbot.yaml" /* tests run in the source root */

static int setup(void **state)
{
    struct tree *tree = calloc(1, sizeof(*tree));

    assert_non_null(tree);
    tree_make(tree);
    *state = tree;
    return 0;
}

static int teardown(void **state)
{
    tree_remove(*state);
    free(*state);
    return 0;
}

static void must_load(struct tree *tree, struct clm_config *config)
{
    struct clm_err err = {0};

    if (clm_config_load(tree_at(tree, "clmbot.yaml"), config, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static char *show(const struct clm_config *config)
{
    struct clm_buf text = CLM_BUF_INIT(CLM_DOC_MAX);
    char *copy;

    assert_int_equal(clm_config_show(config, &text, NULL), CLM_OK);
    copy = strdup(clm_buf_str(&text));
    assert_non_null(copy);
    clm_buf_done(&text);
    return copy;
}

static void a_file_and_its_drop_ins_are_joined(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;

    tree_file(tree, "clmbot.yaml", "policy: {names: {allow: [a.example]}}\ndeploy: {retain: 4}\n");
    tree_dir(tree, "clmbot.d");
    tree_file(tree, "clmbot.d/20-b.yaml", "policy: {names: {allow: [c.example]}}\n");
    tree_file(tree, "clmbot.d/10-a.yaml", "policy: {names: {allow: [b.example]}}\n");
    tree_file(tree, "clmbot.d/README", "not: [yaml\n");
    must_load(tree, &config);
    assert_string_equal(config.path, tree_at(tree, "clmbot.yaml"));
    assert_int_equal(config.deploy.retain, 4);
    assert_int_equal(config.policy.names_allow.n, 3);
    assert_string_equal(config.policy.names_allow.v[0], "a.example");
    assert_string_equal(config.policy.names_allow.v[1], "b.example");
    assert_string_equal(config.policy.names_allow.v[2], "c.example");
    clm_config_done(&config);
    clm_config_done(&config);
    clm_config_done(NULL);
}

static void faults_in_drop_ins_are_told_with_their_file(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;
    struct clm_err err = {0};
    char want[400];

    tree_file(tree, "clmbot.yaml", "\n\ndeploy: {retain: 4}\n");
    tree_dir(tree, "clmbot.d");
    tree_file(tree, "clmbot.d/a.yaml", "deploy: {retain: 5}\n");
    assert_int_equal(clm_config_load(tree_at(tree, "clmbot.yaml"), &config, &err), CLM_E_CONFIG);
    (void)snprintf(want, sizeof(want),
                   "%s/clmbot.d/a.yaml:1:18: 'deploy.retain': already set in %s/clmbot.yaml, line "
                   "3; remove one of the two",
                   tree->root, tree->root);
    assert_string_equal(err.msg, want);
    assert_string_equal(config.path, "");
    tree_file(tree, "clmbot.d/a.yaml", "a: 1\nb: [\n");
    assert_int_equal(clm_config_load(tree_at(tree, "clmbot.yaml"), &config, &err), CLM_E_CONFIG);
    (void)snprintf(want, sizeof(want), "%s/clmbot.d/a.yaml:3:1: ", tree->root);
    assert_int_equal(strncmp(err.msg, want, strlen(want)), 0);
}

static void writable_files_are_refused_before_they_are_read(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;
    struct clm_err err = {0};

    tree_file(tree, "clmbot.yaml", "nonsense: [\n");
    tree_mode(tree, "clmbot.yaml", 0666);
    assert_int_equal(clm_config_load(tree_at(tree, "clmbot.yaml"), &config, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "is writable by group or others (mode 0666)"));
    tree_file(tree, "clmbot.yaml", "");
    tree_dir(tree, "clmbot.d");
    tree_mode(tree, "clmbot.d", 0775);
    assert_int_equal(clm_config_load(tree_at(tree, "clmbot.yaml"), &config, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "/clmbot.d' is writable by group or others (mode 0775)"));
    tree_mode(tree, "clmbot.d", 0755);
    tree_file(tree, "clmbot.d/a.yaml", "");
    tree_mode(tree, "clmbot.d/a.yaml", 0606);
    assert_int_equal(clm_config_load(tree_at(tree, "clmbot.yaml"), &config, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "/a.yaml' is writable by group or others (mode 0606)"));
}

static void a_named_file_must_exist(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;
    struct clm_err err = {0};

    assert_int_equal(clm_config_load(tree_at(tree, "none.yaml"), &config, &err), CLM_E_NOTFOUND);
    assert_non_null(strstr(err.msg, "/none.yaml'"));
}

static void a_large_file_is_refused(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;
    struct clm_err err = {0};
    static char big[CLM_YAML_TEXT_MAX + 2];

    memset(big, '#', sizeof(big) - 1);
    tree_file(tree, "clmbot.yaml", big);
    assert_int_equal(clm_config_load(tree_at(tree, "clmbot.yaml"), &config, &err), CLM_E_LIMIT);
    big[CLM_YAML_TEXT_MAX] = '\0';
    tree_file(tree, "clmbot.yaml", big);
    must_load(tree, &config);
    clm_config_done(&config);
}

static void a_relative_path_is_made_absolute(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;
    struct clm_err err = {0};
    char before[4096];
    enum clm_code code;

    tree_file(tree, "clmbot.yaml", "user: other\n");
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(tree->root), 0);
    code = clm_config_load("clmbot.yaml", &config, &err);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(code, CLM_OK);
    assert_string_equal(config.path, tree_at(tree, "clmbot.yaml"));
    assert_string_equal(config.user, "other");
    clm_config_done(&config);
}

static void what_is_shown_can_be_loaded_and_is_the_same(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;
    char *first;
    char *second;

    tree_file(
        tree, "clmbot.yaml",
        "run_dir: '/run/a \"b\" \\c'\n"
        "scan: {kinds: [], probe: false}\n"
        "policy: {names: {allow: ['*.a.example', 192.0.2.1]}, webroots: {x: /x, y: '/y z'}}\n");
    must_load(tree, &config);
    assert_string_equal(config.run_dir, "/run/a \"b\" \\c");
    first = show(&config);
    clm_config_done(&config);
    tree_file(tree, "clmbot.yaml", first);
    must_load(tree, &config);
    second = show(&config);
    clm_config_done(&config);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "\nscan:\n  interval: 86400\n  kinds: []\n  probe: false\n"));
    assert_non_null(strstr(first, "\n  names:\n    allow: [\"*.a.example\", \"192.0.2.1\"]\n"));
    assert_non_null(strstr(first, "\n  webroots: {x: \"/x\", y: \"/y z\"}\n"));
    free(first);
    free(second);
}

static struct clm_buf read_sample(void)
{
    struct clm_buf text = CLM_BUF_INIT(CLM_YAML_TEXT_MAX);

    assert_int_equal(clm_fs_read(SAMPLE, CLM_YAML_TEXT_MAX, &text, NULL), CLM_OK);
    return text;
}

static void the_sample_changes_nothing(void **state)
{
    struct tree *tree = *state;
    struct clm_buf text = read_sample();
    struct clm_config config;
    char *defaults;
    char *sample;

    tree_file(tree, "clmbot.yaml", "");
    must_load(tree, &config);
    defaults = show(&config);
    clm_config_done(&config);
    tree_file(tree, "clmbot.yaml", clm_buf_str(&text));
    must_load(tree, &config);
    sample = show(&config);
    clm_config_done(&config);
    assert_string_equal(sample, defaults);
    free(sample);
    free(defaults);
    clm_buf_done(&text);
}

static enum clm_code load_body(void *arg, struct clm_err *err)
{
    struct clm_config config;
    enum clm_code code = clm_config_load(arg, &config, err);

    clm_config_done(&config);
    return code;
}

static void a_configuration_is_loaded_whole_or_not_at_all(void **state)
{
    struct tree *tree = *state;
    char path[256];

    tree_file(tree, "clmbot.yaml",
              "state_dir: /s\npolicy: {names: {allow: [a.b, '::1']}, webroots: {a: /a, b: /b}}\n");
    tree_dir(tree, "clmbot.d");
    tree_file(tree, "clmbot.d/a.yaml", "scan: {kinds: [a]}\n");
    tree_file(tree, "clmbot.d/b.yaml", "");
    (void)strcpy(path, tree_at(tree, "clmbot.yaml"));
    assert_true(clm_torture(load_body, path) > 20);
}

/* Wherever the room ends: an error with a reason, and never half a page for a whole one. */
static void a_page_that_does_not_fit_is_an_error(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;
    struct clm_buf whole = CLM_BUF_INIT(CLM_DOC_MAX);

    tree_file(tree, "clmbot.yaml",
              "policy: {names: {allow: [a.example, b.example]}}\nscan: {kinds: [a, b]}\n");
    must_load(tree, &config);
    assert_int_equal(clm_config_show(&config, &whole, NULL), CLM_OK);
    for (size_t max = 1; max <= whole.len; max++) {
        struct clm_buf page = CLM_BUF_INIT(max);
        struct clm_err err = {0};
        enum clm_code code = clm_config_show(&config, &page, &err);

        assert_int_equal(code, max < whole.len ? CLM_E_LIMIT : CLM_OK);
        assert_int_equal(err.msg[0] == '\0', code == CLM_OK);
        clm_buf_done(&page);
    }
    clm_buf_done(&whole);
    clm_config_done(&config);
}

static void the_sample_shows_every_option(void **state)
{
    struct clm_buf text = read_sample();
    struct clm_yaml *root = NULL;
    struct clm_opt_seen seen = {0};
    struct clm_config config = {0};
    size_t i = 0;

    (void)state;
    assert_int_equal(clm_yaml_parse(SAMPLE, clm_buf_str(&text), text.len, &root, NULL), CLM_OK);
    assert_int_equal(clm_opt_apply(clm_options(), root, SAMPLE, &seen, &config, NULL), CLM_OK);
    for (; clm_options()[i].key != NULL; i++) {
        if (seen.at[i].file == NULL) {
            fail_msg("'%s' is not in the sample", clm_options()[i].key);
        }
    }
    clm_config_done(&config);
    clm_yaml_free(root);
    clm_buf_done(&text);
}

static void templates_of_requests_are_checked_where_they_stand(void **state)
{
    struct tree *tree = *state;
    static const struct {
        const char *text;
        const char *says; /* NULL: loads */
    } rows[] = {
        {"web: {subject: {o: Example, ou: [A, B]}, must_staple: true, hash: sha384}", NULL},
        {"web: {hash: md5}", "clmbot.yaml:1:31: 'policy.csr_templates': 'web': 'hash': 'md5'"},
        {"web: {must_staple: \"true\"}", "must_staple"},
        {"web: {subject: {cn: www.example.com}}", "a template has no names"},
        {"web: {sans: {dns: [a.example]}}", "sans"},
        {"web: {subject: {ou: [[A]]}}", "an element of a list must be a text"},
        {"web: {hash: }", "a member has no value"},
        {"Web: {}", "is not a name"},
        {"web: text", "must be a map"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_config config;
        struct clm_err err = {0};
        char text[256];

        (void)snprintf(text, sizeof(text), "policy: {csr_templates: {%s}}\n", rows[i].text);
        tree_file(tree, "clmbot.yaml", text);
        enum clm_code code = clm_config_load(tree_at(tree, "clmbot.yaml"), &config, &err);

        if (rows[i].says == NULL ? code != CLM_OK
                                 : code == CLM_OK || strstr(err.msg, rows[i].says) == NULL) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        clm_config_done(&config);
    }
}

static void templates_of_all_files_are_joined_and_shown(void **state)
{
    struct tree *tree = *state;
    struct clm_config config;
    struct clm_err err = {0};
    char *text;

    tree_file(tree, "clmbot.yaml", "policy: {csr_templates: {web: {hash: sha384}}}\n");
    tree_dir(tree, "clmbot.d");
    tree_file(tree, "clmbot.d/a.yaml", "policy: {csr_templates: {mail: {must_staple: true}}}\n");
    must_load(tree, &config);
    text = show(&config);
    assert_non_null(strstr(text,
                           "csr_templates: "
                           "{\"web\":{\"hash\":\"sha384\"},\"mail\":{\"must_staple\":true}}\n"));
    free(text);
    clm_config_done(&config);
    tree_file(tree, "clmbot.d/b.yaml", "policy: {csr_templates: {web: {}}}\n");
    assert_int_equal(clm_config_load(tree_at(tree, "clmbot.yaml"), &config, &err), CLM_E_CONFIG);
    assert_non_null(strstr(err.msg, "b.yaml"));
    assert_non_null(strstr(err.msg, "is already set"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_that_does_not_fit_is_an_error),
        TEST(a_file_and_its_drop_ins_are_joined),
        TEST(faults_in_drop_ins_are_told_with_their_file),
        TEST(writable_files_are_refused_before_they_are_read),
        TEST(a_named_file_must_exist),
        TEST(a_large_file_is_refused),
        TEST(a_relative_path_is_made_absolute),
        TEST(what_is_shown_can_be_loaded_and_is_the_same),
        TEST(the_sample_changes_nothing),
        TEST(the_sample_shows_every_option),
        TEST(a_configuration_is_loaded_whole_or_not_at_all),
        TEST(templates_of_requests_are_checked_where_they_stand),
        TEST(templates_of_all_files_are_joined_and_shown),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
