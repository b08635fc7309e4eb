/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/cli.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/str.h"

#define LONG_BASE    256     /* getopt_long() returns LONG_BASE + index */
#define WORD_MAX     31      /* longer words are not guessed at */
#define NEAR         2       /* edits between a mistyped word and its meaning */
#define TEXT_MAX     262144u /* bytes of help */
#define NAME_MAX_LEN 64      /* a command of two words */

struct clm_cli_given {
    const struct clm_cli_opt *opt;
    const char *value;
};

const struct clm_cli_opt clm_cli_builtin[] = {
    {.name = "help", .letter = 'h', .help = "show help and exit"},
    {.name = "version", .letter = 'V', .help = "show the version and exit"},
    {.name = NULL},
};

/* ---- guessing ---- */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that make b of a. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);

    if (a_len > WORD_MAX || b_len > WORD_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *up = rows[(i - 1) % 3];
        const size_t *up2 = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = smallest(up[j] + 1, row[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < row[j]) {
                row[j] = up2[j - 2] + 1;
            }
        }
    }
    return rows[a_len % 3][b_len];
}

/* Keeps name in *io_best if it is nearer to word than all before. */
static void consider(const char *word, const char *name, const char **io_best, size_t *io_distance)
{
    size_t d = distance(word, name);

    if (d <= NEAR && d < *io_distance) {
        *io_best = name;
        *io_distance = d;
    }
}

static const char *near_command(const struct clm_cli_app *app, const char *word)
{
    const char *best = NULL;
    size_t d = SIZE_MAX;

    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        if (!cmd->is_hidden) {
            consider(word, cmd->name, &best, &d);
        }
    }
    return best;
}

static enum clm_code unknown(const char *what, const char *dashes, const char *word,
                             const char *near, struct clm_err *err)
{
    if (near == NULL) {
        return clm_err_set(err, CLM_E_INVAL, "unknown %s '%s%s'", what, dashes, word);
    }
    return clm_err_set(err, CLM_E_INVAL, "unknown %s '%s%s'; did you mean '%s%s'?", what, dashes,
                       word, dashes, near);
}

/* ---- options ---- */

/* All options that may stand here, as getopt_long() wants them. */
struct grammar {
    const struct clm_cli_opt *opts[CLM_CLI_OPTIONS_MAX];
    size_t n;
    struct option longs[CLM_CLI_OPTIONS_MAX + 1];
    char shorts[2 * CLM_CLI_OPTIONS_MAX + 3];
};

static void add_opts(struct grammar *g, const struct clm_cli_opt *opt)
{
    for (; opt != NULL && opt->name != NULL; opt++) {
        assert(g->n < CLM_CLI_OPTIONS_MAX);
        g->opts[g->n++] = opt;
    }
}

/* mode: "+" stops at the first operand, "" finds options behind operands, too. */
static void make_grammar(struct grammar *g, const struct clm_cli_app *app,
                         const struct clm_cli_cmd *cmd, const char *mode)
{
    size_t len = strlen(mode);

    *g = (struct grammar){.n = 0};
    add_opts(g, cmd != NULL ? cmd->opts : NULL);
    add_opts(g, app->opts);
    add_opts(g, clm_cli_builtin);
    memcpy(g->shorts, mode, len);
    g->shorts[len++] = ':'; /* tell a missing value from an unknown option */
    for (size_t i = 0; i < g->n; i++) {
        bool has_value = g->opts[i]->kind != CLM_CLI_FLAG;

        g->longs[i] = (struct option){
            .name = g->opts[i]->name,
            .has_arg = has_value ? required_argument : no_argument,
            .val = LONG_BASE + (int)i,
        };
        if (g->opts[i]->letter != 0) {
            g->shorts[len++] = g->opts[i]->letter;
            if (has_value) {
                g->shorts[len++] = ':';
            }
        }
    }
}

static const struct clm_cli_opt *opt_of(const struct grammar *g, int value)
{
    for (size_t i = 0; i < g->n; i++) {
        if (value == LONG_BASE + (int)i || (value != 0 && value == g->opts[i]->letter)) {
            return g->opts[i];
        }
    }
    return NULL;
}

