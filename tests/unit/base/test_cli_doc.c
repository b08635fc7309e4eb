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

#include "agent/base/proc.h"
#include "tests/unit/base/cli_sample.h"

static void assert_help(const struct clm_cli_cmd *cmd, struct clm_term term, const char *expected)
{
    struct clm_buf out = CLM_BUF_INIT(100000);

    assert_int_equal(clm_cli_help(&sample_app, cmd, &term, &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), expected);
    clm_buf_done(&out);
}

static void help_of_the_program_lists_commands_in_groups(void **state)
{
    (void)state;
    assert_help(NULL, (struct clm_term){0},
                "Usage: clm-sample COMMAND [OPTION ...] [OPERAND ...]\n"
                "\n"
                "Sample of a program.\n"
                "\n"
                "Look\n"
                "  status        show what is served and what is due\n"
                "  job           show one job\n"
                "\n"
                "Act\n"
                "  order         order a certificate\n"
                "\n"
                "Set up\n"
                "  config check  check the configuration\n"
                "  config show   print the configuration\n"
                "\n"
                "Options\n"
                "  -c, --config FILE  read FILE\n"
                "  -q, --quiet        say less\n"
                "  -h, --help         show help and exit\n"
                "  -V, --version      show the version and exit\n"
                "\n"
                "Exit codes: 0 good, 64 usage.\n");
}

static void help_of_a_command_breaks_lines(void **state)
{
    (void)state;
    assert_help(&sample_cmds[0], (struct clm_term){.width = 60},
                "Usage: clm-sample status [OPTION ...] [TARGET ...]\n"
                "\n"
                "Show what is served and what is due.\n"
                "\n"
                "Works without a network. Reads the state directory.\n"
                "\n"
                "A second paragraph with a back\\slash.\n"
                "\n"
                "Options\n"
                "  -j, --json         print JSON\n"
                "  -w, --watch        show changes as they come\n"
                "  -d, --days N       only certificates that expire within so\n"
                "                     many days (1 to 120)\n"
                "  -c, --config FILE  read FILE\n"
                "  -q, --quiet        say less\n"
                "  -h, --help         show help and exit\n");
}

