/* SPDX-License-Identifier: Apache-2.0 */
/* Help, completion and manual, all from the tables of cli.h. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/cli.h"
#include "agent/base/str.h"

#define HELP_COLUMNS_MAX 100 /* longer lines are hard to read */
#define HELP_COLUMNS_MIN 50
#define HELP_LEFT_MAX    28 /* columns of names in front of their explanation */

/* Text that grows; the first failure stays and is returned at the end. */
struct doc {
    struct clm_buf *out;
    struct clm_err *err;
    const struct clm_term *term;
    size_t width;
    enum clm_code code;
};

static void put(struct doc *doc, const char *text)
{
    if (doc->code == CLM_OK) {
        doc->code = clm_buf_add_str(doc->out, text, doc->err);
    }
}

static void put_n(struct doc *doc, const char *text, size_t len)
{
    if (doc->code == CLM_OK) {
        doc->code = clm_buf_add(doc->out, text, len, doc->err);
    }
}

static void put_bold(struct doc *doc, const char *text)
{
    if (doc->code == CLM_OK) {
        doc->code = clm_term_add(doc->term, CLM_COLOR_BOLD, text, strlen(text), doc->out, doc->err);
    }
}

/* ---- help ---- */

static void put_blanks(struct doc *doc, size_t n)
{
    while (n-- > 0) {
        put(doc, " ");
    }
}

/* Words of text from column at on, broken at the width, further lines indented; ends the line. */
static void put_wrapped(struct doc *doc, const char *text, size_t at, size_t indent)
{
    bool is_first = true;

    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        bool is_paragraph = text[len] == '\n' && text[len + 1] == '\n';

        if (len > 0 && !is_first && at + 1 + len > doc->width) {
            put(doc, "\n");
            put_blanks(doc, indent);
            at = indent;
            is_first = true;
        }
        if (len > 0) {
            put(doc, is_first ? "" : " ");
            put_n(doc, text, len);
            at += len + (is_first ? 0 : 1);
            is_first = false;
        }
        if (is_paragraph) {
            put(doc, "\n\n");
            put_blanks(doc, indent);
            at = indent;
            is_first = true;
        }
        text += len;
        text += strspn(text, " \n");
    }
    put(doc, "\n");
}

/* "  NAMES    explanation", the explanation from column 2 + left on. */
static void put_entry(struct doc *doc, const char *names, size_t left, const char *text)
{
    size_t len = strlen(names);

    put(doc, "  ");
    put(doc, names);
    if (len + 2 > left) {
        put(doc, "\n");
        len = 0;
        put_blanks(doc, 2);
    }
    put_blanks(doc, left - len);
    put_wrapped(doc, text, 2 + left, 2 + left);
}

/* "-j, --json" or "    --days N" */
static void opt_names(const struct clm_cli_opt *opt, char *dst, size_t size)
{
    char letter[8] = "    ";

    if (opt->letter != 0) {
        (void)snprintf(letter, sizeof(letter), "-%c, ", opt->letter);
    }
    (void)snprintf(dst, size, "%s--%s%s%s", letter, opt->name, opt->kind != CLM_CLI_FLAG ? " " : "",
                   opt->kind != CLM_CLI_FLAG ? opt->metavar : "");
}

/* The explanation with what else the table knows: range and repetition. */
static void opt_text(const struct clm_cli_opt *opt, char *dst, size_t size)
{
    char range[64] = "";

    if (opt->kind == CLM_CLI_INT) {
        (void)snprintf(range, sizeof(range), " (%lld to %lld)", (long long)opt->min,
                       (long long)opt->max);
    }
    (void)snprintf(dst, size, "%s%s%s", opt->help, range,
                   opt->is_repeatable ? "; may be given more than once" : "");
}

static size_t widest_opt(const struct clm_cli_opt *opt, size_t left)
{
    char names[128];

    for (; opt != NULL && opt->name != NULL; opt++) {
        opt_names(opt, names, sizeof(names));
        left = strlen(names) + 2 > left ? strlen(names) + 2 : left;
    }
    return left > HELP_LEFT_MAX ? HELP_LEFT_MAX : left;
}