/* What getopt_long() meant by '?' or ':'. word: the argument it stood at. */
static enum clm_code refuse_option(const struct grammar *g, int result, const char *word,
                                   struct clm_err *err)
{
    const struct clm_cli_opt *opt = opt_of(g, optopt);
    const char *best = NULL;
    size_t d = SIZE_MAX;
    char name[WORD_MAX + 1];
    size_t len;

    if (opt != NULL) {
        return clm_err_set(err, CLM_E_INVAL,
                           result == ':' ? "option '--%s' needs a value"
                                         : "option '--%s' takes no value",
                           opt->name);
    }
    if (optopt != 0) {
        return clm_err_set(err, CLM_E_INVAL, "unknown option '-%c'", optopt);
    }
    word += strspn(word, "-");
    len = strcspn(word, "=");
    if (clm_str_fmt(name, sizeof(name), NULL, "%.*s", (int)len, word) != CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL, "unknown option '--%.*s...'", WORD_MAX, word);
    }
    for (size_t i = 0; i < g->n; i++) {
        if (strncmp(g->opts[i]->name, name, len) == 0) {
            return clm_err_set(err, CLM_E_INVAL, "option '--%s' is not complete", name);
        }
        consider(name, g->opts[i]->name, &best, &d);
    }
    return unknown("option", "--", name, best, err);
}

static enum clm_code check_value(const struct clm_cli_opt *opt, const char *value,
                                 struct clm_err *err)
{
    int64_t number = 0;
    enum clm_code code;

    if (opt->kind == CLM_CLI_INT) {
        code = clm_str_to_int(value, opt->min, opt->max, &number, err);
        if (code != CLM_OK) {
            (void)clm_err_wrap(err, code, "option '--%s': '%s'", opt->name, value);
            return CLM_E_INVAL;
        }
    }
    if (opt->choices == NULL) {
        return CLM_OK;
    }
    for (const char *const *choice = opt->choices; *choice != NULL; choice++) {
        if (strcmp(*choice, value) == 0) {
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_INVAL, "option '--%s': '%s' is not %s", opt->name, value,
                       opt->metavar);
}

/* Takes the options of argv from optind on; stops as the grammar's mode says. */
static enum clm_code take_options(const struct grammar *g, int argc, char **argv,
                                  struct clm_cli_args *out, struct clm_err *err)
{
    int result;

    opterr = 0;
    optind = 0; /* glibc: forget everything */
    while ((result = getopt_long(argc, argv, g->shorts, g->longs, NULL)) != -1) {
        const struct clm_cli_opt *opt = opt_of(g, result);
        enum clm_code code;

        if (result == '?' || result == ':') {
            return refuse_option(g, result, argv[optind - 1], err);
        }
        assert(opt != NULL);
        out->wants_help = out->wants_help || opt == &clm_cli_builtin[0];
        out->wants_version = out->wants_version || opt == &clm_cli_builtin[1];
        code = opt->kind != CLM_CLI_FLAG ? check_value(opt, optarg, err) : CLM_OK;
        if (code != CLM_OK) {
            return code;
        }
        out->given[out->n_given++] = (struct clm_cli_given){.opt = opt, .value = optarg};
    }
    return CLM_OK;
}

/* ---- commands ---- */

static const struct clm_cli_cmd *command(const struct clm_cli_app *app, const char *name)
{
    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        if (strcmp(cmd->name, name) == 0) {
            return cmd;
        }
    }
    return NULL;
}

/* "check, doc or show" for "config"; "" if no command of two words starts so. */
static void second_words(const struct clm_cli_app *app, const char *first, char *dst, size_t size)
{
    size_t first_len = strlen(first);
    size_t len = 0;

    dst[0] = '\0';
    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        if (!cmd->is_hidden && clm_str_starts(cmd->name, first) && cmd->name[first_len] == ' ') {
            size_t n = (size_t)snprintf(dst + len, size - len, "%s'%s'", len > 0 ? ", " : "",
                                        cmd->name + first_len + 1);

            if (n >= size - len) {
                dst[len] = '\0'; /* no half names */
                return;
            }
            len += n;
        }
    }
}