static void no_line_of_help_is_longer_than_the_terminal(void **state)
{
    (void)state;
    for (size_t width = 50; width < 110; width++) {
        struct clm_term term = {.width = width};
        struct clm_buf out = CLM_BUF_INIT(100000);
        char *rest;

        for (const struct clm_cli_cmd *cmd = sample_cmds; cmd->name != NULL; cmd++) {
            assert_int_equal(clm_cli_help(&sample_app, cmd, &term, &out, NULL), CLM_OK);
        }
        for (char *line = strtok_r((char *)out.data, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            assert_true(strlen(line) <= width);
        }
        clm_buf_done(&out);
    }
}

/* Writes text to a new file and runs a program with its path as last argument. */
static int run_on(const char *const *head, const char *text, const char *const *tail,
                  struct clm_buf *output)
{
    char path[] = "/tmp/clm-cli-XXXXXX";
    int fd = mkstemp(path);
    const char *argv[12] = {NULL};
    struct clm_proc proc = {.argv = argv, .timeout_ms = 20000};
    struct clm_err err = {0};
    size_t n = 0;
    int status = -1;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    for (; *head != NULL; head++) {
        argv[n++] = *head;
    }
    argv[n++] = path;
    for (; *tail != NULL; tail++) {
        argv[n++] = *tail;
    }
    if (clm_proc_run(&proc, &status, output, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    (void)unlink(path);
    return status;
}

/* What bash offers behind the words; the last one is being typed. */
static void assert_completes(const char *script, const char *words, const char *expected)
{
    static const char driver[] = ". \"$0\"; read -ra COMP_WORDS <<<\"$1\"; "
                                 "[[ $1 == *' ' ]] && COMP_WORDS+=(''); "
                                 "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                                 "_clm_sample; echo \"${COMPREPLY[*]}\"";
    const char *const head[] = {"/bin/bash", "-c", driver, NULL};
    const char *const tail[] = {words, NULL};
    struct clm_buf out = CLM_BUF_INIT(10000);
    int status = run_on(head, script, tail, &out);

    if (status != 0 || strcmp(clm_buf_str(&out), expected) != 0) {
        fail_msg("'%s': %d '%s', expected '%s'", words, status, clm_buf_str(&out), expected);
    }
    clm_buf_done(&out);
}

static void bash_completes_commands_and_options(void **state)
{
    struct clm_buf script = CLM_BUF_INIT(100000);
    const char *text;

    (void)state;
    assert_int_equal(clm_cli_completion(&sample_app, &script, NULL), CLM_OK);
    text = clm_buf_str(&script);
    assert_completes(text, "clm-sample ", "help status job order config\n");
    assert_completes(text, "clm-sample st", "status\n");
    assert_completes(text, "clm-sample config ", "check show\n");
    assert_completes(text, "clm-sample config s", "show\n");
    assert_completes(text, "clm-sample status --",
                     "--json --watch --days --config --quiet --help\n");
    assert_completes(text, "clm-sample -q status --j", "--json\n");
    assert_completes(text, "clm-sample order --s", "--san\n");
    assert_completes(text, "clm-sample job --", "--config --quiet --help\n");
    assert_completes(text, "clm-sample --", "--version --config --quiet --help\n");
    assert_completes(text, "clm-sample config show --q", "--quiet\n");
    assert_completes(text, "clm-sample status x", "\n");
    assert_null(strstr(text, "_secret"));
    clm_buf_done(&script);
}

static void manual_names_everything_once(void **state)
{
    struct clm_buf out = CLM_BUF_INIT(100000);

    (void)state;
    assert_int_equal(clm_cli_mdoc(&sample_app, &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out),
                        ".\\\" Made from the command tables; do not edit.\n"
                        ".Bl -tag -width Ds\n"
                        ".It Cm status Op Ar TARGET ...\n"
                        "Show what is served and what is due.\n"
                        "Works without a network.\n"
                        "Reads the state directory.\n"
                        ".Pp\n"
                        "A second paragraph with a back\\eslash.\n"
                        ".Pp\n"
                        ".Bl -tag -width Ds -compact\n"
                        ".It Fl j , Fl -json\n"
                        "print JSON\n"
                        ".It Fl w , Fl -watch\n"
                        "show changes as they come\n"
                        ".It Fl d , Fl -days Ar N\n"
                        "only certificates that expire within so many days (1 to 120)\n"
                        ".El\n"
                        ".It Cm job Ar ID\n"
                        "Show one job.\n"
                        ".It Cm order Ar NAME Op Ar TARGET\n"
                        "Order a certificate.\n"
                        ".Pp\n"
                        ".Bl -tag -width Ds -compact\n"
                        ".It Fl -san Ar NAME\n"
                        "one more name; may be given more than once\n"
                        ".It Fl -format Ar text or json\n"
                        "form of the answer\n"
                        ".El\n"
                        ".It Cm config check\n"
                        "Check the configuration.\n"
                        ".It Cm config show\n"
                        "Print the configuration.\n"
                        ".El\n"
                        ".Pp\n"
                        "Every command takes these options, too:\n"
                        ".Pp\n"
                        ".Bl -tag -width Ds -compact\n"
                        ".It Fl c , Fl -config Ar FILE\n"
                        "read FILE\n"
                        ".It Fl q , Fl -quiet\n"
                        "say less\n"
                        ".El\n");
    clm_buf_done(&out);
}

static void a_full_buffer_is_a_limit(void **state)
{
    struct clm_term term = {0};

    (void)state;
    for (size_t max = 0; max < 300; max += 17) {
        struct clm_buf out = CLM_BUF_INIT(max);

        assert_int_equal(clm_cli_help(&sample_app, NULL, &term, &out, NULL), CLM_E_LIMIT);
        clm_buf_reset(&out);
        assert_int_equal(clm_cli_completion(&sample_app, &out, NULL), CLM_E_LIMIT);
        clm_buf_reset(&out);
        assert_int_equal(clm_cli_mdoc(&sample_app, &out, NULL), CLM_E_LIMIT);
        clm_buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_of_the_program_lists_commands_in_groups),
        cmocka_unit_test(help_of_a_command_breaks_lines),
        cmocka_unit_test(no_line_of_help_is_longer_than_the_terminal),
        cmocka_unit_test(bash_completes_commands_and_options),
        cmocka_unit_test(manual_names_everything_once),
        cmocka_unit_test(a_full_buffer_is_a_limit),
    };

    return cmocka_run_group_tests_name("cli_doc", tests, NULL, NULL);
}
