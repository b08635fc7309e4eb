/* SPDX-License-Identifier: Apache-2.0 */
#include "config/docgen.h"

#include <stdbool.h>
#include <string.h>

#include "config/opt.h"
#include "config/options.h"

#define LINE_MAX_BYTES 78 /* of text in the manual's source */

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum clm_code try_code = (call);                                                           \
        if (try_code != CLM_OK) {                                                                  \
            return try_code;                                                                       \
        }                                                                                          \
    } while (0)

/* ---- facts of one option, in words ---- */

static enum clm_code add_facts(const struct clm_opt *opt, struct clm_buf *out, struct clm_err *err)
{
    const char *kind = clm_opt_type_words(opt);
    char first = kind[0] >= 'a' && kind[0] <= 'z' ? (char)(kind[0] - 'a' + 'A') : kind[0];

    TRY(clm_buf_addf(out, err, "%c%s", first, kind + 1));
    if (opt->type == CLM_OPT_INT) {
        TRY(clm_buf_addf(out, err, ", %lld to %lld", (long long)opt->min, (long long)opt->max));
        if (opt->unit != NULL) {
            TRY(clm_buf_addf(out, err, " %s", strcmp(opt->unit, "s") == 0 ? "seconds" : opt->unit));
        }
    }
    for (size_t i = 0; opt->choices != NULL && opt->choices[i] != NULL; i++) {
        TRY(clm_buf_addf(out, err, "%s%s", i == 0 ? " of: " : ", ", opt->choices[i]));
    }
    return CLM_OK;
}

static enum clm_code add_default(const struct clm_opt *opt, struct clm_buf *out,
                                 struct clm_err *err)
{
    const char *sep = "";

    if (opt->fallback == NULL || opt->fallback[0] == '\0') {
        return clm_buf_add_str(out, "none", err);
    }
    for (const char *p = opt->fallback; *p != '\0';) {
        size_t len = strcspn(p, " ");

        TRY(clm_buf_addf(out, err, "%s%.*s", sep, (int)len, p));
        sep = ", ";
        p += len + strspn(p + len, " ");
    }
    return CLM_OK;
}

/* ---- mdoc ---- */

/* One word, with nothing in it that mdoc takes for a macro or an escape. */
static enum clm_code add_word(const char *word, size_t len, bool at_start, struct clm_buf *out,
                              struct clm_err *err)
{
    if (at_start && (word[0] == '.' || word[0] == '\'')) {
        TRY(clm_buf_add_str(out, "\\&", err));
    }
    for (size_t i = 0; i < len; i++) {
        TRY(word[i] == '\\' ? clm_buf_add_str(out, "\\e", err)
                            : clm_buf_add(out, word + i, 1, err));
    }
    return CLM_OK;
}

/* Every sentence starts a line of its own; lines are broken at LINE_MAX_BYTES. */
static enum clm_code add_sentences(const char *text, struct clm_buf *out, struct clm_err *err)
{
    size_t column = 0;
    bool is_end = true; /* of a sentence */

    for (const char *word = text; *word != '\0';) {
        size_t len = strcspn(word, " ");

        if (column > 0 && (is_end || column + 1 + len > LINE_MAX_BYTES)) {
            TRY(clm_buf_add_str(out, "\n", err));
            column = 0;
        } else if (column > 0) {
            TRY(clm_buf_add_str(out, " ", err));
            column++;
        }
        TRY(add_word(word, len, column == 0, out, err));
        column += len;
        is_end = word[len - 1] == '.';
        word += len + strspn(word + len, " ");
    }
    return clm_buf_add_str(out, "\n", err);
}

static enum clm_code mdoc_option(const struct clm_opt *opt, struct clm_buf *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf facts = CLM_BUF_INIT(2048);

    TRY(clm_buf_addf(out, err, ".It Cm %s\n", opt->key));
    TRY(add_sentences(opt->text, out, err));
    TRY(clm_buf_add_str(out, ".br\n", err));
    TRY(add_facts(opt, &facts, err));
    TRY(clm_buf_add_str(&facts, ". Default: ", err));
    TRY(add_default(opt, &facts, err));
    TRY(clm_buf_addf(&facts, err, ". Since version %s.", opt->since));
    return add_sentences(clm_buf_str(&facts), out, err);
}

enum clm_code clm_docgen_mdoc(struct clm_buf *out, struct clm_err *err)
{
    TRY(clm_buf_add_str(out, ".Bl -tag -width Ds\n", err));
    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        TRY(mdoc_option(opt, out, err));
    }
    return clm_buf_add_str(out, ".El\n", err);
}

/* ---- Markdown ---- */

/* In a cell of a table, '|' would end it and '*' would start emphasis. */
static enum clm_code add_cell(const char *text, struct clm_buf *out, struct clm_err *err)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '|' || *p == '*' || *p == '_' || *p == '\\') {
            TRY(clm_buf_add_str(out, "\\", err));
        }
        TRY(clm_buf_add(out, p, 1, err));
    }
    return clm_buf_add_str(out, " | ", err);
}

enum clm_code clm_docgen_markdown(struct clm_buf *out, struct clm_err *err)
{
    TRY(clm_buf_add_str(out, "| option | what it is | default | meaning |\n|---|---|---|---|\n",
                        err));
    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf facts = CLM_BUF_INIT(1024);
        CLM_CLEANUP(clm_buf_done) struct clm_buf fallback = CLM_BUF_INIT(1024);

        TRY(add_facts(opt, &facts, err));
        TRY(add_default(opt, &fallback, err));
        TRY(clm_buf_addf(out, err, "| `%s` | ", opt->key));
        TRY(add_cell(clm_buf_str(&facts), out, err));
        TRY(add_cell(clm_buf_str(&fallback), out, err));
        TRY(add_cell(opt->text, out, err));
        out->data[--out->len] = '\0';
        TRY(clm_buf_add_str(out, "\n", err));
    }
    return CLM_OK;
}

/* ---- what is in force ---- */

/* Opens the sections of key that the row before did not have; out_name is what is left of key. */
static enum clm_code open_sections(const char *key, const char *before, const char **out_name,
                                   size_t *out_depth, struct clm_buf *out)
{
    const char *part = key;
    size_t depth = 0;

    for (const char *dot = strchr(part, '.'); dot != NULL; dot = strchr(part, '.')) {
        size_t len = (size_t)(dot + 1 - key);

        if (strncmp(key, before, len) != 0) {
            TRY(clm_buf_addf(out, NULL, "%*s%.*s:\n", (int)(2 * depth), "", (int)(dot - part),
                             part));
        }
        part = dot + 1;
        depth++;
    }
    *out_name = part;
    *out_depth = depth;
    return CLM_OK;
}

enum clm_code clm_config_show(const struct clm_config *config, struct clm_buf *out,
                              struct clm_err *err)
{
    const char *before = "";

    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        const char *name = "";
        size_t depth = 0;

        if (open_sections(opt->key, before, &name, &depth, out) != CLM_OK) {
            return clm_err_set(err, CLM_E_LIMIT, "the configuration is too long to be shown");
        }
        TRY(clm_buf_addf(out, err, "%*s%s: ", (int)(2 * depth), "", name));
        TRY(clm_opt_show(opt, config, out, err));
        TRY(clm_buf_add_str(out, "\n", err));
        before = opt->key;
    }
    return CLM_OK;
}