static void put_opt(struct doc *doc, const struct clm_cli_opt *opt, size_t left)
{
    char names[128];
    char text[512];

    opt_names(opt, names, sizeof(names));
    opt_text(opt, text, sizeof(text));
    put_entry(doc, names, left, text);
}

static void put_opts(struct doc *doc, const struct clm_cli_opt *opt, size_t left)
{
    for (; opt != NULL && opt->name != NULL; opt++) {
        put_opt(doc, opt, left);
    }
}

static void put_usage(struct doc *doc, const struct clm_cli_app *app, const char *cmd,
                      const char *operands)
{
    put_bold(doc, "Usage:");
    put(doc, " ");
    put(doc, app->name);
    put(doc, " ");
    put(doc, cmd);
    put(doc, " [OPTION ...]");
    put(doc, operands != NULL ? " " : "");
    put(doc, operands != NULL ? operands : "");
    put(doc, "\n\n");
}

static void put_sentence(struct doc *doc, const char *text)
{
    char first[2] = {text[0], '\0'};

    assert(text[0] != '\0');
    if (first[0] >= 'a' && first[0] <= 'z') {
        first[0] = (char)(first[0] - 'a' + 'A');
    }
    put(doc, first);
    put(doc, text + 1);
    put(doc, ".\n");
}

static void put_app(struct doc *doc, const struct clm_cli_app *app)
{
    size_t left = 0;

    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        size_t len = cmd->is_hidden ? 0 : strlen(cmd->name) + 2;

        left = len > left ? len : left;
    }
    left = left > HELP_LEFT_MAX ? HELP_LEFT_MAX : left;
    put_usage(doc, app, "COMMAND", "[OPERAND ...]");
    put_sentence(doc, app->summary);
    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        if (cmd->is_hidden) {
            continue;
        }
        if (cmd->group != NULL || cmd == app->cmds) {
            put(doc, "\n");
            put_bold(doc, cmd->group != NULL ? cmd->group : "Commands");
            put(doc, "\n");
        }
        put_entry(doc, cmd->name, left, cmd->summary);
    }
    put(doc, "\n");
    put_bold(doc, "Options");
    put(doc, "\n");
    left = widest_opt(clm_cli_builtin, widest_opt(app->opts, 0));
    put_opts(doc, app->opts, left);
    put_opts(doc, clm_cli_builtin, left);
    if (app->footer != NULL) {
        put(doc, "\n");
        put(doc, app->footer);
        put(doc, "\n");
    }
}

static void put_cmd(struct doc *doc, const struct clm_cli_app *app, const struct clm_cli_cmd *cmd)
{
    size_t left = widest_opt(app->opts, widest_opt(cmd->opts, widest_opt(clm_cli_builtin, 0)));

    put_usage(doc, app, cmd->name, cmd->synopsis);
    put_sentence(doc, cmd->summary);
    if (cmd->details != NULL) {
        put(doc, "\n");
        put_wrapped(doc, cmd->details, 0, 0);
    }
    put(doc, "\n");
    put_bold(doc, "Options");
    put(doc, "\n");
    put_opts(doc, cmd->opts, left);
    put_opts(doc, app->opts, left);
    put_opt(doc, &clm_cli_builtin[0], left);
}

enum clm_code clm_cli_help(const struct clm_cli_app *app, const struct clm_cli_cmd *cmd,
                           const struct clm_term *term, struct clm_buf *out, struct clm_err *err)
{
    struct doc doc = {.out = out, .err = err, .term = term};

    doc.width = term->width == 0 ? CLM_TERM_COLUMNS : term->width;
    doc.width = doc.width > HELP_COLUMNS_MAX ? HELP_COLUMNS_MAX : doc.width;
    doc.width = doc.width < HELP_COLUMNS_MIN ? HELP_COLUMNS_MIN : doc.width;
    if (cmd != NULL) {
        put_cmd(&doc, app, cmd);
    } else {
        put_app(&doc, app);
    }
    return doc.code;
}

