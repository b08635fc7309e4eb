/* SPDX-License-Identifier: Apache-2.0 */
/* A program with tables of every odd form, and a system without memory or room for the output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/cli.h"
#include "tests/support/sabotage.h"

#define LONG_NAME "a-name-that-is-longer-than-any-word-of-a-person"

static int print_line(const struct clm_cli_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    return puts("a line") < 0;
}

static const struct clm_cli_opt no_opts[] = {{.name = NULL}};
static const struct clm_cli_opt two_opts[] = {
    {.name = "wait", .letter = 'w', .help = "wait"},
    {.name = "warn", .help = "warn"},
    {.name = "names", .kind = CLM_CLI_STRING, .metavar = "NAME", .help = "'quoted' at the start"},
    {.name = NULL},
};

/* The first one has no group; hidden ones share words with others; one is longer than its column. */
static const struct clm_cli_cmd cmds[] = {
    {.name = "config check", .summary = "TLS is looked at", .run = print_line, .opts = no_opts},
    {.name = "config drop", .summary = "hidden", .run = print_line, .is_hidden = true},
    {.name = "config show", .summary = "{text}", .run = print_line},
    {.name = "_conf hidden", .summary = "hidden", .run = print_line, .is_hidden = true},
    {.name = "_conf x", .summary = "behind a hidden one", .run = print_line},
    {.name = "con", .summary = "short", .run = print_line, .opts = two_opts},
    {.name = "list", .summary = "list", .run = print_line},
    {.name = "list all", .summary = "list all", .run = print_line},
    {.name = "lists", .summary = "lists", .run = print_line},
    {.name = "keys show", .summary = "show keys", .run = print_line},
    {.name = "keyz", .summary = "like keys", .run = print_line},
    {.name = "cat",
     .summary = "cat",
     .details = " .begins with a dot\n'and a quote.  .Two blanks and\none line\n\n.a paragraph",
     .run = print_line},
    {.name = "bat", .summary = "bat", .run = print_line},
    {.name = "help", .summary = "help of its own", .run = print_line},
    {.name = "many " LONG_NAME "-1", .summary = "many", .run = print_line},
    {.name = "many " LONG_NAME "-2", .summary = "many", .run = print_line},
    {.name = "many " LONG_NAME "-3", .summary = "many", .run = print_line},
    {.name = "many " LONG_NAME "-4", .summary = "many", .run = print_line},
    {.name = "many " LONG_NAME "-5", .summary = "many", .run = print_line},
    {.name = "many " LONG_NAME "-6", .summary = "many", .run = print_line},
    {.name = NULL},
};

static const struct clm_cli_app plain = {
    .name = "clm-odd", .version = "1", .summary = "odd program", .cmds = cmds};
static const struct clm_cli_app with_empty_opts = {
    .name = "odd", .version = "1", .summary = "odd program", .cmds = cmds, .opts = no_opts};

/* Parses the words "odd", a, b, c, of which the first NULL is the end. */
static enum clm_code parse(const char *a, const char *b, const char *c, struct clm_cli_args *out,
                           struct clm_err *err)
{
    static char copies[4][100];
    const char *words[] = {"odd", a, b, c};
    char *argv[5] = {NULL};
    int n = 0;

    for (; n < 4 && words[n] != NULL; n++) {
        (void)snprintf(copies[n], sizeof(copies[n]), "%s", words[n]);
        argv[n] = copies[n];
    }
    return clm_cli_parse(&plain, n, argv, out, err);
}