static enum clm_code no_command(const struct clm_cli_app *app, const char *first,
                                const char *joined, struct clm_err *err)
{
    char words[256];
    const char *near = near_command(app, joined);

    second_words(app, first, words, sizeof(words));
    if (words[0] != '\0' && (near == NULL || strcmp(first, joined) == 0)) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' needs one of %s behind it", first, words);
    }
    if (near == NULL) {
        near = near_command(app, first);
        joined = first;
    }
    if (near == NULL && strlen(first) > WORD_MAX) {
        return clm_err_set(err, CLM_E_INVAL, "unknown command '%.*s...'", WORD_MAX, first);
    }
    return unknown("command", "", words[0] != '\0' ? joined : first, near, err);
}

/* Finds the command of one or two words at argv[0]; *out_words says how many it took. */
static enum clm_code find_command(const struct clm_cli_app *app, int argc, char **argv,
                                  const struct clm_cli_cmd **out_cmd, int *out_words,
                                  struct clm_err *err)
{
    char joined[NAME_MAX_LEN];

    if (argc > 1 &&
        clm_str_fmt(joined, sizeof(joined), NULL, "%s %s", argv[0], argv[1]) == CLM_OK) {
        *out_cmd = command(app, joined);
        *out_words = 2;
        if (*out_cmd != NULL) {
            return CLM_OK;
        }
    } else {
        (void)!clm_str_copy(joined, sizeof(joined), argv[0], NULL);
    }
    *out_cmd = command(app, argv[0]);
    *out_words = 1;
    return *out_cmd != NULL ? CLM_OK : no_command(app, argv[0], joined, err);
}

static enum clm_code count_args(const struct clm_cli_args *args, struct clm_err *err)
{
    const struct clm_cli_cmd *cmd = args->cmd;

    if (args->n_args < cmd->min_args) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' needs %s", cmd->name, cmd->synopsis);
    }
    if (cmd->max_args != CLM_CLI_ARGS_ANY && args->n_args > cmd->max_args) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' does not take '%.*s'", cmd->name, WORD_MAX,
                           args->args[cmd->max_args]);
    }
    return CLM_OK;
}

/* Help of the command whose words stand at argv[0], or of the program. */
static enum clm_code ask_for_help(int argc, char **argv, struct clm_cli_args *out,
                                  struct clm_err *err)
{
    int words;

    out->wants_help = true;
    return argc == 0 ? CLM_OK : find_command(out->app, argc, argv, &out->cmd, &words, err);
}

enum clm_code clm_cli_parse(const struct clm_cli_app *app, int argc, char **argv,
                            struct clm_cli_args *out, struct clm_err *err)
{
    struct grammar g;
    enum clm_code code;
    int words = 0;

    *out = (struct clm_cli_args){.app = app};
    /* Letters may share a word: "-qv". */
    for (int i = 0; i < argc; i++) {
        out->n_given += strlen(argv[i]);
    }
    out->given = calloc(out->n_given + 1, sizeof(*out->given));
    out->n_given = 0;
    if (out->given == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "out of memory for the command line");
    }
    make_grammar(&g, app, NULL, "+");
    code = take_options(&g, argc, argv, out, err);
    if (code != CLM_OK || out->wants_help || out->wants_version) {
        return code;
    }
    argc -= optind;
    argv += optind;
    if (argc == 0) {
        return clm_err_set(err, CLM_E_INVAL, "no command given");
    }
    if (strcmp(argv[0], "help") == 0 && command(app, "help") == NULL) {
        return ask_for_help(argc - 1, argv + 1, out, err);
    }
    code = find_command(app, argc, argv, &out->cmd, &words, err);
    if (code != CLM_OK) {
        return code;
    }
    make_grammar(&g, app, out->cmd, "");
    argc -= words - 1;
    argv += words - 1; /* getopt takes argv[0] for the program's name */
    code = take_options(&g, argc, argv, out, err);
    if (code != CLM_OK || out->wants_help || out->wants_version) {
        return code;
    }
    out->n_args = argc - optind;
    out->args = argv + optind;
    return count_args(out, err);
}

void clm_cli_done(struct clm_cli_args *args)
{
    free(args->given);
    args->given = NULL;
    args->n_given = 0;
}

/* ---- reading ---- */

