/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/torture.h"
#include "tests/unit/base/cli_sample.h"

#define WORDS_MAX 16
#define LINE_SIZE 200

/* Splits a line at its blanks into words of copy, NULL-ended; returns how many. */
static int split(const char *line, char *copy, size_t size, char **words)
{
    int n = 0;
    char *rest;

    assert_true(strlen(line) < size);
    memcpy(copy, line, strlen(line) + 1);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        assert_true(n < WORDS_MAX - 1);
        words[n++] = word;
    }
    words[n] = NULL;
    return n;
}

static void assert_refused(const char *line, const char *why)
{
    struct clm_cli_args args;
    struct clm_err err = {0};
    char copy[LINE_SIZE];
    char *words[WORDS_MAX];
    int n = split(line, copy, sizeof(copy), words);
    enum clm_code code = clm_cli_parse(&sample_app, n, words, &args, &err);

    if (code != CLM_E_INVAL || strcmp(err.msg, why) != 0) {
        fail_msg("'%s': %s '%s', expected '%s'", line, clm_code_name(code), err.msg, why);
    }
    clm_cli_done(&args);
}

/* Declares args, parsed from a line. */
#define PARSED(line)                                                                               \
    struct clm_cli_args args;                                                                      \
    struct clm_err err = {0};                                                                      \
    char copy[LINE_SIZE];                                                                          \
    char *words[WORDS_MAX];                                                                        \
    int n_words = split((line), copy, sizeof(copy), words);                                        \
    if (clm_cli_parse(&sample_app, n_words, words, &args, &err) != CLM_OK) {                       \
        fail_msg("%s", err.msg);                                                                   \
    }

static void options_stand_anywhere(void **state)
{
    PARSED("clmbot -q --config /a status nginx:a --days 30 -j file:b -c /b");
    (void)state;
    assert_string_equal(args.cmd->name, "status");
    assert_int_equal(args.n_args, 2);
    assert_string_equal(args.args[0], "nginx:a");
    assert_string_equal(args.args[1], "file:b");
    assert_true(clm_cli_has(&args, "json"));
    assert_true(clm_cli_has(&args, "quiet"));
    assert_false(clm_cli_has(&args, "watch"));
    assert_int_equal(clm_cli_int(&args, "days", 7), 30);
    assert_string_equal(clm_cli_str(&args, "config", "/etc"), "/b");
    clm_cli_done(&args);
}

static void absent_options_have_a_fallback(void **state)
{
    PARSED("clmbot status");
    (void)state;
    assert_int_equal(args.n_args, 0);
    assert_int_equal(clm_cli_int(&args, "days", 7), 7);
    assert_string_equal(clm_cli_str(&args, "config", "/etc"), "/etc");
    assert_null(clm_cli_str(&args, "config", NULL));
    clm_cli_done(&args);
}

static void letters_share_a_word(void **state)
{
    PARSED("clmbot status -jwd5 -q");
    (void)state;
    assert_true(clm_cli_has(&args, "json"));
    assert_true(clm_cli_has(&args, "watch"));
    assert_true(clm_cli_has(&args, "quiet"));
    assert_int_equal(clm_cli_int(&args, "days", 7), 5);
    clm_cli_done(&args);
}

static void two_words_make_a_command(void **state)
{
    PARSED("clmbot config show --config=/x");
    (void)state;
    assert_string_equal(args.cmd->name, "config show");
    assert_int_equal(args.n_args, 0);
    assert_string_equal(clm_cli_str(&args, "config", ""), "/x");
    clm_cli_done(&args);
}

static void values_repeat_in_order(void **state)
{
    PARSED("clmbot order --san a www --san=b --format json --san c");
    (void)state;
    assert_string_equal(args.args[0], "www");
    assert_string_equal(clm_cli_nth(&args, "san", 0), "a");
    assert_string_equal(clm_cli_nth(&args, "san", 1), "b");
    assert_string_equal(clm_cli_nth(&args, "san", 2), "c");
    assert_null(clm_cli_nth(&args, "san", 3));
    assert_string_equal(clm_cli_str(&args, "san", ""), "c");
    clm_cli_done(&args);
}