static void mistakes_are_explained(void **state)
{
    static const struct {
        const char *words[3];
        const char *msg;
    } rows[] = {
        {{"con", "--wa"}, "option '--wa' is not complete"},
        {{"con", "--names"}, "option '--names' needs a value"},
        {{"con", "--" LONG_NAME}, "unknown option '--a-name-that-is-longer-than-any-...'"},
        {{"hat"},
         "unknown command 'hat'; did you mean 'cat'?"}, /* the first of two that are near */
        {{"config", "chekc"}, "unknown command 'config chekc'; did you mean 'config check'?"},
        {{"config"}, "'config' needs one of 'check', 'show' behind it"},
        {{"keys"}, "'keys' needs one of 'show' behind it"}, /* although 'keyz' is near */
        {{LONG_NAME}, "unknown command 'a-name-that-is-longer-than-any-...'"},
        {{LONG_NAME, LONG_NAME}, "unknown command 'a-name-that-is-longer-than-any-...'"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_cli_args args;
        struct clm_err err = {.code = CLM_OK};

        assert_int_equal(parse(rows[i].words[0], rows[i].words[1], NULL, &args, &err), CLM_E_INVAL);
        clm_cli_done(&args);
        if (strncmp(err.msg, rows[i].msg, strcspn(rows[i].msg, ".")) != 0) {
            fail_msg("row %zu: %s", i, err.msg);
        }
    }
}

/* Those that have no room are left out: no name is cut. */
static void a_list_of_words_ends_with_a_whole_one(void **state)
{
    struct clm_cli_args args;
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    assert_int_equal(parse("many", NULL, NULL, &args, &err), CLM_E_INVAL);
    clm_cli_done(&args);
    assert_non_null(strstr(err.msg, "'" LONG_NAME "-4' behind it"));
    assert_null(strstr(err.msg, "-5"));
}

static void what_is_asked_for_twice_is_given_once(void **state)
{
    struct clm_cli_args args;

    (void)state;
    assert_int_equal(parse("-hh", NULL, NULL, &args, NULL), CLM_OK);
    assert_true(args.wants_help && !args.wants_version);
    clm_cli_done(&args);
    assert_int_equal(parse("-VV", NULL, NULL, &args, NULL), CLM_OK);
    assert_true(args.wants_version && !args.wants_help);
    clm_cli_done(&args);
    assert_int_equal(parse("con", "-V", NULL, &args, NULL), CLM_OK);
    assert_true(args.wants_version);
    clm_cli_done(&args);
}

static void options_are_asked_for_where_the_program_has_none(void **state)
{
    struct clm_cli_args args;

    (void)state;
    assert_int_equal(parse("con", "-w", NULL, &args, NULL), CLM_OK);
    assert_true(clm_cli_has(&args, "wait"));
    assert_false(clm_cli_has(&args, "warn"));
    assert_null(clm_cli_nth(&args, "wait", 1));
    assert_int_equal(clm_cli_int(&args, "warn", 7), 7);
    clm_cli_done(&args);
    assert_int_equal(parse("help", NULL, NULL, &args, NULL), CLM_OK); /* its own, no help of ours */
    assert_false(args.wants_help);
    assert_string_equal(args.cmd->name, "help");
    clm_cli_done(&args);
}

static void help_is_in_columns_where_it_fits(void **state)
{
    const struct clm_term term = {.width = 60};
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100000);
    const char *text;

    (void)state;
    assert_int_equal(clm_cli_help(&plain, NULL, &term, &out, NULL), CLM_OK);
    text = clm_buf_str(&out);
    assert_non_null(strstr(text, "\nCommands\n  config check "));
    assert_non_null(strstr(text, "TLS is looked at\n"));
    assert_non_null(strstr(text, "\n  many " LONG_NAME "-1\n       "));
    assert_null(strstr(text, "hidden\n"));
    clm_buf_reset(&out);
    assert_int_equal(clm_cli_help(&plain, &cmds[0], &term, &out, NULL), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&out), "\n\nTLS is looked at.\n"));
    clm_buf_reset(&out);
    assert_int_equal(clm_cli_help(&plain, &cmds[2], &term, &out, NULL), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&out), "\n\n{text}.\n"));
    clm_buf_reset(&out);
    assert_int_equal(clm_cli_help(&plain, &cmds[11], &term, &out, NULL), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&out), "\n.begins with a dot 'and a quote. .Two"));
    assert_non_null(strstr(clm_buf_str(&out), "one line\n\n.a paragraph\n"));
}

