/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - a command line described by tables
 *
 * One table of commands drives parsing, --help, the completion script and the command section of
 * the manual page, so that none of them can lie. Options may stand before and behind operands; "--"
 * ends them. "COMMAND --help", "help COMMAND" and "--version" are built in.
 */
#ifndef CLM_BASE_CLI_H
#define CLM_BASE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/term.h"

#define CLM_CLI_EXIT_USAGE  64 /* sysexits.h EX_USAGE; design.md 10 */
#define CLM_CLI_OPTIONS_MAX 48 /* of one command with the global ones */
#define CLM_CLI_ARGS_ANY    -1

enum clm_cli_kind {
    CLM_CLI_FLAG,
    CLM_CLI_STRING,
    CLM_CLI_INT,
};

struct clm_cli_opt {
    const char *name; /* long name, without dashes; NULL ends a table */
    char letter;      /* short name, or 0 */
    enum clm_cli_kind kind;
    const char *metavar; /* of STRING and INT: "FILE" */
    int64_t min;         /* of INT, 0 or more */
    int64_t max;
    bool is_repeatable; /* every value counts: clm_cli_nth(); else the last one */
    const char *const
        *choices;     /* of STRING, NULL-ended: nothing else is accepted; NULL: anything */
    const char *help; /* no capital, no full stop */
};

/* --help and --version, NULL-ended: every program has them. */
extern const struct clm_cli_opt clm_cli_builtin[];

struct clm_cli_args;

/* Returns the exit code. ctx is that of clm_cli_main(). */
typedef int (*clm_cli_run_fn)(const struct clm_cli_args *args, void *ctx);

struct clm_cli_cmd {
    const char *name;     /* "status", or two words: "config check"; NULL ends a table */
    const char *group;    /* heading in --help; NULL: that of the command before */
    const char *synopsis; /* operands: "[TARGET ...]"; NULL: none */
    const char *summary;  /* one line, no capital, no full stop */
    const char *details;  /* paragraphs for --help and manual, empty lines between; may be NULL */
    int min_args;
    int max_args;                   /* or CLM_CLI_ARGS_ANY */
    const struct clm_cli_opt *opts; /* NULL: only the global ones */
    clm_cli_run_fn run;
    bool is_hidden; /* works, but is not shown */
};

struct clm_cli_app {
    const char *name; /* "clmbot" */
    const char *version;
    const char *summary;
    const struct clm_cli_opt *opts; /* accepted before and behind every command; may be NULL */
    const struct clm_cli_cmd *cmds;
    const char *footer; /* last lines of --help: exit codes, files; may be NULL */
};

/* What stood on the command line. Pointers are into argv and the tables. */
struct clm_cli_args {
    const struct clm_cli_app *app;
    const struct clm_cli_cmd *cmd; /* NULL with wants_help: help of the whole program */
    char **args;                   /* operands, n_args of them */
    int n_args;
    struct clm_cli_given *given; /* options in the order they stood; use the functions below */
    size_t n_given;
    bool wants_help;
    bool wants_version;
};

/*
 * clm_cli_parse() - argv into args
 *
 * In      argv  as main() gets it; operands may be moved behind options
 * Out     out   the caller's, for clm_cli_done(), also after an error; then cmd says how far it got
 * Errors  INVAL with a message for the user; NOMEM
 */
CLM_MUST_USE enum clm_code clm_cli_parse(const struct clm_cli_app *app, int argc, char **argv,
                                         struct clm_cli_args *out, struct clm_err *err);
void clm_cli_done(struct clm_cli_args *args);

/* Parses, prints help, version or a usage error, or runs the command. Returns the exit code. */
int clm_cli_main(const struct clm_cli_app *app, int argc, char **argv, void *ctx);

/* The option by its long name, which must be in a table of the command or the program (assert). */
bool clm_cli_has(const struct clm_cli_args *args, const char *name);
const char *clm_cli_str(const struct clm_cli_args *args, const char *name, const char *fallback);
int64_t clm_cli_int(const struct clm_cli_args *args, const char *name, int64_t fallback);
/* Value n, from 0, of a repeatable option; NULL behind the last. */
const char *clm_cli_nth(const struct clm_cli_args *args, const char *name, size_t n);

/* ---- documents made from the tables; cli_doc.c ---- */

/* Help of a command, or of the program with cmd NULL. Appends. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_cli_help(const struct clm_cli_app *app,
                                        const struct clm_cli_cmd *cmd, const struct clm_term *term,
                                        struct clm_buf *out, struct clm_err *err);
/* A completion script for bash. Appends. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_cli_completion(const struct clm_cli_app *app, struct clm_buf *out,
                                              struct clm_err *err);
/* The list of commands and options in mdoc(7), to be included in a manual page. Appends. */
CLM_MUST_USE enum clm_code clm_cli_mdoc(const struct clm_cli_app *app, struct clm_buf *out,
                                        struct clm_err *err);

#endif