static void two_dashes_end_the_options(void **state)
{
    PARSED("clmbot status -j -- --watch -w");
    (void)state;
    assert_int_equal(args.n_args, 2);
    assert_string_equal(args.args[0], "--watch");
    assert_false(clm_cli_has(&args, "watch"));
    clm_cli_done(&args);
}

static void hidden_commands_work(void **state)
{
    PARSED("clmbot _secret");
    (void)state;
    assert_string_equal(args.cmd->name, "_secret");
    clm_cli_done(&args);
}

static void mistakes_are_explained(void **state)
{
    (void)state;
    assert_refused("clmbot", "no command given");
    assert_refused("clmbot -q", "no command given");
    assert_refused("clmbot statsu", "unknown command 'statsu'; did you mean 'status'?");
    assert_refused("clmbot tsatsu", "unknown command 'tsatsu'; did you mean 'status'?");
    assert_refused("clmbot stat", "unknown command 'stat'; did you mean 'status'?");
    assert_refused("clmbot jobs", "unknown command 'jobs'; did you mean 'job'?");
    assert_refused("clmbot frobnicate", "unknown command 'frobnicate'");
    assert_refused("clmbot _secre", "unknown command '_secre'");
    assert_refused("clmbot Status", "unknown command 'Status'; did you mean 'status'?");
    assert_refused("clmbot config", "'config' needs one of 'check', 'show' behind it");
    assert_refused("clmbot config --json", "'config' needs one of 'check', 'show' behind it");
    assert_refused("clmbot config chekc",
                   "unknown command 'config chekc'; did you mean 'config check'?");
    assert_refused("clmbot config frobnicate", "'config' needs one of 'check', 'show' behind it");
    assert_refused("clmbot confg check", "unknown command 'confg'; did you mean 'config check'?");
    assert_refused("clmbot status --jsno", "unknown option '--jsno'; did you mean '--json'?");
    assert_refused("clmbot status --frobnicate", "unknown option '--frobnicate'");
    assert_refused("clmbot status --frobnicate=1", "unknown option '--frobnicate'");
    assert_refused("clmbot --json status", "unknown option '--json'");
    assert_refused("clmbot status -x", "unknown option '-x'");
    assert_refused("clmbot status -jx", "unknown option '-x'");
    assert_refused("clmbot status --days", "option '--days' needs a value");
    assert_refused("clmbot status -d", "option '--days' needs a value");
    assert_refused("clmbot status --json=yes", "option '--json' takes no value");
    assert_refused("clmbot status --days 0",
                   "option '--days': '0': number is not between 1 and 120");
    assert_refused("clmbot status --days 121",
                   "option '--days': '121': number is not between 1 and 120");
    assert_refused("clmbot status --days 7d", "option '--days': '7d': not a decimal number");
    assert_refused("clmbot order --format xml a", "option '--format': 'xml' is not text or json");
    assert_refused("clmbot order", "'order' needs NAME [TARGET]");
    assert_refused("clmbot order a b c", "'order' does not take 'c'");
    assert_refused("clmbot config check now", "'config check' does not take 'now'");
    assert_refused("clmbot help statsu", "unknown command 'statsu'; did you mean 'status'?");
    assert_refused(
        "clmbot aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "unknown command 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'");
    assert_refused("clmbot status --aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                   "unknown option '--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'");
}

static void help_and_version_need_nothing_else(void **state)
{
    static const struct {
        const char *line;
        const char *cmd; /* NULL: of the program */
        bool is_version;
    } cases[] = {
        {"clmbot --help", NULL, false},
        {"clmbot -h", NULL, false},
        {"clmbot help", NULL, false},
        {"clmbot help order", "order", false},
        {"clmbot order --help", "order", false},
        {"clmbot order -h", "order", false},
        {"clmbot help config show", "config show", false},
        {"clmbot --version", NULL, true},
        {"clmbot -V", NULL, true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        PARSED(cases[i].line);
        assert_int_equal(args.wants_version, cases[i].is_version);
        assert_int_equal(args.wants_help, !cases[i].is_version);
        assert_true((args.cmd == NULL) == (cases[i].cmd == NULL));
        if (args.cmd != NULL) {
            assert_string_equal(args.cmd->name, cases[i].cmd);
        }
        clm_cli_done(&args);
    }
}

/* Runs clm_cli_main() on a line with stdout or stderr in a file, whose text comes back. */
static int run_main(const char *line, int fd, char *text, size_t size, const char **ran)
{
    char copy[LINE_SIZE];
    char *words[WORDS_MAX];
    int n = split(line, copy, sizeof(copy), words);
    FILE *file = tmpfile();
    int old = dup(fd);
    int status;
    size_t len;

    assert_non_null(file);
    (void)fflush(stdout);
    assert_true(dup2(fileno(file), fd) >= 0);
    status = clm_cli_main(&sample_app, n, words, ran);
    (void)fflush(stdout);
    (void)dup2(old, fd);
    (void)close(old);
    rewind(file);
    len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    (void)fclose(file);
    return status;
}

static void main_runs_the_command_and_returns_its_code(void **state)
{
    const char *ran = NULL;
    char text[100];

    (void)state;
    assert_int_equal(run_main("clmbot order a b", STDOUT_FILENO, text, sizeof(text), &ran), 2);
    assert_string_equal(ran, "order");
    assert_string_equal(text, "");
}

static void main_answers_mistakes_with_64(void **state)
{
    const char *ran = NULL;
    char text[1000];

    (void)state;
    assert_int_equal(run_main("clmbot order --x\033[2J", STDERR_FILENO, text, sizeof(text), &ran),
                     64);
    assert_string_equal(text, "clm-sample: unknown option '--x?[2J'\n"
                              "See 'clm-sample order --help'.\n");
    assert_int_equal(run_main("clmbot", STDERR_FILENO, text, sizeof(text), &ran), 64);
    assert_string_equal(text, "clm-sample: no command given\nSee 'clm-sample --help'.\n");
    assert_null(ran);
}

static void main_shows_help_and_version(void **state)
{
    const char *ran = NULL;
    char text[4000];

    (void)state;
    assert_int_equal(run_main("clmbot --version", STDOUT_FILENO, text, sizeof(text), &ran), 0);
    assert_string_equal(text, "clm-sample 1.2.3\n");
    assert_int_equal(run_main("clmbot job --help", STDOUT_FILENO, text, sizeof(text), &ran), 0);
    assert_non_null(strstr(text, "Usage: clm-sample job [OPTION ...] ID\n"));
    assert_null(ran);
}

static enum clm_code parse_once(void *arg, struct clm_err *err)
{
    char copy[LINE_SIZE];
    char *words[WORDS_MAX];
    struct clm_cli_args args;
    int n = split(arg, copy, sizeof(copy), words);
    enum clm_code code = clm_cli_parse(&sample_app, n, words, &args, err);

    clm_cli_done(&args);
    return code;
}

static void every_allocation_may_fail(void **state)
{
    char line[] = "clmbot status -jw";

    (void)state;
    assert_int_equal(clm_torture(parse_once, line), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(absent_options_have_a_fallback),
        cmocka_unit_test(letters_share_a_word),
        cmocka_unit_test(two_words_make_a_command),
        cmocka_unit_test(values_repeat_in_order),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(hidden_commands_work),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(help_and_version_need_nothing_else),
        cmocka_unit_test(main_runs_the_command_and_returns_its_code),
        cmocka_unit_test(main_answers_mistakes_with_64),
        cmocka_unit_test(main_shows_help_and_version),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