static bool is_known(const struct clm_cli_opt *opt, const char *name)
{
    for (; opt != NULL && opt->name != NULL; opt++) {
        if (strcmp(opt->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The value given last; given tells a flag from an absent one. */
static const char *last_value(const struct clm_cli_args *args, const char *name, bool *out_given)
{
    const char *value = NULL;

    assert(is_known(args->app->opts, name) ||
           (args->cmd != NULL && is_known(args->cmd->opts, name)));
    *out_given = false;
    for (size_t i = 0; i < args->n_given; i++) {
        if (strcmp(args->given[i].opt->name, name) == 0) {
            value = args->given[i].value;
            *out_given = true;
        }
    }
    return value;
}

bool clm_cli_has(const struct clm_cli_args *args, const char *name)
{
    bool is_given;

    (void)last_value(args, name, &is_given);
    return is_given;
}

const char *clm_cli_str(const struct clm_cli_args *args, const char *name, const char *fallback)
{
    bool is_given;
    const char *value = last_value(args, name, &is_given);

    return value != NULL ? value : fallback;
}

int64_t clm_cli_int(const struct clm_cli_args *args, const char *name, int64_t fallback)
{
    bool is_given;
    const char *value = last_value(args, name, &is_given);
    int64_t number = fallback;

    if (value != NULL) {
        enum clm_code code = clm_str_to_int(value, 0, INT64_MAX, &number, NULL);

        assert(code == CLM_OK); /* clm_cli_parse() looked at it */
    }
    return number;
}

const char *clm_cli_nth(const struct clm_cli_args *args, const char *name, size_t n)
{
    bool is_given;

    (void)last_value(args, name, &is_given);
    for (size_t i = 0; i < args->n_given; i++) {
        if (strcmp(args->given[i].opt->name, name) == 0 && n-- == 0) {
            return args->given[i].value;
        }
    }
    return NULL;
}

/* ---- main ---- */

static int show_help(const struct clm_cli_args *args)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(TEXT_MAX);
    struct clm_term term = clm_term_probe(STDOUT_FILENO);
    struct clm_err err = {0};

    if (clm_cli_help(args->app, args->cmd, &term, &out, &err) != CLM_OK) {
        (void)fprintf(stderr, "%s: %s\n", args->app->name, err.msg);
        return 2;
    }
    (void)fputs(clm_buf_str(&out), stdout);
    return 0;
}

/* The words of the user come back, but no message of an error steers the terminal. */
static int show_parse_error(const struct clm_cli_args *args, const struct clm_err *err)
{
    const char *cmd = args->cmd != NULL ? args->cmd->name : "";

    (void)fprintf(stderr, "%s: %s\n", args->app->name, err->msg);
    if (err->code == CLM_E_NOMEM) {
        return 2;
    }
    (void)fprintf(stderr, "See '%s %s%s--help'.\n", args->app->name, cmd, *cmd != '\0' ? " " : "");
    return CLM_CLI_EXIT_USAGE;
}

/* What was printed must have arrived: a full disk or a closed pipe must not look like success. */
static int finish_output(const struct clm_cli_app *app, int status)
{
    int sys = fflush(stdout) == 0 ? 0 : errno;

    if (sys == 0 && ferror(stdout) == 0) {
        return status;
    }
    if (sys == 0) { /* what failed is dropped, and its reason with it: that is still there */
        sys = putchar('\n') != EOF && fflush(stdout) == 0 ? 0 : errno;
    }
    (void)fprintf(stderr, "%s: output: %s\n", app->name, sys != 0 ? strerror(sys) : "not written");
    return 2;
}

int clm_cli_main(const struct clm_cli_app *app, int argc, char **argv, void *ctx)
{
    struct clm_cli_args args;
    struct clm_err err = {0};
    int status;

    if (clm_cli_parse(app, argc, argv, &args, &err) != CLM_OK) {
        status = show_parse_error(&args, &err);
    } else if (args.wants_help) {
        status = show_help(&args);
    } else if (args.wants_version) {
        status = 0;
        (void)printf("%s %s\n", app->name, app->version);
    } else {
        assert(args.cmd != NULL);
        status = args.cmd->run(&args, ctx);
    }
    clm_cli_done(&args);
    return finish_output(app, status);
}
