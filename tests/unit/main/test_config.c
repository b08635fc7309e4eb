/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, by the command that checks it and by all that need it; documents; the version. */
#include "tests/unit/main/stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOBODY                                                                                     \
    {                                                                                              \
        {                                                                                          \
            .ask = NULL                                                                            \
        }                                                                                          \
    }

/* Each stage is of one configuration: the lines of it. */
static void try_with(const char *config, const struct stage_case *c)
{
    static struct stage s;

    stage_open(&s, config);
    stage_try(&s, c, 1);
    stage_close(&s);
}

static void check_says_where_the_file_is_and_what_is_missing(void **state)
{
    static const struct stage_case bare = {
        NOBODY,
        "config check",
        CLM_EXIT_ATTENTION,
        {"/clmbot.yaml: good\nnote: policy.names.allow is empty: no certificate can be ordered"},
        NULL,
        NULL};
    static const struct stage_case bare_json = {NOBODY,
                                                "config check --json",
                                                CLM_EXIT_ATTENTION,
                                                {"\"schema\": \"clmbot.config-check\"",
                                                 "\"ok\": true", "/clmbot.yaml\"",
                                                 "\"notes\": [\n    \"policy.names.allow is empty"},
                                                NULL,
                                                NULL};
    static const struct stage_case whole = {
        NOBODY, "config check", CLM_EXIT_GOOD, {"/clmbot.yaml: good\n"}, "note", NULL};
    static const struct stage_case whole_json = {
        NOBODY, "config check --json", CLM_EXIT_GOOD, {"\"notes\": []"}, NULL, NULL};
    static const char names[] = "policy:\n  names:\n    allow: [\"*.example.com\"]\n";

    (void)state;
    try_with("", &bare);
    try_with("", &bare_json);
    try_with(names, &whole);
    try_with(names, &whole_json);
}

static void level_of_the_log_is_one_of_five(void **state)
{
    static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};
    static const struct stage_case good = {NOBODY,       "config check", CLM_EXIT_ATTENTION,
                                           {": good\n"}, NULL,           NULL};
    static const struct stage_case bad = {NOBODY, "config check", CLM_EXIT_CONFIG,
                                          {NULL}, "good",         "log.level"};
    char text[64];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(levels); i++) {
        (void)snprintf(text, sizeof(text), "log:\n  level: %s\n", levels[i]);
        try_with(text, &good);
    }
    try_with("log:\n  level: loud\n", &bad);
}

static void every_command_says_where_the_configuration_is_wrong(void **state)
{
    static const char *const lines[] = {
        "status", "jobs",   "job job_1", "scan",    "certs",        "explain nginx:a",
        "doctor", "verify", "plan x",    "history", "config check", "config check --json"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        const struct stage_case c = {NOBODY, lines[i], CLM_EXIT_CONFIG,
                                     {NULL}, "{",      "clmbot.yaml:2:1: unknown key 'nonsense'"};

        try_with("nonsense: 1\n", &c);
    }
}

static void built_in_defaults_need_no_file(void **state)
{
    static const struct stage_case cases[] = {
        {NOBODY, "completion", CLM_EXIT_GOOD, {"_clmbot"}, NULL, NULL},
        {NOBODY, "_mdoc", CLM_EXIT_GOOD, {".Bl", "keystore show"}, NULL, NULL},
        {NOBODY, "config doc", CLM_EXIT_GOOD, {"state_dir"}, ".Bl", NULL},
        {NOBODY, "config doc --format markdown", CLM_EXIT_GOOD, {"state_dir"}, ".It", NULL},
        {NOBODY, "config doc --format mdoc", CLM_EXIT_GOOD, {".It", "state_dir"}, NULL, NULL},
        {NOBODY, "config doc --format word", CLM_EXIT_USAGE, {NULL}, "state_dir", "word"},
        {NOBODY, "version", CLM_EXIT_GOOD, {"clmbot " CLM_VERSION "\n"}, NULL, NULL},
        {NOBODY, "version --json", CLM_EXIT_GOOD, {"\"clmbot\": \"" CLM_VERSION "\""}, NULL, NULL},
        {NOBODY, "--help", CLM_EXIT_GOOD, {"Look", "Act", "Set up", "Services"}, "_job", NULL},
    };
    static struct stage s;

    (void)state;
    stage_open(&s, "");
    stage_try(&s, cases, CLM_ARRAY_LEN(cases));
    stage_close(&s);
}

static void document_that_does_not_arrive_is_a_failure(void **state)
{
    static const char *const lines[] = {"config doc", "version", "completion", "version --json"};
    static struct stage s;

    (void)state;
    stage_open(&s, "");
    s.out_to = "/dev/full";
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        assert_int_equal(stage_run(&s, lines[i]), CLM_EXIT_FAILED);
        stage_has(s.err, "clmbot: output: No space left on device\n");
    }
    stage_close(&s);
}

/* Only where there is no configuration of this host. */
static void host_without_a_file_has_the_defaults(void **state)
{
    char program[] = "clmbot";
    char config[] = "config";
    char check[] = "check";
    char *argv[] = {program, config, check, NULL};
    static struct stage s;
    int status;

    (void)state;
    if (access(CLM_CONFIG_DEFAULT_PATH, F_OK) == 0) {
        skip();
    }
    stage_open(&s, "");
    stage_redirect(&s);
    status = clm_cli_main(&clm_cmd_app, 3, argv, NULL);
    stage_restore(&s);
    assert_int_equal(status, CLM_EXIT_ATTENTION);
    stage_has(s.out, "built-in defaults: good\n");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_says_where_the_file_is_and_what_is_missing),
        cmocka_unit_test(level_of_the_log_is_one_of_five),
        cmocka_unit_test(every_command_says_where_the_configuration_is_wrong),
        cmocka_unit_test(built_in_defaults_need_no_file),
        cmocka_unit_test(document_that_does_not_arrive_is_a_failure),
        cmocka_unit_test(host_without_a_file_has_the_defaults),
    };

    return cmocka_run_group_tests_name("main_config", tests, NULL, NULL);
}