/* ---- completion ---- */

static void put_opt_words(struct doc *doc, const struct clm_cli_opt *opt)
{
    for (; opt != NULL && opt->name != NULL; opt++) {
        put(doc, " --");
        put(doc, opt->name);
    }
}

/* True if an earlier visible command starts with the same first word. */
static bool is_repeated(const struct clm_cli_app *app, const struct clm_cli_cmd *cmd, size_t len)
{
    for (const struct clm_cli_cmd *old = app->cmds; old != cmd; old++) {
        if (!old->is_hidden && strncmp(old->name, cmd->name, len) == 0 &&
            (old->name[len] == ' ' || old->name[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* The first words of all commands, each once. */
static void put_first_words(struct doc *doc, const struct clm_cli_app *app)
{
    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        size_t len = strcspn(cmd->name, " ");

        if (!cmd->is_hidden && !is_repeated(app, cmd, len)) {
            put(doc, " ");
            put_n(doc, cmd->name, len);
        }
    }
}

/* "'config') words='check show' ;;" for every first word that has second ones. */
static void put_second_words(struct doc *doc, const struct clm_cli_app *app)
{
    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        size_t len = strcspn(cmd->name, " ");

        if (cmd->is_hidden || cmd->name[len] == '\0' || is_repeated(app, cmd, len)) {
            continue;
        }
        put(doc, "    '");
        put_n(doc, cmd->name, len);
        put(doc, "') words='");
        for (const struct clm_cli_cmd *other = cmd; other->name != NULL; other++) {
            if (!other->is_hidden && strncmp(other->name, cmd->name, len + 1) == 0) {
                put(doc, other == cmd ? "" : " ");
                put(doc, other->name + len + 1);
            }
        }
        put(doc, "' ;;\n");
    }
}

static void put_known_words(struct doc *doc, const struct clm_cli_app *app)
{
    const char *bar = "";

    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        size_t len = strcspn(cmd->name, " ");

        if (cmd->is_hidden) {
            continue;
        }
        put(doc, bar);
        put(doc, "'");
        put(doc, cmd->name);
        put(doc, "'");
        bar = " | ";
        if (cmd->name[len] == ' ' && !is_repeated(app, cmd, len)) {
            put(doc, " | '");
            put_n(doc, cmd->name, len);
            put(doc, "'");
        }
    }
}

enum clm_code clm_cli_completion(const struct clm_cli_app *app, struct clm_buf *out,
                                 struct clm_err *err)
{
    struct doc doc = {.out = out, .err = err};
    size_t len = strlen(app->name);

    put(&doc, "# shellcheck shell=bash\n# bash completion for ");
    put(&doc, app->name);
    put(&doc, "; made from its command tables\n_");
    for (size_t i = 0; i < len; i++) { /* a function's name takes no dash */
        put_n(&doc, app->name[i] == '-' ? "_" : app->name + i, 1);
    }
    put(&doc, "()\n{\n"
              "    local cur=${COMP_WORDS[COMP_CWORD]} cmd='' words='' opts='' word i\n"
              "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
              "        word=${COMP_WORDS[i]}\n"
              "        case $cmd${cmd:+ }$word in\n        ");
    put_known_words(&doc, app);
    put(&doc, ") cmd=$cmd${cmd:+ }$word ;;\n"
              "        esac\n"
              "    done\n"
              "    case $cmd in\n    '') words='help");
    put_first_words(&doc, app);
    put(&doc, "' opts='--version' ;;\n");
    put_second_words(&doc, app);
    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        if (!cmd->is_hidden && cmd->opts != NULL) {
            put(&doc, "    '");
            put(&doc, cmd->name);
            put(&doc, "') opts='");
            put_opt_words(&doc, cmd->opts);
            put(&doc, "' ;;\n");
        }
    }
    put(&doc, "    esac\n    [[ $cur == -* ]] && words=\"$opts");
    put_opt_words(&doc, app->opts);
    put(&doc, " --help\"\n"
              "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
              "}\ncomplete -o default -F _");
    for (size_t i = 0; i < len; i++) {
        put_n(&doc, app->name[i] == '-' ? "_" : app->name + i, 1);
    }
    put(&doc, " ");
    put(&doc, app->name);
    put(&doc, "\n");
    return doc.code;
}

/* ---- manual ---- */

/* Text of a manual page: no request at the start of a line, no escape, a line for a sentence. */
static void put_roff(struct doc *doc, const char *text)
{
    bool is_start = true;

    for (; *text != '\0'; text++) {
        if (is_start && (*text == '.' || *text == '\'')) {
            put(doc, "\\&");
        }
        is_start = *text == '\n' || (text[0] == ' ' && is_start);
        if (*text == '\\') {
            put(doc, "\\e");
        } else if (text[0] == '.' && text[1] == ' ') {
            put(doc, ".\n");
            is_start = true;
            text++;
        } else if (text[0] == '\n' && text[1] == '\n') {
            put(doc, "\n.Pp\n");
            text++;
        } else {
            put_n(doc, text, 1);
        }
    }
    put(doc, "\n");
}

/* Fl -json , or Fl -days Ar N */
static void put_opt_macros(struct doc *doc, const struct clm_cli_opt *opt)
{
    char letter[16] = "";

    if (opt->letter != 0) {
        (void)snprintf(letter, sizeof(letter), "Fl %c , ", opt->letter);
    }
    put(doc, letter);
    put(doc, "Fl -");
    put(doc, opt->name);
    if (opt->kind != CLM_CLI_FLAG) {
        put(doc, " Ar ");
        put(doc, opt->metavar);
    }
}

static void put_opt_list(struct doc *doc, const struct clm_cli_opt *opt)
{
    char text[512];

    if (opt == NULL || opt->name == NULL) {
        return;
    }
    put(doc, ".Pp\n.Bl -tag -width Ds -compact\n");
    for (; opt->name != NULL; opt++) {
        put(doc, ".It ");
        put_opt_macros(doc, opt);
        put(doc, "\n");
        opt_text(opt, text, sizeof(text));
        put_roff(doc, text);
    }
    put(doc, ".El\n");
}

/* The operands word by word: letters become Ar, brackets and dots stay. */
static void put_operands(struct doc *doc, const char *synopsis)
{
    while (synopsis != NULL && *synopsis != '\0') {
        bool is_optional = *synopsis == '[';
        size_t len;

        synopsis += strspn(synopsis, "[ ");
        len = strcspn(synopsis, " ]");
        put(doc, is_optional ? " Op Ar " : " Ar ");
        put_n(doc, synopsis, len);
        synopsis += len;
        if (strncmp(synopsis, " ...", 4) == 0) {
            put(doc, " ...");
            synopsis += 4;
        }
        synopsis += strspn(synopsis, "] ");
    }
}

enum clm_code clm_cli_mdoc(const struct clm_cli_app *app, struct clm_buf *out, struct clm_err *err)
{
    struct doc doc = {.out = out, .err = err};

    put(&doc, ".\\\" Made from the command tables; do not edit.\n.Bl -tag -width Ds\n");
    for (const struct clm_cli_cmd *cmd = app->cmds; cmd->name != NULL; cmd++) {
        if (cmd->is_hidden) {
            continue;
        }
        put(&doc, ".It Cm ");
        put(&doc, cmd->name);
        put_operands(&doc, cmd->synopsis);
        put(&doc, "\n");
        put_sentence(&doc, cmd->summary);
        if (cmd->details != NULL) {
            put_roff(&doc, cmd->details);
        }
        put_opt_list(&doc, cmd->opts);
    }
    put(&doc, ".El\n");
    if (app->opts != NULL && app->opts->name != NULL) {
        put(&doc, ".Pp\nEvery command takes these options, too:\n");
        put_opt_list(&doc, app->opts);
    }
    return doc.code;
}