static void completion_knows_every_first_word_once(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100000);
    const char *text;

    (void)state;
    assert_int_equal(clm_cli_completion(&plain, &out, NULL), CLM_OK);
    text = clm_buf_str(&out);
    assert_non_null(strstr(text, "words='help config _conf con list lists keys keyz cat bat help "
                                 "many'"));
    assert_non_null(strstr(text, "'config') words='check show' ;;"));
    assert_non_null(strstr(text, "'con') opts=' --wait --warn --names' ;;"));
    assert_non_null(strstr(text, "_clm_odd()\n"));
}

static void a_manual_has_no_requests_of_its_text(void **state)
{
    static const struct clm_cli_app *const apps[] = {&plain, &with_empty_opts};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(apps); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100000);
        const char *text;

        assert_int_equal(clm_cli_mdoc(apps[i], &out, NULL), CLM_OK);
        text = clm_buf_str(&out);
        assert_null(strstr(text, "Every command takes"));
        assert_non_null(strstr(text, "\n \\&.begins with a dot\n\\&'and a quote.\n"));
        assert_non_null(strstr(text, " \\&.Two blanks and\none line\n.Pp\n"));
        assert_non_null(strstr(text, "\\&'quoted' at the start\n"));
    }
}

/* ---- main ---- */

/* Runs the program on one word, with its output to a file and its errors to text. */
static int run_main(const char *word, const char *output, char *text, size_t size)
{
    char name[] = "odd";
    char copy[32];
    char *argv[] = {name, copy, NULL};
    FILE *errors = tmpfile();
    int saved_out = dup(STDOUT_FILENO);
    int saved_err = dup(STDERR_FILENO);
    int to = open(output, O_WRONLY | O_CLOEXEC);

    assert_true(errors != NULL && to >= 0);
    (void)snprintf(copy, sizeof(copy), "%s", word);
    (void)fflush(stdout);
    assert_true(dup2(to, STDOUT_FILENO) >= 0 && dup2(fileno(errors), STDERR_FILENO) >= 0);
    int status = clm_cli_main(&plain, 2, argv, NULL);
    (void)fflush(stdout);
    (void)dup2(saved_out, STDOUT_FILENO);
    (void)dup2(saved_err, STDERR_FILENO);
    (void)close(saved_out);
    (void)close(saved_err);
    (void)close(to);
    rewind(errors);
    text[fread(text, 1, size - 1, errors)] = '\0';
    (void)fclose(errors);
    return status;
}

static void output_that_does_not_arrive_is_a_failure(void **state)
{
    char text[200];

    (void)state;
    assert_int_equal(run_main("con", "/dev/null", text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(run_main("con", "/dev/full", text, sizeof(text)), 2);
    assert_string_equal(text, "clm-odd: output: No space left on device\n");
    /* what failed before is not forgotten because the last flush is good */
    assert_int_equal(run_main("con", "/dev/null", text, sizeof(text)), 2);
    assert_string_equal(text, "clm-odd: output: not written\n");
    clearerr(stdout);
    assert_int_equal(run_main("con", "/dev/null", text, sizeof(text)), 0);
}

static void without_memory_there_is_no_advice(void **state)
{
    static const struct {
        const char *call;
        const char *word;
        const char *text;
    } rows[] = {
        {"calloc", "con", "clm-odd: out of memory for the command line"},
        {"realloc", "--help", "clm-odd: out of memory for "},
    };
    char text[200];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        clm_sabotage_on(rows[i].call, 1, ENOMEM);
        int status = run_main(rows[i].word, "/dev/null", text, sizeof(text));
        assert_true(clm_sabotage_off());
        assert_int_equal(status, 2);
        assert_memory_equal(text, rows[i].text, strlen(rows[i].text));
        assert_null(strstr(text, "See"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(a_list_of_words_ends_with_a_whole_one),
        cmocka_unit_test(what_is_asked_for_twice_is_given_once),
        cmocka_unit_test(options_are_asked_for_where_the_program_has_none),
        cmocka_unit_test(help_is_in_columns_where_it_fits),
        cmocka_unit_test(completion_knows_every_first_word_once),
        cmocka_unit_test(a_manual_has_no_requests_of_its_text),
        cmocka_unit_test(output_that_does_not_arrive_is_a_failure),
        cmocka_unit_test(without_memory_there_is_no_advice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
