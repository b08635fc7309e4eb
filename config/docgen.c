/* SPDX-License-Identifier: Apache-2.0 */
#include "config/docgen.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/opt.h"
#include "config/options.h"

#define LINE_BYTES  78   /* of text in the manual's source */
#define FACTS_BYTES 2048 /* what is said of one option besides its text */

/* What is added to after a failure is dropped, so that a page is written without a check at each
 * step; the failure is reported at the end. */
struct page {
    struct clm_buf *out;
    struct clm_err *err;
    enum clm_code code;
};

static void add_bytes(struct page *page, const char *text, size_t len)
{
    if (page->code == CLM_OK) {
        page->code = clm_buf_add(page->out, text, len, page->err);
    }
}

static void add(struct page *page, const char *text)
{
    add_bytes(page, text, strlen(text));
}

static void CLM_PRINTF(2, 3) addf(struct page *page, const char *fmt, ...)
{
    char text[256];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof(text)); /* the words are those of options.c */
    add_bytes(page, text, (size_t)len);
}

/* ---- facts of one option, in words ---- */

static void add_range(struct page *page, const struct clm_opt *opt)
{
    const char *unit = opt->unit == NULL ? "" : opt->unit;

    addf(page, ", %lld to %lld%s%s", (long long)opt->min, (long long)opt->max,
         unit[0] == '\0' ? "" : " ", strcmp(unit, "s") == 0 ? "seconds" : unit);
}

static void add_facts(struct page *page, const struct clm_opt *opt)
{
    const char *words = clm_opt_type_words(opt);
    const char first = (char)(words[0] - 'a' + 'A');

    add_bytes(page, &first, 1);
    add(page, words + 1);
    if (opt->type == CLM_OPT_INT) {
        add_range(page, opt);
    }
    for (size_t i = 0; opt->choices != NULL && opt->choices[i] != NULL; i++) {
        addf(page, "%s%s", i == 0 ? " of: " : ", ", opt->choices[i]);
    }
}

static void add_default(struct page *page, const struct clm_opt *opt)
{
    const char *sep = "";

    if (opt->fallback == NULL || opt->fallback[0] == '\0') {
        add(page, "none");
        return;
    }
    for (const char *p = opt->fallback; *p != '\0';) {
        size_t len = strcspn(p, " ");

        add(page, sep);
        add_bytes(page, p, len);
        sep = ", ";
        p += len + strspn(p + len, " ");
    }
}

/* ---- mdoc ---- */

/* One word, with nothing in it that mdoc takes for a macro or an escape. */
static void add_word(struct page *page, const char *word, size_t len, bool at_start)
{
    if (at_start && (word[0] == '.' || word[0] == '\'')) {
        add(page, "\\&");
    }
    for (size_t i = 0; i < len; i++) {
        add_bytes(page, word[i] == '\\' ? "\\e" : word + i, word[i] == '\\' ? 2 : 1);
    }
}

/* Every sentence starts a line of its own; lines are broken at LINE_BYTES. */
static void add_sentences(struct page *page, const char *text)
{
    size_t column = 0;
    bool is_end = false; /* of a sentence */

    for (const char *word = text; *word != '\0';) {
        size_t len = strcspn(word, " ");
        bool breaks = is_end || column + 1 + len > LINE_BYTES;

        if (column > 0) {
            add(page, breaks ? "\n" : " ");
            column = breaks ? 0 : column + 1;
        }
        add_word(page, word, len, column == 0);
        column += len;
        is_end = word[len - 1] == '.';
        word += len + strspn(word + len, " ");
    }
    add(page, "\n");
}

static void mdoc_option(struct page *page, const struct clm_opt *opt)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(FACTS_BYTES);
    struct page facts = {&text, page->err, page->code};

    add_facts(&facts, opt);
    add(&facts, ". Default: ");
    add_default(&facts, opt);
    addf(&facts, ". Since version %s.", opt->since);
    page->code = facts.code;
    addf(page, ".It Cm %s\n", opt->key);
    add_sentences(page, opt->text);
    add(page, ".br\n");
    add_sentences(page, clm_buf_str(&text));
}

enum clm_code clm_docgen_mdoc(struct clm_buf *out, struct clm_err *err)
{
    struct page page = {out, err, CLM_OK};

    add(&page, ".Bl -tag -width Ds\n");
    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        mdoc_option(&page, opt);
    }
    add(&page, ".El\n");
    return page.code;
}

/* ---- Markdown ---- */

/* In a cell of a table, '|' would end it and '*' would start emphasis. */
static void add_cell(struct page *page, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (strchr("|*_\\", *p) != NULL) {
            add(page, "\\");
        }
        add_bytes(page, p, 1);
    }
    add(page, " |");
}

static void markdown_option(struct page *page, const struct clm_opt *opt)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf facts_text = CLM_BUF_INIT(FACTS_BYTES);
    CLM_CLEANUP(clm_buf_done) struct clm_buf default_text = CLM_BUF_INIT(FACTS_BYTES);
    struct page facts = {&facts_text, page->err, page->code};
    struct page fallback = {&default_text, page->err, page->code};

    add_facts(&facts, opt);
    add_default(&fallback, opt);
    page->code = facts.code != CLM_OK ? facts.code : fallback.code;
    addf(page, "| `%s` | ", opt->key);
    add_cell(page, clm_buf_str(&facts_text));
    add(page, " ");
    add_cell(page, clm_buf_str(&default_text));
    add(page, " ");
    add_cell(page, opt->text);
    add(page, "\n");
}

enum clm_code clm_docgen_markdown(struct clm_buf *out, struct clm_err *err)
{
    struct page page = {out, err, CLM_OK};

    add(&page, "| option | what it is | default | meaning |\n|---|---|---|---|\n");
    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        markdown_option(&page, opt);
    }
    return page.code;
}

/* ---- what is in force ---- */

/* Opens the sections of key that the row before did not have; returns what is left of key. */
static const char *open_sections(struct page *page, const char *key, const char *before,
                                 size_t *out_depth)
{
    const char *part = key;

    *out_depth = 0;
    for (const char *dot = strchr(part, '.'); dot != NULL; dot = strchr(part, '.')) {
        size_t len = (size_t)(dot + 1 - key);

        if (strncmp(key, before, len) != 0) {
            addf(page, "%*s%.*s:\n", (int)(2 * *out_depth), "", (int)(dot - part), part);
        }
        part = dot + 1;
        (*out_depth)++;
    }
    return part;
}

enum clm_code clm_config_show(const struct clm_config *config, struct clm_buf *out,
                              struct clm_err *err)
{
    struct page page = {out, err, CLM_OK};
    const char *before = "";

    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        size_t depth = 0;
        const char *name = open_sections(&page, opt->key, before, &depth);

        addf(&page, "%*s%s: ", (int)(2 * depth), "", name);
        if (page.code == CLM_OK) {
            page.code = clm_opt_show(opt, config, out, err);
        }
        add(&page, "\n");
        before = opt->key;
    }
    return page.code;
}
